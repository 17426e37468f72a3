/**
 * Commands that cancel, pause, unpause and retry.
 */
import * as Commands from "@smithers/core/Commands"
import * as EndRun from "@smithers/core/EndRun"
import { RunEnded } from "@smithers/core/Errors"
import { keptId, partId } from "@smithers/core/Ids"
import type { RunOverview, RunSummary, WaitSummary } from "@smithers/core/RunReader"
import * as Status from "@smithers/core/Status"
import { ports, type StorageShape } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { commandLine } from "@smithers/server/views/CommandLine"
import { plural } from "@smithers/server/views/Text"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { connect, connectNewestRun, type FoundRun } from "../Database.ts"
import { NoSource } from "../Errors.ts"
import { Host } from "../Host.ts"
import * as ProcessWorker from "../ProcessWorker.ts"
import { owners } from "../Stores.ts"
import { userName } from "../User.ts"
import { receipt } from "./receipt.ts"

interface ControlOptions {
  readonly db: string | undefined
  readonly run: string
}

type Command = ReturnType<typeof Commands.cancel>

const tell = (
  options: ControlOptions,
  command: string,
  did: (runId: string) => string,
  say: (found: FoundRun) => Command,
  node?: { readonly nodeId: string; readonly iteration: number | undefined },
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const found = yield* connectNewestRun(options.db, options.run)
      yield* Effect.provide(say(found), ports(found.storage))
      const { nodeId, iteration } = node ?? { nodeId: undefined, iteration: undefined }
      return yield* receipt(found, { command, nodeId, iteration, db: options.db, did: did(found.runId) })
    }),
  )

/** Ends a run as cancelled at once if no process works on it and nothing has to be undone. Otherwise it ends when it resumes. */
const endIdle = (storage: StorageShape, runId: string) =>
  EndRun.cancel(runId).pipe(
    Effect.provide(ports(storage)),
    // Another process owns the run, or has just ended it, and has received the command.
    Effect.catchTags({ RunFenced: () => Effect.succeed(false), RunNotFound: () => Effect.succeed(false) }),
  )

const reasonOf = (reason: string | undefined) => (reason === undefined ? {} : { reason })

/** Interval between checks of a run that is being cancelled. */
const lookAgain = "1 second"

/** Returns `true` if a run without an owner has work to do: a pending command, a stopped step, or a due time. */
const canGoOn = ({ run, hasPendingCommands }: RunOverview, waits: ReadonlyArray<WaitSummary>, now: number): boolean =>
  hasPendingCommands ||
  run.status === "suspended" ||
  run.status === "orphaned" ||
  waits.some(({ deadline }) => deadline !== null && deadline <= now)

/**
 * Waits until a cancelled run has ended. If no process works on it, resumes it in a child process, as a supervisor would, until it
 * has ended.
 */
const carryOut = ({ storage, file, runId }: FoundRun) =>
  Effect.gen(function* () {
    const { self } = yield* Host
    const worker = ProcessWorker.make(storage, file, self)
    for (let version = -1; ; ) {
      const details = yield* storage.run(runId)
      const { run } = details
      if (Status.isEnded(run.status)) return run.status
      const now = yield* Clock.currentTimeMillis
      if (!owners.isAlive(run, now) && canGoOn(details, yield* storage.waits({ runId }), now)) {
        const known = yield* worker({ runId, workflow: run.workflow, source: run.source, crashes: 0, revision: "" })
        if (Either.isLeft(known)) return yield* new NoSource({ runId, workflow: run.workflow })
        yield* known.right.work
      }
      version = yield* Effect.timeoutTo(storage.changes(version), {
        duration: lookAgain,
        onSuccess: (news) => news,
        onTimeout: () => version,
      })
    }
  })

/** Ends a run by force, and says what was not undone. */
const forceEnd = (options: ControlOptions & { readonly reason: string | undefined }, found: FoundRun) =>
  Effect.gen(function* () {
    const { storage, runId } = found
    const { unfinished, children } = yield* Effect.provide(EndRun.force(runId, options.reason), ports(storage))
    const also = children.length === 0 ? "" : `, with ${plural(children.length, "child run")}`
    const did = `Run ${runId} is cancelled by force${also}. A process that works on it stops when it finds out`
    const reply = yield* receipt(found, { command: "cancel", nodeId: undefined, iteration: undefined, db: options.db, did })
    const lines = [
      reply.text,
      ...unfinished.map(
        (one) => `The "finally" of "${one.nodeId}"${one.runId === undefined ? "" : ` in run ${one.runId}`} has not run to its end.`,
      ),
    ]
    return { value: { ...reply.value, ...(unfinished.length === 0 ? {} : { unfinished }) }, text: lines.join("\n") }
  })

export const cancel = (
  options: ControlOptions & { readonly reason: string | undefined; readonly wait: boolean; readonly force: boolean },
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const found = yield* connectNewestRun(options.db, options.run)
      const { storage, runId } = found
      if (options.force) return yield* forceEnd(options, found)
      yield* Effect.provide(Commands.cancel(runId, reasonOf(options.reason)), ports(storage))
      yield* endIdle(storage, runId)
      if (options.wait) {
        const status = yield* carryOut(found)
        // It ended before it received the command.
        if (status !== "cancelled") return yield* new RunEnded({ runId, status })
      }
      const { run } = yield* storage.run(runId)
      const did = run.status === "cancelled" ? `Run ${runId} is cancelled` : `Asked run ${runId} to end as cancelled`
      return yield* receipt(found, { command: "cancel", nodeId: undefined, iteration: undefined, db: options.db, did })
    }),
  )

export const pause = (options: ControlOptions & { readonly by: string | undefined }) =>
  tell(
    options,
    "pause",
    (runId) => `Asked run ${runId} to pause`,
    ({ runId }) => Commands.pause(runId, options.by === undefined ? {} : { by: options.by }),
  )

export const unpause = (options: ControlOptions) =>
  tell(
    options,
    "unpause",
    (runId) => `Asked run ${runId} to continue`,
    ({ runId }) => Commands.unpause(runId),
  )

export const retry = (options: ControlOptions & { readonly node: string; readonly iteration: number | undefined }) =>
  tell(
    options,
    "retry",
    (runId) => `Asked run ${runId} to retry "${options.node}"`,
    ({ runId }) => Commands.retryNode(runId, options.node, options.iteration === undefined ? {} : { iteration: options.iteration }),
    { nodeId: options.node, iteration: options.iteration },
  )

interface LeaveOptions extends ControlOptions {
  readonly node: string
  readonly key: string | undefined
  readonly iteration: number | undefined
  readonly reason: string | undefined
  readonly by: string | undefined
}

const leave = (options: LeaveOptions, command: string, as: Status.LeaveOutcome, say: typeof Commands.cancelNode) => {
  const { node, key, iteration, reason } = options
  const part = key === undefined ? `"${node}"` : `"${key}" of "${node}"`
  const nodeId = key === undefined ? node : partId(keptId(node), key)
  return tell(
    options,
    command,
    (runId) => `Asked run ${runId} to leave ${part} as ${as}`,
    ({ runId }) => say(runId, node, defined({ key, iteration, reason, by: options.by ?? userName() })),
    { nodeId, iteration },
  )
}

/** Leaves a scope, race, list, or part of one, as cancelled. */
export const cancelNode = (options: LeaveOptions) => leave(options, "cancel-node", "cancelled", Commands.cancelNode)

/** Leaves a scope, race, list, or part of one, as completed. */
export const completeNode = (options: LeaveOptions) => leave(options, "complete-node", "completed", Commands.completeNode)

/** Number of runs per page. */
const pageSize = 500

export const down = (options: {
  readonly db: string | undefined
  readonly workflow: string | undefined
  readonly tag: string | undefined
  readonly reason: string | undefined
}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage } = yield* connect(options.db, "write")
      const runs: Array<string> = []
      const pending: Array<string> = []
      const filter = {
        status: Status.openStatuses,
        limit: pageSize,
        ...defined({ workflow: options.workflow, tag: options.tag }),
      }
      for (let before: string | undefined; ; ) {
        const page: ReadonlyArray<RunSummary> = yield* storage.runs({ ...filter, ...defined({ before }) })
        for (const { runId } of page) {
          const isCancelled = yield* Commands.cancel(runId, reasonOf(options.reason)).pipe(
            Effect.as(true),
            // It has just ended.
            Effect.catchTag("RunEnded", () => Effect.succeed(false)),
            Effect.provide(ports(storage)),
          )
          if (!isCancelled) continue
          yield* endIdle(storage, runId)
          runs.push(runId)
          const { run } = yield* storage.run(runId)
          if (run.finishedAt === null && !owners.isAlive(run, yield* Clock.currentTimeMillis)) pending.push(runId)
        }
        before = page.at(-1)?.runId
        if (page.length < pageSize) break
      }
      const text =
        runs.length === 0 ? "No run to cancel." : `Asked ${plural(runs.length, "run")} to end as cancelled: ${runs.join(", ")}`
      const next = pending.length === 0 ? [] : [commandLine(options.db, "supervise", [], ["once"])]
      const then = next.map(
        (line) => `\nNo process works on ${pending.join(", ")}, which must undo steps before ending. Carry that out: ${line}`,
      )
      return { value: { runs, pending, next }, text: `${text}${then.join("")}` }
    }),
  )
