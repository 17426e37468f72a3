/**
 * Places in groups with a limit. A branch takes its place when the first leaf in it starts, and holds it until the branch ends,
 * whether it works or waits. Leaves without a place are parked.
 */
import type { NodeKey } from "../Ids.ts"
import * as Plan from "../Plan.ts"
import * as Heap from "./heap.ts"
import { Phase } from "./phase.ts"
import { childPositions, isBegun, isReset, type View } from "./view.ts"

/** The schedule that places belong to. */
export interface Host {
  readonly plan: Plan.Plan
  readonly view: Pick<View, "stepRecord" | "boundaryRecord">
  readonly phases: Uint8Array
  /** Starts a leaf that was parked. */
  readonly resume: (position: number) => void
}

export interface Places {
  /** Starts a group, with places for the branches that have begun already. */
  readonly open: (group: number) => void
  /** Takes places for a leaf in all groups around it, or parks it. Returns whether it may start. */
  readonly admit: (leaf: number) => boolean
  /** Passes the place of a branch to the next one. */
  readonly release: (branch: number) => void
  /** Gives the first parked branch a place beyond the limit. Returns whether there was one. */
  readonly overbook: () => boolean
  /** Starts the parked leaves that a recording has begun by now. Returns whether there was one. */
  readonly resume: () => boolean
}

interface Group {
  readonly limit: number
  held: number
  /** Branches with parked leaves. */
  waiting: Heap.Heap<number>
}

/** The places of a plan without limits. */
const unlimited: Places = { open: () => {}, admit: () => true, release: () => {}, overbook: () => false, resume: () => false }

/** Places as a recording gave them: a leaf in a group with a limit may start once it has begun there. */
export const following = ({
  plan,
  view,
  phases,
  resume,
  opens,
}: Pick<Host, "plan" | "phases" | "resume"> & {
  readonly view: Pick<View, "keyOf">
  readonly opens: (key: NodeKey) => boolean
}): Places => {
  const isLimited = (leaf: number): boolean => {
    for (let up = leaf < plan.size ? plan.parent(leaf) : -1; up >= 0; up = plan.parent(up)) {
      const node = plan.node(up)
      if ((node._tag === "Parallel" || node._tag === "ForEach") && node.maxConcurrency !== undefined) return true
    }
    return false
  }
  let parked: ReadonlyArray<number> = []
  const resumeDue = (): boolean => {
    const waiting = [...new Set(parked)].filter((leaf) => phases[leaf] === Phase.parked)
    const ready = waiting.filter((leaf) => opens(view.keyOf(leaf)))
    parked = waiting.filter((leaf) => !ready.includes(leaf))
    for (const leaf of ready.toReversed()) {
      phases[leaf] = Phase.idle
      resume(leaf)
    }
    return ready.length > 0
  }
  return {
    ...unlimited,
    release: resumeDue,
    resume: resumeDue,
    admit: (leaf) => {
      if (!isLimited(leaf) || opens(view.keyOf(leaf))) return true
      phases[leaf] = Phase.parked
      parked = [...parked, leaf]
      return false
    },
  }
}

/** The places of a plan. */
export const make = ({ plan, view, phases, resume }: Host): Places => {
  const { parent } = plan
  const groups = new Map<number, Group>()
  for (let position = 0; position < plan.size; position++) {
    const node = plan.node(position)
    const limit = node._tag === "Parallel" || node._tag === "ForEach" ? node.maxConcurrency : undefined
    if (limit !== undefined) groups.set(position, { limit, held: 0, waiting: Heap.make((branch) => branch) })
  }
  if (groups.size === 0) return unlimited
  const holders = new Set<number>()
  const parked = new Map<number, Array<number>>()
  const isParked = (leaf: number): boolean => phases[leaf] === Phase.parked
  /** Branches of groups around a leaf that have no place, the outermost first. */
  const placeless = (leaf: number): Array<number> => {
    const found: Array<number> = []
    for (let inner = leaf, up = parent(leaf); up >= 0; inner = up, up = parent(up)) {
      const node = plan.node(up)
      // Nodes on the way out need no place outside.
      const isLast = node._tag === "TryCatch" && Plan.tryParts(plan, up, node).finally === inner
      if (isLast && view.boundaryRecord(up)?.status === "halted") break
      // What a race has kept needs none in a branch that is over.
      if (groups.has(up) && !holders.has(inner) && phases[inner] !== Phase.done) found.unshift(inner)
    }
    return found
  }
  /** Tells whether a leaf stands in a `finally` that runs, or ran, on the way out: those need no place outside. */
  const isOnWayOut = (leaf: number, branch: number): boolean => {
    for (let inner = leaf, up = parent(leaf); inner !== branch; inner = up, up = parent(up)) {
      const node = plan.node(up)
      if (node._tag !== "TryCatch" || Plan.tryParts(plan, up, node).finally !== inner) continue
      const status = view.boundaryRecord(up)?.status
      if (status !== undefined && status !== "running" && status !== "finished") return true
    }
    return false
  }
  /**
   * Tells by the state whether a branch has a place. One of which leaves were reset takes it again with the first of them, unless
   * something in it is at work.
   */
  const holdsAgain = (branch: number): boolean => {
    let [hasBegun, isAgain] = [false, false]
    for (let inside = branch; inside < plan.end(branch); inside++) {
      const record = Plan.isLeaf(plan.node(inside)) ? view.stepRecord(inside) : undefined
      if (record === undefined || isOnWayOut(inside, branch)) continue
      const { status } = record
      if (status === "running" || status === "waiting" || status === "retrying") return true
      if (isReset(record)) isAgain = true
      else if (isBegun(record)) hasBegun = true
    }
    return hasBegun && !isAgain
  }
  const groupOf = (branch: number): Group | undefined => groups.get(parent(branch))
  const take = (group: Group, branch: number): void => {
    group.held++
    holders.add(branch)
    const leaves = parked.get(branch) ?? []
    parked.delete(branch)
    // The last item queued starts first, so the leaves are queued in reverse.
    for (const leaf of leaves.filter(isParked).reverse()) {
      phases[leaf] = Phase.idle
      resume(leaf)
    }
  }
  /** The first branch that waits for a place and still has something to start. */
  const next = ({ waiting }: Group): number | undefined => {
    for (let branch = waiting.peek(); branch !== undefined; branch = waiting.peek()) {
      if (parked.get(branch)?.some(isParked) === true) return branch
      parked.delete(branch)
      waiting.pop()
    }
    return undefined
  }
  return {
    open: (position) => {
      const group = groups.get(position)
      if (group === undefined) return
      group.held = 0
      group.waiting = Heap.make((branch) => branch)
      for (const branch of childPositions(plan, position)) {
        parked.delete(branch)
        holders.delete(branch)
        if (!holdsAgain(branch)) continue
        group.held++
        holders.add(branch)
      }
    },
    admit: (leaf) => {
      for (const branch of placeless(leaf)) {
        const group = groupOf(branch)
        if (group === undefined) continue
        if (group.held < group.limit) {
          take(group, branch)
          continue
        }
        phases[leaf] = Phase.parked
        const leaves = parked.get(branch)
        if (leaves === undefined) {
          parked.set(branch, [leaf])
          group.waiting.push(branch)
        } else leaves.push(leaf)
        return false
      }
      return true
    },
    release: (branch) => {
      const group = holders.delete(branch) ? groupOf(branch) : undefined
      if (group === undefined) return
      group.held--
      while (group.held < group.limit) {
        const following = next(group)
        if (following === undefined) return
        group.waiting.pop()
        take(group, following)
      }
    },
    overbook: () => {
      for (const group of groups.values()) {
        const branch = next(group)
        if (branch === undefined) continue
        group.waiting.pop()
        take(group, branch)
        return true
      }
      return false
    },
    resume: () => false,
  }
}
