/** @jsxImportSource smithers-orchestrator */
import { Optimizer } from "smithers-orchestrator/patterns"
import { describe, expect, it } from "vitest"
import { agent, crash, down, failure, outcome, outputs, plan, prompts } from "./Fixture.tsx"

const candidates = () => agent("generator", ...["a", "b", "c", "d", "e"].map((text) => ({ text })))
const scores = (...all: ReadonlyArray<number>) => agent("evaluator", ...all.map((score) => ({ score })))

const search = (generator: ReturnType<typeof agent>, evaluator: ReturnType<typeof agent>, more = {}) => (
  <Optimizer
    id="slogan"
    generator={generator}
    evaluator={evaluator}
    generateOutput={outputs.draft}
    evaluateOutput={outputs.score}
    targetScore={9}
    {...more}
  >
    Find a slogan.
  </Optimizer>
)

describe("Optimizer", () => {
  it("is a loop of two tasks, and one for the outcome", () => {
    expect(plan(() => search(candidates(), scores(9)))).toMatchInlineSnapshot(`
      "
      sequence
        sequence
          loop slogan:rounds (maxIterations: 5, onMaxReached: return-last)
            sequence
              step slogan:generate (table: draft, agents: [generator])
              step slogan:evaluate (table: score, agents: [evaluator])
          step slogan (table: untyped, retry: { maxAttempts: 1, backoff: exponential, initialDelay: 1 second, maxDelay: 5 minutes, factor: 2, jitter: true })"
    `)
  })

  it("ends when a score reaches the target, with the feedback of each round in the next", async () => {
    const [generator, evaluator] = [candidates(), scores(5, 9)]
    expect(await outcome(() => search(generator, evaluator))).toEqual({
      outcome: "reached",
      rounds: 2,
      best: { candidate: { text: "b" }, score: 9, round: 1 },
    })
    expect(prompts(generator)[1]).toMatch(/The best so far.*"score": 5/s)
    expect(generator.left()).toBe(3)
  })

  it("keeps the best and not the last, the earliest of equal ones", async () => {
    const best = await outcome(() => search(candidates(), scores(3, 7, 7, 2), { maxIterations: 4, patience: 9 }))
    expect(best).toMatchObject({ outcome: "exhausted", rounds: 4, best: { candidate: { text: "b" }, score: 7, round: 1 } })
  })

  it("ends as stalled without a better score for a while", async () => {
    const generator = candidates()
    expect(await outcome(() => search(generator, scores(7, 6, 5)))).toMatchObject({
      outcome: "stalled",
      rounds: 3,
      best: { score: 7 },
    })
    expect(generator.left()).toBe(2)
  })

  it("fails the run below the target where that is asked for", async () => {
    expect(await failure(() => search(candidates(), scores(7, 6, 5), { onExhausted: "fail" }))).toContain(
      '"slogan" has reached 7 (stalled)',
    )
  })

  it("fails with a participant, or stops with the best so far", async () => {
    const broken = () => agent("evaluator", { score: 4 }, down)
    expect(await failure(() => search(candidates(), broken()))).toContain("the agent is down")
    const stopped = await outcome(() => search(candidates(), broken(), { onParticipantFailure: "stop" }))
    expect(stopped).toMatchObject({ outcome: "failed", best: { candidate: { text: "a" }, score: 4 } })
  })

  it("is refused with a patience that ends it before its first round, or never", () => {
    for (const patience of [0, Number.NaN])
      expect(() => plan(() => search(candidates(), scores(), { patience }))).toThrow(
        'its "patience" must be a number of at least 1',
      )
  })

  it("survives a crash at every commit", async () => {
    const agents = [candidates(), scores(5, 9)] as const
    await crash(agents, () => search(...agents))
  })
})
