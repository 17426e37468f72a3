/** Recorded runs, checked against code that was edited since. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Smithers } from "smithers-orchestrator"
import { Replays } from "smithers-orchestrator/testing"

const called: Array<string> = []
const triage = (limit: number, passes = 1) =>
  Smithers.createWorkflow({ name: "triage", input: Schema.Struct({ votes: Schema.Number }) }).build(($) => {
    const step = (id: string) => $.step(id, { output: Schema.String, run: () => `${called.push(id)}` })
    const score = $.step("score", { output: Schema.Number, run: ({ input }) => input.votes * 2 })
    const branch = $.branch({ needs: { score }, when: ({ score }) => score > limit, then: step("urgent"), else: step("later") })
    return $.sequence(score, branch, $.loop({ id: "loop", maxIterations: passes, until: () => false, body: step("pass") }))
  })

const recorded = Effect.gen(function* () {
  yield* triage(10).execute({ votes: 3 }, { runId: "small" })
  yield* triage(10).execute({ votes: 40 }, { runId: "large" })
  called.length = 0
})

it.effect("runs that today's code would not change pass, with a report of each, and no code of a step is called", () =>
  Effect.gen(function* () {
    yield* recorded
    const reports = yield* Replays.unchanged(triage(11))
    expect(reports.map(({ runId, compared }) => [runId, compared > 2])).toEqual([
      ["large", true],
      ["small", true],
    ])
    expect((yield* triage(11).replay("small")).findings).toEqual([])
    expect(called).toEqual([])
  }).pipe(Effect.provide(Smithers.memory)),
)

it.effect("a run that today's code would change fails the check, which names the run, the frame and the difference", () =>
  Effect.gen(function* () {
    yield* recorded
    const error = yield* Effect.flip(Replays.unchanged(triage(5)))
    expect(error).toMatchObject({ _tag: "RunsChanged", workflow: "triage", changes: [{ runId: "small", frame: 2 }] })
    expect(error.message).toContain('run "small", frame 2: another arm is taken: "later" → "urgent"')
    expect(yield* Replays.unchanged(triage(5), { runIds: ["large"] })).toHaveLength(1)
    expect(yield* Replays.unchanged(triage(10, 2), { limit: 1 }).pipe(Effect.flip)).toMatchObject({
      changes: [{ runId: "large" }],
    })
  }).pipe(Effect.provide(Smithers.memory)),
)

it.effect("a check of nothing fails: no run of the workflow, or not all that are named", () =>
  Effect.gen(function* () {
    expect(yield* Effect.flip(Replays.unchanged(triage(10)))).toMatchObject({ _tag: "NoRecordedRun" })
    yield* recorded
    expect(yield* Effect.flip(Replays.unchanged(triage(10), { runIds: ["small", "gone"] }))).toMatchObject({
      _tag: "NoRecordedRun",
    })
    expect(yield* Effect.flip(Replays.unchanged(triage(10), { limit: 0 }))).toMatchObject({ _tag: "InvalidSetting" })
  }).pipe(Effect.provide(Smithers.memory)),
)
