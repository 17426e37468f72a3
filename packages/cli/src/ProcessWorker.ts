/**
 * Works on runs in processes of their own, each of which resumes one: a workflow that cannot be loaded, that ends its process, or that never
 * lets it do anything else, harms neither the supervisor nor any other run. How a run was left is read from the store; only what went wrong
 * is heard from the process.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { StoreError } from "@smithers/core/Errors"
import type { RunStanding } from "@smithers/core/RunReader"
import type * as Status from "@smithers/core/Status"
import type { StorageShape } from "@smithers/core/Storage"
import type { Outcome, Worker } from "@smithers/core/Supervisor"
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
import { parseTarget } from "./WorkflowFile.ts"

/** How long a process that was told to stop may take to let go of its run, in milliseconds. */
const stopMs = 10_000

/** How long what a process has said is waited for once it has ended, in milliseconds: a program that it started may hold its output open. */
const drainMs = 1000

/** Bytes of what a process says that are kept: an error is shorter, and what it prints of a run is not read. */
const mostSaid = 100_000

/** How long a fingerprint of a file holds, in milliseconds: many runs have one file. */
const fingerprintMs = 1000

/** The process of a run ended without having brought the run to where it ends or waits. */
export class ResumeFailed extends Schema.TaggedError<ResumeFailed>()("ResumeFailed", {
  runId: Schema.String,
  exitCode: Schema.Number,
  /** The signal that ended it. */
  signal: Schema.optional(Schema.String),
  /** What it said was wrong, where it came to say anything, or why it was ended. */
  problem: Schema.optional(Schema.String),
}) {
  override get message(): string {
    return this.problem ?? `its process ended with ${this.signal ?? this.exitCode}`
  }
}

/** Why a process could not do its work. */
export type WorkError = ResumeFailed | CannotWrite

/** How a process ended, and what it said first. */
interface Ended {
  readonly code: number
  readonly signal: NodeJS.Signals | undefined
  readonly said: string
}

/** Processes at work. They are in groups of their own, which the end of this one does not reach. */
const alive = new Set<ChildProcess>()

/** Ends a process, and what it has started. */
const kill = ({ pid }: ChildProcess): void => {
  if (pid === undefined) return
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // There is nobody left.
  }
}

process.on("exit", () => {
  for (const child of alive) kill(child)
})

/** Starts a process that resumes a run. Its id is passed so that nothing takes it for a file, an option or a beginning of another. */
const start = (err: number, self: ReadonlyArray<string>, file: string, runId: string): ChildProcess => {
  const [command = "", ...before] = self
  return spawn(command, [...before, "up", `--run-id=${runId}`, "--resume=true", `--db=${file}`, "--json"], {
    cwd: dirname(file),
    // Out of reach of the terminal's Ctrl-C: it is told to stop by us, once.
    detached: true,
    stdio: ["ignore", "pipe", err],
    env: { ...process.env, CI: process.env.CI ?? "1" },
  })
}

/** Waits until a process has ended. */
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
      // What a process has started that was killed would go on beside what is started in its stead.
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

/** Resumes a run in a process of its own, which `watch` looks after. Stopped from here, it lets go of the run in order. */
const resume = (
  self: ReadonlyArray<string>,
  file: string,
  runId: string,
  watch: (watched: Watched) => Effect.Effect<string>,
): Effect.Effect<Ended & { readonly killed: string | undefined }, CannotWrite> =>
  Effect.gen(function* () {
    const err = yield* ProcessLog.open(ProcessLog.pathOf(file, runId))
    const child = start(err, self, file, runId)
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

/** What a process said went wrong. */
const problemOf = (said: string): string | undefined => {
  try {
    const { error } = JSON.parse(said) as { readonly error?: { readonly tag?: string; readonly message?: string } }
    // That a run has failed is no error of the command, and has no such tag.
    return error?.tag === undefined ? undefined : error.message
  } catch {
    // It did not come to say anything, or it had more to say.
    return undefined
  }
}

/** How a run was left by a process that has let go of it. What it waited for may have come since, so that it is `suspended`. */
const outcomeFor = (status: Status.ShownStatus): Outcome | undefined =>
  status === "running" || status === "orphaned" ? undefined : status

/** How a run was left by its process, or why it was not worked on. */
const outcomeOf = (
  { run }: RunStanding,
  { code, signal, said, killed }: Effect.Effect.Success<ReturnType<typeof resume>>,
  now: number,
) => {
  const { runId, status, finishedAt, owner } = run
  if (owners.isAlive(run, now)) return Either.right<Outcome>("gone")
  const problem = killed ?? problemOf(said)
  // One that has ended and has an owner is being taken up again; that one waits says nothing, unless its process says so too.
  const isLeft = finishedAt === null ? problem === undefined && isOutcome(code) : owner === null
  const outcome = isLeft ? outcomeFor(status) : undefined
  if (outcome !== undefined) return Either.right<Outcome>(outcome)
  const more = { ...(signal === undefined ? {} : { signal }), ...(problem === undefined ? {} : { problem }) }
  return Either.left(new ResumeFailed({ runId, exitCode: code, ...more }))
}

/** Whether a process that ended so had a run that waits. */
const isOutcome = (code: number): boolean => code === Exit.finished || code === Exit.waiting

/** What works on the runs of a database, `self` being how this program is started. A run whose file nobody knows is left out. */
export const make = (storage: StorageShape, file: string, self: ReadonlyArray<string>): Worker<WorkError, never> => {
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
    const gone = Effect.succeed<Outcome>("gone")
    const work = Effect.gen(function* () {
      const lineage = yield* lineageOf(storage, runId)
      const result = yield* resume(self, file, runId, (watched) => hold(storage, lineage, watched))
      return yield* outcomeOf(yield* storage.run(runId), result, yield* Clock.currentTimeMillis)
    }).pipe(
      // Deleted just now.
      Effect.catchTag("RunNotFound", () => gone),
    ) satisfies Effect.Effect<Outcome, WorkError | StoreError>
    return sourceOf(storage, runId).pipe(
      Effect.map((source) =>
        source === undefined ? Either.left({ runIds: [runId] }) : Either.right({ work, stamp: stampOf(source) }),
      ),
      Effect.catchTag("RunNotFound", () => Effect.succeed(Either.right({ work: gone }))),
    )
  }
}
