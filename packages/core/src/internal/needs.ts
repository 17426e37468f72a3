/**
 * Resolves the targets of needs: the node, and the gate that must end before its value exists. The gate is the node itself or,
 * if the node is in a loop or saga that the reader is not in, that one.
 */
import type { NodeId } from "../Ids.ts"
import * as Plan from "../Plan.ts"
import type { Layout } from "./layout.ts"
import { where } from "./where.ts"

/** A tree with lookups of nodes. */
export interface Tree extends Layout<Plan.Node> {
  /** Innermost loop around a node, or -1. */
  readonly loopOf: (position: number) => number
  readonly positions: ReadonlyMap<NodeId, number>
  readonly byNode: ReadonlyMap<Plan.Node, number>
}

/** Rejects the workflow, for a problem at a node. */
export type Refuse = (position: number, problem: string) => never

/** Resolves a need of the node at `position`. */
export const resolve = (tree: Tree, position: number, need: Plan.Need, refuse: Refuse): Plan.ResolvedNeed => {
  const title = titleOf(need.target)
  const refuseNeed = (problem: string): never => refuse(position, `need "${need.name}" ${problem}`)
  if (Plan.reservedNames.has(need.name)) refuse(position, `a need cannot be named "${need.name}"`)
  const target = typeof need.target === "string" ? tree.positions.get(need.target) : tree.byNode.get(need.target)
  if (target === undefined) return refuseNeed(`is ${title}, which is not part of this workflow`)
  if (need.pass === "item") {
    for (let up = tree.parent(position); up >= 0; up = tree.parent(up))
      if (tree.node(up)._tag === "Scope" && tree.parent(tree.parent(up)) === target)
        return { name: need.name, target: up, gate: -1, isOptional: true, isLive: false, pass: "item" }
    return refuseNeed(`is an item of ${title}, and this node is not in its body`)
  }
  const found = tree.node(target)
  if (need.codec !== undefined && Plan.isLeaf(found) && found.codec !== need.codec)
    refuseNeed(`expects another output schema than that of ${where(tree, target)}`)
  const { name, pass } = need
  if (pass === "previous") {
    if (!Plan.isLeaf(found)) refuseNeed(`is the previous pass of ${title}, which is not a step`)
    const loop = tree.loopOf(target)
    if (loop < 0 || !tree.contains(loop, position))
      refuseNeed(`is the previous pass of ${title}, which is in no loop around this node`)
    return { name, target, gate: -1, isOptional: true, isLive: false, pass }
  }
  // The target of a live need may be anywhere.
  if (need.isLive === true) {
    // What keeps a list open is over with what is around it: another schedule does not come to a node in what is over.
    const around: Reader = { tree, position, target, isOwnBody: false, isOptional: true, refuse: refuseNeed }
    return { name, target, gate: name === Plan.moreNeed ? gateOf(around) : target, isOptional: true, isLive: true, pass }
  }
  if (pass === "caught") {
    const arm = found._tag === "TryCatch" ? Plan.tryParts(tree, target, found).catch : undefined
    if (arm === undefined || !tree.contains(arm, position))
      refuseNeed(`is the failure that ${title} caught, and this node is not in its catch`)
    return { name, target, gate: -1, isOptional: true, isLive: false, pass }
  }
  const isOwnBody = tree.node(position)._tag === "Loop" && target !== position && tree.contains(position, target)
  if (tree.contains(target, position)) refuseNeed("is a node around this one")
  if (target > position && !isOwnBody) refuseNeed(`is ${title}, which comes later (${where(tree, target)})`)
  const isOptional = need.isOptional === true
  const reader: Reader = { tree, position, target, isOwnBody, isOptional, refuse: refuseNeed }
  const isLast = !isOwnBody && checkFinally(reader)
  const gate = gateOf(reader)
  return { name, target, gate: isOwnBody || isLast ? -1 : gate, isOptional: isOwnBody || isOptional, isLive: false, pass }
}

const titleOf = (target: Plan.Need["target"]): string =>
  typeof target === "string" ? `"${target}"` : Plan.isLeaf(target) ? `"${target.id}"` : "a node"

/** A node that takes the value of another one in this pass. */
interface Reader {
  readonly tree: Tree
  readonly position: number
  readonly target: number
  /** `true` if the reader is a loop, and its target is inside it. */
  readonly isOwnBody: boolean
  readonly isOptional: boolean
  readonly refuse: (problem: string) => never
}

/**
 * Tells whether a reader is in a `finally` that its target is not in. A `finally` runs even if nothing else continues, so it
 * waits for nothing outside: nodes before its `try` have ended, and those beside it may never.
 */
const checkFinally = ({ tree, position, target, isOptional, refuse }: Reader): boolean => {
  let isLast = false
  let inner = position
  for (let outer = tree.parent(position); !tree.contains(outer, target); outer = tree.parent(outer)) {
    const around = tree.node(outer)
    if (around._tag === "TryCatch" && Plan.tryParts(tree, outer, around).finally === inner) {
      isLast = true
      if (!isOptional && !isBefore(tree, target, outer))
        refuse(`is beside ${where(tree, outer)}, whose "finally" may not find it: take it with $.maybe`)
    }
    inner = outer
  }
  return isLast
}

/** Tells whether a node ends before another one begins, by a sequence around both. */
const isBefore = (tree: Tree, earlier: number, later: number): boolean => {
  let around = tree.parent(later)
  while (!tree.contains(around, earlier)) around = tree.parent(around)
  return !Plan.isGroup(tree.node(around))
}

/**
 * The node that must end before the value of the target exists; -1 for none. Rejects a target that an outside reader cannot
 * reach.
 */
const gateOf = ({ tree, position, target, isOwnBody, isOptional, refuse }: Reader): number => {
  let gate = target
  let inner = target
  for (let outer = tree.parent(target); outer >= 0; outer = tree.parent(outer)) {
    const node = tree.node(outer)
    if (tree.contains(outer, position) && !(isOwnBody && outer >= position)) {
      if (tree.contains(inner, position) || outer === position) return gate
      if (node._tag === "Branch") refuse(`is in one arm of ${where(tree, outer)} and this node in the other`)
      if (node._tag !== "TryCatch") return gate
      if (!isOptional) refuse(`is in another part of ${where(tree, outer)} and may be absent: take it with $.maybe`)
      return -1
    }
    if (node._tag === "Branch" && !isOptional)
      refuse(`is in an arm of ${where(tree, outer)}, which may not be taken: need that itself, or take it with $.maybe`)
    const isLeftWithout =
      node._tag === "TryCatch" || node._tag === "Scope" || (node._tag === "Saga" && node.onCompensated === "continue")
    if (isLeftWithout && !isOptional)
      refuse(`is inside ${where(tree, outer)}, which may be left without it: need that itself, or take it with $.maybe`)
    if ((node._tag === "Loop" || node._tag === "Branch" || Plan.isBoundary(node)) && outer !== position) gate = outer
    inner = outer
  }
  return gate
}
