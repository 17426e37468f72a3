/**
 * Steps that are ready, in document order, as far as every group around them has room. A group is the run itself or a `Parallel` that
 * limits itself.
 */
import type * as Plan from "../Plan.ts"
import * as Heap from "./heap.ts"

interface Group {
  readonly cap: number
  readonly parent: Group | undefined
  readonly ready: Heap.Heap<number>
  /** Groups directly inside this one that have ready steps. */
  readonly inside: Set<Group>
  running: number
}

export interface Groups {
  readonly enqueue: (position: number) => void
  /** Takes the first that may start. It may have been enqueued before something changed; whoever takes it looks. */
  readonly take: () => number | undefined
  /** Counts an attempt in, or out; at -1 that of a step that the plan does not have. */
  readonly occupy: (position: number, change: 1 | -1) => void
  readonly running: () => number
  /** Tells whether every group around a step has room for it. */
  readonly hasRoom: (position: number) => boolean
}

/** The groups of a plan. */
export const make = ({ nodes, parent }: Plan.Plan, maxConcurrency: number): Groups => {
  const newGroup = (cap: number, up: Group | undefined): Group => ({
    cap,
    parent: up,
    ready: Heap.make((position) => position),
    inside: new Set(),
    running: 0,
  })
  const root = newGroup(maxConcurrency, undefined)
  const own = new Map<number, Group>()
  const groupOf = (position: number): Group => {
    for (let here = parent(position); own.size > 0 && here >= 0; here = parent(here)) {
      const group = own.get(here)
      if (group !== undefined) return group
    }
    return root
  }
  nodes.forEach((node, position) => {
    if (node._tag !== "Parallel" || node.maxConcurrency === undefined) return
    own.set(position, newGroup(node.maxConcurrency, groupOf(position)))
  })
  /** The group with the first of all ready steps that every group around them has room for. */
  const first = (): Group | undefined => {
    let best: Group | undefined
    let least = Number.POSITIVE_INFINITY
    const ahead = [root]
    for (let group = ahead.pop(); group !== undefined; group = ahead.pop()) {
      if (group.running >= group.cap) continue
      const position = group.ready.peek() ?? least
      if (position < least) {
        best = group
        least = position
      }
      for (const inside of group.inside) {
        if (inside.ready.size() === 0 && inside.inside.size === 0) group.inside.delete(inside)
        else ahead.push(inside)
      }
    }
    return best
  }
  return {
    enqueue: (position) => {
      let group = groupOf(position)
      group.ready.push(position)
      for (let up = group.parent; up !== undefined; up = group.parent) {
        up.inside.add(group)
        group = up
      }
    },
    take: () => first()?.ready.pop(),
    occupy: (position, change) => {
      for (let group: Group | undefined = groupOf(position); group !== undefined; group = group.parent) group.running += change
    },
    running: () => root.running,
    hasRoom: (position) => {
      for (let group: Group | undefined = groupOf(position); group !== undefined; group = group.parent)
        if (group.running >= group.cap) return false
      return true
    },
  }
}
