/** Agents that repeat themselves: what is a repetition, and what is progress. */
import { describe, expect, it } from "@effect/vitest"
import * as DoomLoop from "@smithers/agents/DoomLoop"
import * as FastCheck from "effect/FastCheck"

type Call = Partial<DoomLoop.EndedCall>

/** The verdicts on calls, one after another: their first letters. */
const verdicts = (calls: ReadonlyArray<Call>): string => {
  let state = DoomLoop.initial
  return calls
    .map((call) => {
      const seen = DoomLoop.observe(state, { tool: "look", input: {}, result: "same", ...call })
      ;({ state } = seen)
      return seen.verdict._tag[0]
    })
    .join("")
}

const times = (count: number, ...calls: ReadonlyArray<Call>): ReadonlyArray<Call> =>
  Array.from({ length: count }, () => calls).flat()

describe("a repeated call", () => {
  it("with the same result tells the model at the third, and stops at the fifth", () => {
    expect(verdicts(times(5, {}))).toBe("CCNNS")
  })

  it("is the same whatever the order of its input's fields", () => {
    expect(verdicts([{ input: { a: 1, b: 2 } }, { input: { b: 2, a: 1 } }, { input: { a: 1, b: 2 } }])).toBe("CCN")
  })

  it.each<[what: string, calls: ReadonlyArray<Call>]>([
    ["another input", Array.from({ length: 9 }, (_, input) => ({ input }))],
    ["another result", Array.from({ length: 9 }, (_, result) => ({ result }))],
    ["another tool", Array.from({ length: 9 }, (_, index) => ({ tool: `tool${index}` }))],
  ])("is progress with %s", (_, calls) => {
    expect(verdicts(calls)).toBe("CCCCCCCCC")
  })

  it("begins to count anew after another call", () => {
    expect(verdicts([...times(2, {}), { tool: "edit" }, ...times(3, {})])).toBe("CCCCCN")
  })

  it("is no sign of a stall for a polling tool, which also ends the repetition of others", () => {
    expect(verdicts(times(9, { isExempt: true }))).toBe("CCCCCCCCC")
    expect(verdicts(times(6, { tool: "status" }, { tool: "sleep", isExempt: true }))).toBe("C".repeat(12))
  })

  it("is known by the key that its tool declares", () => {
    const at = (time: number, loopKey: string): Call => ({ input: { time }, loopKey })
    expect(verdicts([at(1, "a"), at(2, "a"), at(3, "a")])).toBe("CCN")
    expect(verdicts([at(1, "a"), at(1, "b"), at(1, "c")])).toBe("CCC")
  })
})

describe("calls in turn", () => {
  it("are a repetition, of two or three", () => {
    expect(verdicts(times(5, { tool: "a" }, { tool: "b" }))).toBe("CCCCCNNNNS")
    expect(verdicts(times(5, { tool: "a" }, { tool: "b" }, { tool: "c" }))).toBe("CCCCCCCCNNNNNNS")
  })

  it("are progress where one result changes", () => {
    const calls = Array.from({ length: 6 }, (_, pass) => [
      { tool: "edit", input: pass },
      { tool: "test", result: "red" },
    ]).flat()
    expect(verdicts(calls)).toBe("C".repeat(12))
  })

  it("are named in what the agent is told and stopped with", () => {
    let state = DoomLoop.initial
    const texts: Array<string> = []
    for (const tool of ["a", "b", "a", "b", "a", "b", "a", "b", "a", "b"]) {
      const seen = DoomLoop.observe(state, { tool, input: {}, result: "same" })
      ;({ state } = seen)
      if (seen.verdict._tag === "Nudge") texts.push(seen.verdict.text)
      if (seen.verdict._tag === "Stop") texts.push(seen.verdict.stalled.message)
    }
    expect(texts[0]).toMatch(/^\[You have made the same calls of a, b 3 times in a row/)
    expect(texts.at(-1)).toMatch(/^stalled: it made the same calls of a, b 5 times in a row/)
  })

  it("keep no more than they need", () => {
    let state = DoomLoop.initial
    for (let input = 0; input < 1000; input++) ({ state } = DoomLoop.observe(state, { tool: "t", input, result: null }))
    expect(state.length).toBe(DoomLoop.stopAfter * DoomLoop.longestCycle)
  })
})

describe("a notice", () => {
  it("can be taken off again, whatever the result", () => {
    const { verdict } = times(3, {}).reduce<ReturnType<typeof DoomLoop.observe>>(
      ({ state }) => DoomLoop.observe(state, { tool: "look", input: {}, result: "same" }),
      { state: DoomLoop.initial, verdict: { _tag: "Continue" } },
    )
    if (verdict._tag !== "Nudge") throw new Error("no nudge")
    FastCheck.assert(
      FastCheck.property(FastCheck.jsonValue(), (result) => {
        const told = DoomLoop.withNotice(result, verdict.text)
        expect(JSON.stringify(told)).toContain("times in a row")
        expect(DoomLoop.splitNotice(told)).toEqual({ result, notice: verdict.text })
        expect(DoomLoop.splitNotice(result)).toEqual({ result, notice: undefined })
      }),
    )
  })
})
