/**
 * A plan as a tree, and that tree as people and tools draw it. Plain functions.
 */
import * as PlanText from "@smithers/core/PlanText"
import type { NodeSummary } from "@smithers/core/RunReader"
import type { NodeStatus } from "@smithers/core/Status"
import type { GraphNode } from "./Output.ts"
import { oneLine, shorten } from "./Text.ts"

/** The tree of a plan, with the status of each node in its latest iteration. */
export const parse = (plan: PlanText.PlanText, nodes: ReadonlyArray<NodeSummary> = []): ReadonlyArray<GraphNode> => {
  const status = new Map<string, NodeStatus>()
  for (const node of [...nodes].sort((left, right) => left.iteration - right.iteration)) status.set(node.nodeId, node.status)
  const roots: Array<GraphNode> = []
  const open: Array<Array<GraphNode>> = [roots]
  for (const node of plan.nodes) {
    const children: Array<GraphNode> = []
    const { id, details } = node
    open[node.depth]?.push({
      kind: kindOf(node),
      id: id ?? null,
      status: (id === undefined ? undefined : status.get(id)) ?? null,
      details: { ...details },
      children,
    })
    open[node.depth + 1] = children
  }
  return roots
}

/** A wait is what it waits for, and a branch with named cases a switch. */
const kindOf = (node: PlanText.Node): string => {
  if (node._tag === "Wait") return node.details.kind
  return node._tag === "Branch" && node.details.cases !== undefined ? "switch" : node._tag.toLowerCase()
}

/** How two plans differ, by the ids of their nodes. */
export const compare = (before: PlanText.Comparable, after: PlanText.Comparable) => {
  const changes = PlanText.diff(before, after)
  return {
    kept: PlanText.changed(changes, "kept", "moved"),
    changed: PlanText.changed(changes, "changed"),
    added: PlanText.changed(changes, "added"),
    gone: PlanText.changed(changes, "removed"),
  }
}

const marks: { readonly [S in NodeStatus]?: string } = {
  finished: "✓",
  skipped: "-",
  failed: "✗",
  running: "→",
  retrying: "↻",
  waiting: "◦",
  decided: "●",
  answered: "●",
  interrupted: "■",
  withdrawn: "-",
  superseded: "-",
}

const waitsFor = (pending: ReadonlyArray<unknown>, isSiblings: boolean): string =>
  isSiblings
    ? `waits only because its component reads ${pending.join(", ")} for something else`
    : `reads ${pending.join(", ")}, which is not there yet`

/** Ids of the nodes that wait only for what their component has read for something else. */
export const heldBySiblings = ({ nodes }: PlanText.PlanText): ReadonlyArray<string> =>
  nodes.flatMap(({ id, details }) => (id !== undefined && "siblingRead" in details ? [id] : []))

/** What is told of a node besides its kind and id. */
const remarks = ({ details, status }: GraphNode): string => {
  const { label, needs, maxIterations, maxConcurrency, name, agents, cases, hasElse, pending, siblingRead } = details
  const parts = [
    typeof label === "string" ? shorten(oneLine(label), 60) : undefined,
    typeof name === "string" ? `"${oneLine(name)}"` : undefined,
    Array.isArray(agents) ? `asks ${agents.join(", ")}` : undefined,
    typeof needs === "object" && needs !== null ? `needs ${[...new Set(Object.values(needs))].join(", ")}` : undefined,
    Array.isArray(cases) ? `one of ${oneLine([...cases, ...(hasElse === true ? ["otherwise"] : [])].join(", "))}` : undefined,
    typeof maxIterations === "number" ? `at most ${maxIterations} times` : undefined,
    maxIterations === "Infinity" ? "without a limit" : undefined,
    typeof maxConcurrency === "number" ? `${maxConcurrency} at once` : undefined,
    Array.isArray(pending) ? waitsFor(pending, siblingRead === true) : undefined,
    status === null ? undefined : status,
  ]
  return oneLine(parts.filter((part) => part !== undefined).join("; "))
}

const title = (node: GraphNode): string => (node.id === null ? node.kind : `${node.kind} ${oneLine(node.id)}`)

/** As an indented tree. */
export const toTree = (roots: ReadonlyArray<GraphNode>): string => {
  const lines: Array<string> = []
  const add = (node: GraphNode, first: string, rest: string): void => {
    const said = remarks(node)
    const mark = node.status === null ? "" : `${marks[node.status] ?? "·"} `
    lines.push(`${first}${mark}${title(node)}${said === "" ? "" : ` (${said})`}`)
    for (const [index, child] of node.children.entries()) {
      const isLast = index === node.children.length - 1
      add(child, `${rest}${isLast ? "└─ " : "├─ "}`, `${rest}${isLast ? "   " : "│  "}`)
    }
  }
  for (const root of roots) add(root, "", "")
  return lines.join("\n")
}

interface Flat {
  readonly name: string
  readonly node: GraphNode
  readonly parent: string | undefined
}

const flatten = (roots: ReadonlyArray<GraphNode>): ReadonlyArray<Flat> => {
  const found: Array<Flat> = []
  const add = (node: GraphNode, parent: string | undefined): void => {
    const name = `n${found.length}`
    found.push({ name, node, parent })
    for (const child of node.children) add(child, name)
  }
  for (const root of roots) add(root, undefined)
  return found
}

/** Names of what a node needs. */
const needsOf = ({ details }: GraphNode): ReadonlyArray<string> =>
  typeof details.needs === "object" && details.needs !== null ? [...new Set(Object.values(details.needs).map(String))] : []

const edges = (flat: ReadonlyArray<Flat>): ReadonlyArray<readonly [from: string, to: string, isNeed: boolean]> => {
  const byId = new Map(flat.flatMap(({ name, node }) => (node.id === null ? [] : [[node.id, name] as const])))
  return flat.flatMap(({ name, node, parent }) => [
    ...(parent === undefined ? [] : [[parent, name, false] as const]),
    ...needsOf(node).flatMap((need) => {
      const from = byId.get(need)
      return from === undefined ? [] : [[from, name, true] as const]
    }),
  ])
}

const label = (node: GraphNode): string => (node.status === null ? title(node) : `${title(node)}: ${node.status}`)

/** As a Mermaid flowchart: solid lines for what is in what, dotted ones for what needs what. */
export const toMermaid = (roots: ReadonlyArray<GraphNode>): string => {
  const flat = flatten(roots)
  const nodes = flat.map(({ name, node }) => {
    const text = JSON.stringify(oneLine(label(node)).replaceAll('"', "'"))
    return node.children.length > 0 ? `  ${name}([${text}])` : `  ${name}[${text}]`
  })
  const lines = edges(flat).map(([from, to, isNeed]) => `  ${from} ${isNeed ? "-.->" : "-->"} ${to}`)
  return ["flowchart TD", ...nodes, ...lines].join("\n")
}

/** As a Graphviz graph. */
export const toDot = (workflow: string, roots: ReadonlyArray<GraphNode>): string => {
  const flat = flatten(roots)
  const nodes = flat.map(({ name, node }) => {
    const shape = node.children.length > 0 ? "ellipse" : "box"
    return `  ${name} [label=${JSON.stringify(oneLine(label(node)))}, shape=${shape}];`
  })
  const lines = edges(flat).map(([from, to, isNeed]) => `  ${from} -> ${to}${isNeed ? " [style=dotted]" : ""};`)
  return [`digraph ${JSON.stringify(workflow)} {`, ...nodes, ...lines, "}"].join("\n")
}
