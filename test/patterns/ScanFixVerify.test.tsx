/** @jsxImportSource smithers-orchestrator */
import { ScanFixVerify } from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, outcome, outputs, plan, prompts } from "./Fixture.tsx"

const scanner = (...ids: ReadonlyArray<string>) => agent("scanner", { issues: ids.map((id) => ({ id })) })
const fixer = (count = 4) => agent("fixer", ...Array.from({ length: count }, (_, index) => ({ diff: `diff ${index}` })))
/** Verifies by the issue that the prompt names, round by round. */
const verifier = (verdicts: { readonly [issue: string]: ReadonlyArray<boolean | Error> }) => {
  const left = Object.fromEntries(Object.entries(verdicts).map(([id, all]) => [id, [...all]]))
  const reply = ({ prompt }: { readonly prompt: string }) => {
    const id = Object.keys(left).find((one) => prompt.includes(`"id": "${one}"`)) ?? ""
    const verdict = left[id]?.shift()
    return verdict instanceof Error ? verdict : { fixed: verdict }
  }
  return agent("verifier", ...Object.values(verdicts).flatMap((all) => all.map(() => reply)))
}

const sweep = (scan: ReturnType<typeof agent>, fix: ReturnType<typeof agent>, verify: ReturnType<typeof agent>, more = {}) => (
  <ScanFixVerify
    id="lint"
    scanner={scan}
    scanOutput={outputs.scan}
    fixer={fix}
    fixOutput={outputs.fix}
    verifier={verify}
    verifyOutput={outputs.verdict}
    {...more}
  >
    Find issues.
  </ScanFixVerify>
)

describe("ScanFixVerify", () => {
  it("begins with a scan", () => {
    expect(plan(() => sweep(scanner("a"), fixer(), verifier({})))).toMatchInlineSnapshot(`
      "
      sequence
        sequence
          step lint:scan (table: scan, agents: [scanner])
          scope lint:issues
            foreach (maxConcurrency: 4, isSettled: true)
          step lint (table: untyped, retry: { maxAttempts: 1, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })"
    `)
  })

  it("fixes again only what survives, with the verdict", async () => {
    const fix = fixer()
    const found = await outcome(() => sweep(scanner("a", "b"), fix, verifier({ a: [true], b: [false, true] })))
    expect(found).toEqual({ outcome: "fixed", fixed: ["a", "b"], survivors: [] })
    expect(fix.left()).toBe(1)
    expect(prompts(fix).at(-1)).toMatch(/"id": "b".*did not hold.*"fixed": false/s)
  })

  it("fails with survivors, or goes on with them, each with the number of its fixes", async () => {
    const verdicts = { a: [true], b: [false, false] }
    expect(await failure(() => sweep(scanner("a", "b"), fixer(), verifier(verdicts)))).toContain('"lint" has not fixed b')
    const accepted = await outcome(() => sweep(scanner("a", "b"), fixer(), verifier(verdicts), { onExhausted: "accept" }))
    expect(accepted).toEqual({ outcome: "survivors", fixed: ["a"], survivors: [{ key: "b", fixes: 2 }] })
  })

  it("gives up an issue whose participant fails, with the reason, or fails with it", async () => {
    const more = { onExhausted: "accept" }
    expect(await outcome(() => sweep(scanner("a", "b"), fixer(), verifier({ a: [true], b: [down] }), more))).toEqual({
      outcome: "survivors",
      fixed: ["a"],
      survivors: [{ key: "b", fixes: 1, failure: expect.stringContaining("the agent is down") }],
    })
    const failing = () => sweep(scanner("b"), fixer(), verifier({ b: [down] }), { onParticipantFailure: "fail" })
    expect(await failure(failing)).toContain("the agent is down")
  })

  it("is clean where nothing was found, and takes the first of issues with one key", async () => {
    expect(await outcome(() => sweep(scanner(), fixer(), verifier({})))).toEqual({ outcome: "clean", fixed: [], survivors: [] })
    const fix = fixer()
    expect(await outcome(() => sweep(scanner("a", "b", "a"), fix, verifier({ a: [true], b: [true] })))).toMatchObject({
      outcome: "fixed",
      fixed: ["a", "b"],
    })
    expect(fix.left()).toBe(2)
  })

  it("scans again after the fixes until a scan finds nothing new, and tells the scanner what became of the issues", async () => {
    const scan = agent("scanner", { issues: [{ id: "a" }] }, { issues: [{ id: "b" }] }, { issues: [] }, { issues: [] })
    const fix = fixer()
    const found = await outcome(() => sweep(scan, fix, verifier({ a: [true], b: [true] }), { maxScans: 9 }))
    expect(found).toEqual({ outcome: "fixed", fixed: ["a", "b"], survivors: [] })
    expect([scan.left(), fix.left()]).toEqual([1, 2])
    expect(prompts(scan)[1]).toMatch(/Find issues\..*Issues of earlier scans.*"fixed": \[\s+"a"/s)
    const clean = agent("scanner", { issues: [] }, { issues: [{ id: "a" }] })
    expect(await outcome(() => sweep(clean, fixer(), verifier({}), { maxScans: 2 }))).toMatchObject({ outcome: "clean" })
    expect(clean.left()).toBe(1)
  })

  it("makes no more scans than it may", async () => {
    const ids = ["a", "b", "c"]
    const scan = agent("scanner", ...ids.map((id) => ({ issues: [{ id }] })))
    const verdicts = Object.fromEntries(ids.map((id) => [id, [true]]))
    expect(await outcome(() => sweep(scan, fixer(), verifier(verdicts), { maxScans: 2 }))).toMatchObject({ fixed: ["a", "b"] })
    expect(scan.left()).toBe(1)
    expect(() => plan(() => sweep(scanner("a"), fixer(), verifier({}), { maxScans: 0 }))).toThrow(
      'its "maxScans" must be a number of at least 1, and is 0',
    )
  })

  it("fixes again what a later scan finds again, as often as an issue may be fixed in all", async () => {
    const again = () => agent("scanner", ...[1, 2, 3].map(() => ({ issues: [{ id: "a" }] })))
    const [scan, fix] = [again(), fixer()]
    const more = { maxScans: 9, onExhausted: "accept" }
    expect(await outcome(() => sweep(scan, fix, verifier({ a: [true, true] }), more))).toEqual({
      outcome: "survivors",
      fixed: [],
      survivors: [{ key: "a", fixes: 2 }],
    })
    expect([scan.left(), fix.left()]).toEqual([0, 2])
    expect(prompts(fix)[1]).toContain("a later scan found it again")
    const healed = agent("scanner", { issues: [{ id: "a" }] }, { issues: [{ id: "a" }] }, { issues: [] })
    expect(await outcome(() => sweep(healed, fixer(), verifier({ a: [true, true] }), more))).toMatchObject({ outcome: "fixed" })
  })

  it("does not fix again what was given up, which stays a survivor", async () => {
    const scan = agent("scanner", { issues: [{ id: "a" }, { id: "b" }] }, { issues: [{ id: "a" }] })
    const fix = fixer()
    const more = { maxScans: 5, onExhausted: "accept" }
    expect(await outcome(() => sweep(scan, fix, verifier({ a: [down], b: [true] }), more))).toEqual({
      outcome: "survivors",
      fixed: ["b"],
      survivors: [{ key: "a", fixes: 1, failure: expect.stringContaining("the agent is down") }],
    })
    expect(fix.left()).toBe(2)
  })

  it("survives a crash at every commit", async () => {
    const scan = agent("scanner", { issues: [{ id: "a" }] }, { issues: [{ id: "b" }] })
    const agents = [scan, fixer(), agent("verifier", { fixed: false }, { fixed: true }, { fixed: true })] as const
    await crash(agents, () => sweep(...agents, { maxScans: 2 }))
  })
})
