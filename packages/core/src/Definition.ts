/**
 * Workflows as the engine knows them, however they were written.
 */
import type * as Either from "effect/Either"
import type { Codec } from "./Codec.ts"
import type { ErrorCodec } from "./Declared.ts"
import type { InvalidWorkflow, RenderFailed } from "./Errors.ts"
import type { NodeId } from "./Ids.ts"
import type * as Plan from "./Plan.ts"
import type { RunEvent, StrayRead } from "./RunEvent.ts"
import type { RunState } from "./RunState.ts"
import type { OutputTable } from "./RunStore.ts"
import type { Values } from "./Scheduler.ts"

/**
 * Where the plan of one run comes from: a pure function of what is known of the run. It may keep what it needs to tell which
 * events can change the plan.
 */
export interface Planner {
  /** Gives the plan, or why there is none. `values` is the same object each time, kept up to date. What it throws is a defect. */
  readonly plan: (state: RunState, values: Values) => Either.Either<Plan.Plan, InvalidWorkflow | RenderFailed>
  /** Takes note of events that were just folded into the state, and says whether they may change the plan. */
  readonly observe: (events: ReadonlyArray<RunEvent>) => boolean
  /** Tables that the last plan needs beside those of the definition; the same array as long as they are the same. */
  readonly tables?: () => ReadonlyArray<OutputTable> | undefined
  /** Is given the plan that is stored, before it plans for a run that is resumed. */
  readonly recall?: (plan: Plan.Drawing) => void
  /** What was read, and no task of the run was ever the one that was meant. */
  readonly strayReads?: (state: RunState) => ReadonlyArray<StrayRead>
}

/** What is run. `R` is what its steps need. */
export interface Definition<out R = never> {
  /** `undefined` where only the plan will tell. */
  readonly name: string | undefined
  readonly version: string | undefined
  readonly input: Codec<unknown, unknown>
  /** Makes the planner of a run that is taken up. */
  readonly planner: () => Planner
  /** The codec of a node's output; `undefined` when the workflow no longer has the node. */
  readonly codecOf: (nodeId: NodeId, table: string) => Codec<unknown, unknown> | undefined
  /** The codec of the errors that a node declares. Without it callers and parents are given none of them. */
  readonly errorOf?: (nodeId: NodeId) => ErrorCodec | undefined
  /** The tables of its outputs. */
  readonly tables: ReadonlyArray<OutputTable>
  /** The codec of the output of a run, where that is known without the plan. */
  readonly output?: Codec<unknown, unknown>
  readonly maxConcurrency: number | undefined
  readonly _R?: (_: never) => R
}
