/**
 * A plan as a tree. Plain functions.
 */
import { scopeOfTimeout } from "@smithers/core/Ids"
import * as PlanRows from "@smithers/core/PlanRows"
import * as PlanText from "@smithers/core/PlanText"
import type { NodeAt } from "@smithers/core/RunAt"
import { Leaving } from "@smithers/core/RunEvent"
import type { NodeSummary, WaitSummary } from "@smithers/core/RunReader"
import * as Status from "@smithers/core/Status"
import { defined } from "@smithers/core/Struct"
import * as Schema from "effect/Schema"
import * as Parts from "./Parts.ts"

/** A node of a plan as a tree: with its status in its latest iteration, and what it holds. */
export interface GraphNode {
  readonly kind: string
  readonly id: string | null
  readonly status: Status.NodeStatus | null
  readonly details: { readonly [name: string]: unknown }
  /** Outcome of a scope that is left early, and the reason. */
  readonly left?: Leaving | undefined
  /** Branches of a race that have won so far. */
  readonly winners?: ReadonlyArray<string> | undefined
  /** Number of parts of a race or a list in a run, by status. */
  readonly parts?: Parts.Tally | undefined
  /** Of a node with child runs: the id of the latest one. */
  readonly child?: string | undefined
  /** Ids of the nodes whose outputs it has read, and `*` where they are too many to be named. */
  readonly reads?: ReadonlyArray<string> | undefined
  readonly children: ReadonlyArray<GraphNode>
}

export const GraphNode: Schema.Schema<GraphNode> = Schema.Struct({
  kind: Schema.String,
  id: Schema.NullOr(Schema.String),
  status: Schema.NullOr(Status.NodeStatus),
  details: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  left: Schema.optional(Leaving),
  winners: Schema.optional(Schema.Array(Schema.String)),
  parts: Schema.optional(
    Schema.Struct({ done: Schema.Number, failed: Schema.Number, left: Schema.Number, open: Schema.Number, idle: Schema.Number }),
  ),
  child: Schema.optional(Schema.String),
  reads: Schema.optional(Schema.Array(Schema.String)),
  children: Schema.Array(Schema.suspend((): Schema.Schema<GraphNode> => GraphNode)),
}).annotations({ identifier: "GraphNode" })

/**
 * The tree of a plan, with the status of each node in its latest iteration. Races and lists are one node each, with their parts in it.
 * Child runs are those of the waits.
 */
export const parse = (
  plan: PlanText.PlanText,
  nodes: ReadonlyArray<NodeSummary & Pick<NodeAt, "reads">> = [],
  waits: ReadonlyArray<WaitSummary> = [],
): ReadonlyArray<GraphNode> => {
  const latest = new Map<string, NodeSummary & Pick<NodeAt, "reads">>()
  const started = new Map<string, WaitSummary>()
  for (const wait of waits)
    if (wait.kind === "subflow" && (started.get(wait.nodeId)?.iteration ?? -1) <= wait.iteration) started.set(wait.nodeId, wait)
  for (const node of nodes) if ((latest.get(node.nodeId)?.iteration ?? -1) <= node.iteration) latest.set(node.nodeId, node)
  const rows = PlanRows.byKey(nodes)
  const stands = new Map<number, keyof Parts.Tally>()
  const roots: Array<GraphNode> = []
  const open: Array<Array<GraphNode>> = [roots]
  for (const [position, node] of plan.nodes.entries()) {
    const { id, depth } = node
    const around = open[depth]
    // What a race or a list is in its scope is said with the scope.
    if (node._tag === "Race" || node._tag === "ForEach") {
      if (around !== undefined) open[depth + 1] = around
      continue
    }
    const row = id === undefined ? undefined : latest.get(id)
    const parts = row === undefined ? undefined : Parts.partsOf(plan, position, row.iteration, rows)
    for (const part of parts ?? []) stands.set(part.position, part.stands)
    const children: Array<GraphNode> = []
    around?.push({
      kind: kindOf(plan, position, node),
      id: id ?? null,
      status: row?.status ?? statusOf(stands.get(position)),
      details: { ...node.details, ...groupOf(plan, position) },
      ...defined({ left: row?.left, winners: row?.winners, parts: parts === undefined ? undefined : Parts.tally(parts) }),
      ...defined({ reads: row?.reads, child: (id === undefined ? undefined : started.get(id)?.name) ?? undefined }),
      children,
    })
    open[depth + 1] = children
  }
  return roots
}

/** A part that ends as it is meant has no row that says so. */
const statusOf = (stands: keyof Parts.Tally | undefined): Status.NodeStatus | null =>
  stands === "done" ? "finished" : stands === "open" ? "running" : null

/** The race or the list that a scope holds. */
const heldBy = ({ nodes, end }: PlanText.PlanText, scope: number) => {
  const inside = scope + 1 < end(scope) ? nodes[scope + 1] : undefined
  return inside?._tag === "Race" || inside?._tag === "ForEach" ? inside : undefined
}

const groupOf = (plan: PlanText.PlanText, position: number): object =>
  plan.nodes[position]?._tag === "Scope" ? (heldBy(plan, position)?.details ?? {}) : {}

/** A wait is what it waits for, a branch with named cases a switch, and a scope what it holds. */
const kindOf = (plan: PlanText.PlanText, position: number, node: PlanText.Node): string => {
  if (node._tag === "Wait") return node.id !== undefined && scopeOfTimeout(node.id) !== undefined ? "timeout" : node.details.kind
  if (node._tag === "Branch") return node.details.cases === undefined ? "branch" : "switch"
  if (node._tag !== "Scope") return node._tag.toLowerCase()
  const held = heldBy(plan, position)
  if (node.details.part !== undefined) return "part"
  return held === undefined ? "scope" : held._tag === "Race" ? "race" : "list"
}

/** Compares two plans by the ids of their nodes. */
export const compare = (before: PlanText.Comparable, after: PlanText.Comparable) => {
  const changes = PlanText.diff(before, after)
  return {
    kept: PlanText.changed(changes, "kept", "moved"),
    changed: PlanText.changed(changes, "changed"),
    added: PlanText.changed(changes, "added"),
    removed: PlanText.changed(changes, "removed"),
  }
}

/** Ids of the nodes that wait only for what their component has read for something else. */
export const heldBySiblings = ({ nodes }: PlanText.PlanText): ReadonlyArray<string> =>
  nodes.flatMap(({ id, details }) => (id !== undefined && "siblingRead" in details ? [id] : []))
