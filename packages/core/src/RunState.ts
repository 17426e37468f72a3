/**
 * The state of a run: a pure fold of its events. It holds encoded outputs, never decoded ones, so it does not depend on the
 * workflow's code. A run can be inspected without its code, and resumed by code that has changed.
 */

import type * as Budget from "./Budget.ts"
import type { Json } from "./Codec.ts"
import type { RunFailure, Uncompensated } from "./Errors.ts"
import { type NodeId, type NodeKey, nodeKey } from "./Ids.ts"
import {
  foldBoundary,
  foldStep,
  heartbeatsAfter,
  type LoopEvent,
  mountingAfter,
  noFields,
  type Reset,
  readsAfter,
  timesOf,
  unstarted,
  withdrawn,
} from "./internal/transitions.ts"
import type * as Millis from "./Millis.ts"
import { PersistentMap } from "./PersistentMap.ts"
import {
  type BoundaryRecord,
  type Exhausted,
  isFailed,
  isSettled,
  isUnfinished,
  type LoopRecord,
  type NodeRecord,
  type Parent,
  type Signal,
  type StepRecord,
  undoneBy,
} from "./Records.ts"
import type { Continuation, OutputSource, RunEvent, StrayRead } from "./RunEvent.ts"
import * as Status from "./Status.ts"
import { defined } from "./Struct.ts"

/** The run that a run was forked from, and the cut. */
export interface Fork {
  readonly runId: string
  /** Last frame and event that are history of both. */
  readonly frame: number
  readonly seq: number
  /** Epoch ms of the cut. */
  readonly at: Millis.Millis
  /** The run that it was forked from, and those before, each up to an event: what they have cached later is not taken over. */
  readonly lineage: ReadonlyArray<{ readonly runId: string; readonly seq: number }>
  /** `true` if its sagas also undo what the original did. */
  readonly ownsEffects?: true
}

/** The place of a run in the generations of a run that goes on as new ones. */
export interface Chain {
  /** The id of the first run. */
  readonly first: string
  /** Number of the run, from 0. */
  readonly generation: number
}

/** The state of a run after some of its events. */
export interface RunState {
  readonly runId: string
  readonly workflow: string
  readonly version: string | undefined
  readonly input: Json | undefined
  readonly status: Status.RunStatus
  readonly nodes: PersistentMap<NodeKey, NodeRecord>
  /** Number of records that {@link isFailed} holds for; if it is 0, they need not be searched. */
  readonly failureCount: number
  /** Steps that {@link isUnfinished} holds for, so that they need not be searched. */
  readonly unfinished: PersistentMap<NodeKey, true>
  /** Passes started per loop over the whole run: the `base` of its next instance. */
  readonly loopPasses: PersistentMap<NodeId, number>
  /** Signals in order of arrival. */
  readonly signals: ReadonlyArray<Signal>
  readonly output: Json | undefined
  /** The rows that gave the output. */
  readonly from: OutputSource | undefined
  readonly failure: RunFailure | undefined
  /** Reads of an ended run that found no node. */
  readonly strayReads: ReadonlyArray<StrayRead> | undefined
  /** Set once a cancellation was requested. */
  readonly cancel:
    | {
        readonly reason: string | undefined
        readonly deadline?: number | undefined
        /** Set if it goes on as a new run instead. */
        readonly continuation?: Continuation | undefined
      }
    | undefined
  /** Its place among generations; `undefined` for a run that is no successor. */
  /** Time before which nothing of the run begins (epoch ms). */
  readonly startAt: Millis.Millis | undefined
  readonly chain: Chain | undefined
  /** The run that it goes on as. */
  readonly continuedAs: string | undefined
  /** Time at which it ends as failed unless it has finished before (epoch ms). */
  readonly deadline: Millis.Millis | undefined
  /** Epoch ms of the pause. */
  readonly pausedAt: Millis.Millis | undefined
  /** The run that started this one. */
  readonly parent: Parent | undefined
  /** Budgets that its calls draw on besides those of its plan: of its starter, and of the runs above. */
  readonly budgets: ReadonlyArray<Budget.Claim>
  /** Number of runs above it. */
  readonly depth: number
  /** The run that it was forked from. */
  readonly fork: Fork | undefined
  /** Number of the last committed frame and event; 0 before the first. */
  readonly frame: number
  readonly seq: number
  /** The last uncommitted event; earlier ones are linked by {@link Uncommitted.before}. */
  readonly uncommitted: Uncommitted | undefined
}

/** An event that was folded into a state since the last commit. */
export interface Uncommitted {
  readonly event: RunEvent
  readonly at: Millis.Millis
  /** The state before it. */
  readonly before: RunState
  /** The record that it changed, if it is an event of a node. */
  readonly record: NodeRecord | undefined
}

/** A run before its first event. */
export const empty = (runId: string): RunState => ({
  runId,
  workflow: "",
  version: undefined,
  input: undefined,
  status: "running",
  nodes: PersistentMap.empty(),
  failureCount: 0,
  unfinished: PersistentMap.empty(),
  loopPasses: PersistentMap.empty(),
  signals: [],
  output: undefined,
  from: undefined,
  failure: undefined,
  strayReads: undefined,
  cancel: undefined,
  startAt: undefined,
  chain: undefined,
  continuedAs: undefined,
  deadline: undefined,
  pausedAt: undefined,
  parent: undefined,
  budgets: [],
  depth: 0,
  fork: undefined,
  frame: 0,
  seq: 0,
  uncommitted: undefined,
})

/** The record of a step in one iteration, if it has one. */
export const step = (state: RunState, nodeId: NodeId, iteration: number): StepRecord | undefined => {
  const record = state.nodes.get(nodeKey(nodeId, iteration))
  return record?.kind === "step" ? record : undefined
}

/** The record of a loop in one iteration of the loop around it, if it began. */
export const loop = (state: RunState, nodeId: NodeId, iteration: number): LoopRecord | undefined => {
  const record = state.nodes.get(nodeKey(nodeId, iteration))
  return record?.kind === "loop" ? record : undefined
}

/** The record of a boundary in one iteration of the loop around it, if it began. */
export const boundary = (state: RunState, nodeId: NodeId, iteration: number): BoundaryRecord | undefined => {
  const record = state.nodes.get(nodeKey(nodeId, iteration))
  return record?.kind === "boundary" ? record : undefined
}

/** Tells whether a step was finished by the run that this one was forked from. */
export const isInherited = ({ fork }: Pick<RunState, "fork">, { finishedSeq }: Pick<StepRecord, "finishedSeq">): boolean =>
  fork !== undefined && finishedSeq !== undefined && finishedSeq <= fork.seq

/** Tells whether a saga of the run undoes a step. What a fork inherited belongs to the run that did it. */
export const ownsEffect = (state: Pick<RunState, "fork">, record: Pick<StepRecord, "finishedSeq">): boolean =>
  state.fork?.ownsEffects === true || !isInherited(state, record)

/** Tells whether a node has a record in any iteration. */
export const hasRecord = (state: RunState, nodeId: NodeId): boolean => records(state).some((record) => record.nodeId === nodeId)

/** Steps that could not be compensated, including those of child runs. */
export const uncompensated = (state: RunState): ReadonlyArray<Uncompensated> =>
  records(state).flatMap((record): ReadonlyArray<Uncompensated> => {
    if (record.kind !== "step") return []
    if (record.uncompensated !== undefined) return record.uncompensated
    if (record.status !== "failed" || record.error === undefined) return []
    const nodeId = undoneBy(record.nodeId)
    return nodeId === undefined ? [] : [{ nodeId, iteration: record.iteration, error: record.error }]
  })

/** The step that failed last, of those that a boundary or the run fails with. */
export const lastFailure = (state: RunState): StepRecord | undefined => {
  let last: StepRecord | undefined
  for (const record of records(state))
    if (record.kind === "step" && isFailed(record) && (last?.finishedAt ?? 0) <= (record.finishedAt ?? 0)) last = record
  return last
}

/** Loops that made all their passes without their `until` holding, by id. */
export const exhausted = (state: RunState): ReadonlyArray<Exhausted> => {
  if (state.loopPasses.size === 0) return []
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
export const records = (state: RunState): ReadonlyArray<NodeRecord> => state.nodes.values()

/**
 * Stands for all rows that were settled when a node began, among its reads. A component may read hundreds of outputs; naming
 * them for each of its elements would make the database grow quadratically. No node has this row.
 */
export const anyRow: NodeKey = "*/-1"

/** Tells whether a row is settled: it has an output, or will never have one. */
export const isSettledRow = (state: RunState, key: NodeKey): boolean => {
  const record = state.nodes.get(key)
  return record?.kind === "step" && isSettled(record)
}

/** Tells whether the run has ended. */
export const isEnded = (state: RunState): boolean => Status.isEnded(state.status)

/** The record that the current fold wrote last. */
let written: NodeRecord | undefined

/** Folds one event, which happened `at` (epoch ms), into a state. Pure: the old state is unchanged. */
export const apply = (state: RunState, event: RunEvent, at: Millis.Millis): RunState => {
  written = undefined
  const next = after(state, fold(state, event, at))
  next.uncommitted = { event, at, before: state, record: written }
  return next
}

/** Folds an event of a committed frame. The same as {@link apply} and {@link committed}, at a lower cost. */
export const replay = (
  state: RunState,
  { event, at, frame }: { readonly event: RunEvent; readonly at: Millis.Millis; readonly frame: number },
): RunState => {
  const next = after(state, fold(state, event, at))
  next.frame = frame
  next.uncommitted = undefined
  return next
}

/** Counts an event. The fold made a new object, so it can be changed in place; a copy would be most of the cost of an event. */
const after = (state: RunState, folded: RunState): { -readonly [K in keyof RunState]: RunState[K] } => {
  const next = folded === state ? { ...state } : folded
  const counted: { -readonly [K in keyof RunState]: RunState[K] } = next
  counted.seq = state.seq + 1
  return counted
}

/** A state whose events are committed with a frame of this number. */
export const committed = (state: RunState, frame: number): RunState => ({ ...state, frame, uncommitted: undefined })

const fold = (state: RunState, event: RunEvent, at: Millis.Millis): RunState => {
  switch (event._tag) {
    case "RunStarted":
      return {
        ...state,
        workflow: event.workflow,
        version: event.version,
        input: event.input as Json | undefined,
        startAt: event.startAt,
      }
    case "RunForked": {
      const { status, output, from, failure, strayReads, cancel, pausedAt, continuedAs } = empty(state.runId)
      return { ...state, status, output, from, failure, strayReads, cancel, pausedAt, continuedAs, deadline: event.deadline }
    }
    case "RunReverted":
    case "RunResumed": {
      // A cancellation that a crash cut short continues; a completed one is undone by resuming.
      const cancel = isEnded(state) ? undefined : state.cancel
      const signals = askedAgain(state.signals)
      return { ...state, status: "running", output: undefined, failure: undefined, strayReads: undefined, cancel, signals }
    }
    case "CodeReloaded":
      return { ...state, signals: askedAgain(state.signals) }
    case "PlanChanged":
      return state
    case "CancelRequested":
      return {
        ...state,
        cancel: { reason: event.reason, ...defined({ deadline: event.deadline, continuation: event.continuation }) },
      }
    case "DeadlineSet":
      return { ...state, deadline: event.deadline }
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
    case "RunContinued": {
      const { successor, strayReads } = event
      return { ...withdrawAll(state, at), status: "continued", cancel: undefined, continuedAs: successor, strayReads }
    }
    case "RunPaused":
      return { ...state, pausedAt: state.pausedAt ?? event.submittedAt ?? at }
    case "RunUnpaused":
      return { ...state, pausedAt: undefined }
    case "LoopAdvanced":
    case "LoopMounted":
    case "LoopFinished":
      return foldLoop(state, event, at)
    case "BoundaryStarted":
    case "LeaveRequested":
    case "PartsDecided":
    case "BoundaryHalted":
    case "BoundaryEnded":
      return put(state, foldBoundary(boundary(state, event.nodeId, event.iteration), event, at))
    case "NodeReset":
      return reset(state, event, at)
    case "SignalReceived": {
      const { id, name, correlation, submittedAt = at } = event
      const signal = { seq: state.seq + 1, at: submittedAt, id, name, correlation, payload: event.payload as Json | undefined }
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

/** Signals as if no wait had rejected them: edited code may accept them. */
const askedAgain = (signals: ReadonlyArray<Signal>): ReadonlyArray<Signal> => signals.map(({ refusedBy: _, ...signal }) => signal)

const withoutSignal = (state: RunState, id: string): RunState => ({
  ...state,
  signals: state.signals.filter((signal) => signal.id !== id),
})

/** Steps that wait for something outside or for their next attempt. */
export const pending = (state: RunState): ReadonlyArray<StepRecord> => {
  const found: Array<StepRecord> = []
  for (const key of state.unfinished.keys()) {
    const record = state.nodes.get(key)
    if (record?.kind === "step" && record.status !== "interrupted") found.push(record)
  }
  return found
}

/** Withdraws the open waits of a run that ends, and keeps them for its resume. */
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

/** Replaces a record of a state. */
export const put = (state: RunState, record: NodeRecord): RunState => {
  written = record
  const key = nodeKey(record.nodeId, record.iteration)
  const before = state.failureCount === 0 ? undefined : state.nodes.get(key)
  const failureCount = state.failureCount + Number(isFailed(record)) - Number(before !== undefined && isFailed(before))
  const { unfinished: known } = state
  const unfinished = isUnfinished(record) ? known.set(key, true) : known.remove(key)
  return { ...state, nodes: state.nodes.set(key, record), failureCount, unfinished }
}

/** Replaces the record of a loop, and counts the rows of its node. There are fewer after a revert has taken the loop back to an earlier pass. */
export const putLoop = (state: RunState, record: LoopRecord): RunState => {
  const { nodeId, iteration, base, passes } = record
  const total = state.loopPasses.get(nodeId) ?? 0
  const before = loop(state, nodeId, iteration)
  const next = put(state, record)
  const rows = base + passes
  if (rows > total) return { ...next, loopPasses: state.loopPasses.set(nodeId, rows) }
  const isFewer = before !== undefined && before.base + before.passes === total && rows < total
  if (!isFewer) return next
  let left = 0
  for (const one of records(next)) if (one.kind === "loop" && one.nodeId === nodeId) left = Math.max(left, one.base + one.passes)
  return { ...next, loopPasses: state.loopPasses.set(nodeId, left) }
}

const reset = (state: RunState, { nodeId, iteration, hasNewChild, isUnapproved }: Reset, at: Millis.Millis): RunState => {
  const record = state.nodes.get(nodeKey(nodeId, iteration))
  if (record?.kind === "boundary")
    return put(state, { kind: "boundary", nodeId, iteration, ...timesOf(record), status: "interrupted" })
  if (record?.kind === "loop") {
    // It begins again after its existing rows.
    const base = state.loopPasses.get(nodeId) ?? 0
    return put(state, { kind: "loop", nodeId, iteration, ...timesOf(record), status: "running", base, passes: 0 })
  }
  const before = record ?? unstarted(nodeId, iteration)
  const { attempt, heartbeat, approved, generation = 0, status, wait } = before
  const next = generation + (status === "finished" || hasNewChild === true ? 1 : 0)
  const kept = {
    ...(heartbeat === undefined ? {} : { heartbeat }),
    ...heartbeatsAfter(before),
    ...(approved === undefined || isUnapproved === true ? {} : { approved }),
    ...(next === 0 ? {} : { generation: next }),
    ...(wait === undefined ? {} : { wait: withdrawn(wait, "reset", false, at) }),
  }
  const base = { kind: "step", nodeId, iteration, attempt, failures: [], budgetAfter: attempt, interruptions: 0 } as const
  return put(state, { ...base, ...timesOf(before), ...kept, status: "interrupted" })
}

const foldLoop = (state: RunState, event: LoopEvent, at: Millis.Millis): RunState => {
  const total = state.loopPasses.get(event.nodeId) ?? 0
  const { nodeId, iteration } = event
  const before = loop(state, nodeId, iteration)
  const reads = readsAfter(before, event, state.seq + 1)
  if (event._tag === "LoopAdvanced") {
    const { base, pass } = event
    // A pass that is resumed is unchanged.
    const isAgain = before?.base === base && before.passes === pass + 1
    const mounting = isAgain && before.mounting !== undefined ? { mounting: before.mounting } : noFields
    const fields = { kind: "loop", nodeId, iteration, status: "running", startedAt: before?.startedAt ?? at } as const
    return putLoop(state, { ...fields, base, passes: pass + 1, ...mounting, ...reads })
  }
  const record = before ?? { kind: "loop", nodeId, iteration, status: "running", base: total, passes: 0 }
  if (event._tag === "LoopMounted") {
    const mounting = mountingAfter(record.mounting, event)
    return put(state, { ...record, mounting, ...reads })
  }
  const exhausted = event.reason === "maxIterations" ? { isExhausted: true as const } : noFields
  return put(state, { ...record, status: "finished", finishedAt: at, ...exhausted, ...reads })
}
