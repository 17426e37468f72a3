/**
 * The records of a run, as rich as their rows: one for each step, wait, loop and boundary in each iteration. They hold stored JSON, never decoded values.
 */
import type { Json } from "./Codec.ts"
import type { ErrorInfo, Uncompensated } from "./Errors.ts"
import { compensationSuffix, type NodeId, type NodeKey } from "./Ids.ts"
import type * as Millis from "./Millis.ts"
import type { FailureCause, Leaving, WaitKind } from "./RunEvent.ts"
import type * as Status from "./Status.ts"

/** The node of another run that a run was started by, and whether that node waits for it. */
export interface Parent {
  readonly runId: string
  readonly nodeId: NodeId
  readonly iteration: number
  readonly isAttached: boolean
}

/** A failed attempt of a node that has not ended yet; what a retry policy needs to find its place again. */
export interface Failure {
  readonly at: Millis.Millis
  readonly error: ErrorInfo
}

/** The latest wait of a node: what it waits for, or waited for, and what has come of it so far. */
export interface Wait {
  readonly kind: WaitKind
  readonly status: Status.WaitStatus
  /** Epoch ms since when. */
  readonly since: Millis.Millis
  /** Number of the event that asked for it: what is asked again has another. */
  readonly asked: number
  /** How often the node has asked, this time included. */
  readonly timesAsked: number
  readonly request?: Json
  readonly digest?: string
  readonly name?: string
  readonly correlation?: string
  readonly deadline?: Millis.Millis
  readonly decision?: { readonly approved: boolean; readonly note?: string; readonly by?: string; readonly at: Millis.Millis }
  /** Given and not checked yet, in order: the first that matches counts. */
  readonly answers?: ReadonlyArray<Answer>
  /** How the child run ended. */
  readonly child?: ChildEnd
  /** Answers to this asking that did not match, and the issues of the last of them. */
  readonly refusals?: number
  readonly refused?: ReadonlyArray<string>
  /** Who gave the answer that ended it, and when. */
  readonly answeredBy?: string
  readonly answeredAt?: Millis.Millis
  /** Epoch ms at which it was over. */
  readonly endedAt?: Millis.Millis
  /** Why it was withdrawn. */
  readonly reason?: Status.Withdrawal | "reset"
  /** Withdrawn with the whole run, and open again once that is resumed, if the same is asked. */
  readonly isKept?: true
}

/** How a child run ended. */
export type ChildEnd =
  | { readonly status: "finished"; readonly output?: Json }
  | { readonly status: Exclude<Status.EndedStatus, "finished">; readonly error?: ErrorInfo }

/** What a person gave. */
export interface Answer {
  readonly value: Json
  readonly by?: string
  readonly at: Millis.Millis
}

/** A signal that nobody has taken yet. */
export interface Signal {
  /** Number of the event that received it. */
  readonly seq: number
  /** Epoch ms at which it was sent. */
  readonly at: Millis.Millis
  readonly id: string
  readonly name: string
  readonly correlation: string | undefined
  readonly payload: Json | undefined
  /** The waits that it does not fit, as the code was that the run was last taken up with, and why not. */
  readonly refusedBy?: ReadonlyArray<{ readonly key: NodeKey; readonly issues: ReadonlyArray<string> }>
}

/** A step, or a wait, in one iteration. */
export interface StepRecord {
  readonly kind: "step"
  readonly nodeId: NodeId
  readonly iteration: number
  /** One that is `retrying` may start again at `retryAt`. */
  readonly status: Status.StepStatus
  /** Number of the latest attempt, from 1; 0 when it never ran. */
  readonly attempt: number
  /** Epoch ms at which it first began; absent where it never did. */
  readonly startedAt?: Millis.Millis
  /** Epoch ms at which its latest attempt, or wait, began. */
  readonly attemptedAt?: Millis.Millis
  /** Epoch ms at which it was over, where it is. */
  readonly finishedAt?: Millis.Millis
  /** Failed attempts since the retry budget was last fresh; empty once the step is finished. */
  readonly failures: ReadonlyArray<Failure>
  /** Attempts up to this number do not count against the retry budget. */
  readonly budgetAfter: number
  /** How many times in a row the process died while this step ran. */
  readonly interruptions: number
  readonly retryAt?: Millis.Millis
  readonly error?: ErrorInfo
  /** The error came of no attempt: a predicate threw, a wait failed, or there were too many crashes. */
  readonly isOwnError?: true
  /** The failure is tolerated: the output is absent and the run goes on. */
  readonly soft?: boolean
  readonly table?: string
  readonly output?: Json
  /** Details of the last heartbeat of the attempts so far. They are written beside frames, and are no part of the record's row. */
  readonly heartbeat?: Json
  /** Heartbeats of attempts up to this number do not count. Absent where none does, or while the step is {@link isSilent}. */
  readonly beatsAfter?: number
  /** Its latest wait, also once that is over. {@link openWait} is the one that is open. */
  readonly wait?: Wait
  /** Digest of the request that someone approved, where that is needed for it to begin. */
  readonly approved?: string
  /** How often it was begun anew after it had finished; 0 where it is absent. */
  readonly generation?: number
  /** Number of the event with which it finished: the order of completion. */
  readonly order?: number
  /** Rows of other nodes that it has read since it was last reset. */
  readonly reads?: ReadonlyArray<NodeKey>
  /** Number of the event that named those rows. */
  readonly readsSeq?: number
  /** What its child run, and those below, could not undo. */
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
  /** `iteration` of the nodes of the first pass. */
  readonly base: number
  /** Passes begun. */
  readonly passes: number
  /** It made all its passes without its `until` holding. */
  readonly isExhausted?: true
  /** What its current pass consists of, where a drawing has mounted something new in it. */
  readonly mounting?: Mounting
  /** Rows of nodes outside that were read to decide about its passes. */
  readonly reads?: ReadonlyArray<NodeKey>
  /** Number of the event that named those rows. */
  readonly readsSeq?: number
}

/** What a pass of a loop consists of, by ids of tasks, of loops in it and of boundaries. */
export interface Mounting {
  /** Mounted before that. */
  readonly first: ReadonlyArray<NodeId>
  /** Mounted since. */
  readonly later?: ReadonlyArray<NodeId>
  /** Mounted when `until` held, and so not begun. */
  readonly leftOut?: ReadonlyArray<NodeId>
  /** Drawings that have mounted something new. */
  readonly times: number
}

/** Drawings that may mount something new in one pass, after the first: more than any author means, and few enough to be paid for. */
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
  /** What it was halted by; absent where that was a cancellation. */
  readonly cause?: FailureCause
  /** The cause ends here. */
  readonly isCaught?: boolean
  /** Its `finally` was given up, too. */
  readonly isLast?: boolean
  /** What it was halted by before, where that was caught and its `catch` was then left by another cause. */
  readonly caught?: FailureCause
  /** How someone asked for it to be left. */
  readonly asked?: Omit<Leaving, "because">
  /** How it is left early. */
  readonly left?: Leaving
  /** Of a race in it: branches that have won, in order. */
  readonly winners?: ReadonlyArray<string>
  /** It is decided which parts of the race, or of the list, in it count. */
  readonly isDecided?: boolean
}

/** The record of a node in one iteration. */
export type NodeRecord = StepRecord | LoopRecord | BoundaryRecord

/** The request of a wait for signals that are sent once it has begun. */
export const transientRequest = { transient: true } as const

/** Tells whether only signals count for a wait that are sent once it has begun. */
export const isTransient = ({ kind, request }: { readonly kind: string; readonly request?: unknown }): boolean =>
  kind === "signal" && typeof request === "object" && request !== null && "transient" in request && request.transient === true

/**
 * Tells whether a wait is for a signal: by its name and its correlation and, where the wait is transient, by when it was sent. Of two times that are the
 * same the order tells in which the run heard.
 */
export const isFor = (wait: Wait, { name, correlation, at, seq }: Signal): boolean =>
  wait.kind === "signal" &&
  wait.name === name &&
  wait.correlation === correlation &&
  (!isTransient(wait) || (at >= wait.since && seq > wait.asked))

/** The wait of a step that is open. */
export const openWait = (record: StepRecord | undefined): Wait | undefined =>
  record?.wait?.status === "open" ? record.wait : undefined

/** The wait of a step that was withdrawn with the whole run, and goes on when the same is asked once more. */
export const keptWait = (record: StepRecord | undefined): Wait | undefined =>
  record?.wait?.isKept === true ? record.wait : undefined

/** What a boundary has caught, also where its catch was left by a failure or a cancellation since. */
export const caughtBy = (record: BoundaryRecord | undefined): FailureCause | undefined =>
  record?.isCaught === true ? record.cause : record?.caught

/** The id of what undoes a step. No author's id is kept with this ending. */
export const compensationId = (nodeId: NodeId): NodeId => `${nodeId}${compensationSuffix}`

/** The step that a compensation undoes; `undefined` for any other node. */
export const undoneBy = (nodeId: NodeId): NodeId | undefined =>
  nodeId.endsWith(compensationSuffix) ? nodeId.slice(0, -compensationSuffix.length) : undefined

/** Whether a step in this status has no heartbeat, whatever its attempts have given. */
export const isSilent = (status: Status.StepStatus): boolean =>
  status === "finished" || status === "skipped" || status === "waiting"

/** Whether nothing more will happen to this step by itself. */
export const isSettled = (record: StepRecord): boolean =>
  record.status === "finished" || record.status === "skipped" || record.status === "failed"

/** Whether a node has failed, or a boundary is being left or was left by a failure. */
export const isWrong = ({ kind, status }: NodeRecord): boolean =>
  status === "failed" || (kind === "boundary" && status === "halted")

/** Whether a step has begun, and is neither at work nor over: it waits, is made again later, or may start again. */
export const isUnfinished = ({ kind, status }: NodeRecord): boolean =>
  kind === "step" && (status === "waiting" || status === "retrying" || status === "interrupted")
