/** @jsxImportSource smithers-orchestrator */
import { Debate } from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, outcome, outputs, plan, prompts } from "./Fixture.tsx"

const side = (name: string) => agent(name, { text: `${name} 1` }, { text: `${name} 2` }, { text: `${name} 3` })
const sides = () => [side("pro"), side("contra"), agent("judge", { winner: "opponent" })] as const

const debate = ([proposer, opponent, judge]: ReturnType<typeof sides>, more = {}) => (
  <Debate
    id="tabs"
    proposer={proposer}
    opponent={opponent}
    judge={judge}
    argumentOutput={outputs.draft}
    verdictOutput={outputs.winner}
    {...more}
  >
    Tabs?
  </Debate>
)

describe("Debate", () => {
  it("is a loop of two arguments; the judge joins once both sides have argued", () => {
    expect(plan(() => debate(sides()))).toMatchInlineSnapshot(`
      "
      sequence
        sequence
          loop tabs:rounds (maxIterations: 2, onMaxReached: return-last)
            sequence
              step tabs:propose (table: draft, agents: [pro])
              step tabs:oppose (table: draft, agents: [contra])
          step tabs (table: untyped, retry: { maxAttempts: 1, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })"
    `)
  })

  it("has as many rounds as asked for, each side hears the other, and the judge hears all", async () => {
    const [proposer, opponent, judge] = sides()
    expect(await outcome(() => debate([proposer, opponent, judge]))).toEqual({
      outcome: "opponent",
      proposed: [{ text: "pro 1" }, { text: "pro 2" }],
      opposed: [{ text: "contra 1" }, { text: "contra 2" }],
      verdict: { winner: "opponent" },
    })
    expect(prompts(opponent)[0]).toMatch(/Argue against it\..*pro 1/s)
    expect(prompts(proposer)[1]).toMatch(/Argue for it\..*other side.*contra 1.*Your last.*pro 1/s)
    expect(prompts(judge)[0]).toMatch(/pro 1.*pro 2.*contra 1.*contra 2/s)
    expect([proposer.left(), judge.left()]).toEqual([1, 0])
  })

  it("is undecided where the verdict names neither side", async () => {
    const [proposer, opponent] = sides()
    const undecided = [proposer, opponent, agent("judge", { winner: "both" })] as const
    expect(await outcome(() => debate(undecided, { rounds: 1 }))).toMatchObject({
      outcome: "undecided",
      verdict: { winner: "both" },
    })
  })

  it("fails with a side, or stops: then the judge decides if both have argued", async () => {
    const broken = () => [side("pro"), agent("contra", { text: "contra 1" }, down), agent("judge", { winner: "proposer" })] as const
    expect(await failure(() => debate(broken()))).toContain("the agent is down")
    const stopped = await outcome(() => debate(broken(), { onParticipantFailure: "stop" }))
    expect(stopped).toMatchObject({ outcome: "proposer", proposed: [{}, {}], opposed: [{ text: "contra 1" }] })
    const silent = [side("pro"), agent("contra", down), agent("judge", { winner: "proposer" })] as const
    expect(await outcome(() => debate(silent, { onParticipantFailure: "stop" }))).toMatchObject({ outcome: "failed", opposed: [] })
    expect(silent[2].left()).toBe(1)
  })

  it("survives a crash at every commit", async () => {
    const agents = sides()
    await crash(agents, () => debate(agents))
  })
})
