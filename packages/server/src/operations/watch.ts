/**
 * Waits, for a bounded time, until something happens in a run.
 */
import { RunReader, RunSummary, WaitSummary } from "@smithers/core/RunReader"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "../views/Progress.ts"
import { define } from "./Operation.ts"

/** Time between two looks at the store, in milliseconds. */
const lookMs = 200

/** Longest wait, in seconds: shorter than the timeouts of common clients. */
const mostSeconds = 50

/** Most events of a reply. */
const mostEvents = 200

export const watchRun = define({
  name: "watch_run",
  title: "Waits until a run has ended or waits for something outside, or with `until: event` until it has a new event.",
  scope: "read",
  input: Schema.Struct({
    runId: Schema.String,
    after: Schema.optional(Schema.Int.pipe(Schema.nonNegative())).annotations({
      description: "Number of the last event that is known",
    }),
    until: Schema.optional(Schema.Literal("settled", "event")).annotations({ description: "Default: settled" }),
    timeoutSeconds: Schema.optional(Schema.Number.pipe(Schema.between(0, mostSeconds))).annotations({ description: "Default: 30" }),
  }),
  output: Schema.Struct({
    run: RunSummary,
    /** `true` if the time was over before it happened. */
    isTimeout: Schema.Boolean,
    events: Schema.Array(Schema.Struct({ seq: Schema.Number, at: Schema.Number, text: Schema.String })),
    /** Number of the last event, to go on from. */
    last: Schema.Number,
    /** Open requests and waits. */
    waits: Schema.Array(WaitSummary),
  }),
  run: ({ runId, after = 0, until = "settled", timeoutSeconds = 30 }) =>
    Effect.gen(function* () {
      const reader = yield* RunReader
      const deadline = (yield* Clock.currentTimeMillis) + timeoutSeconds * 1000
      for (;;) {
        const { run } = yield* reader.run(runId)
        const found = yield* reader.events(runId, { afterSeq: after, limit: mostEvents })
        const isAtWork = run.status === "running"
        const hasHappened = until === "event" ? found.length > 0 || run.finishedAt !== null : !isAtWork
        const isTimeout = !hasHappened && (yield* Clock.currentTimeMillis) >= deadline
        if (!hasHappened && !isTimeout) {
          yield* Effect.sleep(lookMs)
          continue
        }
        const events = found.map((event) => ({ seq: event.seq, at: event.at, text: describe(event) }))
        const waits = yield* reader.waits({ runId, limit: mostEvents })
        return { run, isTimeout, events, last: events.at(-1)?.seq ?? after, waits }
      }
    }),
})
