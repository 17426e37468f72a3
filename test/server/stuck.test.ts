/** Stuck runs, as a store lists them. */
import { RunReader } from "@smithers/core/RunReader"
import { onStorage } from "@smithers/core/Smithers"
import { stuckRuns } from "@smithers/server/views/Stuck"
import { SqliteStorage } from "@smithers/sqlite"
import { Effect, Schedule, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { expect, it } from "vitest"

const failing = Smithers.createWorkflow({ name: "failing", input: Schema.Struct({}) }).build(($) =>
  $.step("call", {
    output: Schema.String,
    retry: { maxAttempts: 9, initialDelay: "1 hour" },
    run: () => Effect.fail(new Error("refused")),
  }),
)
const asking = Smithers.createWorkflow({ name: "asking", input: Schema.Struct({}) }).build(($) =>
  $.approval("ok", { request: () => ({ title: "Go on?" }) }),
)

it("a run whose step waits for its next attempt is stuck since the last one failed, and one that waits for a person is not", async () => {
  const program = Effect.gen(function* () {
    const reader = yield* RunReader
    for (const runId of ["b", "a"]) {
      yield* Effect.forkScoped(failing.execute({}, { runId, tags: [runId] }))
      yield* Effect.repeat(reader.waits({ runId }), { until: (waits) => waits.length > 0, schedule: Schedule.spaced("5 millis") })
    }
    yield* Effect.forkScoped(asking.execute({}, { runId: "asks" }))
    yield* Effect.repeat(reader.waits({ runId: "asks" }), {
      until: (waits) => waits.length > 0,
      schedule: Schedule.spaced("5 millis"),
    })
    const all = yield* stuckRuns(reader, {})
    const rest = yield* stuckRuns(reader, { before: "b", limit: 1 })
    const tagged = yield* stuckRuns(reader, { tag: "a" })
    const earlier = yield* stuckRuns(reader, { changedBefore: all[0]?.since ?? 0 })
    const other = yield* stuckRuns(reader, { status: ["orphaned"] })
    return { all, rest, tagged, earlier, other }
  })
  const found = await Effect.runPromise(
    Effect.provide(Effect.scoped(program), onStorage(SqliteStorage.layer({ filename: ":memory:" }))),
  )
  expect(found.all.map(({ run }) => run.runId)).toEqual(["b", "a"])
  expect(found.rest.map(({ run }) => run.runId)).toEqual(["a"])
  expect(found.tagged.map(({ run }) => run.runId)).toEqual(["a"])
  expect(found.earlier).toEqual([])
  expect(found.other).toEqual([])
  expect(found.all[0]?.since).toBeGreaterThanOrEqual(found.all[0]?.run.createdAt ?? Number.POSITIVE_INFINITY)
})
