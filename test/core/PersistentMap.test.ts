import { describe, expect, it } from "@effect/vitest"
import { PersistentMap } from "@smithers/core/PersistentMap"
import * as FastCheck from "effect/FastCheck"

const sorted = <K, V>(map: Iterable<[K, V]>) => [...map].sort()

describe("a persistent map", () => {
  it("keeps every version as it was, whichever is changed or read next", () => {
    const change = FastCheck.record({ of: FastCheck.nat(1000), key: FastCheck.nat(6), value: FastCheck.option(FastCheck.nat(9)) })
    FastCheck.assert(
      FastCheck.property(FastCheck.array(change, { maxLength: 120 }), FastCheck.boolean(), (changes, isLinear) => {
        const versions = [{ map: PersistentMap.empty<number, number>(), plain: new Map<number, number>() }]
        for (const { of, key, value } of changes) {
          const from = versions[isLinear ? versions.length - 1 : of % versions.length]
          if (from === undefined) return expect.fail("there is always a version")
          const plain = new Map(from.plain)
          if (value === null) plain.delete(key)
          else plain.set(key, value)
          versions.push({ map: value === null ? from.map.remove(key) : from.map.set(key, value), plain })
        }
        for (const { map, plain } of versions.toReversed()) {
          for (let key = 0; key <= 6; key++) {
            expect(map.get(key)).toBe(plain.get(key))
            expect(map.has(key)).toBe(plain.has(key))
          }
          expect(map.size).toBe(plain.size)
          expect(sorted(map)).toEqual(sorted(plain))
        }
      }),
    )
  })

  it("shows its entries as they were when an iteration began", () => {
    let map = PersistentMap.of<string, number>([
      ["a", 1],
      ["b", 2],
    ])
    const seen: Array<string> = []
    for (const [key] of map) {
      seen.push(key)
      map = map.set(`${key}${key}`, 3)
    }
    expect(seen).toEqual(["a", "b"])
    expect(map.keys()).toEqual(["a", "b", "aa", "bb"])
    expect(map.filter((value) => value < 3).values()).toEqual([1, 2])
    expect(JSON.stringify(map)).toBe('[["a",1],["b",2],["aa",3],["bb",3]]')
  })

  it("looks far back without a walk through all that has happened since", () => {
    const first = PersistentMap.of<string, number>([["a", 1]])
    let last = first
    for (let index = 0; index < 100_000; index++) last = last.set("b", index)
    const begin = performance.now()
    for (let index = 0; index < 100_000; index++) if (first.has("b")) expect.fail("it came later")
    expect(performance.now() - begin).toBeLessThan(2000)
    expect(last.get("b")).toBe(99_999)
  })

  it("does not keep, for a version that is held, all that has changed since", () => {
    const first = PersistentMap.of<number, string>([[0, "first"]])
    let last = first.set(0, "second")
    Bun.gc(true)
    const before = process.memoryUsage().heapUsed
    for (let index = 0; index < 100_000; index++) last = last.set(index % 10, `${index}`.repeat(20))
    Bun.gc(true)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(5_000_000)
    expect([first.get(0), last.get(9)?.slice(0, 5)]).toEqual(["first", "99999"])
    for (let index = 0; index < 5000; index++) last = last.remove(index % 10).set(index % 10, "again")
    expect([first.get(0), last.size, last.get(3)]).toEqual(["first", 10, "again"])
  })
})
