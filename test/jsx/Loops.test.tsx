/**
 * Loops of agents that never agree, and of tasks that change while they run: when they stop, and how often anybody was called by then.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createSmithers, Loop, runWorkflow, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({
  verdict: z.object({ approved: z.boolean() }),
  text: z.string(),
})

/** An agent that counts its calls, and approves with the given one. */
const reviewer = (approves = Number.POSITIVE_INFINITY) => {
  const agent = {
    calls: 0,
    generate: async () => ({ text: JSON.stringify({ approved: ++agent.calls >= approves }) }),
  }
  return agent
}

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)

describe("the limit of a loop", () => {
  const reviews = (agent: ReturnType<typeof reviewer>, limit: { maxIterations?: number; onMaxReached?: "return-last" | "fail" }) =>
    smithers(() => (
      <Workflow name="reviews">
        <Loop id="rounds" until={(ctx) => ctx.latest(outputs.verdict)?.approved} {...limit}>
          <Task id="review" output={outputs.verdict} agent={agent}>
            Review it.
          </Task>
        </Loop>
      </Workflow>
    ))

  it.effect("is 5 passes where none is given, and then the run fails, says what to do, and goes on from there with one", () =>
    onMemory(
      Effect.gen(function* () {
        const agent = reviewer(8)
        const failed = yield* reviews(agent, {}).run({}, { runId: "r" })
        const error = { _tag: "LoopLimitReached", nodeId: "rounds", maxIterations: 5, isDefault: true }
        expect(failed).toMatchObject({ _tag: "failed", error })
        expect(failed._tag === "failed" && failed.error.message).toBe(
          'Loop "rounds" of run "r" made 5 passes without its "until" holding, and has no maxIterations, so that it stops there. Give it one (Infinity for no limit) and resume the run: its passes are kept.',
        )
        expect(agent.calls).toBe(5)
        const finished = yield* reviews(agent, { maxIterations: Number.POSITIVE_INFINITY }).run({}, { runId: "r" })
        expect(finished).toEqual({ _tag: "finished", runId: "r", output: { approved: true } })
        expect(agent.calls).toBe(8)
      }),
    ),
  )

  it.effect("that is given ends the loop with its last pass, and the run's result names it, also when it is asked again", () =>
    onMemory(
      Effect.gen(function* () {
        const agent = reviewer()
        const workflow = reviews(agent, { maxIterations: 3 })
        const exhausted = [{ nodeId: "rounds", iteration: 0, passes: 3 }]
        const result = { _tag: "finished", runId: "r", output: { approved: false }, exhausted }
        expect(yield* workflow.run({}, { runId: "r" })).toEqual(result)
        expect(yield* workflow.run({}, { runId: "r" })).toEqual(result)
        expect(agent.calls).toBe(3)
      }),
    ),
  )

  it.effect("fails the run where that is asked for, which goes on once the limit is another", () =>
    onMemory(
      Effect.gen(function* () {
        const agent = reviewer(3)
        const failed = yield* reviews(agent, { maxIterations: 2, onMaxReached: "fail" }).run({}, { runId: "r" })
        expect(failed).toMatchObject({ _tag: "failed", error: { _tag: "LoopLimitReached", maxIterations: 2 } })
        expect(failed._tag === "failed" && failed.error.message).toContain("Raise maxIterations")
        const finished = yield* reviews(agent, { maxIterations: 3, onMaxReached: "fail" }).run({}, { runId: "r" })
        expect(finished).toEqual({ _tag: "finished", runId: "r", output: { approved: true } })
        expect(agent.calls).toBe(3)
      }),
    ),
  )

  it("that is not given ends the loop with its last pass where that is asked for", async () => {
    const agent = reviewer()
    const workflow = reviews(agent, { onMaxReached: "return-last" })
    const exhausted = [{ nodeId: "rounds", iteration: 0, passes: 5 }]
    const result = await runWorkflow(workflow, { input: {}, runId: "r", runtime: Smithers.memory })
    expect(result).toEqual({ status: "finished", runId: "r", output: { approved: false }, exhausted })
  })
})
