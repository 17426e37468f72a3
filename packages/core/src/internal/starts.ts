/**
 * Attempts: steps that are ready to start one, as far as the run has room and suspects are admitted, and those that are in flight.
 */
import type { NodeKey } from "../Ids.ts"
import type * as Plan from "../Plan.ts"
import * as Heap from "./heap.ts"
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
  /** Takes places for a step in the groups around it, or parks it. */
  readonly place: (position: number) => boolean
  /** Admits a step that is suspected of killing its process. */
  readonly admit: ((key: NodeKey) => boolean) | undefined
}

export interface Starts {
  /** Makes a step ready. */
  readonly enqueue: (position: number) => void
  /** Starts what is ready and may. */
  readonly start: () => Array<Start>
  /** Counts out an attempt that has ended. */
  readonly end: () => void
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

/** A step that may start. */
interface Ready {
  readonly position: number
  /** The least is first. */
  readonly rank: number
}

/** The starts of a schedule. */
export const make = ({ plan, view, phases, journal, reads, maxConcurrency, place, admit }: Host): Starts => {
  /** In document order, but what undoes a step first. */
  const readySteps = Heap.make<Ready>(({ rank }) => rank)
  let running = 0
  const orphans = new Set<NodeKey>()
  /** Ready steps that may begin when they are admitted. */
  let heldBack: Array<number> = []
  const begin = (position: number): Start => {
    const step = plan.step(position)
    const iteration = view.iterationOf(position)
    const attempt = (view.stepRecord(position)?.attempt ?? 0) + 1
    phases[position] = Phase.running
    running++
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
      if (running < maxConcurrency && admit?.(view.keyOf(position)) === true) {
        if (place(position)) starts.push(begin(position))
      } else heldBack.push(position)
    }
    return starts
  }
  return {
    enqueue: (position) => {
      phases[position] = Phase.ready
      if (admit !== undefined && Suspects.isSuspect(view.stepRecord(position))) heldBack.push(position)
      else readySteps.push({ position, rank: position < plan.size ? position : position - plan.nodes.length })
    },
    start: () => {
      if (journal.isPaused()) return []
      const starts = heldBack.length > 0 ? startSuspects() : []
      while (running < maxConcurrency) {
        const ready = readySteps.pop()
        if (ready === undefined) break
        // It may have been halted since, or enqueued once more.
        if (phases[ready.position] === Phase.ready && place(ready.position)) starts.push(begin(ready.position))
      }
      return starts
    },
    end: () => {
      running--
    },
    orphans,
    addOrphan: (key) => {
      if (orphans.has(key)) return
      orphans.add(key)
      running++
    },
    // It stays counted.
    claimOrphan: (key) => orphans.delete(key),
    endOrphan: (key) => {
      if (orphans.delete(key)) running--
    },
    running: () => running,
    isHeldBack: () => heldBack.length > 0,
  }
}
