/**
 * A runtime for tests of workflows: a store in memory, a clock that passes over idle time at once, and everything random from a seed. As a
 * layer for programs written with Effect ({@link layer}), and with promises for all others ({@link make}).
 *
 * Time stands still between two calls. It passes while a test waits for something (`execute`, `run`, `handle.await`, `waitFor`): once nothing
 * more can happen without it, it goes on to whatever is due next. Code of steps that works in real time is waited for.
 */
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { AgentRunner } from "@smithers/core/AgentRunner"
import * as Commands from "@smithers/core/Commands"
import * as Engine from "@smithers/core/Engine"
import { InvalidSetting, type RunNotFound, type StoreError } from "@smithers/core/Errors"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import type { RunReaderShape, WaitSummary } from "@smithers/core/RunReader"
import type { RunResult } from "@smithers/core/RunResult"
import * as Settings from "@smithers/core/Settings"
import type { Runtime } from "@smithers/core/Smithers"
import * as Status from "@smithers/core/Status"
import { type Ports, ports, type StorageShape } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import type { ExecuteError, RunHandle, RunOptions, Runs } from "@smithers/core/Workflow"
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
import * as Frames from "./internal/frames.ts"
import * as Instrument from "./internal/instrument.ts"
import * as Passage from "./internal/passage.ts"
import * as Timeline from "./Timeline.ts"

/** Settings of a runtime for tests. */
export interface TestRuntimeOptions {
  /** What ids, jitter and everything else random follow from. Default: 1. */
  readonly seed?: number
  /** The time at which the clock stands first. Default: 2025-01-01T00:00:00Z. */
  readonly startAt?: Date | number
  /** Steps of one run in flight at once. Default: 4. */
  readonly maxConcurrency?: number
  /**
   * How long (in real time) code of a step is waited for that neither ends nor sleeps by the clock of the runtime, such as a request that a
   * server does not answer. Then time goes on, and timeouts come. Default: 1 second.
   */
  readonly patience?: Duration.DurationInput
  /**
   * How long (in real time) the promise of an interrupted attempt is waited for, as the option of an engine. Default: 50 milliseconds, so that
   * a step which never ends keeps no test waiting.
   */
  readonly grace?: Duration.DurationInput
}

/** Which wait a test looks for. All that is given has to fit. */
export interface WantedWait {
  readonly nodeId?: string
  readonly kind?: WaitSummary["kind"]
  readonly iteration?: number
  /** Of a signal. */
  readonly name?: string
  /** Of a signal. */
  readonly correlation?: string
}

/** A run never came to wait for what a test expects, and nothing of it can go on, or it has ended. */
export class WaitNotReached extends Schema.TaggedError<WaitNotReached>()("WaitNotReached", {
  runId: Schema.String,
  wanted: Schema.String,
  /** How the run is shown; absent where there is none of this id. */
  status: Schema.optional(Schema.String),
  /** What it does wait for. */
  open: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const { runId, wanted, status, open } = this
    if (status === undefined) return `No run "${runId}" was started, so that it cannot wait for ${wanted}. Start it before.`
    const waits = open.length === 0 ? "for nothing" : `for ${open.join(", ")}`
    return `Run "${runId}" does not wait for ${wanted}, and never will by itself: it is ${status}, and waits ${waits}.`
  }
}

/** What a test does with runs. Nothing here outlives the layer. */
export interface TestRuntimeShape {
  /** The time (epoch ms). */
  readonly now: Effect.Effect<number>
  /** Lets time pass, with all that is due meanwhile. */
  readonly advance: (duration: Duration.DurationInput) => Effect.Effect<void>
  /** Lets everything happen that needs no time. */
  readonly settle: Effect.Effect<void>
  /**
   * Waits until a run waits for something from outside that nobody has said yet: at this node, or whatever fits. Time passes meanwhile. Fails with
   * {@link WaitNotReached} where that cannot come any more.
   */
  readonly waitFor: (runId: string, wait?: string | WantedWait) => Effect.Effect<WaitSummary, WaitNotReached | StoreError>
  /** Waits until a run asks for this approval, and approves. */
  readonly approve: (
    runId: string,
    nodeId: string,
    options?: Commands.DecisionOptions,
  ) => Effect.Effect<Commands.DecisionReceipt, Commands.CommandError | WaitNotReached>
  /** Waits until a run asks for this approval, and denies it. */
  readonly deny: (
    runId: string,
    nodeId: string,
    options?: Commands.DecisionOptions,
  ) => Effect.Effect<Commands.DecisionReceipt, Commands.CommandError | WaitNotReached>
  /** Waits until a run asks a person this, and answers. */
  readonly answer: (
    runId: string,
    nodeId: string,
    value: unknown,
    options?: Omit<Commands.DecisionOptions, "note">,
  ) => Effect.Effect<Commands.DecisionReceipt, Commands.CommandError | WaitNotReached>
  /** Sends a signal. One that nobody waits for yet is kept. */
  readonly signal: (runId: string, name: string, options?: Commands.SignalOptions) => Effect.Effect<void, Commands.CommandError>
  /** What has happened to a run, as text that is the same for the same history: for snapshots. */
  readonly timeline: (runId: string) => Effect.Effect<string, StoreError | RunNotFound>
}

/** A runtime for tests. */
export class TestRuntime extends Context.Tag("@smithers/testing/TestRuntime")<TestRuntime, TestRuntimeShape>() {}

/** All that running workflows needs, with what a test does beside. */
export type Services = Runtime | AgentRunner | TestRuntime

/** The default of `grace`. */
export const defaultGrace = "50 millis"

/** The default of `startAt`. */
export const defaultStart = Date.UTC(2025, 0, 1)

/** An engine whose callers let time pass while they wait, and whose steps are known while they are at work. */
export const engineOn = (
  storage: StorageShape,
  passage: Passage.Passage,
  { around = (step) => step.run, atOnce, ...options }: Engine.EngineOptions & Partial<Instrument.Changes>,
): Effect.Effect<Engine.EngineShape, InvalidSetting, Scope.Scope> =>
  Effect.map(Effect.provide(Engine.make(options), ports(storage)), (engine) => {
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

/** Asks agents as everywhere; what they work in real time is waited for. */
export const agentsOf = (passage: Passage.Passage): AgentRunner["Type"] => ({
  run: (call) => passage.working(AgentProgram.run(call)),
})

/** Sets clock, randomness and scheduler for as long as the scope. */
export const settingOf = (passage: Passage.Passage, seed: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.zipRight(
    Effect.withClockScoped(passage.clock),
    Effect.zipRight(Effect.withRandomScoped(Random.make(seed)), Effect.locallyScoped(FiberRef.currentScheduler, passage.scheduler)),
  )

/** The passage of time of a runtime, by its options. */
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

/** Reads a seed. */
export const seedOf = (setting: string, given: unknown = 1): Either.Either<number, InvalidSetting> =>
  typeof given === "number" && Number.isSafeInteger(given)
    ? Either.right(given)
    : Either.left(new InvalidSetting({ setting, received: Millis.show(given), expected: "a whole number, such as 1" }))

const build = (options: TestRuntimeOptions): Effect.Effect<Context.Context<Services>, InvalidSetting, Scope.Scope> =>
  Effect.gen(function* () {
    const passage = yield* passageOf(options)
    yield* settingOf(passage, yield* seedOf("seed", options.seed))
    const disk = MemoryStorage.make()
    const frames = Frames.make()
    const storage: StorageShape = { ...disk, commit: (frame) => Effect.tap(disk.commit(frame), () => Effect.sync(frames.count)) }
    const engine = yield* engineOn(storage, passage, {
      grace: options.grace ?? defaultGrace,
      ...defined({ maxConcurrency: options.maxConcurrency }),
    })
    const base = ports(storage).pipe(Context.add(Engine.Engine, engine), Context.add(AgentRunner, agentsOf(passage)))
    return Context.add(base, TestRuntime, shapeOf(passage, storage, base, frames))
  })

const shapeOf = (
  passage: Passage.Passage,
  reader: RunReaderShape,
  context: Context.Context<Ports>,
  frames: Frames.Frames,
): TestRuntimeShape => {
  const waitFor: TestRuntimeShape["waitFor"] = (runId, wait = {}) => {
    const wanted = typeof wait === "string" ? { nodeId: wait } : wait
    const look = Effect.gen(function* () {
      for (let isLast = false; ; ) {
        const seen = frames.counted()
        const open = yield* reader.waits({ runId, isAnswered: false, limit: Number.MAX_SAFE_INTEGER })
        const found = open.find((one) => fits(one, wanted))
        if (found !== undefined) return found
        const standing = yield* Effect.option(reader.run(runId))
        const status = Option.getOrUndefined(standing)?.run.status
        if (isLast || (status !== undefined && Status.isEnded(status)))
          return yield* new WaitNotReached({ runId, wanted: say(wanted), open: open.map(sayWait), ...defined({ status }) })
        // What came last is looked at once more.
        isLast = yield* Effect.raceFirst(Effect.as(frames.after(seen), false), Effect.as(passage.stalled, true))
      }
    })
    return passage.letting(look)
  }
  const given = <A, E>(effect: Effect.Effect<A, E, Ports>): Effect.Effect<A, E> => Effect.provide(effect, context)
  const once = (runId: string, nodeId: string, kind: "approval" | "human", { iteration }: Commands.DecisionOptions = {}) =>
    waitFor(runId, { nodeId, kind, ...defined({ iteration }) })
  return {
    now: Effect.sync(passage.now),
    advance: (duration) => Effect.suspend(() => passage.advance(Passage.millis(duration))),
    settle: passage.settle,
    waitFor,
    approve: (runId, nodeId, options) =>
      Effect.zipRight(once(runId, nodeId, "approval", options), given(Commands.approve(runId, nodeId, options))),
    deny: (runId, nodeId, options) =>
      Effect.zipRight(once(runId, nodeId, "approval", options), given(Commands.deny(runId, nodeId, options))),
    answer: (runId, nodeId, value, options) =>
      Effect.zipRight(once(runId, nodeId, "human", options), given(Commands.answer(runId, nodeId, value, options))),
    // A run that was just started is there then.
    signal: (runId, name, options) => Effect.zipRight(passage.settle, Effect.asVoid(given(Commands.signal(runId, name, options)))),
    timeline: (runId) => given(Timeline.timeline(runId)),
  }
}

const fits = (wait: WaitSummary, { nodeId, kind, iteration, name, correlation }: WantedWait): boolean =>
  (nodeId === undefined || wait.nodeId === nodeId) &&
  (kind === undefined ? wait.kind !== "retry" : wait.kind === kind) &&
  (iteration === undefined || wait.iteration === iteration) &&
  (name === undefined || wait.name === name) &&
  (correlation === undefined || wait.correlation === correlation)

const say = ({ nodeId, kind, iteration, name, correlation }: WantedWait): string => {
  const parts = [
    kind ?? (nodeId === undefined && name === undefined ? "anything" : undefined),
    nodeId === undefined ? undefined : `"${nodeId}"`,
    iteration === undefined ? undefined : `(iteration ${iteration})`,
    name === undefined ? undefined : `named "${name}"`,
    correlation === undefined ? undefined : `of "${correlation}"`,
  ]
  return parts.filter((part) => part !== undefined).join(" ")
}

/** A wait as errors name it. */
export const sayWait = ({ kind, nodeId, iteration, name }: WaitSummary): string =>
  `${kind} "${nodeId}"${iteration === 0 ? "" : ` (iteration ${iteration})`}${kind === "signal" && name !== null ? ` named "${name}"` : ""}`

/**
 * A runtime for tests as a layer, with all that running workflows needs: in place of `Smithers.memory` or `Smithers.sqlite`. It replaces the clock, also
 * the `TestClock` of `it.effect`. Fails with `InvalidSetting` where an option is none.
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

/** The time of the runtime (epoch ms). */
export const now = runtime(({ now }) => now)

/** Lets time pass, with all that is due meanwhile. */
export const advance = (duration: Duration.DurationInput) => runtime((test) => test.advance(duration))

/** Lets everything happen that needs no time. */
export const settle = runtime(({ settle }) => settle)

/** Waits until a run waits for something from outside, as {@link TestRuntimeShape.waitFor} does. */
export const waitFor = (...given: Parameters<TestRuntimeShape["waitFor"]>) => runtime((test) => test.waitFor(...given))

/** Waits until a run asks for this approval, and approves. */
export const approve = (...given: Parameters<TestRuntimeShape["approve"]>) => runtime((test) => test.approve(...given))

/** Waits until a run asks for this approval, and denies it. */
export const deny = (...given: Parameters<TestRuntimeShape["deny"]>) => runtime((test) => test.deny(...given))

/** Waits until a run asks a person this, and answers. */
export const answer = (...given: Parameters<TestRuntimeShape["answer"]>) => runtime((test) => test.answer(...given))

/** Sends a signal. One that nobody waits for yet is kept. */
export const signal = (...given: Parameters<TestRuntimeShape["signal"]>) => runtime((test) => test.signal(...given))

/** What has happened to a run, as text for snapshots. */
export const timeline = (...given: Parameters<TestRuntimeShape["timeline"]>) => runtime((test) => test.timeline(...given))

/** A run that a test has started. */
export interface TestRun<A> {
  readonly runId: string
  /** Waits for the output. Rejects with the error that the run ends with. */
  readonly output: () => Promise<A>
  /** Waits until the run has ended. */
  readonly result: () => Promise<RunResult<A>>
  /** Waits until nothing of the run can go on by itself; timers count as waits. */
  readonly waiting: () => Promise<RunResult<A>>
  readonly cancel: (reason?: string) => Promise<void>
}

/** A function with promises for one that gives an Effect. */
type Promised<F> = F extends (...given: infer Given) => Effect.Effect<infer A, infer _E> ? (...given: Given) => Promise<A> : never

/** What a test does with runs, with promises. */
type PromisedMethods = {
  readonly [Method in "advance" | "waitFor" | "approve" | "deny" | "answer" | "signal" | "timeline"]: Promised<
    TestRuntimeShape[Method]
  >
}

/** A runtime for tests with promises. Its methods reject with the tagged errors that their counterparts of {@link TestRuntimeShape} fail with. */
export interface PromisedRuntime<R = never> extends PromisedMethods {
  /** The time (epoch ms). */
  readonly now: () => Promise<number>
  readonly settle: () => Promise<void>
  /** Runs a workflow to its end, and gives its output. */
  readonly execute: <I, A>(workflow: Runs<I, A, AgentRunner | R>, input: I, options?: RunOptions) => Promise<A>
  /** Runs a workflow until it has ended or waits for something, and gives how it stands. */
  readonly run: <I, A>(workflow: Runs<I, A, AgentRunner | R>, input: I, options?: RunOptions) => Promise<RunResult<A>>
  /** Starts, resumes or joins a run, and leaves it to the runtime. */
  readonly start: <I, A>(workflow: Runs<I, A, AgentRunner | R>, input: I, options?: RunOptions) => Promise<TestRun<A>>
  /** Runs an Effect with all services of the runtime. */
  readonly runPromise: <A, E>(effect: Effect.Effect<A, E, Services | R>) => Promise<A>
  /** Stops what is at work, and forgets everything. */
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/** How a runtime with promises is made. */
export interface PromisedOptions<R, E> extends TestRuntimeOptions {
  /** Services that the steps of workflows ask for. */
  readonly layer?: Layer.Layer<R, E>
}

const isLayer = <R, E>(given: Layer.Layer<R, E> | undefined): given is Layer.Layer<R, E> => given !== undefined

/**
 * Makes a runtime for tests with promises, for `bun test`, Vitest and any other runner. Where an option is none, its methods reject with
 * `InvalidSetting`. Close it when the test is over, or declare it with `await using`.
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
  // Without services of its own nobody can name an `R`.
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
    advance: (...given) => runPromise(advance(...given)),
    waitFor: (...given) => runPromise(waitFor(...given)),
    approve: (...given) => runPromise(approve(...given)),
    deny: (...given) => runPromise(deny(...given)),
    answer: (...given) => runPromise(answer(...given)),
    signal: (...given) => runPromise(signal(...given)),
    timeline: (...given) => runPromise(timeline(...given)),
    execute: (workflow, input, given) => runPromise(workflow.execute(input, given)),
    run: (workflow, input, given) => runPromise(workflow.run(input, given)),
    start: async (workflow, input, given) => runOf(await runPromise(workflow.start(input, given))),
    runPromise,
    close: () => managed.dispose(),
    [Symbol.asyncDispose]: () => managed.dispose(),
  }
}
