/**
 * Commands that stop runs and let them go on.
 */
import * as Commands from "@smithers/core/Commands"
import * as Engine from "@smithers/core/Engine"
import { type RunSummary, Storage, type StorageShape } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import { connect, connectWholeRun, type FoundRun } from "../Database.ts"
import { plural } from "../Text.ts"
import { told } from "./told.ts"

interface Given {
  readonly db: string | undefined
  readonly run: string
}

type Command = ReturnType<typeof Commands.cancel>

const tell = (
  given: Given,
  command: string,
  did: (runId: string, isOver: boolean) => string,
  say: (found: FoundRun) => Command,
  node?: { readonly nodeId: string; readonly iteration: number | undefined },
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const found = yield* connectWholeRun(given.db, given.run)
      yield* Effect.provideService(say(found), Storage, found.storage)
      if (command === "cancel") yield* endIdle(found.storage, found.runId)
      const { run } = yield* found.storage.inspect(found.runId)
      const { nodeId, iteration } = node ?? { nodeId: undefined, iteration: undefined }
      return yield* told(found, { command, nodeId, iteration, db: given.db, did: did(found.runId, run.status === "cancelled") })
    }),
  )

/** Ends a run at once that nobody works on, where there is nothing to undo. Otherwise it ends when it is taken up. */
const endIdle = (storage: StorageShape, runId: string) =>
  Effect.scoped(Effect.flatMap(Engine.make(), (engine) => engine.cancelIdle(runId))).pipe(
    Effect.provideService(Storage, storage),
    // Whoever works on it, or has just ended it, has heard of it as well.
    Effect.catchTags({ RunFenced: () => Effect.succeed(false), RunNotFound: () => Effect.succeed(false) }),
  )

const reasonOf = (reason: string | undefined) => (reason === undefined ? {} : { reason })

/** Cancels a run. */
export const cancel = (given: Given & { readonly reason: string | undefined }) =>
  tell(
    given,
    "cancel",
    (runId, isOver) => (isOver ? `Run ${runId} is cancelled` : `Asked run ${runId} to end as cancelled`),
    ({ runId }) => Commands.cancel(runId, reasonOf(given.reason)),
  )

/** Pauses a run. */
export const pause = (given: Given & { readonly by: string | undefined }) =>
  tell(
    given,
    "pause",
    (runId) => `Asked run ${runId} to pause`,
    ({ runId }) => Commands.pause(runId, given.by === undefined ? {} : { by: given.by }),
  )

/** Lets a run go on. */
export const unpause = (given: Given) =>
  tell(
    given,
    "unpause",
    (runId) => `Told run ${runId} to go on`,
    ({ runId }) => Commands.unpause(runId),
  )

/** Has a node run again. */
export const retry = (given: Given & { readonly node: string; readonly iteration: number | undefined }) =>
  tell(
    given,
    "retry",
    (runId) => `"${given.node}" of run ${runId} is to run again`,
    ({ runId }) => Commands.retryNode(runId, given.node, given.iteration === undefined ? {} : { iteration: given.iteration }),
    { nodeId: given.node, iteration: given.iteration },
  )

/** Runs that are looked at together. */
const pageSize = 500

/** Cancels all runs that have not ended. */
export const down = (given: {
  readonly db: string | undefined
  readonly workflow: string | undefined
  readonly tag: string | undefined
  readonly reason: string | undefined
}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage } = yield* connect(given.db, "write")
      const runs: Array<string> = []
      const status = ["running", "suspended", "waiting", "paused"] as const
      const filter = {
        status,
        limit: pageSize,
        ...(given.workflow === undefined ? {} : { workflow: given.workflow }),
        ...(given.tag === undefined ? {} : { tag: given.tag }),
      }
      for (let before: string | undefined; ; ) {
        const page: ReadonlyArray<RunSummary> = yield* storage.runs({ ...filter, ...(before === undefined ? {} : { before }) })
        for (const { runId } of page) {
          const isCancelled = yield* Commands.cancel(runId, reasonOf(given.reason)).pipe(
            Effect.as(true),
            // It has just ended by itself.
            Effect.catchTag("RunEnded", () => Effect.succeed(false)),
            Effect.provideService(Storage, storage),
          )
          if (isCancelled) yield* endIdle(storage, runId)
          if (isCancelled) runs.push(runId)
        }
        before = page.at(-1)?.runId
        if (page.length < pageSize) break
      }
      const text =
        runs.length === 0
          ? "No run is to be cancelled."
          : `Asked ${plural(runs.length, "run")} to end as cancelled: ${runs.join(", ")}`
      return { value: { runs }, text }
    }),
  )
