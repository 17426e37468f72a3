/**
 * A dry run of planning: the plan that given code makes of a stored run.
 */
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Codec from "./Codec.ts"
import type { Definition } from "./Definition.ts"
import {
  InvalidInput,
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

/** A stored run, and the plan that given code makes of it. */
export interface Preview {
  readonly state: RunState.RunState
  /** The stored plan. */
  readonly before: PlanText.PlanText
  /** Stored outputs that do not match the schemas of the code. Resuming fails with them, unless their nodes are to run again. */
  readonly incompatible: ReadonlyArray<Restore.Incompatible>
  /** The first plan after resuming, or the error that resuming would fail with. */
  readonly after: Either.Either<Plan, InvalidInput | InvalidWorkflow | RenderFailed | WorkflowMismatch>
}

/** Fails with {@link InvalidInput} if a workflow does not take an input. Starts nothing. */
export const checkInput = <R>(definition: Definition<R>, workflow: string, input: unknown): Effect.Effect<void, InvalidInput, R> =>
  Effect.suspend(() => definition.input.encode(input)).pipe(
    Effect.catchAllDefect((thrown) => Effect.fail([Codec.thrownMessage(thrown)])),
    Effect.mapError((issues) => new InvalidInput({ workflow, issues })),
    Effect.asVoid,
    // Codecs are untyped in a definition; their requirements are those of its steps.
  ) as Effect.Effect<void, InvalidInput, R>

/**
 * Plans a run from its stored state with a workflow's code, as resuming it would. Runs, writes and claims nothing, so another
 * process may drive the run meanwhile.
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
    // Codecs are untyped in a definition; their requirements are those of its steps.
  }) as Effect.Effect<Preview, StoreError | RunNotFound, RunStore | RunReader | R>
