/**
 * Bounds as the command line prints them: those that hold in a plan, and those that hold by default.
 */
import * as Bounds from "@smithers/core/Bounds"
import * as PlanBounds from "@smithers/core/PlanBounds"
import { nameOf } from "@smithers/server/views/Parts"
import { oneLine, plural } from "@smithers/server/views/Text"
import { table } from "./Table.ts"

/** Maximum number of nodes that a line names. */
const mostNodes = 3

const nodesText = (nodeIds: ReadonlyArray<string>): string => {
  const shown = nodeIds.slice(0, nodeIds.length === mostNodes + 1 ? mostNodes + 1 : mostNodes).map((id) => oneLine(nameOf(id)))
  const rest = nodeIds.length - shown.length
  return rest === 0 ? shown.join(", ") : `${shown.join(", ")} and ${plural(rest, "other")}`
}

/** Formats the bounds of a plan as a table: a line for each bound, with its nodes; empty if there are none. */
export const ofPlan = (bounds: ReadonlyArray<PlanBounds.BoundInForce>, columns?: number): string => {
  const lines = new Map<string, { readonly bound: PlanBounds.BoundInForce; readonly nodeIds: Set<string> }>()
  for (const bound of bounds) {
    const key = JSON.stringify([bound.bound, bound.limit, bound.agent])
    const line = lines.get(key) ?? { bound, nodeIds: new Set() }
    lines.set(key, line)
    line.nodeIds.add(bound.nodeId)
  }
  if (lines.size === 0) return ""
  const rows = [...lines.values()].map(({ bound, nodeIds }) => [
    `${PlanBounds.text(bound)}${bound.agent === undefined ? "" : ` ${oneLine(bound.agent)}`}`,
    bound.isDefault ? "default" : "set",
    bound.option,
    nodesText([...nodeIds]),
  ])
  return table(["BOUND", "FROM", "OPTION", "NODES"], rows, columns)
}

/** Bounds that hold by default, each with the option that changes it, as rows of a help text. */
export const defaults: ReadonlyArray<readonly [option: string, text: string]> = Bounds.names.flatMap((name) => {
  const { option, where } = Bounds.byDefault[name]
  return where === "" ? [] : [[option, `${Bounds.text(name)} (${where.replaceAll("`", "")})`] as const]
})
