/**
 * A fork that is being made: the events of its first frame, the state after them, and the plan that today's code makes of it.
 */
import * as Effect from "effect/Effect"
import type { Outputs } from "../../Codec.ts"
import type { Definition } from "../../Definition.ts"
import type { InvalidInput, InvalidWorkflow, RenderFailed, WorkflowMismatch } from "../../Errors.ts"
import { type NodeId, nodeKey } from "../../Ids.ts"
import type * as Millis from "../../Millis.ts"
import type * as Plan from "../../Plan.ts"
import * as PlanText from "../../PlanText.ts"
import type { RunEvent } from "../../RunEvent.ts"
import * as RunState from "../../RunState.ts"
import type { OutputTable } from "../../RunStore.ts"
import { valuesOf } from "../../Scheduler.ts"
import * as Rerun from "../rerun.ts"
import * as Restore from "../restore.ts"

/** The errors of planning. */
export type PlanError = InvalidWorkflow | RenderFailed | WorkflowMismatch

export interface Draft {
  readonly state: () => RunState.RunState
  readonly events: ReadonlyArray<RunEvent>
  readonly append: (event: RunEvent) => void
  /** Decoded outputs, kept in step with the state. */
  readonly outputs: Outputs
  /** Inherited outputs that do not match the schemas of the code. */
  readonly incompatible: ReadonlyArray<Restore.Incompatible>
  /** The plan after all events so far. */
  readonly plan: Effect.Effect<Plan.Plan, PlanError, unknown>
  /** Resets nodes with everything that has read them. */
  readonly rerun: (nodeIds: ReadonlyArray<NodeId>) => Effect.Effect<void, PlanError, unknown>
  /** Tables that the last plan needs. */
  readonly tables: () => ReadonlyArray<OutputTable>
}

/** The beginning of a draft. */
export interface Beginning {
  readonly definition: Definition<unknown>
  /** The state of the original at the cut, as that of the fork. */
  readonly begun: RunState.RunState
  /** The event that makes a fork of it. */
  readonly first: RunEvent
  /** The text of the original's plan at the cut. */
  readonly planned: string
  readonly now: Millis.Millis
}

/** Begins a draft, and plans it. */
export const make = ({
  definition,
  begun,
  first,
  planned,
  now,
}: Beginning): Effect.Effect<Draft, PlanError | InvalidInput, unknown> =>
  Effect.gen(function* () {
    const { outputs, incompatible } = yield* Restore.outputs(definition, RunState.records(begun))
    const values = valuesOf(yield* Restore.input(definition, begun.workflow, begun.input), outputs)
    const planner = definition.planner()
    planner.recall?.(PlanText.decode(planned))
    const events: Array<RunEvent> = []
    let state = begun
    const append = (event: RunEvent): void => {
      events.push(event)
      state = RunState.apply(state, event, now)
      if (event._tag === "NodeReset") outputs.delete(nodeKey(event.nodeId, event.iteration))
    }
    append(first)
    let current = yield* Restore.plan(planner, state, values)
    /** Events that the plan is of. */
    let known = events.length
    const plan = Effect.gen(function* () {
      if (known === events.length) return current
      planner.observe(events.slice(known))
      known = events.length
      current = yield* Restore.plan(planner, state, values)
      return current
    })
    const rerun = (nodeIds: ReadonlyArray<NodeId>) =>
      Effect.asVoid(
        Effect.flatMap(plan, (before) => Rerun.make(before, nodeIds, { state: () => state, append, replan: () => plan })),
      )
    const tables = () => planner.tables?.() ?? []
    return { state: () => state, events, append, outputs, incompatible, plan, rerun, tables }
  })
