/**
 * What a read through `ctx` means: which node, and which of its rows. A node in a loop is read in the pass its loop is in, wherever
 * the reader stands, so that a loop's tasks see each other's outputs of this pass and an inner loop starts afresh in each outer
 * pass. Where a node stands is taken from the plan drawn before; a render that turns out to have read by an outdated plan is made
 * again by the planner.
 */
import { type NodeId, type NodeKey, nodeKey, partId } from "@smithers/core/Ids"
import * as Records from "@smithers/core/Records"
import type { FailureCause } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import type { Values } from "@smithers/core/Scheduler"
import * as Rows from "./rows.ts"

/** Where the nodes of a plan stand. */
export interface Layout {
  /** Mounted tasks: the table each writes and the innermost loop around it. */
  readonly tasks: ReadonlyMap<NodeId, Standing>
  readonly writers: ReadonlyMap<string, ReadonlyArray<NodeId>>
  /** Mounted loops, and the loop around each. */
  readonly loops: ReadonlyMap<NodeId, NodeId | undefined>
  /** Mounted races and lists. */
  readonly groups: ReadonlyMap<NodeId, Group>
}

/** A race or a list: the innermost loop around it, and the names of its branches or items. */
export interface Group {
  readonly loop: NodeId | undefined
  readonly parts: ReadonlyArray<string>
}

/** Where a task stands. */
export interface Standing {
  readonly table: string
  readonly loop: NodeId | undefined
  /** The boundaries around it that may be left without what it gives, and in which part of each it is; the innermost first. */
  readonly within: ReadonlyArray<{ readonly boundary: NodeId; readonly part: string }>
}

/** Before anything is drawn. */
export const emptyLayout: Layout = { tasks: new Map(), writers: new Map(), loops: new Map(), groups: new Map() }

/** What is known of a run when something is read. */
export interface Known {
  readonly state: RunState.RunState
  readonly values: Values
  readonly rows: Rows.Rows
  readonly layout: Layout
}

/** A read of a table, by whichever node writes it unless one is named. */
export interface Read {
  readonly table: string
  readonly nodeId: NodeId | undefined
  /** The pass to read; the current one unless told. */
  readonly pass: number | "latest" | undefined
}

/** What was found. */
export interface Found {
  readonly nodeId: NodeId | undefined
  readonly value: unknown
  /** Whether there is an output, which may itself be undefined. */
  readonly isThere: boolean
  /** The output's row, to compare one reading with another. */
  readonly key: string
  /** The row that was looked for, where it is known which. */
  readonly row: NodeKey | undefined
}

/** A read that cannot be answered, whatever happens. */
export class ReadError extends TypeError {}

/** The node that a read means. */
export const nodeOf = ({ layout, rows }: Known, { table, nodeId }: Pick<Read, "table" | "nodeId">): NodeId | undefined => {
  if (nodeId !== undefined) {
    const other = layout.tasks.get(nodeId)?.table ?? rows.tableOf(nodeId)
    if (other !== undefined && other !== table) {
      throw new ReadError(`task "${nodeId}" gives a "${other}", and is read as "${table}"`)
    }
    return nodeId
  }
  const mounted = layout.writers.get(table) ?? []
  const candidates = mounted.length > 0 ? mounted : rows.writersOf(table)
  if (candidates.length > 1) {
    const some = candidates.slice(0, 3).map((id) => `"${id}"`)
    throw new ReadError(
      `"${table}" is given by ${candidates.length} tasks (${some.join(", ")}${candidates.length > 3 ? ", …" : ""}): say which with nodeId`,
    )
  }
  return candidates[0]
}

/** The rows that a loop's current instance covers: from `base`, `passes` of them; none before its first pass. */
const instanceOf = (known: Known, loop: NodeId): { readonly base: number; readonly passes: number } => {
  const around = known.layout.loops.get(loop)
  const iteration = around === undefined ? 0 : currentRow(known, around)
  const record = iteration < 0 ? undefined : RunState.loop(known.state, loop, iteration)
  return { base: record?.base ?? 0, passes: record?.passes ?? 0 }
}
const currentRow = (known: Known, loop: NodeId): number => {
  const { base, passes } = instanceOf(known, loop)
  return passes === 0 ? -1 : base + passes - 1
}

/** The pass a loop is in, counted from 0. */
export const passOf = (known: Known, loop: NodeId): number => Math.max(0, instanceOf(known, loop).passes - 1)

/** The record of a boundary in a loop, or in none, in the current pass. */
const boundaryIn = (known: Known, boundary: NodeId, loop: NodeId | undefined): Records.BoundaryRecord | undefined => {
  const row = loop === undefined ? 0 : currentRow(known, loop)
  return row < 0 ? undefined : RunState.boundary(known.state, boundary, row)
}

/** What a boundary in a loop, or in none, has caught in the current pass. */
export const caughtBy = (known: Known, boundary: NodeId, loop: NodeId | undefined): FailureCause | undefined =>
  Records.caughtBy(boundaryIn(known, boundary, loop))

/** Whether nothing more comes of what stands in a region: it is left early, it has failed for itself, or others of its group have come first. */
export const isLeft = (known: Known, region: NodeId, loop: NodeId | undefined, rest?: unknown): boolean => {
  const record = boundaryIn(known, region, loop)
  return record?.isCaught === true || (record?.isDecided === true && rest !== "keep")
}

/** The branches of a race that have won in the current pass, in order. */
export const winnersOf = (known: Known, race: NodeId): ReadonlyArray<string> =>
  boundaryIn(known, race, known.layout.groups.get(race)?.loop)?.winners ?? []

/** The branches of a race, or the items of a list, that have failed in the current pass, where that has not failed the whole. */
export const failuresOf = (known: Known, group: NodeId): ReadonlyArray<{ readonly key: string; readonly cause: FailureCause }> => {
  const { loop, parts } = known.layout.groups.get(group) ?? { loop: undefined, parts: [] }
  return parts.flatMap((key) => {
    const record = boundaryIn(known, partId(group, key), loop)
    return record?.isCaught === true && record.cause !== undefined ? [{ key, cause: record.cause }] : []
  })
}

/** The rows a node has in the current instance of its loop: how many, and the last or a given one of them. */
const rowsOf = (known: Known, nodeId: NodeId) => {
  const all = known.rows.of(nodeId)
  const loop = known.layout.tasks.get(nodeId)?.loop
  const { base, passes } = loop === undefined ? { base: 0, passes: Number.POSITIVE_INFINITY } : instanceOf(known, loop)
  const [begin, end] = [Rows.firstFrom(all, base), Rows.firstFrom(all, base + passes)]
  return { count: end - begin, at: (index: number) => (index < end - begin ? all[begin + index] : undefined) }
}

/** How many outputs a node has given in the current instance of its loop. */
export const countOf = (known: Known, nodeId: NodeId): number => rowsOf(known, nodeId).count

const rowOf = (known: Known, nodeId: NodeId, pass: Read["pass"]): number | undefined => {
  const task = known.layout.tasks.get(nodeId)
  // A task that is no longer there is read as it last was.
  if (pass === "latest" || task === undefined) {
    const { count, at } = rowsOf(known, nodeId)
    return count === 0 ? undefined : at(typeof pass === "number" ? pass : count - 1)
  }
  if (task.loop === undefined) return pass === undefined || pass === 0 ? 0 : undefined
  const { base, passes } = instanceOf(known, task.loop)
  const wanted = pass ?? passes - 1
  return wanted >= 0 && wanted < passes ? base + wanted : undefined
}

/** Answers a read. */
export const find = (known: Known, read: Read): Found => {
  const nodeId = nodeOf(known, read)
  const row = nodeId === undefined ? undefined : rowOf(known, nodeId, read.pass)
  const key = nodeId === undefined || row === undefined ? undefined : nodeKey(nodeId, row)
  const isThere = key !== undefined && known.values.outputs.has(key)
  const value = isThere ? known.values.outputs.get(key) : undefined
  return { nodeId, value, isThere, key: isThere ? key : "", row: isThere ? key : rowWanted(known, nodeId, read.pass) }
}

const rowWanted = (known: Known, nodeId: NodeId | undefined, pass: Read["pass"]): NodeKey | undefined => {
  if (nodeId === undefined) return undefined
  const loop = known.layout.tasks.get(nodeId)?.loop
  const row = typeof pass === "number" ? rowOf(known, nodeId, pass) : loop === undefined ? 0 : currentRow(known, loop)
  return row === undefined || row < 0 ? undefined : nodeKey(nodeId, row)
}

const isRunning = (known: Known, loop: NodeId): boolean => {
  const around = known.layout.loops.get(loop)
  const iteration = around === undefined ? 0 : currentRow(known, around)
  return iteration >= 0 && RunState.loop(known.state, loop, iteration)?.status === "running"
}

/** The loop that a component means which is in none and draws these: the only one, or of several the innermost that runs, if it is one. */
export const meant = (known: Known, loops: ReadonlyArray<NodeId>): NodeId | ReadError | undefined => {
  if (loops.length < 2) return loops[0]
  const running = loops.filter((loop) => isRunning(known, loop))
  const innermost = running.filter((loop) => !running.some((other) => known.layout.loops.get(other) === loop))
  if (innermost.length < 2) return innermost[0]
  const names = innermost.map((id) => `"${id}"`).join(" and ")
  return new ReadError(
    `ctx.iteration is asked for by a component that draws the loops ${names}, which both run: read it in a component inside the one that is meant, with useCtx(). (Who draws what is known of JSX that is compiled with jsxImportSource "smithers-orchestrator".)`,
  )
}
