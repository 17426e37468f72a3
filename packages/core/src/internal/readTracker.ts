/**
 * Reads of nodes: rows that were read to decide about a node, and rows that it was rendered with. An event of the node lists
 * them if its record lacks some.
 */
import { type NodeKey, parseNodeKey } from "../Ids.ts"
import type * as Plan from "../Plan.ts"
import * as RunState from "../RunState.ts"
import type { View } from "./view.ts"

/** Most rows to list individually for a render of a node: more than people read in one component, and half a kilobyte. */
const mostReads = 32

export interface ReadTracker {
  /** Returns a function that records the reads of an author's function for a node. */
  readonly noteFor: (position: number) => Plan.NoteRead
  /** All reads of a node for its next event, if its record lacks some. */
  readonly readsOf: (position: number) => { readonly reads?: ReadonlyArray<NodeKey> }
}

/** The reads of the nodes of a plan. */
export const make = (plan: Plan.Plan, view: View, state: () => RunState.RunState): ReadTracker => {
  /** Reads that no event lists yet, by the row of the reader. */
  const reads = new Map<NodeKey, Set<NodeKey>>()
  /** Tells whether a row is the node's own, or of a node inside a loop that reads it: the loop continues from there. */
  const isOwn = (position: number, key: NodeKey): boolean => {
    const target = plan.positions.get(parseNodeKey(key).nodeId)
    if (target === undefined || !plan.contains(position, target)) return false
    return target > position || key === view.keyOf(position)
  }
  return {
    noteFor:
      (position) =>
      ({ key }) => {
        if (key === undefined || isOwn(position, key)) return
        const reader = view.keyOf(position)
        const known = reads.get(reader)
        if (known === undefined) reads.set(reader, new Set([key]))
        else known.add(key)
      },
    readsOf: (position) => {
      const node = plan.node(position)
      const drawn = "reads" in node ? node.reads : undefined
      if (drawn === undefined && reads.size === 0) return noFields
      const own = view.keyOf(position)
      const before = (node._tag === "Loop" ? view.loopRecord(position) : view.stepRecord(position))?.reads ?? []
      const all = new Set(before)
      for (const key of reads.get(own) ?? []) all.add(key)
      let named = 0
      for (const key of all.has(RunState.anyRow) ? [] : (drawn?.(state()) ?? [])) {
        if (isOwn(position, key)) continue
        if (named++ === mostReads) {
          all.add(RunState.anyRow)
          break
        }
        all.add(key)
      }
      reads.delete(own)
      return all.size === before.length ? noFields : { reads: [...all].sort() }
    },
  }
}

const noFields = {}
