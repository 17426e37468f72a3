/**
 * The slots of a run: attempts in flight and attached child runs at work hold one each. Ready steps and child runs are queued in document
 * order, and start as far as the run has slots and suspects are admitted. A child run that rests gives its slot back, and continues without one:
 * it may wait for something that is queued here.
 */
import { type NodeKey, nodeKey } from "../Ids.ts"
import type * as Plan from "../Plan.ts"
import type { StepRecord } from "../Records.ts"
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
  /** The generation of the code, unless it is the one that the run began with. */
  readonly codeGeneration: number | undefined
  /** Takes places for a step in the groups around it, or parks it. */
  readonly place: (position: number) => boolean
  /** Begins the child run of a subflow that has a slot, unless it is parked or its input fails. */
  readonly openChild: (position: number) => void
  /** Child runs in flight whose nodes the schedule does not wait at. */
  readonly strays: () => ReadonlyArray<Pick<StepRecord, "nodeId" | "iteration">>
  /** Child runs at rest, which do nothing but wait. */
  readonly resting: ReadonlySet<NodeKey>
  /** Admits a step that is suspected of killing its process. */
  readonly admit: ((key: NodeKey) => boolean) | undefined
  /** `true` if `admit` decides about each step and each child run. */
  readonly admitsEach: boolean
  /** Admits an attempt at a step with a limit, once it holds a slot of it. `left` is the number of attempts that could start. */
  readonly grant: ((start: Start, left: number) => boolean) | undefined
}

export interface Starts {
  /** Readies a step, or the child run of a subflow. */
  readonly enqueue: (position: number) => void
  /** Starts the ready steps that may start. */
  readonly start: () => Array<Start>
  /** Starts the ready child runs that get a slot beside the steps before them. Returns whether there was any. */
  readonly openChildren: () => boolean
  /** Adds or removes a child run that the schedule waits for. */
  readonly countChild: (key: NodeKey, isOpen: boolean) => void
  /** Checks again whether a child run is at rest. */
  readonly noteRest: (key: NodeKey) => void
  /** Tells whether something ready has not started. */
  readonly isShort: () => boolean
  /** Tells whether a ready child run could start. */
  readonly hasRoom: () => boolean
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
  /** Tells whether ready steps wait for slots of their limits. */
  readonly isQueued: () => boolean
}

/** A step or a subflow that may start. */
interface Ready {
  readonly position: number
  /** The smallest is first. */
  readonly rank: number
}

/** The starts of a schedule. */
export const make = (host: Host): Starts => {
  const { plan, view, phases, journal, reads, maxConcurrency, codeGeneration, place, admit, admitsEach, grant, resting } = host
  /** In document order, compensations first. */
  const readySteps = Heap.make<Ready>(({ rank }) => rank)
  const readyChildren = Heap.make<Ready>(({ rank }) => rank)
  let running = 0
  /** Child runs that the schedule waits for, and those of them that are at work. */
  const children = new Set<NodeKey>()
  const working = new Set<NodeKey>()
  const slotsLeft = (): number => {
    let left = maxConcurrency - running - working.size
    for (const { nodeId, iteration } of host.strays()) {
      const key = nodeKey(nodeId, iteration)
      if (!children.has(key) && !resting.has(key)) left--
    }
    return left
  }
  const noteRest: Starts["noteRest"] = (key) => {
    if (!resting.has(key) && children.has(key)) working.add(key)
    else working.delete(key)
  }
  /** The first that is ready; what was halted since is passed over. */
  const first = (heap: Heap.Heap<Ready>): Ready | undefined => {
    let ready = heap.peek()
    while (ready !== undefined && phases[ready.position] !== Phase.ready) {
      heap.pop()
      ready = heap.peek()
    }
    return ready
  }
  const orphans = new Set<NodeKey>()
  /** Ready steps, and child runs, that wait for admission. */
  let heldBack: Array<number> = []
  let heldChildren: Array<number> = []
  /** Ready steps that wait for a slot of their limit. */
  let queued: Array<number> = []
  const startAt = (position: number): Start => ({
    position,
    step: plan.step(position),
    iteration: view.iterationOf(position),
    attempt: (view.stepRecord(position)?.attempt ?? 0) + 1,
  })
  const begin = (position: number): Start => {
    const start = startAt(position)
    const { step, iteration, attempt } = start
    phases[position] = Phase.running
    running++
    const begun = { _tag: "AttemptStarted", nodeId: step.id, iteration, attempt, ...reads.readsOf(position) } as const
    journal.emit(codeGeneration === undefined ? begun : { ...begun, codeGeneration })
    return start
  }
  /** Tells whether a step may start as far as its limit goes. Compensations have none. */
  const isGranted = (position: number): boolean =>
    grant === undefined || position >= plan.size || plan.step(position).limit === undefined || grant(startAt(position), slotsLeft())
  /** Starts the steps that hold a slot of their limit, in document order. */
  const startQueued = (): Array<Start> => {
    const starts: Array<Start> = []
    const ready = [...new Set(queued)].filter((position) => phases[position] === Phase.ready)
    queued = []
    for (const position of ready.sort((left, right) => left - right)) {
      if (!isGranted(position)) queued.push(position)
      else if (place(position)) starts.push(begin(position))
    }
    return starts
  }
  /** Starts the admitted suspects, the likeliest first, which clears the others soonest. */
  const startSuspects = (): Array<Start> => {
    const starts: Array<Start> = []
    const ready = [...new Set(heldBack)].filter((position) => phases[position] === Phase.ready)
    const crashes = (position: number): number => view.stepRecord(position)?.interruptions ?? 0
    heldBack = []
    for (const position of ready.sort((left, right) => crashes(right) - crashes(left) || left - right)) {
      if (slotsLeft() > 0 && isGranted(position) && admit?.(view.keyOf(position)) === true) {
        if (place(position)) starts.push(begin(position))
      } else heldBack.push(position)
    }
    return starts
  }
  /** Starts the admitted child runs. Returns whether there was any. */
  const openAdmitted = (): boolean => {
    const ready = [...new Set(heldChildren)].filter((position) => phases[position] === Phase.ready)
    heldChildren = ready.filter((position) => admit?.(view.keyOf(position)) !== true)
    const admitted = ready.filter((position) => !heldChildren.includes(position))
    for (const position of admitted) host.openChild(position)
    return admitted.length > 0
  }
  return {
    enqueue: (position) => {
      phases[position] = Phase.ready
      const isChild = position < plan.size && plan.node(position)._tag === "Wait"
      if (isChild && admitsEach) heldChildren.push(position)
      else if (isChild) readyChildren.push({ position, rank: position })
      else if (admit !== undefined && (admitsEach || Suspects.isSuspect(view.stepRecord(position)))) heldBack.push(position)
      else if (grant !== undefined && position < plan.size && plan.step(position).limit !== undefined) queued.push(position)
      else readySteps.push({ position, rank: position < plan.size ? position : position - plan.nodes.length })
    },
    start: () => {
      if (journal.isPaused()) return []
      const starts = heldBack.length > 0 ? startSuspects() : []
      if (queued.length > 0) starts.push(...startQueued())
      for (let left = slotsLeft(); left > 0; ) {
        const ready = readySteps.pop()
        if (ready === undefined) break
        // It may have been halted since, or queued twice.
        if (phases[ready.position] !== Phase.ready || !place(ready.position)) continue
        starts.push(begin(ready.position))
        left--
      }
      return starts
    },
    openChildren: () => {
      if (heldChildren.length > 0) return !journal.isPaused() && openAdmitted()
      if (readyChildren.peek() === undefined || journal.isPaused()) return false
      const before: Array<Ready> = []
      let isAny = false
      for (let left = slotsLeft(); left > 0; left--) {
        const [child, step] = [first(readyChildren), first(readySteps)]
        if (child === undefined) break
        if (step !== undefined && step.rank < child.rank) {
          readySteps.pop()
          before.push(step)
          continue
        }
        readyChildren.pop()
        host.openChild(child.position)
        isAny = true
      }
      for (const step of before) readySteps.push(step)
      return isAny
    },
    countChild: (key, isOpen) => {
      if (isOpen) children.add(key)
      else children.delete(key)
      noteRest(key)
    },
    noteRest,
    isShort: () => first(readySteps) !== undefined || first(readyChildren) !== undefined,
    hasRoom: () => first(readyChildren) !== undefined && !journal.isPaused() && slotsLeft() > 0,
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
    isHeldBack: () => heldBack.length > 0 || heldChildren.length > 0,
    isQueued: () => queued.length > 0,
  }
}
