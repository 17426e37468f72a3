/**
 * Schemas of the `--json` output of commands. `docs/cli.schema.json` is generated from them, and tests check every command against
 * them. Fields are only ever added. Times are epoch milliseconds.
 */

import * as Journal from "@smithers/core/AgentJournal"
import { Account } from "@smithers/core/Budget"
import { UsageRow } from "@smithers/core/Charges"
import { StoredGeneration } from "@smithers/core/CodeGeneration"
import * as Errors from "@smithers/core/Errors"
import { Limit } from "@smithers/core/Limits"
import * as Memory from "@smithers/core/Memory"
import * as PlanBounds from "@smithers/core/PlanBounds"
import { PublishedEvent } from "@smithers/core/Published"
import * as Replay from "@smithers/core/ReplayFinding"
import * as RunAt from "@smithers/core/RunAt"
import { RunEvent, StrayRead } from "@smithers/core/RunEvent"
import * as RunReader from "@smithers/core/RunReader"
import { Schedule, Tick } from "@smithers/core/Schedules"
import { Score } from "@smithers/core/Scores"
import { SlotWait, StoredLimit } from "@smithers/core/Slots"
import { Snapshot } from "@smithers/core/Snapshots"
import * as Status from "@smithers/core/Status"
import * as Timeline from "@smithers/core/Timeline"
import { compareAttempts, compareRuns } from "@smithers/server/operations/comparing"
import { Described, Forked as ForkedRun, Reverted as RevertedRun } from "@smithers/server/operations/WorkflowFiles"
import { GraphNode } from "@smithers/server/views/PlanTree"
import { WhyReason } from "@smithers/server/views/Why"
import * as Schema from "effect/Schema"

const strings = Schema.Array(Schema.String)
const node = { nodeId: Schema.String, iteration: Schema.Number }

const named =
  (identifier: string) =>
  <A, I>(schema: Schema.Schema<A, I>): Schema.Schema<A, I> =>
    schema.annotations({ identifier })

// Named schemas, so that the document defines each of them once.
const printed = <Fields extends Schema.Struct.Fields>({ fields }: { readonly fields: Fields }) =>
  Schema.Struct({ ...fields, message: Schema.String })
/** Failure of a run, with its message. Only errors of a command have a `tag`. */
const Failure = named("Failure")(
  Schema.Union(
    // Anyone who can run a command on a store can read all of it, stacks included.
    printed({ fields: { ...Errors.StepFailed.fields, error: Errors.ErrorInfo } }),
    printed(Errors.StepTimedOut),
    printed(Errors.CrashLoop),
    printed(Errors.LoopLimitReached),
    printed(Errors.EndlessPass),
    printed(Errors.UnsettledRead),
    printed(Errors.RunTimedOut),
    printed(Errors.CompensationFailed),
  ),
)

/** The failure of a run, as it is printed. */
export type ShownFailure = typeof Failure.Type

const Uncompensated = named("Uncompensated")(Errors.Uncompensated)
const Run = named("Run")(RunReader.RunSummary)
const Wait = named("Wait")(RunReader.WaitSummary)
const BoundInForce = named("BoundInForce")(PlanBounds.BoundInForce)
const Attempt = named("Attempt")(RunReader.AttemptSummary)
const Node = named("Node")(Schema.Struct({ ...RunReader.NodeSummary.fields, output: Schema.optional(Schema.Unknown) }))

/** Summary of an open wait of the run or, with `runId`, of a child run that it waits for. */
const ShortWait = Schema.Struct({
  runId: Schema.optional(Schema.String),
  ...node,
  kind: Schema.String,
  deadline: Schema.NullOr(Schema.Number),
})

/** What calls of models have used, added up. Costs are in US dollars. */
const Total = Schema.Struct({
  calls: Schema.Number,
  tokens: Schema.Number,
  /** Sum of the known costs. */
  cost: Schema.Number,
  /** Calls whose price is not known. */
  unpriced: Schema.Number,
  /** Calls in flight or cut off, whose use is not known. */
  unknown: Schema.Number,
})

/** `ps` */
export const Runs = Schema.Struct({
  db: Schema.String,
  runs: Schema.Array(
    Schema.Struct({
      ...RunReader.RunSummary.fields,
      /** Time since which it is stuck (epoch ms), in a list of stuck runs. */
      stuckSince: Schema.optional(Schema.Number),
      waits: Schema.Array(ShortWait),
      /** Slots of limits that a run waits for which was released meanwhile. */
      slots: Schema.optional(Schema.Array(SlotWait)),
      /** What its agents and those of its child runs have used. */
      usage: Total,
    }),
  ),
  /** `true` if there are older runs beyond `--limit`. */
  hasMore: Schema.Boolean,
})

/** `up` */
export const Stopped = Schema.Struct({
  runId: Schema.String,
  status: Status.ResultStatus,
  output: Schema.optional(Schema.Unknown),
  /** Loops that reached `maxIterations` before `until` held, if any. */
  exhausted: Schema.optional(Schema.Array(Schema.Struct({ ...node, passes: Schema.Number }))),
  /** Reads that found no output since no task has the id, if any. */
  strayReads: Schema.optional(Schema.Array(StrayRead)),
  error: Schema.optional(Failure),
  reason: Schema.optional(Schema.String),
  /** Steps of its sagas, and of those of its child runs, that could not be undone. Set once the run has ended. */
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
  /** Slots of limits that it waits for, if any. */
  slots: Schema.optional(Schema.Array(SlotWait)),
  /** Commands that continue the run. */
  next: strings,
})

/** `up --detach` */
export const Detached = Schema.Struct({ runId: Schema.String, pid: Schema.Number, log: Schema.String })

/** `up`, `fork` */
export const StoppedOrDetached = Schema.Union(Stopped, Detached)

/** `inspect` */
export const Inspected = Schema.Struct({
  run: Run,
  input: Schema.optional(Schema.Unknown),
  output: Schema.optional(Schema.Unknown),
  failure: Schema.NullOr(Failure),
  /** Steps of its sagas, and of those of its attached child runs, that could not be undone. */
  uncompensated: Schema.optional(Schema.Array(Uncompensated)),
  nodes: Schema.Array(Node),
  waits: Schema.Array(Wait),
  /** Bounds of the nodes of its plan that are in force, set or by default. */
  bounds: Schema.Array(BoundInForce),
  /** Slots of limits that steps and calls of agents wait for, if there are any. */
  slots: Schema.optional(Schema.Array(SlotWait)),
  /** Snapshots of workspaces around its attempts, if there are any. */
  snapshots: Schema.optional(Schema.Array(Snapshot)),
  /** Generations of its code, oldest first, if it was watched. */
  generations: Schema.optional(Schema.Array(StoredGeneration)),
})

/** `node` */
export const InspectedNode = Schema.Struct({
  runId: Schema.String,
  nodeId: Schema.String,
  /** One record per iteration. */
  nodes: Schema.Array(Node),
  attempts: Schema.Array(Attempt),
  waits: Schema.Array(Wait),
  /** Snapshots of workspaces around its attempts, if there are any. */
  snapshots: Schema.optional(Schema.Array(Snapshot)),
})

/** A line of `chat`. `runId` is the run that holds it: of what a fork has inherited, the one that it comes from. */
export const ChatEntry = Schema.Struct({ runId: Schema.String, agent: Schema.String, ...Journal.TranscriptEntry.fields })

/** `tools` */
export const ToolCalls = Schema.Struct({
  runId: Schema.String,
  /** With the run that holds each: of what a fork has inherited, the one that it comes from. */
  calls: Schema.Array(Schema.Struct({ ...Journal.ToolCallRecord.fields, agent: Schema.String, runId: Schema.String })),
})

/** `costs` */
export const Costs = Schema.Struct({
  runId: Schema.optional(Schema.String),
  /** By run, step, agent and model or tool. */
  usage: Schema.Array(UsageRow),
  total: Total,
  /** Budgets of the run that have been drawn on. */
  budgets: Schema.Array(Account),
})

/** `budget` */
export const Budgets = Schema.Struct({ runId: Schema.String, budgets: Schema.Array(Account) })

/** A line of `logs` and `events`. */
export const Event = Schema.Struct({ ...RunReader.LoggedEvent.fields, event: named("RunEvent")(RunEvent) })

/** `timeline`: a frame */
export const Frame = Schema.Struct({
  ...Timeline.TimelineFrame.fields,
  events: Schema.Array(named("RunEvent")(RunEvent)),
  /** Its events in words, one line each. */
  texts: strings,
})

/** `why` */
export const Reason = Schema.Struct({
  runId: Schema.String,
  status: Status.ShownStatus,
  /** The state that blocks the run, for programs. */
  reason: WhyReason,
  sentence: Schema.String,
  /** Commands that unblock it, best first; empty if there is nothing to do. */
  commands: strings,
  /** Requests to the people that the commands are for. */
  requests: Schema.Array(Wait),
  /** Stored signals that no wait has consumed, with the waits they nearly match and the mismatch. */
  signals: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      name: Schema.String,
      correlation: Schema.NullOr(Schema.String),
      refusals: Schema.Array(Schema.Struct({ ...node, issues: strings })),
    }),
  ),
  /** The code that it is at work with, or was, if that was watched. */
  code: Schema.optional(StoredGeneration),
})

/** `output` */
export const Output = Schema.Struct({
  runId: Schema.String,
  nodeId: Schema.NullOr(Schema.String),
  iteration: Schema.NullOr(Schema.Number),
  output: Schema.optional(Schema.Unknown),
})

/** `graph` */
export const Graph = Schema.Struct({
  workflow: Schema.String,
  runId: Schema.NullOr(Schema.String),
  roots: Schema.Array(GraphNode),
  /** Bounds of its nodes that are in force, set or by default. */
  bounds: Schema.Array(BoundInForce),
})

const { plan: _, failure: __, ...momentFields } = RunAt.RunAt.fields

/** `show` */
export const Moment = Schema.Struct({
  ...momentFields,
  failure: Schema.NullOr(Failure),
  nodes: Schema.Array(Node),
  waits: Schema.Array(Wait),
  /** The plan, with the status of each node in its latest iteration. */
  roots: Schema.Array(GraphNode),
})

/** `diff`: two runs or two moments, or with `--node` two attempts at a step. `files` if snapshots were taken of both */
export const Difference = Schema.Union(compareRuns.output, compareAttempts.output)

/** `check` */
export const Checked = Schema.Struct({
  workflow: Schema.String,
  file: Schema.String,
  steps: Schema.Number,
  /** Problems, and as `warning` what is allowed but may not be intended. Empty if there are none. */
  problems: Schema.Array(
    Schema.Struct({ kind: Schema.Literal("invalid", "render", "impure", "incompatible", "warning"), message: Schema.String }),
  ),
  /** Tasks that wait for outputs which do not exist yet. */
  pending: strings,
  /** Difference to the plan of the run. Set with `--against`. */
  difference: Schema.NullOr(Schema.Struct({ kept: strings, added: strings, removed: strings, changed: strings })),
})

const ReplayFinding = named("ReplayFinding")(Replay.ReplayFinding)

/** One run of `replay`. */
export const ReplayedRun = Schema.Struct({
  runId: Schema.String,
  workflow: Schema.String,
  status: Schema.String,
  /** The run whose child run it is. */
  parent: Schema.NullOr(Schema.String),
  isChanged: Schema.Boolean,
  /** The reason it cannot be replayed. */
  problem: Schema.NullOr(Schema.String),
  findings: Schema.Array(Schema.Struct({ message: Schema.String, finding: ReplayFinding })),
  /** Number of tasks and waits that were compared. */
  compared: Schema.Number,
  /** Tasks and waits (`<node>/<iteration>`) that depend on something that differs. */
  unreached: strings,
  /** Tasks whose prompt cannot be compared, with the reason. */
  uncompared: Schema.Array(Schema.Struct({ key: Schema.String, reason: Schema.String })),
})

/** `replay` */
export const Replayed = Schema.Struct({
  runs: Schema.Array(ReplayedRun),
  /** Number of runs that would change, and of runs that cannot be replayed. */
  changed: Schema.Number,
  problems: Schema.Number,
})

/** `approve`, `deny`, `answer`, `signal`, `cancel`, `pause`, `unpause`, `retry`, `cancel-node` and `complete-node` */
export const CommandReceipt = Schema.Struct({
  runId: Schema.String,
  command: Schema.String,
  nodeId: Schema.NullOr(Schema.String),
  iteration: Schema.NullOr(Schema.Number),
  /**
   * The request, the decision, its author and its time, for `approve`, `deny` and `answer`. An answer has neither a verdict nor a
   * note.
   */
  requestId: Schema.optional(Schema.String),
  request: Schema.optional(Schema.Unknown),
  approved: Schema.optional(Schema.Boolean),
  by: Schema.optional(Schema.NullOr(Schema.String)),
  note: Schema.optional(Schema.NullOr(Schema.String)),
  at: Schema.optional(Schema.Number),
  /** Waits for signals that were open when the signal was sent, and `isAwaited` if it matches one. Set by `signal`. */
  isAwaited: Schema.optional(Schema.Boolean),
  awaits: Schema.optional(Schema.Array(Schema.Struct({ ...node, name: Schema.String, correlation: Schema.NullOr(Schema.String) }))),
  /** `true` if a process works on the run, which receives the command at once, or has ended it. */
  isDelivered: Schema.Boolean,
  /** Steps that could not be undone. Set by `cancel` once the run has ended. */
  uncompensated: Schema.optional(Schema.Array(Uncompensated)),
  /** Nodes whose `finally` has not run to its end. Set by `cancel --force`. */
  unfinished: Schema.optional(Schema.Array(Schema.Struct({ runId: Schema.optional(Schema.String), ...node }))),
  /** Commands that resume the run, or carry out its cancellation, if no process works on it. */
  next: strings,
})

/** `fork` */
export const Forked = Schema.Struct({
  ...ForkedRun.fields,
  /** Commands to run next. */
  next: strings,
})

/** `revert` */
export const Reverted = Schema.Struct({
  ...RevertedRun.fields,
  /** Commands to run next. */
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
  /** Runs that no process works on and that have to undo steps before they end. */
  pending: strings,
  /** The command that undoes these steps. */
  next: strings,
})

/** A line of `supervise`. */
export const Supervised = Schema.Struct({
  at: Schema.Number,
  action: Schema.Literal("watching", "resumed", "settled", "refused", "gave-up", "skipped", "fired", "would-resume", "summary"),
  runId: Schema.NullOr(Schema.String),
  workflow: Schema.NullOr(Schema.String),
  message: Schema.String,
  /** Exit code of the child process, for `settled` and `refused`. */
  exitCode: Schema.NullOr(Schema.Number),
  /** Time of the next retry, for `refused`. */
  retryAt: Schema.NullOr(Schema.Number),
  /** Number of actions of each other kind, for `summary`. */
  counts: Schema.NullOr(Schema.Record({ key: Schema.String, value: Schema.Number })),
})

/** `schedule add`, `schedule pause` and `schedule unpause` */
export const StoredSchedule = Schema.Struct({ db: Schema.String, schedule: Schedule })

/** `schedule list` */
export const ScheduleList = Schema.Struct({ db: Schema.String, schedules: Schema.Array(Schedule) })

/** `schedule show` */
export const ShownSchedule = Schema.Struct({
  db: Schema.String,
  schedule: Schedule,
  next: Schema.Array(Schema.Number),
  last: Schema.Array(Tick),
  runs: Schema.Array(RunReader.RunSummary),
  problem: Schema.NullOr(Schema.String),
})

/** `schedule run-now` */
export const ScheduleTick = Schema.Struct({ db: Schema.String, tick: Tick })

/** `schedule rm` */
export const ScheduleRemoved = Schema.Struct({ db: Schema.String, scheduleId: Schema.String })

/** `publish` */
export const Published = Schema.Struct({ db: Schema.String, event: PublishedEvent })

/** `published` */
export const PublishedList = Schema.Struct({ db: Schema.String, events: Schema.Array(PublishedEvent), hasMore: Schema.Boolean })

/** `mcp add` */
export const McpClients = Schema.Struct({
  clients: Schema.Array(Schema.Struct({ client: Schema.String, place: Schema.String, text: Schema.String })),
})

/** The first line of `serve` and `ui`. */
const Listening = Schema.Struct({
  action: Schema.Literal("listening"),
  at: Schema.Number,
  url: Schema.String,
  /** File of the owner's token. */
  tokenFile: Schema.String,
  db: Schema.String,
  /** Folder of the project, whose workflows can be started. */
  root: Schema.String,
  pid: Schema.Number,
})

/** A line of `serve` and `ui`: the address, then with --supervise the lines of `supervise`. */
export const Serving = Schema.Union(Listening, Supervised)

const tokenFields = {
  name: Schema.String,
  scope: Schema.String,
  /** Run that its holder works in, and whose requests it never decides. */
  runId: Schema.NullOr(Schema.String),
}

/** `token add` */
export const TokenAdded = Schema.Struct({ ...tokenFields, token: Schema.String })

/** `token list` */
export const TokenList = Schema.Struct({ tokens: Schema.Array(Schema.Struct({ ...tokenFields, createdAt: Schema.Number })) })

const hookFields = { workflow: Schema.NullOr(Schema.String), signal: Schema.String }

/** `hook add` */
export const HookAdded = Schema.Struct({ ...hookFields, path: Schema.String, secret: Schema.String })

/** `hook list` */
export const HookList = Schema.Struct({
  hooks: Schema.Array(Schema.Struct({ ...hookFields, path: Schema.String, createdAt: Schema.Number })),
})

/** `hook rm` */
export const HookRemoved = Schema.Struct(hookFields)

/** `token rm` */
export const TokenRemoved = Schema.Struct({ name: Schema.String })

/** `workflow list` */
export const Workflows = Schema.Struct({
  root: Schema.String,
  workflows: Schema.Array(Schema.Struct({ name: Schema.String, path: Schema.String })),
})

/** `init --list` */
export const TemplateList = Schema.Struct({
  templates: Schema.Array(Schema.Struct({ name: Schema.String, summary: Schema.String })),
})

/** `init` */
export const Initialised = Schema.Struct({
  folder: Schema.String,
  templates: Schema.Array(Schema.String),
  /** Paths relative to the folder. */
  written: Schema.Array(Schema.String),
  overwritten: Schema.Array(Schema.String),
  kept: Schema.Array(Schema.String),
  /** Commands to run next. */
  next: Schema.Array(Schema.String),
})

export const Init = Schema.Union(Initialised, TemplateList)

/** `workflow doctor` */
export const Examined = Schema.Struct({
  root: Schema.String,
  /** Number of workflows of the project. */
  workflows: Schema.Number,
  findings: Schema.Array(
    Schema.Struct({
      check: Schema.Literal("runtime", "packages", "copies", "tsconfig", "prompts", "ignored", "database", "workflows"),
      status: Schema.Literal("problem", "warning"),
      file: Schema.NullOr(Schema.String),
      message: Schema.String,
      repair: Schema.String,
    }),
  ),
})

/** `eject` */
export const Ejected = Schema.Struct({ pattern: Schema.String, path: Schema.String })

/** `workflow path` and `workflow create` */
export const WorkflowPath = Schema.Struct({ name: Schema.String, path: Schema.String })

/** `workflow show` */
export const WorkflowShown = Described

/** `agents` */
export const Agents = Schema.Struct({
  /** Isolation that the programs were started under. */
  isolation: Schema.String,
  agents: Schema.Array(
    Schema.Struct({
      /** Function that makes the agent. */
      agent: Schema.String,
      product: Schema.String,
      program: Schema.String,
      /** File of the program; null if it is not installed. */
      path: Schema.NullOr(Schema.String),
      version: Schema.NullOr(Schema.String),
      /** Null if the program does not say. */
      isLoggedIn: Schema.NullOr(Schema.Boolean),
      abilities: Schema.Struct({
        schema: Schema.Boolean,
        resume: Schema.Boolean,
        budget: Schema.Boolean,
        usage: Schema.Boolean,
      }),
      /** Reason why a program that is installed gave no answer. */
      problem: Schema.NullOr(Schema.String),
      /** Command that installs the program or logs in. */
      repair: Schema.NullOr(Schema.String),
    }),
  ),
})

/** `db path` */
export const DatabasePath = Schema.Struct({ db: Schema.String })

/** `db check` */
export const DatabaseChecked = Schema.Struct({
  db: Schema.String,
  /** Version of its tables. */
  layout: Schema.Number,
  bytes: Schema.Number,
  /** Version of SQLite that the command uses. */
  sqlite: Schema.String,
  runs: Schema.Number,
  /** Problems that SQLite or smithers has found; empty if there are none. */
  problems: strings,
})

/** `db vacuum` */
export const Vacuumed = Schema.Struct({ db: Schema.String, bytesBefore: Schema.Number, bytesAfter: Schema.Number })

/** `db prune` */
export const Pruned = Schema.Struct({
  db: Schema.String,
  isDryRun: Schema.Boolean,
  /** Only runs that ended before this time are pruned. */
  before: Schema.Number,
  pruned: strings,
  /** The sandboxes that the pruned runs have left. */
  sandboxes: Schema.Array(Schema.Struct({ runId: Schema.String, directory: Schema.String })),
  kept: Schema.Array(Schema.Struct({ runId: Schema.String, reason: Schema.String })),
})

/** `limit list` */
export const LimitList = Schema.Struct({ db: Schema.String, limits: Schema.Array(StoredLimit) })

/** `limit set` */
export const LimitConfigured = Schema.Struct({ db: Schema.String, name: Schema.String, limit: Limit })

/** `cache list` */
export const Cached = Schema.Struct({
  db: Schema.String,
  outputs: Schema.Array(
    Schema.Struct({
      workflow: Schema.String,
      nodeId: Schema.String,
      /** The run that gave it, and the iteration of the node there. */
      runId: Schema.String,
      iteration: Schema.Number,
      at: Schema.Number,
      /** `true` if all steps of the store can take it over. */
      isShared: Schema.Boolean,
    }),
  ),
  /** `true` if there are older outputs beyond `--limit`. */
  hasMore: Schema.Boolean,
})

/** `cache clear` */
export const CacheCleared = Schema.Struct({ db: Schema.String, count: Schema.Number })

/** `memory get`, `memory set` */
export const Fact = Schema.Struct({ db: Schema.String, fact: Memory.Fact })

/** `memory list`, `memory search` */
export const Facts = Schema.Struct({
  db: Schema.String,
  facts: Schema.Array(Memory.Fact),
  /** `true` if there are more facts beyond `--limit`. */
  hasMore: Schema.Boolean,
})

/** `memory delete` */
export const FactsDeleted = Schema.Struct({ db: Schema.String, count: Schema.Number })

/** `scores` */
export const Scores = Schema.Struct({ runId: Schema.String, scores: Schema.Array(Score) })

/** `completions` */
/** The numbers of a store, and the same as text for Prometheus. */
export const Metrics = Schema.Struct({ ...RunReader.StoreStatistics.fields, text: Schema.String })

export const Completions = Schema.Struct({ shell: Schema.String, script: Schema.String })
