/**
 * The path to a node from the root, for people.
 */
import type * as Plan from "../Plan.ts"
import type { Layout } from "./layout.ts"

type Tree = Pick<Layout<Plan.Node>, "node" | "parent" | "end">

/** Formats the path to a node: `sequence > [1] step "a"`. */
export const where = (tree: Tree, position: number): string => {
  const segments: Array<string> = []
  for (let here = position; here >= 0; here = tree.parent(here)) segments.push(segment(tree, here))
  return segments.reverse().join(" > ")
}

const segment = (tree: Tree, position: number): string => {
  const node = tree.node(position)
  const kind = node._tag === "Branch" && node.choice.kind === "switch" ? "switch" : node._tag.toLowerCase()
  const named = "id" in node ? `${kind} "${node.id}"` : kind
  const up = tree.parent(position)
  if (up < 0) return named
  let index = 0
  for (let sibling = up + 1; sibling < position; sibling = tree.end(sibling)) index++
  return `[${index}] ${named}`
}
