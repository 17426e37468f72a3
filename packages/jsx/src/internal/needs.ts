/**
 * Prerequisites of a task. A task inside a try, or a saga that the run survives, may never produce an output. From outside, the
 * boundary itself is awaited; between its own parts nothing is, since they run in order.
 */
import { keptId, type NodeId } from "@smithers/core/Ids"
import type { Need } from "@smithers/core/Plan"
import type { HostNode } from "../HostNode.ts"
import { refuse } from "./elements.ts"
import type { TaskIndex, TaskLocation } from "./reads.ts"

/**
 * Returns `true` if the plan passes the output of a task to another one directly. Otherwise it is looked up when that task starts.
 */
export const isHandedOn = (layout: TaskIndex, reader: NodeId, target: NodeId): boolean => {
  const around = regionsAround(layout, reader)
  return regionsAround(layout, target).every(({ boundary, part }) =>
    around.some((other) => other.boundary === boundary && other.part === part),
  )
}

/** Returns the needs by which a task waits for another one, without receiving its output. `deps` are the names of its deps. */
export const after = (layout: TaskIndex, reader: NodeId, target: NodeId, deps: ReadonlyArray<string> = []): ReadonlyArray<Need> => {
  let name = `after:${target}`
  while (deps.includes(name)) name = `after:${name}`
  const need = (node: NodeId): ReadonlyArray<Need> => [{ name, target: node, pass: "current" }]
  if (isHandedOn(layout, reader, target)) return need(target)
  const around = regionsAround(layout, reader)
  const outermost = regionsAround(layout, target).findLast(
    ({ boundary, part }) => !around.some((other) => other.boundary === boundary && other.part === part),
  )
  const isOtherPart = around.some(({ boundary }) => boundary === outermost?.boundary)
  return outermost === undefined || isOtherPart ? [] : need(outermost.boundary)
}

const regionsAround = (layout: TaskIndex, nodeId: NodeId): TaskLocation["within"] => layout.tasks.get(nodeId)?.within ?? []

/** Returns the ids in `dependsOn`. */
export const dependsOn = (node: HostNode): ReadonlyArray<string> => {
  const { dependsOn: ids } = node.props
  if (ids === undefined) return []
  const isList = Array.isArray(ids) && ids.every((id) => typeof id === "string")
  return isList ? ids.map(keptId) : refuse(node, `"dependsOn" must be an array of task ids`)
}
