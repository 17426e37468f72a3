/**
 * Dependencies of a task: its `deps` and `dependsOn`.
 */
import { keptId, type NodeId } from "@smithers/core/Ids"
import type { PendingRead } from "@smithers/core/Plan"
import * as Plan from "@smithers/core/Plan"
import type { HostNode } from "../HostNode.ts"
import { isProps, refuse } from "./elements.ts"
import type { Lowering } from "./lowering.ts"
import { dependsOn } from "./needs.ts"
import type { TaskIndex } from "./reads.ts"

const noReads: ReadonlyArray<PendingRead> = []

/** Resolves the task of a dep: the one named in `needs`, the one with the name of the dep, or the only one with its schema. */
export const depTarget = (
  node: HostNode,
  name: string,
  layout: TaskIndex,
  lowering: Lowering,
): { readonly nodeId: NodeId | undefined; readonly table: string } => {
  const { deps, needs } = node.props
  const table =
    lowering.tableOf(isProps(deps) ? deps[name] : undefined) ??
    refuse(node, `its dep "${name}" is not a schema of this workflow (${lowering.tables.join(", ")})`)
  const named = isProps(needs) ? needs[name] : undefined
  if (named !== undefined && typeof named !== "string") refuse(node, `its need "${name}" is not the id of a task`)
  const gives = (id: string): string | undefined => layout.tasks.get(id)?.table
  if (typeof named === "string") {
    const nodeId = keptId(named)
    const other = gives(nodeId)
    if (other !== undefined && other !== table)
      refuse(node, `its dep "${name}" has the schema "${table}", but task "${named}" has "${other}"`)
    return { nodeId, table }
  }
  const ofItsName = keptId(name)
  if (gives(ofItsName) === table) return { nodeId: ofItsName, table }
  const mounted = (layout.writers.get(table) ?? []).filter((id) => id !== node.props.id)
  const candidates = mounted.length > 0 ? mounted : lowering.storedWriters(table)
  if (candidates.length > 1) {
    refuse(
      node,
      `its dep "${name}" has the schema "${table}", which ${candidates.length} tasks have. Select one with needs={{ ${name}: "…" }}`,
    )
  }
  return { nodeId: candidates[0], table }
}

export const depNames = (node: HostNode): ReadonlyArray<string> => {
  const { deps } = node.props
  if (deps === undefined) return []
  if (typeof deps !== "object" || deps === null) return refuse(node, `"deps" must be an object of schemas by name`)
  for (const name of Object.keys(deps)) {
    if (Plan.reservedNames.has(name)) refuse(node, `its dep cannot be named "${name}", which is a field of the ctx`)
  }
  return Object.keys(deps)
}

/** Returns the deps without a task, neither mounted nor stored. The task waits for it to be mounted. */
export const missingDeps = (node: HostNode, layout: TaskIndex, lowering: Lowering): ReadonlyArray<PendingRead> => {
  if (node.props.deps === undefined && node.props.dependsOn === undefined) return noReads
  const isMissing = (nodeId: NodeId | undefined): boolean =>
    nodeId === undefined || (!layout.tasks.has(nodeId) && lowering.stored(nodeId, undefined) === undefined)
  const deps = depNames(node).flatMap((name) => {
    const target = depTarget(node, name, layout, lowering)
    return isMissing(target.nodeId) ? [target] : []
  })
  const others = dependsOn(node).filter(isMissing)
  return [...deps, ...others.map((nodeId) => ({ nodeId, table: undefined }))]
}

/** Returns `true` if a task waits for another one by `deps` or `dependsOn`. */
export const isWaitingFor = (node: HostNode, nodeId: NodeId, layout: TaskIndex, lowering: Lowering): boolean =>
  dependsOn(node).includes(nodeId) || depNames(node).some((name) => depTarget(node, name, layout, lowering).nodeId === nodeId)
