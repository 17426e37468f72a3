/**
 * The state of a run at an earlier time, folded from its log. A store supplies the events with their content, and the
 * heartbeats, which are no events.
 */
import type { Json } from "./Codec.ts"
import type { Millis } from "./Millis.ts"
import type { StepRecord } from "./Records.ts"
import type { RunEvent } from "./RunEvent.ts"
import * as RunState from "./RunState.ts"

/** A moment of a run: after a frame, or after an event. */
export type Moment = { readonly frame: number } | { readonly seq: number }

/** Tells whether an event happened before or at a moment. */
export const isUpTo =
  (moment: Moment) =>
  ({ frame, seq }: Pick<Entry, "frame" | "seq">): boolean =>
    "frame" in moment ? frame <= moment.frame : seq <= moment.seq

/** The moment in the original that is a moment of a fork too: at the cut at the latest. `undefined` if it is later than the cut. */
export const inOriginal = (fork: RunState.Fork | undefined, moment: Moment): Moment | undefined => {
  if (fork === undefined) return undefined
  if ("seq" in moment) return moment.seq <= fork.seq ? moment : undefined
  if (moment.frame > fork.frame) return undefined
  return moment.frame === fork.frame ? { seq: fork.seq } : moment
}

/** An event with its content, and its frame, committed at `at` (epoch ms). */
export interface Entry {
  readonly seq: number
  readonly frame: number
  readonly at: number
  readonly event: RunEvent
}

/** The details of a heartbeat that arrived before event number `seq`. */
export interface Beat {
  readonly seq: number
  readonly nodeId: string
  readonly iteration: number
  readonly attempt: number
  readonly details: Json
}

/** The log of a run with the content of its events. That of a fork begins at the cut. */
export interface RunHistory extends Origin {
  readonly runId: string
  readonly entries: ReadonlyArray<Entry>
}

/** The initial data of a run. */
type Origin = Pick<RunState.RunState, "workflow" | "version" | "input"> & {
  readonly [Field in "parent" | "budgets" | "depth" | "fork" | "chain"]?: RunState.RunState[Field] | undefined
}

/** The content of the log of a run up to a moment. */
export interface Log {
  /** Numbers of the last event and of the frame. */
  readonly seq: number
  readonly frame: number
  readonly events: Iterable<Entry>
  /** In order of arrival. Those after the moment are skipped. */
  readonly beats: Iterable<Beat>
  /** Records of steps whose events are left out. */
  readonly finished?: Iterable<StepRecord>
}

/** Folds a log into the state right after its last event. A fork begins with `before`, the state of the original at the cut. */
export const stateAt = (
  runId: string,
  { workflow, version, input, parent, budgets = [], depth = 0, fork, chain }: Origin,
  log: Log,
  before: RunState.RunState = RunState.empty(runId),
): RunState.RunState => {
  const origin = { runId, workflow, version, input, parent, budgets, depth, fork, chain }
  let state: RunState.RunState = { ...before, ...origin }
  const beats = log.beats[Symbol.iterator]()
  let beat = beats.next()
  const hear = (seq: number): void => {
    for (; beat.done !== true && beat.value.seq <= seq; beat = beats.next()) state = withBeat(state, beat.value)
  }
  for (const { event, seq, frame, at } of log.events) {
    hear(seq)
    // Those that are left out are counted.
    if (state.seq !== seq - 1) state = { ...state, seq: seq - 1 }
    // It was validated when it was written.
    state = RunState.replay(state, { event, at: at as Millis, frame })
  }
  hear(log.seq)
  for (const record of log.finished ?? []) state = RunState.put(state, record)
  return { ...state, seq: log.seq, frame: log.frame }
}

const withBeat = (state: RunState.RunState, { nodeId, iteration, attempt, details }: Beat): RunState.RunState => {
  const record = RunState.step(state, nodeId, iteration)
  if (record?.status !== "running" || record.attempt !== attempt) return state
  return RunState.put(state, { ...record, heartbeat: details })
}
