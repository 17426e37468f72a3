/**
 * The statuses of runs, nodes, attempts and waits. Types, events, SQL, JSON Schemas and the options of the command line all
 * take them from here.
 */
import * as Schema from "effect/Schema"

/** The final status of a run, as its callers are told of it. */
export const OutcomeStatus = Schema.Literal("finished", "failed", "cancelled")
export type OutcomeStatus = typeof OutcomeStatus.Type

/** The final status of a stored run. One that is `continued` goes on as its successor, a run with a history of its own. */
export const EndedStatus = Schema.Literal(...OutcomeStatus.literals, "continued")
export type EndedStatus = typeof EndedStatus.Type

/** The final statuses after which a run can be resumed. */
export const ReopenableStatus = EndedStatus.pipe(Schema.pickLiteral("failed", "cancelled"))
export type ReopenableStatus = typeof ReopenableStatus.Type

/** The status of a run that makes no progress until something arrives from outside, or it is unpaused. */
export const IdleStatus = Schema.Literal("waiting", "paused")
export type IdleStatus = typeof IdleStatus.Type

/**
 * The status of a run after its claim is released: unchanged if the claim made no progress, even `running` if a crash is not
 * recorded yet.
 */
export const ReleasedStatus = Schema.Literal("suspended", "running", ...IdleStatus.literals)
export type ReleasedStatus = typeof ReleasedStatus.Type

/** The stored status of a run. No process drives a run that is `suspended` (it could continue), `waiting` or `paused`. */
export const RunStatus = Schema.Literal(...ReleasedStatus.literals, ...EndedStatus.literals)
export type RunStatus = typeof RunStatus.Type

/** The status of a run that waits: for a person, for a signal or a child run, for a time, for the limit of an agent to pass, or for a slot of a limit. */
export const WaitingStatus = Schema.Literal("waiting-approval", "waiting-event", "waiting-timer", "waiting-quota")
export type WaitingStatus = typeof WaitingStatus.Type

/** The status of a run that has stopped: it has ended, is paused, or waits. */
export const ResultStatus = Schema.Literal(...OutcomeStatus.literals, "paused", ...WaitingStatus.literals)
export type ResultStatus = typeof ResultStatus.Type

/**
 * The status of a run as shown: its result, or its owner's state. A live process drives a run that is `running`. A `suspended`
 * run was released and can continue; the process of an `orphaned` one died or lost its lease.
 */
export const ShownStatus = Schema.Literal("running", "suspended", "orphaned", ...ResultStatus.literals, "continued")
export type ShownStatus = typeof ShownStatus.Type

/** The status of a step that has ended. */
export const SettledStatus = Schema.Literal("finished", "skipped", "failed")
export type SettledStatus = typeof SettledStatus.Type

/**
 * The status of a step or of a node that waits. `interrupted` may start again at once; `retrying` may when its time comes.
 * `withdrawn` starts again if the plan reaches the node again. `superseded` does not: its loop has moved on to other rows, or
 * its scope was left.
 */
export const StepStatus = Schema.Literal(
  "running",
  "retrying",
  "interrupted",
  "waiting",
  ...SettledStatus.literals,
  "withdrawn",
  "superseded",
)
export type StepStatus = typeof StepStatus.Type

/** The status of a loop. */
export const LoopStatus = Schema.Literal("running", "finished")
export type LoopStatus = typeof LoopStatus.Type

/** The outcome of leaving a scope early: with its current value, or without one. */
export const LeaveOutcome = Schema.Literal("completed", "cancelled")
export type LeaveOutcome = typeof LeaveOutcome.Type

/**
 * The reason for leaving a scope early: its condition, its timeout, a request, another branch that won, or a list that has
 * enough.
 */
export const LeaveTrigger = Schema.Literal("condition", "timeout", "request", "lost", "until")
export type LeaveTrigger = typeof LeaveTrigger.Type

/**
 * The final status of a boundary: completed, after catching a failure, after compensating, failed, or left early. `superseded` if a request to
 * leave it came and the run never reached it.
 */
export const LeftStatus = Schema.Literal("finished", "caught", "compensated", "failed", ...LeaveOutcome.literals, "superseded")
export type LeftStatus = typeof LeftStatus.Type

/** The status of a scope, a saga or a try. `interrupted` was reset, and starts again when the run reaches it. */
export const BoundaryStatus = Schema.Literal("running", "halted", "interrupted", ...LeftStatus.literals)
export type BoundaryStatus = typeof BoundaryStatus.Type

/** The statuses of boundaries that have not ended. */
export const openBoundaryStatuses = BoundaryStatus.pipe(Schema.pickLiteral("running", "halted", "interrupted")).literals

/**
 * The status of a node as shown. A wait whose decision or answer is in the inbox and not applied yet is `decided` or
 * `answered`. Only boundaries are `halted`, `caught`, `compensated`, `completed` or `cancelled`.
 */
export const NodeStatus = Schema.Literal(
  ...StepStatus.literals,
  "decided",
  "answered",
  ...BoundaryStatus.pipe(Schema.pickLiteral("halted", "caught", "compensated", "completed", "cancelled")).literals,
)
export type NodeStatus = typeof NodeStatus.Type

/**
 * The reason a node is withdrawn:
 * - `left-plan`: the plan does not have it, or does not reach it, any more.
 * - `given-up`: the part of the plan around it was given up.
 * - `superseded`: the loop around it restarted or moved on.
 * - `left`: the scope around it was left.
 */
export const Withdrawal = Schema.Literal("left-plan", "given-up", "superseded", "left")
export type Withdrawal = typeof Withdrawal.Type

/** The status of an attempt at a step. */
export const AttemptStatus = Schema.Literal("running", "succeeded", "failed", "interrupted")
export type AttemptStatus = typeof AttemptStatus.Type

/** The status of a wait. A closed wait is finished, skipped, failed or withdrawn. */
export const WaitStatus = Schema.Literal("open", ...SettledStatus.literals, "withdrawn")
export type WaitStatus = typeof WaitStatus.Type

/** Statuses of a conversation. An `open` one is continued by the next attempt if its own was interrupted. */
export const ConversationStatus = Schema.Literal("open", "finished", "failed", "superseded")
export type ConversationStatus = typeof ConversationStatus.Type

/**
 * Statuses of a tool call. `started`: the intent is stored, and no outcome is known. `unknown`: its process died before the outcome
 * was stored. `asked`: it waits for an approval. `refused`: the tool was not allowed, or a person denied the call.
 */
export const ToolCallStatus = Schema.Literal("started", "finished", "failed", "unknown", "asked", "refused")
export type ToolCallStatus = typeof ToolCallStatus.Type

const isOneOf =
  <A extends string>(statuses: ReadonlyArray<A>) =>
  (status: string): status is A =>
    statuses.some((one) => one === status)

/** Tells whether a run has ended. */
export const isEnded = isOneOf(EndedStatus.literals)

/** Tells whether a run has ended, and does not go on as another. */
export const isOutcome = isOneOf(OutcomeStatus.literals)

/** Tells whether a run has ended in a way after which it can be continued. */
export const isReopenable = isOneOf(ReopenableStatus.literals)

/** Tells whether a run makes no progress until something arrives from outside, or it is unpaused. */
export const isIdle = isOneOf(IdleStatus.literals)

/** Tells whether a stopped run waits for something from outside. */
export const isWaiting = isOneOf(WaitingStatus.literals)

/** Statuses of runs that could go on, and that no process works on. */
export const stalledStatuses = ["orphaned", "suspended"] as const satisfies ReadonlyArray<ShownStatus>

/** The statuses of runs that have ended. */
export const endedStatuses: ReadonlyArray<EndedStatus> = EndedStatus.literals

/** The shown statuses of runs that have not ended. */
export const openStatuses = ShownStatus.literals.filter((status): status is Exclude<ShownStatus, EndedStatus> => !isEnded(status))

/** The statuses of steps that wait for an event or for their next attempt. */
export const pendingStatuses = StepStatus.pipe(Schema.pickLiteral("waiting", "retrying")).literals

/** The statuses of runs that can continue at once when no process drives them. */
export const runnableStatuses = ReleasedStatus.literals.filter(
  (status): status is Exclude<ReleasedStatus, IdleStatus> => !isIdle(status),
)
