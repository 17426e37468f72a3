/** @jsxImportSource smithers-orchestrator */

import { Panel } from "smithers-orchestrator/patterns"
import type { ScriptedReply } from "smithers-orchestrator/testing"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, outcome, outputs, plan, prompts, Task } from "./Fixture.tsx"

const votes = (...all: ReadonlyArray<string | ScriptedReply>) =>
  Object.fromEntries(
    ["ann", "bob", "cy"].slice(0, all.length).map((name, index) => {
      const vote = all[index]
      return [name, agent(name, typeof vote === "string" ? { vote } : (vote ?? {}))]
    }),
  )

const panel = (panelists: object, more = {}) => (
  <Panel id="panel" panelists={{ ...panelists }} panelistOutput={outputs.vote} {...more}>
    Merge it?
  </Panel>
)

describe("Panel", () => {
  it("asks all panelists at the same time, and counts", () => {
    expect(plan(() => panel(votes("yes", "yes", "no")))).toMatchInlineSnapshot(`
      "
      sequence
        sequence
          scope panel:panel
            foreach (maxConcurrency: Infinity, isSettled: true)
              scope panel:panel[ann] (part: ann, isCatching: true)
                step panel:by:ann (table: vote, agents: [ann])
              scope panel:panel[bob] (part: bob, isCatching: true)
                step panel:by:bob (table: vote, agents: [bob])
              scope panel:panel[cy] (part: cy, isCatching: true)
                step panel:by:cy (table: vote, agents: [cy])
          step panel (table: untyped, retry: { maxAttempts: 1, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })"
    `)
  })

  it("decides by the majority of all panelists", async () => {
    expect(await outcome(() => panel(votes("yes", "no", "yes")))).toEqual({
      outcome: "decided",
      vote: "yes",
      votes: { yes: ["ann", "cy"], no: ["bob"] },
      answers: { ann: { vote: "yes" }, bob: { vote: "no" }, cy: { vote: "yes" } },
      absent: [],
    })
  })

  it("is undecided in a tie and without a majority, and for a vote that too few have given", async () => {
    expect(await outcome(() => panel(votes("yes", "no"), { minAgree: 1 }))).toMatchObject({ outcome: "undecided" })
    expect(await outcome(() => panel(votes("a", "b", "c")))).toMatchObject({ outcome: "undecided" })
    expect(await outcome(() => panel(votes("yes", "yes", "no"), { minAgree: 3 }))).toMatchObject({ outcome: "undecided" })
  })

  it("counts votes that every object has a field of, and is in no quorum where all fail", async () => {
    expect(await outcome(() => panel(votes("constructor", "constructor", "toString")))).toMatchObject({
      outcome: "decided",
      vote: "constructor",
      votes: { constructor: ["ann", "bob"], toString: ["cy"] },
    })
    const none = await outcome(() => panel(votes(down, down, down)))
    expect(none).toMatchObject({ outcome: "noQuorum", answers: {}, absent: ["ann", "bob", "cy"] })
  })

  it("counts panelists that fail or abstain among all, so that none of them makes a majority", async () => {
    const absent = await outcome(() => panel(votes("yes", "yes", down)))
    expect(absent).toMatchObject({ outcome: "decided", vote: "yes", absent: ["cy"] })
    expect(await outcome(() => panel(votes("yes", "no", {})))).toMatchObject({ outcome: "undecided", absent: ["cy"] })
    expect(await outcome(() => panel(votes("yes", down, {})))).toMatchObject({ outcome: "noQuorum", absent: ["bob", "cy"] })
    expect(await outcome(() => panel(votes("yes", down, {}), { quorum: 1 }))).toMatchObject({ outcome: "undecided" })
    expect(await outcome(() => panel({}))).toMatchObject({ outcome: "noQuorum", absent: [] })
    expect(await failure(() => panel(votes("yes", "yes", down), { onParticipantFailure: "fail" }))).toContain("the agent is down")
  })

  it("needs all panelists for a consensus", async () => {
    const strategy = "consensus"
    expect(await outcome(() => panel(votes("yes", "yes", "yes"), { strategy }))).toMatchObject({ outcome: "decided", vote: "yes" })
    expect(await outcome(() => panel(votes("yes", "yes", "no"), { strategy }))).toMatchObject({ outcome: "undecided" })
    expect(await outcome(() => panel(votes("yes", "yes", down), { strategy }))).toMatchObject({
      outcome: "undecided",
      absent: ["cy"],
    })
  })

  it("has a moderator make one answer, who is told the answers and who is missing", async () => {
    const moderator = agent("moderator", { text: "fine" })
    const more = { moderator, moderatorOutput: outputs.draft }
    expect(await outcome(() => panel(votes("yes", "no", down), more))).toMatchObject({
      outcome: "synthesized",
      synthesis: { text: "fine" },
      absent: ["cy"],
    })
    expect(prompts(moderator)[0]).toMatch(/The answers.*"vote": "no".*Without an answer.*cy.*Merge it\?/s)
  })

  it("does not pay a moderator below the quorum", async () => {
    const moderator = agent("moderator", { text: "fine" })
    const found = await outcome(() => panel(votes("yes", down, down), { moderator, moderatorOutput: outputs.draft }))
    expect(found).toMatchObject({ outcome: "noQuorum", absent: ["bob", "cy"] })
    expect(moderator.left()).toBe(1)
  })

  it("counts a panelist that is late as absent", async () => {
    const late = {
      ...votes("yes", "yes"),
      cy: ({ id, output }: { readonly id: string; readonly output: typeof outputs.vote }) => (
        <Task id={id} output={output}>
          {() => new Promise<{ vote: string }>(() => {})}
        </Task>
      ),
    }
    expect(await outcome(() => panel(late, { timeout: "1m" }))).toMatchObject({ outcome: "decided", vote: "yes", absent: ["cy"] })
  })

  it("is refused without what its strategy needs", async () => {
    await expect(failure(() => panel(votes("yes"), { strategy: "synthesize" }))).rejects.toThrow(/has no "moderator"/)
    for (const more of [{ minAgree: 0 }, { quorum: Number.NaN }])
      expect(() => plan(() => panel(votes("yes"), more))).toThrow(/its "(minAgree|quorum)" must be a number of at least/)
  })

  it("survives a crash at every commit", async () => {
    const panelists = votes("yes", "no", "yes")
    const moderator = agent("moderator", { text: "fine" })
    await crash([...Object.values(panelists), moderator], () => panel(panelists, { moderator, moderatorOutput: outputs.draft }))
  })
})
