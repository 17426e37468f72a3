/**
 * Errors of the commands, each with a message that says what to do next, and the exit code and JSON of any error. Errors of the
 * runtime are in `@smithers/core/Errors`.
 */

import { NonRetryable } from "@smithers/core/Errors"
import * as Later from "@smithers/core/Later"
import { NodeStatus, ShownStatus } from "@smithers/core/Status"
import { anyFile, commandLine, resumeLine } from "@smithers/server/views/CommandLine"
import * as Schema from "effect/Schema"
import { Exit, type ExitCode } from "./Exit.ts"

/** An option, argument or value is invalid. Nothing was changed. */
export class InvalidUsage extends Later.TaggedError<InvalidUsage>()("InvalidUsage", {
  problem: Schema.String,
  /** Command that received it. */
  command: Schema.optional(Schema.String),
}) {
  override get message(): string {
    const help = this.command === undefined ? "smithers --help" : `smithers ${this.command} --help`
    return `${/[.?]$/.test(this.problem) ? this.problem : `${this.problem}.`} See: ${help}`
  }
}

/** The URL of a store has an unknown scheme. */
export class UnknownStore extends Later.TaggedError<UnknownStore>()("UnknownStore", {
  url: Schema.String,
  schemes: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const known = this.schemes.map((scheme) => `${scheme}:<file>`).join(", ")
    return `No kind of store matches ${this.url.replace(/\/\/[^/@]*@/, "//…@")}. --db and SMITHERS_DB take a file or ${known}.`
  }
}

/** No database exists where the command looked for one. */
export class NoDatabase extends Later.TaggedError<NoDatabase>()("NoDatabase", {
  /** The named file, or the folder from which the search went upward. */
  path: Schema.String,
  isNamed: Schema.Boolean,
  /** Content of an existing file: empty, or a database of another program. */
  holds: Schema.optional(Schema.Literal("nothing", "others")),
}) {
  override get message(): string {
    if (this.holds !== undefined) {
      const what = this.holds === "nothing" ? "it is empty" : "it belongs to another program and has no runs"
      return `${this.path} is not a smithers database: ${what}. It was not changed. Run "smithers up <workflow> --db ${this.path}" to add the tables for a first run, or name another file with --db or SMITHERS_DB.`
    }
    return this.isNamed
      ? `There is no database ${this.path}. Run "${commandLine(this.path, "up <workflow>")}" to create it with the first run.`
      : `There is no smithers.db in ${this.path} or in a folder above it. Run "smithers up <workflow>" to create one with the first run, or name another file with --db or SMITHERS_DB.`
  }
}

/** The search found a database that belongs to another user, and the command did not name it. */
export class ForeignDatabase extends Later.TaggedError<ForeignDatabase>()("ForeignDatabase", {
  path: Schema.String,
  /** Ids of the user who owns it and of the user who runs the command. */
  owner: Schema.Number,
  user: Schema.Number,
}) {
  override get message(): string {
    return `${this.path} belongs to another user (id ${this.owner}; you are ${this.user}). A database names the code that its runs execute, so this one is only used if you name it: --db ${this.path}. Or name another file with --db or SMITHERS_DB.`
  }
}

/** No run has this id. Commands that only read also accept a unique prefix. */
export class NoSuchRun extends Later.TaggedError<NoSuchRun>()("NoSuchRun", {
  runId: Schema.String,
  db: Schema.String,
  /** Ids with this prefix, and the command with each of them. Set by commands that change a run. */
  candidates: Schema.optional(Schema.Array(Schema.String)),
  commands: Schema.optional(Schema.Array(Schema.String)),
}) {
  override get message(): string {
    if (this.commands !== undefined) {
      const meant = this.commands.map((command) => `\n  ${command}`).join("")
      return `There is no run "${this.runId}" in ${this.db}. Commands that change a run take the full id. Nothing was changed. Did you mean one of these?${meant}`
    }
    return `There is no run "${this.runId}" in ${this.db}. Run "smithers ps" to list the runs.`
  }
}

/** Several runs have ids with this prefix. */
export class AmbiguousRun extends Later.TaggedError<AmbiguousRun>()("AmbiguousRun", {
  runId: Schema.String,
  /** Some of the matching ids. */
  candidates: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return `Several runs begin with "${this.runId}": ${this.candidates.join(", ")}. Give a longer prefix of the id.`
  }
}

/** The run has no such node, or not in this iteration. */
export class NoSuchNode extends Later.TaggedError<NoSuchNode>()("NoSuchNode", {
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.optional(Schema.Number),
  /** Some of its nodes. */
  nodes: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const iteration = this.iteration === undefined ? "" : ` in iteration ${this.iteration}`
    const known = this.nodes.length === 0 ? "None of its nodes has run yet." : `Its nodes: ${this.nodes.join(", ")}.`
    return `Run "${this.runId}" has no node "${this.nodeId}"${iteration}. ${known}`
  }
}

/** There is no such fact, or it has expired. */
export class NoSuchFact extends Later.TaggedError<NoSuchFact>()("NoSuchFact", {
  namespace: Schema.String,
  key: Schema.String,
}) {
  override get message(): string {
    return `Namespace "${this.namespace}" has no fact "${this.key}". List them: smithers memory list`
  }
}

/** A node has no output. */
export class NoOutput extends Later.TaggedError<NoOutput>()("NoOutput", {
  runId: Schema.String,
  nodeId: Schema.optional(Schema.String),
  status: Schema.Union(ShownStatus, NodeStatus),
}) {
  override get message(): string {
    const what = this.nodeId === undefined ? `Run "${this.runId}"` : `Node "${this.nodeId}" of run "${this.runId}"`
    return `${what} has no output; its status is ${this.status}. Run "${commandLine(undefined, "why", [this.runId])}" to see why.`
  }
}

/** The value of an option is not JSON. */
export class InvalidJson extends Later.TaggedError<InvalidJson>()("InvalidJson", {
  option: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `${this.option} is not JSON: ${this.problem}. Give JSON, @file to read it from a file, or - to read it from standard input.`
  }
}

/** The workflow file cannot be run. Nothing was started or changed, and existing runs keep their state. */
export class InvalidWorkflowFile extends Later.TaggedError<InvalidWorkflowFile>()("InvalidWorkflowFile", {
  path: Schema.String,
  reason: Schema.Literal("missing", "syntax", "import", "threw", "no-export", "no-workflow", "unknown"),
  /** Package that an import needs and that is not installed. */
  missing: Schema.optional(Schema.String),
  problem: Schema.String,
}) {
  override get message(): string {
    return this.problem
  }
}

/** The process must not load workflows: Bun would fetch missing packages in it. */
export class CannotLaunch extends Later.TaggedError<CannotLaunch>()("CannotLaunch", { problem: Schema.String }) {
  override get message(): string {
    return `No workflow can be loaded in this process: ${this.problem}. Nothing was started.`
  }
}

/** The run was started by a program and has no workflow file. */
export class NoSource extends Later.TaggedError<NoSource>()("NoSource", { runId: Schema.String, workflow: Schema.String }) {
  override get message(): string {
    return `Run "${this.runId}" has no workflow file, since a program started it. Name the file of workflow "${this.workflow}": ${resumeLine(undefined, this.runId, anyFile)}`
  }
}

/**
 * The arguments match several requests of the run, including decided and superseded ones, so the person may have seen another one
 * than the open one. Nothing was changed.
 */
export class SeveralWaits extends Later.TaggedError<SeveralWaits>()("SeveralWaits", {
  runId: Schema.String,
  nodes: Schema.Array(Schema.String),
  /** Open requests among them, each with the command that decides on it. */
  open: Schema.Array(
    Schema.Struct({
      nodeId: Schema.String,
      iteration: Schema.Number,
      requestId: Schema.String,
      /** The question, in lines. */
      question: Schema.Array(Schema.String),
      command: Schema.String,
    }),
  ),
}) {
  override get message(): string {
    const asks = this.open.flatMap(({ nodeId, iteration, question, command }) => [
      `${nodeId} (iteration ${iteration}):`,
      ...question.map((line) => `    ${line}`),
      `    ${command}`,
    ])
    const nodes = this.nodes.map((node) => `"${node}"`).join(", ")
    return `Run "${this.runId}" has more than one request that matches (${nodes}). Nothing was changed. Run the command of the one you mean:\n${asks.join("\n")}`
  }
}

/** The background process of a run has already ended. */
export class DetachedEnded extends Later.TaggedError<DetachedEnded>()("DetachedEnded", {
  runId: Schema.String,
  log: Schema.String,
  exitCode: Schema.Number,
  /** Last lines of its output. */
  said: Schema.String,
}) {
  override get message(): string {
    return `The process of run "${this.runId}" ended with exit code ${this.exitCode}. Its last output:\n${this.said}\nLog: ${this.log}`
  }
}

/** A file of smithers cannot be written. Nothing was started. */
export class CannotWrite extends Later.TaggedError<CannotWrite>()("CannotWrite", {
  path: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `${this.path} cannot be written: ${this.problem}. Check the path and the permissions of its folder, then try again.`
  }
}

/** A signal stopped the command. SIGPIPE stands for a closed standard output. */
export class Interrupted extends Later.TaggedError<Interrupted>()("Interrupted", {
  signal: Schema.Literal("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE"),
  /** The released run, and the command that resumes it. */
  runId: Schema.optional(Schema.String),
  next: Schema.optional(Schema.Array(Schema.String)),
}) {
  override get message(): string {
    return `Stopped by ${this.signal}.`
  }
}

/** The output of a command could not be written, for another reason than a closed pipe. */
export class OutputFailed extends Later.TaggedError<OutputFailed>()("OutputFailed", {
  stream: Schema.Literal("standard output", "standard error"),
  /** Code of the system error, such as `ENOSPC`. */
  code: Schema.optional(Schema.String),
  problem: Schema.String,
  /** The run of the command, which is not affected. */
  runId: Schema.optional(Schema.String),
}) {
  override get message(): string {
    const run =
      this.runId === undefined
        ? ""
        : ` The result of run ${this.runId} is stored: ${commandLine(undefined, "inspect", [this.runId])}`
    return `The output could not be written to the ${this.stream} in full: ${this.problem}.${run}`
  }
}

/** A timer or a floating promise threw. The run was released before the process ended. */
export class Uncaught extends Later.TaggedError<Uncaught>()("Uncaught", {
  problem: Schema.String,
  /** The released run, and the command that resumes it. */
  runId: Schema.optional(Schema.String),
  next: Schema.optional(Schema.Array(Schema.String)),
}) {
  override get message(): string {
    const then = this.next?.[0] === undefined ? "" : `\nFinished steps are stored. Resume the run: ${this.next[0]}`
    return `A timer or a promise that no code awaits has thrown: ${this.problem}${then}`
  }
}

/**
 * Returns the error that `process.exit` throws in a workflow. It is not retried, since the process is not the workflow's to end.
 */
export const exitCalled = (code: unknown): NonRetryable => {
  const message = `process.exit(${code === undefined ? "" : String(code)}) was called. A workflow must return or throw; it cannot end its process.`
  return new NonRetryable({ message })
}

/** An error with a tag and a message. */
export interface Tagged {
  readonly _tag: string
  readonly message: string
}

/** Tags of errors about invalid input, as opposed to failures. */
const inputTags: ReadonlySet<string> = new Set([
  "InvalidUsage",
  "NoDatabase",
  "ForeignDatabase",
  "NoSuchRun",
  "AmbiguousRun",
  "NoSuchFact",
  "NoSuchNode",
  "NoSuchFact",
  "NoOutput",
  "InvalidJson",
  "InvalidWorkflowFile",
  "NoSource",
  "SeveralWaits",
  "InvalidAnswer",
  "InvalidInput",
  "InvalidRunId",
  "InvalidSetting",
  "InvalidWorkflow",
  "RenderFailed",
  "RunNotFound",
  "NoSuchMoment",
  "NoSuchAttempt",
  "RunEnded",
  "NotWaiting",
  "NotAnApprover",
  "NodeNotFound",
  "NodeEnded",
  "AlreadyLeft",
  "AlreadyDecided",
  "RequestChanged",
  "WaitExpired",
  "InvalidCommand",
  "InvalidFork",
  "RunIdTaken",
  "SignalIdTaken",
  "NoSuchSchedule",
  "EventIdTaken",
  "NoSuchToken",
  "TokenNameTaken",
  "UnsafeToken",
  "HookExists",
  "NoSuchHook",
  "ScheduleIdTaken",
  "ScheduleBusy",
  "InputMismatch",
  "WorkflowMismatch",
  "IncompatibleOutput",
  "IncompatibleTable",
])

const signalCodes = {
  SIGINT: Exit.interrupted,
  SIGTERM: Exit.terminated,
  SIGHUP: Exit.hungUp,
  SIGPIPE: Exit.unread,
} as const

/** Returns the exit code of an error. */
export const codeOf = (error: Tagged): ExitCode => {
  if (error._tag === "Interrupted") return signalCodes[(error as Interrupted).signal]
  if (error._tag === "RunCancelled") return Exit.cancelled
  if (error._tag === "DetachedEnded" && (error as DetachedEnded).exitCode === Exit.input) return Exit.input
  return inputTags.has(error._tag) ? Exit.input : Exit.failed
}

/** JSON of an error with `--json`: its tag, message and ids. */
export const ErrorReply = Schema.Struct({
  error: Schema.Struct(
    { tag: Schema.String, message: Schema.String },
    Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  ),
}).annotations({ identifier: "Error", description: "Output of any command that fails, with --json" })

/** Encodes an error as {@link ErrorReply}. Omits fields that only the process itself can hold. */
export const toReply = (error: Tagged): typeof ErrorReply.Type => {
  const { _tag, message, cause: _, name: __, stack: ___, ...fields } = { ...error } as Tagged & Record<string, unknown>
  // The message of some errors repeats a field.
  const told = Object.entries(fields).filter(([, value]) => value !== message)
  const plain = JSON.parse(JSON.stringify(Object.fromEntries(told))) as { readonly [key: string]: unknown }
  return { error: { ...plain, tag: error._tag, message: error.message } }
}

/** Returns `true` if a thrown value is an error with a tag. */
export const isTagged = (thrown: unknown): thrown is Tagged =>
  thrown instanceof Error && "_tag" in thrown && typeof thrown._tag === "string"
