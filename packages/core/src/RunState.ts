/**
 * What is known of a run: a pure fold of its events. It holds stored (JSON) outputs, never decoded ones, and so does not
 * depend on the workflow's code: a run can be looked at where its code is not there, and resumed by code that has changed.
 */
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import type { Json } from "./Codec.ts"
import type { ErrorInfo, RunFailure, Uncompensated } from "./Errors.ts"
import { compensationSuffix, type NodeId, type NodeKey, nodeKey } from "./Ids.ts"
import type * as Millis from "./Millis.ts"
import type { FailureCause, OutputSource, RunEvent, StrayRead, WaitKind } from "./RunEvent.ts"
import * as Status from "./Status.ts"

/** No fields; the same object, by which it is known. */
const nothing = {}

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

/** A saga or a try in one iteration of the loop around it. */
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
}

export type NodeRecord = StepRecord | LoopRecord | BoundaryRecord

export interface RunState {
  readonly runId: string
  readonly workflow: string
  readonly version: string | undefined
  readonly input: Json | undefined
  readonly status: Status.RunStatus
  readonly nodes: HashMap.HashMap<NodeKey, NodeRecord>
  /** How many of them have gone wrong ({@link isWrong}), so that nobody looks through all of them where none has. */
  readonly wrong: number
  /** Steps that have begun and are neither at work nor over ({@link isUnfinished}), so that nobody looks through all nodes for them. */
  readonly unfinished: HashSet.HashSet<NodeKey>
  /** Passes begun per loop over the whole run: the `base` of its next instance. */
  readonly loopPasses: HashMap.HashMap<NodeId, number>
  /** Signals in the order in which they came. */
  readonly signals: ReadonlyArray<Signal>
  readonly output: Json | undefined
  /** The rows that gave the output. */
  readonly from: OutputSource | undefined
  readonly failure: RunFailure | undefined
  /** Of a run that has ended: what it read in vain. */
  readonly strayReads: ReadonlyArray<StrayRead> | undefined
  /** Set once a cancellation was asked for. */
  readonly cancel: { readonly reason: string | undefined } | undefined
  /** Epoch ms since when it is paused. */
  readonly pausedAt: Millis.Millis | undefined
  /** The run that started this one. */
  readonly parent: Parent | undefined
  /** Number of the last committed frame and event; 0 before the first. */
  readonly frame: number
  readonly seq: number
  /** The last event that no frame has committed yet; those before it are that of {@link Uncommitted.before}, and so on. */
  readonly uncommitted: Uncommitted | undefined
}

/** An event that was folded into a state since the last commit. */
export interface Uncommitted {
  readonly event: RunEvent
  readonly at: Millis.Millis
  /** The state before it. */
  readonly before: RunState
}

/** A run before its first event. */
export const empty = (runId: string): RunState => ({
  runId,
  workflow: "",
  version: undefined,
  input: undefined,
  status: "running",
  nodes: HashMap.empty(),
  wrong: 0,
  unfinished: HashSet.empty(),
  loopPasses: HashMap.empty(),
  signals: [],
  output: undefined,
  from: undefined,
  failure: undefined,
  strayReads: undefined,
  cancel: undefined,
  pausedAt: undefined,
  parent: undefined,
  frame: 0,
  seq: 0,
  uncommitted: undefined,
})

/** The wait of a step that is open. */
export const openWait = (record: StepRecord | undefined): Wait | undefined =>
  record?.wait?.status === "open" ? record.wait : undefined

/** The wait of a step that was withdrawn with the whole run, and goes on when the same is asked once more. */
export const keptWait = (record: StepRecord | undefined): Wait | undefined =>
  record?.wait?.isKept === true ? record.wait : undefined

/** The record of a step in one iteration, if anything happened to it. */
export const step = (state: RunState, nodeId: NodeId, iteration: number): StepRecord | undefined => {
  const record = Option.getOrUndefined(HashMap.get(state.nodes, nodeKey(nodeId, iteration)))
  return record?.kind === "step" ? record : undefined
}

/** The record of a loop in one iteration of the loop around it, if it began. */
export const loop = (state: RunState, nodeId: NodeId, iteration: number): LoopRecord | undefined => {
  const record = Option.getOrUndefined(HashMap.get(state.nodes, nodeKey(nodeId, iteration)))
  return record?.kind === "loop" ? record : undefined
}

/** The record of a saga or a try in one iteration of the loop around it, if it began. */
export const boundary = (state: RunState, nodeId: NodeId, iteration: number): BoundaryRecord | undefined => {
  const record = Option.getOrUndefined(HashMap.get(state.nodes, nodeKey(nodeId, iteration)))
  return record?.kind === "boundary" ? record : undefined
}

/** What a boundary has caught, also where its catch was left by a failure or a cancellation since. */
export const caughtBy = (record: BoundaryRecord | undefined): FailureCause | undefined =>
  record?.isCaught === true ? record.cause : record?.caught

/** Whether anything has happened to a node, in any iteration. */
export const hasRecord = (state: RunState, nodeId: NodeId): boolean => records(state).some((record) => record.nodeId === nodeId)

/** The id of what undoes a step. No author's id is kept with this ending. */
export const compensationId = (nodeId: NodeId): NodeId => `${nodeId}${compensationSuffix}`

/** The step that a compensation undoes; `undefined` for any other node. */
export const undoneBy = (nodeId: NodeId): NodeId | undefined =>
  nodeId.endsWith(compensationSuffix) ? nodeId.slice(0, -compensationSuffix.length) : undefined

/** Steps that could not be undone, also those of child runs. */
export const uncompensated = (state: RunState): ReadonlyArray<Uncompensated> =>
  records(state).flatMap((record): ReadonlyArray<Uncompensated> => {
    if (record.kind !== "step") return []
    if (record.uncompensated !== undefined) return record.uncompensated
    if (record.status !== "failed" || record.error === undefined) return []
    const nodeId = undoneBy(record.nodeId)
    return nodeId === undefined ? [] : [{ nodeId, iteration: record.iteration, error: record.error }]
  })

/** Loops that made all their passes without their `until` holding, by id. */
export const exhausted = (state: RunState): ReadonlyArray<Exhausted> => {
  if (HashMap.isEmpty(state.loopPasses)) return []
  const found = records(state).flatMap((record) =>
    record.kind === "loop" && record.isExhausted === true
      ? [{ nodeId: record.nodeId, iteration: record.iteration, passes: record.passes }]
      : [],
  )
  return found.sort((left, right) =>
    left.nodeId === right.nodeId ? left.iteration - right.iteration : left.nodeId < right.nodeId ? -1 : 1,
  )
}

/** All records, in no particular order. */
export const records = (state: RunState): ReadonlyArray<NodeRecord> => {
  const found: Array<NodeRecord> = []
  HashMap.forEach(state.nodes, (record) => {
    found.push(record)
  })
  return found
}

/** Whether a step in this status has no heartbeat, whatever its attempts have given. */
export const isSilent = (status: Status.StepStatus): boolean =>
  status === "finished" || status === "skipped" || status === "waiting"

/** Up to which attempt heartbeats of a step count no more, as its next record says. */
const beatsAfter = ({ status, attempt, beatsAfter }: StepRecord): Pick<StepRecord, "beatsAfter"> => {
  const after = isSilent(status) ? attempt : beatsAfter
  return after === undefined || after === 0 ? nothing : { beatsAfter: after }
}

/** Whether nothing more will happen to this step by itself. */
export const isSettled = (record: StepRecord): boolean =>
  record.status === "finished" || record.status === "skipped" || record.status === "failed"

/**
 * Stands for all rows that were settled when a node began, among those it has read: where a component reads hundreds of outputs, each element it
 * makes would name them all, and the database would grow with their square. No node has this row.
 */
export const allRows: NodeKey = "*/-1"

/** The same of a row: whether there is an output in it, or none will come. */
export const isSettledRow = (state: RunState, key: NodeKey): boolean => {
  const record = Option.getOrUndefined(HashMap.get(state.nodes, key))
  return record?.kind === "step" && isSettled(record)
}

/** Whether the run has an outcome. */
export const isEnded = (state: RunState): boolean => Status.isEnded(state.status)

/** Folds one event, which happened `at` (epoch ms), into a state. Pure: the old state stays as it was. */
export const apply = (state: RunState, event: RunEvent, at: Millis.Millis): RunState => {
  const next: { -readonly [K in keyof RunState]: RunState[K] } = fold(state, event, at)
  const uncommitted = { event, at, before: state }
  // What the fold has just made is nobody else's yet; another copy of it would be most of what an event costs.
  if (next === state) return { ...state, seq: state.seq + 1, uncommitted }
  next.seq = state.seq + 1
  next.uncommitted = uncommitted
  return next
}

/** A state once its events are committed with a frame of this number. */
export const committed = (state: RunState, frame: number): RunState => ({ ...state, frame, uncommitted: undefined })

const fold = (state: RunState, event: RunEvent, at: Millis.Millis): RunState => {
  switch (event._tag) {
    case "RunStarted":
      return { ...state, workflow: event.workflow, version: event.version, input: event.input as Json | undefined }
    case "RunResumed": {
      // A cancellation that a crash cut short goes on; one that was completed is what resuming takes back.
      const cancel = isEnded(state) ? undefined : state.cancel
      // Edited code may take what its former self refused.
      const signals = state.signals.map(({ refusedBy: _, ...signal }) => signal)
      return { ...state, status: "running", output: undefined, failure: undefined, strayReads: undefined, cancel, signals }
    }
    case "PlanChanged":
      return state
    case "CancelRequested":
      return { ...state, cancel: { reason: event.reason } }
    case "RunFinished":
      return {
        ...withdrawAll(state, at),
        status: "finished",
        output: event.output as Json | undefined,
        from: event.from,
        strayReads: event.strayReads,
      }
    case "RunFailed":
      return { ...withdrawAll(state, at), status: "failed", failure: event.failure, strayReads: event.strayReads }
    case "RunCancelled":
      return { ...withdrawAll(state, at), status: "cancelled", cancel: { reason: event.reason } }
    case "RunPaused":
      return { ...state, pausedAt: state.pausedAt ?? event.saidAt ?? at }
    case "RunUnpaused":
      return { ...state, pausedAt: undefined }
    case "LoopAdvanced":
    case "LoopMounted":
    case "LoopFinished":
      return foldLoop(state, event, at)
    case "BoundaryStarted":
    case "BoundaryHalted":
    case "BoundaryEnded":
      return put(state, foldBoundary(boundary(state, event.nodeId, event.iteration), event, at))
    case "NodeReset":
      return reset(state, event, at)
    case "SignalReceived": {
      const { id, name, correlation } = event
      const signal = { seq: state.seq + 1, id, name, correlation, payload: event.payload as Json | undefined }
      return { ...state, signals: [...state.signals, signal] }
    }
    case "SignalRefused": {
      const refusing = { key: nodeKey(event.nodeId, event.iteration), issues: event.issues }
      const mark = (signal: Signal): Signal =>
        signal.id === event.signalId ? { ...signal, refusedBy: [...(signal.refusedBy ?? []), refusing] } : signal
      return { ...state, signals: state.signals.map(mark) }
    }
    case "WaitEnded": {
      const record = step(state, event.nodeId, event.iteration) ?? unstarted(event.nodeId, event.iteration)
      return put(
        event.signalId === undefined ? state : withoutSignal(state, event.signalId),
        foldStep(record, event, at, state.seq + 1),
      )
    }
    default: {
      const record = step(state, event.nodeId, event.iteration) ?? unstarted(event.nodeId, event.iteration)
      return put(state, foldStep(record, event, at, state.seq + 1))
    }
  }
}

const withoutSignal = (state: RunState, id: string): RunState => ({
  ...state,
  signals: state.signals.filter((signal) => signal.id !== id),
})

/** Whether a node has failed, or a boundary is being left or was left by a failure. */
export const isWrong = ({ kind, status }: NodeRecord): boolean =>
  status === "failed" || (kind === "boundary" && status === "halted")

/** Whether a step has begun, and is neither at work nor over: it waits, is made again later, or may start again. */
export const isUnfinished = ({ kind, status }: NodeRecord): boolean =>
  kind === "step" && (status === "waiting" || status === "retrying" || status === "interrupted")

/** Steps that wait, for whatever may come from outside or for their next attempt. */
export const pending = (state: RunState): ReadonlyArray<StepRecord> => {
  const found: Array<StepRecord> = []
  for (const key of state.unfinished) {
    const record = Option.getOrUndefined(HashMap.get(state.nodes, key))
    if (record?.kind === "step" && record.status !== "interrupted") found.push(record)
  }
  return found
}

/** Closes what a run that ends still waits for, and keeps it for when the run is resumed. */
const withdrawAll = (state: RunState, at: Millis.Millis): RunState => {
  let next = state
  for (const record of pending(state)) {
    const { nodeId, iteration } = record
    next = put(
      next,
      foldStep(record, { _tag: "NodeWithdrawn", nodeId, iteration, reason: "given-up", isKept: true }, at, state.seq),
    )
  }
  return next
}

/** A state with a record in place of the one before. */
export const put = (state: RunState, record: NodeRecord): RunState => {
  const key = nodeKey(record.nodeId, record.iteration)
  const before = state.wrong === 0 ? undefined : Option.getOrUndefined(HashMap.get(state.nodes, key))
  const wrong = state.wrong + Number(isWrong(record)) - Number(before !== undefined && isWrong(before))
  const { unfinished: known } = state
  const unfinished = isUnfinished(record) ? HashSet.add(known, key) : HashSet.size(known) === 0 ? known : HashSet.remove(known, key)
  return { ...state, nodes: HashMap.set(state.nodes, key, record), wrong, unfinished }
}

const unstarted = (nodeId: NodeId, iteration: number): StepRecord => ({
  kind: "step",
  nodeId,
  iteration,
  status: "interrupted",
  attempt: 0,
  failures: [],
  budgetAfter: 0,
  interruptions: 0,
})

type LoopEvent = Extract<RunEvent, { readonly _tag: "LoopAdvanced" | "LoopMounted" | "LoopFinished" }>
type BoundaryEvent = Extract<RunEvent, { readonly _tag: "BoundaryStarted" | "BoundaryHalted" | "BoundaryEnded" }>
type StepEvent = Extract<RunEvent, { readonly nodeId: string }>
type Reset = Extract<RunEvent, { readonly _tag: "NodeReset" }>

const foldBoundary = (record: BoundaryRecord | undefined, event: BoundaryEvent, at: Millis.Millis): BoundaryRecord => {
  const { nodeId, iteration } = event
  const began = record?.startedAt ?? (event._tag === "BoundaryStarted" ? at : undefined)
  const base = { kind: "boundary", nodeId, iteration, ...(began === undefined ? nothing : { startedAt: began }) } as const
  if (event._tag === "BoundaryStarted") return { ...base, status: "running" }
  if (event._tag === "BoundaryEnded") return { ...base, ...record, status: event.status, finishedAt: at }
  const caught = event.isCaught ? undefined : caughtBy(record)
  const causes = { ...(event.cause === undefined ? {} : { cause: event.cause }), ...(caught === undefined ? {} : { caught }) }
  const last = event.isLast === true || record?.isLast === true ? { isLast: true } : {}
  return { ...base, status: "halted", ...causes, isCaught: event.isCaught, ...last }
}

/** When a record first began, and its latest attempt did. */
const timesOf = ({ startedAt, attemptedAt }: Pick<StepRecord, "startedAt" | "attemptedAt">) => ({
  ...(startedAt === undefined ? nothing : { startedAt }),
  ...(attemptedAt === undefined ? nothing : { attemptedAt }),
})

/** A wait that is over without a result. One `isKept` keeps what has come for it. */
const withdrawn = (wait: Wait, reason: NonNullable<Wait["reason"]>, isKept: boolean, at: Millis.Millis): Wait => {
  if (wait.status !== "open" && wait.isKept !== true) return wait
  if (isKept) return { ...wait, status: "withdrawn", reason, isKept: true, endedAt: at }
  const { answers: _, child: __, isKept: ___, ...rest } = wait
  return { ...rest, status: "withdrawn", reason, endedAt: at }
}

const reset = (state: RunState, { nodeId, iteration, isAnew }: Reset, at: Millis.Millis): RunState => {
  const record = Option.getOrUndefined(HashMap.get(state.nodes, nodeKey(nodeId, iteration)))
  if (record?.kind === "boundary") return put(state, { kind: "boundary", nodeId, iteration, ...timesOf(record), status: "running" })
  if (record?.kind === "loop") {
    // It begins again after the rows that it has.
    const base = Option.getOrElse(HashMap.get(state.loopPasses, nodeId), () => 0)
    return put(state, { kind: "loop", nodeId, iteration, ...timesOf(record), status: "running", base, passes: 0 })
  }
  const before = record ?? unstarted(nodeId, iteration)
  const { attempt, heartbeat, approved, generation = 0, status, wait } = before
  const next = generation + (status === "finished" || isAnew === true ? 1 : 0)
  const kept = {
    ...(heartbeat === undefined ? {} : { heartbeat }),
    ...beatsAfter(before),
    ...(approved === undefined ? {} : { approved }),
    ...(next === 0 ? {} : { generation: next }),
    ...(wait === undefined ? {} : { wait: withdrawn(wait, "reset", false, at) }),
  }
  const base = { kind: "step", nodeId, iteration, attempt, failures: [], budgetAfter: attempt, interruptions: 0 } as const
  return put(state, { ...base, ...timesOf(before), ...kept, status: "interrupted" })
}

const foldLoop = (state: RunState, event: LoopEvent, at: Millis.Millis): RunState => {
  const total = Option.getOrElse(HashMap.get(state.loopPasses, event.nodeId), () => 0)
  const { nodeId, iteration } = event
  const before = loop(state, nodeId, iteration)
  const reads = readsAfter(before, event, state.seq + 1)
  if (event._tag === "LoopAdvanced") {
    const { base, pass } = event
    // A pass that is taken up again is what it was.
    const isAgain = before?.base === base && before.passes === pass + 1
    const mounting = isAgain && before.mounting !== undefined ? { mounting: before.mounting } : nothing
    const place = { kind: "loop", nodeId, iteration, status: "running", startedAt: before?.startedAt ?? at } as const
    const advanced = put(state, { ...place, base, passes: pass + 1, ...mounting, ...reads })
    return { ...advanced, loopPasses: HashMap.set(state.loopPasses, nodeId, Math.max(total, base + pass + 1)) }
  }
  const record = before ?? { kind: "loop", nodeId, iteration, status: "running", base: total, passes: 0 }
  if (event._tag === "LoopMounted") {
    const mounting = mountingAfter(record.mounting, event)
    return put(state, { ...record, mounting, ...reads })
  }
  const exhausted = event.reason === "maxIterations" ? { isExhausted: true as const } : nothing
  return put(state, { ...record, status: "finished", finishedAt: at, ...exhausted, ...reads })
}

/** What a pass consists of once a drawing has mounted something in it. */
export const mountingAfter = (
  mounting: Mounting | undefined,
  event: Omit<Extract<RunEvent, { readonly _tag: "LoopMounted" }>, "_tag" | "nodeId" | "iteration">,
): Mounting => {
  const { mounted, mounting: times, isLeftOut } = event
  const { first, later = [], leftOut = [] } = { ...mounting, first: event.first ?? mounting?.first ?? [] }
  const without = leftOut.filter((id) => !mounted.includes(id))
  const [admitted, omitted] = isLeftOut === true ? [later, [...without, ...mounted]] : [[...later, ...mounted], without]
  return {
    first,
    ...(admitted.length === 0 ? {} : { later: admitted }),
    ...(omitted.length === 0 ? {} : { leftOut: omitted }),
    times,
  }
}

/** What a node has read by an event: all that it says, or what was known before. */
const readsAfter = (
  record: StepRecord | LoopRecord | undefined,
  event: RunEvent,
  seq: number,
): Pick<StepRecord, "reads" | "readsSeq"> => {
  if ("reads" in event && event.reads !== undefined) return { reads: event.reads as ReadonlyArray<NodeKey>, readsSeq: seq }
  return record?.reads === undefined ? nothing : { reads: record.reads, readsSeq: record.readsSeq ?? seq }
}

const foldStep = (
  record: StepRecord,
  event: Exclude<StepEvent, LoopEvent | BoundaryEvent | Reset | { readonly _tag: "SignalRefused" }>,
  at: Millis.Millis,
  seq: number,
): StepRecord => {
  const { nodeId, iteration, attempt, startedAt, attemptedAt, failures, budgetAfter, interruptions, wait } = record
  const named = { kind: "step", nodeId, iteration, attempt, failures, budgetAfter, interruptions } as const
  const fresh = startedAt === undefined || attemptedAt === undefined ? named : { ...named, startedAt, attemptedAt }
  const reads = readsAfter(record, event, seq)
  const beats = beatsAfter(record)
  const hasMore =
    wait !== undefined ||
    beats !== nothing ||
    record.approved !== undefined ||
    record.generation !== undefined ||
    record.uncompensated !== undefined ||
    reads !== nothing
  const base = hasMore
    ? {
        ...fresh,
        ...beats,
        ...(wait === undefined ? nothing : { wait }),
        ...(record.approved === undefined ? nothing : { approved: record.approved }),
        ...(record.generation === undefined ? nothing : { generation: record.generation }),
        ...(record.uncompensated === undefined ? nothing : { uncompensated: record.uncompensated }),
        ...reads,
      }
    : fresh
  const heartbeat = record.heartbeat === undefined ? nothing : { heartbeat: record.heartbeat }
  switch (event._tag) {
    case "AttemptStarted":
      return {
        ...base,
        ...heartbeat,
        status: "running",
        attempt: event.attempt,
        startedAt: startedAt ?? at,
        attemptedAt: at,
      }
    case "AttemptSucceeded":
      return {
        ...base,
        status: "finished",
        finishedAt: at,
        failures: [],
        budgetAfter: attempt,
        interruptions: 0,
        order: seq,
        ...(event.table === undefined ? {} : { table: event.table }),
        ...(event.output === undefined ? {} : { output: event.output as Json }),
      }
    case "AttemptFailed": {
      const seen = event.heartbeat === undefined ? heartbeat : { heartbeat: event.heartbeat as Json }
      const failed = { ...base, ...seen, interruptions: 0, error: event.error }
      if (event.retryAt === undefined)
        return { ...failed, status: "failed", finishedAt: at, ...(event.soft === true ? { soft: true } : {}) }
      return { ...failed, status: "retrying", retryAt: event.retryAt, failures: [...failures, { at, error: event.error }] }
    }
    case "AttemptInterrupted": {
      const seen = event.heartbeat === undefined ? heartbeat : { heartbeat: event.heartbeat as Json }
      const interruptions = event.reason === "crash" ? record.interruptions + 1 : record.interruptions
      return { ...base, ...seen, interruptions, status: "interrupted" }
    }
    case "NodeFailed": {
      const failed = { error: event.error, isOwnError: true, ...(event.soft === true ? { soft: true } : {}) } as const
      return { ...base, ...heartbeat, status: "failed", finishedAt: at, ...failed }
    }
    case "WaitStarted": {
      const { kind, request, digest, name, correlation, deadline } = event
      const shown = { ...(request === undefined ? {} : { request: request as Json }), ...(digest === undefined ? {} : { digest }) }
      const signal = { ...(name === undefined ? {} : { name }), ...(correlation === undefined ? {} : { correlation }) }
      const kept = event.isKept === true ? wait : undefined
      const { decision, answers, child, refusals, refused } = kept ?? {}
      const said = {
        ...(decision === undefined ? {} : { decision }),
        ...(answers === undefined ? {} : { answers }),
        ...(child === undefined ? {} : { child }),
        ...(refusals === undefined ? {} : { refusals }),
        ...(refused === undefined ? {} : { refused }),
      }
      // What goes on being asked is asked by the event that asked it first.
      const asking = { asked: kept?.asked ?? seq, timesAsked: kept?.timesAsked ?? (wait?.timesAsked ?? 0) + 1 }
      const until = deadline === undefined ? {} : { deadline }
      const opened: Wait = { kind, status: "open", since: at, ...asking, ...shown, ...signal, ...until, ...said }
      return { ...base, status: "waiting", startedAt: startedAt ?? at, attemptedAt: at, wait: opened }
    }
    case "DeadlineMoved":
      return wait?.status === "open" ? { ...record, wait: { ...wait, deadline: event.deadline } } : record
    case "ApprovalDecided": {
      if (wait?.status !== "open") return record
      const { approved, note, by, saidAt = at } = event
      const said = { ...(note === undefined ? {} : { note }), ...(by === undefined ? {} : { by }) }
      return { ...record, wait: { ...wait, decision: { approved, ...said, at: saidAt } } }
    }
    case "TaskAnswered": {
      if (wait?.status !== "open") return record
      const answer = { value: event.value as Json, ...(event.by === undefined ? {} : { by: event.by }), at: event.saidAt ?? at }
      return { ...record, wait: { ...wait, answers: [...(wait.answers ?? []), answer] } }
    }
    case "AnswerRefused": {
      if (wait?.status !== "open") return record
      const { answers = [], ...asked } = wait
      const refusal = { refusals: (wait.refusals ?? 0) + 1, refused: event.issues }
      return { ...record, wait: { ...asked, ...refusal, ...(answers.length < 2 ? {} : { answers: answers.slice(1) }) } }
    }
    case "WaitEnded": {
      const { status, table, output, error } = event
      const given = { ...(table === undefined ? {} : { table }), ...(output === undefined ? {} : { output: output as Json }) }
      const over = wait === undefined ? nothing : { wait: ended(wait, event, at) }
      if (status === "passed") return { ...base, ...over, status: "interrupted", approved: wait?.digest ?? "" }
      const order = status === "finished" ? { order: seq } : {}
      const fresh = { failures: [], budgetAfter: attempt, interruptions: 0, status, finishedAt: at }
      return { ...base, ...over, ...fresh, ...order, ...given, ...(error === undefined ? {} : { error, isOwnError: true }) }
    }
    case "SubflowEnded": {
      if (wait?.status !== "open") return record
      const { status, output, error, uncompensated } = event
      const said =
        status === "finished" ? (output === undefined ? {} : { output: output as Json }) : error === undefined ? {} : { error }
      const left = uncompensated === undefined ? {} : { uncompensated }
      return { ...record, ...left, wait: { ...wait, child: { status, ...said } } }
    }
    case "NodeSkipped":
      return { ...base, status: "skipped", finishedAt: at, failures: [], budgetAfter: attempt }
    case "NodeWithdrawn": {
      const over = wait === undefined ? nothing : { wait: withdrawn(wait, event.reason, event.isKept === true, at) }
      const status = event.reason === "superseded" ? "superseded" : "withdrawn"
      return { ...base, ...heartbeat, ...over, status, finishedAt: at }
    }
  }
}

const ended = (wait: Wait, event: Extract<RunEvent, { readonly _tag: "WaitEnded" }>, at: Millis.Millis): Wait => {
  const { answers: _, child: __, isKept: ___, reason: ____, ...rest } = wait
  const { by, saidAt } = event
  const isDecided = wait.decision !== undefined
  const answered = {
    ...(isDecided || by === undefined ? {} : { answeredBy: by }),
    ...(isDecided || saidAt === undefined ? {} : { answeredAt: saidAt }),
  }
  return { ...rest, status: event.status === "passed" ? "finished" : event.status, ...answered, endedAt: at }
}
