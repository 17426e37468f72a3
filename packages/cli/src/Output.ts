/**
 * What commands print with `--json`, as schemas: `docs/cli.schema.json` is made from them and the tests hold every command against
 * them. Fields are only ever added. Times are epoch milliseconds.
 */
import * as Errors from "@smithers/core/Errors"
import { Leaving, RestKind, RunEvent, StrayRead } from "@smithers/core/RunEvent"
import * as RunReader from "@smithers/core/RunReader"
import * as Status from "@smithers/core/Status"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import type { Tally } from "./Parts.ts"

const strings = Schema.Array(Schema.String)
const node = { nodeId: Schema.String, iteration: Schema.Number }

const named =
  (identifier: string) =>
  <A, I>(schema: Schema.Schema<A, I>): Schema.Schema<A, I> =>
    schema.annotations({ identifier })

// Under names of their own, so that the document says each of them once.
const printed = <Fields extends Schema.Struct.Fields>({ fields }: { readonly fields: Fields }) =>
  Schema.Struct({ ...fields, message: Schema.String })
/** Why a run has failed, with its message. Only errors of a command have a `tag`. */
const Failure = named("Failure")(
  Schema.Union(
    // Whoever runs a command on a store may read all of it, stacks too.
    printed({ fields: { ...Errors.StepFailed.fields, error: Errors.ErrorInfo } }),
    printed(Errors.StepTimedOut),
    printed(Errors.CrashLoop),
    printed(Errors.LoopLimitReached),
    printed(Errors.EndlessPass),
    printed(Errors.UnsettledRead),
    printed(Errors.CompensationFailed),
  ),
)

/** A failure of a run, to be printed. The cause of an error is no field that a copy has; that of a step is made of its `error`. */
export const failureOf = (failure: Errors.RunFailure): typeof Failure.Type => {
  const cause = failure._tag === "CompensationFailed" ? { cause: failure.cause } : {}
  return { ...failure, ...cause, _tag: failure._tag, message: failure.message } as typeof Failure.Type
}

const Uncompensated = named("Uncompensated")(Errors.Uncompensated)
const Run = named("Run")(RunReader.RunSummary)
const Wait = named("Wait")(RunReader.WaitSummary)
const Attempt = named("Attempt")(RunReader.AttemptSummary)
const Node = named("Node")(Schema.Struct({ ...RunReader.NodeSummary.fields, output: Schema.optional(Schema.Unknown) }))

/** What a run waits for, in short: an open wait of its own or, with `runId`, of a child run that it waits for. */
const ShortWait = Schema.Struct({
  runId: Schema.optional(Schema.String),
  ...node,
  kind: Schema.String,
  deadline: Schema.NullOr(Schema.Number),
})

/** `ps` */
export const Runs = Schema.Struct({
  db: Schema.String,
  runs: Schema.Array(Schema.Struct({ ...RunReader.RunSummary.fields, waits: Schema.Array(ShortWait) })),
  /** Whether there are older runs beyond `--limit`. */
  hasMore: Schema.Boolean,
})

/** `up` */
export const Stopped = Schema.Struct({
  runId: Schema.String,
  status: Status.ResultStatus,
  output: Schema.optional(Schema.Unknown),
  /** Loops that made all their `maxIterations` passes without their `until` holding, where there are any. */
  exhausted: Schema.optional(Schema.Array(Schema.Struct({ ...node, passes: Schema.Number }))),
  /** Reads of outputs by which nothing was found, as no task was the one that was meant; where there are any. */
  strayReads: Schema.optional(Schema.Array(StrayRead)),
  error: Schema.optional(Failure),
  reason: Schema.optional(Schema.String),
  /** Of a run that has ended: what its sagas, and those of its child runs, could not undo. */
  uncompensated: Schema.optional(Schema.Array(Uncompensated)),
  waits: Schema.optional(
    Schema.Array(
      Schema.Struct({
        runId: Schema.optional(Schema.String),
        ...node,
        kind: Schema.String,
        deadline: Schema.optional(Schema.Number),
      }),
    ),
  ),
  /** Commands that bring the run on. */
  next: strings,
})

/** `up --detach` */
export const Detached = Schema.Struct({ runId: Schema.String, pid: Schema.Number, log: Schema.String })

/** `inspect` */
export const Inspected = Schema.Struct({
  run: Run,
  input: Schema.optional(Schema.Unknown),
  output: Schema.optional(Schema.Unknown),
  failure: Schema.NullOr(Failure),
  /** What its sagas, and those of child runs that it waited for, could not undo. */
  uncompensated: Schema.optional(Schema.Array(Uncompensated)),
  nodes: Schema.Array(Node),
  waits: Schema.Array(Wait),
})

/** `node` */
export const InspectedNode = Schema.Struct({
  runId: Schema.String,
  nodeId: Schema.String,
  /** One record per iteration. */
  nodes: Schema.Array(Node),
  attempts: Schema.Array(Attempt),
  waits: Schema.Array(Wait),
})

/** A line of `logs` and `events`. */
export const Event = Schema.Struct({ ...RunReader.LoggedEvent.fields, event: named("RunEvent")(RunEvent) })

/** The types of events. */
export const eventTypes: ReadonlyArray<RunEvent["_tag"]> = RunEvent.members.flatMap(({ ast }) => {
  const type = AST.getPropertySignatures(ast).find(({ name }) => name === "_tag")?.type
  return type?._tag === "Literal" ? [type.literal as RunEvent["_tag"]] : []
})

/** The state that holds a run: its status, its waits, or its obstacle. */
const WhyReason = Schema.Literal(
  ...Status.EndedStatus.literals,
  ...Status.ReleasedStatus.pipe(Schema.pickLiteral("running", "suspended", "paused")).literals,
  ...RestKind.literals,
  "orphaned",
  "retrying",
  "stuck",
  "told",
  "cancelling",
  "store-unavailable",
)
export type WhyReason = typeof WhyReason.Type

/** `why` */
export const Reason = Schema.Struct({
  runId: Schema.String,
  status: Status.ShownStatus,
  /** What holds it, for programs. */
  reason: WhyReason,
  sentence: Schema.String,
  /** Commands that unblock it, the best first; none where there is nothing to do. */
  commands: strings,
  /** What persons are asked whom the commands are for. */
  asks: Schema.Array(Wait),
  /** Signals that the run keeps and nobody has taken, with the waits that they do not fit, and why not. */
  signals: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      name: Schema.String,
      correlation: Schema.NullOr(Schema.String),
      refusals: Schema.Array(Schema.Struct({ ...node, issues: strings })),
    }),
  ),
})

/** `output` */
export const Output = Schema.Struct({
  runId: Schema.String,
  nodeId: Schema.NullOr(Schema.String),
  iteration: Schema.NullOr(Schema.Number),
  output: Schema.optional(Schema.Unknown),
})

/** A node of `graph`. */
export interface GraphNode {
  readonly kind: string
  readonly id: string | null
  readonly status: Status.NodeStatus | null
  readonly details: { readonly [name: string]: unknown }
  /** Of a scope that is left early: how and why. */
  readonly left?: Leaving | undefined
  /** Of a race: the branches that have won so far. */
  readonly winners?: ReadonlyArray<string> | undefined
  /** Of a race or a list in a run: its parts by how they stand. */
  readonly parts?: Tally | undefined
  readonly children: ReadonlyArray<GraphNode>
}

const GraphNode: Schema.Schema<GraphNode> = Schema.Struct({
  kind: Schema.String,
  id: Schema.NullOr(Schema.String),
  status: Schema.NullOr(Status.NodeStatus),
  details: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  left: Schema.optional(Leaving),
  winners: Schema.optional(strings),
  parts: Schema.optional(
    Schema.Struct({ done: Schema.Number, failed: Schema.Number, left: Schema.Number, open: Schema.Number, idle: Schema.Number }),
  ),
  children: Schema.Array(Schema.suspend((): Schema.Schema<GraphNode> => GraphNode)),
}).annotations({ identifier: "GraphNode" })

/** `graph` */
export const Graph = Schema.Struct({
  workflow: Schema.String,
  runId: Schema.NullOr(Schema.String),
  roots: Schema.Array(GraphNode),
})

/** `check` */
export const Checked = Schema.Struct({
  workflow: Schema.String,
  file: Schema.String,
  steps: Schema.Number,
  /** What would go wrong, and, as a `warning`, what is allowed and may be meant otherwise; empty where there is nothing. */
  problems: Schema.Array(
    Schema.Struct({ kind: Schema.Literal("invalid", "render", "impure", "incompatible", "warning"), message: Schema.String }),
  ),
  /** Tasks that wait for outputs which are not there yet. */
  pending: strings,
  /** With `--against`: how the plan differs from that of the run. */
  difference: Schema.NullOr(Schema.Struct({ kept: strings, added: strings, gone: strings, changed: strings })),
})

/** `approve`, `deny`, `answer`, `signal`, `cancel`, `pause`, `unpause`, `retry`, `cancel-node` and `complete-node` */
export const Told = Schema.Struct({
  runId: Schema.String,
  command: Schema.String,
  nodeId: Schema.NullOr(Schema.String),
  iteration: Schema.NullOr(Schema.Number),
  /** Of `approve`, `deny` and `answer`: what was asked, and who said what to it, and when. An answer is neither approved nor noted. */
  requestId: Schema.optional(Schema.String),
  request: Schema.optional(Schema.Unknown),
  approved: Schema.optional(Schema.Boolean),
  by: Schema.optional(Schema.NullOr(Schema.String)),
  note: Schema.optional(Schema.NullOr(Schema.String)),
  at: Schema.optional(Schema.Number),
  /** Of `signal`: the signals that the run waited for when this one was sent, and whether it was one of them. */
  isAwaited: Schema.optional(Schema.Boolean),
  awaits: Schema.optional(Schema.Array(Schema.Struct({ ...node, name: Schema.String, correlation: Schema.NullOr(Schema.String) }))),
  /** Whether a process works on the run, which hears of it at once, or has ended it by now. */
  isHeard: Schema.Boolean,
  /** Of `cancel`, where the run has ended: what could not be undone. */
  uncompensated: Schema.optional(Schema.Array(Uncompensated)),
  /** Commands that take the run up, or carry its cancellation out, where nobody works on it. */
  next: strings,
})

/** `inbox` */
export const Inbox = Schema.Struct({
  db: Schema.String,
  waits: Schema.Array(Schema.Struct({ ...RunReader.WaitSummary.fields, commands: strings })),
})

/** `down` */
export const Down = Schema.Struct({
  runs: strings,
  /** Those that nobody works on, and that have something to undo before they end. */
  pending: strings,
  /** The command that carries that out. */
  next: strings,
})

/** A line of `supervise`. */
export const Supervised = Schema.Struct({
  at: Schema.Number,
  action: Schema.Literal("watching", "resumed", "settled", "refused", "gave-up", "skipped", "would-resume", "summary"),
  runId: Schema.NullOr(Schema.String),
  workflow: Schema.NullOr(Schema.String),
  message: Schema.String,
  /** Of `settled` and `refused`: how the child ended. */
  exitCode: Schema.NullOr(Schema.Number),
  /** Of `refused`: when it is tried again. */
  again: Schema.NullOr(Schema.Number),
  /** Of `summary`: how often each other action was taken. */
  counts: Schema.NullOr(Schema.Record({ key: Schema.String, value: Schema.Number })),
})

/** `workflow list` */
export const Workflows = Schema.Struct({
  root: Schema.String,
  workflows: Schema.Array(Schema.Struct({ name: Schema.String, path: Schema.String })),
})

/** `init` */
export const Initialised = Schema.Struct({
  folder: Schema.String,
  /** Paths in the folder. */
  written: Schema.Array(Schema.String),
  kept: Schema.Array(Schema.String),
  /** Command lines. */
  next: Schema.Array(Schema.String),
})

/** `workflow path` and `workflow create` */
export const WorkflowPath = Schema.Struct({ name: Schema.String, path: Schema.String })

/** `db path` */
export const DatabasePath = Schema.Struct({ db: Schema.String })

/** `db check` */
export const DatabaseChecked = Schema.Struct({
  db: Schema.String,
  bytes: Schema.Number,
  /** The version of SQLite that the command uses. */
  sqlite: Schema.String,
  runs: Schema.Number,
  /** What SQLite, or we, found wrong; empty where all is well. */
  problems: strings,
})

/** `db vacuum` */
export const Vacuumed = Schema.Struct({ db: Schema.String, bytesBefore: Schema.Number, bytesAfter: Schema.Number })

/** `db prune` */
export const Pruned = Schema.Struct({
  db: Schema.String,
  isDryRun: Schema.Boolean,
  /** Runs that ended before this time were looked at. */
  before: Schema.Number,
  pruned: strings,
  kept: Schema.Array(Schema.Struct({ runId: Schema.String, why: Schema.String })),
})

/** `completions` */
export const Completions = Schema.Struct({ shell: Schema.String, script: Schema.String })
