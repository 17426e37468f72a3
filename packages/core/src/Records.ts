/**
 * The records of a run, one for each step, wait, loop and boundary in each iteration, with all fields of their rows. They hold
 * encoded JSON, never decoded values.
 */
import type { Json } from "./Codec.ts"
import type { ErrorInfo, Uncompensated } from "./Errors.ts"
import { compensationSuffix, type NodeId, type NodeKey } from "./Ids.ts"
import type * as Millis from "./Millis.ts"
import type { FailureCause, Leaving, WaitKind } from "./RunEvent.ts"
import type * as Status from "./Status.ts"

/** The node of another run that started a run, and whether that node waits for it. */
export interface Parent {
  readonly runId: string
  readonly nodeId: NodeId
  readonly iteration: number
  readonly isAttached: boolean
}

/** A failed attempt of a node that has not ended. A retry policy continues from these. */
export interface Failure {
  readonly at: Millis.Millis
  readonly error: ErrorInfo
}

/** The latest wait of a node: its request, and its results so far. */
export interface Wait {
  readonly kind: WaitKind
  readonly status: Status.WaitStatus
  /** Epoch ms at which it began. */
  readonly since: Millis.Millis
  /** Number of the event of the request; a new request has another. */
  readonly requestSeq: number
  /** Requests of the node so far, this one included. */
  readonly requestCount: number
  readonly request?: Json
  readonly digest?: string
  readonly name?: string
  readonly correlation?: string
  readonly deadline?: Millis.Millis
  readonly decision?: WaitDecision
  /** Answers that are not validated yet, in order. The first valid one counts. */
  readonly answers?: ReadonlyArray<Answer>
  /** The result of the child run. */
  readonly child?: ChildEnd
  /** Number of rejected answers to this request, and the issues of the last one. */
  readonly refusals?: number
  readonly refused?: ReadonlyArray<string>
  /** Author and time of the answer that ended it. */
  readonly answeredBy?: string
  readonly answeredAt?: Millis.Millis
  /** Epoch ms at which it ended. */
  readonly endedAt?: Millis.Millis
  /** The reason it was withdrawn. */
  readonly reason?: Status.Withdrawal | "reset"
  /** Withdrawn with the whole run; reopened when the run resumes, if the request is the same. */
  readonly isKept?: true
  /** An attempt of the step requested it, and not the plan. The next attempt starts when it ends. */
  readonly isOfAttempt?: true
}

/** The decision on a request. `selected` is the key of the option that was selected. */
export interface WaitDecision {
  readonly approved: boolean
  readonly selected?: string
  readonly note?: string
  readonly by?: string
  readonly at: Millis.Millis
}

/** The result of a child run. */
export type ChildEnd =
  | { readonly status: "finished"; readonly output?: Json }
  | { readonly status: Exclude<Status.OutcomeStatus, "finished">; readonly error?: ErrorInfo }

/** An answer of a person. */
export interface Answer {
  readonly value: Json
  readonly by?: string
  readonly at: Millis.Millis
}

/** A signal that no wait has taken. */
export interface Signal {
  /** Number of the event that received it. */
  readonly seq: number
  /** Epoch ms at which it was sent. */
  readonly at: Millis.Millis
  readonly id: string
  readonly name: string
  readonly correlation: string | undefined
  readonly payload: Json | undefined
  /** Waits that it does not match, and the issues, by the code of the current claim. */
  readonly refusedBy?: ReadonlyArray<{ readonly key: NodeKey; readonly issues: ReadonlyArray<string> }>
}

/** A step, or a wait, in one iteration. */
export interface StepRecord {
  readonly kind: "step"
  readonly nodeId: NodeId
  readonly iteration: number
  /** A `retrying` step may start again at `retryAt`. */
  readonly status: Status.StepStatus
  /** Number of the latest attempt, from 1; 0 before the first. */
  readonly attempt: number
  /** Epoch ms of the first start; absent before. */
  readonly startedAt?: Millis.Millis
  /** Epoch ms at which the latest attempt or wait began. */
  readonly attemptedAt?: Millis.Millis
  /** Epoch ms of the end; absent before. */
  readonly finishedAt?: Millis.Millis
  /** Failed attempts since the retry budget was last reset; empty once the step is finished. */
  readonly failures: ReadonlyArray<Failure>
  /** Attempts up to this number do not count against the retry budget. */
  readonly budgetAfter: number
  /** Processes in a row that died while this step ran. */
  readonly interruptions: number
  readonly retryAt?: Millis.Millis
  readonly error?: ErrorInfo
  /** `true` if the error is of no attempt: a predicate threw, a wait failed, or there were too many crashes. */
  readonly isOwnError?: true
  /** `true` if the failure is tolerated: the run continues without the output. */
  readonly isSoft?: boolean
  readonly table?: string
  readonly output?: Json
  /** Details of the last heartbeat of any attempt. Stored beside frames, not in the record's row. */
  readonly heartbeat?: Json
  /** Heartbeats of attempts up to this number do not count. Absent if all count, or while the step is {@link hasNoHeartbeat}. */
  readonly heartbeatsAfter?: number
  /** The latest wait, open or closed; {@link openWait} returns it only while it is open. */
  readonly wait?: Wait
  /** Digest of the approved request, if the step has a gate. */
  readonly approved?: string
  /** Number of resets after the step had finished. Default: 0. */
  readonly generation?: number
  /** The code of the latest attempt. Absent for the code that the run began with. */
  readonly codeGeneration?: number
  /** Number of the event of its finish: the order of completion. */
  readonly finishedSeq?: number
  /** Rows of other nodes that it has read since its last reset. */
  readonly reads?: ReadonlyArray<NodeKey>
  /** Number of the event that recorded `reads`. */
  readonly readsSeq?: number
  /** Steps that its child run, and those below, could not undo. */
  readonly uncompensated?: ReadonlyArray<Uncompensated>
}

/** A loop in one iteration of the loop around it. */
export interface LoopRecord {
  readonly kind: "loop"
  readonly nodeId: NodeId
  readonly iteration: number
  readonly status: Status.LoopStatus
  /** Epoch ms. */
  readonly startedAt?: Millis.Millis
  readonly finishedAt?: Millis.Millis
  /** `iteration` of the nodes in the first pass. */
  readonly base: number
  /** Number of passes started. */
  readonly passes: number
  /** `true` if it made all its passes without its `until` holding. */
  readonly isExhausted?: true
  /** The nodes of its current pass, if a render mounted new ones in it. */
  readonly mounting?: Mounting
  /** Rows of outside nodes that decided about its passes. */
  readonly reads?: ReadonlyArray<NodeKey>
  /** Number of the event that recorded `reads`. */
  readonly readsSeq?: number
}

/** The nodes of a pass of a loop: ids of tasks, nested loops and boundaries. */
export interface Mounting {
  /** Mounted at first. */
  readonly initial: ReadonlyArray<NodeId>
  /** Mounted by later renders. */
  readonly added?: ReadonlyArray<NodeId>
  /** Mounted when `until` held, so not started. */
  readonly omitted?: ReadonlyArray<NodeId>
  /** Number of renders that mounted new nodes. */
  readonly count: number
}

/** Most renders that may mount new nodes in one pass after the first: more than authors need, and few enough to be affordable. */
export const mostMountings = 100

/** A loop that made all its passes without its `until` holding. */
export interface Exhausted {
  readonly nodeId: NodeId
  readonly iteration: number
  readonly passes: number
}

/** A scope, a saga or a try in one iteration of the loop around it. */
export interface BoundaryRecord {
  readonly kind: "boundary"
  readonly nodeId: NodeId
  readonly iteration: number
  readonly status: Status.BoundaryStatus
  /** Epoch ms. */
  readonly startedAt?: Millis.Millis
  readonly finishedAt?: Millis.Millis
  /** The failure that stopped it; absent if it was cancelled. */
  readonly cause?: FailureCause
  /** `true` if it catches the failure. */
  readonly isCaught?: boolean
  /** `true` if its `finally` was given up too. */
  readonly isFinallySkipped?: boolean
  /** The failure it had caught before its `catch` was left for another cause. */
  readonly caught?: FailureCause
  /** The request to leave it, with the time of its submission. What was submitted before it counts before it. */
  readonly leaveRequest?: Omit<Leaving, "trigger"> & { readonly submittedAt?: Millis.Millis }
  /** The outcome and reason of leaving it early. */
  readonly left?: Leaving
  /** Of a race inside: the branches that have won, in order. */
  readonly winners?: ReadonlyArray<string>
  /** `true` once it is decided which parts of the race or list inside count. */
  readonly isDecided?: boolean
}

/** The record of a node in one iteration. */
export type NodeRecord = StepRecord | LoopRecord | BoundaryRecord

/** The request of a wait that takes only signals sent after it began. */
export const transientRequest = { transient: true } as const

/** Tells whether a wait takes only signals sent after it began. */
export const isTransient = ({ kind, request }: { readonly kind: string; readonly request?: unknown }): boolean =>
  kind === "signal" && typeof request === "object" && request !== null && "transient" in request && request.transient === true

/**
 * Tells whether a signal is for a wait: by name and correlation and, if the wait is transient, by its time. Of equal times the
 * order of arrival decides.
 */
export const matchesSignal = (wait: Wait, { name, correlation, at, seq }: Signal): boolean =>
  wait.kind === "signal" &&
  wait.name === name &&
  wait.correlation === correlation &&
  (!isTransient(wait) || (at >= wait.since && seq > wait.requestSeq))

/** The open wait of a step. */
export const openWait = (record: StepRecord | undefined): Wait | undefined =>
  record?.wait?.status === "open" ? record.wait : undefined

/** The wait of a step that was withdrawn with its run, to be reopened if the request is the same. */
export const keptWait = (record: StepRecord | undefined): Wait | undefined =>
  record?.wait?.isKept === true ? record.wait : undefined

/** The failure that a boundary has caught, even if its `catch` was left since. */
export const caughtBy = (record: BoundaryRecord | undefined): FailureCause | undefined =>
  record?.isCaught === true ? record.cause : record?.caught

/** The id of the compensation of a step. No author's id has this ending. */
export const compensationId = (nodeId: NodeId): NodeId => `${nodeId}${compensationSuffix}`

/** The step that a compensation undoes; `undefined` for any other node. */
export const undoneBy = (nodeId: NodeId): NodeId | undefined =>
  nodeId.endsWith(compensationSuffix) ? nodeId.slice(0, -compensationSuffix.length) : undefined

/** Tells whether a step in this status shows no heartbeat. */
export const hasNoHeartbeat = (status: Status.StepStatus): boolean =>
  status === "finished" || status === "skipped" || status === "waiting"

/** Tells whether a step has ended. */
export const isSettled = (record: StepRecord): boolean =>
  record.status === "finished" || record.status === "skipped" || record.status === "failed"

/** Tells whether a node has failed, or a failure is leaving or has left a boundary. */
export const isFailed = ({ kind, status }: NodeRecord): boolean =>
  status === "failed" || (kind === "boundary" && status === "halted")

/** Tells whether a boundary begins as if it never had: it was reset, or the run passed it with a request to leave it. */
export const isUnbegun = ({ status }: BoundaryRecord): boolean => status === "interrupted" || status === "superseded"

/** Tells whether a boundary that has not begun is requested to be left. Of a branch or an item it is only known that it is requested. */
export const isToBeLeft = (record: NodeRecord | undefined): record is BoundaryRecord =>
  record?.kind === "boundary" && record.status === "running" && record.leaveRequest !== undefined && record.startedAt === undefined

/**
 * Tells whether a step has begun and is neither running nor ended: it waits, will be retried, or may start again. Or whether a boundary
 * {@link isToBeLeft}.
 */
export const isUnfinished = (record: NodeRecord): boolean =>
  record.kind === "step"
    ? record.status === "waiting" || record.status === "retrying" || record.status === "interrupted"
    : isToBeLeft(record)
