/**
 * Resumes runs that no process works on, each in a child process, and prints a line per action.
 */
import { InvalidSetting } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import { ports, type Storage, type StorageShape } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import { anyFile, resumeLine } from "@smithers/server/views/CommandLine"
import { longestFailure, oneLine, shorten, span } from "@smithers/server/views/Text"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { locate, open } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage } from "../Errors.ts"
import { Exit, exitOf } from "../Exit.ts"
import { Host } from "../Host.ts"
import { Supervised } from "../Output.ts"
import * as ProcessWorker from "../ProcessWorker.ts"
import { Screen, type ScreenShape } from "../Screen.ts"

interface SuperviseOptions {
  readonly db: string | undefined
  readonly interval: string | undefined
  readonly maxConcurrent: number | undefined
  readonly once: boolean
  readonly dryRun: boolean
  readonly otel: boolean
}

/** Debounce of database changes, in milliseconds. Running workflows write all the time. */
const gather = 100

type Line = typeof Supervised.Type

type Told = Pick<Line, "action" | "message"> & Partial<Line>

const encode = Schema.encodeSync(Supervised)

/** Creates the function that prints actions, and one that prints their counts at the end. */
const makeReport = (screen: ScreenShape, options: Pick<SuperviseOptions, "db">) => {
  const counts: Record<string, number> = {}
  const print = (line: Told) =>
    Effect.gen(function* () {
      const at = yield* Clock.currentTimeMillis
      const value = { runId: null, workflow: null, exitCode: null, retryAt: null, counts: null, ...line, at }
      const who = value.runId === null ? "" : ` ${oneLine(`${value.runId} (${value.workflow})`)}`
      const said = value.message === "" ? "" : `: ${oneLine(value.message)}`
      yield* screen.print(encode(value), `[${new Date(at).toISOString().slice(11, 19)}] ${value.action}${who}${said}`)
    })
  const act = (line: Told) =>
    Effect.suspend(() => {
      counts[line.action] = (counts[line.action] ?? 0) + 1
      return print(line)
    })
  const report = (action: Supervisor.Action<ProcessWorker.WorkError>): Effect.Effect<void> => {
    if (action._tag === "Fired") {
      const { tick, runId, workflow } = action
      const message = `schedule ${tick.scheduleId}, ${new Date(tick.tick).toISOString()}: ${tick.outcome}${tick.detail === null ? "" : ` (${tick.detail})`}`
      return act({ action: "fired", runId, workflow, message })
    }
    const { runId, workflow } = action
    switch (action._tag) {
      case "Resumed":
        return act({ action: "resumed", runId, workflow, message: "" })
      case "Settled":
        return act({ action: "settled", runId, workflow, message: action.status, exitCode: exitOf(action.status) })
      case "Refused":
        return Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const { error, retryAt } = action
          const message = `${shorten(error.message, longestFailure)} (again in ${span(retryAt - now)})`
          const exitCode = error._tag === "ResumeFailed" ? error.exitCode : null
          return act({ action: "refused", runId, workflow, message, exitCode, retryAt })
        })
      case "CrashLoop":
        return act({ action: "gave-up", runId, workflow, message: action.failure.message })
      case "Unknown": {
        const message = `it has no workflow file. Name it: ${resumeLine(options.db, runId, anyFile)}`
        return act({ action: "skipped", runId, workflow, message })
      }
    }
  }
  const summary = Effect.suspend(() => {
    const shown = Object.entries(counts).map(([action, times]) => `${times} ${action}`)
    return print({ action: "summary", message: shown.join(", ") || "nothing to do", counts })
  })
  return { counts, print, act, report, summary }
}

export const supervise = (settings: SuperviseOptions) => {
  const done = watch(settings)
  if (!settings.otel) return done
  return Effect.flatMap(
    Effect.promise(() => import("../Telemetry.ts")),
    ({ within }) => within("supervise", done),
  )
}

const watch = (settings: SuperviseOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { self } = yield* Host
      const { interval = "5s", maxConcurrent = 4 } = settings
      const parsed = Millis.parseDuration(interval, "s")
      const invalid = (problem: string) => new InvalidUsage({ problem, command: "supervise" })
      if (Either.isLeft(parsed) || parsed.right === 0)
        return yield* invalid(`--interval must be a time such as 5s or 1m, not "${interval}"`)
      const intervalMs = parsed.right
      if (maxConcurrent < 1) return yield* invalid("--max-concurrent must be at least 1")
      const file = yield* locate(settings.db)
      const storage = yield* open(file, settings.dryRun ? "read" : "write", "30 seconds")
      const worker = ProcessWorker.make(storage, file, self, settings.otel ? ["--otel"] : [])
      const { counts, act, report, summary } = makeReport(yield* Screen, settings)

      if (settings.dryRun) {
        const { runs } = yield* storage.runnable(yield* Clock.currentTimeMillis)
        for (const due of runs) {
          const { runId, workflow } = due
          if (Either.isLeft(yield* worker(due))) yield* report({ _tag: "Unknown", runId, workflow })
          else yield* act({ action: "would-resume", runId, workflow, message: "" })
        }
        yield* summary
        return emptyReply
      }
      if (settings.once) {
        yield* supervised(storage, Supervisor.once({ worker, report, interval: intervalMs, maxConcurrent, gather }))
        yield* summary
        const lost = (counts.refused ?? 0) + (counts["gave-up"] ?? 0)
        return { ...emptyReply, code: lost > 0 ? Exit.failed : Exit.finished }
      }
      return yield* supervising({
        ...{ storage, file, self, db: settings.db, intervalMs, maxConcurrent },
        options: settings.otel ? ["--otel"] : [],
      })
    }),
  )

const supervised = <A, E, R>(storage: StorageShape, effect: Effect.Effect<A, E | InvalidSetting, R | Storage>) =>
  effect.pipe(
    Effect.provide(ports(storage)),
    Effect.catchIf(
      Schema.is(InvalidSetting),
      ({ setting, received, expected }) =>
        new InvalidUsage({ problem: `--${setting} must be ${expected}, not ${received}`, command: "supervise" }),
    ),
  )

/** Resumes runs that no process works on, and prints a line per action, until it is interrupted or the database is deleted. */
export const supervising = ({
  storage,
  file,
  self,
  db,
  intervalMs = 5000,
  maxConcurrent = 4,
  options = [],
}: {
  readonly storage: StorageShape
  readonly file: string
  readonly self: ReadonlyArray<string>
  /** Value of `--db`, for commands that people copy. */
  readonly db: string | undefined
  readonly intervalMs?: number
  readonly maxConcurrent?: number
  /** Options of the processes that work on runs. */
  readonly options?: ReadonlyArray<string>
}) =>
  Effect.gen(function* () {
    const { print, report, summary } = makeReport(yield* Screen, { db })
    const worker = ProcessWorker.make(storage, file, self, options)
    yield* print({ action: "watching", message: file })
    // The supervisor retries a failing store; a deleted one never returns.
    const isThere = Effect.flatMap(Clock.currentTimeMillis, (now) => storage.runnable(now)).pipe(
      Effect.catchAll((error) => (error._tag === "StoreRemoved" ? Effect.fail(error) : Effect.void)),
    )
    const untilGone = Effect.zipRight(Effect.repeat(isThere, Schedule.spaced(Duration.millis(intervalMs))), Effect.never)
    const working = Supervisor.makeWith({ worker, report, interval: intervalMs, maxConcurrent, gather })
    const watching = Effect.scoped(Effect.zipRight(supervised(storage, working), untilGone))
    // No child process works on a run at this point.
    return yield* Effect.onInterrupt(watching, () => summary)
  })

const emptyReply: Reply = { value: undefined, text: "" }
