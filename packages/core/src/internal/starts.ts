/**
 * Attempts: steps that are ready to start one, as far as groups have room and suspects are admitted, and those that are in flight.
 */
import { type NodeKey, parseNodeKey } from "../Ids.ts"
import type * as Plan from "../Plan.ts"
import * as Groups from "./groups.ts"
import type { Journal } from "./journal.ts"
import { Phase } from "./phase.ts"
import type { ReadTracker } from "./readTracker.ts"
import * as Suspects from "./suspects.ts"
import type { View } from "./view.ts"

/** An attempt to start. */
export interface Start {
  readonly position: number
  readonly step: Plan.Step
  readonly iteration: number
  readonly attempt: number
}

/** The schedule that starts are a part of. */
export interface Host {
  readonly plan: Plan.Plan
  readonly view: View
  readonly phases: Uint8Array
  readonly journal: Journal
  readonly reads: ReadTracker
  readonly maxConcurrency: number
  /** Admits a step that is suspected of killing its process. */
  readonly admit: ((key: NodeKey) => boolean) | undefined
}

export interface Starts {
  /** Makes a step ready. */
  readonly enqueue: (position: number) => void
  /** Starts what is ready and may. */
  readonly start: () => Array<Start>
  /** Counts out an attempt that has ended. */
  readonly end: (position: number) => void
  /** Attempts in flight of steps that the plan does not have, or does not have active, now. */
  readonly orphans: ReadonlySet<NodeKey>
  readonly addOrphan: (key: NodeKey) => void
  /** The walk has come to the step of an attempt in flight. */
  readonly claimOrphan: (key: NodeKey) => void
  readonly endOrphan: (key: NodeKey) => void
  /** Attempts in flight. */
  readonly running: () => number
  /** Tells whether ready steps wait until they are admitted. */
  readonly isHeldBack: () => boolean
}

/** The starts of a schedule. */
export const make = ({ plan, view, phases, journal, reads, maxConcurrency, admit }: Host): Starts => {
  const groups = Groups.make(plan, maxConcurrency)
  const orphans = new Set<NodeKey>()
  /** Ready steps that may begin when they are admitted. */
  let heldBack: Array<number> = []
  const positionOf = (key: NodeKey): number => plan.positions.get(parseNodeKey(key).nodeId) ?? -1
  const begin = (position: number): Start => {
    const step = plan.step(position)
    const iteration = view.iterationOf(position)
    const attempt = (view.stepRecord(position)?.attempt ?? 0) + 1
    phases[position] = Phase.running
    groups.occupy(position, 1)
    journal.emit({ _tag: "AttemptStarted", nodeId: step.id, iteration, attempt, ...reads.readsOf(position) })
    return { position, step, iteration, attempt }
  }
  /** Begins what is admitted of the steps that are suspected, the likeliest first: then it is soon known of the others that they are innocent. */
  const startSuspects = (): Array<Start> => {
    const starts: Array<Start> = []
    const ready = [...new Set(heldBack)].filter((position) => phases[position] === Phase.ready)
    const crashes = (position: number): number => view.stepRecord(position)?.interruptions ?? 0
    heldBack = []
    for (const position of ready.sort((left, right) => crashes(right) - crashes(left) || left - right)) {
      if (groups.hasRoom(position) && admit?.(view.keyOf(position)) === true) starts.push(begin(position))
      else heldBack.push(position)
    }
    return starts
  }
  return {
    enqueue: (position) => {
      phases[position] = Phase.ready
      if (admit !== undefined && Suspects.isSuspect(view.stepRecord(position))) heldBack.push(position)
      else groups.enqueue(position)
    },
    start: () => {
      if (journal.isPaused()) return []
      const starts = heldBack.length > 0 ? startSuspects() : []
      for (let position = groups.take(); position !== undefined; position = groups.take()) {
        // It may have been halted since, or enqueued once more.
        if (phases[position] === Phase.ready) starts.push(begin(position))
      }
      return starts
    },
    end: (position) => groups.occupy(position, -1),
    orphans,
    addOrphan: (key) => {
      if (orphans.has(key)) return
      orphans.add(key)
      groups.occupy(positionOf(key), 1)
    },
    // It stays counted.
    claimOrphan: (key) => orphans.delete(key),
    endOrphan: (key) => {
      if (orphans.delete(key)) groups.occupy(positionOf(key), -1)
    },
    running: groups.running,
    isHeldBack: () => heldBack.length > 0,
  }
}
