/**
 * The port through which tools run commands. A command runs under the isolation of the runtime, with bounds on its time, its output, its processes and its
 * memory; however it ends, no process of it is left. `packages/sandbox` has the layer.
 */

import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { InvalidPolicy, IsolationUnavailable, Policy } from "./Isolation.ts"
import * as Later from "./Later.ts"

/** Bounds of a command. */
export interface Limits {
  /** Default: 2 minutes. */
  readonly timeout?: Duration.DurationInput | undefined
  /** Bytes that are kept of each stream: half from its beginning, half from its end. Default: 1 MiB. */
  readonly keptBytes?: number | undefined
  /** Bytes that the command may write to both streams together; beyond, it is killed. Default: 64 MiB. */
  readonly outputBytes?: number | undefined
  /** Bytes of memory of all its processes together; beyond, it is killed. Sampled five times a second, on Linux. Default: 4 GiB. */
  readonly memoryBytes?: number | undefined
  /** CPU time of all its processes together; beyond, it is killed. Sampled like the memory, on Linux. Default: no limit. */
  readonly cpuTime?: Duration.DurationInput | undefined
}

export interface Options extends Limits {
  readonly policy: Policy
  /** Text for its standard input. Default: none; the input is at its end. */
  readonly stdin?: string | undefined
  /** Receives output as it comes. */
  readonly onOutput?: ((stream: "stdout" | "stderr", chunk: Uint8Array) => void) | undefined
  /** Receives the command once its process was started, to talk to it. Its standard input then stays open until it is ended. */
  readonly onStarted?: ((command: RunningCommand) => void) | undefined
}

/** A command that runs. Calls after its end have no effect. */
export interface RunningCommand {
  readonly write: (text: string) => void
  /** Ends its standard input, after what was written. */
  readonly endInput: () => void
  /** Asks its processes to end, by SIGTERM. Those that go on are killed with the command. */
  readonly terminate: () => void
}

/** A captured stream of a command. */
export const Captured = Schema.Struct({
  /** The beginning and, where `isTruncated`, a line that says how much is left out, and the end. */
  text: Schema.String,
  /** Bytes that the command wrote. */
  bytes: Schema.Number,
  isTruncated: Schema.Boolean,
})
export type Captured = typeof Captured.Type

/** Most memory of all processes of a command together, and their CPU time, as far as they were sampled. */
export const CommandUse = Schema.Struct({ peakMemoryBytes: Schema.Number, cpuMs: Schema.Number })
export type CommandUse = typeof CommandUse.Type

/** A command that ended by itself. An exit code other than 0 is a result, and no failure. */
export interface CommandResult {
  /** `undefined` where a signal ended it. */
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  readonly stdout: Captured
  readonly stderr: Captured
  readonly durationMs: number
  /** Absent where it is not measured, or the command was too short. */
  readonly used?: CommandUse | undefined
}

/** A command that was killed at a bound, with what it had written. Its effects may or may not have taken place. */
export class CommandStopped extends Later.TaggedError<CommandStopped>()("CommandStopped", {
  reason: Schema.Literal("timeout", "output", "processes", "memory", "cpu"),
  /** The bound: milliseconds, bytes or processes. */
  limit: Schema.Number,
  stdout: Captured,
  stderr: Captured,
  used: Schema.optional(CommandUse),
}) {
  override get message(): string {
    const bounds = {
      timeout: `it ran longer than ${Duration.format(Duration.millis(this.limit))}`,
      output: `it wrote more than ${this.limit} bytes`,
      processes: `it had more than ${this.limit} processes at once`,
      cpu: `it used more than ${Duration.format(Duration.millis(this.limit))} of CPU time`,
      memory: `its processes held more than ${this.limit} bytes of memory`,
    }
    return `The command was killed with all its processes: ${bounds[this.reason]}.`
  }
}

/** A command that was not started: its program does not exist, or its isolation could not be set up. */
export class CommandNotStarted extends Later.TaggedError<CommandNotStarted>()("CommandNotStarted", {
  program: Schema.String,
  isolation: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `${this.program} was not started (isolation: ${this.isolation}): ${this.problem}`
  }
}

export type CommandError = CommandStopped | CommandNotStarted | IsolationUnavailable | InvalidPolicy

/** A program with its arguments. Never a line for a shell: name the shell where one is wanted. */
export type Argv = readonly [program: string, ...args: ReadonlyArray<string>]

export interface CommandRunnerShape {
  /** The name of the isolation that commands run under. */
  readonly isolation: string
  /** `true` if the isolation holds commands to their policy. Without, a step that narrows its rights runs no commands. */
  readonly isBoundary: boolean
  /** Runs a command to its end. An interruption kills it, and waits for its end. */
  readonly run: (argv: Argv, options: Options) => Effect.Effect<CommandResult, CommandError>
}

/** Runs commands. A runtime without one refuses the tools that need it. */
export class CommandRunner extends Context.Tag("@smithers/core/CommandRunner")<CommandRunner, CommandRunnerShape>() {}
