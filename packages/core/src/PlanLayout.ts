/**
 * Turns trees into plans. A front end makes the tree; {@link make} checks it, resolves the needs of its nodes and lays it out
 * in document order.
 */
import * as Either from "effect/Either"
import type { Codec } from "./Codec.ts"
import { InvalidWorkflow } from "./Errors.ts"
import { idRule, isNodeId, type NodeId, shownId } from "./Ids.ts"
import * as Layout from "./internal/layout.ts"
import * as Needs from "./internal/needs.ts"
import { where } from "./internal/where.ts"
import * as Workplace from "./internal/workplace.ts"
import * as NodeOptions from "./NodeOptions.ts"
import * as Plan from "./Plan.ts"
import * as PlanText from "./PlanText.ts"
import { compensationId } from "./Records.ts"
import * as Secrets from "./Secrets.ts"

const empty: ReadonlyArray<never> = []

/** Checks a tree and lays it out. Throws {@link InvalidWorkflow} with the place of the problem. */
export const make = (
  workflow: string,
  root: Plan.Node,
  unsettled: ReadonlyArray<Plan.PendingRead> = empty,
  isRendered = false,
): Plan.Plan => {
  const layout = Layout.make(root, Plan.children)
  const { nodes, node: at, parent, end, contains } = layout
  const size = nodes.length
  const loops = new Int32Array(size).fill(-1)
  const loopOf = (position: number): number => loops[position] ?? -1
  for (let position = 1; position < size; position++) {
    const up = parent(position)
    loops[position] = at(up)._tag === "Loop" ? up : loopOf(up)
  }

  const refuse = (position: number, problem: string): never => {
    throw new InvalidWorkflow({ workflow, where: where(layout, position), problem })
  }
  const positions = new Map<NodeId, number>()
  const byNode = new Map<Plan.Node, number>()
  for (const [position, node] of nodes.entries()) {
    byNode.set(node, position)
    if (!("id" in node)) continue
    if (!isNodeId(node.id)) refuse(position, `id ${shownId(node.id)} is not ${idRule}`)
    const other = positions.get(node.id)
    if (other !== undefined) refuse(position, `id "${node.id}" is already taken by ${where(layout, other)}`)
    positions.set(node.id, position)
  }

  const tree = { ...layout, loopOf, positions, byNode }
  const dependents = new Map<number, Array<number>>()
  const resolved = nodes.map((node, position) => {
    const declared = "needs" in node ? node.needs : empty
    const needs = declared.length === 0 ? empty : declared.map((need) => Needs.resolve(tree, position, need, refuse))
    for (const { gate } of needs) {
      if (gate < 0) continue
      const waiting = dependents.get(gate)
      if (waiting === undefined) dependents.set(gate, [position])
      else waiting.push(position)
    }
    check(node, (problem) => refuse(position, problem))
    if (node._tag === "Wait" && node.target.kind === "continuation") {
      const around = regionAround(tree, position)
      if (around !== undefined)
        refuse(
          position,
          `it is inside ${where(layout, around)}: a run goes on as new only from outside of scopes, races, lists, sagas and tries`,
        )
    }
    return needs
  })
  const needs = (position: number): ReadonlyArray<Plan.ResolvedNeed> => resolved[position] ?? empty
  if (nodes.some(isPlaced))
    for (let position = 0; position < size; position++) {
      const problem = Workplace.problemOf(layout, position)
      if (problem !== undefined) refuse(position, problem)
    }

  // Compensations come after the tree, so that they do not shift positions in it.
  const boundaries: Array<number> = []
  const undoes: Array<number> = []
  const compensations: Array<Plan.Step> = []
  for (const [position, node] of nodes.entries()) {
    if (Plan.isBoundary(node)) boundaries.push(position)
    if (node._tag !== "Step" || node.compensate === undefined) continue
    let up = parent(position)
    while (up >= 0 && at(up)._tag !== "Saga") up = parent(up)
    if (up < 0) refuse(position, `"compensate" is never called, as no saga is around it`)
    positions.set(compensationId(node.id), size + undoes.push(position) - 1)
    compensations.push(compensationOf(node, node.compensate))
  }
  for (const compensation of compensations) nodes.push(compensation)

  let text: string | undefined
  return {
    workflow,
    nodes,
    size,
    undoes,
    boundaries,
    node: at,
    find: (nodeId) => nodes[positions.get(nodeId) ?? -1],
    step: (position) => {
      const node = at(position)
      return node._tag === "Step" ? node : misplaced(position, node, "Step")
    },
    leaf: (position) => {
      const node = at(position)
      return Plan.isLeaf(node) ? node : misplaced(position, node, "Step or Wait")
    },
    loop: (position) => {
      const node = at(position)
      return node._tag === "Loop" ? node : misplaced(position, node, "Loop")
    },
    boundary: (position) => {
      const node = at(position)
      return Plan.isBoundary(node) ? node : misplaced(position, node, "Scope, Saga or TryCatch")
    },
    id: (position) => {
      const node = at(position)
      return "id" in node ? node.id : misplaced(position, node, "node with an id")
    },
    parent,
    end,
    contains,
    loopOf,
    undone: (compensation) => undoes[compensation - size] ?? -1,
    needs,
    dependents,
    positions,
    pending: unsettled,
    isRendered,
    get text() {
      text ??= Secrets.text(PlanText.encode({ nodes, size, parent, needs }))
      return text
    },
  }
}

/** Tells whether a node is a place, or names one. */
const isPlaced = (node: Plan.Node): boolean =>
  node._tag === "Sequence"
    ? node.place !== undefined || node.joins !== undefined
    : (node._tag === "Step" || node._tag === "Wait") && node.joins !== undefined

/** The position of a region around a node that ends in an order of its own. */
const regionAround = ({ parent, node: at }: Pick<Plan.Plan, "parent" | "node">, position: number): number | undefined => {
  for (let up = parent(position); up >= 0; up = parent(up)) {
    const node = at(up)
    if (Plan.isBoundary(node) || node._tag === "Race" || node._tag === "ForEach") return up
  }
  return undefined
}

const misplaced = (position: number, node: Plan.Node, wanted: string): never => {
  throw new TypeError(`the node at ${position} is a ${node._tag} and not a ${wanted}`)
}

const check = (node: Plan.Node, refuse: (problem: string) => void): void => {
  const checkCount = (option: string, count: number): void => {
    const problem = NodeOptions.countProblem(option, count)
    if (problem !== undefined) refuse(problem)
  }
  if ((node._tag === "Parallel" || node._tag === "ForEach") && node.maxConcurrency !== undefined)
    checkCount("maxConcurrency", node.maxConcurrency)
  if (node._tag === "Loop") checkCount("maxIterations", node.maxIterations)
  if (node._tag === "Step" && node.compensate !== undefined && node.cache !== undefined) {
    refuse(`it has both "cache" and "compensate": what another run has done is not this one's to undo`)
  }
}

/** The compensation of a step, as a step: with the same retries and limits, and without an output. */
const compensationOf = (step: Plan.Step, run: Plan.Step["run"]): Plan.Step => {
  const { agentSpec: _, gate: __, reads: ___, ...kept } = step
  const without = {
    label: undefined,
    meta: undefined,
    skipIf: undefined,
    cache: undefined,
    compensate: undefined,
    table: undefined,
  }
  return { ...kept, ...without, id: compensationId(step.id), needs: empty, codec: noOutput, continueOnFail: false, run }
}

const noOutput: Codec<unknown, unknown> = {
  encode: () => Either.right(undefined),
  decode: () => Either.right(undefined),
  jsonSchema: undefined,
  inputSchema: undefined,
}
