/**
 * A built workflow: its plan, and the ways to run it. A workflow is a value; nothing is opened or started before one of its
 * methods runs.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import * as Builder from "./Builder.ts"
import * as Codec from "./Codec.ts"
import * as Commands from "./Commands.ts"
import * as DeclaredError from "./Declared.ts"
import type { Definition, Planner } from "./Definition.ts"
import { Engine, type EngineError } from "./Engine.ts"
import {
  type InvalidCommand,
  InvalidInput,
  InvalidRunId,
  type InvalidSetting,
  InvalidWorkflow,
  type RenderFailed,
  type RunCancelled,
  type RunEnded,
  type RunFailure,
  type RunNotFound,
  type SignalIdTaken,
  type StoreError,
  unnamed,
  WorkflowMismatch,
} from "./Errors.ts"
import * as Foreign from "./Foreign.ts"
import { generateRunId, idRule, isChildRunId, isId } from "./Ids.ts"
import { Inbox } from "./Inbox.ts"
import { digest } from "./internal/digest.ts"
import { canonical, isPlainObject, isTooDeep, toJson } from "./internal/json.ts"
import * as Lists from "./internal/lists.ts"
import * as NodeOptions from "./NodeOptions.ts"
import * as Plan from "./Plan.ts"
import * as PlanLayout from "./PlanLayout.ts"
import * as RunDriver from "./RunDriver.ts"
import * as RunLog from "./RunLog.ts"
import { type LoggedEvent, type Origin, RunReader, type RunReaderShape } from "./RunReader.ts"
import * as RunRequest from "./RunRequest.ts"
import { type EndedResult, type RunResult, toEither, type Waiting } from "./RunResult.ts"
import { RunStore } from "./RunStore.ts"
import * as Settings from "./Settings.ts"
import * as Status from "./Status.ts"
import * as Storage from "./Storage.ts"

/** How a new run is known, and how an existing one is taken up. */
export interface RunOptions {
  /** Starts the run of this id, or resumes or joins it where it exists. Made up unless told. */
  readonly runId?: string
  /** Labels to find runs by; only of a new run. */
  readonly tags?: ReadonlyArray<string>
  /** Where the workflow's code is, kept with a new run for whoever has to load it: a path, usually. */
  readonly source?: string
  readonly onIncompatible?: ResumeOptions["onIncompatible"]
  /**
   * What to do where the run of this id has failed: `"answer"` gives its failure again, `"resume"` continues where it failed, with a fresh
   * budget for its failed steps, and does again what its sagas have undone. Default: `"answer"`, so that asking twice does nothing twice.
   */
  readonly onFailed?: "answer" | "resume"
}

/** How a run is taken up. */
export interface ResumeOptions {
  /** What to do about finished steps whose outputs the current schemas refuse: fail (the default), or run them again. */
  readonly onIncompatible?: "fail" | "rerun"
}

/** How an existing run is attached to. */
export interface AttachOptions extends ResumeOptions {
  /** Default: `"answer"`, its failure. */
  readonly onFailed?: "answer" | "resume"
  /** What to do where it was cancelled: answer with that, or take the cancellation back. Default: `"answer"`. */
  readonly onCancelled?: "answer" | "resume"
}

/** Why a run could not be worked on, as opposed to how it ended. */
export type RunError = EngineError | InvalidRunId | InvalidSetting

/** Everything `execute` can fail with. */
export type ExecuteError = RunError | RunFailure | RunCancelled

/** A run that the engine works on, or that another process does. */
export interface RunHandle<out A, out E = never> {
  readonly runId: string
  /** Waits for the output. Interrupting the wait does not stop the run. */
  readonly await: Effect.Effect<A, ExecuteError | E>
  /** Waits for how the run stops. */
  readonly result: Effect.Effect<RunResult<A, E>, RunError>
  /** Waits until nothing of the run can go on: it has stopped, is paused, or waits for something to come from outside. */
  readonly waiting: Effect.Effect<RunResult<A, E>, RunError>
  /** Cancels the run and waits until it has stopped. Cancelling a cancelled run again does nothing. */
  readonly cancel: (reason?: string) => Effect.Effect<void, RunError | RunEnded>
  /** Sends it a signal, as `signal` does. */
  readonly signal: (name: string, options?: Commands.SignalOptions) => Effect.Effect<void, Commands.CommandError>
  /** Leaves a scope, a race or a list of it, as `cancelNode` does. */
  readonly cancelNode: (node: string, options?: Commands.LeaveOptions) => Effect.Effect<void, Commands.CommandError>
  /** Leaves a scope, a race or a list of it, as `completeNode` does. */
  readonly completeNode: (node: string, options?: Commands.LeaveOptions) => Effect.Effect<void, Commands.CommandError>
  /** The run's events from its first one on, as they are committed; ends with the run. */
  readonly events: Stream.Stream<LoggedEvent, RunError>
  /** The same from the event after this one on. */
  readonly eventsAfter: (seq: number) => Stream.Stream<LoggedEvent, RunError>
}

declare const Written: unique symbol

/** What the steps of a workflow write into their tables: a `Written` for each id, or for each output of components. */
export interface Writes<out W> {
  readonly [Written]?: W
}

/** What the steps of a workflow write. */
export type WrittenOf<W> = W extends { readonly [Written]?: infer A } ? A : never

/**
 * A workflow that takes an `I` and gives an `A`. Its steps ask for `R`, and declare the errors `E`.
 *
 * Every method needs an engine on a store, which `Smithers.sqlite` and `Smithers.memory` provide. When the fiber that runs a
 * method is interrupted, the run is suspended in order and can be resumed; only `cancel` cancels.
 */
export interface Workflow<in I, out A, out R = never, out W = unknown, out E = never> extends Writes<W>, Builder.Fails<E> {
  readonly name: string
  readonly version: string | undefined
  readonly plan: Plan.Plan
  readonly definition: Definition<R>
  /**
   * Runs the workflow and succeeds with its output. Idempotent by `runId`: an unknown id starts a run, a known one is resumed
   * or joined, and one that has ended answers at once with what is stored: a finished one with its output, a failed one with its failure
   * unless `onFailed` says otherwise, a cancelled one with `RunCancelled`.
   */
  readonly execute: (input: I, options?: RunOptions) => Effect.Effect<A, ExecuteError | E, Engine | R>
  /** Like `execute`, but a run that failed, was cancelled, or waits for the world is an answer: it returns when nothing can go on. */
  readonly run: (input: I, options?: RunOptions) => Effect.Effect<RunResult<A, E>, RunError, Engine | R>
  /** Starts, resumes or joins a run and leaves it to the engine. */
  readonly start: (
    input: I,
    options?: RunOptions,
  ) => Effect.Effect<
    RunHandle<A, E>,
    InvalidInput | InvalidSetting | InvalidRunId | InvalidWorkflow | RenderFailed,
    Engine | Storage.NarrowPorts | R
  >
  /**
   * Joins a run that exists, or resumes it where nobody works on it, and leaves it to the engine, as `start` does. One that has ended answers with
   * its result, unless `onFailed` or `onCancelled` says otherwise. Should another process work on it and stop, this one goes on with it.
   */
  readonly attach: (
    runId: string,
    options?: AttachOptions,
  ) => Effect.Effect<RunHandle<A, E>, InvalidSetting, Engine | Storage.NarrowPorts | R>
  /** Looks at a run that exists, and runs nothing: its result, or none while it is being worked on, or could be. */
  readonly poll: (
    runId: string,
  ) => Effect.Effect<Option.Option<RunResult<A, E>>, StoreError | RunNotFound | WorkflowMismatch, RunReader | RunStore | R>
  /**
   * Resumes a run that exists, with the input it has, and succeeds with its output. A failed run continues where it failed, and what its
   * sagas have undone is done again; a cancellation is taken back.
   */
  readonly resume: (runId: string, options?: ResumeOptions) => Effect.Effect<A, ExecuteError | E, Engine | R>
  /**
   * Cancels a run wherever it runs, and waits until it has stopped. Cancelling a cancelled run again does nothing; one that has finished or
   * failed is `RunEnded`.
   */
  readonly cancel: (runId: string, reason?: string) => Effect.Effect<void, RunError | RunEnded, Engine | R>
  /**
   * Sends a signal to a run, and starts the run if there is none of its id: both or nothing, whatever crashes. One that exists keeps the
   * input that it has, and is taken up here. A signal sent again under one id counts once; another one under that id is `SignalIdTaken`.
   * Fails with `RunEnded` where the run is over.
   */
  readonly signalWithStart: (
    input: I,
    options: SignalWithStartOptions,
  ) => Effect.Effect<RunHandle<A, E>, RunError | RunEnded | InvalidCommand | SignalIdTaken, Engine | Storage.NarrowPorts | R>
}

/** Which run is signalled, with what, and how it is started if it is not there. */
export interface SignalWithStartOptions extends Omit<RunOptions, "onIncompatible" | "onFailed"> {
  readonly runId: string
  /** Name of the signal. */
  readonly signal: string
  /** JSON that matches the schema of whoever waits for it. */
  readonly payload?: unknown
  readonly correlation?: string
  /** Of the signal; made up unless told. */
  readonly id?: string
}

/** What a workflow is declared with. */
export interface WorkflowOptions<S extends Codec.AnySchema> {
  readonly name: string
  /** Schema of the input: an Effect Schema or any Standard Schema. */
  readonly input: S
  /** A label of the code, kept with each run. */
  readonly version?: string
  /** Steps of one run in flight at once; 4 unless told. */
  readonly maxConcurrency?: number
}

/** A declared workflow, waiting for its steps. */
export interface Declared<S extends Codec.AnySchema> {
  /** Builds the workflow. Throws {@link InvalidWorkflow} where its parts do not fit together. */
  readonly build: <A, R, W = unknown, E = never>(
    write: ($: Builder.Builder<Codec.Output<S>>) => Builder.Node<A, R, W, E>,
  ) => Workflow<Codec.Input<S>, A, R | Codec.Services<S>, W, E>
}

const workflowKeys: ReadonlySet<string> = new Set(["name", "input", "version", "maxConcurrency"])

/** Declares a workflow. */
export const createWorkflow = <S extends Codec.AnySchema>(options: WorkflowOptions<S>): Declared<S> => ({
  build: (write) => {
    const { name, version, maxConcurrency } = options
    const refuse = (problem: string): never => {
      throw new InvalidWorkflow({ workflow: String(name), where: "createWorkflow", problem })
    }
    if (!isId(name)) refuse(`its name must be ${idRule}`)
    for (const key of Object.keys(options)) {
      if (!workflowKeys.has(key)) refuse(`it has no option "${key}"; there are ${[...workflowKeys].join(", ")}`)
    }
    if (!Codec.isSchema(options.input))
      refuse(`"input" must be an Effect Schema or a Standard Schema${Foreign.adviceOnSchema(options.input)}`)
    const { unstorable } = Codec.make(options.input)
    if (unstorable !== undefined) refuse(`"input": ${unstorable}`)
    if (version !== undefined && typeof version !== "string") refuse(`"version" must be a string`)
    const problem = maxConcurrency === undefined ? undefined : NodeOptions.countProblem("maxConcurrency", maxConcurrency)
    if (problem !== undefined) refuse(problem)
    const root = write(Builder.make(name))
    if (!Builder.isNode(root)) return refuse("build must return a node made by $")
    return fromPlan(options, root.plan)
  },
})

/** How a workflow's runs are begun and taken up: what the ways of running it have in common. */
export interface Runnable<R> {
  /** Of a run that exists, whose input stands with it. */
  readonly definition: Definition<R>
  /** Of a new run with this input, in its stored form. The name must be known here. */
  readonly begin: (
    input: Codec.Json | undefined,
    runId: string,
  ) => Effect.Effect<Begun<R>, InvalidInput | InvalidWorkflow | RenderFailed, R>
  /** What to call it in errors, where `definition` has no name. */
  readonly label: () => string
}

/** A definition that knows the name of its workflow. */
export interface Begun<R> extends Definition<R> {
  readonly name: string
}

/** The ways to run a workflow. */
export interface Runs<in I, out A, out R = never, out E = never>
  extends Pick<
    Workflow<I, A, R, unknown, E>,
    "execute" | "run" | "start" | "attach" | "poll" | "resume" | "cancel" | "signalWithStart"
  > {}

/** JSON itself where it is shorter than its digest would be. */
const shortened = (json: string): string => (json.length < 64 ? json : digest(json))

/**
 * Digest of what a caller gives as an input, which may be of the type of its schema and not JSON. What is neither JSON nor a date, a big number,
 * a collection, an instance of a schema's class or an object of such has none, and is compared by its stored form alone.
 */
const givenOf = (value: unknown): string | undefined => {
  if (value === undefined) return ""
  try {
    const copied = isTooDeep(value) ? undefined : toJson(told(value, 0))
    return copied !== undefined && Either.isRight(copied) ? shortened(canonical(copied.right)) : undefined
  } catch {
    // It cannot be read, or contains itself; the schema says so.
    return undefined
  }
}

/** A value with what is no JSON told in JSON, by kind. */
const told = (value: unknown, depth: number): unknown => {
  if (typeof value === "bigint") return { bigint: `${value}` }
  if (typeof value !== "object" || value === null) return value
  const inner = depth + 1
  // As deep as nothing is that could be stored.
  if (inner > 1000) throw new RangeError("it is too deep")
  if (Array.isArray(value)) return value.map((item) => told(item, inner))
  if (value instanceof Date) return { Date: value.getTime() }
  if (value instanceof Map || value instanceof Set) return { [value.constructor.name]: [...value].map((item) => told(item, inner)) }
  // What an instance of another class is need not show in its fields.
  if (!isPlainObject(value) && !Schema.isSchema(value.constructor)) throw new TypeError("it cannot be told from another")
  const fields = Object.entries(value).map(([key, item]) => [key, told(item, inner)] as const)
  return isPlainObject(value) ? Object.fromEntries(fields) : { [value.constructor?.name ?? "object"]: Object.fromEntries(fields) }
}

/** Reads the options of a run: callers without types pass what they were sent. */
const optionsOf = ({ tags, source, onIncompatible, onFailed }: RunOptions) =>
  Either.all({
    tags: Settings.texts("tags", tags),
    source: Settings.text("source", source),
    onIncompatible: Settings.word("onIncompatible", onIncompatible, ["fail", "rerun"]),
    onFailed: Settings.word("onFailed", onFailed, ends),
  })

/** What can be done where a run has ended. */
const ends = ["answer", "resume"] as const

/** Makes the ways to run a workflow. */
export const runs = <I, A, R, E = never>({ definition, begin, label }: Runnable<R>): Runs<I, A, R, E> => {
  const request = (value: unknown, given: RunOptions = {}) =>
    Effect.gen(function* () {
      const { tags, source, onIncompatible, onFailed } = yield* optionsOf(given)
      const runId = given.runId ?? (yield* generateRunId)
      if (!isId(runId) || isChildRunId(runId)) return yield* new InvalidRunId({ runId: String(runId) })
      const options = { reopen: onFailed === "resume" ? (["failed"] as const) : [], onIncompatible }
      const { origin } = yield* Engine
      const said = givenOf(value)
      const known = given.runId === undefined ? undefined : yield* Effect.orElseSucceed(origin(runId), () => undefined)
      if (known !== undefined && said !== undefined && known.given === said && isOf(known)) {
        // The same call once more. It is answered by what is stored, or goes on with it, whatever has become of the code.
        return [definition, RunRequest.join(runId, options)] as const
      }
      const refused = (issues: Codec.Issues) => new InvalidInput({ workflow: label(), issues })
      const stored = yield* Effect.suspend(() => definition.input.accept(value)).pipe(
        Effect.catchAllDefect((thrown) => Effect.fail([Codec.threw(thrown)])),
        Effect.mapError(refused),
      )
      const begun = yield* begin(stored, runId)
      const create = {
        workflow: begun.name,
        version: begun.version,
        input: stored,
        given: said,
        tags,
        source,
      }
      return [begun, RunRequest.start(runId, create, options)] as const
    }) as Effect.Effect<
      readonly [Definition<R>, RunRequest.RunRequest],
      InvalidInput | InvalidSetting | InvalidRunId | InvalidWorkflow | RenderFailed,
      Engine | R
    >
  /** Whether a run is of this workflow; of one whose name cannot be learned without a run it is taken to be. */
  const isOf = ({ workflow }: Origin): boolean => [workflow, unnamed].includes(definition.name ?? label())

  const execute: Runs<I, A, R, E>["execute"] = (value, given) =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const [begun, wanted] = yield* request(value, given)
      return yield* outputOf<A, E>(definition, yield* engine.join(begun, wanted))
    })

  const run: Runs<I, A, R, E>["run"] = (value, given) =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const [begun, wanted] = yield* request(value, given)
      return resultOf<A, E>(definition, yield* engine.joinUntilIdle(begun, wanted))
    })

  const cancel: Runs<I, A, R, E>["cancel"] = (runId, reason) => cancelOf(definition, runId, reason)

  const start: Runs<I, A, R, E>["start"] = (value, given) =>
    Effect.flatMap(request(value, given), ([begun, wanted]) => startOn<A, R, E>(begun, wanted))

  const signalWithStart: Runs<I, A, R, E>["signalWithStart"] = (value, given) =>
    Effect.gen(function* () {
      const [begun, { runId, create }] = yield* request(value, given)
      yield* create === undefined
        ? Commands.signal(runId, given.signal, given)
        : Commands.signalOrCreate(runId, given.signal, given, create)
      return yield* startOn<A, R, E>(begun, RunRequest.join(runId))
    })

  const resume: Runs<I, A, R, E>["resume"] = (runId, given = {}) =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const { onIncompatible } = yield* optionsOf(given)
      return yield* outputOf<A, E>(definition, yield* engine.join(definition, RunRequest.resume(runId, { onIncompatible })))
    })

  return {
    execute: Effect.fn("Workflow.execute")(execute),
    run: Effect.fn("Workflow.run")(run),
    start: Effect.fn("Workflow.start")(start),
    resume: Effect.fn("Workflow.resume")(resume),
    cancel: Effect.fn("Workflow.cancel")(cancel),
    signalWithStart: Effect.fn("Workflow.signalWithStart")(signalWithStart),
    attach: Effect.fn("Workflow.attach")((runId, options) => attach<A, R, E>(definition, runId, options)),
    poll: Effect.fn("Workflow.poll")((runId) => poll<A, R, E>(definition, runId)),
  }
}

const cancelOf = <R>(
  definition: Definition<R>,
  runId: string,
  reason: string | undefined,
): Effect.Effect<void, RunError | RunEnded, Engine | R> =>
  Effect.gen(function* () {
    const said = yield* Settings.text("reason", reason)
    yield* (yield* Engine).cancel(definition, runId, said)
  })

/** Leaves a run to the engine. */
const startOn = <A, R, E>(
  definition: Definition<R>,
  request: RunRequest.RunRequest,
): Effect.Effect<RunHandle<A, E>, never, Engine | Storage.NarrowPorts | R> =>
  Effect.gen(function* () {
    const { runId } = request
    const [engine, { reader, inbox }] = [yield* Engine, yield* Storage.runPorts]
    const log = { events: reader.events, changes: inbox.changes }
    const outside = Context.make(Inbox, inbox).pipe(Context.add(RunReader, reader))
    const context = yield* Effect.context<R>()
    const { settled, resting, commits } = yield* engine.start(definition, request)
    const eventsAfter = (afterSeq: number) => RunLog.follow(log, runId, { afterSeq, until: settled, commits })
    const handle: RunHandle<A, E> = {
      runId,
      await: Effect.flatMap(settled, (result) => outputOf<A, E>(definition, result)),
      result: Effect.map(settled, (result) => resultOf<A, E>(definition, result)),
      waiting: Effect.map(Effect.raceFirst(settled, resting), (result) => resultOf<A, E>(definition, result)),
      cancel: (reason) => Effect.provide(Effect.provideService(cancelOf(definition, runId, reason), Engine, engine), context),
      signal: (name, options) => Effect.provide(Commands.signal(runId, name, options), outside),
      cancelNode: (node, options) => Effect.provide(Commands.cancelNode(runId, node, options), outside),
      completeNode: (node, options) => Effect.provide(Commands.completeNode(runId, node, options), outside),
      events: eventsAfter(0),
      eventsAfter,
    }
    return handle
  })

/** Attaches to a run of a definition, as {@link Workflow.attach} does to one of a workflow. */
export const attach = <A, R, E = never>(
  definition: Definition<R>,
  runId: string,
  options: AttachOptions = {},
): Effect.Effect<RunHandle<A, E>, InvalidSetting, Engine | Storage.NarrowPorts | R> =>
  Effect.gen(function* () {
    const { onCancelled, ...others } = options
    const { onIncompatible, onFailed } = yield* optionsOf(others)
    const on = { failed: onFailed, cancelled: yield* Settings.word("onCancelled", onCancelled, ends) }
    const reopen = Status.ReopenableStatus.literals.filter((status) => on[status] === "resume")
    return yield* startOn<A, R, E>(definition, RunRequest.join(runId, { reopen, onIncompatible }))
  })

/** Looks at a run of this definition, and runs nothing. */
const poll = <A, R, E>(
  definition: Definition<R>,
  runId: string,
): Effect.Effect<Option.Option<RunResult<A, E>>, StoreError | RunNotFound | WorkflowMismatch, RunReader | RunStore | R> =>
  Effect.gen(function* () {
    const reader = yield* RunReader
    const { run } = yield* reader.run(runId)
    if (definition.name !== undefined && definition.name !== run.workflow)
      return yield* new WorkflowMismatch({ runId, workflow: definition.name, stored: run.workflow })
    if (Status.isEnded(run.status)) {
      const ended = yield* RunDriver.recall(yield* RunStore, definition, runId)
      return Option.map(Option.fromNullable(ended), (result) => resultOf<A, E>(definition, result))
    }
    if (run.status === "paused") return Option.some({ status: run.status, runId })
    if (!Status.isWaiting(run.status)) return Option.none()
    return Option.some({ status: run.status, runId, waits: yield* waitsOf(reader, runId) })
  })

/** What a run waits for, and what the child runs do that it waits for, as its result says it. */
const waitsOf = (reader: RunReaderShape, runId: string): Effect.Effect<ReadonlyArray<Waiting>, StoreError> =>
  Effect.gen(function* () {
    const found: Array<Waiting> = []
    for (let runIds = [runId]; runIds.length > 0; ) {
      const waits = yield* reader.waits({ runIds, isAnswered: false, limit: Number.MAX_SAFE_INTEGER })
      runIds = []
      for (const { runId: of, nodeId, iteration, kind, deadline, name } of waits) {
        const child = kind === "subflow" && name !== null ? name : undefined
        if (child !== undefined) runIds.push(child)
        const childRunId = child ?? (of === runId ? undefined : of)
        const place = { nodeId, iteration, kind, deadline: deadline ?? undefined }
        found.push(childRunId === undefined ? place : { ...place, childRunId })
      }
    }
    return found
  })

const fromPlan = <S extends Codec.AnySchema, A, R, W, E>(
  options: WorkflowOptions<S>,
  root: Plan.Node,
): Workflow<Codec.Input<S>, A, R, W, E> => {
  const { name, version, maxConcurrency } = options
  const plan = PlanLayout.make(name, root)
  const leaves = plan.nodes.filter(Plan.isLeaf)
  const definition: Begun<R> = {
    name,
    version,
    input: Codec.makeUnknown(options.input),
    planner: Lists.hasAny(plan) ? () => Lists.planner(name, root) : () => constant(plan),
    codecOf: (nodeId, table) => {
      const node = plan.find(nodeId)
      // What is made for an item has the table of what stands for it in the list.
      return Plan.isLeaf(node) ? node.codec : leaves.find((leaf) => leaf.table !== undefined && leaf.table === table)?.codec
    },
    errorOf: (nodeId) => Plan.errorOf(plan, nodeId),
    get tables() {
      return leaves.flatMap(({ id, table, codec }) =>
        table === undefined ? [] : [{ name: table, jsonSchema: codec.jsonSchema, nodeId: id }],
      )
    },
    maxConcurrency,
  }
  return { name, version, plan, definition, ...runs({ definition, begin: () => Effect.succeed(definition), label: () => name }) }
}

const constant = (plan: Plan.Plan): Planner => {
  const planned = Either.right(plan)
  return { plan: () => planned, observe: () => false }
}

/** The result of a run as its callers are given it: with the error that its step declares in place of the failure. */
const resultOf = <A, E>(definition: Pick<Definition<unknown>, "errorOf">, result: RunResult<unknown>): RunResult<A, E> => {
  const failure = result.status === "failed" && result.error._tag === "StepFailed" ? result.error : undefined
  const error = failure && DeclaredError.find(definition.errorOf?.(failure.nodeId), failure.error)
  // Outputs and errors were decoded with the schemas that the types come from.
  return (error === undefined ? result : { ...result, error, failure }) as RunResult<A, E>
}

const outputOf = <A, E>(
  definition: Pick<Definition<unknown>, "errorOf">,
  result: EndedResult<unknown>,
): Either.Either<A, RunFailure | RunCancelled | E> => toEither(resultOf<A, E>(definition, result) as EndedResult<A, E>)
