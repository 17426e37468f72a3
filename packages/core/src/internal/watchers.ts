/**
 * Positions to check again when an output arrives, by the node or table that they have read.
 */
import type { NodeId } from "../Ids.ts"

/** An output that has been written, or never will be. */
export interface Output {
  readonly nodeId: NodeId
  readonly table?: string | undefined
}

export interface Watchers {
  /** Watches the outputs of a node; without one, of a table. */
  readonly watch: (position: number, read: { readonly nodeId: NodeId | undefined; readonly table?: string | undefined }) => void
  /** Positions that have read an output. */
  readonly of: (output: Output) => Iterable<number>
}

/** Makes an empty list of watchers. */
export const make = (): Watchers => {
  const byRead = new Map<string, Set<number>>()
  return {
    watch: (position, { nodeId, table }) => {
      const wanted = nodeId ?? `/${table}`
      const others = byRead.get(wanted)
      if (others === undefined) byRead.set(wanted, new Set([position]))
      else others.add(position)
    },
    // Asked for each output that comes, and nearly always there are none.
    of: ({ nodeId, table }) => (byRead.size === 0 ? none : [...(byRead.get(nodeId) ?? none), ...(byRead.get(`/${table}`) ?? none)]),
  }
}

const none: ReadonlyArray<never> = []
