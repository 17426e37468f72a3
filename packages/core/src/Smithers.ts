/**
 * The main entry point: declare a workflow, and give it a store to run on.
 */

import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { AgentJournal, type UsageFilter } from "./AgentJournal.ts"
import type { Account } from "./Budget.ts"
import type { UsageRow } from "./Charges.ts"
import type * as Comparison from "./Comparison.ts"
import type { Definition } from "./Definition.ts"
import * as Engine from "./Engine.ts"
import {
  InvalidSetting,
  type NoSuchAttempt,
  type NoSuchMoment,
  type RunNotFound,
  type StoreError,
  type WorkflowMismatch,
} from "./Errors.ts"
import type { ForkError, Forked, ForkOptions } from "./Fork.ts"
import type { Moment } from "./History.ts"
import * as Lineage from "./Lineage.ts"
import { check as checkFact, type Fact, type FactFilter, type InvalidFact, Memory } from "./Memory.ts"
import * as Millis from "./Millis.ts"
import * as RedactedTelemetry from "./RedactedTelemetry.ts"
import type { ReplayReport } from "./Replay.ts"
import type { RevertOptions } from "./Revert.ts"
import * as RunAt from "./RunAt.ts"
import { type RunDetails, type RunFilter, RunReader, type RunSummary } from "./RunReader.ts"
import { RunStore } from "./RunStore.ts"
import { type Score, type ScoreFilter, Scores } from "./Scores.ts"
import * as SecretSettings from "./SecretSettings.ts"
import * as Settings from "./Settings.ts"
import { type Snapshot, type SnapshotFilter, Snapshots } from "./Snapshots.ts"
import type { Ports } from "./Storage.ts"
import { defined } from "./Struct.ts"
import * as Supervisor from "./Supervisor.ts"
import * as Timeline from "./Timeline.ts"
import type { SignalWithStartOptions, Workflow } from "./Workflow.ts"

export type { Conversation, RecordedConversation, ToolCallRecord, TranscriptEntry } from "./AgentJournal.ts"
export { type AllowOptions, allow, type SetBudgetOptions, setBudget } from "./BudgetCommands.ts"
export type { Builder, Caught, Failure, Node, Step } from "./Builder.ts"
export { type Client, client, toLayer } from "./Client.ts"
export {
  type ApproveOptions,
  answer,
  approve,
  type CommandError,
  cancel,
  cancelNode,
  completeNode,
  type DecisionOptions,
  type DecisionReceipt,
  deny,
  type LeaveOptions,
  pause,
  publish,
  published,
  retryNode,
  signal,
  unpause,
} from "./Commands.ts"
export type { AttemptError } from "./DeclaredError.ts"
export * from "./Errors.ts"
export type { ForkError, Forked, ForkOptions } from "./Fork.ts"
export type { Moment } from "./History.ts"
export { itemId } from "./Ids.ts"
export type { ConversationOfRun } from "./Lineage.ts"
export { type Fact, type FactFilter, InvalidFact } from "./Memory.ts"
export type { ReplayFinding, ReplayReport } from "./Replay.ts"
export { hasChanged } from "./ReplayReport.ts"
export type { RevertError, Reverted, RevertOptions } from "./Revert.ts"
export type { RunAt } from "./RunAt.ts"
export type { RunDetails, RunFilter, RunSummary } from "./RunReader.ts"
export type { RunResult, Waits } from "./RunResult.ts"
export {
  pauseSchedule,
  removeSchedule,
  runScheduleNow,
  type ScheduleOptions,
  type ShownSchedule,
  schedule,
  schedules,
  showSchedule,
  unpauseSchedule,
} from "./ScheduleCommands.ts"
export type { Schedule, Tick } from "./Schedules.ts"
export { InvalidScore, type Score, type ScoreFilter } from "./Scores.ts"
export { secret } from "./SecretSettings.ts"
export type { Snapshot, SnapshotFilter } from "./Snapshots.ts"
export type { TimelineFrame, TimelineOptions } from "./Timeline.ts"
export { createWorkflow, type Deadline, type ExecuteError, type RunHandle, type Workflow } from "./Workflow.ts"

/**
 * Sends a signal to a run of a workflow, and starts the run if it does not exist: both or nothing. This process drives the run,
 * like a started one.
 */
export const signalWithStart = <I, A, R, W, E>(workflow: Workflow<I, A, R, W, E>, input: I, options: SignalWithStartOptions) =>
  workflow.signalWithStart(input, options)

/** Forks a run of a workflow, like {@link Workflow.fork}. */
export const fork = <R>(workflow: Forkable<R>, runId: string, options?: ForkOptions) => workflow.fork(runId, options)

/** The part of a workflow that forks its runs. */
interface Forkable<R> {
  readonly fork: (runId: string, options?: ForkOptions) => Effect.Effect<Forked, ForkError, R>
}

/**
 * Tells whether today's code of a workflow would have changed a recorded run, and where, like {@link Replay.replay}. Runs and writes
 * nothing.
 */
export const replay = <R>(
  workflow: { readonly definition: Definition<R> },
  runId: string,
): Effect.Effect<ReplayReport, StoreError | RunNotFound | WorkflowMismatch, RunStore | RunReader | R> =>
  Effect.flatMap(
    Effect.promise(() => import("./Replay.ts")),
    ({ replay }) => replay(workflow.definition, runId),
  )

const filterNames: Settings.Names<RunFilter> = {
  status: true,
  workflow: true,
  tag: true,
  isChild: true,
  parent: true,
  forkedFrom: true,
  forkedAt: true,
  runIds: true,
  text: true,
  changedBefore: true,
  before: true,
  limit: true,
}

/**
 * Lists runs of the store, newest first, filtered by workflow, status, tag or age. Read only. Fails with {@link InvalidSetting}
 * for an unknown filter, which would otherwise select all runs.
 */
export const list = (filter: RunFilter = {}): Effect.Effect<ReadonlyArray<RunSummary>, StoreError | InvalidSetting, RunReader> =>
  Effect.zipRight(
    Settings.only("list", filter, filterNames),
    Effect.flatMap(RunReader, (reader) => reader.runs(filter)),
  )

/**
 * Reads everything stored of a run: its nodes, attempts and waits, its input and result. Read only; needs no code of the
 * workflow.
 */
export const inspect = (runId: string): Effect.Effect<RunDetails, StoreError | RunNotFound, RunReader> =>
  Effect.flatMap(RunReader, (reader) => reader.inspect(runId))

/**
 * Reads a run as it was right after a frame or an event: its plan, its nodes with their outputs, and its waits. Default: after the
 * last event. Read only; needs no code of the workflow. Fails with `NoSuchMoment` if the run has not got there.
 */
export const stateAt = (
  runId: string,
  moment?: Moment,
): Effect.Effect<RunAt.RunAt, StoreError | RunNotFound | NoSuchMoment | InvalidSetting, RunStore | RunReader> =>
  Effect.gen(function* () {
    yield* Settings.only("stateAt", moment ?? {}, momentNames)
    const [{ load }, { plan, events }] = yield* Effect.all([RunStore, RunReader])
    return yield* RunAt.read({ load, plan, events }, runId, moment)
  })

const momentNames: Settings.Names<{ readonly frame?: number; readonly seq?: number }> = { frame: true, seq: true }

const loadComparison = Effect.promise(() => import("./Comparison.ts"))

const comparing = Effect.map(Effect.all([RunStore, RunReader]), ([{ load }, { plan, events, inspect }]) => ({
  ...{ load, plan, events, inspect },
}))

/**
 * Compares two runs, or two moments of one: plan, states, outputs, prompts and replies. A name without `frame` and `seq` is the run as
 * of now. Read only. Fails with `NoSuchMoment` if a run has not got there.
 */
export const diff = (
  before: Comparison.RunName,
  after: Comparison.RunName,
): Effect.Effect<Comparison.Comparison, StoreError | RunNotFound | NoSuchMoment, RunStore | RunReader> =>
  Effect.flatMap(Effect.all([loadComparison, comparing]), ([{ runs }, reader]) => runs(reader, before, after))

/** Compares two attempts at a step, as {@link diff} compares runs. Fails with `NoSuchAttempt` if the step has not made them. */
export const diffAttempts = (
  name: Comparison.AttemptsName,
): Effect.Effect<Comparison.NodeDifference, StoreError | RunNotFound | NoSuchAttempt, RunStore | RunReader> =>
  Effect.flatMap(Effect.all([loadComparison, comparing]), ([{ attempts }, reader]) => attempts(reader, name))

/**
 * Streams the frames of a run in order, each with its events, what it changed of the plan, the child runs that it started, and its
 * forks and snapshots. Read
 * only. Fails with {@link InvalidSetting} for an unknown option.
 */
export const timeline = (
  runId: string,
  options: Timeline.TimelineOptions = {},
): Stream.Stream<Timeline.TimelineFrame, StoreError | RunNotFound | InvalidSetting, RunReader | Snapshots> =>
  Stream.unwrap(
    Effect.gen(function* () {
      yield* Settings.only("timeline", options, timelineNames)
      const [{ events, plan, runs }, { snapshots }] = yield* Effect.all([RunReader, Snapshots])
      return Timeline.read({ events, plan, runs, snapshots }, runId, options)
    }),
  )

const timelineNames: Settings.Names<Timeline.TimelineOptions> = { afterSeq: true }

/**
 * Reads the conversations of the agents of a run, with their transcripts and tool calls, in the order in which they began, and before them,
 * of a fork, those that it has inherited. Read only. Empty for a run without agents, and for one that does not exist.
 */
export const conversations = (
  runId: string,
  { nodeId, iteration }: { readonly nodeId?: string; readonly iteration?: number } = {},
): Effect.Effect<ReadonlyArray<Lineage.ConversationOfRun>, StoreError, AgentJournal | RunStore> =>
  Effect.gen(function* () {
    const ports = { store: yield* RunStore, journal: yield* AgentJournal }
    return yield* Lineage.conversations(ports, yield* ports.store.load(runId), defined({ nodeId, iteration }))
  }).pipe(Effect.catchTag("RunNotFound", () => Effect.succeed([])))

const factNames: Settings.Names<FactFilter> = { namespace: true, keys: true, query: true, limit: true }

/**
 * Reads facts that have not expired: with a `query` the most relevant first, otherwise the latest first. Namespaces are those of
 * steps' `memory`; that of a workflow is `workflow:<name>`, and that of a run `run:<id>`. Fails with {@link InvalidSetting} for an
 * unknown filter.
 */
export const facts = (filter: FactFilter = {}): Effect.Effect<ReadonlyArray<Fact>, StoreError | InvalidSetting, Memory> =>
  Effect.gen(function* () {
    yield* Settings.only("facts", filter, factNames)
    const memory = yield* Memory
    return yield* memory.facts({ ...filter, now: yield* Millis.now })
  })

/** A fact to remember. */
export interface FactOptions {
  readonly namespace: string
  readonly key: string
  /** Any JSON. */
  readonly value: unknown
  /** Time after which it is forgotten. Default: never. */
  readonly ttl?: Millis.DurationLike
}

/**
 * Stores a fact durably, in the place of the one with its key. In a step's code, prefer the option `memory`: it stores facts together
 * with the output. Fails with `InvalidFact` for a fact that cannot be stored.
 */
export const remember = ({ ttl, ...fact }: FactOptions): Effect.Effect<Fact, StoreError | InvalidFact | InvalidSetting, Memory> =>
  Effect.gen(function* () {
    const memory = yield* Memory
    const checked = yield* checkFact(fact)
    const ttlMs = ttl === undefined ? {} : { ttlMs: yield* Settings.duration("ttl", ttl, "1 day") }
    return yield* memory.putFact({ ...checked, ...ttlMs, at: yield* Millis.now })
  })

/** Deletes a fact, or all of a namespace, and returns their number. */
export const forget = (of: { readonly namespace: string; readonly key?: string }): Effect.Effect<number, StoreError, Memory> =>
  Effect.flatMap(Memory, (memory) => memory.deleteFacts(of))
/**
 * Reads what agents have used: tokens, costs and calls of tools, by run, step, agent and model. Some runs are read with their child
 * runs; without `runIds`, those of all runs. `since` is a time in epoch milliseconds. Read only.
 */
export const usage = (
  filter: UsageFilter = {},
): Effect.Effect<ReadonlyArray<UsageRow>, StoreError | InvalidSetting, AgentJournal> =>
  Effect.zipRight(
    Settings.only("usage", filter, usageNames),
    Effect.flatMap(AgentJournal, (journal) => journal.usage(filter)),
  )

const usageNames: Settings.Names<UsageFilter> = { runIds: true, since: true }

/** Reads the budgets of a run that have been drawn on, with what is spent and reserved. Read only. */
export const budgets = (runId: string): Effect.Effect<ReadonlyArray<Account>, StoreError, AgentJournal> =>
  Effect.flatMap(AgentJournal, (journal) => journal.budgets(runId))

/** Reads scores, in the order in which they became due. Fails with {@link InvalidSetting} for an unknown filter. */
export const scores = (filter: ScoreFilter = {}): Effect.Effect<ReadonlyArray<Score>, StoreError | InvalidSetting, Scores> =>
  Effect.zipRight(
    Settings.only("scores", filter, scoreNames),
    Effect.flatMap(Scores, (port) => port.scores(filter)),
  )

const scoreNames: Settings.Names<ScoreFilter> = { runId: true, nodeId: true, status: true, limit: true }

/**
 * Takes a run of a workflow back to before an attempt of a node, with its files where there is a snapshot, and leaves it suspended. Nothing is
 * deleted: the run's log goes on. With `undo` the last revert is undone. Resume the run afterwards.
 */
export const revert = <R>(workflow: { readonly definition: Definition<R> }, runId: string, options: RevertOptions) =>
  Effect.flatMap(
    Effect.promise(() => import("./Revert.ts")),
    ({ revert }) => revert(workflow.definition, runId, options),
  )

/**
 * Reads the snapshots of workspaces around the attempts of a run, in the order in which they were taken, and before them, of a fork, those of
 * the attempts that it has inherited. Empty for a run that does not exist.
 */
export const snapshots = (
  runId: string,
  { nodeId, iteration, attempt }: Omit<SnapshotFilter, "runId"> = {},
): Effect.Effect<ReadonlyArray<Snapshot>, StoreError, Snapshots | RunStore> =>
  Effect.gen(function* () {
    const ports = { store: yield* RunStore, snapshots: yield* Snapshots }
    return yield* Lineage.snapshots(ports, yield* ports.store.load(runId), defined({ nodeId, iteration, attempt }))
  }).pipe(Effect.catchTag("RunNotFound", () => Effect.succeed([])))

/** Waits until the scorers that this process has started have ended. */
export const scored: Effect.Effect<void, never, Engine.Engine> = Effect.flatMap(Engine.Engine, (engine) => engine.scored)

/** Resumes runs that no process drives. A layer beside the store's. */
export const supervisor = Supervisor.layer

export { type Registry, registry } from "./Supervisor.ts"

/** Puts the loggers and the tracer of a program behind ones that no secret gets into. Those of steps are so without it. */
export const redactedTelemetry = RedactedTelemetry.layer

/**
 * Makes secrets of the values that services read by `Config.redacted` while they are built: `Layer.provide(Services, Smithers.redactedConfig)`.
 * Steps need none, since what they read is noticed.
 */
export const redactedConfig: Layer.Layer<never> = SecretSettings.layer

/** The services needed to run a workflow. */
export type Runtime = Engine.Engine | Ports

/** Options of the engine, the same for every store. */
export type RuntimeOptions = Engine.EngineOptions

/** An engine on a given store. Fails with {@link InvalidSetting} for an invalid option, and with a {@link StoreError} if limits cannot be stored. */
export const onStorage = <E>(
  storage: Layer.Layer<Ports, E>,
  options?: RuntimeOptions,
): Layer.Layer<Runtime, E | InvalidSetting | StoreError> => {
  const isLayer: boolean = Layer.isLayer(storage)
  if (isLayer) return Layer.provideMerge(Engine.layer(options), storage)
  return Layer.fail(new InvalidSetting({ setting: "storage", received: Millis.show(storage), expected: "a layer of a store" }))
}

const loadedMemory = Layer.unwrapEffect(
  Effect.map(
    Effect.promise(() => import("./MemoryStorage.ts")),
    ({ layer }) => layer,
  ),
)

/** An engine on a store in memory. Its runs are lost with the layer. */
export const memory: Layer.Layer<Runtime> = Layer.orDie(onStorage(loadedMemory))
