/**
 * The frame that is being made of a run: the events since the last frame, the state that follows from them, and what of the inbox they answer.
 * A frame that the store refuses can be taken back to what it was given from outside, from which its consequences are drawn again.
 */
import * as Changes from "../Changes.ts"
import type { Command } from "../Inbox.ts"
import type { Millis } from "../Millis.ts"
import type { RunEvent } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import type { Frame } from "../RunStore.ts"
import type { Interrupt } from "../Scheduler.ts"
import * as CommandEvents from "./commandEvents.ts"

type CacheEntry = Frame["cache"][number]

/** What is committed with the events. */
interface Committed {
  readonly at: Millis
  readonly plan?: Frame["plan"]
  readonly spawned?: NonNullable<Frame["spawned"]>
  readonly sent?: NonNullable<Frame["sent"]>
}

/** Makes the frames of one run, one after another. */
export interface FrameBuilder {
  /** The state after all that was appended. */
  readonly state: RunState.RunState
  readonly events: ReadonlyArray<RunEvent>
  readonly interrupts: ReadonlyArray<Interrupt>
  /** Whether there is nothing to commit. */
  readonly isEmpty: boolean
  /** A frame that was built and is not {@link accept}ed. */
  readonly pending: Frame | undefined
  /** Adds an event and folds it into the state. */
  readonly append: (event: RunEvent, at: Millis) => void
  /** Adds events that were folded already. */
  readonly appendAll: (folded: { readonly state: RunState.RunState; readonly events: ReadonlyArray<RunEvent> }) => void
  /** Adds the events that come of a command. Answers with whether it was there for the first time. */
  readonly consume: (command: Command, at: Millis) => boolean
  /** Has an output kept for other runs. */
  readonly cache: (entry: CacheEntry) => void
  readonly interrupt: (interrupt: Interrupt) => void
  /** Marks all that the frame holds by now as given from outside. What is added from here on follows from it. */
  readonly mark: () => void
  /** The events that the pending frame was given from outside. */
  readonly given: () => ReadonlyArray<RunEvent>
  /** Builds the frame, and begins the next one. */
  readonly build: (committed: Committed) => Frame
  /** Takes note that the store has the pending frame. */
  readonly accept: () => void
  /**
   * Goes back to the state before the pending frame. Commands that it consumed, and of its cache entries those that are `kept`, are in the next
   * one; the events that it was {@link given} are the caller's to append.
   */
  readonly takeBack: (kept?: (entry: CacheEntry) => boolean) => void
}

/** Begins the first frame after a state. */
export const make = (runId: string, epoch: number, loaded: RunState.RunState): FrameBuilder => {
  let state = loaded
  let accepted = loaded
  let events: Array<RunEvent> = []
  let consumed: Array<string> = []
  let cache: Array<CacheEntry> = []
  let interrupts: Array<Interrupt> = []
  let pending: Frame | undefined
  let marked = { events: 0, consumed: 0, cache: 0 }
  const seen = new Set<string>()

  const append: FrameBuilder["append"] = (event, at) => {
    events.push(event)
    state = RunState.apply(state, event, at)
  }
  return {
    get state() {
      return state
    },
    get events() {
      return events
    },
    get interrupts() {
      return interrupts
    },
    get isEmpty() {
      return events.length === 0 && consumed.length === 0 && interrupts.length === 0
    },
    get pending() {
      return pending
    },
    append,
    appendAll: (folded) => {
      for (const event of folded.events) events.push(event)
      state = folded.state
    },
    consume: (command, at) => {
      if (seen.has(command.id)) return false
      seen.add(command.id)
      consumed.push(command.id)
      for (const event of CommandEvents.of(command, state)) append(event, at)
      return true
    },
    cache: (entry) => {
      cache.push(entry)
    },
    interrupt: (interrupt) => {
      interrupts.push(interrupt)
    },
    mark: () => {
      marked = { events: events.length, consumed: consumed.length, cache: cache.length }
    },
    given: () => pending?.events.slice(0, marked.events) ?? [],
    build: ({ at, plan, spawned = [], sent = [] }) => {
      const frame = state.frame + 1
      pending = {
        runId,
        epoch,
        frame,
        firstSeq: state.seq - events.length + 1,
        at,
        events,
        changes: Changes.of(state),
        plan,
        cache,
        consumed,
        ...(spawned.length === 0 ? {} : { spawned }),
        ...(sent.length === 0 ? {} : { sent }),
      }
      state = RunState.committed(state, frame)
      events = []
      consumed = []
      cache = []
      interrupts = []
      return pending
    },
    accept: () => {
      pending = undefined
      accepted = state
    },
    takeBack: (kept = () => true) => {
      consumed = pending?.consumed.slice(0, marked.consumed) ?? []
      cache = pending?.cache.slice(0, marked.cache).filter(kept) ?? []
      pending = undefined
      state = accepted
      events = []
      interrupts = []
    },
  }
}
