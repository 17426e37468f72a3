/**
 * The records that a frame changes, with all fields of their rows: a store upserts them and folds no events. They are computed
 * here only, from a state and its uncommitted events.
 *
 * A frame owns every column of the records it carries. Heartbeats are written beside frames, not in a record's row.
 */

import type { AgentTurn } from "./Agent.ts"
import type { Json } from "./Codec.ts"
import type { ErrorInfo } from "./Errors.ts"
import { type NodeId, type NodeKey, nodeKey } from "./Ids.ts"
import type * as Millis from "./Millis.ts"
import { PersistentMap } from "./PersistentMap.ts"
import * as Records from "./Records.ts"
import type { RunEvent } from "./RunEvent.ts"
import * as RunState from "./RunState.ts"
import type { AttemptStatus } from "./Status.ts"
import { defined } from "./Struct.ts"

/** The mutable part of a run, without its initial data and its owner. Times are epoch milliseconds. */
export interface RunRecord
  extends Pick<
    RunState.RunState,
    "status" | "output" | "from" | "failure" | "strayReads" | "cancel" | "deadline" | "pausedAt" | "continuedAs"
  > {
  readonly updatedAt: Millis.Millis
  readonly finishedAt: Millis.Millis | undefined
}

interface RecordKey {
  readonly nodeId: NodeId
  readonly iteration: number
}

interface Caused extends RecordKey {
  /** Number of the event that caused it. */
  readonly seq: number
}

/** An attempt that has ended. The running one is in the record of its node. */
export interface AttemptRecord extends Caused {
  readonly attempt: number
  readonly status: Exclude<AttemptStatus, "running">
  readonly startedAt: Millis.Millis
  readonly finishedAt: Millis.Millis
  readonly error?: ErrorInfo | undefined
  readonly retryAt?: Millis.Millis | undefined
  /** The reason of an interruption. */
  readonly reason?: string | undefined
  readonly isCached?: boolean | undefined
  /** Id of the run that the output was taken over from. */
  readonly cachedFrom?: string | undefined
  readonly heartbeat?: Json | undefined
  /** The code that it ran; absent for the code that the run began with. */
  readonly codeGeneration?: number | undefined
  readonly turns?: ReadonlyArray<AgentTurn> | undefined
  /**
   * `true` if the record of its node, as of the end of the frame, says all that this one does. A store that has a row for each node
   * needs none for it. When the node is reset, the row must be kept.
   */
  readonly isSaidByNode: boolean
}

/** An output, encoded. */
export interface OutputRecord extends Caused {
  readonly table: string
  readonly output: Json | undefined
}

/** An output whose node was reset. `seq` is the number of the event that gave it. */
export interface ReplacedOutput extends OutputRecord {
  readonly generation: number
}

/** The latest wait of a node. For a replaced one, `seq` is the number of the event that replaced it. */
export interface WaitRecord extends Caused {
  readonly wait: Records.Wait
}

/** Rows of other nodes that a node has read, as of an event. */
export interface ReadsRecord extends Caused {
  readonly reads: ReadonlyArray<NodeKey>
}

/** A signal, kept or taken by a node. */
export interface SignalRecord extends Records.Signal {
  readonly takenBy: RecordKey | undefined
}

/** The changes of a frame, with each record as of its end. */
export interface Changes {
  readonly run: RunRecord | undefined
  readonly nodes: ReadonlyArray<Records.NodeRecord>
  readonly attempts: ReadonlyArray<AttemptRecord>
  readonly outputs: ReadonlyArray<OutputRecord>
  /** Outputs to move to the history of their tables. */
  readonly replacedOutputs: ReadonlyArray<ReplacedOutput>
  /** The output of a finished run that goes on, to keep with the event that gave it. */
  readonly replacedResult: { readonly seq: number; readonly output: Json } | undefined
  readonly waits: ReadonlyArray<WaitRecord>
  readonly replacedWaits: ReadonlyArray<WaitRecord>
  readonly reads: ReadonlyArray<ReadsRecord>
  readonly signals: ReadonlyArray<SignalRecord>
}

/** The uncommitted events of a state, oldest first. */
export const events = (state: RunState.RunState): ReadonlyArray<RunEvent> => entriesOf(state).map(({ event }) => event)

const entriesOf = (state: RunState.RunState): ReadonlyArray<RunState.Uncommitted> => {
  const entries: Array<RunState.Uncommitted> = []
  for (let entry = state.uncommitted; entry !== undefined; entry = entry.before.uncommitted) entries.push(entry)
  return entries.reverse()
}

const empty: ReadonlyArray<never> = []

/** The changes of the uncommitted events of a state. */
export const of = (state: RunState.RunState): Changes => {
  /** Records by node, as of their last event. */
  const touched = new Map<NodeKey, { readonly record: Records.NodeRecord; readonly seq: number }>()
  const ends: Array<{ readonly key: NodeKey; readonly attempt: Ended; readonly after: Records.StepRecord | undefined }> = []
  const outputs: Array<OutputRecord> = []
  let replacedOutputs: Array<ReplacedOutput> | undefined
  let replacedResult: Changes["replacedResult"]
  let replacedWaits: Array<WaitRecord> | undefined
  let reads: Array<ReadsRecord> | undefined
  let signals: Map<number, SignalRecord> | undefined
  let run: RunRecord | undefined
  const entries = entriesOf(state)
  const note = (signal: Records.Signal, takenBy: RecordKey | undefined): void => {
    signals ??= new Map()
    signals.set(signal.seq, { ...signal, takenBy })
  }
  for (const { event, at, before, record } of entries) {
    const seq = before.seq + 1
    if (!("nodeId" in event)) {
      if (event._tag === "SignalReceived") {
        const { id, name, correlation, payload, submittedAt = at } = event
        note({ seq, at: submittedAt, id, name, correlation, payload: payload as Json | undefined }, undefined)
        continue
      }
      if (event._tag === "PlanChanged" || event._tag === "RunStarted") continue
      if (event._tag === "RunResumed" || event._tag === "CodeReloaded" || event._tag === "RunReverted") {
        for (const { refusedBy, ...signal } of before.signals) if (refusedBy !== undefined) note(signal, undefined)
        // The last event of a run that has an output is the one that gave it.
        if (before.output !== undefined) replacedResult = { seq: before.seq, output: before.output }
      }
      if (event._tag === "CodeReloaded") continue
      const hasEnded =
        event._tag === "RunFinished" || event._tag === "RunFailed" || event._tag === "RunCancelled" || event._tag === "RunContinued"
      if (hasEnded)
        for (const { nodeId, iteration } of RunState.pending(before)) {
          const withdrawn = RunState.step(state, nodeId, iteration)
          if (withdrawn !== undefined) touched.set(nodeKey(nodeId, iteration), { record: withdrawn, seq })
        }
      run = { ...runRecord(state, at), finishedAt: hasEnded ? at : undefined }
      continue
    }
    const { nodeId, iteration } = event
    if (event._tag === "SignalRefused") {
      for (const signal of before.signals) {
        if (signal.id !== event.signalId) continue
        const refusing = { key: nodeKey(nodeId, iteration), issues: event.issues }
        note({ ...signal, refusedBy: [...(signal.refusedBy ?? []), refusing] }, undefined)
      }
      continue
    }
    const key = nodeKey(nodeId, iteration)
    if (record !== undefined) touched.set(key, { record, seq })
    if ("reads" in event && event.reads !== undefined) {
      reads ??= []
      reads.push({ nodeId, iteration, seq, reads: event.reads as ReadonlyArray<NodeKey> })
    }
    switch (event._tag) {
      case "AttemptSucceeded":
      case "AttemptFailed":
      case "AttemptInterrupted": {
        // The record keeps when the attempt began after its end.
        const after = record?.kind === "step" ? record : undefined
        ends.push({ key, attempt: attemptRecord(event, after, at, seq), after })
        if (event._tag === "AttemptSucceeded" && event.table !== undefined)
          outputs.push({ nodeId, iteration, seq, table: event.table, output: event.output as Json | undefined })
        break
      }
      case "WaitEnded": {
        const { table, output, signalId } = event
        if (table !== undefined) outputs.push({ nodeId, iteration, seq, table, output: output as Json | undefined })
        if (signalId === undefined) break
        for (const signal of before.signals) if (signal.id === signalId) note(signal, { nodeId, iteration })
        break
      }
      case "WaitStarted": {
        const wait = event.isKept === true ? undefined : RunState.step(before, nodeId, iteration)?.wait
        if (wait === undefined) break
        replacedWaits ??= []
        replacedWaits.push({ nodeId, iteration, seq, wait })
        break
      }
      case "NodeReset": {
        const replaced = RunState.step(before, nodeId, iteration)
        if (replaced?.table === undefined) break
        const { table, output, generation = 0, finishedSeq = 0 } = replaced
        const index = outputs.findLastIndex((one) => one.nodeId === nodeId && one.iteration === iteration)
        if (index >= 0) outputs.splice(index, 1)
        replacedOutputs ??= []
        replacedOutputs.push({ nodeId, iteration, seq: finishedSeq, table, output, generation })
      }
    }
  }
  const nodes: Array<Records.NodeRecord> = []
  let waits: Array<WaitRecord> | undefined
  const committed = entries[0]?.before ?? state
  for (const { record, seq } of touched.values()) {
    nodes.push(record)
    if (record.kind !== "step" || record.wait === undefined) continue
    const { nodeId, iteration, wait } = record
    if (RunState.step(committed, nodeId, iteration)?.wait === wait) continue
    waits ??= []
    waits.push({ nodeId, iteration, seq, wait })
  }
  return {
    run,
    nodes,
    attempts: ends.map(({ key, attempt, after }) => {
      const isSaidByNode = after !== undefined && touched.get(key)?.record === after && isSaidBy(after, attempt)
      return { ...attempt, isSaidByNode }
    }),
    outputs,
    replacedOutputs: replacedOutputs ?? empty,
    replacedResult,
    waits: waits ?? empty,
    replacedWaits: replacedWaits ?? empty,
    reads: reads ?? empty,
    signals: signals === undefined ? empty : [...signals.values()],
  }
}

const runRecord = (state: RunState.RunState, updatedAt: Millis.Millis): Omit<RunRecord, "finishedAt"> => {
  const { status, output, from, failure, strayReads, cancel, deadline, pausedAt, continuedAs } = state
  return { status, output, from, failure, strayReads, cancel, deadline, pausedAt, continuedAs, updatedAt }
}

type AttemptEnd = Extract<RunEvent, { readonly _tag: "AttemptSucceeded" | "AttemptFailed" | "AttemptInterrupted" }>

type Ended = Omit<AttemptRecord, "isSaidByNode">

/** Tells whether the record of a node says all that its attempt does: that it succeeded, and when. */
const isSaidBy = (record: Records.StepRecord, ended: Ended): boolean =>
  record.status === "finished" &&
  ended.status === "succeeded" &&
  record.attempt === ended.attempt &&
  record.attemptedAt === ended.startedAt &&
  record.finishedAt === ended.finishedAt &&
  ended.isCached !== true &&
  ended.turns === undefined &&
  ended.codeGeneration === undefined

const attemptRecord = (event: AttemptEnd, before: Records.StepRecord | undefined, at: Millis.Millis, seq: number): Ended => {
  const { nodeId, iteration, attempt } = event
  const startedAt = (before?.attempt === attempt ? before.attemptedAt : undefined) ?? at
  const codeGeneration = before?.codeGeneration
  const common = { nodeId, iteration, seq, attempt, startedAt, finishedAt: at, turns: event.turns, codeGeneration }
  if (event._tag === "AttemptSucceeded")
    return { ...common, status: "succeeded", isCached: event.isCached, ...defined({ cachedFrom: event.cachedFrom }) }
  const heartbeat = event.heartbeat as Json | undefined
  if (event._tag === "AttemptInterrupted") return { ...common, status: "interrupted", reason: event.reason, heartbeat }
  return { ...common, status: "failed", error: event.error, retryAt: event.retryAt, heartbeat }
}

/** Applies changes to a stored state. `seq` is the number of the last event of the frame. */
export const patch = (before: RunState.RunState, changes: Changes, frame: number, seq: number): RunState.RunState => {
  let state = before
  for (const record of changes.nodes) state = putRecord(state, record)
  const { run } = changes
  const signals = changes.signals.length === 0 ? state.signals : signalsAfter(state.signals, changes.signals)
  if (run === undefined) return { ...state, signals, frame, seq }
  const { updatedAt: _, finishedAt: __, ...standing } = run
  return { ...state, ...standing, signals, frame, seq }
}

const putRecord = (state: RunState.RunState, record: Records.NodeRecord): RunState.RunState =>
  record.kind === "loop" ? RunState.putLoop(state, record) : RunState.put(state, record)

const signalsAfter = (
  before: ReadonlyArray<Records.Signal>,
  changed: ReadonlyArray<SignalRecord>,
): ReadonlyArray<Records.Signal> => {
  const signals = new Map(before.map((signal) => [signal.seq, signal]))
  for (const { takenBy, ...signal } of changed) {
    if (takenBy === undefined) signals.set(signal.seq, signal)
    else signals.delete(signal.seq)
  }
  return [...signals.values()].sort((left, right) => left.seq - right.seq)
}

/** Builds a state from its records, as a store loads them. */
export const stateOf = (
  run: Omit<RunState.RunState, "nodes" | "failureCount" | "unfinished" | "loopPasses" | "uncommitted">,
  records: Iterable<Records.NodeRecord>,
): RunState.RunState => {
  const nodes = new Map<NodeKey, Records.NodeRecord>()
  const loopPasses = new Map<NodeId, number>()
  const unfinished = new Map<NodeKey, true>()
  let failureCount = 0
  for (const record of records) {
    const key = nodeKey(record.nodeId, record.iteration)
    nodes.set(key, record)
    if (Records.isFailed(record)) failureCount++
    if (Records.isUnfinished(record)) unfinished.set(key, true)
    if (record.kind !== "loop") continue
    const total = loopPasses.get(record.nodeId) ?? 0
    if (record.base + record.passes > total) loopPasses.set(record.nodeId, record.base + record.passes)
  }
  return {
    ...run,
    nodes: PersistentMap.of(nodes),
    failureCount,
    unfinished: PersistentMap.of(unfinished),
    loopPasses: PersistentMap.of(loopPasses),
    uncommitted: undefined,
  }
}
