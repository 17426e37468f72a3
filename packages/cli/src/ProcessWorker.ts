/**
 * Works on runs in processes of their own, each of which resumes one: a workflow that cannot be loaded, or that ends its process, harms
 * neither the supervisor nor any other run. How a run was left is read from the store; only what went wrong is heard from the process.
 */
import { spawn } from "node:child_process"
import { closeSync } from "node:fs"
import { dirname } from "node:path"
import type { RunDetails, StorageShape } from "@smithers/core/Storage"
import type { Outcome, Refusal, Worker } from "@smithers/core/Supervisor"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { sourceOf } from "./Database.ts"
import type { CannotWrite } from "./Errors.ts"
import { Exit } from "./Exit.ts"
import * as RunLog from "./RunLog.ts"

/** How long a process that was told to stop may take to let go of its run, in milliseconds. */
const stopMs = 10_000

/** Bytes of what a process says that are kept: an error is shorter, and what it prints of a run is not read. */
const mostSaid = 100_000

/** The process of a run ended without having brought the run to where it ends or waits. */
export class ResumeFailed extends Schema.TaggedError<ResumeFailed>()("ResumeFailed", {
  runId: Schema.String,
  exitCode: Schema.Number,
  /** What it said was wrong, where it came to say anything. */
  problem: Schema.optional(Schema.String),
}) {
  override get message(): string {
    return this.problem ?? `its process ended with ${this.exitCode}`
  }
}

/** Why a process could not do its work. */
export type WorkError = ResumeFailed | CannotWrite

/** How a process ended, and what it said first. */
interface Ended {
  readonly code: number
  readonly said: string
}

/** Resumes a run in a process of its own. Stopped from here, it lets go of the run in order. */
const resume = (self: ReadonlyArray<string>, file: string, runId: string): Effect.Effect<Ended, CannotWrite> =>
  Effect.flatMap(RunLog.open(RunLog.pathOf(file, runId)), (err) => resumeInto(err, self, file, runId))

const resumeInto = (err: number, self: ReadonlyArray<string>, file: string, runId: string): Effect.Effect<Ended> =>
  Effect.async((done) => {
    const [command = "", ...before] = self
    const child = spawn(command, [...before, "up", `--run-id=${runId}`, "--resume=true", `--db=${file}`, "--json"], {
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
      child.on("error", (error) => resolve({ code: 1, said: JSON.stringify({ error: { tag: "Defect", message: error.message } }) }))
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

const outcomes = { finished: "Finished", failed: "Failed", cancelled: "Cancelled", waiting: "Idle", paused: "Idle" } as const

/** How a run was left by its process, or why it was not worked on. */
const outcomeOf = ({ run }: RunDetails, { code, said }: Ended): Either.Either<Outcome, Refusal<ResumeFailed>> => {
  const { runId, status, finishedAt, owner } = run
  const problem = problemOf(said)
  // One that has ended and has an owner is being taken up again; that one waits says nothing, unless its process says so too.
  const isLeft = finishedAt === null ? problem === undefined && isOutcome(code) : owner === null
  if (isLeft && status in outcomes) return Either.right(outcomes[status as keyof typeof outcomes])
  const error = new ResumeFailed({ runId, exitCode: code, ...(problem === undefined ? {} : { problem }) })
  // What cannot be loaded claims nothing. Claims of processes that died are counted in the store, where they were for nothing.
  return Either.left({ error, fault: code === Exit.input ? "unclaimed" : "nothing" })
}

/** Whether a process that ended so had a run that waits. */
const isOutcome = (code: number): boolean => code === Exit.finished || code === Exit.waiting

/** What works on the runs of a database, `self` being how this program is started. A run whose file nobody knows is left out. */
export const make =
  (storage: StorageShape, file: string, self: ReadonlyArray<string>): Worker<WorkError, never> =>
  ({ runId }) => {
    const gone = Effect.succeed<Outcome>("Gone")
    const left = (ended: Ended) =>
      Effect.matchEffect(storage.inspect(runId), {
        onSuccess: (details): Effect.Effect<Outcome, Refusal<ResumeFailed>> => outcomeOf(details, ended),
        onFailure: (error) => (error._tag === "RunNotFound" ? gone : Effect.fail({ error, fault: "nothing" as const })),
      })
    const work = Effect.matchEffect(resume(self, file, runId), {
      onSuccess: left,
      // The run is not to blame for where its log would go.
      onFailure: (error): Effect.Effect<Outcome, Refusal<CannotWrite>> => Effect.fail({ error, fault: "nothing" }),
    })
    return sourceOf(storage, runId).pipe(
      Effect.map((source) => (source === undefined ? Either.left({ runIds: [runId] }) : Either.right(work))),
      // Deleted just now.
      Effect.catchTag("RunNotFound", () => Effect.succeed(Either.right(gone))),
    )
  }
