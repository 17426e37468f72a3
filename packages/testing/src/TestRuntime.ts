/**
 * A runtime for tests of workflows: a store in memory, a clock that skips idle time, and randomness from a seed. Available as a
 * layer for Effect programs ({@link layer}), and with promises for others ({@link make}).
 *
 * Time stands still between two calls. It passes while a test waits (`execute`, `run`, `handle.await`, `waitFor`): once nothing can
 * happen without it, it jumps to the next due time. Code of steps that works in real time is awaited.
 */
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { AgentRunner } from "@smithers/core/AgentRunner"
import * as Commands from "@smithers/core/Commands"
import * as Engine from "@smithers/core/Engine"
import { InvalidSetting, type RunNotFound, type StoreError } from "@smithers/core/Errors"
import type { LimitSettings } from "@smithers/core/Limits"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import type { RunReaderShape, WaitSummary } from "@smithers/core/RunReader"
import type { RunResult } from "@smithers/core/RunResult"
import { Sandboxes } from "@smithers/core/Sandboxes"
import * as Settings from "@smithers/core/Settings"
import type { Runtime } from "@smithers/core/Smithers"
import * as Status from "@smithers/core/Status"
import { type Ports, ports, type StorageShape } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import type { ExecuteError, RunHandle, RunOptions, Runs } from "@smithers/core/Workflow"
import { Worktrees } from "@smithers/core/Worktrees"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Directories from "./internal/directories.ts"
import * as Frames from "./internal/frames.ts"
import * as Instrument from "./internal/instrument.ts"
import * as Passage from "./internal/passage.ts"
import * as Trees from "./internal/trees.ts"
import * as Timeline from "./Timeline.ts"

/** Options of a test runtime. */
export interface TestRuntimeOptions {
  /** Seed of ids, jitter and all other randomness. Default: 1. */
  readonly seed?: number
  /** Initial time of the clock. Default: 2025-01-01T00:00:00Z. */
  readonly startAt?: Date | number
  /** Maximum number of running steps per run. Default: 4. */
  readonly maxConcurrency?: number
  /**
   * Real time to wait for code of a step that neither ends nor sleeps on the virtual clock, such as an unanswered request to a
   * server. After that, virtual time continues and timeouts expire. Default: 1 second.
   */
  readonly patience?: Duration.DurationInput
  /**
   * Real time to wait for the promise of an interrupted attempt, as for an engine. Short, so that a step which never ends does not
   * delay a test. Default: 50 milliseconds.
   */
  readonly grace?: Duration.DurationInput
  /** Limits that runs share, as for an engine. */
  readonly limits?: LimitSettings
}

/** Filter of waits. All given fields must match. */
export interface ExpectedWait {
  readonly nodeId?: string
  readonly kind?: WaitSummary["kind"]
  readonly iteration?: number
  /** Name of a signal. */
  readonly name?: string
  /** Correlation key of a signal. */
  readonly correlation?: string
}

const waitNames: Settings.Names<ExpectedWait> = { nodeId: true, kind: true, iteration: true, name: true, correlation: true }

/** A run never opened the wait that a test expects, and cannot continue or has ended. */
export class WaitNotReached extends Schema.TaggedError<WaitNotReached>()("WaitNotReached", {
  runId: Schema.String,
  expected: Schema.String,
  /** Status of the run; `undefined` if it does not exist. */
  status: Schema.optional(Schema.String),
  /** Its open waits. */
  open: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const { runId, expected, status, open } = this
    if (status === undefined) return `No run "${runId}" was started, so it cannot wait for ${expected}. Start it first.`
    const waits = open.length === 0 ? "for nothing" : `for ${open.join(", ")}`
    return `Run "${runId}" does not wait for ${expected}, and cannot reach it: its status is ${status}, and it waits ${waits}.`
  }
}

/** Actions of a test on runs. State ends with the layer. */
export interface TestRuntimeShape {
  /** Current time (epoch ms). */
  readonly now: Effect.Effect<number>
  /** Advances time, and runs everything that is due meanwhile. */
  readonly advance: (duration: Duration.DurationInput) => Effect.Effect<void>
  /** Runs everything that needs no time. */
  readonly settle: Effect.Effect<void>
  /**
   * Waits until a run has an open wait without a response: of this node, or matching the filter. Time passes meanwhile. Fails with
   * {@link WaitNotReached} once that is impossible.
   */
  readonly waitFor: (
    runId: string,
    wait?: string | ExpectedWait,
  ) => Effect.Effect<WaitSummary, WaitNotReached | StoreError | InvalidSetting>
  /** Waits until a run requests this approval, and approves. */
  readonly approve: (
    runId: string,
    nodeId: string,
    options?: Commands.ApproveOptions,
  ) => Effect.Effect<Commands.DecisionReceipt, Commands.CommandError | WaitNotReached>
  /** Waits until a run requests this approval, and denies it. */
  readonly deny: (
    runId: string,
    nodeId: string,
    options?: Commands.DecisionOptions,
  ) => Effect.Effect<Commands.DecisionReceipt, Commands.CommandError | WaitNotReached>
  /** Waits until a run opens this human task, and answers. */
  readonly answer: (
    runId: string,
    nodeId: string,
    value: unknown,
    options?: Omit<Commands.DecisionOptions, "note">,
  ) => Effect.Effect<Commands.DecisionReceipt, Commands.CommandError | WaitNotReached>
  /** Sends a signal. It is stored until a wait opens. */
  readonly signal: (runId: string, name: string, options?: Commands.SignalOptions) => Effect.Effect<void, Commands.CommandError>
  /** Returns the history of a run as text for snapshots. Equal histories have equal text. */
  readonly timeline: (runId: string) => Effect.Effect<string, StoreError | RunNotFound>
}

/** Service of a test runtime. */
export class TestRuntime extends Context.Tag("@smithers/testing/TestRuntime")<TestRuntime, TestRuntimeShape>() {}

/** Services that running workflows require, and that of the test. */
export type Services = Runtime | AgentRunner | TestRuntime

/** Default of `grace`. */
export const defaultGrace = "50 millis"

/** Default of `startAt`. */
export const defaultStart = Date.UTC(2025, 0, 1)

/** Makes an engine on a store in memory, which does not fail. */
const made = (options: Engine.EngineOptions) =>
  Effect.catchAll(Engine.make(options), (error) => (error._tag === "InvalidSetting" ? Effect.fail(error) : Effect.die(error)))

/** Creates an engine whose callers let time pass while they wait, and which knows its running steps. */
export const engineOn = (
  storage: StorageShape,
  passage: Passage.Passage,
  { around = (step) => step.run, atOnce, ...options }: Engine.EngineOptions & Partial<Instrument.Changes>,
): Effect.Effect<Engine.EngineShape, InvalidSetting, Scope.Scope> =>
  Effect.map(Effect.provide(made(options), ports(storage)), (engine) => {
    const changes = { around: Instrument.watching(passage, around), ...defined({ atOnce }) }
    const instrumented = <R>(definition: Parameters<typeof engine.join<R>>[0]) => Instrument.definition(definition, changes)
    return {
      ...engine,
      join: (definition, request) => passage.letting(engine.join(instrumented(definition), request)),
      joinUntilIdle: (definition, request) => passage.letting(engine.joinUntilIdle(instrumented(definition), request)),
      cancel: (definition, runId, reason) => passage.letting(engine.cancel(instrumented(definition), runId, reason)),
      start: (definition, request) =>
        Effect.map(engine.start(instrumented(definition), request), ({ settled, resting, commits }) => ({
          settled: passage.letting(settled),
          resting: passage.letting(resting),
          commits,
        })),
    }
  })

/** Creates the runner of agents. Calls that work in real time are awaited. */
export const agentsOf = (passage: Passage.Passage): AgentRunner["Type"] => ({
  run: (call) => passage.working(AgentProgram.run(call)),
})

/** Sets the clock, randomness and scheduler of a scope. */
export const settingOf = (passage: Passage.Passage, seed: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.zipRight(
    Effect.withClockScoped(passage.clock),
    Effect.zipRight(Effect.withRandomScoped(Random.make(seed)), Effect.locallyScoped(FiberRef.currentScheduler, passage.scheduler)),
  )

/** Creates the passage of time from options. */
export const passageOf = ({
  startAt = defaultStart,
  patience,
}: TestRuntimeOptions): Effect.Effect<Passage.Passage, InvalidSetting> =>
  Effect.gen(function* () {
    const patienceMs = yield* Settings.duration("patience", patience, "1 second")
    const start = yield* Either.mapLeft(
      Millis.instant(startAt),
      (received) => new InvalidSetting({ setting: "startAt", received, expected: "a Date or epoch milliseconds" }),
    )
    return Passage.make(start, patienceMs)
  })

/** The names of the settings of a runtime. */
export const optionNames: Settings.Names<TestRuntimeOptions> = {
  seed: true,
  startAt: true,
  maxConcurrency: true,
  patience: true,
  grace: true,
  limits: true,
}

/** Validates a seed. */
export const seedOf = (setting: string, value: unknown = 1): Either.Either<number, InvalidSetting> =>
  typeof value === "number" && Number.isSafeInteger(value)
    ? Either.right(value)
    : Either.left(new InvalidSetting({ setting, received: Millis.show(value), expected: "a whole number, such as 1" }))

const build = (options: TestRuntimeOptions): Effect.Effect<Context.Context<Services>, InvalidSetting, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Settings.only("TestRuntime", options, optionNames)
    const passage = yield* passageOf(options)
    yield* settingOf(passage, yield* seedOf("seed", options.seed))
    const disk = MemoryStorage.make()
    const frames = Frames.make()
    const storage: StorageShape = { ...disk, commit: (frame) => Effect.tap(disk.commit(frame), () => Effect.sync(frames.count)) }
    const engine = yield* engineOn(storage, passage, {
      grace: options.grace === undefined ? defaultGrace : options.grace,
      ...defined({ maxConcurrency: options.maxConcurrency, limits: options.limits }),
    })
    const base = ports(storage).pipe(
      Context.add(Engine.Engine, engine),
      Context.add(AgentRunner, agentsOf(passage)),
      Context.add(Worktrees, yield* Directories.make),
      Context.add(Sandboxes, yield* Trees.make),
    )
    return Context.add(base, TestRuntime, shapeOf(passage, storage, base, frames))
  })

const shapeOf = (
  passage: Passage.Passage,
  reader: RunReaderShape,
  context: Context.Context<Ports>,
  frames: Frames.Frames,
): TestRuntimeShape => {
  const reach = (runId: string, wanted: ExpectedWait): Effect.Effect<WaitSummary, WaitNotReached | StoreError> => {
    const look = Effect.gen(function* () {
      for (let isLast = false; ; ) {
        const seen = frames.counted()
        const open = yield* reader.waits({ runId, isAnswered: false, limit: Number.MAX_SAFE_INTEGER })
        const found = open.find((one) => fits(one, wanted))
        if (found !== undefined) return found
        const standing = yield* Effect.option(reader.run(runId))
        const status = Option.getOrUndefined(standing)?.run.status
        if (isLast || (status !== undefined && Status.isEnded(status)))
          return yield* new WaitNotReached({
            runId,
            expected: describe(wanted),
            open: open.map(describeWait),
            ...defined({ status }),
          })
        // Checks the latest state once more.
        isLast = yield* Effect.raceFirst(Effect.as(frames.after(seen), false), Effect.as(passage.stalled, true))
      }
    })
    return passage.letting(look)
  }
  const waitFor: TestRuntimeShape["waitFor"] = (runId, wait = {}) => {
    const wanted = typeof wait === "string" ? { nodeId: wait } : wait
    // Without this check an unknown field would match every wait.
    return Effect.zipRight(Settings.only("waitFor", wanted, waitNames), reach(runId, wanted))
  }
  const provided = <A, E>(effect: Effect.Effect<A, E, Ports>): Effect.Effect<A, E> => Effect.provide(effect, context)
  const once = (runId: string, nodeId: string, kind: "approval" | "human", { iteration }: Commands.DecisionOptions = {}) =>
    reach(runId, { nodeId, kind, ...defined({ iteration }) })
  return {
    now: Effect.sync(passage.now),
    advance: (duration) => Effect.suspend(() => passage.advance(Passage.millis(duration))),
    settle: passage.settle,
    waitFor,
    approve: (runId, nodeId, options) =>
      Effect.zipRight(once(runId, nodeId, "approval", options), provided(Commands.approve(runId, nodeId, options))),
    deny: (runId, nodeId, options) =>
      Effect.zipRight(once(runId, nodeId, "approval", options), provided(Commands.deny(runId, nodeId, options))),
    answer: (runId, nodeId, value, options) =>
      Effect.zipRight(once(runId, nodeId, "human", options), provided(Commands.answer(runId, nodeId, value, options))),
    // A run that was just started exists then.
    signal: (runId, name, options) =>
      Effect.zipRight(passage.settle, Effect.asVoid(provided(Commands.signal(runId, name, options)))),
    timeline: (runId) => provided(Timeline.timeline(runId)),
  }
}

const fits = (wait: WaitSummary, { nodeId, kind, iteration, name, correlation }: ExpectedWait): boolean =>
  (nodeId === undefined || wait.nodeId === nodeId) &&
  (kind === undefined ? wait.kind !== "retry" : wait.kind === kind) &&
  (iteration === undefined || wait.iteration === iteration) &&
  (name === undefined || wait.name === name) &&
  (correlation === undefined || wait.correlation === correlation)

const describe = ({ nodeId, kind, iteration, name, correlation }: ExpectedWait): string => {
  const parts = [
    kind ?? (nodeId === undefined && name === undefined ? "anything" : undefined),
    nodeId === undefined ? undefined : `"${nodeId}"`,
    iteration === undefined ? undefined : `(iteration ${iteration})`,
    name === undefined ? undefined : `named "${name}"`,
    correlation === undefined ? undefined : `of "${correlation}"`,
  ]
  return parts.filter((part) => part !== undefined).join(" ")
}

/** Formats a wait for errors. */
export const describeWait = ({ kind, nodeId, iteration, name }: WaitSummary): string =>
  `${kind} "${nodeId}"${iteration === 0 ? "" : ` (iteration ${iteration})`}${kind === "signal" && name !== null ? ` named "${name}"` : ""}`

/**
 * Creates a test runtime as a layer with everything that running workflows requires, in place of `Smithers.memory` or
 * `Smithers.sqlite`. It replaces the clock, including the `TestClock` of `it.effect`. Fails with `InvalidSetting` for an invalid
 * option.
 *
 * @example
 * ```ts
 * it.effect("asks before it publishes", () =>
 *   Effect.gen(function* () {
 *     const run = yield* Publish.start({ post: "p1" }, { runId: "r" })
 *     yield* TestRuntime.approve("r", "review")
 *     expect(yield* run.await).toBe("published")
 *   }).pipe(Effect.provide(TestRuntime.layer())),
 * )
 * ```
 */
export const layer = (options: TestRuntimeOptions = {}): Layer.Layer<Services, InvalidSetting> =>
  Layer.scopedContext(Effect.suspend(() => build(options)))

const runtime = <A, E>(use: (runtime: TestRuntimeShape) => Effect.Effect<A, E>): Effect.Effect<A, E, TestRuntime> =>
  Effect.flatMap(TestRuntime, use)

/** Current time of the runtime (epoch ms). */
export const now = runtime(({ now }) => now)

/** Advances time, and runs everything that is due meanwhile. */
export const advance = (duration: Duration.DurationInput) => runtime((test) => test.advance(duration))

/** Runs everything that needs no time. */
export const settle = runtime(({ settle }) => settle)

/** Waits until a run has an open wait. See {@link TestRuntimeShape.waitFor}. */
export const waitFor = (...args: Parameters<TestRuntimeShape["waitFor"]>) => runtime((test) => test.waitFor(...args))

/** Waits until a run requests this approval, and approves. */
export const approve = (...args: Parameters<TestRuntimeShape["approve"]>) => runtime((test) => test.approve(...args))

/** Waits until a run requests this approval, and denies it. */
export const deny = (...args: Parameters<TestRuntimeShape["deny"]>) => runtime((test) => test.deny(...args))

/** Waits until a run opens this human task, and answers. */
export const answer = (...args: Parameters<TestRuntimeShape["answer"]>) => runtime((test) => test.answer(...args))

/** Sends a signal. It is stored until a wait opens. */
export const signal = (...args: Parameters<TestRuntimeShape["signal"]>) => runtime((test) => test.signal(...args))

/** Returns the history of a run as text for snapshots. */
export const timeline = (...args: Parameters<TestRuntimeShape["timeline"]>) => runtime((test) => test.timeline(...args))

/** A run that a test has started. */
export interface TestRun<A> {
  readonly runId: string
  /** Waits for the output. Rejects with the error of the run. */
  readonly output: () => Promise<A>
  /** Waits until the run has ended. */
  readonly result: () => Promise<RunResult<A>>
  /** Waits until the run has ended or waits. Timers count as waits. */
  readonly waiting: () => Promise<RunResult<A>>
  readonly cancel: (reason?: string) => Promise<void>
}

/** Converts a function that returns an Effect to one that returns a promise. */
type Promised<F> = F extends (...args: infer Given) => Effect.Effect<infer A, infer _E> ? (...args: Given) => Promise<A> : never

/** Actions of a test on runs, with promises. */
type PromisedMethods = {
  readonly [Method in "advance" | "waitFor" | "approve" | "deny" | "answer" | "signal" | "timeline"]: Promised<
    TestRuntimeShape[Method]
  >
}

/** A test runtime with promises. Its methods reject with the tagged errors of their counterparts in {@link TestRuntimeShape}. */
export interface PromisedRuntime<R = never> extends PromisedMethods {
  /** Returns the current time (epoch ms). */
  readonly now: () => Promise<number>
  readonly settle: () => Promise<void>
  /** Runs a workflow to its end, and returns its output. */
  readonly execute: <I, A>(workflow: Runs<I, A, AgentRunner | R>, input: I, options?: RunOptions) => Promise<A>
  /** Runs a workflow until it has ended or waits, and returns its result. */
  readonly run: <I, A>(workflow: Runs<I, A, AgentRunner | R>, input: I, options?: RunOptions) => Promise<RunResult<A>>
  /** Starts, resumes or joins a run in the background. */
  readonly start: <I, A>(workflow: Runs<I, A, AgentRunner | R>, input: I, options?: RunOptions) => Promise<TestRun<A>>
  /** Runs an Effect with all services of the runtime. */
  readonly runPromise: <A, E>(effect: Effect.Effect<A, E, Services | R>) => Promise<A>
  /** Stops all work, and drops the state. */
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/** Options of {@link make}. */
export interface PromisedOptions<R, E> extends TestRuntimeOptions {
  /** Services that the steps of workflows require. */
  readonly layer?: Layer.Layer<R, E>
}

const isLayer = <R, E>(layer: Layer.Layer<R, E> | undefined): layer is Layer.Layer<R, E> => layer !== undefined

/**
 * Creates a test runtime with promises, for `bun test`, Vitest and any other runner. With an invalid option, its methods reject
 * with `InvalidSetting`. Close it after the test, or declare it with `await using`.
 *
 * @example
 * ```ts
 * test("asks before it publishes", async () => {
 *   await using runtime = TestRuntime.make()
 *   const run = await runtime.start(publish, { post: "p1" }, { runId: "r" })
 *   await runtime.approve("r", "review")
 *   expect(await run.output()).toBe("published")
 * })
 * ```
 */
export const make: {
  (options?: TestRuntimeOptions): PromisedRuntime
  <R, E>(options: PromisedOptions<R, E>): PromisedRuntime<R>
} = <R, E>({ layer: services, ...options }: PromisedOptions<R, E> = {}): PromisedRuntime<R> => promised(services, options)

const promised = <R, E>(services: Layer.Layer<R, E> | undefined, options: TestRuntimeOptions): PromisedRuntime<R> => {
  const base = layer(options)
  // Without a layer, no caller can name an `R`.
  const whole = isLayer(services) ? Layer.provideMerge(services, base) : (base as Layer.Layer<Services | R, E | InvalidSetting>)
  const managed = ManagedRuntime.make(whole)
  const runPromise = async <A, E2>(effect: Effect.Effect<A, E2, Services | R>): Promise<A> => {
    const exit = await managed.runPromiseExit(effect)
    if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
    return exit.value
  }
  const runOf = <A>({ runId, await: output, result, waiting, cancel }: RunHandle<A>): TestRun<A> => ({
    runId,
    output: () => runPromise<A, ExecuteError>(output),
    result: () => runPromise(result),
    waiting: () => runPromise(waiting),
    cancel: (reason) => runPromise(cancel(reason)),
  })
  return {
    now: () => runPromise(now),
    settle: () => runPromise(settle),
    advance: (...args) => runPromise(advance(...args)),
    waitFor: (...args) => runPromise(waitFor(...args)),
    approve: (...args) => runPromise(approve(...args)),
    deny: (...args) => runPromise(deny(...args)),
    answer: (...args) => runPromise(answer(...args)),
    signal: (...args) => runPromise(signal(...args)),
    timeline: (...args) => runPromise(timeline(...args)),
    execute: (workflow, input, options) => runPromise(workflow.execute(input, options)),
    run: (workflow, input, options) => runPromise(workflow.run(input, options)),
    start: async (workflow, input, options) => runOf(await runPromise(workflow.start(input, options))),
    runPromise,
    close: () => managed.dispose(),
    [Symbol.asyncDispose]: () => managed.dispose(),
  }
}
