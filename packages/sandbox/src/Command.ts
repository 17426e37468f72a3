/**
 * Runs one command under the isolation of the runtime, with bounds on its time, its output, its processes and its memory. However it ends, nothing of it is
 * left: an interruption and each bound kill the whole tree.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import type { Readable } from "node:stream"
import * as Bounds from "@smithers/core/Bounds"
import {
  type Argv,
  CommandNotStarted,
  type CommandResult,
  CommandRunner,
  CommandStopped,
  type CommandUse,
  type Options,
  type RunningCommand,
} from "@smithers/core/CommandRunner"
import { defaultMaxProcesses, type Isolated, Isolation } from "@smithers/core/Isolation"
import { defined } from "@smithers/core/Struct"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { capture } from "./internal/capture.ts"
import * as Groups from "./internal/groups.ts"
import { inNamespaceOf, isThere, marked, markVariable, signal, treeOf } from "./internal/processes.ts"

const defaultTimeout = Duration.millis(Bounds.limitOf("commandTime"))

/** Milliseconds between looks at the processes of a command, and of one whose number nothing else bounds. */
const watchMs = 200
/** Milliseconds to the first look, for commands that are shorter. */
const firstLookMs = 30
/** Where `ps` lists the processes, looks are costly. */
const hastyMs = process.platform === "linux" ? 50 : 500

/** Milliseconds that processes outside a namespace are given to end in order. */
const graceMs = 300

/** Milliseconds that the report of an ended command is waited for. */
const reportMs = 1000

/** Processes of a command, as the kernel counts them: bubblewrap's own and the shell that sets up are among them. */
const overhead = 3

/** The report of bubblewrap on a command. */
interface Reported {
  init: number | undefined
  exitCode: number | undefined
  /** `true` once nothing more is reported. */
  isOver: boolean
}

const report = (stream: Readable | undefined): Reported => {
  const reported: Reported = { init: undefined, exitCode: undefined, isOver: stream === undefined }
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
  const end = (): void => {
    reported.isOver = true
  }
  for (const event of ["end", "close", "error"]) stream?.on(event, end)
  return reported
}

/** A command that was started, with the mark of its processes. */
interface Started {
  readonly child: ChildProcess
  readonly isolated: Isolated
  readonly mark: string
  /** Processes that were seen below it, by their starts: they are its own also once their parents have ended. */
  readonly known: Map<number, number>
}

/** The processes below a command, which are noted. */
const below = ({ child: { pid }, known }: Started): ReturnType<typeof treeOf> => {
  const tree = pid === undefined ? [] : treeOf(pid)
  for (const one of tree) known.set(one.pid, one.start)
  return tree
}

/**
 * Processes outside a namespace: those of the control group of the command. Where there is none: those below the command, and those that have left it,
 * which their environment gives away, or a look before they left. One that has changed its environment and left between two looks is not found then.
 */
const scattered = (started: Started): ReadonlyArray<number> => {
  const { group } = started.isolated
  if (group !== undefined) return Groups.processesOf(group)
  const all = new Set([...below(started), ...marked(started.mark)].map(({ pid }) => pid))
  for (const [pid, start] of started.known)
    if (!all.has(pid) && isThere(pid, start)) for (const one of treeOf(pid)) all.add(one.pid)
  return [...all]
}

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
      // A process may have been started between the look and the signal.
      if (started.isolated.group !== undefined)
        for (let left = scattered(started); left.length > 0; left = scattered(started)) {
          for (const one of left) signal(one, "SIGKILL")
          yield* Effect.sleep(5)
        }
    }
    signal(-pid, "SIGKILL")
    signal(pid, "SIGKILL")
  })

/** A command to talk to. In a namespace the processes of bubblewrap itself are spared, since their end would be that of all. */
const running = (started: Started, reported: Reported): RunningCommand => ({
  write: (text) => {
    if (started.child.stdin?.writable === true) started.child.stdin.write(text)
  },
  endInput: () => {
    started.child.stdin?.end()
  },
  terminate: () => {
    const all =
      started.isolated.containment === "none"
        ? scattered(started)
        : inNamespaceOf(reported.init ?? -1).flatMap(({ pid }) => (pid === reported.init ? [] : [pid]))
    for (const pid of all) signal(pid, "SIGTERM")
  },
})

/**
 * Runs a command to its end. Fails with `CommandStopped` at a bound, with `CommandNotStarted` where it did not begin, and with what its isolation fails
 * with. An interruption kills it and waits for its end.
 */
export const run = Effect.fn("Command.run")(function* (argv: Argv, options: Options) {
  const isolation = yield* Isolation
  const {
    timeout = defaultTimeout,
    keptBytes = 1024 * 1024,
    outputBytes = Bounds.limitOf("commandOutput"),
    memoryBytes = Bounds.limitOf("commandMemory"),
    cpuTime = Duration.infinity,
  } = options
  const cpuMs = Duration.toMillis(cpuTime)
  const timeoutMs = Duration.toMillis(timeout)
  const maxProcesses = options.policy.maxProcesses ?? defaultMaxProcesses
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const isolated = yield* isolation.prepare(options.policy, argv)
      const begun = performance.now()
      const stdio: Array<"pipe" | "ignore" | number> = [
        options.stdin === undefined && options.onStarted === undefined ? "ignore" : "pipe",
        "pipe",
        "pipe",
      ]
      if (isolated.statusFd !== undefined) stdio[isolated.statusFd] = "pipe"
      stdio.push(...(isolated.inherited ?? []))
      const [out, err] = [capture(keptBytes), capture(keptBytes)]
      const stopped = (reason: CommandStopped["reason"], limit: number) =>
        new CommandStopped({ reason, limit, stdout: out.read(), stderr: err.read(), ...defined({ used }) })
      let used: CommandUse | undefined
      const notStarted = (problem: string) => new CommandNotStarted({ program: argv[0], isolation: isolation.name, problem })

      const [program, ...args] = isolated.argv
      const ended = Effect.async<CommandResult, CommandStopped | CommandNotStarted>((resume) => {
        // A group of its own, so that one signal reaches all that stayed in it. Never through a shell, which would stand between us and it.
        const mark = randomUUID()
        const env = { ...isolated.env, ...(isolated.containment === "none" ? { [markVariable]: mark } : {}) }
        const child = spawn(program, args, { cwd: isolated.cwd, env, stdio, detached: true })
        const started: Started = { child, isolated, mark, known: new Map() }
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
        const look = (): void => {
          const all =
            isolated.containment === "none" ? below(started) : reported.init === undefined ? [] : inNamespaceOf(reported.init)
          const bytes = all.reduce((sum, one) => sum + one.bytes, 0)
          const time = all.reduce((sum, one) => sum + one.cpuMs, 0)
          if (all.length > 0)
            used = { peakMemoryBytes: Math.max(used?.peakMemoryBytes ?? 0, bytes), cpuMs: Math.max(used?.cpuMs ?? 0, time) }
          if (all.length > maxProcesses + overhead) stop("processes", maxProcesses)
          else if (bytes > memoryBytes) stop("memory", memoryBytes)
          else if (time > cpuMs) stop("cpu", cpuMs)
        }
        // Of a group the kernel counts the processes.
        const watch = setInterval(look, isolated.group === undefined ? hastyMs : watchMs)
        const first = setTimeout(look, firstLookMs)
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
        if (options.stdin !== undefined) child.stdin?.write(options.stdin)
        if (options.onStarted === undefined) child.stdin?.end()
        else options.onStarted(running(started, reported))
        const quiet = (): void => {
          clearTimeout(timer)
          clearInterval(watch)
          clearTimeout(first)
        }
        child.on("error", (error) => {
          quiet()
          resume(Effect.fail(notStarted(error.message)))
        })
        // What a command leaves behind would keep its output open, and run on.
        child.on("exit", () => {
          if (isolated.containment === "none" && !isKilled) Effect.runFork(killAll(started))
        })
        const conclude = (code: number | null, ending: NodeJS.Signals | null): void => {
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
              ...defined({ used }),
            }),
          )
        }
        child.on("close", (code, ending) => {
          quiet()
          // The report comes on a stream of its own, which may be read after the others.
          const since = performance.now()
          const wait = (): void => {
            if (reported.isOver || reported.exitCode !== undefined || performance.now() - since > reportMs) conclude(code, ending)
            else setTimeout(wait, 1)
          }
          wait()
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

/** Runs commands under the isolation of the runtime. */
export const layer: Layer.Layer<CommandRunner, never, Isolation> = Layer.effect(
  CommandRunner,
  Effect.map(Isolation, (isolation) => ({
    isolation: isolation.name,
    isBoundary: isolation.isBoundary,
    run: (argv, options) => Effect.provideService(run(argv, options), Isolation, isolation),
  })),
)
