/**
 * The state of a run at an earlier time, folded from its log. A store supplies the events with their content, and the
 * heartbeats, which are no events.
 */
import type { Json } from "./Codec.ts"
import type { Millis } from "./Millis.ts"
import type { RunEvent } from "./RunEvent.ts"
import * as RunState from "./RunState.ts"

/** A moment of a run: after a frame, or after an event. */
export type Moment = { readonly frame: number } | { readonly seq: number }

/** Tells whether an event happened before or at a moment. */
export const isUpTo =
  (moment: Moment) =>
  ({ frame, seq }: Pick<Entry, "frame" | "seq">): boolean =>
    "frame" in moment ? frame <= moment.frame : seq <= moment.seq

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

/** The initial data of a run. */
type Origin = Pick<RunState.RunState, "workflow" | "version" | "input"> & {
  readonly [Field in "parent" | "budgets" | "depth"]?: RunState.RunState[Field] | undefined
}

/**
 * Folds events into the state right after the last of them. `beats` are in order of arrival; those after the last event are
 * skipped.
 */
export const stateAt = (
  runId: string,
  { workflow, version, input, parent, budgets = [], depth = 0 }: Origin,
  events: Iterable<Entry>,
  beats: Iterable<Beat>,
): RunState.RunState => {
  let state: RunState.RunState = { ...RunState.empty(runId), workflow, version, input, parent, budgets, depth }
  const later = beats[Symbol.iterator]()
  let beat = later.next()
  for (const { event, seq, frame, at } of events) {
    for (; beat.done !== true && beat.value.seq <= seq; beat = later.next()) state = withBeat(state, beat.value)
    // It was validated when it was written.
    state = RunState.committed(RunState.apply(state, event, at as Millis), frame)
  }
  return state
}

const withBeat = (state: RunState.RunState, { nodeId, iteration, attempt, details }: Beat): RunState.RunState => {
  const record = RunState.step(state, nodeId, iteration)
  if (record?.status !== "running" || record.attempt !== attempt) return state
  return RunState.put(state, { ...record, heartbeat: details })
}
