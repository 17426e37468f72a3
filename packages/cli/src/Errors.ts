/**
 * What can be wrong with a command, each with a message that says what to do next, and which exit code and JSON an error becomes. Errors
 * of the runtime itself are those of `@smithers/core/Errors`.
 */
import { NonRetryable } from "@smithers/core/Errors"
import { NodeStatus, ShownStatus } from "@smithers/core/Status"
import * as Schema from "effect/Schema"
import { anyFile, commandLine, resumeLine } from "./CommandLine.ts"
import { Exit, type ExitCode } from "./Exit.ts"

/** An option, an argument or a value that cannot be used as it was given. Nothing was changed. */
export class InvalidUsage extends Schema.TaggedError<InvalidUsage>()("InvalidUsage", {
  problem: Schema.String,
  /** The command that it was given to. */
  command: Schema.optional(Schema.String),
}) {
  override get message(): string {
    const help = this.command === undefined ? "smithers --help" : `smithers ${this.command} --help`
    return `${/[.?]$/.test(this.problem) ? this.problem : `${this.problem}.`} See: ${help}`
  }
}

/** The URL of a store has a scheme that no store has. */
export class UnknownStore extends Schema.TaggedError<UnknownStore>()("UnknownStore", {
  url: Schema.String,
  schemes: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const known = this.schemes.map((scheme) => `${scheme}:<file>`).join(", ")
    return `There is no kind of store for ${this.url.replace(/\/\/[^/@]*@/, "//…@")}. --db and SMITHERS_DB take a file or ${known}.`
  }
}

/** There is no database where one was looked for. */
export class NoDatabase extends Schema.TaggedError<NoDatabase>()("NoDatabase", {
  /** The file that was named, or the folder from which upward none was found. */
  path: Schema.String,
  isNamed: Schema.Boolean,
  /** What the file holds that is there. */
  holds: Schema.optional(Schema.Literal("nothing", "others")),
}) {
  override get message(): string {
    if (this.holds !== undefined) {
      const what = this.holds === "nothing" ? "it is empty" : "it is one of something else, without any run"
      return `${this.path} is no database of smithers: ${what}. It was left as it is. "smithers up <workflow> --db ${this.path}" adds what a first run needs; --db or SMITHERS_DB name another file.`
    }
    return this.isNamed
      ? `There is no database ${this.path}. "${commandLine(this.path, "up <workflow>")}" makes it with the first run.`
      : `There is no smithers.db in ${this.path} or in a folder above it. "smithers up <workflow>" makes one with the first run; --db or SMITHERS_DB name another file.`
  }
}

/** The database that was found belongs to another user, and nobody named it. */
export class ForeignDatabase extends Schema.TaggedError<ForeignDatabase>()("ForeignDatabase", {
  path: Schema.String,
  /** Ids of the user it belongs to, and of the one who runs the command. */
  owner: Schema.Number,
  user: Schema.Number,
}) {
  override get message(): string {
    return `${this.path} was found, and belongs to another user (id ${this.owner}; you are ${this.user}). It says which code is run for its runs, so it is only used where it is named: --db ${this.path}. Or name another: --db or SMITHERS_DB.`
  }
}

/** No run has this id. Commands that only read take one that begins like it for it. */
export class NoSuchRun extends Schema.TaggedError<NoSuchRun>()("NoSuchRun", {
  runId: Schema.String,
  db: Schema.String,
  /** Of a command that changes a run: some that begin so, and the command with each of their ids. */
  candidates: Schema.optional(Schema.Array(Schema.String)),
  commands: Schema.optional(Schema.Array(Schema.String)),
}) {
  override get message(): string {
    if (this.commands !== undefined) {
      const meant = this.commands.map((command) => `\n  ${command}`).join("")
      return `There is no run "${this.runId}" in ${this.db}. A command that changes a run takes its whole id, since others may begin like it. Nothing was changed. Is one of these meant?${meant}`
    }
    return `There is no run "${this.runId}" in ${this.db}. "smithers ps" lists the runs.`
  }
}

/** Several runs have ids that begin like this. */
export class AmbiguousRun extends Schema.TaggedError<AmbiguousRun>()("AmbiguousRun", {
  runId: Schema.String,
  /** Some of them. */
  candidates: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return `Several runs begin with "${this.runId}": ${this.candidates.join(", ")}. Give more of the id.`
  }
}

/** The run has no such node, or not in this iteration. */
export class NoSuchNode extends Schema.TaggedError<NoSuchNode>()("NoSuchNode", {
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.optional(Schema.Number),
  /** Some that it has. */
  nodes: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const iteration = this.iteration === undefined ? "" : ` in iteration ${this.iteration}`
    const known = this.nodes.length === 0 ? "Nothing of it has run yet." : `It has ${this.nodes.join(", ")}.`
    return `Run "${this.runId}" has no node "${this.nodeId}"${iteration}. ${known}`
  }
}

/** A node has no output to show. */
export class NoOutput extends Schema.TaggedError<NoOutput>()("NoOutput", {
  runId: Schema.String,
  nodeId: Schema.optional(Schema.String),
  status: Schema.Union(ShownStatus, NodeStatus),
}) {
  override get message(): string {
    const what = this.nodeId === undefined ? `Run "${this.runId}"` : `Node "${this.nodeId}" of run "${this.runId}"`
    return `${what} has no output; it is ${this.status}. "${commandLine(undefined, "why", [this.runId])}" says why.`
  }
}

/** JSON that was given cannot be read. */
export class InvalidJson extends Schema.TaggedError<InvalidJson>()("InvalidJson", {
  option: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `${this.option} is not JSON: ${this.problem}. Give JSON, @file to read it from a file, or - to read it from the input.`
  }
}

/** The workflow file cannot be run. Nothing was started or changed; runs that were begun with it keep all they have. */
export class InvalidWorkflowFile extends Schema.TaggedError<InvalidWorkflowFile>()("InvalidWorkflowFile", {
  path: Schema.String,
  reason: Schema.Literal("missing", "syntax", "import", "threw", "no-export", "no-workflow", "unknown"),
  /** The package that is not installed, where an import needs one. */
  missing: Schema.optional(Schema.String),
  problem: Schema.String,
}) {
  override get message(): string {
    return this.problem
  }
}

/** The process is none that workflows may be loaded in: one in which Bun would fetch packages that are missing. */
export class CannotLaunch extends Schema.TaggedError<CannotLaunch>()("CannotLaunch", { problem: Schema.String }) {
  override get message(): string {
    return `No workflow can be loaded in this process: ${this.problem}. Nothing was started.`
  }
}

/** A run does not know the file it was started from. */
export class NoSource extends Schema.TaggedError<NoSource>()("NoSource", { runId: Schema.String, workflow: Schema.String }) {
  override get message(): string {
    return `Run "${this.runId}" does not know the file of its workflow "${this.workflow}": it was started by a program. Name it: ${resumeLine(undefined, this.runId, anyFile)}`
  }
}

/**
 * What was given fits more than one request, those included that were decided or are not asked any more: whoever gave it may have been shown
 * another than the one that is open. Nothing was changed.
 */
export class SeveralWaits extends Schema.TaggedError<SeveralWaits>()("SeveralWaits", {
  runId: Schema.String,
  nodes: Schema.Array(Schema.String),
  /** What is open of them, with the commands that decide on just that. */
  open: Schema.Array(
    Schema.Struct({
      nodeId: Schema.String,
      iteration: Schema.Number,
      requestId: Schema.String,
      /** What is asked, in lines. */
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
    return `Run "${this.runId}" has asked for more than one decision (${nodes}), and this does not say which is meant. Look at what is asked, and name it:\n${asks.join("\n")}`
  }
}

/** The process that a run was left to has ended already. */
export class DetachedEnded extends Schema.TaggedError<DetachedEnded>()("DetachedEnded", {
  runId: Schema.String,
  log: Schema.String,
  exitCode: Schema.Number,
  /** The end of what it said. */
  said: Schema.String,
}) {
  override get message(): string {
    return `The process of run "${this.runId}" ended with exit code ${this.exitCode}. It said:\n${this.said}\nLog: ${this.log}`
  }
}

/** A file of ours cannot be written. Nothing was started. */
export class CannotWrite extends Schema.TaggedError<CannotWrite>()("CannotWrite", {
  path: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `${this.path} cannot be written: ${this.problem}. See to what is in its way, or to the permissions of the folder, and try again.`
  }
}

/** A signal stopped the command; SIGPIPE stands for a reader that has gone. */
export class Interrupted extends Schema.TaggedError<Interrupted>()("Interrupted", {
  signal: Schema.Literal("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE"),
  /** The run that was let go of, and the command that takes it up. */
  runId: Schema.optional(Schema.String),
  next: Schema.optional(Schema.Array(Schema.String)),
}) {
  override get message(): string {
    return `Stopped by ${this.signal}.`
  }
}

/** What a command had to print could not be written, for another reason than that nobody reads it. */
export class OutputFailed extends Schema.TaggedError<OutputFailed>()("OutputFailed", {
  stream: Schema.Literal("standard output", "standard error"),
  /** As the system names it, such as `ENOSPC`. */
  code: Schema.optional(Schema.String),
  problem: Schema.String,
  /** The run that the command worked on, which is not concerned. */
  runId: Schema.optional(Schema.String),
}) {
  override get message(): string {
    const run =
      this.runId === undefined
        ? ""
        : ` What became of run ${this.runId} is stored: ${commandLine(undefined, "inspect", [this.runId])}`
    return `Not all of what was to be printed could be written to the ${this.stream}: ${this.problem}.${run}`
  }
}

/** Something threw that nobody waits for: a timer, or a promise that was left alone. The run was let go of before the process ended. */
export class Uncaught extends Schema.TaggedError<Uncaught>()("Uncaught", {
  problem: Schema.String,
  /** The run that was let go of, and the command that takes it up. */
  runId: Schema.optional(Schema.String),
  next: Schema.optional(Schema.Array(Schema.String)),
}) {
  override get message(): string {
    const then = this.next?.[0] === undefined ? "" : `\nNothing that is done is lost; take it up again: ${this.next[0]}`
    return `Something threw where nothing waits for it: ${this.problem}${then}`
  }
}

/** What a workflow gets that calls `process.exit`: the process is not its to end, and calling it again cannot help. */
export const exitCalled = (code: unknown): NonRetryable => {
  const message = `process.exit(${code === undefined ? "" : String(code)}) was called. A workflow returns or throws; its process goes on.`
  return new NonRetryable({ message })
}

/** Whatever carries a tag and a message. */
export interface Tagged {
  readonly _tag: string
  readonly message: string
}

/** What was given is wrong, as opposed to what came of it. */
const inputTags: ReadonlySet<string> = new Set([
  "InvalidUsage",
  "NoDatabase",
  "ForeignDatabase",
  "NoSuchRun",
  "AmbiguousRun",
  "NoSuchNode",
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
  "SignalIdTaken",
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

/** The exit code of an error. */
export const codeOf = (error: Tagged): ExitCode => {
  if (error._tag === "Interrupted") return signalCodes[(error as Interrupted).signal]
  if (error._tag === "RunCancelled") return Exit.cancelled
  if (error._tag === "DetachedEnded" && (error as DetachedEnded).exitCode === Exit.input) return Exit.input
  return inputTags.has(error._tag) ? Exit.input : Exit.failed
}

/** An error as `--json` prints it: its tag, its message, and the ids that it carries. */
export const ErrorReply = Schema.Struct({
  error: Schema.Struct(
    { tag: Schema.String, message: Schema.String },
    Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  ),
}).annotations({ identifier: "Error", description: "What any command prints instead, with --json, when it fails" })

/** The {@link ErrorReply} of an error. What only the process that raised it can hold is left out. */
export const toReply = (error: Tagged): typeof ErrorReply.Type => {
  const { _tag, message, cause: _, name: __, stack: ___, ...fields } = { ...error } as Tagged & Record<string, unknown>
  // Some say all they have to say in their message.
  const told = Object.entries(fields).filter(([, value]) => value !== message)
  const plain = JSON.parse(JSON.stringify(Object.fromEntries(told))) as { readonly [key: string]: unknown }
  return { error: { ...plain, tag: error._tag, message: error.message } }
}

/** Whether something that was thrown is an error with a tag. */
export const isTagged = (thrown: unknown): thrown is Tagged =>
  thrown instanceof Error && "_tag" in thrown && typeof thrown._tag === "string"
