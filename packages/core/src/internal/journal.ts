/**
 * The state of a run while its schedule advances it, with the events and interrupts decided since the last frame. All modules
 * of a schedule read the state here, and change it only by events.
 */
import type { NodeKey } from "../Ids.ts"
import * as Millis from "../Millis.ts"
import type { RunEvent } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"

/** An attempt, or the child run of a subflow, to interrupt. */
export interface Interrupt {
  readonly key: NodeKey
  /** A sibling in a `failFast` group failed, or the run is being cancelled. */
  readonly reason: "fail-fast" | "cancelled"
}

export interface Journal {
  readonly state: () => RunState.RunState
  readonly now: () => Millis.Millis
  /** Events since the last {@link begin} or {@link beginEvents}. */
  readonly events: () => ReadonlyArray<RunEvent>
  /** Number of those that do not end waits. */
  readonly made: () => number
  readonly interrupts: () => ReadonlyArray<Interrupt>
  /** Sets the state to continue from. */
  readonly begin: (state: RunState.RunState, now: Millis.Millis) => void
  readonly beginEvents: () => void
  readonly emit: (event: RunEvent) => void
  readonly interrupt: (key: NodeKey, reason: Interrupt["reason"]) => void
  /** `true` if an event may have changed the plan, so that nothing more may follow from this one. */
  readonly isStale: () => boolean
  /** `true` if nothing may start since the run is paused. A cancellation proceeds nevertheless. */
  readonly isPaused: () => boolean
}

/** Makes a journal. `observe` receives each event, and returns whether the plan may have changed. */
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
