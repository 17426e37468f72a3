/**
 * Workflows as the engine sees them, of either front end.
 */
import type * as Either from "effect/Either"
import type { Codec } from "./Codec.ts"
import type { ErrorCodec } from "./DeclaredError.ts"
import type { InvalidWorkflow, RenderFailed } from "./Errors.ts"
import type { NodeId } from "./Ids.ts"
import type { Millis } from "./Millis.ts"
import type * as Plan from "./Plan.ts"
import type { PlanText } from "./PlanText.ts"
import type { RunEvent, StrayRead } from "./RunEvent.ts"
import type { RunState } from "./RunState.ts"
import type { OutputTable } from "./RunStore.ts"
import type { Values } from "./Scheduler.ts"

/** The source of a run's plan: a pure function of the run's state. It may keep notes to tell which events can change the plan. */
export interface Planner {
  /** Returns the plan, or the error. `values` is the same object each time, kept up to date. A throw is a defect. */
  readonly plan: (state: RunState, values: Values) => Either.Either<Plan.Plan, InvalidWorkflow | RenderFailed>
  /** Receives events that were just folded into the state, and returns whether they may change the plan. */
  readonly observe: (events: ReadonlyArray<RunEvent>) => boolean
  /** Tables that the last plan needs beside those of the definition; the same array as long as they are the same. */
  readonly tables?: () => ReadonlyArray<OutputTable> | undefined
  /** Time in which a run must finish, by the last plan. */
  readonly deadlineMs?: () => Millis | undefined
  /** The option `snapshots` of the workflow, by the last plan. */
  readonly snapshots?: () => boolean | undefined
  /** Receives the stored plan before the first plan of a resumed run. */
  readonly recall?: (plan: PlanText) => void
  /** Reads that can never find a task of the run. */
  readonly strayReads?: (state: RunState) => ReadonlyArray<StrayRead>
}

/** A workflow. `R` is the services of its steps. */
export interface Definition<out R = never> {
  /** `undefined` if only the plan has it. */
  readonly name: string | undefined
  readonly version: string | undefined
  readonly input: Codec<unknown, unknown>
  /** Makes a planner, one per claim of a run. */
  readonly planner: () => Planner
  /** The codec of a node's output; `undefined` if the workflow no longer has the node. */
  readonly codecOf: (nodeId: NodeId, table: string) => Codec<unknown, unknown> | undefined
  /** The codec of a node's declared errors. Without it callers and parents receive no declared errors. */
  readonly errorOf?: (nodeId: NodeId) => ErrorCodec | undefined
  /** The tables of its outputs. */
  readonly tables: ReadonlyArray<OutputTable>
  /** The codec of a run's output, if known without the plan. */
  readonly output?: Codec<unknown, unknown>
  readonly maxConcurrency: number | undefined
  /** Time in which a run must finish, if known without the plan. */
  readonly deadlineMs?: Millis
  /** `true` takes snapshots around each attempt of its steps, `false` takes none. Default: as the engine says. */
  readonly snapshots?: boolean | undefined
  readonly _R?: (_: never) => R
}
