/**
 * The state of a run as its schedule moves it on, with the events and interruptions that it has decided on and not handed over yet. All rooms
 * of a schedule read the state here, and change it by nothing but events.
 */
import type { NodeKey } from "../Ids.ts"
import * as Millis from "../Millis.ts"
import type { RunEvent } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"

/** An attempt, or the child run of a subflow, that is not to go on. */
export interface Interrupt {
  readonly key: NodeKey
  /** A sibling in a `failFast` group failed, or the run is cancelled. */
  readonly reason: "fail-fast" | "cancelled"
}

export interface Journal {
  readonly state: () => RunState.RunState
  readonly now: () => Millis.Millis
  /** Events since the last {@link begin}, or {@link beginEvents}. */
  readonly events: () => ReadonlyArray<RunEvent>
  /** How many of them are not ends of waits. */
  readonly made: () => number
  readonly interrupts: () => ReadonlyArray<Interrupt>
  /** Takes a state to go on from. */
  readonly begin: (state: RunState.RunState, now: Millis.Millis) => void
  readonly beginEvents: () => void
  readonly emit: (event: RunEvent) => void
  readonly interrupt: (key: NodeKey, reason: Interrupt["reason"]) => void
  /** An event may have changed the plan: nothing more may follow from this one. */
  readonly isStale: () => boolean
  /** Nothing begins while the run is paused; but a cancellation is carried out. */
  readonly isPaused: () => boolean
}

/** Makes a journal. `observe` is told of each event, and answers with whether the plan may have changed. */
export const make = (observe: ((event: RunEvent) => boolean) | undefined): Journal => {
  let state = RunState.empty("")
  let now = Millis.zero
  let events: Array<RunEvent> = []
  let made = 0
  let interrupts: Array<Interrupt> = []
  let isStale = false
  const beginEvents = (): void => {
    events = []
    made = 0
  }
  return {
    state: () => state,
    now: () => now,
    events: () => events,
    made: () => made,
    interrupts: () => interrupts,
    begin: (folded, time) => {
      state = folded
      now = time
      beginEvents()
      interrupts = []
    },
    beginEvents,
    emit: (event) => {
      events.push(event)
      if (event._tag !== "WaitEnded") made++
      state = RunState.apply(state, event, now)
      if (observe?.(event) === true) isStale = true
    },
    interrupt: (key, reason) => {
      if (!interrupts.some((known) => known.key === key)) interrupts.push({ key, reason })
    },
    isStale: () => isStale,
    isPaused: () => state.pausedAt !== undefined && state.cancel === undefined,
  }
}
