/** Ids are texts, and those that are made of others never meet: whatever characters they hold. */
import { describe, expect, it } from "@effect/vitest"
import * as Ids from "@smithers/core/Ids"
import { compensationId, undoneBy } from "@smithers/core/Records"
import * as FastCheck from "effect/FastCheck"

/** Texts that read like what the engine makes of texts. */
const tricky = FastCheck.string({
  unit: FastCheck.constantFrom(
    ...["~", "%", ":", "/", ".", "0", "1", "a", " ", "\n", "\0", "\\", "u", "ud83d", "\ud83d", "\ude00", "é", "~compensate", "%7E"],
  ),
  minLength: 1,
  maxLength: 8,
})

/** What {@link Ids.keptId} keeps, read back. */
const authored = (kept: string): string =>
  kept.replace(/(~compensate~*)~$/, "$1").replaceAll(/\\u(0000|005c|d[89a-f][0-9a-f]{2})/g, (_, code: string) => {
    return String.fromCharCode(Number.parseInt(code, 16))
  })

describe("the id of a node", () => {
  it.each([
    ["a"],
    ["fix src/a.ts"],
    ["[x] (y) {z}"],
    ["日本語 – größer 👩‍👩‍👧"],
    ["a\nb\tc"],
    ["a%20b"],
    ["a~b/0"],
    ["C:\\users\\x"],
    [" "],
    ["--help"],
    ["__proto__"],
    ["x".repeat(1000)],
    ["😀".repeat(1000)],
  ])("is kept as it was given: %j", (id) => {
    expect(Ids.keptId(id)).toBe(id)
    expect(Ids.isNodeId(Ids.keptId(id))).toBe(true)
  })

  it.each([
    ["half an emoji \ud83d", "half an emoji \\ud83d"],
    ["\ude00 the other half", "\\ude00 the other half"],
    ["nul\0", "nul\\u0000"],
    ["half an emoji \\ud83d", "half an emoji \\u005cud83d"],
    ["\\u005cud83d", "\\u005cu005cud83d"],
    ["\\u0041 \\unit", "\\u0041 \\unit"],
    ["a~compensate", "a~compensate~"],
    ["a~compensate~", "a~compensate~~"],
  ])("that cannot be stored as it is, or reads as that of a compensation, is kept in another form: %j", (id, kept) => {
    expect(Ids.keptId(id)).toBe(kept)
    expect(Ids.isNodeId(kept)).toBe(true)
    expect(authored(kept)).toBe(id)
  })

  it.each([[""], ["x".repeat(1001)], ["😀".repeat(1001)], [undefined], [7], [null], [["a"]]])("is not %j", (id) => {
    expect(Ids.isNodeId(typeof id === "string" ? Ids.keptId(id) : id)).toBe(false)
  })

  it("can be read back from what is kept, whatever it is, so that two never become one", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.oneof(tricky, FastCheck.string({ unit: "binary" })), (id) => {
        const kept = Ids.keptId(id)
        expect(authored(kept)).toBe(id)
        expect(kept.isWellFormed() && !kept.includes("\0")).toBe(true)
        expect(undoneBy(kept)).toBeUndefined()
        expect(undoneBy(compensationId(kept))).toBe(kept)
      }),
      { numRuns: 2000 },
    )
  })

  it("is told from the iteration in the key of a row", () => {
    FastCheck.assert(
      FastCheck.property(tricky, FastCheck.nat(20), (id, iteration) => {
        expect(Ids.parseNodeKey(Ids.nodeKey(id, iteration))).toEqual({ nodeId: id, iteration })
      }),
    )
  })
})

type Place = readonly [run: string, node: string, iteration: number, generation: number]

const place = FastCheck.tuple(
  tricky.filter((run) => Ids.isId(run) && !Ids.isChildRunId(run)),
  tricky.map(Ids.keptId),
  FastCheck.nat(2),
  FastCheck.nat(2),
)

/** Checks that a key is another one for each place. */
const expectDistinct = (keyOf: (...place: Place) => string) => {
  FastCheck.assert(
    FastCheck.property(FastCheck.uniqueArray(place, { minLength: 2, maxLength: 40, selector: String }), (places) => {
      const keys = new Map<string, string>()
      for (const one of places) {
        const key = keyOf(...one)
        expect(keys.get(key) ?? JSON.stringify(one)).toBe(JSON.stringify(one))
        keys.set(key, JSON.stringify(one))
      }
    }),
    { numRuns: 500 },
  )
}

describe("the id of a child run", () => {
  it("says whose child it is", () => {
    expect(Ids.childRunId("r", "build", 0)).toBe("r~build~0")
    expect(Ids.childRunId("r", "build", 2, 1)).toBe("r~build~2~1")
    expect(Ids.childRunId("r", "fix src/a.ts", 0)).toBe("r~fix src/a.ts~0")
    expect(Ids.childRunId("r", "a~b%", 0)).toBe("r~a%7Eb%25~0")
    expect(Ids.childRunId("r", "17", 0)).toBe("r~%317~0")
  })

  it("is another one for each run, node, iteration and generation, also of children of children", () => {
    expectDistinct(Ids.childRunId)
    expectDistinct((run, node, iteration, generation) =>
      Ids.childRunId(Ids.childRunId(run, node, iteration), node, iteration, generation),
    )
    // A child of generation 5, and a node whose id is 5.
    expect(Ids.childRunId(Ids.childRunId("r", "b", 0, 5), "3", 2)).not.toBe(Ids.childRunId(Ids.childRunId("r", "b", 0), "5", 3, 2))
  })

  it("is of a bounded length, and then of this child still", () => {
    const [one, two] = ["x", "y"].map((end) => Ids.childRunId("r".repeat(1000), `${"n".repeat(999)}${end}`, 7, 1)) as [
      string,
      string,
    ]
    expect(one.length).toBeLessThan(500)
    expect(one).not.toBe(two)
    expect(one.endsWith("~7~1") && Ids.isChildRunId(one)).toBe(true)
    expect(Ids.childRunId("😀".repeat(400), "n", 0).isWellFormed()).toBe(true)
  })

  it("is no id that a run can be started with", () => {
    FastCheck.assert(
      FastCheck.property(place, ([run, node, iteration, generation]) => {
        expect(Ids.isChildRunId(Ids.childRunId(run, node, iteration, generation))).toBe(true)
      }),
    )
    for (const id of ["a~b", "~", "a~0", "~0", "a~1~2", "fix~src~a", "a~b~0x"])
      expect([id, Ids.isChildRunId(id)]).toEqual([id, false])
  })
})

describe("an idempotency key", () => {
  it("is made of the run, the step and the iteration, and of the generation where there is one", () => {
    expect(Ids.idempotencyKey("r", "s", 2)).toBe("r:s:2")
    expect(Ids.idempotencyKey("r", "try:s:catch", 2, 1)).toBe("r:try:s:catch:2:1")
    expect(Ids.idempotencyKey("order:42", "fix ü/a.ts", 0)).toBe("order%3A42:fix%20%C3%BC/a.ts:0")
  })

  it("is another one for each of them", () => expectDistinct(Ids.idempotencyKey))

  it("can be sent as a header, whatever the ids hold and however long they are", () => {
    FastCheck.assert(
      FastCheck.property(place, FastCheck.nat(200), ([run, node, iteration, generation], times) => {
        const key = Ids.idempotencyKey(run.repeat(times + 1), node, iteration, generation)
        expect(new Headers({ "idempotency-key": key }).get("idempotency-key")).toBe(key)
        expect(key.length).toBeLessThanOrEqual(255)
      }),
    )
    const long = (end: string) => Ids.idempotencyKey("r".repeat(300) + end, "s", 0)
    expect(long("a")).not.toBe(long("b"))
  })
})

describe("the id of a run", () => {
  it("is any text that can be stored and typed", () => {
    for (const id of ["a", "order 42/ü", "a~b", "--help", "日本語", "a\nb"]) expect([id, Ids.isId(id)]).toEqual([id, true])
    for (const id of ["", "a\0", "a\ud83d", "x".repeat(1001), 7]) expect([id, Ids.isId(id)]).toEqual([id, false])
  })
})

it("a composite key is another one for other parts", () => {
  FastCheck.assert(
    FastCheck.property(FastCheck.array(tricky), FastCheck.array(tricky), (left, right) => {
      expect(Ids.compositeKey(...left) === Ids.compositeKey(...right)).toBe(JSON.stringify(left) === JSON.stringify(right))
    }),
  )
})
