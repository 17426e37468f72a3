/**
 * Starts a run in a background process that outlives this one and its terminal.
 */
import { spawn } from "node:child_process"
import { closeSync, existsSync, readFileSync } from "node:fs"
import * as Millis from "@smithers/core/Millis"
import { shorten } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import { open } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { DetachedEnded } from "../Errors.ts"
import { Host } from "../Host.ts"
import * as ProcessLog from "../ProcessLog.ts"

interface Detached {
  readonly settings: {
    readonly tag: ReadonlyArray<string>
    readonly maxConcurrency: number | undefined
    readonly budget: ReadonlyArray<string>
    readonly deadline: string | undefined
    readonly startAt: string | undefined
    readonly noCache: boolean
    readonly noSnapshots: boolean
    readonly hot: boolean
    readonly otel: boolean
    readonly serve: boolean
    readonly port: number | undefined
    readonly wait: boolean
    readonly uncancel: boolean
    readonly onIncompatible: "fail" | "rerun" | undefined
  }
  readonly runId: string
  readonly file: string
  readonly root: string
  readonly target: string
  readonly input: unknown
  readonly isResume: boolean
}

/** Time to wait for the process to claim its run, in milliseconds. Loading large workflows takes seconds. */
const patienceMs = 15_000

/** Returns the number of claims of a run; 0 if it does not exist or cannot be read now. */
const claims = (file: string, runId: string): Effect.Effect<number> =>
  Effect.suspend(() => {
    if (!existsSync(file)) return Effect.succeed(0)
    const asked = Effect.flatMap(open(file, "read"), (storage) => storage.run(runId))
    return Effect.scoped(Effect.map(asked, ({ run }) => run.epoch)).pipe(Effect.catchAll(() => Effect.succeed(0)))
  })

/** Starts the process. Completes once it has claimed the run, or has failed to. */
export const detach = ({ settings, runId, file, root, target, input, isResume }: Detached) =>
  Effect.gen(function* () {
    const { self } = yield* Host
    const log = ProcessLog.pathOf(file, runId)
    const before = yield* claims(file, runId)
    const out = yield* ProcessLog.open(log)
    const [command = "", ...script] = self
    // A workflow without an input gets none.
    const sent = isResume || input === undefined ? undefined : JSON.stringify(input)
    // Option and value are one word each, so that no value looks like an option.
    const options = [
      ...[`--db=${file}`, `--root=${root}`, `--run-id=${runId}`],
      ...(isResume ? ["--resume=true"] : []),
      ...(sent === undefined ? [] : ["--input=-"]),
      ...settings.tag.map((tag) => `--tag=${tag}`),
      ...(settings.maxConcurrency === undefined ? [] : [`--max-concurrency=${settings.maxConcurrency}`]),
      ...(settings.onIncompatible === undefined ? [] : [`--on-incompatible=${settings.onIncompatible}`]),
      ...settings.budget.map((budget) => `--budget=${budget}`),
      ...(settings.deadline === undefined ? [] : [`--deadline=${settings.deadline}`]),
      ...(settings.startAt === undefined ? [] : [`--start-at=${settings.startAt}`]),
      ...(settings.noCache ? ["--no-cache"] : []),
      ...(settings.noSnapshots ? ["--no-snapshots"] : []),
      ...(settings.hot ? ["--hot"] : []),
      ...(settings.otel ? ["--otel"] : []),
      ...(settings.serve ? ["--serve"] : []),
      ...(settings.port === undefined ? [] : [`--port=${settings.port}`]),
      ...(settings.wait ? ["--wait"] : []),
      ...(settings.uncancel ? ["--uncancel"] : []),
    ]
    const child = spawn(command, [...script, "up", target, ...options], {
      detached: true,
      stdio: ["pipe", out, out],
      env: { ...process.env, CI: process.env.CI ?? "1" },
    })
    closeSync(out)
    let exitCode: number | undefined
    child.on("exit", (code) => {
      exitCode = code ?? 1
    })
    yield* Effect.async<void>((resume) => {
      child.stdin?.on("error", () => resume(Effect.void))
      child.stdin?.end(sent ?? "", () => resume(Effect.void))
    })
    const began = yield* Millis.steady
    while (exitCode === undefined && (yield* claims(file, runId)) === before) {
      if ((yield* Millis.steady) - began > patienceMs) break
      yield* Effect.sleep("50 millis")
    }
    const hasFailed = exitCode !== undefined && exitCode !== 0 && exitCode !== 3
    // Its process may have claimed the run between two looks, and died in the middle of it: the run is there, and can be resumed.
    const isClaimed = (yield* claims(file, runId)) !== before
    if (exitCode !== undefined && hasFailed && !isClaimed) {
      const said = readFileSync(log, "utf8").trim()
      return yield* new DetachedEnded({ runId, log, exitCode, said: shorten(said.slice(-2000), 2000) })
    }
    child.unref()
    const { pid = 0 } = child
    const became = hasFailed ? `was begun by process ${pid}, which has ended with code ${exitCode}` : `continues in process ${pid}`
    const text = `Run ${runId} ${became}.\nLog: ${log}`
    return { value: { runId, pid, log }, text } satisfies Reply
  })
