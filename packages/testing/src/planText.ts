/**
 * The plan of a workflow as text for snapshots, whichever front end the workflow is written with.
 */
import type { Plan } from "@smithers/core/Plan"
import * as PlanText from "@smithers/core/PlanText"
import { type RenderOptions, renderPlan } from "@smithers/jsx/renderPlan"
import type { JsxWorkflow } from "@smithers/jsx/Workflow"

/** A workflow that has one plan, as the builder makes it. */
export interface Planned {
  readonly plan: Plan
}

const isPlanned = (workflow: object): workflow is Planned => "plan" in workflow

/**
 * The plan as text: a line per node in document order, indented by what is around it. A workflow of components is drawn with the input and the outputs of
 * `options`, and fails as `renderPlan` does; what the builder makes has one plan.
 */
export const planText = <I>(workflow: Planned | JsxWorkflow<I, unknown>, options: RenderOptions = {}): string => {
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
