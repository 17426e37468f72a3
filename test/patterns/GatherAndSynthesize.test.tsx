/** @jsxImportSource smithers-orchestrator */
import { GatherAndSynthesize, type Work } from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, outcome, outputs, plan, prompts, Task } from "./Fixture.tsx"

const sources = () => ({ web: agent("web", { text: "w" }), docs: agent("docs", { text: "d" }) })
const writer = () => agent("writer", { text: "report" })

const gather = (from: object, synthesizer = writer(), more = {}) => (
  <GatherAndSynthesize
    id="facts"
    sources={{ ...from }}
    gatherOutput={outputs.draft}
    synthesizer={synthesizer}
    synthesisOutput={outputs.draft}
    {...more}
  >
    What is new?
  </GatherAndSynthesize>
)

describe("GatherAndSynthesize", () => {
  it("asks all sources at the same time; the synthesizer joins once there are enough", () => {
    expect(plan(() => gather(sources()))).toMatchInlineSnapshot(`
      "
      sequence
        sequence
          scope facts:gather
            foreach (maxConcurrency: Infinity, isSettled: true)
              scope facts:gather[web] (part: web, isCatching: true)
                step facts:from:web (table: draft, agents: [web])
              scope facts:gather[docs] (part: docs, isCatching: true)
                step facts:from:docs (table: draft, agents: [docs])
          step facts (table: untyped, retry: { maxAttempts: 1, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })"
    `)
  })

  it("makes one answer of those of all sources", async () => {
    const synthesizer = writer()
    expect(await outcome(() => gather(sources(), synthesizer))).toEqual({
      outcome: "synthesized",
      synthesis: { text: "report" },
      found: { web: { text: "w" }, docs: { text: "d" } },
      missing: {},
    })
    expect(prompts(synthesizer)[0]).toMatch(/What is new\?.*"w".*"d"/s)
    expect(prompts(synthesizer)[0]).not.toContain("Missing")
  })

  it("goes on without a source that fails, and tells the synthesizer which and why", async () => {
    const synthesizer = writer()
    const found = await outcome(() => gather({ ...sources(), wiki: agent("wiki", down) }, synthesizer))
    expect(found).toMatchObject({ outcome: "synthesized", missing: { wiki: expect.stringContaining("the agent is down") } })
    expect(prompts(synthesizer)[0]).toMatch(/Missing sources.*wiki.*the agent is down/s)
    expect(await failure(() => gather({ wiki: agent("wiki", down) }, writer(), { onParticipantFailure: "fail" }))).toContain("down")
  })

  it("goes on without a source that is late", async () => {
    const slow = ({ id, output }: Work) => (
      <Task id={id} output={output}>
        {() => new Promise<never>(() => {})}
      </Task>
    )
    const found = await outcome(() => gather({ ...sources(), slow }, writer(), { timeout: "10m" }))
    expect(found).toMatchObject({ outcome: "synthesized", missing: { slow: expect.any(String) } })
  })

  it("does not pay the synthesizer for too few, or for no sources", async () => {
    const synthesizer = writer()
    const few = { ...sources(), wiki: agent("wiki", down) }
    expect(await outcome(() => gather(few, synthesizer, { minSources: 3 }))).toMatchObject({
      outcome: "tooFew",
      found: { web: {} },
    })
    expect(await outcome(() => gather({}, synthesizer, { minSources: 0 }))).toMatchObject({ outcome: "tooFew", found: {} })
    expect(synthesizer.left()).toBe(1)
  })

  it("survives a crash at every commit", async () => {
    const [from, synthesizer] = [sources(), writer()]
    await crash([from.web, from.docs, synthesizer], () => gather(from, synthesizer))
  })
})
