/**
 * Plan of a workflow as text for snapshots, for both front ends.
 */
import type { Plan } from "@smithers/core/Plan"
import * as PlanText from "@smithers/core/PlanText"
import { type RenderOptions, renderPlan } from "@smithers/jsx/renderPlan"
import type { JsxWorkflow } from "@smithers/jsx/Workflow"

/** A workflow of the builder, which has a single plan. */
export interface Planned {
  readonly plan: Plan
}

const isPlanned = (workflow: object): workflow is Planned => "plan" in workflow

/**
 * Formats a plan: a line per node in document order, indented by its containers. A JSX workflow is rendered with the input and
 * outputs of `options`, and fails as `renderPlan` does.
 */
export const planText = <I>(workflow: Planned | JsxWorkflow<I, unknown, unknown>, options: RenderOptions = {}): string => {
  const plan = isPlanned(workflow) ? workflow.plan : renderPlan(workflow, options).plan
  return PlanText.decode(plan.text).nodes.map(lineOf).join("\n")
}

const lineOf = ({ depth, _tag, id, details }: PlanText.Node): string => {
  const kind = "kind" in details ? details.kind : undefined
  const said = Object.entries(details).flatMap(([name, value]) =>
    value === undefined || name === "kind" ? [] : [`${name}: ${sayOf(value)}`],
  )
  const name = [kind ?? _tag.toLowerCase(), ...(id === undefined ? [] : [id])].join(" ")
  return `${"  ".repeat(depth)}${name}${said.length === 0 ? "" : ` (${said.join(", ")})`}`
}

const sayOf = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(sayOf).join(", ")}]`
  if (typeof value === "object" && value !== null)
    return `{ ${Object.entries(value)
      .map(([name, inner]) => `${name}: ${sayOf(inner)}`)
      .join(", ")} }`
  return String(value)
}
