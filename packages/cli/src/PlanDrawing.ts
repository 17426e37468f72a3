/**
 * The tree of a plan as people and tools draw it. Plain functions.
 */
import * as Budget from "@smithers/core/Budget"
import type { NodeStatus } from "@smithers/core/Status"
import * as Thrown from "@smithers/core/Thrown"
import * as Parts from "@smithers/server/views/Parts"
import type { GraphNode } from "@smithers/server/views/PlanTree"
import { oneLine, shorten } from "@smithers/server/views/Text"

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
  halted: "■",
  caught: "✓",
  compensated: "✓",
  completed: "✓",
  cancelled: "-",
}

const waitsFor = (pending: ReadonlyArray<unknown>, isSiblings: boolean): string =>
  isSiblings
    ? `waits only because its component reads ${pending.join(", ")} for something else`
    : `reads ${pending.join(", ")}, which is not there yet`

/** The rights of the tools of a step, as far as it narrows them. */
const rightsText = (rights: object): string => {
  const list = (right: string): string | undefined => {
    const value = Thrown.get(rights, right)
    return Array.isArray(value) ? (value.length === 0 ? "none" : value.join(", ")) : undefined
  }
  const [tools, hosts, root] = [list("allowTools"), list("allowNetwork"), Thrown.get(rights, "root")]
  const parts = [
    tools === undefined ? undefined : `tools ${tools}`,
    hosts === undefined ? undefined : `network ${hosts}`,
    typeof root === "string" ? `in ${root}` : undefined,
    Thrown.get(rights, "isReadOnly") === true ? "reads only" : undefined,
  ]
  return oneLine(parts.filter((part) => part !== undefined).join("; "))
}

/** The limits of a budget, and the reaction to them. */
const budgetText = (budget: object): string => {
  const { onReached, of } = { onReached: Thrown.get(budget, "onReached"), of: Thrown.get(budget, "of") }
  const then = onReached === "fail" ? "" : `, then ${onReached === "ask" ? "asks" : "finishes"}`
  const entries = Object.entries(budget)
  const limits = Budget.showLimits(Object.fromEntries(entries.filter(([, limit]) => typeof limit === "number")))
  const lifted = entries.flatMap(([name, limit]) => (limit === "Infinity" ? [name] : []))
  const said = [
    ...(limits === "" ? [] : [`of ${limits}${then}`]),
    ...(lifted.length === 0 ? [] : [`without a bound of ${lifted.join(" and ")}`]),
  ]
  return oneLine(`budget${typeof of === "string" ? ` ${of}` : ""} ${said.join(", ")}`)
}

/** A work tree of git, by its branch where that is named. */
const worktreeText = (worktree: object): string => {
  const [id, branch] = [Thrown.get(worktree, "id"), Thrown.get(worktree, "branch")]
  return oneLine(`worktree ${id}${typeof branch === "string" && branch !== id ? ` on ${branch}` : ""}`)
}

/** A sandbox, by its provider. */
const sandboxText = (sandbox: object): string => {
  const only = Thrown.get(sandbox, "default") === false ? ", for those who join it" : ""
  return oneLine(`sandbox ${Thrown.get(sandbox, "id")} (${Thrown.get(sandbox, "provider")}${only})`)
}

/** The sandbox that a node names. */
const joinsText = (joins: unknown): string | undefined =>
  joins === false ? "outside of sandboxes" : typeof joins === "string" ? `joins sandbox ${oneLine(joins)}` : undefined

/** Describes a node beyond its kind and id. */
const remarks = ({ details, status, left, winners, parts: counts }: GraphNode): string => {
  const {
    label,
    needs,
    maxIterations,
    maxConcurrency,
    name,
    agents,
    cases,
    hasElse,
    pending,
    siblingRead,
    count,
    rest,
    rights,
    budget,
    worktree,
    sandbox,
    joins,
    maxDepth,
    maxItems,
    excess,
  } = details
  const parts = [
    typeof label === "string" ? shorten(oneLine(label), 60) : undefined,
    typeof name === "string" ? `"${oneLine(name)}"` : undefined,
    Array.isArray(agents) ? `asks ${agents.join(", ")}` : undefined,
    typeof rights === "object" && rights !== null ? rightsText(rights) : undefined,
    typeof budget === "object" && budget !== null ? budgetText(budget) : undefined,
    typeof worktree === "object" && worktree !== null ? worktreeText(worktree) : undefined,
    typeof sandbox === "object" && sandbox !== null ? sandboxText(sandbox) : undefined,
    joinsText(joins),
    typeof needs === "object" && needs !== null ? `needs ${[...new Set(Object.values(needs))].join(", ")}` : undefined,
    Array.isArray(cases) ? `one of ${oneLine([...cases, ...(hasElse === true ? ["otherwise"] : [])].join(", "))}` : undefined,
    typeof maxIterations === "number" ? `at most ${maxIterations} times` : undefined,
    maxIterations === "Infinity" ? "without a limit" : undefined,
    typeof maxItems === "number" ? `at most ${maxItems} items` : maxItems === "Infinity" ? "any number of items" : undefined,
    typeof excess === "number" ? `${excess} items are too many` : undefined,
    typeof maxDepth === "number" ? `at most ${maxDepth} deep` : maxDepth === "Infinity" ? "of any depth" : undefined,
    typeof maxConcurrency === "number" ? `${maxConcurrency} at once` : undefined,
    Array.isArray(pending) ? waitsFor(pending, siblingRead === true) : undefined,
    typeof count === "number" ? `the first ${count === 1 ? "wins" : `${count} win`}` : undefined,
    rest === "keep" ? "the others go on" : undefined,
    counts === undefined ? undefined : Parts.tallyText(counts),
    winners === undefined || winners.length === 0 ? undefined : `won by ${winners.join(", ")}`,
    status === null ? undefined : status,
    left === undefined ? undefined : Parts.leftText(left),
  ]
  return oneLine(parts.filter((part) => part !== undefined).join("; "))
}

const title = ({ kind, id, details }: GraphNode): string => {
  if (kind === "timeout" && id !== null) return oneLine(Parts.nameOf(id))
  if (kind === "part" && typeof details.part === "string") return `part ${oneLine(details.part)}`
  return id === null ? kind : `${kind} ${oneLine(id)}`
}

/** The children of a node as they are drawn: of many parts most are only counted. */
const drawn = ({ children, kind }: GraphNode): ReadonlyArray<GraphNode> => {
  if (kind !== "race" && kind !== "list") return children
  const parts = children.filter((child) => child.kind === "part").map((node) => ({ node, stands: standsOf(node) }))
  const [shown, rest] = Parts.fold(parts)
  if (rest.length === 0) return children
  const others = { kind: `… ${Parts.tallyText(Parts.tally(rest))}`, id: null, status: null, details: {}, children: [] }
  return [...shown.map(({ node }) => node), others, ...children.filter((child) => child.kind !== "part")]
}

const standsOf = ({ status }: GraphNode): keyof Parts.Tally => {
  switch (status) {
    case null:
      return "idle"
    case "finished":
      return "done"
    case "caught":
    case "failed":
      return "failed"
    case "completed":
    case "cancelled":
      return "left"
    default:
      return "open"
  }
}

/** As an indented tree. */
export const toTree = (roots: ReadonlyArray<GraphNode>): string => {
  const lines: Array<string> = []
  const add = (node: GraphNode, first: string, rest: string): void => {
    const said = remarks(node)
    const mark = node.status === null ? "" : `${marks[node.status] ?? "·"} `
    lines.push(`${first}${mark}${title(node)}${said === "" ? "" : ` (${said})`}`)
    const children = drawn(node)
    for (const [index, child] of children.entries()) {
      const isLast = index === children.length - 1
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
    for (const child of drawn(node)) add(child, name)
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
