/**
 * The words for how runs, nodes, attempts and waits stand. Everything that names one takes it from here: types, events, SQL, JSON Schemas, the
 * options of the command line.
 */
import * as Schema from "effect/Schema"

/** How a run ends. */
export const EndedStatus = Schema.Literal("finished", "failed", "cancelled")
export type EndedStatus = typeof EndedStatus.Type

/** The ends after which a run can be continued. */
export const ReopenableStatus = EndedStatus.pipe(Schema.pickLiteral("failed", "cancelled"))
export type ReopenableStatus = typeof ReopenableStatus.Type

/** A run in which nothing goes on before something comes from outside, or before someone unpauses it. */
export const RestingStatus = Schema.Literal("waiting", "paused")
export type RestingStatus = typeof RestingStatus.Type

/** The status of a run whose claim is given up: as it was where nothing came of the claim, also `running` where a crash is not noted yet. */
export const ReleasedStatus = Schema.Literal("suspended", "running", ...RestingStatus.literals)
export type ReleasedStatus = typeof ReleasedStatus.Type

/** The stored status of a run. Nobody works on one that is `suspended`, although it could go on, `waiting` or `paused`. */
export const RunStatus = Schema.Literal(...ReleasedStatus.literals, ...EndedStatus.literals)
export type RunStatus = typeof RunStatus.Type

/** The status of a run that waits: for a person, for a signal or a child run, or for a time. */
export const WaitingStatus = Schema.Literal("waiting-approval", "waiting-event", "waiting-timer")
export type WaitingStatus = typeof WaitingStatus.Type

/** The status of a run that has stopped: it has ended, is paused, or waits. */
export const ResultStatus = Schema.Literal(...EndedStatus.literals, "paused", ...WaitingStatus.literals)
export type ResultStatus = typeof ResultStatus.Type

/**
 * The status of a run as it is shown: how it has stopped, or who works on it. A living process works on one that is `running`. Nobody works on
 * one that is `suspended`, which was put down in order and can go on, or `orphaned`, whose process died or lost its lease.
 */
export const ShownStatus = Schema.Literal("running", "suspended", "orphaned", ...ResultStatus.literals)
export type ShownStatus = typeof ShownStatus.Type

/** The status of a step to which nothing more happens by itself. */
export const SettledStatus = Schema.Literal("finished", "skipped", "failed")
export type SettledStatus = typeof SettledStatus.Type

/**
 * The status of a step, or of a node that waits. `interrupted` may start again at once; `retrying` may at its time. `withdrawn` begins again
 * where the plan comes to it once more; `superseded` does not by itself, since the loop around it has gone on in other rows, or its scope was left.
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

/** How a scope is left before it is over: with the value that is there, or without one. */
export const LeftAs = Schema.Literal("completed", "cancelled")
export type LeftAs = typeof LeftAs.Type

/** Why: its condition holds, its time is over, someone asked for it, another branch has won, or the list around it has enough. */
export const LeftBecause = Schema.Literal("condition", "timeout", "request", "lost", "until")
export type LeftBecause = typeof LeftBecause.Type

/** The status of a boundary that is over: as it was meant, after it caught a failure, after it undid its steps, as a failure, or left early. */
export const LeftStatus = Schema.Literal("finished", "caught", "compensated", "failed", ...LeftAs.literals)
export type LeftStatus = typeof LeftStatus.Type

/** The status of a scope, a saga or a try. */
export const BoundaryStatus = Schema.Literal("running", "halted", ...LeftStatus.literals)
export type BoundaryStatus = typeof BoundaryStatus.Type

/**
 * The status of a node as it is shown. A step that waits for what has been said, and that nobody has taken up yet, is `decided` or `answered`.
 * `halted`, `caught`, `compensated`, `completed` and `cancelled` are of boundaries.
 */
export const NodeStatus = Schema.Literal(
  ...StepStatus.literals,
  "decided",
  "answered",
  ...BoundaryStatus.pipe(Schema.pickLiteral("halted", "caught", "compensated", "completed", "cancelled")).literals,
)
export type NodeStatus = typeof NodeStatus.Type

/**
 * Why a node is withdrawn: the plan does not have it or does not reach it any more (`left-plan`), the part of the plan around it was given
 * up (`given-up`), the loop around it began again or went on (`superseded`), or the scope around it was left (`left`).
 */
export const Withdrawal = Schema.Literal("left-plan", "given-up", "superseded", "left")
export type Withdrawal = typeof Withdrawal.Type

/** The status of an attempt at a step. */
export const AttemptStatus = Schema.Literal("running", "succeeded", "failed", "interrupted")
export type AttemptStatus = typeof AttemptStatus.Type

/** The status of a wait. One that is over was answered or left out, has failed, or was withdrawn. */
export const WaitStatus = Schema.Literal("open", ...SettledStatus.literals, "withdrawn")
export type WaitStatus = typeof WaitStatus.Type

const isOneOf =
  <A extends string>(statuses: ReadonlyArray<A>) =>
  (status: string): status is A =>
    statuses.some((one) => one === status)

/** Tells whether a run has ended. */
export const isEnded = isOneOf(EndedStatus.literals)

/** Tells whether a run has ended in a way after which it can be continued. */
export const isReopenable = isOneOf(ReopenableStatus.literals)

/** Tells whether nothing goes on in a run before something comes from outside, or someone unpauses it. */
export const isResting = isOneOf(RestingStatus.literals)

/** Tells whether a run that has stopped waits for something from outside. */
export const isWaiting = isOneOf(WaitingStatus.literals)

/** The statuses of runs that have ended. */
export const endedStatuses: ReadonlyArray<EndedStatus> = EndedStatus.literals

/** The statuses as shown of runs that have not ended. */
export const openStatuses = ShownStatus.literals.filter((status): status is Exclude<ShownStatus, EndedStatus> => !isEnded(status))

/** The statuses of steps that something is to come for: what they wait for, or their next attempt. */
export const pendingStatuses = StepStatus.pipe(Schema.pickLiteral("waiting", "retrying")).literals

/** The statuses of runs that may go on at once when nobody works on them. */
export const runnableStatuses = ReleasedStatus.literals.filter(
  (status): status is Exclude<ReleasedStatus, RestingStatus> => !isResting(status),
)
