/**
 * Runs nodes again with everything that depends on them: nodes that need them, are unsettled without them, or leave the plan without
 * them. Plans anew after each step, since the plan may depend on what was reset.
 */
import * as Effect from "effect/Effect"
import type { NodeId } from "../Ids.ts"
import * as Plan from "../Plan.ts"
import type { RunEvent } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import * as Recovery from "./recovery.ts"

/** The run whose nodes are reset. */
interface Host<E, R> {
  readonly state: () => RunState.RunState
  readonly append: (event: RunEvent) => void
  /** Reads that only attempts in flight know. Default: none are in flight. */
  readonly readsInFlight?: () => Recovery.InFlight
  /** Ends attempts in flight that resets by a plan cut short, and returns the events of it, which come before the resets. */
  readonly abandon?: (plan: Plan.Plan, resets: ReadonlyArray<RunEvent>) => Effect.Effect<ReadonlyArray<RunEvent>, E, R>
  /** Makes the plan after these resets. */
  readonly replan: (resets: ReadonlyArray<RunEvent>) => Effect.Effect<Plan.Plan, E, R>
}

/** Resets nodes, and returns the plan after it. */
export const make = <E, R>(plan: Plan.Plan, nodeIds: ReadonlyArray<NodeId>, host: Host<E, R>): Effect.Effect<Plan.Plan, E, R> =>
  Effect.gen(function* () {
    const done = new Set<NodeId>()
    let current = plan
    for (let chosen = nodeIds; chosen.length > 0; ) {
      const { events, nodeIds: reset } = Recovery.resetForRetry(current, host.state(), chosen, host.readsInFlight?.())
      for (const nodeId of [...chosen, ...reset]) done.add(nodeId)
      const before = current
      if (host.abandon !== undefined) for (const event of yield* host.abandon(before, events)) host.append(event)
      for (const event of events) host.append(event)
      current = yield* host.replan(events)
      const next = current
      const dependent = [...before.positions].flatMap(([nodeId, position]) => {
        if (position >= before.size || done.has(nodeId)) return []
        const node = next.find(nodeId)
        return node === undefined || (Plan.isProvisional(node) && RunState.hasRecord(host.state(), nodeId)) ? [nodeId] : []
      })
      // Nodes that vanished are reset by the plan that had them.
      const gone = dependent.filter((nodeId) => !next.positions.has(nodeId))
      if (gone.length > 0) for (const event of Recovery.resetForRetry(before, host.state(), gone).events) host.append(event)
      for (const nodeId of gone) done.add(nodeId)
      chosen = dependent.filter((nodeId) => next.positions.has(nodeId))
    }
    return current
  })
