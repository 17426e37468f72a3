/**
 * Takes up runs that nobody works on, each in a process of its own: a workflow that cannot be loaded, or that ends its process, harms
 * neither the supervisor nor any other run.
 */
import { spawn } from "node:child_process"
import { closeSync, mkdirSync, openSync } from "node:fs"
import { dirname } from "node:path"
import * as Engine from "@smithers/core/Engine"
import { CrashLoop } from "@smithers/core/Errors"
import * as Metrics from "@smithers/core/Metrics"
import { type Due, Storage, type StorageShape } from "@smithers/core/Storage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberMap from "effect/FiberMap"
import * as Metric from "effect/Metric"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import { locate, open, sourceOf } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage } from "../Errors.ts"
import { Exit } from "../Exit.ts"
import { Host } from "../Host.ts"
import { Supervised } from "../Output.ts"
import { Screen } from "../Screen.ts"
import { oneLine, parseSpan, shorten, span } from "../Text.ts"
import { logFile } from "./detach.ts"

interface Given {
  readonly db: string | undefined
  readonly interval: string | undefined
  readonly maxConcurrent: number | undefined
  readonly once: boolean
  readonly dryRun: boolean
}

/** The first pause after a run could not be taken up, and the longest, in milliseconds: those of the supervisor in `core`. */
const firstPauseMs = 1000
const longestPauseMs = 300_000

/** How long a child that was told to stop may take to let go of its run, in milliseconds. */
const stopMs = 10_000

type Line = typeof Supervised.Type

/** Claims in a row of which nothing came, after which a run is given up: as many as the supervisor in `core` allows. */
const maxTries = 5

const encode = Schema.encodeSync(Supervised)

const tell = (line: Pick<Line, "action" | "message"> & Partial<Line>) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    const at = yield* Clock.currentTimeMillis
    const value = { runId: null, workflow: null, exitCode: null, again: null, counts: null, ...line, at }
    const who = value.runId === null ? "" : ` ${value.runId} (${value.workflow})`
    const said = value.message === "" ? "" : `: ${oneLine(value.message)}`
    yield* screen.print(encode(value), `[${new Date(at).toISOString().slice(11, 19)}] ${value.action}${who}${said}`)
  })

/** How a child ended, and what it said first. */
interface Ended {
  readonly code: number
  readonly said: string
}

/** Bytes of what a child says that are kept: an error is shorter, and how the run stands is read from the store. */
const mostSaid = 100_000

/** Resumes a run in a process of its own. Stopped from here, it lets go of the run in order. */
const resume = (self: ReadonlyArray<string>, file: string, runId: string): Effect.Effect<Ended> =>
  Effect.async((done) => {
    const log = logFile(file, runId)
    mkdirSync(dirname(log), { recursive: true })
    const err = openSync(log, "a", 0o600)
    const [command = "", ...before] = self
    const child = spawn(command, [...before, "up", "--resume", runId, "--db", file, "--json"], {
      cwd: dirname(file),
      // Out of reach of the terminal's Ctrl-C: it is told to stop by us, once.
      detached: true,
      stdio: ["ignore", "pipe", err],
      env: { ...process.env, CI: process.env.CI ?? "1" },
    })
    closeSync(err)
    const said: Array<Buffer> = []
    let bytes = 0
    child.stdout?.on("data", (chunk: Buffer) => {
      if (bytes < mostSaid) said.push(chunk)
      bytes += chunk.length
    })
    const ended = new Promise<Ended>((resolve) => {
      child.on("error", (error) => resolve({ code: 1, said: JSON.stringify({ error: { message: error.message } }) }))
      child.on("close", (code) => resolve({ code: code ?? 137, said: Buffer.concat(said).toString() }))
    })
    ended.then((result) => done(Effect.succeed(result)))
    return Effect.promise(async () => {
      child.kill("SIGTERM")
      const timer = setTimeout(() => child.kill("SIGKILL"), stopMs)
      await ended
      clearTimeout(timer)
    })
  })

/** What a child said went wrong. What it prints of a run may be of any length, an error is not. */
const problemOf = ({ code, said }: Ended): string | undefined => {
  try {
    const { error } = JSON.parse(said) as { readonly error?: { readonly tag?: string; readonly message?: string } }
    if (error?.tag !== undefined) return error.message
  } catch {
    // It did not come to say anything, or it had more to say.
  }
  return code === Exit.finished || code === Exit.waiting ? undefined : `its process ended with ${code}`
}

/** How a run was left, or why it could not be taken up. */
const outcome = (storage: StorageShape, runId: string, ended: Ended) =>
  Effect.gen(function* () {
    const { run } = yield* storage.inspect(runId)
    // One that has ended and has an owner is being taken up again.
    const isOver = run.finishedAt !== null && run.owner === null
    const problem = problemOf(ended)
    const isResting = problem === undefined && (run.status === "waiting" || run.status === "paused")
    return isOver || isResting ? { status: run.status } : { problem: problem ?? `its process ended with ${ended.code}` }
  })

interface Pause {
  readonly times: number
  readonly until: number
}

const make = (storage: StorageShape, file: string, self: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const pauses = new Map<string, Pause>()
    const skipped = new Set<string>()
    const counts = yield* Ref.make<Readonly<Record<string, number>>>({})
    const count = (action: string) => Ref.update(counts, (all) => ({ ...all, [action]: (all[action] ?? 0) + 1 }))
    const act = (line: Parameters<typeof tell>[0]) => Effect.zipRight(count(line.action), tell(line))

    /** Whether a run can be taken up from here. */
    const isKnown = (due: Due) =>
      Effect.gen(function* () {
        const run = { runId: due.runId, workflow: due.workflow }
        if (due.source !== null || (yield* sourceOf(storage, run.runId)) !== undefined) return true
        if (!skipped.has(run.runId)) {
          const message = `it does not know the file of its workflow: smithers up <file> --resume ${run.runId}`
          yield* act({ action: "skipped", ...run, message })
        }
        skipped.add(run.runId)
        return false
      })

    /** Ends a run that could not be taken up so often in a row: its process died each time, or its workflow did not load. */
    const giveUp = ({ runId, workflow }: Due, interruptions: number, problem?: string) =>
      Effect.gen(function* () {
        const error = problem === undefined ? {} : { error: { name: "LoadFailed", message: problem, retryable: false } }
        const failure = new CrashLoop({ runId, interruptions, ...error })
        const isEnded = yield* Effect.scoped(Effect.flatMap(Engine.make(), (engine) => engine.abandon(runId, failure))).pipe(
          Effect.provideService(Storage, storage),
          Effect.either,
        )
        if (Either.isRight(isEnded) && isEnded.right) {
          pauses.delete(runId)
          return yield* act({ action: "gave-up", runId, workflow, message: failure.message })
        }
        const why = Either.isLeft(isEnded) ? isEnded.left.message : "another process works on it"
        yield* refuse({ runId, workflow }, `it could not be given up: ${why}`, null)
      })

    /** Leaves a run alone for a while, longer each time, and says so. */
    const refuse = (run: { readonly runId: string; readonly workflow: string }, problem: string, exitCode: number | null) =>
      Effect.gen(function* () {
        const times = (pauses.get(run.runId)?.times ?? 0) + 1
        const pauseMs = Math.min(firstPauseMs * 2 ** (times - 1), longestPauseMs)
        const again = (yield* Clock.currentTimeMillis) + pauseMs
        pauses.set(run.runId, { times, until: again })
        yield* act({ action: "refused", ...run, message: `${shorten(problem, 500)} (again in ${span(pauseMs)})`, exitCode, again })
      })

    const work = (due: Due) =>
      Effect.gen(function* () {
        if (due.tries >= maxTries) return yield* giveUp(due, due.tries)
        const run = { runId: due.runId, workflow: due.workflow }
        yield* Metric.increment(Metrics.runsSupervised)
        yield* act({ action: "resumed", ...run, message: "" })
        const ended = yield* resume(self, file, run.runId)
        const result = yield* outcome(storage, run.runId, ended)
        if ("status" in result) {
          pauses.delete(run.runId)
          return yield* act({ action: "settled", ...run, message: result.status, exitCode: ended.code })
        }
        const times = (pauses.get(run.runId)?.times ?? 0) + 1
        // A workflow that cannot be loaded claims nothing, so the store does not count it.
        if (ended.code === Exit.input && times >= maxTries) return yield* giveUp(due, times, result.problem)
        yield* refuse(run, result.problem, ended.code)
      })

    const summary = Effect.gen(function* () {
      const all = yield* Ref.get(counts)
      const shown = Object.entries(all).map(([action, times]) => `${times} ${action}`)
      yield* tell({ action: "summary", message: shown.join(", ") || "nothing to do", counts: all })
      return all
    })
    return { pauses, skipped, act, isKnown, work, summary }
  })

/** Supervises the runs of a database. */
export const supervise = (given: Given) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { self } = yield* Host
      const { interval = "5s", maxConcurrent = 4 } = given
      const intervalMs = parseSpan(interval)
      const invalid = (problem: string) => new InvalidUsage({ problem, command: "supervise" })
      if (intervalMs === undefined || intervalMs <= 0)
        return yield* invalid(`--interval is a time such as 5s or 1m, not "${interval}"`)
      if (maxConcurrent < 1) return yield* invalid("--max-concurrent must be at least 1")
      const file = yield* locate(given.db)
      const storage = yield* open(file, "30 seconds")
      const { pauses, skipped, act, isKnown, work, summary } = yield* make(storage, file, self)

      if (given.dryRun) {
        const { runs } = yield* storage.due(yield* Clock.currentTimeMillis)
        yield* Effect.forEach(yield* Effect.filter(runs, isKnown), ({ runId, workflow }) =>
          act({ action: "would-resume", runId, workflow, message: "" }),
        )
        yield* summary
        return nothing
      }
      if (given.once) {
        const { runs } = yield* storage.due(yield* Clock.currentTimeMillis)
        yield* Effect.forEach(yield* Effect.filter(runs, isKnown), work, { concurrency: maxConcurrent, discard: true })
        const all = yield* summary
        return { ...nothing, code: (all.refused ?? 0) > 0 ? Exit.failed : Exit.finished }
      }

      const working = yield* FiberMap.make<string>()
      const look = Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        // What cannot be taken up now stands in nobody's way.
        const paused = [...pauses].filter(([, { until }]) => until > now).map(([runId]) => runId)
        const { runs, nextAt } = yield* storage.due(now, { runIds: [...skipped, ...paused] })
        const ends = paused.map((runId) => pauses.get(runId)?.until ?? now)
        const again = Math.min(now + intervalMs, nextAt ?? Number.POSITIVE_INFINITY, ...ends)
        for (const run of runs) {
          if (FiberMap.unsafeHas(working, run.runId)) continue
          if ((yield* FiberMap.size(working)) >= maxConcurrent) break
          if (yield* isKnown(run)) yield* FiberMap.run(working, run.runId, work(run))
        }
        return again
      })
      const watch = Effect.gen(function* () {
        for (let version = -1; ; ) {
          const pause = Math.max(0, (yield* look) - (yield* Clock.currentTimeMillis))
          version = yield* Effect.timeoutTo(storage.changes(version), {
            duration: pause,
            onSuccess: (later) => later,
            onTimeout: () => version,
          })
          // What changes together is looked at together; and runs at work change something all the time.
          yield* Effect.sleep("100 millis")
        }
      })
      yield* tell({ action: "watching", message: file })
      // A database that is locked, or full, may be neither in a moment.
      const patient = Effect.catchAll(watch, (error) =>
        Effect.zipRight(Effect.logWarning(`the database could not be looked at: ${error.message}`), Effect.sleep("1 second")),
      )
      return yield* Effect.onInterrupt(Effect.forever(patient), () => Effect.zipRight(FiberMap.clear(working), summary))
    }),
  )

const nothing: Reply = { value: undefined, text: "" }
