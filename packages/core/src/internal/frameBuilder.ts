/**
 * Builds the next frame of a run: the events since the last frame, the resulting state, and the applied inbox commands. A frame
 * that the store refuses can be rolled back to its events from outside, from which the consequences are computed again.
 */
import * as Changes from "../Changes.ts"
import type { InboxMessage } from "../Inbox.ts"
import type { Millis } from "../Millis.ts"
import type { RunEvent } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import type { Frame } from "../RunStore.ts"
import type { Interrupt } from "../Scheduler.ts"
import * as CommandEvents from "./commandEvents.ts"

type Generation = NonNullable<Frame["generation"]>
type CacheEntry = Frame["cache"][number]
type ScoreEntry = NonNullable<Frame["scores"]>[number]
type FactEntry = NonNullable<Frame["facts"]>[number]

/** The parts committed with the events. */
interface Committed {
  readonly at: Millis
  readonly plan?: Frame["plan"]
  readonly spawned?: NonNullable<Frame["spawned"]>
  readonly sent?: NonNullable<Frame["sent"]>
}

/** Builds the frames of one run, one after another. */
export interface FrameBuilder {
  /** The state after all appended events. */
  readonly state: RunState.RunState
  readonly events: ReadonlyArray<RunEvent>
  readonly interrupts: ReadonlyArray<Interrupt>
  /** `true` if there is nothing to commit. */
  readonly isEmpty: boolean
  /** A frame that was built and not {@link accept}ed yet. */
  readonly pending: Frame | undefined
  /** Adds an event and folds it into the state. */
  readonly append: (event: RunEvent, at: Millis) => void
  /** Adds events that were folded already. */
  readonly appendAll: (folded: { readonly state: RunState.RunState; readonly events: ReadonlyArray<RunEvent> }) => void
  /** Adds the events of a command. Returns `false` if the command was applied before. */
  readonly consume: (command: InboxMessage, at: Millis) => boolean
  /** Caches an output for other runs. */
  readonly cache: (entry: CacheEntry) => void
  /** Remembers facts of a step. */
  readonly remember: (entries: ReadonlyArray<FactEntry>) => void
  /** Records the code that the run goes on with. */
  readonly goOnWith: (generation: Generation) => void
  /** Notes scores that are due. */
  readonly score: (entries: ReadonlyArray<ScoreEntry>) => void
  readonly interrupt: (interrupt: Interrupt) => void
  /** Marks the current content of the frame as received from outside; later additions follow from it. */
  readonly mark: () => void
  /** The events of the pending frame that were received from outside. */
  readonly received: () => ReadonlyArray<RunEvent>
  /** Builds the frame, and starts the next one. */
  readonly build: (committed: Committed) => Frame
  /** Records that the store has committed the pending frame. */
  readonly accept: () => void
  /**
   * Rolls back to the state before the pending frame. The next frame keeps its consumed commands, and those cache entries, facts and scores that
   * are `kept`. The caller appends the {@link received} events again.
   */
  readonly takeBack: (kept?: (entry: Pick<CacheEntry, "nodeId" | "iteration">) => boolean) => void
}

/** Starts the first frame after a state. */
export const make = (runId: string, epoch: number, loaded: RunState.RunState): FrameBuilder => {
  let state = loaded
  let accepted = loaded
  let events: Array<RunEvent> = []
  let consumed: Array<string> = []
  let cache: Array<CacheEntry> = []
  let facts: Array<FactEntry> = []
  let scores: Array<ScoreEntry> = []
  let generation: Generation | undefined
  let interrupts: Array<Interrupt> = []
  let pending: Frame | undefined
  let marked = { events: 0, consumed: 0, cache: 0, facts: 0, scores: 0 }
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
      return events.length === 0 && consumed.length === 0 && interrupts.length === 0 && generation === undefined
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
    remember: (entries) => {
      facts.push(...entries)
    },
    score: (entries) => {
      scores.push(...entries)
    },
    goOnWith: (begun) => {
      generation = begun
    },
    interrupt: (interrupt) => {
      interrupts.push(interrupt)
    },
    mark: () => {
      marked = { events: events.length, consumed: consumed.length, cache: cache.length, facts: facts.length, scores: scores.length }
    },
    received: () => pending?.events.slice(0, marked.events) ?? [],
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
        ...(facts.length === 0 ? {} : { facts }),
        ...(scores.length === 0 ? {} : { scores }),
        ...(generation === undefined ? {} : { generation }),
      }
      state = RunState.committed(state, frame)
      events = []
      consumed = []
      cache = []
      if (facts.length > 0) facts = []
      if (scores.length > 0) scores = []
      generation = undefined
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
      facts = pending?.facts?.slice(0, marked.facts).filter(kept) ?? []
      scores = pending?.scores?.slice(0, marked.scores).filter(kept) ?? []
      generation = pending?.generation
      pending = undefined
      state = accepted
      events = []
      interrupts = []
    },
  }
}
