/**
 * The plan as a flat list in document order. Fan-outs of many like children are folded into one item with counts. Everything walks by
 * index and by a stack of its own, so the depth of a plan does not matter.
 */
import type { GraphNode } from "@smithers/server/views/PlanTree"
import { type Counts, noCounts, type Tone, toneOf, toneOfMembers } from "./Tone.ts"

/** A node of a plan, as `GET /runs/:id/plan` answers it. */
export type PlanNode = GraphNode

/** More like children than this side by side are one item until it is opened. */
export const foldOver = 24

/** An item that is drawn: a node, or a fan-out of many. */
export interface Item {
  /** Stable while the plan stays: the id of a node, its place where it has none. */
  readonly key: string
  readonly kind: string
  /** The node; of a fan-out the node around it. */
  readonly node: PlanNode
  /** Position of the item around it; -1 at the top. */
  readonly parent: number
  readonly depth: number
  /** Members of a fan-out; empty for a node. */
  readonly members: ReadonlyArray<PlanNode>
  /** The child run that it is of; absent for the run that is shown. */
  readonly runId?: string
  /** Of a node with a child run that goes on as others: the one that is drawn in it. */
  readonly later?: string
}

/** What is known of a child run that was opened: its plan, or what there is in its place. */
export type Inside =
  | { readonly runId: string; readonly nodes: ReadonlyArray<PlanNode> }
  | { readonly runId: string; readonly says: string }

/** The key of a node of the run that is shown, or of a child run. */
export const keyOf = (nodeId: string, runId?: string): string => (runId === undefined ? nodeId : `${runId} › ${nodeId}`)

const noneInside: ReadonlyMap<string, Inside> = new Map()

export interface Outline {
  readonly items: ReadonlyArray<Item>
  /** Position behind the last item within. */
  readonly ends: Int32Array
  /** The tone of each item: its own status, otherwise by what is in it. */
  readonly tones: ReadonlyArray<Tone>
  /** Tones of steps and waits in a fan-out or below a node. */
  readonly counts: ReadonlyArray<Counts>
  readonly positions: ReadonlyMap<string, number>
}

/** Kinds whose children stand side by side. */
const sideBySide: ReadonlySet<string> = new Set(["parallel", "race", "list", "branch", "switch"])

export const isSideBySide = (kind: string): boolean => sideBySide.has(kind)

interface Visit {
  readonly node: PlanNode
  readonly parent: number
  readonly depth: number
  /** Set for a fan-out: its members, all children of `node`. */
  readonly members?: ReadonlyArray<PlanNode>
  readonly key?: string
  readonly runId: string | undefined
}

/** Flattens a plan. `open` holds the keys of the fan-outs that are not to be folded, `inside` the child runs that are drawn in their nodes. */
export const make = (
  roots: ReadonlyArray<PlanNode>,
  open: ReadonlySet<string> = new Set(),
  inside: ReadonlyMap<string, Inside> = noneInside,
): Outline => {
  const items: Array<Item> = []
  const positions = new Map<string, number>()
  const stack: Array<Visit> = []
  for (const node of roots.toReversed()) stack.push({ node, parent: -1, depth: 0, runId: undefined })
  for (let visit = stack.pop(); visit !== undefined; visit = stack.pop()) {
    const { node, parent, depth, members, runId } = visit
    const at = items.length
    const key = visit.key ?? (node.id === null ? `#${at}` : keyOf(node.id, runId))
    const kind = members === undefined ? node.kind : "fan"
    const child = members !== undefined || node.child === undefined ? undefined : inside.get(key)
    const later = child === undefined || child.runId === node.child ? {} : { later: child.runId }
    items.push({ key, kind, node, parent, depth, members: members ?? [], ...(runId === undefined ? {} : { runId }), ...later })
    positions.set(key, at)
    if (members !== undefined) continue
    push(stack, visit, key, at, open)
    if (child === undefined) continue
    const within = "nodes" in child ? child.nodes : []
    const says = "says" in child ? child.says : "has no plan yet"
    for (const one of within.length === 0 ? [noteOf(says)] : within.toReversed())
      stack.push({ node: one, parent: at, depth: depth + 1, runId: child.runId })
  }
  return { items, positions, ...summed(items) }
}

/** A word in the place of a plan. */
const noteOf = (says: string): PlanNode => ({ kind: "note", id: null, status: null, details: { says }, children: [] })

/** Puts the children of a node on the stack, last first, with long runs of like children as one. */
const push = (stack: Array<Visit>, visit: Visit, key: string, parent: number, open: ReadonlySet<string>): void => {
  const { node, runId } = visit
  const { children } = node
  const depth = visit.depth + 1
  const visits: Array<Visit> = []
  const folds = isSideBySide(node.kind) && children.length > foldOver
  for (let from = 0; from < children.length; ) {
    const first = children[from] as PlanNode
    let to = from + 1
    while (folds && to < children.length && children[to]?.kind === first.kind) to++
    const name = `${key}…${from}`
    if (to - from > foldOver && !open.has(name)) {
      visits.push({ node, parent, depth, members: children.slice(from, to), key: name, runId })
    } else {
      for (let at = from; at < to; at++) visits.push({ node: children[at] as PlanNode, parent, depth, runId })
    }
    from = to
  }
  for (const visit of visits.reverse()) stack.push(visit)
}

/** The key of the fan-out that a child would be folded into, for closing it again. */
export const fanOf = (parentKey: string, from: number): string => `${parentKey}…${from}`

/** Ends, tones and counts, by one walk backwards: what is inside comes after what is around it. */
const summed = (items: ReadonlyArray<Item>): Pick<Outline, "ends" | "tones" | "counts"> => {
  const ends = new Int32Array(items.length)
  const tones: Array<Tone> = new Array(items.length).fill("idle")
  const counts = items.map(noCounts)
  for (let at = items.length - 1; at >= 0; at--) {
    const { node, members, parent } = items[at] as Item
    if (ends[at] === 0) ends[at] = at + 1
    const own = counts[at] as ReturnType<typeof noCounts>
    const isLeaf = ends[at] === at + 1
    if (members.length > 0) for (const member of members) own[toneWithin(member)] += 1
    else if (isLeaf && node.children.length === 0 && node.kind !== "note" && node.kind !== "sequence" && node.kind !== "parallel")
      own[toneOf(node.status)] += 1
    tones[at] = members.length === 0 && node.status !== null ? toneOf(node.status) : toneOfMembers(own)
    if (parent < 0) continue
    const around = counts[parent] as ReturnType<typeof noCounts>
    // A node with a child run counts as one node around it, whether or not the plan of that run is drawn in it.
    if (node.child !== undefined && members.length === 0) around[toneOf(node.status)] += 1
    else for (const tone of Object.keys(own) as ReadonlyArray<Tone>) around[tone] += own[tone]
    ends[parent] = Math.max(ends[parent] as number, ends[at] as number)
  }
  return { ends, tones, counts }
}

/** The tone of a member of a fan-out, with all that is in it. */
export const toneWithin = (member: PlanNode): Tone => {
  if (member.status !== null) return toneOf(member.status)
  const counts = noCounts()
  const stack: Array<PlanNode> = [member]
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.children.length === 0) counts[toneOf(node.status)] += 1
    stack.push(...node.children)
  }
  return toneOfMembers(counts)
}

/** Positions of the rows of a tree, without what is in closed items. */
export const rows = ({ items, ends }: Outline, closed: ReadonlySet<string>): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let at = 0; at < items.length; ) {
    found.push(at)
    at = closed.has((items[at] as Item).key) ? (ends[at] as number) : at + 1
  }
  return found
}

/** A fan-out whose members each hold a child run is one of child runs. */
const memberKind = (member: PlanNode | undefined): string =>
  member === undefined ? "node" : member.kind === "subflow" || member.children[0]?.kind === "subflow" ? "child run" : member.kind

/** The name that people read of a node. */
export const titleOf = ({ kind, node, members }: Item): string => {
  if (kind === "fan") return `${members.length} × ${memberKind(members[0])}`
  const { id, details } = node
  if (kind === "note") return String(details.says)
  if (kind === "part" && typeof details.part === "string") return details.part
  if (id !== null) return id
  return kind
}

/** What is said beside the name of a node. */
export const remarkOf = ({ kind, node }: Item): string => {
  if (kind === "fan") return ""
  const { details, parts, winners, left } = node
  const said = [
    typeof details.label === "string" ? details.label : undefined,
    Array.isArray(details.agents) ? details.agents.join(", ") : undefined,
    typeof details.name === "string" ? `“${details.name}”` : undefined,
    typeof details.workflow === "string" ? details.workflow : undefined,
    kind === "loop" && details.maxIterations !== undefined && details.maxIterations !== "Infinity"
      ? `at most ${details.maxIterations}×`
      : undefined,
    typeof details.maxConcurrency === "number" ? `${details.maxConcurrency} at once` : undefined,
    typeof details.count === "number" && kind === "race" ? `first ${details.count}` : undefined,
    winners === undefined || winners.length === 0 ? undefined : `won by ${winners.join(", ")}`,
    left === undefined ? undefined : `${left.outcome} early: ${left.reason ?? left.trigger}`,
    parts === undefined ? undefined : partsText(parts),
    Array.isArray(details.pending) ? `needs ${details.pending.join(", ")} first` : undefined,
  ]
  return said.filter((part) => part !== undefined).join(" · ")
}

const partsText = (parts: NonNullable<PlanNode["parts"]>): string | undefined => {
  const all = parts.done + parts.failed + parts.left + parts.open + parts.idle
  return all === 0 ? undefined : `${parts.done} of ${all} done`
}

/** Ids of the nodes whose outputs a node has read beyond what it needs. */
export const readsOf = (node: PlanNode): ReadonlyArray<string> => {
  const needs = new Set(needsOf(node))
  return (node.reads ?? []).filter((id) => id !== "*" && id !== node.id && !needs.has(id))
}

/** Ids of the nodes that a node needs. */
export const needsOf = ({ details }: PlanNode): ReadonlyArray<string> =>
  typeof details.needs === "object" && details.needs !== null ? [...new Set(Object.values(details.needs).map(String))] : []
