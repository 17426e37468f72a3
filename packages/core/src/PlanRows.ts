/**
 * The progress of parts of a plan, from the text of the plan and the rows of its run, without the code of the workflow.
 */
import { type NodeId, type NodeKey, nodeKey } from "./Ids.ts"
import type * as PlanText from "./PlanText.ts"
import type { NodeSummary } from "./RunReader.ts"
import { openBoundaryStatuses, SettledStatus } from "./Status.ts"

/** The fields of a row that matter here. */
export type Row = Pick<NodeSummary, "nodeId" | "iteration" | "status">

/** Rows by node and iteration. */
export const byKey = <A extends Row>(nodes: Iterable<A>): ReadonlyMap<NodeKey, A> =>
  new Map(Array.from(nodes, (node) => [nodeKey(node.nodeId, node.iteration), node]))

/** A branch of a race, or an item of a list. */
export interface Part {
  readonly key: string
  readonly position: number
}

/** The branches of the race, or the items of the list, in the scope at a position; `undefined` if it holds neither. */
export const partsOf = ({ nodes, end }: PlanText.PlanText, scope: number): ReadonlyArray<Part> | undefined => {
  const group = scope + 1
  const node = nodes[group]
  if (nodes[scope]?._tag !== "Scope" || group >= end(scope) || (node?._tag !== "Race" && node?._tag !== "ForEach")) return undefined
  const parts: Array<Part> = []
  for (let position = group + 1; position < end(group); position = end(position)) {
    const part = nodes[position]
    if (part?._tag === "Scope" && part.details.part !== undefined) parts.push({ key: part.details.part, position })
  }
  return parts
}

/** Positions of the ancestors of a node, the innermost first. */
export const around = ({ nodes }: PlanText.PlanText, position: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  let depth = nodes[position]?.depth ?? 0
  for (let up = position - 1; up >= 0 && depth > 0; up--) {
    const node = nodes[up]
    if (node === undefined || node.depth >= depth) continue
    depth = node.depth
    found.push(up)
  }
  return found
}

/** The iteration of a node in the current pass of its loop, by the rows of the nodes beside it; 0 before the first. */
export const currentPass = (plan: PlanText.PlanText, position: number, rows: Iterable<Row>): number => {
  const { nodes, end, positions } = plan
  const loop = around(plan, position).find((up) => nodes[up]?._tag === "Loop")
  if (loop === undefined) return 0
  const inside = new Set<NodeId>()
  for (let beside = loop + 1; beside < end(loop); ) {
    const node = nodes[beside]
    if (node?.id !== undefined && positions.get(node.id) === beside) inside.add(node.id)
    beside = node?._tag === "Loop" ? end(beside) : beside + 1
  }
  let last = 0
  for (const { nodeId, iteration } of rows) if (iteration > last && inside.has(nodeId)) last = iteration
  return last
}

/** The progress of a part of a plan: nothing has begun, something has, or all has ended. */
export type Standing = "idle" | "open" | "over"

const settled: ReadonlySet<string> = new Set(SettledStatus.literals)

/** The statuses of boundaries that have not ended. */
const unended: ReadonlySet<string> = new Set(openBoundaryStatuses)

/**
 * The progress of a node in an iteration, with everything in it. Parts of races and lists that end normally have no row, so
 * their contents decide. A branch without a taken arm looks like one that has not begun.
 */
export const standing = (
  { nodes, end }: PlanText.PlanText,
  position: number,
  iteration: number,
  rows: ReadonlyMap<NodeKey, Pick<Row, "status">>,
): Standing => {
  const found = new Map<number, Standing>()
  const at = (inside: number): Standing => found.get(inside) ?? "idle"
  const visited: Array<number> = []
  for (let inside = position; inside < end(position); ) {
    visited.push(inside)
    inside = nodes[inside]?._tag === "Loop" ? end(inside) : inside + 1
  }
  for (const inside of visited.reverse()) {
    const node = nodes[inside]
    if (node === undefined) continue
    const status = node.id === undefined ? undefined : rows.get(nodeKey(node.id, iteration))?.status
    const children: Array<Standing> = []
    if (node._tag !== "Loop") for (let child = inside + 1; child < end(inside); child = end(child)) children.push(at(child))
    found.set(inside, standingOf(node, status, children))
  }
  return at(position)
}

const standingOf = (node: PlanText.Node, status: Row["status"] | undefined, children: ReadonlyArray<Standing>): Standing => {
  const isAnyBegun = status !== undefined || children.some((child) => child !== "idle")
  const isOver = ((): boolean => {
    switch (node._tag) {
      case "Step":
      case "Wait":
        return status !== undefined && settled.has(status)
      case "Loop":
        return status === "finished"
      case "Scope":
        if (node.details.part !== undefined && (status === undefined || status === "running" || status === "interrupted"))
          return children[0] === "over"
        return status !== undefined && !unended.has(status)
      case "Saga":
      case "TryCatch":
        return status !== undefined && !unended.has(status)
      case "Branch":
        return children.includes("over")
      case "Sequence":
        return children.length === 0 || children.at(-1) === "over"
      case "Parallel":
      case "Race":
      case "ForEach":
        return children.every((child) => child === "over")
    }
  })()
  return isOver ? "over" : isAnyBegun ? "open" : "idle"
}
