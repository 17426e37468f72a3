/**
 * Resolves a read through `ctx` to a node and one of its rows. A node in a loop is read in the current iteration of its loop,
 * wherever the reader is. Tasks of a loop thus see each other's outputs of this iteration, and an inner loop restarts in each outer
 * iteration. Places come from the previous plan; the planner renders again if a render has read by an outdated one.
 */
import { type NodeId, type NodeKey, nodeKey, partId } from "@smithers/core/Ids"
import type { PlanText } from "@smithers/core/PlanText"
import * as Records from "@smithers/core/Records"
import type { FailureCause } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import type { Values } from "@smithers/core/Scheduler"
import * as Rows from "./rows.ts"

/** Places of the nodes of a plan. */
export interface TaskIndex {
  /** Mounted tasks, each with its table and the innermost loop around it. */
  readonly tasks: ReadonlyMap<NodeId, TaskLocation>
  readonly writers: ReadonlyMap<string, ReadonlyArray<NodeId>>
  /** Mounted loops, each with the loop around it. */
  readonly loops: ReadonlyMap<NodeId, NodeId | undefined>
  /** Mounted races and lists. */
  readonly groups: ReadonlyMap<NodeId, Group>
}

/** A race or a list: the innermost loop around it, and the names of its branches or items. */
export interface Group {
  readonly loop: NodeId | undefined
  readonly parts: ReadonlyArray<string>
}

/** TreeNode of a task. */
export interface TaskLocation {
  readonly table: string
  readonly loop: NodeId | undefined
  /** Boundaries around it that may end without its output, innermost first, each with the part that contains it. */
  readonly within: ReadonlyArray<{ readonly boundary: NodeId; readonly part: string }>
}

/** TaskIndex before the first render. */
export const emptyIndex: TaskIndex = { tasks: new Map(), writers: new Map(), loops: new Map(), groups: new Map() }

/** State of a run at the time of a read. */
export interface Known {
  readonly state: RunState.RunState
  readonly values: Values
  readonly rows: Rows.Rows
  readonly layout: TaskIndex
}

/** A read of a table, from any node unless one is given. */
export interface Read {
  readonly table: string
  readonly nodeId: NodeId | undefined
  /** Iteration to read. Default: the current one. */
  readonly pass: number | "latest" | undefined
  /** The innermost loop around the reader. Iterations of a task that has left the plan are counted in it. */
  readonly from?: NodeId | undefined
}

/** Result of a read. */
export interface Found {
  readonly nodeId: NodeId | undefined
  readonly value: unknown
  /** `true` if there is an output, which may itself be `undefined`. */
  readonly isThere: boolean
  /** Row of the output, to compare two reads. */
  readonly key: string
  /** Row that was looked up, if known. */
  readonly row: NodeKey | undefined
}

/** A read that can never be resolved. */
export class ReadError extends TypeError {}

/** Returns the node that a read means. */
export const nodeOf = ({ layout, rows }: Known, { table, nodeId }: Pick<Read, "table" | "nodeId">): NodeId | undefined => {
  if (nodeId !== undefined) {
    const other = layout.tasks.get(nodeId)?.table ?? rows.tableOf(nodeId)
    if (other !== undefined && other !== table) {
      throw new ReadError(`task "${nodeId}" has the output "${other}", but is read as "${table}"`)
    }
    return nodeId
  }
  const mounted = layout.writers.get(table) ?? []
  const candidates = mounted.length > 0 ? mounted : rows.writersOf(table)
  if (candidates.length > 1) {
    const some = candidates.slice(0, 3).map((id) => `"${id}"`)
    throw new ReadError(
      `${candidates.length} tasks have the output "${table}" (${some.join(", ")}${candidates.length > 3 ? ", …" : ""}): select one with nodeId`,
    )
  }
  return candidates[0]
}

/** Finds the tasks, loops, races and lists of a stored plan, for the reads of the first render after a restart. */
export const indexOf = ({ nodes, end }: PlanText): TaskIndex => {
  const [tasks, writers] = [new Map<NodeId, TaskLocation>(), new Map<string, Array<NodeId>>()]
  const [loops, groups] = [new Map<NodeId, NodeId | undefined>(), new Map<NodeId, Group & { readonly parts: Array<string> }>()]
  const around: Array<{ readonly node: PlanText["nodes"][number]; readonly loop: NodeId | undefined; readonly end: number }> = []
  for (const [position, node] of nodes.entries()) {
    while (around.length > 0 && (around.at(-1)?.end ?? 0) <= position) around.pop()
    const parent = around.at(-1)
    const loop = parent?.loop
    if ((node._tag === "Step" || node._tag === "Wait") && node.id !== undefined && node.details.table !== undefined) {
      const { table } = node.details
      tasks.set(node.id, { table, loop, within: [] })
      writers.set(table, [...(writers.get(table) ?? []), node.id])
    }
    if (node._tag === "Loop" && node.id !== undefined) loops.set(node.id, loop)
    if ((node._tag === "Race" || node._tag === "ForEach") && parent?.node.id !== undefined)
      groups.set(parent.node.id, { loop, parts: [] })
    if (node._tag === "Scope" && node.details.part !== undefined)
      groups.get(around.at(-2)?.node.id ?? "")?.parts.push(node.details.part)
    around.push({ node, loop: node._tag === "Loop" ? node.id : loop, end: end(position) })
  }
  return { tasks, writers, loops, groups }
}

/** Returns the rows of a loop's current instance: `passes` of them from `base`; none before its first iteration. */
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

/** Returns the iteration of a loop, from 0. */
export const passOf = (known: Known, loop: NodeId): number => Math.max(0, instanceOf(known, loop).passes - 1)

/** Returns the record of a boundary in the current iteration of its loop. */
const boundaryIn = (known: Known, boundary: NodeId, loop: NodeId | undefined): Records.BoundaryRecord | undefined => {
  const row = loop === undefined ? 0 : currentRow(known, loop)
  return row < 0 ? undefined : RunState.boundary(known.state, boundary, row)
}

/** Returns the failure that a boundary has caught in the current iteration of its loop. */
export const caughtBy = (known: Known, boundary: NodeId, loop: NodeId | undefined): FailureCause | undefined =>
  Records.caughtBy(boundaryIn(known, boundary, loop))

/** Returns `true` if a region can produce nothing more: it was left early, it failed, or others of its group have won. */
export const isLeft = (known: Known, region: NodeId, loop: NodeId | undefined, rest?: unknown): boolean => {
  const record = boundaryIn(known, region, loop)
  return record?.isCaught === true || (record?.isDecided === true && rest !== "keep")
}

/** Returns the branches that have won a race in the current iteration, in order. */
export const winnersOf = (known: Known, race: NodeId): ReadonlyArray<string> =>
  boundaryIn(known, race, known.layout.groups.get(race)?.loop)?.winners ?? []

/** Returns the branches of a race, or the items of a list, that have failed in the current iteration without failing the whole. */
export const failuresOf = (known: Known, group: NodeId): ReadonlyArray<{ readonly key: string; readonly cause: FailureCause }> => {
  const { loop, parts } = known.layout.groups.get(group) ?? { loop: undefined, parts: [] }
  return parts.flatMap((key) => {
    const record = boundaryIn(known, partId(group, key), loop)
    return record?.isCaught === true && record.cause !== undefined ? [{ key, cause: record.cause }] : []
  })
}

/** Returns the rows of a node in the current instance of its loop: their number, and the last or a given one. */
const rowsOf = (known: Known, nodeId: NodeId) => {
  const all = known.rows.of(nodeId)
  const loop = known.layout.tasks.get(nodeId)?.loop
  const { base, passes } = loop === undefined ? { base: 0, passes: Number.POSITIVE_INFINITY } : instanceOf(known, loop)
  const [begin, end] = [Rows.firstFrom(all, base), Rows.firstFrom(all, base + passes)]
  return { count: end - begin, at: (index: number) => (index < end - begin ? all[begin + index] : undefined) }
}

/** Returns the number of outputs of a node in the current instance of its loop. */
export const countOf = (known: Known, nodeId: NodeId): number => rowsOf(known, nodeId).count

const rowOf = (known: Known, nodeId: NodeId, { pass, from }: Pick<Read, "pass" | "from">): number | undefined => {
  const task = known.layout.tasks.get(nodeId)
  // A task that has left the plan is read as it last was.
  if (pass === "latest" || (task === undefined && pass === undefined)) {
    const { count, at } = rowsOf(known, nodeId)
    return count === 0 ? undefined : at(count - 1)
  }
  const loop = task === undefined ? from : task.loop
  if (loop === undefined) return task === undefined || pass === undefined || pass === 0 ? (pass ?? 0) : undefined
  const { base, passes } = instanceOf(known, loop)
  const wanted = pass ?? passes - 1
  return wanted >= 0 && wanted < passes ? base + wanted : undefined
}

/** A row of a table. */
export interface TableRow {
  readonly nodeId: NodeId
  readonly iteration: number
  readonly value: unknown
}

/** Returns all rows of a table, node by node. */
export const rowsIn = ({ rows, values }: Known, table: string): ReadonlyArray<TableRow> =>
  rows
    .writersOf(table)
    .flatMap((nodeId) =>
      rows.of(nodeId).map((iteration) => ({ nodeId, iteration, value: values.outputs.get(nodeKey(nodeId, iteration)) })),
    )

/** Resolves a read. */
export const find = (known: Known, read: Read): Found => {
  const nodeId = nodeOf(known, read)
  const row = nodeId === undefined ? undefined : rowOf(known, nodeId, read)
  const key = nodeId === undefined || row === undefined ? undefined : nodeKey(nodeId, row)
  const isThere = key !== undefined && known.values.outputs.has(key)
  const value = isThere ? known.values.outputs.get(key) : undefined
  return { nodeId, value, isThere, key: isThere ? key : "", row: isThere ? key : rowWanted(known, nodeId, read) }
}

const rowWanted = (known: Known, nodeId: NodeId | undefined, read: Read): NodeKey | undefined => {
  if (nodeId === undefined) return undefined
  const loop = known.layout.tasks.get(nodeId)?.loop
  const row = typeof read.pass === "number" ? rowOf(known, nodeId, read) : loop === undefined ? 0 : currentRow(known, loop)
  return row === undefined || row < 0 ? undefined : nodeKey(nodeId, row)
}

const isRunning = (known: Known, loop: NodeId): boolean => {
  const around = known.layout.loops.get(loop)
  const iteration = around === undefined ? 0 : currentRow(known, around)
  return iteration >= 0 && RunState.loop(known.state, loop, iteration)?.status === "running"
}

/**
 * Returns the loop that a component outside of loops means by `ctx.iteration`: the only one it renders, or the innermost of several
 * that runs.
 */
export const meant = (known: Known, loops: ReadonlyArray<NodeId>): NodeId | ReadError | undefined => {
  if (loops.length < 2) return loops[0]
  const running = loops.filter((loop) => isRunning(known, loop))
  const innermost = running.filter((loop) => !running.some((other) => known.layout.loops.get(other) === loop))
  if (innermost.length < 2) return innermost[0]
  const names = innermost.map((id) => `"${id}"`).join(" and ")
  return new ReadError(
    `ctx.iteration is ambiguous in a component that renders the loops ${names}, which both run. Read it with useCtx() in a component inside of the loop you mean. (This needs JSX that is compiled with jsxImportSource "smithers-orchestrator".)`,
  )
}
