/**
 * Everything that can happen to a run, in the past tense. Events are the only way a run changes: they are folded into the
 * `RunState`, committed with their frame, and kept as the log. `AttemptSucceeded.output`, `RunStarted.input`,
 * `RunFinished.output`, the turns of agents and what nodes have read are stored in the tables made for them, and the log does not repeat them.
 */
import * as Schema from "effect/Schema"
import { AgentTurn } from "./Agent.ts"
import { ErrorInfo, RunFailure, Uncompensated } from "./Errors.ts"
import { Millis } from "./Millis.ts"
import * as Status from "./Status.ts"

/** Stored JSON: absent where the schema's value has no JSON form (`Schema.Void`). */
const Stored = Schema.optional(Schema.Unknown)

/** What a run can wait for. */
export const WaitKind = Schema.Literal("approval", "human", "signal", "timer", "subflow")
export type WaitKind = typeof WaitKind.Type

/** What a run may rest on: a wait or, of a step that failed, its next attempt. */
export const RestKind = Schema.Literal(...WaitKind.literals, "retry")
export type RestKind = typeof RestKind.Type

const node = { nodeId: Schema.String, iteration: Schema.Number }
const attempt = { ...node, attempt: Schema.Number }

/**
 * The rows of other nodes (`<node>/<iteration>`) that a node has read so far by other ways than its needs, where that is more than was known: what
 * is to be made again where one of them is.
 */
const reads = Schema.optional(Schema.Array(Schema.String))

/** Why something failed for good: where, and of what. What a boundary catches, or what its run ends with. */
export const FailureCause = Schema.Struct({
  ...node,
  reason: Schema.Union(
    Schema.TaggedStruct("Error", { error: ErrorInfo }),
    /** `isDefault`: the loop has no limit of its own, and the number is what components take then. */
    Schema.TaggedStruct("LoopLimit", { maxIterations: Schema.Number, isDefault: Schema.optional(Schema.Boolean) }),
    /** A pass has mounted new tasks too often; the last of them, after one that was mounted before. */
    Schema.TaggedStruct("EndlessPass", { nodeIds: Schema.Array(Schema.String) }),
    /** Nothing is left to run, and the plan still waits for an output that it was made without. */
    Schema.TaggedStruct("Unsettled", {
      read: Schema.Struct({ nodeId: Schema.optional(Schema.String), table: Schema.optional(Schema.String) }),
    }),
  ),
})
export type FailureCause = typeof FailureCause.Type

/** What was said to agents in the attempt, and what they replied. */
const turns = Schema.optional(Schema.Array(AgentTurn))

export const RunStarted = Schema.TaggedStruct("RunStarted", {
  workflow: Schema.String,
  version: Schema.optional(Schema.String),
  input: Stored,
  /** The trace that it began in, where it was traced: later ones link to it. */
  trace: Schema.optional(Schema.Struct({ traceId: Schema.String, spanId: Schema.String })),
})

/** A process took up a run that was started before. The counts compare its plan with what is stored. */
export const RunResumed = Schema.TaggedStruct("RunResumed", {
  epoch: Schema.Number,
  kept: Schema.Number,
  added: Schema.Number,
  gone: Schema.Number,
})

/** The plan differs from that of the frame before. Lists hold node ids. */
export const PlanChanged = Schema.TaggedStruct("PlanChanged", {
  mounted: Schema.Array(Schema.String),
  unmounted: Schema.Array(Schema.String),
  changed: Schema.Array(Schema.String),
})

export const AttemptStarted = Schema.TaggedStruct("AttemptStarted", { ...attempt, reads })

/** `output` is the stored form; `table` is where the store keeps it. What undoes a step has neither. */
export const AttemptSucceeded = Schema.TaggedStruct("AttemptSucceeded", {
  ...attempt,
  table: Schema.optional(Schema.String),
  output: Stored,
  /** The output was taken over from an earlier run. */
  isCached: Schema.optional(Schema.Boolean),
  turns,
  reads,
})

/** `retryAt` (epoch ms) is when the next attempt is due; without it the node has failed for good, softly if `soft`. */
export const AttemptFailed = Schema.TaggedStruct("AttemptFailed", {
  ...attempt,
  error: ErrorInfo,
  retryAt: Schema.optional(Millis),
  soft: Schema.optional(Schema.Boolean),
  heartbeat: Schema.optional(Schema.Unknown),
  turns,
  reads,
})

/** An attempt ended without a result. Only `crash` counts towards a crash loop; none uses up a retry. */
export const AttemptInterrupted = Schema.TaggedStruct("AttemptInterrupted", {
  ...attempt,
  reason: Schema.Literal("crash", "shutdown", "fail-fast", "cancelled", "reset"),
  heartbeat: Schema.optional(Schema.Unknown),
  turns,
})

/** The node failed without an attempt of its own: a predicate threw, or it was running at too many crashes. */
export const NodeFailed = Schema.TaggedStruct("NodeFailed", { ...node, error: ErrorInfo, soft: Schema.optional(Schema.Boolean) })

/**
 * The run waits for the world. `request` is what people are shown, `digest` tells one request from another; `name` and `correlation`
 * are those of a signal. `deadline` (epoch ms) is when a timer fires, or when the wait is over otherwise. A second one for the
 * same node asks for something else, and what was decided of the first does not count; but it does where the wait was kept while the run was
 * over (`isKept`).
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
  reads,
})

/** When a person said something (epoch ms), which may be long before anybody works on the run and hears of it. */
const saidAt = Schema.optional(Millis)

/** An open wait is over later than was said, since its run was paused. */
export const DeadlineMoved = Schema.TaggedStruct("DeadlineMoved", { ...node, deadline: Millis })

/** Someone decided a request. */
export const ApprovalDecided = Schema.TaggedStruct("ApprovalDecided", {
  ...node,
  approved: Schema.Boolean,
  note: Schema.optional(Schema.String),
  by: Schema.optional(Schema.String),
  saidAt,
})

/** Someone answered; the answer is still to be checked. */
export const TaskAnswered = Schema.TaggedStruct("TaskAnswered", {
  ...node,
  value: Schema.Unknown,
  by: Schema.optional(Schema.String),
  saidAt,
})

/** The first answer that was to be checked does not match the schema of what was asked; the wait goes on. */
export const AnswerRefused = Schema.TaggedStruct("AnswerRefused", { ...node, issues: Schema.Array(Schema.String) })

/** A signal came in, and is kept until someone waits for it. */
export const SignalReceived = Schema.TaggedStruct("SignalReceived", {
  id: Schema.String,
  name: Schema.String,
  correlation: Schema.optional(Schema.String),
  payload: Schema.optional(Schema.Unknown),
  saidAt,
})

/** A signal does not match the schema of the one who waits for it. The wait goes on, and the signal is kept for another that it fits. */
export const SignalRefused = Schema.TaggedStruct("SignalRefused", {
  ...node,
  signalId: Schema.String,
  issues: Schema.Array(Schema.String),
})

/**
 * A child run has ended, as its parent hears of it. `output` is its stored form; `uncompensated` is what it could not undo, with the ids of
 * the runs that did it.
 */
export const SubflowEnded = Schema.TaggedStruct("SubflowEnded", {
  ...node,
  status: Status.EndedStatus,
  output: Stored,
  error: Schema.optional(ErrorInfo),
  uncompensated: Schema.optional(Schema.Array(Uncompensated)),
})

/**
 * A wait is over: with an output, without one (`skipped`), or as a failure; `passed` where it was the gate of a step, which is then
 * begun. `signalId` is the signal that it took.
 */
export const WaitEnded = Schema.TaggedStruct("WaitEnded", {
  ...node,
  how: Schema.Literal("decided", "answered", "signalled", "fired", "timed-out", "ended", "started"),
  status: Schema.Literal(...Status.SettledStatus.literals, "passed"),
  table: Schema.optional(Schema.String),
  output: Stored,
  error: Schema.optional(ErrorInfo),
  /** Who answered, and when. */
  by: Schema.optional(Schema.String),
  saidAt,
  signalId: Schema.optional(Schema.String),
  reads,
})

export const NodeSkipped = Schema.TaggedStruct("NodeSkipped", { ...node, reads })

/**
 * Closes what a node waits for: a person, a signal, a time, or its next attempt. The node begins again where the plan comes to it once more,
 * and what was decided or answered before does not count then. A wait that is given up with the whole run `isKept` for when that is resumed.
 */
export const NodeWithdrawn = Schema.TaggedStruct("NodeWithdrawn", {
  ...node,
  reason: Status.Withdrawal,
  isKept: Schema.optional(Schema.Boolean),
})

/** Someone asked for a scope to be left. */
export const LeaveRequested = Schema.TaggedStruct("LeaveRequested", {
  ...node,
  as: Status.LeftAs,
  reason: Schema.optional(Schema.String),
  by: Schema.optional(Schema.String),
  saidAt,
})

/** How and why a scope is left early. */
export const Leaving = Schema.Struct({
  as: Status.LeftAs,
  because: Status.LeftBecause,
  reason: Schema.optional(Schema.String),
  by: Schema.optional(Schema.String),
})
export type Leaving = typeof Leaving.Type

/** How someone asked for a scope to be left. */
export const LeaveRequest = Leaving.omit("because")
export type LeaveRequest = typeof LeaveRequest.Type

/** A scope, a saga or a try has begun. */
export const BoundaryStarted = Schema.TaggedStruct("BoundaryStarted", node)

/**
 * Nothing more starts in a boundary: something in it, or around it, failed for good or was cancelled (then there is no `cause`), or it is left
 * (`left`). When what is in flight has ended, its steps are undone, what it does instead is begun (`isCaught`), or its `finally` is.
 */
export const BoundaryHalted = Schema.TaggedStruct("BoundaryHalted", {
  ...node,
  cause: Schema.optional(FailureCause),
  isCaught: Schema.Boolean,
  /** Its `finally` is given up as well: the boundary is left as it is. */
  isLast: Schema.optional(Schema.Boolean),
  left: Schema.optional(Leaving),
})

/** Branches of a race have won, in order (`winners` names all of them so far), or it is decided which parts of a race or a list count. */
export const PartsDecided = Schema.TaggedStruct("PartsDecided", {
  ...node,
  winners: Schema.optional(Schema.Array(Schema.String)),
  isOver: Schema.optional(Schema.Boolean),
})

/** A boundary is over: as it was meant, after it caught a failure, after it undid its steps and goes on, as a failure, or left early. */
export const BoundaryEnded = Schema.TaggedStruct("BoundaryEnded", {
  ...node,
  status: Status.LeftStatus,
})

/**
 * A failed or incompatible node is to run again, with a fresh budget; a loop or a boundary from its beginning. What it waits for is not
 * waited for any more. `isAnew`: a subflow with a child run of its own, and not with the one that it had.
 */
export const NodeReset = Schema.TaggedStruct("NodeReset", { ...node, isAnew: Schema.optional(Schema.Boolean) })

/** A loop began pass number `pass` (from 0); `iteration` of the nodes inside is `base + pass`. */
export const LoopAdvanced = Schema.TaggedStruct("LoopAdvanced", { ...node, base: Schema.Number, pass: Schema.Number, reads })

/**
 * A drawing has mounted something new in a pass of a loop that had begun; `mounting` counts such drawings of the pass. `isLeftOut`: `until` holds by
 * then, and it is not begun. The first that is said of a pass says what there was before (`first`). Nested loops are named by their own ids.
 */
export const LoopMounted = Schema.TaggedStruct("LoopMounted", {
  ...node,
  first: Schema.optional(Schema.Array(Schema.String)),
  mounted: Schema.Array(Schema.String),
  mounting: Schema.Number,
  isLeftOut: Schema.optional(Schema.Boolean),
  reads,
})

/** A loop is over: its `until` holds, or it is exhausted, having made its `maxIterations` passes without that. */
export const LoopFinished = Schema.TaggedStruct("LoopFinished", {
  ...node,
  reason: Schema.Literal("until", "maxIterations"),
  reads,
})

/** Nothing new starts until it is unpaused, and its time stands still. */
export const RunPaused = Schema.TaggedStruct("RunPaused", { by: Schema.optional(Schema.String), saidAt })

/** The run goes on. Deadlines that a pause has moved are events of their own. */
export const RunUnpaused = Schema.TaggedStruct("RunUnpaused", { by: Schema.optional(Schema.String), saidAt })

export const CancelRequested = Schema.TaggedStruct("CancelRequested", { reason: Schema.optional(Schema.String) })

/**
 * What the output of a run is: that of a row; a list of such, null where a branch of it has none; what the plan itself gives (`fixed`); or an
 * object of such.
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
  Schema.Struct({ fixed: Schema.Unknown }),
  Schema.Struct({ fields: Schema.Record({ key: Schema.String, value: Inner }) }),
).annotations({ identifier: "OutputSource" })

/** `from` names the rows (`<node>/<iteration>`) that gave the output, so that it can be read back without the plan. */
/** A read by which nothing was found, as no task of the run was ever the one that it names, or gave the output that it asks for. */
export const StrayRead = Schema.Struct({
  /** The task that was named. */
  nodeId: Schema.optional(Schema.String),
  /** The key of the output. */
  output: Schema.String,
  /** A task that may have been meant: its id is nearly the same. */
  meant: Schema.optional(Schema.String),
})
export type StrayRead = typeof StrayRead.Type

/** The same as a sentence. */
export const sayStray = ({ nodeId, output, meant }: StrayRead): string => {
  const [read, nothing] =
    nodeId === undefined ? [`the output "${output}"`, "gave it"] : [`the output "${output}" of "${nodeId}"`, "was that task"]
  const instead = meant === undefined ? "look for a slip in its name" : `did you mean "${meant}"?`
  return `${read} was read, and nothing in the run ${nothing}: ${instead}`
}

/** What was read in vain, where there is any. */
const stray = { strayReads: Schema.optional(Schema.Array(StrayRead)) }

export const RunFinished = Schema.TaggedStruct("RunFinished", { output: Stored, from: Schema.optional(OutputSource), ...stray })

export const RunFailed = Schema.TaggedStruct("RunFailed", { failure: RunFailure, ...stray })

/** `uncompensated` names what its sagas, and those of its child runs, could not undo. */
export const RunCancelled = Schema.TaggedStruct("RunCancelled", {
  reason: Schema.optional(Schema.String),
  uncompensated: Schema.optional(Schema.Array(Uncompensated)),
  ...stray,
})

/** Any event of a run. */
export const RunEvent = Schema.Union(
  RunStarted,
  RunResumed,
  PlanChanged,
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
  RunFinished,
  RunFailed,
  RunCancelled,
)
export type RunEvent = typeof RunEvent.Type
