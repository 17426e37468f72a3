/**
 * The front door: declare a workflow, and give it a store to run on.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Engine from "./Engine.ts"
import type { InvalidSetting, RunNotFound, StoreError } from "./Errors.ts"
import * as MemoryStorage from "./MemoryStorage.ts"
import { type RunDetails, type RunFilter, RunReader, type RunSummary } from "./RunReader.ts"
import type { Ports } from "./Storage.ts"
import * as Supervisor from "./Supervisor.ts"
import type { SignalWithStartOptions, Workflow } from "./Workflow.ts"

export type { Builder, Caught, Failure, Node, Step } from "./Builder.ts"
export { type Client, client, toLayer } from "./Client.ts"
export {
  answer,
  approve,
  type CommandError,
  cancel,
  cancelNode,
  completeNode,
  type Decided,
  type DecisionOptions,
  deny,
  type LeaveOptions,
  pause,
  retryNode,
  signal,
  unpause,
} from "./Commands.ts"
export type { AttemptError } from "./Declared.ts"
export * from "./Errors.ts"
export type { RunDetails, RunFilter, RunSummary } from "./RunReader.ts"
export type { RunResult, Waits } from "./RunResult.ts"
export { createWorkflow, type ExecuteError, type RunHandle, type Workflow } from "./Workflow.ts"

/**
 * Sends a signal to a run of a workflow, and starts the run if there is none of its id: both or nothing. The run goes on here, as one that
 * was started.
 */
export const signalWithStart = <I, A, R, W, E>(workflow: Workflow<I, A, R, W, E>, input: I, options: SignalWithStartOptions) =>
  workflow.signalWithStart(input, options)

/** Lists runs of the store, newest first, by workflow, status, tag or age. Looks only: it plans and runs nothing. */
export const list = (filter: RunFilter = {}): Effect.Effect<ReadonlyArray<RunSummary>, StoreError, RunReader> =>
  Effect.flatMap(RunReader, (reader) => reader.runs(filter))

/** Tells all that is stored of a run: its nodes, attempts and waits, its input, and how it ended. Looks only, and needs no code of the workflow. */
export const inspect = (runId: string): Effect.Effect<RunDetails, StoreError | RunNotFound, RunReader> =>
  Effect.flatMap(RunReader, (reader) => reader.inspect(runId))

/** Wakes runs that nobody works on: as a layer beside the store's. */
export const supervisor = Supervisor.layer

export { type Registry, registry } from "./Supervisor.ts"

/** What running a workflow needs. */
export type Runtime = Engine.Engine | Ports

/** How the engine behaves on any store. */
export type RuntimeOptions = Engine.EngineOptions

/** An engine on a given store. Fails with {@link InvalidSetting} where an option is none. */
export const onStorage = <E>(storage: Layer.Layer<Ports, E>, options?: RuntimeOptions): Layer.Layer<Runtime, E | InvalidSetting> =>
  Layer.provideMerge(Engine.layer(options), storage)

/** Runs that are forgotten with the layer. */
export const memory: Layer.Layer<Runtime> = Layer.orDie(onStorage(MemoryStorage.layer))
