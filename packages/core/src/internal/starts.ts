/**
 * Starts of attempts: the ready steps, started as far as the run has slots and suspects are admitted, and the attempts in
 * flight.
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

/** The schedule that starts belong to. */
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
  /** Readies a step. */
  readonly enqueue: (position: number) => void
  /** Starts the ready steps that may start. */
  readonly start: () => Array<Start>
  /** Counts an attempt that has ended. */
  readonly end: () => void
  /** Attempts in flight whose steps are not in the plan, or not active, now. */
  readonly orphans: ReadonlySet<NodeKey>
  readonly addOrphan: (key: NodeKey) => void
  /** Adopts an attempt in flight whose step the walk has reached. */
  readonly claimOrphan: (key: NodeKey) => void
  readonly endOrphan: (key: NodeKey) => void
  /** Number of attempts in flight. */
  readonly running: () => number
  /** Tells whether ready steps wait for admission. */
  readonly isHeldBack: () => boolean
}

/** A step that may start. */
interface Ready {
  readonly position: number
  /** The smallest is first. */
  readonly rank: number
}

/** The starts of a schedule. */
export const make = ({ plan, view, phases, journal, reads, maxConcurrency, place, admit }: Host): Starts => {
  /** In document order, compensations first. */
  const readySteps = Heap.make<Ready>(({ rank }) => rank)
  let running = 0
  const orphans = new Set<NodeKey>()
  /** Ready steps that wait for admission. */
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
  /** Starts the admitted suspects, the likeliest first, which clears the others soonest. */
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
        // It may have been halted since, or queued twice.
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
