/**
 * Works on runs in child processes, one per run. A workflow that cannot be loaded, ends its process or blocks its event loop thus
 * affects neither the supervisor nor other runs. The outcome of a run is read from the store; only problems are read from the
 * process.
 */

import { type ChildProcess, spawn } from "node:child_process"
import { closeSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { StoreError } from "@smithers/core/Errors"
import * as Later from "@smithers/core/Later"
import type { RunOverview } from "@smithers/core/RunReader"
import type * as Status from "@smithers/core/Status"
import type { StorageShape } from "@smithers/core/Storage"
import type { RunOutcome, Worker } from "@smithers/core/Supervisor"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { lineageOf, sourceOf } from "./Database.ts"
import type { CannotWrite } from "./Errors.ts"
import { Exit } from "./Exit.ts"
import * as Fingerprint from "./Fingerprint.ts"
import { hold, type Watched } from "./Lease.ts"
import * as ProcessLog from "./ProcessLog.ts"
import { owners } from "./Stores.ts"
import { parseTarget } from "./Target.ts"

/** Time for a process to release its run after SIGTERM, in milliseconds. */
const stopMs = 10_000

/**
 * Time to wait for the rest of the output of an ended process, in milliseconds. A program that it started may hold the pipe open.
 */
const drainMs = 1000

/** Maximum number of bytes of output that are kept. Errors are shorter, and other output is not read. */
const mostSaid = 100_000

/** Lifetime of a cached fingerprint, in milliseconds. Many runs share a file. */
const fingerprintMs = 1000

/** The process of a run ended before the run ended or waited. */
export class ResumeFailed extends Later.TaggedError<ResumeFailed>()("ResumeFailed", {
  runId: Schema.String,
  exitCode: Schema.Number,
  /** Signal that ended the process. */
  signal: Schema.optional(Schema.String),
  /** Error that the process reported, if any, or the reason why it was killed. */
  problem: Schema.optional(Schema.String),
}) {
  override get message(): string {
    return this.problem ?? `its process ended with ${this.signal ?? this.exitCode}`
  }
}

/** Error of a worker process. */
export type WorkError = ResumeFailed | CannotWrite

/** Exit status of a process, and the beginning of its output. */
interface Ended {
  readonly code: number
  readonly signal: NodeJS.Signals | undefined
  readonly said: string
}

/** Processes at work. Each has a process group of its own, which the end of this process does not reach. */
const alive = new Set<ChildProcess>()

/** Kills a process and the programs it has started. */
const kill = ({ pid }: ChildProcess): void => {
  if (pid === undefined) return
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // The process group has already ended.
  }
}

process.on("exit", () => {
  for (const child of alive) kill(child)
})

/** Starts a process that resumes a run. The id is passed in a form that cannot be taken for a file, an option or a prefix. */
const start = (
  err: number,
  self: ReadonlyArray<string>,
  file: string,
  runId: string,
  options: ReadonlyArray<string>,
): ChildProcess => {
  const [command = "", ...before] = self
  return spawn(command, [...before, "up", `--run-id=${runId}`, "--resume=true", `--db=${file}`, "--json", ...options], {
    cwd: dirname(file),
    // The terminal's Ctrl-C must not reach it: we stop it, once.
    detached: true,
    stdio: ["ignore", "pipe", err],
    env: { ...process.env, CI: process.env.CI ?? "1" },
  })
}

const ended = (child: ChildProcess): Promise<Ended> => {
  const said: Array<Buffer> = []
  let bytes = 0
  child.stdout?.on("data", (chunk: Buffer) => {
    if (bytes < mostSaid) said.push(chunk)
    bytes += chunk.length
  })
  return new Promise((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null): void => {
      alive.delete(child)
      // Programs started by a killed process would run on beside its replacement.
      if (signal !== null) kill(child)
      resolve({ code: code ?? 137, signal: signal ?? undefined, said: Buffer.concat(said).toString() })
    }
    child.on("error", ({ message }) => {
      alive.delete(child)
      resolve({ code: 1, signal: undefined, said: JSON.stringify({ error: { tag: "Defect", message } }) })
    })
    child.on("close", end)
    child.on("exit", (code, signal) => setTimeout(() => end(code, signal), drainMs))
  })
}

/** Resumes a run in a child process, monitored by `watch`. If interrupted, stops the process in order, which releases the run. */
const resume = (
  self: ReadonlyArray<string>,
  file: string,
  runId: string,
  options: ReadonlyArray<string>,
  watch: (watched: Watched) => Effect.Effect<string>,
): Effect.Effect<Ended & { readonly killed: string | undefined }, CannotWrite> =>
  Effect.gen(function* () {
    const err = yield* ProcessLog.open(ProcessLog.pathOf(file, runId))
    const child = start(err, self, file, runId, options)
    closeSync(err)
    alive.add(child)
    const end = ended(child)
    const isEnded = Effect.promise(() => end)
    const stop = Effect.promise(async () => {
      child.kill("SIGTERM")
      const timer = setTimeout(() => kill(child), stopMs)
      await end
      clearTimeout(timer)
    })
    let killed: string | undefined
    const watched = Effect.flatMap(watch({ pid: child.pid ?? 0 }), (reason) => {
      killed = reason
      kill(child)
      return Effect.never
    })
    const left = Effect.map(isEnded, (result) => ({ ...result, killed }))
    return yield* Effect.onInterrupt(Effect.raceFirst(left, watched), () => stop)
  })

/** Parses the error that a process printed. */
const problemOf = (said: string): string | undefined => {
  try {
    const { error } = JSON.parse(said) as { readonly error?: { readonly tag?: string; readonly message?: string } }
    // A failed run is not an error of the command and has no such tag.
    return error?.tag === undefined ? undefined : error.message
  } catch {
    // It printed nothing, or more than one document.
    return undefined
  }
}

/** Returns the outcome of a run that its process has released. It is `suspended` if the event it waited for has arrived since. */
const outcomeFor = (status: Status.ShownStatus): RunOutcome | undefined =>
  status === "running" || status === "orphaned" || status === "continued" ? undefined : status

/** Returns the outcome of a run after its process has ended, or the reason why there was none. */
const outcomeOf = (
  { run }: RunOverview,
  { code, signal, said, killed }: Effect.Effect.Success<ReturnType<typeof resume>>,
  now: number,
) => {
  const { runId, status, finishedAt, owner } = run
  if (owners.isAlive(run, now)) return Either.right<RunOutcome>("lost")
  const problem = killed ?? problemOf(said)
  // An ended run with an owner is being resumed. The status of a waiting run means nothing unless the exit code confirms it.
  const isLeft = finishedAt === null ? problem === undefined && isOutcome(code) : owner === null
  const outcome = isLeft ? outcomeFor(status) : undefined
  if (outcome !== undefined) return Either.right<RunOutcome>(outcome)
  const more = { ...(signal === undefined ? {} : { signal }), ...(problem === undefined ? {} : { problem }) }
  return Either.left(new ResumeFailed({ runId, exitCode: code, ...more }))
}

/** Returns `true` for the exit codes of a run that finished or waits. */
const isOutcome = (code: number): boolean => code === Exit.finished || code === Exit.waiting

/** Creates the worker for the runs of a database. `self` starts this program; its processes get `options`. Excludes runs whose workflow file is unknown. */
export const make = (
  storage: StorageShape,
  file: string,
  self: ReadonlyArray<string>,
  options: ReadonlyArray<string> = [],
): Worker<WorkError, never> => {
  const fingerprints = new Map<string, { readonly at: number; readonly text: string }>()
  const stampOf = (source: string) =>
    Effect.sync(() => {
      const path = resolve(dirname(file), parseTarget(source).file)
      const known = fingerprints.get(path)
      const at = performance.now()
      if (known !== undefined && at - known.at < fingerprintMs) return known.text
      const text = Fingerprint.of(path)
      fingerprints.set(path, { at, text })
      return text
    })
  return ({ runId }) => {
    const lost = Effect.succeed<RunOutcome>("lost")
    const work = Effect.gen(function* () {
      const lineage = yield* lineageOf(storage, runId)
      const result = yield* resume(self, file, runId, options, (watched) => hold(storage, lineage, watched))
      return yield* outcomeOf(yield* storage.run(runId), result, yield* Clock.currentTimeMillis)
    }).pipe(
      // Deleted in the meantime.
      Effect.catchTag("RunNotFound", () => lost),
    ) satisfies Effect.Effect<RunOutcome, WorkError | StoreError>
    return sourceOf(storage, runId).pipe(
      Effect.map((source) =>
        source === undefined ? Either.left({ runIds: [runId] }) : Either.right({ work, stamp: stampOf(source) }),
      ),
      Effect.catchTag("RunNotFound", () => Effect.succeed(Either.right({ work: lost }))),
    )
  }
}
