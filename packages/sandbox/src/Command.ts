/**
 * Runs one command under the isolation of the runtime, with bounds on its time, its output, its processes and its memory. However it ends, nothing of it is
 * left: an interruption and each bound kill the whole tree.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import type { Readable } from "node:stream"
import { type InvalidPolicy, type Isolated, Isolation, type IsolationUnavailable, type Policy } from "@smithers/core/Isolation"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Captured, capture } from "./internal/capture.ts"
import { inNamespaceOf, marked, markVariable, signal, treeOf } from "./internal/processes.ts"

export type { Captured } from "./internal/capture.ts"

/** Bounds of a command. */
export interface Limits {
  /** Default: 2 minutes. */
  readonly timeout?: Duration.DurationInput | undefined
  /** Bytes that are kept of each stream: half from its beginning, half from its end. Default: 1 MiB. */
  readonly keptBytes?: number | undefined
  /** Bytes that the command may write to both streams together; beyond, it is killed. Default: 64 MiB. */
  readonly outputBytes?: number | undefined
  /** Bytes of memory of all its processes together; beyond, it is killed. Looked at five times a second, on Linux. Default: 4 GiB. */
  readonly memoryBytes?: number | undefined
}

export interface Options extends Limits {
  readonly policy: Policy
  /** Text for its standard input. Default: none; the input is at its end. */
  readonly stdin?: string | undefined
  /** Receives output as it comes, for whoever watches. */
  readonly onOutput?: ((stream: "stdout" | "stderr", chunk: Uint8Array) => void) | undefined
}

const CapturedSchema = Schema.Struct({ text: Schema.String, bytes: Schema.Number, isTruncated: Schema.Boolean })

/** A command that ended by itself. An exit code other than 0 is a result, and no failure. */
export interface CommandResult {
  /** `undefined` where a signal ended it. */
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  readonly stdout: Captured
  readonly stderr: Captured
  readonly durationMs: number
}

/** A command that was killed at a bound, with what it had written. Whether its effects took place is not known. */
export class CommandStopped extends Schema.TaggedError<CommandStopped>()("CommandStopped", {
  reason: Schema.Literal("timeout", "output", "processes", "memory"),
  /** The bound: milliseconds, bytes or processes. */
  limit: Schema.Number,
  stdout: CapturedSchema,
  stderr: CapturedSchema,
}) {
  override get message(): string {
    const bounds = {
      timeout: `it ran longer than ${Duration.format(Duration.millis(this.limit))}`,
      output: `it wrote more than ${this.limit} bytes`,
      processes: `it had more than ${this.limit} processes at once`,
      memory: `its processes held more than ${this.limit} bytes of memory`,
    }
    return `The command was killed with all its processes: ${bounds[this.reason]}.`
  }
}

/** A command that was not started: its program does not exist, or its isolation could not be set up. */
export class CommandNotStarted extends Schema.TaggedError<CommandNotStarted>()("CommandNotStarted", {
  program: Schema.String,
  isolation: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `${this.program} was not started (isolation: ${this.isolation}): ${this.problem}`
  }
}

export type CommandError = CommandStopped | CommandNotStarted | IsolationUnavailable | InvalidPolicy

const defaultTimeout = Duration.minutes(2)

/** Milliseconds between looks at the processes of a command. */
const watchMs = 200

/** Milliseconds that processes outside a namespace are given to end in order. */
const graceMs = 300

/** Processes of a command, as the kernel counts them: bubblewrap's own and the shell that sets up are among them. */
const overhead = 3

/** What bubblewrap reports of a command. */
interface Reported {
  init: number | undefined
  exitCode: number | undefined
}

const report = (stream: Readable | undefined): Reported => {
  const reported: Reported = { init: undefined, exitCode: undefined }
  let text = ""
  stream?.on("data", (chunk: Buffer) => {
    text += chunk.toString("utf8")
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      const [, init] = /"child-pid": (\d+)/.exec(text.slice(0, end)) ?? []
      const [, exitCode] = /"exit-code": (\d+)/.exec(text.slice(0, end)) ?? []
      if (init !== undefined) reported.init = Number(init)
      if (exitCode !== undefined) reported.exitCode = Number(exitCode)
      text = text.slice(end + 1)
    }
  })
  stream?.on("error", () => {})
  return reported
}

/** A command that was started, with the mark of its processes. */
interface Started {
  readonly child: ChildProcess
  readonly isolated: Isolated
  readonly mark: string
}

/**
 * Processes outside a namespace: those below the command, and those that have left it, which their environment gives away. One that has left and changed its
 * environment is not found.
 */
const scattered = ({ child: { pid }, mark }: Started): ReadonlyArray<number> => [
  ...new Set([...(pid === undefined ? [] : treeOf(pid)), ...marked(mark)].map((one) => one.pid)),
]

/** Kills a command with all its processes. Outside a namespace they are first asked to end. */
const killAll = (started: Started): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { pid } = started.child
    if (pid === undefined) return
    if (started.isolated.containment === "none") {
      const all = scattered(started)
      for (const one of all) signal(one, "SIGTERM")
      for (let waited = 0; waited < graceMs && scattered(started).length > 0; waited += 25) yield* Effect.sleep(25)
      for (const one of new Set([...all, ...scattered(started)])) signal(one, "SIGKILL")
    }
    signal(-pid, "SIGKILL")
    signal(pid, "SIGKILL")
  })

/**
 * Runs a command to its end. Fails with `CommandStopped` at a bound, with `CommandNotStarted` where it did not begin, and with what its isolation fails
 * with. An interruption kills it and waits for its end.
 */
export const run = Effect.fn("Command.run")(function* (
  argv: readonly [program: string, ...args: ReadonlyArray<string>],
  options: Options,
) {
  const isolation = yield* Isolation
  const { timeout = defaultTimeout, keptBytes = 1024 * 1024, outputBytes = 64 * 1024 * 1024, memoryBytes = 4 * 1024 ** 3 } = options
  const timeoutMs = Duration.toMillis(timeout)
  const maxProcesses = options.policy.maxProcesses ?? 512
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const isolated = yield* isolation.prepare(options.policy, argv)
      const begun = performance.now()
      const stdio: Array<"pipe" | "ignore"> = [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"]
      if (isolated.statusFd !== undefined) stdio[isolated.statusFd] = "pipe"
      const [out, err] = [capture(keptBytes), capture(keptBytes)]
      const stopped = (reason: CommandStopped["reason"], limit: number) =>
        new CommandStopped({ reason, limit, stdout: out.read(), stderr: err.read() })
      const notStarted = (problem: string) => new CommandNotStarted({ program: argv[0], isolation: isolation.name, problem })

      const [program, ...args] = isolated.argv
      const ended = Effect.async<CommandResult, CommandStopped | CommandNotStarted>((resume) => {
        // A group of its own, so that one signal reaches all that stayed in it. Never through a shell, which would stand between us and it.
        const mark = randomUUID()
        const env = { ...isolated.env, ...(isolated.containment === "none" ? { [markVariable]: mark } : {}) }
        const child = spawn(program, args, { cwd: isolated.cwd, env, stdio, detached: true })
        const started: Started = { child, isolated, mark }
        const extra = child.stdio as ReadonlyArray<unknown>
        const reported = report(isolated.statusFd === undefined ? undefined : (extra[isolated.statusFd] as Readable))
        let failure: CommandStopped | undefined
        let isKilled = false
        const stop = (reason: CommandStopped["reason"], limit: number): void => {
          if (isKilled) return
          isKilled = true
          failure = stopped(reason, limit)
          Effect.runFork(killAll(started))
        }
        const timer = setTimeout(() => stop("timeout", timeoutMs), timeoutMs)
        const watch = setInterval(() => {
          const all =
            isolated.containment === "none"
              ? treeOf(child.pid ?? -1)
              : reported.init === undefined
                ? []
                : inNamespaceOf(reported.init)
          if (all.length > maxProcesses + overhead) stop("processes", maxProcesses)
          else if (all.reduce((sum, { bytes }) => sum + bytes, 0) > memoryBytes) stop("memory", memoryBytes)
        }, watchMs)
        let written = 0
        const listen = (stream: "stdout" | "stderr", into: typeof out): void => {
          child[stream]?.on("data", (chunk: Buffer) => {
            if (isKilled) return
            into.add(chunk)
            written += chunk.length
            options.onOutput?.(stream, chunk)
            if (written > outputBytes) stop("output", outputBytes)
          })
        }
        listen("stdout", out)
        listen("stderr", err)
        child.stdin?.on("error", () => {})
        child.stdin?.end(options.stdin)
        const quiet = (): void => {
          clearTimeout(timer)
          clearInterval(watch)
        }
        child.on("error", (error) => {
          quiet()
          resume(Effect.fail(notStarted(error.message)))
        })
        // What a command leaves behind would keep its output open, and run on.
        child.on("exit", () => {
          if (isolated.containment === "none" && !isKilled) Effect.runFork(killAll(started))
        })
        child.on("close", (code, ending) => {
          quiet()
          if (failure !== undefined) return resume(Effect.fail(failure))
          if (isolated.statusFd !== undefined && reported.exitCode === undefined && ending === null)
            return resume(Effect.fail(notStarted(err.read().text.trim())))
          resume(
            Effect.succeed({
              exitCode: code ?? undefined,
              signal: ending ?? undefined,
              stdout: out.read(),
              stderr: err.read(),
              durationMs: performance.now() - begun,
            }),
          )
        })
        return Effect.suspend(() => {
          isKilled = true
          quiet()
          if (child.exitCode !== null || child.signalCode !== null) return Effect.void
          return Effect.zipRight(
            killAll(started),
            Effect.async<void>((done) => {
              child.once("close", () => done(Effect.void))
              if (child.exitCode !== null || child.signalCode !== null) done(Effect.void)
            }),
          )
        })
      })
      return yield* ended
    }),
  )
})
