/**
 * What has to be over before a task may begin. A task inside a try, or a saga that the run goes on without, may never give anything: from
 * outside, that boundary is waited for, and in its other parts nothing is, as they come after.
 */
import { keptId, type NodeId } from "@smithers/core/Ids"
import type { Need } from "@smithers/core/Plan"
import type { HostNode } from "../HostNode.ts"
import { refuse } from "./place.ts"
import type { Layout, Standing } from "./reading.ts"

/** Whether the plan has the output of a task at hand for another one that needs it; otherwise it is looked up when that one begins. */
export const isHandedOn = (layout: Layout, reader: NodeId, target: NodeId): boolean => {
  const around = placesOf(layout, reader)
  return placesOf(layout, target).every(({ boundary, part }) =>
    around.some((other) => other.boundary === boundary && other.part === part),
  )
}

/** What a task waits for on account of another one, of which it receives nothing by this. Its deps have the names of `deps`. */
export const after = (layout: Layout, reader: NodeId, target: NodeId, deps: ReadonlyArray<string> = []): ReadonlyArray<Need> => {
  let name = `after:${target}`
  while (deps.includes(name)) name = `after:${name}`
  const need = (node: NodeId): ReadonlyArray<Need> => [{ name, target: node, pass: "current" }]
  if (isHandedOn(layout, reader, target)) return need(target)
  const around = placesOf(layout, reader)
  const outermost = placesOf(layout, target).findLast(
    ({ boundary, part }) => !around.some((other) => other.boundary === boundary && other.part === part),
  )
  const isOtherPart = around.some(({ boundary }) => boundary === outermost?.boundary)
  return outermost === undefined || isOtherPart ? [] : need(outermost.boundary)
}

const placesOf = (layout: Layout, nodeId: NodeId): Standing["within"] => layout.tasks.get(nodeId)?.within ?? []

/** The ids under `dependsOn`. */
export const dependsOn = (node: HostNode): ReadonlyArray<string> => {
  const { dependsOn: ids } = node.props
  if (ids === undefined) return []
  const isList = Array.isArray(ids) && ids.every((id) => typeof id === "string")
  return isList ? ids.map(keptId) : refuse(node, `"dependsOn" must be an array of task ids`)
}
