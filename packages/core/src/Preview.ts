/**
 * A look ahead at what code would make of a run.
 */
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type { Definition } from "./Definition.ts"
import {
  type InvalidInput,
  type InvalidWorkflow,
  type RenderFailed,
  type RunNotFound,
  type StoreError,
  WorkflowMismatch,
} from "./Errors.ts"
import * as Restore from "./internal/restore.ts"
import type { Plan } from "./Plan.ts"
import * as PlanText from "./PlanText.ts"
import { RunReader } from "./RunReader.ts"
import * as RunState from "./RunState.ts"
import { RunStore } from "./RunStore.ts"
import { valuesOf } from "./Scheduler.ts"

/** A run as it is, and the plan that some code makes of it. */
export interface Preview {
  readonly state: RunState.RunState
  /** The plan that the run has. */
  readonly before: PlanText.PlanText
  /** Outputs of the run that the code's schemas do not accept. Resuming fails by them, unless their nodes are to run again. */
  readonly incompatible: ReadonlyArray<Restore.Incompatible>
  /** The first plan that the run would be resumed with, or why resuming it would be refused. */
  readonly after: Either.Either<Plan, InvalidInput | InvalidWorkflow | RenderFailed | WorkflowMismatch>
}

/**
 * Plans a run with a workflow's code, from what the run has stored, as resuming it would. Nothing is run, written or claimed, so the run may be
 * at work meanwhile.
 */
export const preview = <R>(
  definition: Definition<R>,
  runId: string,
): Effect.Effect<Preview, StoreError | RunNotFound, RunStore | RunReader | R> =>
  Effect.gen(function* () {
    const [store, reader] = [yield* RunStore, yield* RunReader]
    const state = yield* store.load(runId)
    const before = PlanText.decode(yield* reader.plan(runId))
    const { outputs, incompatible } = yield* Restore.outputs(definition, RunState.records(state))
    const after = yield* Effect.either(
      Effect.gen(function* () {
        const { workflow } = state
        if (definition.name !== undefined && definition.name !== workflow)
          return yield* new WorkflowMismatch({ runId, workflow: definition.name, stored: workflow })
        const input = yield* Restore.input(definition, workflow, state.input)
        const planner = definition.planner()
        planner.recall?.(before)
        return yield* Restore.plan(planner, state, valuesOf(input, outputs))
      }),
    )
    return { state, before, incompatible, after }
    // Codecs are untyped in a definition; what they ask for is what its steps do.
  }) as Effect.Effect<Preview, StoreError | RunNotFound, RunStore | RunReader | R>
