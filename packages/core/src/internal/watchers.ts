/**
 * Who is to look again when an output comes: positions by the node, or the table, that they have looked for.
 */
import type { NodeId } from "../Ids.ts"

/** An output that has come, or that will not. */
export interface Output {
  readonly nodeId: NodeId
  readonly table?: string | undefined
}

export interface Watchers {
  /** Has a position told of the outputs of a node or, where none is named, of a table. */
  readonly watch: (position: number, read: { readonly nodeId: NodeId | undefined; readonly table?: string | undefined }) => void
  /** Positions that have looked for an output. */
  readonly of: (output: Output) => Iterable<number>
}

/** Makes a list of watchers, of which there are none. */
export const make = (): Watchers => {
  const byRead = new Map<string, Set<number>>()
  return {
    watch: (position, { nodeId, table }) => {
      const wanted = nodeId ?? `/${table}`
      const others = byRead.get(wanted)
      if (others === undefined) byRead.set(wanted, new Set([position]))
      else others.add(position)
    },
    of: function* ({ nodeId, table }) {
      if (byRead.size === 0) return
      yield* byRead.get(nodeId) ?? []
      yield* byRead.get(`/${table}`) ?? []
    },
  }
}
