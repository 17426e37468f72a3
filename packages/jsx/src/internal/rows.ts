/**
 * Index of a run's outputs by node, updated event by event, since a render may read hundreds of them.
 */
import type { NodeId } from "@smithers/core/Ids"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"

export interface Rows {
  /** Iterations of a node that have an output, in order. */
  readonly of: (nodeId: NodeId) => ReadonlyArray<number>
  /** Returns the table that a node has written. */
  readonly tableOf: (nodeId: NodeId) => string | undefined
  /** Returns the nodes that have written a table. */
  readonly writersOf: (table: string) => ReadonlyArray<NodeId>
  readonly observe: (event: RunEvent) => void
}

/** Table of nodes without an output, such as timers and compensations. No schema can have this name. */
export const noTable = "/"

/** Returns the index of the first number that is at least `least`, in an ascending list. */
export const firstFrom = (list: ReadonlyArray<number>, least: number): number => {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const found = list[middle]
    if (found !== undefined && found < least) low = middle + 1
    else high = middle
  }
  return low
}

/** Creates the index of a run's outputs. */
export const make = (state: RunState.RunState): Rows => {
  const rows = new Map<NodeId, { table: string; iterations: Array<number> }>()
  const writers = new Map<string, Set<NodeId>>()

  const add = (nodeId: NodeId, table: string, iteration: number): void => {
    const known = rows.get(nodeId) ?? { table, iterations: [] }
    known.table = table
    const at = firstFrom(known.iterations, iteration)
    if (known.iterations[at] !== iteration) known.iterations.splice(at, 0, iteration)
    rows.set(nodeId, known)
    const others = writers.get(table)
    if (others === undefined) writers.set(table, new Set([nodeId]))
    else others.add(nodeId)
  }
  const remove = (nodeId: NodeId, iteration: number): void => {
    const known = rows.get(nodeId)
    if (known === undefined) return
    known.iterations = known.iterations.filter((other) => other !== iteration)
    if (known.iterations.length > 0) return
    rows.delete(nodeId)
    writers.get(known.table)?.delete(nodeId)
  }

  for (const record of RunState.records(state)) {
    if (record.kind === "step" && record.status === "finished") add(record.nodeId, record.table ?? noTable, record.iteration)
  }
  return {
    of: (nodeId) => rows.get(nodeId)?.iterations ?? [],
    tableOf: (nodeId) => rows.get(nodeId)?.table,
    writersOf: (table) => [...(writers.get(table) ?? [])],
    observe: (event) => {
      if (event._tag === "AttemptSucceeded") add(event.nodeId, event.table ?? noTable, event.iteration)
      if (event._tag === "WaitEnded" && event.status === "finished") add(event.nodeId, event.table ?? noTable, event.iteration)
      if (event._tag === "NodeReset") remove(event.nodeId, event.iteration)
    },
  }
}
