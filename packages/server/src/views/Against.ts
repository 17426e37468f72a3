/**
 * The problems of resuming a run with the code as it is now, and the changes to its nodes.
 */
import type { Plan } from "@smithers/core/Plan"
import type { Preview } from "@smithers/core/Preview"
import * as Either from "effect/Either"
import * as PlanTree from "./PlanTree.ts"

/** A problem, or as `warning` what is allowed but may not be intended. */
export interface Problem {
  readonly kind: "invalid" | "render" | "impure" | "incompatible" | "warning"
  readonly message: string
}

/** Today's code against a run. Without a plan it cannot be resumed, for the last of the problems. */
export interface Against {
  readonly problems: ReadonlyArray<Problem>
  readonly plan: Plan | undefined
  readonly difference: ReturnType<typeof PlanTree.compare> | null
}

/** Compares a stored run with the plan that today's code makes of it. */
export const compare = ({ state, before, incompatible, after }: Preview): Against => {
  const outputs = incompatible.map(
    ({ nodeId, issues }): Problem => ({ kind: "incompatible", message: `the output of "${nodeId}": ${issues.join("; ")}` }),
  )
  if (Either.isRight(after)) return { problems: outputs, plan: after.right, difference: PlanTree.compare(before, after.right) }
  const noPlan = { plan: undefined, difference: null }
  const error = after.left
  switch (error._tag) {
    case "InvalidInput":
      // A render without an input would not be the run's.
      return { ...noPlan, problems: [{ kind: "incompatible", message: `the input of the run: ${error.issues.join("; ")}` }] }
    case "WorkflowMismatch": {
      const message = `run "${error.runId}" belongs to workflow "${error.stored}", not to "${error.workflow}"`
      return { ...noPlan, problems: [{ kind: "incompatible", message }] }
    }
    default: {
      const message = `with the stored state of run ${state.runId}: ${error.message}`
      return { ...noPlan, problems: [...outputs, { kind: "render", message }] }
    }
  }
}
