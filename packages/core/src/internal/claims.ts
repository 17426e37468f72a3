/**
 * The budgets that the calls of a node draw on: those around it in its plan, and those that its run got from its starter.
 */
import type * as Budget from "../Budget.ts"
import { compositeKey } from "../Ids.ts"
import type * as Plan from "../Plan.ts"
import type { RunState } from "../RunState.ts"

/** A claim without the limits that are none. */
const claimOf = (claim: Budget.Claim): ReadonlyArray<Budget.Claim> => {
  const limits = Object.fromEntries(Object.entries(claim.limits).filter(([, limit]) => Number.isFinite(limit)))
  return Object.keys(limits).length === 0 ? [] : [{ ...claim, limits }]
}

/** Budgets around a node in the tree, from the innermost, that its judges draw on. None of them can be asked or told to finish. */
export const aroundOf = (plan: Plan.Plan, position: number, state: RunState): ReadonlyArray<Budget.Claim> =>
  [...regions(plan, position, state), ...state.budgets].map((claim) => ({ ...claim, onReached: "fail" as const }))

/** Budgets of a node in the tree, from the innermost. */
export const of = (plan: Plan.Plan, position: number, state: RunState, iteration: number): ReadonlyArray<Budget.Claim> => {
  const { runId } = state
  const claims: Array<Budget.Claim> = []
  const node = plan.nodes[position]
  if (node?._tag === "Step" && node.agentSpec?.budget !== undefined) {
    const { limits, onReached } = node.agentSpec.budget
    const key = compositeKey("step", runId, node.id, iteration)
    claims.push(...claimOf({ key, name: `step "${node.id}"`, runId, limits, onReached }))
  }
  return [...claims, ...regions(plan, position, state), ...state.budgets]
}

/** A budget of a part of the plan holds for all generations of a run, like for all passes of a loop. */
const regions = (plan: Plan.Plan, position: number, { runId: own, chain }: RunState): ReadonlyArray<Budget.Claim> => {
  const runId = chain?.first ?? own
  const claims: Array<Budget.Claim> = []
  for (let above = plan.parent(position); above >= 0; above = plan.parent(above)) {
    const outer = plan.nodes[above]
    if (outer?._tag !== "Sequence" || outer.budget === undefined) continue
    const { id, limits, onReached } = outer.budget
    const name = id === "" ? `run "${runId}"` : `"${id}"`
    claims.push(...claimOf({ key: compositeKey("budget", runId, id), name, runId, limits, onReached }))
  }
  return claims
}

/** Budgets that a child run inherits. What its parent declares holds for it, and it does not change that. */
export const inherited = (claims: ReadonlyArray<Budget.Claim>): { readonly budgets?: ReadonlyArray<Budget.Claim> } =>
  claims.length === 0 ? {} : { budgets: claims.map((claim) => ({ ...claim, isInherited: true as const })) }

/** The claim of a budget that the starter of a run gave. */
export const ofRun = ({ limits, onReached }: Budget.Budget, runId: string): ReadonlyArray<Budget.Claim> =>
  claimOf({ key: compositeKey("given", runId), name: `run "${runId}"`, runId, limits, onReached })

/** The claim of the budget of a day, in UTC. */
export const ofDay = ({ limits, onReached }: Budget.Budget, now: number): ReadonlyArray<Budget.Claim> => {
  const day = new Date(now).toISOString().slice(0, 10)
  return claimOf({ key: compositeKey("day", day), name: `the day ${day}`, runId: null, limits, onReached })
}
