/**
 * The events of a run, in the past tense. A run changes only by events: they are folded into its `RunState`, committed with
 * their frame, and stored as the log. The log leaves out inputs, outputs, the turns of agents and the reads of nodes, which
 * have tables of their own.
 */

import * as Schema from "effect/Schema"
import { AgentTurn } from "./Agent.ts"
import { ErrorInfo, RunFailure, Uncompensated } from "./Errors.ts"
import * as Later from "./Later.ts"
import { Millis } from "./Millis.ts"
import * as Status from "./Status.ts"

/** Encoded JSON; absent if the schema's value has no JSON form (`Schema.Void`). */
const Stored = Schema.optional(Schema.Unknown)

/** Kinds of waits. `quota`: a limit of an agent has to pass. */
export const WaitKind = Schema.Literal("approval", "human", "signal", "timer", "subflow", "quota")
export type WaitKind = typeof WaitKind.Type

/** Kinds of waits, and `retry` for a failed step that waits for its next attempt. */
export const PendingKind = Schema.Literal(...WaitKind.literals, "retry")
export type PendingKind = typeof PendingKind.Type

const node = { nodeId: Schema.String, iteration: Schema.Number }
const attempt = { ...node, attempt: Schema.Number }

/**
 * Rows of other nodes (`<node>/<iteration>`) that a node has read other than by its needs, if there are new ones. A reset of
 * one of them resets the node too.
 */
const reads = Schema.optional(Schema.Array(Schema.String))

/** The cause of a permanent failure: its place and its error. A boundary catches it, or the run fails with it. */
export const FailureCause = Schema.Struct({
  ...node,
  reason: Schema.Union(
    Schema.TaggedStruct("Error", { error: ErrorInfo }),
    /** `isDefault`: the loop sets no `maxIterations`; the number is the default of components. */
    Schema.TaggedStruct("LoopLimit", { maxIterations: Schema.Number, isDefault: Schema.optional(Schema.Boolean) }),
    /** A pass has mounted new tasks too often. `nodeIds`: the last ones, after one that was mounted before. */
    Schema.TaggedStruct("EndlessPass", { nodeIds: Schema.Array(Schema.String) }),
    /** Nothing is left to run, and the plan depends on an output that does not exist. */
    Schema.TaggedStruct("Unsettled", {
      read: Schema.Struct({ nodeId: Schema.optional(Schema.String), table: Schema.optional(Schema.String) }),
    }),
  ),
})
export type FailureCause = typeof FailureCause.Type

/** Calls of agents in the attempt, with their replies. */
const turns = Schema.optional(Schema.Array(AgentTurn))

export const RunStarted = Schema.TaggedStruct("RunStarted", {
  workflow: Schema.String,
  version: Schema.optional(Schema.String),
  input: Stored,
  /** Time before which nothing of the run begins. */
  startAt: Schema.optional(Millis),
  /** The trace of the run's start, if it was traced; later traces link to it. */
  trace: Schema.optional(Schema.Struct({ traceId: Schema.String, spanId: Schema.String })),
})

/** A process resumed the run. The counts compare its plan with the stored one. */
export const RunResumed = Schema.TaggedStruct("RunResumed", {
  epoch: Schema.Number,
  kept: Schema.Number,
  added: Schema.Number,
  removed: Schema.Number,
})

/**
 * A run began as a copy of run `from`, as it was right after event `seq` of frame `frame`, `at` that time (epoch ms). Its own events are numbered on
 * from there.
 */
export const RunForked = Schema.TaggedStruct("RunForked", {
  from: Schema.String,
  frame: Schema.Number,
  seq: Schema.Number,
  at: Millis,
  /** Time by which it must finish: what was left at the cut. */
  deadline: Schema.optional(Millis),
  by: Schema.optional(Schema.String),
})

/** The plan differs from that of the previous frame. Lists hold node ids. */
export const PlanChanged = Schema.TaggedStruct("PlanChanged", {
  mounted: Schema.Array(Schema.String),
  unmounted: Schema.Array(Schema.String),
  changed: Schema.Array(Schema.String),
})

/**
 * The run goes on with new code, generation `codeGeneration`. The counts compare its plan with that of the code before. Attempts in flight end with
 * the code that they began with.
 */
export const CodeReloaded = Schema.TaggedStruct("CodeReloaded", {
  codeGeneration: Schema.Number,
  kept: Schema.Number,
  added: Schema.Number,
  removed: Schema.Number,
})

/**
 * The run was taken back to before an attempt; with `undoes` that was undone. An ended run is open again. The resets of nodes, or the outputs
 * that are back, follow it in the same frame.
 */
export const RunReverted = Schema.TaggedStruct("RunReverted", {
  to: Schema.Struct(attempt),
  /** The commit that the files are as of; absent where files were left alone. */
  commit: Schema.optional(Schema.String),
  /** Number of the revert that is undone. */
  undoes: Schema.optional(Schema.Number),
  by: Schema.optional(Schema.String),
})

/** `codeGeneration`: the code that it runs; absent for the code that the run began with. */
export const AttemptStarted = Schema.TaggedStruct("AttemptStarted", {
  ...attempt,
  reads,
  codeGeneration: Schema.optional(Schema.Number),
})

/** `output` is encoded; `table` is the table that stores it. A compensation has neither. */
export const AttemptSucceeded = Schema.TaggedStruct("AttemptSucceeded", {
  ...attempt,
  table: Schema.optional(Schema.String),
  output: Stored,
  /** `true` if the output came from the cache. */
  isCached: Schema.optional(Schema.Boolean),
  /** Id of the run that the output was taken over from. */
  cachedFrom: Schema.optional(Schema.String),
  /** `true` if no code ran: whoever forked the run gave the output. */
  isSet: Schema.optional(Schema.Boolean),
  turns,
  reads,
})

/**
 * `retryAt` (epoch ms) is when the next attempt is due. Without it the node has failed for good; with `soft` the run tolerates
 * that.
 */
export const AttemptFailed = Schema.TaggedStruct("AttemptFailed", {
  ...attempt,
  error: ErrorInfo,
  retryAt: Schema.optional(Millis),
  isSoft: Schema.optional(Schema.Boolean),
  heartbeat: Schema.optional(Schema.Unknown),
  turns,
  reads,
})

/**
 * An attempt ended without a result. Only `crash` counts towards a crash loop; none uses up a retry. `suspended`: it requested a wait,
 * and the next attempt continues it.
 */
export const AttemptInterrupted = Schema.TaggedStruct("AttemptInterrupted", {
  ...attempt,
  reason: Schema.Literal("crash", "shutdown", "fail-fast", "cancelled", "reset", "suspended"),
  /** `true` if it or one of the attempts before it had stored replies of an agent or results of tools: earlier crashes do not count then. */
  hasProgress: Schema.optional(Schema.Boolean),
  heartbeat: Schema.optional(Schema.Unknown),
  turns,
})

/** A node failed without an attempt: a predicate threw, or too many processes crashed while it ran. */
export const NodeFailed = Schema.TaggedStruct("NodeFailed", { ...node, error: ErrorInfo, isSoft: Schema.optional(Schema.Boolean) })

/**
 * A wait began. `request` is its content for people, and `digest` identifies it. `name` and `correlation` are those of a
 * signal. `deadline` (epoch ms) is when a timer fires or another wait times out. A second event for the same node replaces the
 * request and drops any decision about the first. With `isKept` it reopens a wait that was withdrawn with its run, and the
 * decision counts. `isOfAttempt`: an attempt of a step requested it.
 */
export const WaitStarted = Schema.TaggedStruct("WaitStarted", {
  ...node,
  kind: WaitKind,
  request: Schema.optional(Schema.Unknown),
  digest: Schema.optional(Schema.String),
  name: Schema.optional(Schema.String),
  correlation: Schema.optional(Schema.String),
  deadline: Schema.optional(Millis),
  isKept: Schema.optional(Schema.Boolean),
  isOfAttempt: Schema.optional(Schema.Boolean),
  reads,
})

/** Time at which a person submitted the command (epoch ms), possibly long before the run applied it. */
const submittedAt = Schema.optional(Millis)

/** A pause moved the deadline of an open wait. */
export const DeadlineMoved = Schema.TaggedStruct("DeadlineMoved", { ...node, deadline: Millis })

/** A request was approved, with the key of the option that was selected, or denied. */
export const ApprovalDecided = Schema.TaggedStruct("ApprovalDecided", {
  ...node,
  approved: Schema.Boolean,
  selected: Schema.optional(Schema.String),
  note: Schema.optional(Schema.String),
  by: Schema.optional(Schema.String),
  submittedAt,
})

/** An answer was submitted; it is not validated yet. */
export const TaskAnswered = Schema.TaggedStruct("TaskAnswered", {
  ...node,
  value: Schema.Unknown,
  by: Schema.optional(Schema.String),
  submittedAt,
})

/** The oldest unchecked answer does not match the schema of its request. The wait stays open. */
export const AnswerRefused = Schema.TaggedStruct("AnswerRefused", { ...node, issues: Schema.Array(Schema.String) })

/** A signal arrived. It is kept until a wait takes it. */
export const SignalReceived = Schema.TaggedStruct("SignalReceived", {
  id: Schema.String,
  name: Schema.String,
  correlation: Schema.optional(Schema.String),
  payload: Schema.optional(Schema.Unknown),
  submittedAt,
})

/** A signal does not match the schema of a wait. The wait stays open, and the signal is kept for other waits. */
export const SignalRefused = Schema.TaggedStruct("SignalRefused", {
  ...node,
  signalId: Schema.String,
  issues: Schema.Array(Schema.String),
})

/** A child run ended. `output` is encoded; `uncompensated` lists the steps it could not undo, with the ids of their runs. */
export const SubflowEnded = Schema.TaggedStruct("SubflowEnded", {
  ...node,
  status: Status.OutcomeStatus,
  output: Stored,
  error: Schema.optional(ErrorInfo),
  uncompensated: Schema.optional(Schema.Array(Uncompensated)),
})

/**
 * A wait ended: with an output, without one (`skipped`), or as a failure. `passed`: it was the gate of a step, which starts
 * now. `signalId` is the signal it took.
 */
export const WaitEnded = Schema.TaggedStruct("WaitEnded", {
  ...node,
  reason: Schema.Literal("decided", "answered", "signalled", "fired", "timed-out", "ended", "started"),
  status: Schema.Literal(...Status.SettledStatus.literals, "passed"),
  table: Schema.optional(Schema.String),
  output: Stored,
  error: Schema.optional(ErrorInfo),
  /** Author and time of the answer. */
  by: Schema.optional(Schema.String),
  submittedAt,
  signalId: Schema.optional(Schema.String),
  reads,
})

export const NodeSkipped = Schema.TaggedStruct("NodeSkipped", { ...node, reads })

/**
 * Closed the wait or pending retry of a node. The node starts again if the plan reaches it again; earlier decisions and answers
 * do not count then. With `isKept`, a wait withdrawn with the whole run is reopened when the run resumes.
 */
export const NodeWithdrawn = Schema.TaggedStruct("NodeWithdrawn", {
  ...node,
  reason: Status.Withdrawal,
  isKept: Schema.optional(Schema.Boolean),
})

/** A request to leave a scope arrived. */
export const LeaveRequested = Schema.TaggedStruct("LeaveRequested", {
  ...node,
  outcome: Status.LeaveOutcome,
  reason: Schema.optional(Schema.String),
  by: Schema.optional(Schema.String),
  submittedAt,
})

/** The outcome and reason of leaving a scope early. */
export const Leaving = Schema.Struct({
  outcome: Status.LeaveOutcome,
  trigger: Status.LeaveTrigger,
  reason: Schema.optional(Schema.String),
  by: Schema.optional(Schema.String),
})
export type Leaving = typeof Leaving.Type

/** A request to leave a scope: its outcome, reason and author. */
export const LeaveRequest = Leaving.omit("trigger")
export type LeaveRequest = typeof LeaveRequest.Type

/** A scope, a saga or a try began. */
export const BoundaryStarted = Schema.TaggedStruct("BoundaryStarted", node)

/**
 * Stopped a boundary: nothing new starts in it. Something inside or around it failed for good or was cancelled (then without
 * `cause`), or it is left early (`left`). When the running attempts have ended, its steps are compensated, its `catch` begins
 * (`isCaught`), or its `finally` does.
 */
export const BoundaryHalted = Schema.TaggedStruct("BoundaryHalted", {
  ...node,
  cause: Schema.optional(FailureCause),
  isCaught: Schema.Boolean,
  /** `true` if its `finally` is given up too. */
  isFinallySkipped: Schema.optional(Schema.Boolean),
  left: Schema.optional(Leaving),
})

/**
 * Branches of a race won, in order; `winners` lists all so far. With `isOver` it is decided which parts of the race or list
 * count.
 */
export const PartsDecided = Schema.TaggedStruct("PartsDecided", {
  ...node,
  winners: Schema.optional(Schema.Array(Schema.String)),
  isDecided: Schema.optional(Schema.Boolean),
})

/** A boundary ended: completed, after catching a failure, after compensating, failed, or left early. */
export const BoundaryEnded = Schema.TaggedStruct("BoundaryEnded", {
  ...node,
  status: Status.LeftStatus,
})

/**
 * A node is to run again with a fresh retry budget; a loop or boundary from its beginning. Its open wait is dropped. `hasNewChild`:
 * a subflow starts a new child run instead of reusing the old one. `isUnapproved`: the approval before a step is requested again.
 */
export const NodeReset = Schema.TaggedStruct("NodeReset", {
  ...node,
  hasNewChild: Schema.optional(Schema.Boolean),
  isUnapproved: Schema.optional(Schema.Boolean),
})

/** A loop began pass number `pass` (from 0). The nodes inside have the `iteration` `base + pass`. */
export const LoopAdvanced = Schema.TaggedStruct("LoopAdvanced", { ...node, base: Schema.Number, pass: Schema.Number, reads })

/**
 * A render mounted new nodes in a running pass of a loop. `mounting` counts such renders of the pass. `isOmitted`: `until`
 * holds already, so they do not start. The first such event of a pass also lists the nodes mounted before (`first`). Nested
 * loops appear by their own ids.
 */
export const LoopMounted = Schema.TaggedStruct("LoopMounted", {
  ...node,
  initial: Schema.optional(Schema.Array(Schema.String)),
  mounted: Schema.Array(Schema.String),
  mountCount: Schema.Number,
  isOmitted: Schema.optional(Schema.Boolean),
  reads,
})

/** A loop ended: its `until` holds, or it made `maxIterations` passes. */
export const LoopFinished = Schema.TaggedStruct("LoopFinished", {
  ...node,
  reason: Schema.Literal("until", "maxIterations"),
  reads,
})

/** The run was paused: nothing new starts, and deadlines move. */
export const RunPaused = Schema.TaggedStruct("RunPaused", { by: Schema.optional(Schema.String), submittedAt })

/** The run was unpaused. Deadlines that the pause moved have events of their own. */
export const RunUnpaused = Schema.TaggedStruct("RunUnpaused", { by: Schema.optional(Schema.String), submittedAt })

/** The node that a run goes on as a new run by, and the input of that. `failures` counts the failed nodes before it. */
export const Continuation = Schema.Struct({ ...node, input: Stored, failures: Schema.Number })
export type Continuation = typeof Continuation.Type

export const CancelRequested = Schema.TaggedStruct("CancelRequested", {
  reason: Schema.optional(Schema.String),
  /** Set if its deadline has passed: the run then ends as failed. */
  deadline: Schema.optional(Schema.Number),
  /** Set if it goes on as a new run, once everything in flight has stopped. */
  continuation: Schema.optional(Continuation),
})

/** The time by which the run must have finished was set, or moved. */
export const DeadlineSet = Schema.TaggedStruct("DeadlineSet", { deadline: Millis })

/**
 * The source of a run's output: one row, a list of sources (null for a branch without one), a constant of the plan (`fixed`),
 * or an object of sources.
 */
export type OutputSource =
  | string
  | ReadonlyArray<OutputSource | null>
  | { readonly fixed: unknown }
  | { readonly fields: { readonly [name: string]: OutputSource | null } }
const Inner = Schema.NullOr(Schema.suspend((): Schema.Schema<OutputSource> => OutputSource))
const OutputSource: Schema.Schema<OutputSource> = Schema.Union(
  Schema.String,
  Schema.Array(Inner),
  // Before the one with a field that may be anything, also absent: any object would be taken for it.
  Schema.Struct({ fields: Schema.Record({ key: Schema.String, value: Inner }) }),
  Schema.Struct({ fixed: Schema.Unknown }),
).annotations({ identifier: "OutputSource" })

/** `from` names the rows (`<node>/<iteration>`) that gave the output, so that it can be read back without the plan. */
/** A read that can never find an output: no task of the run was ever the one it names, or gave the output it asks for. */
export const StrayRead = Schema.Struct({
  /** The task that it names. */
  nodeId: Schema.optional(Schema.String),
  /** The key of the output. */
  output: Schema.String,
  /** A task with a similar id, which was probably meant. */
  suggestion: Schema.optional(Schema.String),
})
export type StrayRead = typeof StrayRead.Type

/** Formats a stray read as a sentence. */
export const strayReadMessage = ({ nodeId, output, suggestion }: StrayRead): string => {
  const [read, nothing] =
    nodeId === undefined ? [`the output "${output}"`, "gave it"] : [`the output "${output}" of "${nodeId}"`, "has that id"]
  const instead = suggestion === undefined ? "check its name" : `did you mean "${suggestion}"?`
  return `${read} was read, and no task of the run ${nothing}: ${instead}`
}

/** Reads that found no node, if there are any. */
const stray = { strayReads: Schema.optional(Schema.Array(StrayRead)) }

/** `from` names the rows (`<node>/<iteration>`) that gave the output, so that it can be read back without the plan. */
export const RunFinished = Schema.TaggedStruct("RunFinished", { output: Stored, from: Schema.optional(OutputSource), ...stray })

export const RunFailed = Later.schema(() => Schema.TaggedStruct("RunFailed", { failure: RunFailure, ...stray }))

/** `uncompensated` lists the steps that sagas, also of child runs, could not undo. */
export const RunCancelled = Schema.TaggedStruct("RunCancelled", {
  reason: Schema.optional(Schema.String),
  uncompensated: Schema.optional(Schema.Array(Uncompensated)),
  ...stray,
})

/** The run goes on as another one, `successor`, with a history of its own. */
export const RunContinued = Schema.TaggedStruct("RunContinued", { successor: Schema.String, ...stray })

/** Any event of a run. */
export const RunEvent = Later.schema(() =>
  Schema.Union(
    RunStarted,
    RunForked,
    RunResumed,
    PlanChanged,
    CodeReloaded,
    RunReverted,
    AttemptStarted,
    AttemptSucceeded,
    AttemptFailed,
    AttemptInterrupted,
    NodeFailed,
    WaitStarted,
    DeadlineMoved,
    ApprovalDecided,
    TaskAnswered,
    AnswerRefused,
    SignalReceived,
    SignalRefused,
    SubflowEnded,
    WaitEnded,
    BoundaryStarted,
    LeaveRequested,
    PartsDecided,
    BoundaryHalted,
    BoundaryEnded,
    NodeSkipped,
    NodeWithdrawn,
    NodeReset,
    LoopAdvanced,
    LoopMounted,
    LoopFinished,
    RunPaused,
    RunUnpaused,
    CancelRequested,
    DeadlineSet,
    RunFinished,
    RunFailed,
    RunCancelled,
    RunContinued,
  ),
)
export type RunEvent = typeof RunEvent.Type
