/**
 * Controls runs: resumes, cancels, pauses, unpauses, retries and leaves.
 */
import * as Commands from "@smithers/core/Commands"
import * as EndRun from "@smithers/core/EndRun"
import { RunReader, RunSummary } from "@smithers/core/RunReader"
import { LeaveOutcome } from "@smithers/core/Status"
import { defined } from "@smithers/core/Struct"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Caller } from "./Caller.ts"
import { RunWasCancelled } from "./Errors.ts"
import { define } from "./Operation.ts"
import { Processes } from "./Processes.ts"
import { RunInput } from "./runs.ts"

const Controlled = Schema.Struct({ run: RunSummary })

const now = (runId: string) =>
  Effect.map(
    Effect.flatMap(RunReader, (reader) => reader.run(runId)),
    ({ run }) => ({ run }),
  )

/** Time for the process of a run to apply a command or to leave the run, in milliseconds, and between two looks at it. */
const patienceMs = 5000
const pauseMs = 50

export const resume = define({
  name: "resume",
  title: "Begins work on a run that no process works on.",
  scope: "operate",
  input: RunInput,
  output: Controlled,
  run: ({ runId }) =>
    Effect.gen(function* () {
      const [reader, { isWorking, begin }] = [yield* RunReader, yield* Processes]
      for (let left = patienceMs; ; left -= pauseMs) {
        const { run, hasPendingCommands } = yield* reader.run(runId)
        if (run.status === "cancelled") return yield* new RunWasCancelled({ runId })
        if (!isWorking(run, yield* Clock.currentTimeMillis)) {
          yield* begin(runId)
          break
        }
        // A process that is about to leave the run may not see what has just been told it.
        if (!hasPendingCommands || left <= 0) break
        yield* Effect.sleep(pauseMs)
      }
      return yield* now(runId)
    }),
})

export const cancel = define({
  name: "cancel",
  title: "Requests the cancellation of a run.",
  scope: "operate",
  input: Schema.Struct({ runId: Schema.String, reason: Schema.optional(Schema.String) }),
  output: Controlled,
  run: ({ runId, reason }) =>
    Effect.gen(function* () {
      yield* Commands.cancel(runId, defined({ reason }))
      // Another process owns the run, or has just ended it, and has received the command.
      yield* Effect.catchTags(EndRun.cancel(runId), { RunFenced: () => Effect.void, RunNotFound: () => Effect.void })
      return yield* now(runId)
    }),
})

export const pause = define({
  name: "pause",
  title: "Pauses a run: attempts in flight finish, and nothing new starts.",
  scope: "operate",
  input: RunInput,
  output: Controlled,
  run: ({ runId }) =>
    Effect.zipRight(
      Effect.flatMap(Caller, ({ name }) => Commands.pause(runId, { by: name })),
      now(runId),
    ),
})

export const unpause = define({
  name: "unpause",
  title: "Unpauses a run.",
  scope: "operate",
  input: RunInput,
  output: Controlled,
  run: ({ runId }) =>
    Effect.zipRight(
      Effect.flatMap(Caller, ({ name }) => Commands.unpause(runId, { by: name })),
      now(runId),
    ),
})

const node = { runId: Schema.String, node: Schema.String, iteration: Schema.optional(Schema.Number) }

export const retry = define({
  name: "retry",
  title: "Runs a node again, and everything that depends on it.",
  scope: "operate",
  input: Schema.Struct(node),
  output: Controlled,
  run: ({ runId, node, iteration }) => Effect.zipRight(Commands.retryNode(runId, node, defined({ iteration })), now(runId)),
})

export const leave = define({
  name: "leave",
  title: "Leaves a scope, race or list early, or one part of it.",
  scope: "operate",
  input: Schema.Struct({
    ...node,
    outcome: LeaveOutcome,
    key: Schema.optional(Schema.String),
    reason: Schema.optional(Schema.String),
  }),
  output: Controlled,
  run: ({ runId, node, outcome, ...options }) =>
    Effect.gen(function* () {
      const { name: by } = yield* Caller
      const say = outcome === "completed" ? Commands.completeNode : Commands.cancelNode
      yield* say(runId, node, { ...defined(options), by })
      return yield* now(runId)
    }),
})
