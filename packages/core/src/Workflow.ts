/**
 * A built workflow: its plan, and the methods that run it. A workflow is a value; nothing is opened or started before a method
 * runs.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type * as Budget from "./Budget.ts"
import * as Builder from "./Builder.ts"
import * as Codec from "./Codec.ts"
import * as Commands from "./Commands.ts"
import * as DeclaredError from "./DeclaredError.ts"
import type { Definition, Planner } from "./Definition.ts"
import * as EffectVersion from "./EffectVersion.ts"
import type * as EndRun from "./EndRun.ts"
import { Engine, type EngineError, type Started } from "./Engine.ts"
import {
  type InvalidCommand,
  InvalidInput,
  InvalidRunId,
  type InvalidSetting,
  InvalidWorkflow,
  type NodeFailure,
  nodeFailureOf,
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
import type * as Fork from "./Fork.ts"
import { generateRunId, idRule, isDerivedRunId, isId, type NodeId } from "./Ids.ts"
import { Inbox } from "./Inbox.ts"
import * as Claims from "./internal/claims.ts"
import { digest } from "./internal/digest.ts"
import { canonical, isPlainObject, isTooDeep, toJson } from "./internal/json.ts"
import * as Lists from "./internal/lists.ts"
import * as Millis from "./Millis.ts"
import * as Names from "./Names.ts"
import * as NodeOptions from "./NodeOptions.ts"
import * as Plan from "./Plan.ts"
import * as PlanLayout from "./PlanLayout.ts"
import type * as Replay from "./Replay.ts"
import type * as Revert from "./Revert.ts"
import * as RunDriver from "./RunDriver.ts"
import * as RunLog from "./RunLog.ts"
import { type LoggedEvent, type Origin, RunReader, type RunReaderShape } from "./RunReader.ts"
import * as RunRequest from "./RunRequest.ts"
import { type EndedResult, type RunResult, toEither, type Waiting } from "./RunResult.ts"
import { RunStore } from "./RunStore.ts"
import * as Secrets from "./Secrets.ts"
import * as Settings from "./Settings.ts"
import * as Status from "./Status.ts"
import * as Storage from "./Storage.ts"
import { defined } from "./Struct.ts"

/** Options of a run, new or existing. */
export interface RunOptions {
  /** Id of the run to start; an existing run is resumed or joined. Default: a generated id. */
  readonly runId?: string
  /** Labels to find a new run by. Ignored for an existing run. */
  readonly tags?: ReadonlyArray<string>
  /**
   * Path of the workflow's file, such as `import.meta.filename` of its module. It is stored with a new run. Without it the command and supervisors
   * cannot resume the run by themselves. Default: none.
   */
  readonly source?: string
  /** Budget of the agents of a new run and of its child runs, besides that of the workflow. Ignored for an existing run. */
  readonly budget?: Budget.Options
  /**
   * Time in which a new run must finish, from now, or a `Date` by which it must. Time that it waits or that no process works on it counts. It
   * then ends as failed with `RunTimedOut`, once its sagas are undone. Also for a failed run that is resumed. Default: that of the workflow.
   */
  readonly deadline?: Deadline
  /**
   * Time at which a new run starts. Until then it waits for a timer, without a process; a supervisor resumes it. A duration of `deadline` counts
   * from then. Ignored for an existing run. Default: at once.
   */
  readonly startAt?: Date
  /** Duration after which a new run starts, instead of `startAt`. */
  readonly delay?: Millis.DurationLike
  readonly onIncompatible?: ResumeOptions["onIncompatible"]
  /**
   * Reaction to a failed run of this id. `"answer"` returns its failure. `"resume"` continues where it failed, with a fresh
   * budget for failed steps, and repeats compensated steps. Default: `"answer"`, so that a repeated call repeats nothing.
   */
  readonly onFailed?: "answer" | "resume"
}

/** A time by which a run must finish: a duration from now, or a `Date`. */
export type Deadline = Millis.DurationLike | Date

/** Options of resuming a run. */
export interface ResumeOptions {
  /** Time in which the run must finish, from now, or a `Date` by which it must. Default: the deadline that it has. */
  readonly deadline?: Deadline
  /** Reaction to finished steps whose outputs the current schemas reject: fail, or run them again. Default: `"fail"`. */
  readonly onIncompatible?: "fail" | "rerun"
}

/** Options of attaching to an existing run. */
export interface AttachOptions extends ResumeOptions {
  /** Reaction to a failed run. Default: `"answer"`, with its failure. */
  readonly onFailed?: "answer" | "resume"
  /** Reaction to a cancelled run: answer with that, or reopen it. Default: `"answer"`. */
  readonly onCancelled?: "answer" | "resume"
}

/** The errors of driving a run, as opposed to its result. */
export type RunError = EngineError | InvalidRunId | InvalidSetting

/**
 * All errors of `execute`, besides those that steps declare. A wait or a region fails with an error of its own, also in a workflow of components: a denied approval
 * is caught by `Effect.catchTag("ApprovalDenied", …)`.
 */
export type ExecuteError = RunError | RunFailure | NodeFailure | RunCancelled

/** A handle of a run that this engine or another process drives. */
export interface RunHandle<out A, out E = never> {
  readonly runId: string
  /** Waits for the output. Interrupting the wait does not stop the run. */
  readonly await: Effect.Effect<A, ExecuteError | E>
  /** Waits for the result of the run. */
  readonly result: Effect.Effect<RunResult<A, E>, RunError>
  /** Waits until the run has ended, is paused, or waits for something outside and can do nothing else. */
  readonly waiting: Effect.Effect<RunResult<A, E>, RunError>
  /** Cancels the run and waits until it has stopped. Cancelling a cancelled run does nothing. */
  readonly cancel: (reason?: string) => Effect.Effect<void, RunError | RunEnded>
  /** Sends a signal to the run, like `signal`. */
  readonly signal: (name: string, options?: Commands.SignalOptions) => Effect.Effect<void, Commands.CommandError>
  /** Leaves a scope, race or list of the run, like `cancelNode`. */
  readonly cancelNode: (node: string, options?: Commands.LeaveOptions) => Effect.Effect<void, Commands.CommandError>
  /** Leaves a scope, race or list of the run, like `completeNode`. */
  readonly completeNode: (node: string, options?: Commands.LeaveOptions) => Effect.Effect<void, Commands.CommandError>
  /** Streams the events of the run from the first one, as they are committed; ends with the run. */
  readonly events: Stream.Stream<LoggedEvent, RunError>
  /** Streams the events after this one, as they are committed; ends with the run. */
  readonly eventsAfter: (seq: number) => Stream.Stream<LoggedEvent, RunError>
}

declare const Written: unique symbol

/** The rows that the steps of a workflow write: a `Written` for each id, or for each output of components. */
export interface Writes<out W> {
  readonly [Written]?: W
}

/** The rows that a workflow writes. */
export type WrittenOf<W> = W extends { readonly [Written]?: infer A } ? A : never

/**
 * A workflow with input `I` and output `A`. Its steps need the services `R` and declare the errors `E`.
 *
 * Every method needs an engine on a store, which `Smithers.sqlite` and `Smithers.memory` provide. Interrupting the fiber of a
 * method suspends the run, which can be resumed; only `cancel` cancels it.
 */
export interface Workflow<in I, out A, out R = never, out W = unknown, out E = never> extends Writes<W>, Builder.Fails<E> {
  readonly name: string
  readonly version: string | undefined
  readonly plan: Plan.Plan
  readonly definition: Definition<R>
  /**
   * Runs the workflow and succeeds with its output. Idempotent by `runId`: an unknown id starts a run, a known one resumes or
   * joins it. A run that has ended answers with its stored output, its failure (unless `onFailed` resumes it), or
   * `RunCancelled`.
   */
  readonly execute: (input: I, options?: RunOptions) => Effect.Effect<A, ExecuteError | E, Engine | R>
  /** Like `execute`, but returns a result for a failed, cancelled, paused or waiting run too. */
  readonly run: (input: I, options?: RunOptions) => Effect.Effect<RunResult<A, E>, RunError, Engine | R>
  /** Starts, resumes or joins a run in the background of the engine. */
  readonly start: (
    input: I,
    options?: RunOptions,
  ) => Effect.Effect<
    RunHandle<A, E>,
    InvalidInput | InvalidSetting | InvalidRunId | InvalidWorkflow | RenderFailed,
    Engine | Storage.NarrowPorts | R
  >
  /**
   * Joins an existing run, or resumes it if it has no owner, in the background of the engine. A run that has ended answers with
   * its result, unless `onFailed` or `onCancelled` resumes it. If another process owns the run and stops, this one continues
   * it.
   */
  readonly attach: (
    runId: string,
    options?: AttachOptions,
  ) => Effect.Effect<RunHandle<A, E>, InvalidSetting, Engine | Storage.NarrowPorts | R>
  /** Reads the result of an existing run, without running anything. None while the run is driven, or could continue. */
  readonly poll: (
    runId: string,
  ) => Effect.Effect<Option.Option<RunResult<A, E>>, StoreError | RunNotFound | WorkflowMismatch, RunReader | RunStore | R>
  /**
   * Resumes an existing run with its stored input, and succeeds with its output. A failed run continues where it failed, and
   * repeats the steps that its sagas compensated. A cancelled run is reopened.
   */
  readonly resume: (runId: string, options?: ResumeOptions) => Effect.Effect<A, ExecuteError | E, Engine | R>
  /**
   * Cancels a run in any process, and waits until it has stopped. Cancelling a cancelled run does nothing. Fails with
   * `RunEnded` if it has finished or failed.
   */
  readonly cancel: (runId: string, reason?: string) => Effect.Effect<void, RunError | RunEnded, Engine | R>
  /**
   * Ends a run as cancelled at once, with its attached child runs, and tells what was not undone: for a run whose undoing hangs. Who
   * works on it stops without it, and callers that wait for it fail with `RunFenced`. Fails with `RunEnded` if it has finished or failed.
   */
  readonly forceCancel: (
    runId: string,
    reason?: string,
  ) => Effect.Effect<EndRun.ForcedEnd, RunError | RunEnded, Engine | Storage.NarrowPorts>
  /**
   * Makes a run that begins as a copy of another, as of one of its frames, and leaves it suspended: resume it. The original is not
   * changed, and may be at work or over. Returns what is kept, what runs again and who is asked again; with `dryRun` it changes
   * nothing. One transaction: a crash leaves the whole fork or none of it. With `files` the files of its tasks are restored after it, also if a
   * crash comes in between. Fails with `InvalidFork` or `NodeNotFound` if the run
   * has no such moment, and with `RunIdTaken` if another run has the id.
   */
  readonly fork: (runId: string, options?: Fork.ForkOptions) => Effect.Effect<Fork.Forked, Fork.ForkError, Fork.ForkPorts | R>
  /**
   * Takes a run back to before an attempt of a node, with its files where there is a snapshot, and leaves it suspended: `resume` it. Fails
   * with `RevertRefused` and a reason where that cannot be, for example while a process works on it.
   */
  readonly revert: (
    runId: string,
    options: Revert.RevertOptions,
  ) => Effect.Effect<Revert.Reverted, Revert.RevertError, Storage.NarrowPorts | R>
  /**
   * Tells whether the workflow, as it is now, would have changed a recorded run, and where. Runs and writes nothing; of the author's code it
   * calls only what a plan asks, such as conditions and prompts. Fails with `WorkflowMismatch` for a run of another workflow.
   */
  readonly replay: (
    runId: string,
  ) => Effect.Effect<Replay.ReplayReport, StoreError | RunNotFound | WorkflowMismatch, RunStore | RunReader | R>
  /**
   * Sends a signal to a run, and starts the run if it does not exist: both or nothing, even in a crash. An existing run keeps
   * its input and is resumed here. A second signal with the same id is ignored if it is equal; otherwise it fails with
   * `SignalIdTaken`. Fails with `RunEnded` if the run has ended. With `onFailed: "resume"` a failed run is resumed first; if it fails again
   * before it takes the signal, that is `RunEnded`, too.
   */
  readonly signalWithStart: (
    input: I,
    options: SignalWithStartOptions,
  ) => Effect.Effect<RunHandle<A, E>, RunError | RunEnded | InvalidCommand | SignalIdTaken, Engine | Storage.NarrowPorts | R>
}

/** Options of {@link Workflow.signalWithStart}. */
export interface SignalWithStartOptions extends RunOptions {
  readonly runId: string
  /** Name of the signal. */
  readonly signal: string
  /** JSON that matches the schema of the wait. */
  readonly payload?: unknown
  readonly correlation?: string
  /** Id of the signal. Default: a generated id. */
  readonly id?: string
}

/** Options of a workflow. */
export interface WorkflowOptions<S extends Codec.AnySchema> {
  readonly name: string
  /** Schema of the input: an Effect Schema or any Standard Schema. */
  readonly input: S
  /** A label of the code's version, stored with each run. */
  readonly version?: string
  /** Most attempts in flight, and attached child runs at work, of one run at once. Default: 4. */
  readonly maxConcurrency?: number
  /** Budget of the agents of each run, with its child runs. A crash or a resume does not refill it. Default: none. */
  readonly budget?: Budget.Options
  /** Time in which a run must finish, with its child runs; otherwise it ends as failed with `RunTimedOut`. Default: none. */
  readonly deadline?: Millis.DurationLike
  /**
   * `true` takes a snapshot of the workspace before and after each attempt, `false` takes none. Default: as the runtime says; by itself
   * that takes them around attempts of agents that can write, in a git work tree.
   */
  readonly snapshots?: boolean
}

/** A declared workflow, before its steps are built. */
export interface DeclaredWorkflow<S extends Codec.AnySchema> {
  /** Builds the workflow. Throws {@link InvalidWorkflow} if its parts do not fit together. */
  readonly build: <A, R, W = unknown, E = never>(
    write: ($: Builder.Builder<Codec.Output<S>, Codec.Input<S>>) => Builder.Node<A, R, W, E>,
  ) => Workflow<Codec.Input<S>, A, R | Codec.Services<S>, W, E>
}

const workflowKeys: ReadonlySet<string> = new Set(["name", "input", "version", "maxConcurrency", "budget", "deadline", "snapshots"])

/** Declares a workflow. */
export const createWorkflow = <S extends Codec.AnySchema>(options: WorkflowOptions<S>): DeclaredWorkflow<S> => ({
  build: (write) => {
    const { name, version, maxConcurrency, budget, deadline } = options
    const refuse = (problem: string): never => {
      throw new InvalidWorkflow({ workflow: String(name), where: "createWorkflow", problem })
    }
    if (!isId(name)) refuse(`its name must be ${idRule}`)
    const unknown = Names.problemOf(options, workflowKeys)
    if (unknown !== undefined) refuse(`it ${unknown}`)
    if (!Codec.isSchema(options.input))
      refuse(`"input" must be an Effect Schema or a Standard Schema${EffectVersion.adviceOnSchema(options.input)}`)
    const { unstorable } = Codec.make(options.input)
    if (unstorable !== undefined) refuse(`"input": ${unstorable}`)
    if (version !== undefined && typeof version !== "string") refuse(`"version" must be a string`)
    const problem = maxConcurrency === undefined ? undefined : NodeOptions.countProblem("maxConcurrency", maxConcurrency)
    if (problem !== undefined) refuse(problem)
    if (deadline !== undefined) Either.getOrElse(NodeOptions.deadline({ deadline }), refuse)
    if (!["undefined", "boolean"].includes(typeof options.snapshots)) refuse(`"snapshots" must be true or false`)
    const root = write(Builder.make(name))
    if (!Builder.isNode(root)) return refuse("build must return a node made by $")
    if (budget === undefined) return fromPlan(options, root.plan)
    const within = NodeOptions.budget("", [root.plan], budget)
    return fromPlan(
      options,
      Either.getOrElse(within, (problem) => refuse(`"budget" ${problem}`)),
    )
  },
})

/** The definition behind the methods of a workflow: for new runs and for existing ones. */
export interface Runnable<R> {
  /** Definition of an existing run, whose input is stored with it. */
  readonly definition: Definition<R>
  /** Definition of a new run with this encoded input. It has a name. */
  readonly begin: (
    input: Codec.Json | undefined,
    runId: string,
  ) => Effect.Effect<PreparedRun<R>, InvalidInput | InvalidWorkflow | RenderFailed, R>
  /** Name of the workflow in errors, if `definition` has none. */
  readonly label: () => string
}

/** A definition with a name. */
export interface PreparedRun<R> extends Definition<R> {
  readonly name: string
}

/** The methods that run a workflow. */
export interface Runs<in I, out A, out R = never, out E = never>
  extends Pick<
    Workflow<I, A, R, unknown, E>,
    | "execute"
    | "run"
    | "start"
    | "attach"
    | "poll"
    | "resume"
    | "cancel"
    | "forceCancel"
    | "revert"
    | "replay"
    | "signalWithStart"
    | "fork"
  > {}

/** Returns JSON itself if it is shorter than its digest. */
const shortened = (json: string): string => (json.length < 64 ? json : digest(json))

/**
 * Digest of the input as the caller passed it, which may be a value of its schema's type instead of JSON. Dates, bigints,
 * collections and instances of a schema's class have a digest too. Any other value has none and is compared by its encoded form
 * alone.
 */
const givenOf = (value: unknown): string | undefined => {
  if (value === undefined) return ""
  try {
    const copied = isTooDeep(value) ? undefined : toJson(told(value, 0))
    return copied !== undefined && Either.isRight(copied) ? shortened(canonical(copied.right)) : undefined
  } catch {
    // A value that cannot be read, or contains itself, is reported by the schema.
    return undefined
  }
}

/** Converts a value to JSON, tagging values that JSON lacks by their kind. */
const told = (value: unknown, depth: number): unknown => {
  if (typeof value === "bigint") return { bigint: `${value}` }
  if (typeof value !== "object" || value === null) return value
  const inner = depth + 1
  // Deeper than any value that could be stored.
  if (inner > 1000) throw new RangeError("it is too deep")
  if (Array.isArray(value)) return value.map((item) => told(item, inner))
  if (value instanceof Date) return { Date: value.getTime() }
  if (value instanceof Map || value instanceof Set) return { [value.constructor.name]: [...value].map((item) => told(item, inner)) }
  // An instance of another class may hide state outside its fields.
  if (!isPlainObject(value) && !Schema.isSchema(value.constructor)) throw new TypeError("it has no digest")
  const fields = Object.entries(value).map(([key, item]) => [key, told(item, inner)] as const)
  return isPlainObject(value) ? Object.fromEntries(fields) : { [value.constructor?.name ?? "object"]: Object.fromEntries(fields) }
}

const resumeNames: Settings.Names<ResumeOptions> = { onIncompatible: true, deadline: true }
const attachNames: Settings.Names<AttachOptions> = { ...resumeNames, onFailed: true, onCancelled: true }
/** The names of all options of a run. */
export const runNames: Settings.Names<RunOptions> = {
  runId: true,
  tags: true,
  source: true,
  budget: true,
  startAt: true,
  delay: true,
  onFailed: true,
  ...resumeNames,
}
const signalWithStartNames: Settings.Names<SignalWithStartOptions> = { ...runNames, ...Commands.signalNames, signal: true }

/** Validates the values of the options of a run, which may come from untyped code. */
const optionsOf = ({ tags, source, budget, onIncompatible, onFailed }: RunOptions) =>
  Either.all({
    tags: Settings.texts("tags", tags),
    source: Settings.text("source", source),
    budget: budget === undefined ? Either.right(undefined) : Settings.budget("budget", budget),
    onIncompatible: Settings.word("onIncompatible", onIncompatible, ["fail", "rerun"]),
    onFailed: Settings.word("onFailed", onFailed, ends),
  })

/** Reactions to a run that has ended. */
const ends = ["answer", "resume"] as const

/** Makes the methods that run a workflow. */
export const runs = <I, A, R, E = never>({ definition, begin, label }: Runnable<R>): Runs<I, A, R, E> => {
  const request = <O extends RunOptions>(method: string, names: Settings.Names<O>, value: unknown, runOptions: RunOptions = {}) =>
    Effect.gen(function* () {
      yield* Settings.only(method, runOptions, names)
      const { tags, source, budget, onIncompatible, onFailed } = yield* optionsOf(runOptions)
      const runId = runOptions.runId ?? (yield* generateRunId)
      if (!isId(runId) || isDerivedRunId(runId) || Secrets.problemIn(runId) !== undefined)
        return yield* new InvalidRunId({ runId: Secrets.text(String(runId)) })
      const now = yield* Millis.now
      const startAt = yield* Settings.startAt(runOptions, now)
      const deadline = yield* Settings.deadline("deadline", runOptions.deadline, startAt ?? now)
      const reopen = onFailed === "resume" ? (["failed"] as const) : []
      const options = { reopen, onIncompatible, deadline, isForReopened: true }
      const { origin } = yield* Engine
      const said = givenOf(value)
      const known = runOptions.runId === undefined ? undefined : yield* Effect.orElseSucceed(origin(runId), () => undefined)
      if (known !== undefined && said !== undefined && known.inputDigest === said && isOf(known)) {
        // A repeated call is answered from the store, or joins the run, even if the code has changed.
        return [definition, RunRequest.join(runId, options)] as const
      }
      const refused = (issues: Codec.Issues) => new InvalidInput({ workflow: label(), issues })
      const stored = yield* Effect.suspend(() => definition.input.encode(value)).pipe(
        Effect.catchAllDefect((thrown) => Effect.fail([Codec.thrownMessage(thrown)])),
        Effect.mapError(refused),
      )
      const found = Secrets.problemIn(stored)
      if (found !== undefined) return yield* new InvalidInput({ workflow: label(), issues: [found.problem], secret: found.secret })
      const begun = yield* begin(stored, runId)
      const create = {
        workflow: begun.name,
        version: begun.version,
        input: stored,
        inputDigest: said,
        tags,
        source,
        ...(budget === undefined ? {} : { budgets: Claims.ofRun(budget, runId) }),
        ...defined({ deadline, startAt }),
      }
      return [begun, RunRequest.start(runId, create, options)] as const
    }) as Effect.Effect<
      readonly [Definition<R>, RunRequest.RunRequest],
      InvalidInput | InvalidSetting | InvalidRunId | InvalidWorkflow | RenderFailed,
      Engine | R
    >
  /** Tells whether a run is of this workflow. True if its name cannot be learned without a run. */
  const isOf = ({ workflow }: Origin): boolean => [workflow, unnamed].includes(definition.name ?? label())

  const execute: Runs<I, A, R, E>["execute"] = (value, options) =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const [begun, wanted] = yield* request("execute", runNames, value, options)
      return yield* outputOf<A, E>(definition, yield* engine.join(begun, wanted))
    })

  const run: Runs<I, A, R, E>["run"] = (value, options) =>
    Effect.gen(function* () {
      const engine = yield* Engine
      const [begun, wanted] = yield* request("run", runNames, value, options)
      return resultOf<A, E>(definition, yield* engine.joinUntilIdle(begun, wanted))
    })

  const cancel: Runs<I, A, R, E>["cancel"] = (runId, reason) => cancelOf(definition, runId, reason)

  const start: Runs<I, A, R, E>["start"] = (value, options) =>
    Effect.flatMap(request("start", runNames, value, options), ([begun, wanted]) => startOn<A, R, E>(begun, wanted))

  const signalWithStart: Runs<I, A, R, E>["signalWithStart"] = (value, options) =>
    Effect.gen(function* () {
      const [begun, { runId, create, reopen, onIncompatible, deadline }] = yield* request(
        "signalWithStart",
        signalWithStartNames,
        value,
        options,
      )
      const { signal: name, payload, correlation, id } = options
      const content = defined({ payload, correlation, id })
      const signal = Commands.signal(runId, name, content)
      type Refusal = StoreError | RunNotFound | RunEnded | WorkflowMismatch | InvalidCommand | SignalIdTaken
      const sent: Either.Either<void, Refusal> =
        create === undefined
          ? yield* Effect.either(signal)
          : yield* Effect.either(Commands.signalOrCreate(runId, name, content, create))
      const ended = Either.isLeft(sent) ? sent.left : undefined
      const isReopened = ended?._tag === "RunEnded" && reopen.some((status) => status === ended.status)
      if (ended !== undefined && !isReopened) return yield* ended
      const { handle, started } = yield* startedOn<A, R, E>(
        begun,
        RunRequest.join(runId, { reopen, onIncompatible, deadline, isForReopened: true }),
      )
      if (isReopened) {
        // An ended run takes no signal; one that is resumed does.
        yield* Effect.raceFirst(started.commits(0), Effect.exit(started.settled))
        yield* signal
      }
      return handle
    })

  const resume: Runs<I, A, R, E>["resume"] = (runId, options = {}) =>
    Effect.gen(function* () {
      const engine = yield* Engine
      yield* Settings.only("resume", options, resumeNames)
      const { onIncompatible } = yield* optionsOf(options)
      const deadline = yield* Settings.deadline("deadline", options.deadline, yield* Millis.now)
      const wanted = RunRequest.resume(runId, { onIncompatible, deadline })
      return yield* outputOf<A, E>(definition, yield* engine.join(definition, wanted))
    })

  return {
    execute: Effect.fn("Workflow.execute")(execute),
    run: Effect.fn("Workflow.run")(run),
    start: Effect.fn("Workflow.start")(start),
    resume: Effect.fn("Workflow.resume")(resume),
    cancel: Effect.fn("Workflow.cancel")(cancel),
    forceCancel: Effect.fn("Workflow.forceCancel")(forceCancel),
    revert: Effect.fn("Workflow.revert")((runId, options) =>
      Effect.flatMap(loadRevert, ({ revert }) => revert(definition, runId, options)),
    ),
    replay: Effect.fn("Workflow.replay")((runId) => Effect.flatMap(loadReplay, ({ replay }) => replay(definition, runId))),
    signalWithStart: Effect.fn("Workflow.signalWithStart")(signalWithStart),
    attach: Effect.fn("Workflow.attach")((runId, options) => attach<A, R, E>(definition, runId, options)),
    poll: Effect.fn("Workflow.poll")((runId) => poll<A, R, E>(definition, runId)),
    fork: Effect.fn("Workflow.fork")((runId, options) => Effect.flatMap(loadFork, ({ fork }) => fork(definition, runId, options))),
  }
}

/** Modules that few runs need. They are loaded with their first use, so that a process gets to its first step sooner. */
const [loadRevert, loadReplay, loadFork, loadEndRun] = [
  Effect.promise(() => import("./Revert.ts")),
  Effect.promise(() => import("./Replay.ts")),
  Effect.promise(() => import("./Fork.ts")),
  Effect.promise(() => import("./EndRun.ts")),
]

const cancelOf = <R>(
  definition: Definition<R>,
  runId: string,
  reason: string | undefined,
): Effect.Effect<void, RunError | RunEnded, Engine | R> =>
  Effect.gen(function* () {
    const said = yield* Settings.text("reason", reason)
    yield* (yield* Engine).cancel(definition, runId, said)
  })

/** Ends a run by force, wherever it is worked on. */
export const forceCancel: Runs<never, unknown>["forceCancel"] = (runId, reason) =>
  Effect.gen(function* () {
    const engine = yield* Engine
    const said = yield* Settings.text("reason", reason)
    const { force } = yield* loadEndRun
    const ended = yield* force(runId, said)
    for (const each of [runId, ...ended.children]) yield* engine.fence(each)
    return ended
  })

/** Starts a run in the background of the engine. */
const startOn = <A, R, E>(
  definition: Definition<R>,
  request: RunRequest.RunRequest,
): Effect.Effect<RunHandle<A, E>, never, Engine | Storage.NarrowPorts | R> =>
  Effect.map(startedOn<A, R, E>(definition, request), ({ handle }) => handle)

/** Starts a run like {@link startOn}, and returns what the engine says of it, too. */
const startedOn = <A, R, E>(
  definition: Definition<R>,
  request: RunRequest.RunRequest,
): Effect.Effect<{ readonly handle: RunHandle<A, E>; readonly started: Started }, never, Engine | Storage.NarrowPorts | R> =>
  Effect.gen(function* () {
    const { runId } = request
    const [engine, { reader, inbox }] = [yield* Engine, yield* Storage.runPorts]
    const log = { events: reader.events, changes: inbox.changes }
    const outside = Context.make(Inbox, inbox).pipe(Context.add(RunReader, reader))
    const context = yield* Effect.context<R>()
    const started = yield* engine.start(definition, request)
    const { settled, resting, commits } = started
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
    return { handle, started }
  })

/** Attaches to a run of a definition, like {@link Workflow.attach}. */
export const attach = <A, R, E = never>(
  definition: Definition<R>,
  runId: string,
  options: AttachOptions = {},
): Effect.Effect<RunHandle<A, E>, InvalidSetting, Engine | Storage.NarrowPorts | R> =>
  Effect.gen(function* () {
    yield* Settings.only("attach", options, attachNames)
    const { onCancelled, ...others } = options
    const { onIncompatible, onFailed } = yield* optionsOf(others)
    const on = { failed: onFailed, cancelled: yield* Settings.word("onCancelled", onCancelled, ends) }
    const reopen = Status.ReopenableStatus.literals.filter((status) => on[status] === "resume")
    const deadline = yield* Settings.deadline("deadline", options.deadline, yield* Millis.now)
    return yield* startOn<A, R, E>(definition, RunRequest.join(runId, { reopen, onIncompatible, deadline }))
  })

/** Reads the result of a run of this definition, without running anything. */
const poll = <A, R, E>(
  definition: Definition<R>,
  given: string,
): Effect.Effect<Option.Option<RunResult<A, E>>, StoreError | RunNotFound | WorkflowMismatch, RunReader | RunStore | R> =>
  Effect.gen(function* () {
    const reader = yield* RunReader
    const runId = yield* reader.newest(given)
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

/** The open waits of a run, with those of its child runs in place of the waits for them. */
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
        const summary = { nodeId, iteration, kind, deadline: deadline ?? undefined }
        found.push(childRunId === undefined ? summary : { ...summary, childRunId })
      }
    }
    return found
  })

const fromPlan = <S extends Codec.AnySchema, A, R, W, E>(
  options: WorkflowOptions<S>,
  root: Plan.Node,
): Workflow<Codec.Input<S>, A, R, W, E> => {
  const { name, version, maxConcurrency, deadline } = options
  const plan = PlanLayout.make(name, root)
  const leaves = plan.nodes.filter(Plan.isLeaf)
  /** Tells whether a node is the template of one node per item. */
  const isTemplate = (nodeId: NodeId): boolean => {
    for (let up = plan.positions.get(nodeId) ?? -1; up >= 0; up = up < plan.size ? plan.parent(up) : -1) {
      const node = plan.node(up)
      if (node._tag === "ForEach" && node.source !== undefined) return true
    }
    return false
  }
  const definition: PreparedRun<R> = {
    name,
    version,
    input: Codec.makeUnknown(options.input),
    planner: Lists.hasAny(plan) ? () => Lists.planner(name, root) : () => constant(plan),
    codecOf: (nodeId, table) => {
      const node = plan.find(nodeId)
      // A node made for an item has the table of its template.
      return Plan.isLeaf(node) ? node.codec : leaves.find((leaf) => leaf.table !== undefined && leaf.table === table)?.codec
    },
    errorOf: (nodeId) => Plan.errorOf(plan, nodeId),
    get tables() {
      return leaves.flatMap(({ id, table, codec }) =>
        table === undefined ? [] : [{ name: table, jsonSchema: codec.jsonSchema, nodeId: isTemplate(id) ? undefined : id }],
      )
    },
    maxConcurrency,
    snapshots: options.snapshots,
    ...defined({ deadlineMs: Either.getOrThrow(NodeOptions.deadline({ deadline })) }),
  }
  return { name, version, plan, definition, ...runs({ definition, begin: () => Effect.succeed(definition), label: () => name }) }
}

const constant = (plan: Plan.Plan): Planner => {
  const planned = Either.right(plan)
  return { plan: () => planned, observe: () => false }
}

/** The result of a run for its callers, with the declared error in place of the failure. */
const resultOf = <A, E>(definition: Pick<Definition<unknown>, "errorOf">, result: RunResult<unknown>): RunResult<A, E> => {
  const failure = result.status === "failed" && result.error._tag === "StepFailed" ? result.error : undefined
  const error = failure && DeclaredError.find(definition.errorOf?.(failure.nodeId), failure.error)
  // Outputs and errors were decoded with the schemas that the types come from.
  return (error === undefined ? result : { ...result, error, failure }) as RunResult<A, E>
}

/** The output of a run, or its error: where a wait or a region has failed, that failure in place of the `StepFailed` that is stored. */
const outputOf = <A, E>(
  definition: Pick<Definition<unknown>, "errorOf">,
  result: EndedResult<unknown>,
): Either.Either<A, RunFailure | NodeFailure | RunCancelled | E> => {
  // Its outputs and errors have the types of the definition.
  const told = resultOf<A, E>(definition, result) as EndedResult<A, E>
  const failure = result.status === "failed" && result.error._tag === "StepFailed" ? nodeFailureOf(result.error) : undefined
  return failure === undefined ? toEither(told) : Either.left(failure)
}
