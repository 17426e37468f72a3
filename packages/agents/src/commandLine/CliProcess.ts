/**
 * Runs the program of a command-line agent and reads its messages. Programs hang, wait for ever, linger after their result, and leave
 * tools behind; so the time without progress, the whole time and the time after a result are bounded here, and the program is ended
 * by SIGTERM, a grace, and SIGKILL of everything that it started. The runner of commands keeps it in a namespace of processes where
 * the machine has one: then nothing of it outlives this process, however that ends.
 */
import { StringDecoder } from "node:string_decoder"
import * as Bounds from "@smithers/core/Bounds"
import type {
  Argv,
  CommandError,
  CommandNotStarted,
  CommandResult,
  CommandRunnerShape,
  RunningCommand,
} from "@smithers/core/CommandRunner"
import type { InvalidPolicy, IsolationUnavailable, Policy } from "@smithers/core/Isolation"
import * as Millis from "@smithers/core/Millis"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Lines from "./Lines.ts"

/** A message of a program: a JSON object. */
export interface Message {
  readonly [field: string]: unknown
}

/** What a message means for the time of the program. */
export interface Progress {
  /** `false` for messages that only say that the program waits. Default: `true`. */
  readonly isProgress?: boolean
  /** `true` once the result is there: the program is to end soon. */
  readonly isDone?: boolean
  /** Lines for its standard input. */
  readonly send?: ReadonlyArray<string>
}

/** Bounds of time, in milliseconds. */
export interface Times {
  /** Time without progress after which it is ended. */
  readonly idleMs: number
  /** Time after which it is ended. */
  readonly totalMs: number
  /** Time that it may go on after its result. */
  readonly lingerMs: number
  /** Time between SIGTERM and SIGKILL. */
  readonly graceMs: number
}

/**
 * A tool may be silent for the ten minutes that the agents give it at most. A task of hours is split into steps. Nobody waits for a
 * program that has given its result, and a program that was asked to end stores its session and ends its tools within seconds.
 */
export const usualTimes: Times = {
  idleMs: Bounds.limitOf("silence"),
  totalMs: Bounds.limitOf("programTime"),
  lingerMs: 10_000,
  graceMs: 5000,
}

/** Time between SIGTERM and SIGKILL of a program whose attempt was interrupted, in milliseconds: less than the engine waits for it. */
const interruptedMs = 2000

/** Time that a program has for a request to stop, before SIGTERM. */
const closingMs = 300

/** Exit codes by which a namespace or a shell tells of a signal. Others above 128 are of programs. */
const signals: ReadonlyMap<number | undefined, string> = new Map([
  [134, "SIGABRT"],
  [137, "SIGKILL"],
  [139, "SIGSEGV"],
  [143, "SIGTERM"],
])

/** Bytes of memory of an agent with all of its tools, which may be compilers and tests. */
const memoryBytes = 16 * 1024 ** 3

/** Bytes that it may write. Its messages are read as they come, and not kept. */
const outputBytes = 2 * 1024 ** 3

export interface Task<E> {
  readonly runner: CommandRunnerShape
  readonly argv: Argv
  readonly policy: Policy
  readonly times: Times
  /** Text for its standard input, which is at its end after it. */
  readonly stdin?: string | undefined
  /** Lines for its standard input, which stays open until its result. */
  readonly opening?: ReadonlyArray<string> | undefined
  /** Lines that ask it to stop what it does, for an interruption. */
  readonly closing?: (() => ReadonlyArray<string>) | undefined
  /** Takes each message, one at a time. */
  readonly onMessage: (message: Message) => Effect.Effect<Progress, E>
  /** Takes its standard output as text, of which so many characters are kept. Default: it is messages. */
  readonly textLength?: number | undefined
}

/** The end of a program. */
export interface Ended {
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  /** The bound of time at which it was ended. */
  readonly stop: "idle" | "total" | "linger" | undefined
  /** The bound of its processes, memory or output at which it was killed. */
  readonly bound: string | undefined
  /** The end of its standard error and of what it wrote besides messages. */
  readonly tail: string
  /** Its standard output, if that is text. */
  readonly text: string
  /** Lines that begin like a message and cannot be parsed. */
  readonly malformed: number
  /** Lines that were too long, and dropped. */
  readonly tooLong: number
}

type Event = { readonly line: string } | { readonly isText: true } | { readonly end: Exit.Exit<CommandResult, CommandError> }

/** Errors of a program that was not started. */
export type NotStarted = CommandNotStarted | IsolationUnavailable | InvalidPolicy

const toLine = (line: string): string => `${line}\n`

/**
 * Runs a program to its end. Succeeds however it ends, and fails where it was not started or where `onMessage` fails. An
 * interruption asks it to stop, ends it, and waits for its end.
 */
export const run = <E>(task: Task<E>): Effect.Effect<Ended, E | NotStarted> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { runner, times } = task
      const inbox = yield* Queue.unbounded<Event>()
      const [tail, text] = [Lines.tail(), Lines.tail(task.textLength)]
      const characters = new StringDecoder("utf8")
      let command: RunningCommand | undefined
      let [malformed, tooLong] = [0, 0]
      const lines = Lines.splitter({
        message: (line) => inbox.unsafeOffer({ line }),
        other: (piece) => tail.add(piece),
        tooLong: () => {
          tooLong++
          tail.add("(a line was too long, and dropped)\n")
        },
      })
      const send = (written: ReadonlyArray<string>): void => {
        for (const line of written) command?.write(toLine(line))
      }
      const program = yield* runner
        .run(task.argv, {
          policy: { ...task.policy, ownProcesses: true },
          // The runner's own bound comes into play only where this process is too busy to keep the others.
          timeout: Duration.millis(times.totalMs + times.lingerMs + times.graceMs + 60_000),
          ...{ keptBytes: 1024, outputBytes, memoryBytes },
          onStarted: (started) => {
            command = started
            if (task.stdin !== undefined) started.write(task.stdin)
            if (task.opening === undefined) started.endInput()
            else send(task.opening)
          },
          onOutput: (stream, chunk) => {
            if (stream === "stderr") tail.add(Buffer.from(chunk).toString("utf8"))
            else if (task.textLength === undefined) lines.add(chunk)
            else {
              const piece = characters.write(Buffer.from(chunk))
              text.add(piece)
              tail.add(piece)
              inbox.unsafeOffer({ isText: true })
            }
          },
        })
        .pipe(
          Effect.exit,
          Effect.tap((end) => {
            lines.end()
            return Queue.offer(inbox, { end })
          }),
          Effect.interruptible,
          Effect.forkScoped,
        )
      const awaitEnd = (ms: number): Effect.Effect<void> =>
        Effect.asVoid(Effect.timeoutOption(Effect.interruptible(Fiber.await(program)), ms))
      /** Asks the program to end, and waits for it. What goes on is killed with the scope. */
      const terminate = (graceMs: number): Effect.Effect<void> =>
        Effect.suspend(() => {
          command?.terminate()
          return awaitEnd(graceMs)
        })
      let isEnded = false
      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          if (isEnded || command === undefined) return Effect.void
          const closing = task.closing?.() ?? []
          send(closing)
          const pause = closing.length === 0 ? Effect.void : awaitEnd(closingMs)
          return Effect.zipRight(pause, terminate(interruptedMs))
        }),
      )

      const began = yield* Millis.steady
      let progressed: number = began
      let doneAt: number | undefined
      let stop: Ended["stop"]
      let end: Exit.Exit<CommandResult, CommandError> | undefined
      while (end === undefined) {
        const now = yield* Millis.steady
        const until = doneAt === undefined ? Math.min(progressed + times.idleMs, began + times.totalMs) : doneAt + times.lingerMs
        const event = yield* Effect.timeoutOption(Queue.take(inbox), Math.max(0, until - now))
        if (Option.isNone(event)) {
          stop = doneAt !== undefined ? "linger" : until === began + times.totalMs ? "total" : "idle"
          break
        }
        if ("end" in event.value) {
          end = event.value.end
          break
        }
        if ("isText" in event.value) {
          progressed = yield* Millis.steady
          continue
        }
        const message = parse(event.value.line)
        if (message === undefined) {
          malformed++
          tail.add(toLine(event.value.line.slice(0, 500)))
          continue
        }
        const progress = yield* task.onMessage(message)
        if (progress.isProgress !== false) progressed = yield* Millis.steady
        send(progress.send ?? [])
        if (progress.isDone === true && doneAt === undefined) {
          doneAt = yield* Millis.steady
          command?.endInput()
        }
      }
      if (end === undefined) {
        yield* terminate(times.graceMs)
        yield* Fiber.interrupt(program)
        const exit = yield* Fiber.await(program)
        end = Exit.isSuccess(exit) ? exit.value : undefined
      }
      isEnded = true
      const ended: Ended = {
        exitCode: undefined,
        ...{ signal: undefined, stop, bound: undefined, tail: tail.read(), text: text.read(), malformed, tooLong },
      }
      if (end === undefined) return { ...ended, signal: "SIGKILL" }
      const result = yield* Effect.either(end)
      if (result._tag === "Right") {
        const { exitCode, signal } = result.right
        return { ...ended, exitCode, signal: signal ?? signals.get(exitCode) }
      }
      if (result.left._tag === "CommandStopped") return { ...ended, signal: "SIGKILL", bound: result.left.message }
      return yield* Effect.fail(result.left)
    }),
  )

const parse = (line: string): Message | undefined => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
