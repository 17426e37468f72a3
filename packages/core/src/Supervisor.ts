/**
 * Resumes runs that have no owner and can continue: the owner died, a timer is due, a wait has ended, or a command arrived. It
 * polls when the store changes, when the next deadline comes, and at intervals for dead owners. Several supervisors may watch
 * one store: each run is claimed by one. A {@link Worker} defines how a run is driven: in this process with the workflows of a
 * registry, or in separate processes as the command line does.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Definition } from "./Definition.ts"
import * as EndRun from "./EndRun.ts"
import { Engine, type EngineError } from "./Engine.ts"
import {
  CrashLoop,
  InvalidSetting,
  InvalidWorkflow,
  RunDefect,
  type RunFenced,
  type RunNotFound,
  type StoreError,
} from "./Errors.ts"
import { Inbox } from "./Inbox.ts"
import * as Jumps from "./internal/jumps.ts"
import { liveClock } from "./internal/liveClock.ts"
import * as VersionSignal from "./internal/versionSignal.ts"
import * as Metrics from "./Metrics.ts"
import * as Millis from "./Millis.ts"
import type * as Plan from "./Plan.ts"
import { type Exclusion, type RunnableRun, RunOwnership } from "./RunOwnership.ts"
import * as RunRequest from "./RunRequest.ts"
import { RunStore } from "./RunStore.ts"
import * as ScheduleCommands from "./ScheduleCommands.ts"
import { Schedules, type Tick } from "./Schedules.ts"
import * as Settings from "./Settings.ts"
import { isEnded, type ResultStatus } from "./Status.ts"
import * as Thrown from "./Thrown.ts"

/** A workflow in a registry. */
export interface Registered<R> {
  readonly name: string
  readonly definition: Definition<R>
  /** Set if the plan is constant. */
  readonly plan?: Plan.Plan
}

/** The workflows that a supervisor can run, by name. Made by {@link registry}. */
export interface Registry<out R = never> {
  readonly names: ReadonlyArray<string>
  readonly find: (name: string) => Definition<R> | undefined
}

/**
 * Collects workflows, and the ones they start as child runs if their plans are constant. Throws {@link InvalidWorkflow} if two
 * have one name.
 */
export const registry = <R = never>(workflows: ReadonlyArray<Registered<R>>): Registry<R> => {
  const byName = new Map<string, Definition<R>>()
  for (const { name, definition } of workflows) {
    const other = byName.get(name)
    if (other !== undefined)
      throw new InvalidWorkflow({ workflow: name, where: "registry", problem: "two workflows have this name" })
    byName.set(name, definition)
  }
  const addChildren = (plan: Plan.Plan | undefined): void => {
    for (const node of plan?.nodes ?? []) {
      if (node._tag !== "Wait" || node.target.kind !== "subflow" || byName.has(node.target.child.name)) continue
      // The definition is read first: it reports a function that returns no workflow.
      const { definition, name, plan: inner } = node.target.child
      // The services of a child are among those of its parent.
      byName.set(name, definition as Definition<R>)
      addChildren(inner)
    }
  }
  for (const { plan } of workflows) addChildren(plan)
  return { names: [...byName.keys()], find: (name) => byName.get(name) }
}

/**
 * The result of driving a run: its status, `suspended` if it can continue, or `lost` if it does not exist or another process
 * owns it.
 */
export type RunOutcome = ResultStatus | "suspended" | "lost"

/** A job: the effect that drives a run. */
export interface Job<out E, out R> {
  /** Drives the run. Its failure is recorded as the reason the run is stuck (`Stuck`) and retried later; it never ends the run. */
  readonly work: Effect.Effect<RunOutcome, E | StoreError, R>
  /** External state that the job depends on, as text. A run that could not be driven is retried soon after it changes. */
  readonly stamp?: Effect.Effect<string>
}

/**
 * `Right`: the job that drives the run. `Left`: runs or workflows to exclude from later polls, since no code for them is known
 * here.
 */
export type Assignment<E, R> = Either.Either<Job<E, R>, Exclusion>

/** Makes the job of a run. The job is interrupted when the supervisor stops, and must have released the run by then. */
export type Worker<E, R> = (due: RunnableRun) => Effect.Effect<Assignment<E, R>, StoreError, R>

/** An error of a {@link Worker}. */
export interface WorkerError {
  readonly _tag: string
  readonly message: string
}

/** Options of every supervisor. */
export interface SupervisorSettings {
  /**
   * Interval of polls for runs whose owner has died, which changes nothing in the store. Default: 5 seconds; under a test clock
   * a day, since that clock may skip time.
   */
  readonly interval?: Duration.DurationInput
  /** Most runs driven at once. Default: 16. */
  readonly maxConcurrent?: number
  /**
   * Most processes in a row that may die before a run makes progress; then it ends as failed (`CrashLoop`). The store counts
   * them, across supervisors. Nothing else ends a run: code that does not load or fit is retried. Default: 5.
   */
  readonly maxCrashes?: number
}

/** Options of a supervisor with a registry. */
export interface SupervisorOptions<R> extends SupervisorSettings {
  readonly registry: Registry<R>
}

const optionNames: Settings.Names<SupervisorOptions<unknown>> = {
  registry: true,
  interval: true,
  maxConcurrent: true,
  maxCrashes: true,
}

/** Options of a supervisor with its own worker. */
export interface WorkerOptions<E, R> extends SupervisorSettings {
  readonly worker: Worker<E, R>
  /** Receives each action as it happens. */
  readonly report: (action: Action<E>) => Effect.Effect<void>
  /**
   * `true` if the runs share this process, so that one that kills it takes the others down. Runs whose processes died twice
   * before progress are then started one at a time. Default: false.
   */
  readonly isShared?: boolean
  /** Time to collect changes before a poll, useful if runs in other processes change the store constantly. Default: none. */
  readonly gather?: Duration.DurationInput
}

/** An action of a supervisor on a run. */
export type Action<E = EngineError> =
  | { readonly _tag: "Resumed"; readonly runId: string; readonly workflow: string }
  | {
      readonly _tag: "Settled"
      readonly runId: string
      readonly workflow: string
      readonly status: Exclude<RunOutcome, "lost">
    }
  /** The run could not be driven or ended. It is retried after a pause that doubles each time, up to five minutes. */
  | {
      readonly _tag: "Refused"
      readonly runId: string
      readonly workflow: string
      readonly error: E | RunDefect | StoreError | RunNotFound | RunFenced
      readonly retryAt: number
    }
  /** `maxCrashes` processes in a row died before the run made progress. It was ended as failed. */
  | { readonly _tag: "CrashLoop"; readonly runId: string; readonly workflow: string; readonly failure: CrashLoop }
  /** A tick of a schedule was made: its run was created, or the reason that it was not. */
  | { readonly _tag: "Fired"; readonly runId: string | null; readonly workflow: string; readonly tick: Tick }
  /** No code is known here for this run, or for its workflow. Reported once, for the first of the excluded runs. */
  | { readonly _tag: "Unknown"; readonly runId: string; readonly workflow: string }

/** A supervisor with any worker. */
export interface Poller<out E> {
  /** Polls once and returns the runs it started to drive, without waiting for their results. */
  readonly poll: Effect.Effect<ReadonlyArray<Action<E>>, StoreError>
}

/**
 * Resumes runs that have no owner and can continue. It keeps no state but pauses: after a crash the next supervisor resumes its
 * runs, and of several supervisors one claims each run.
 */
export interface SupervisorShape extends Poller<EngineError> {
  /** The last hundred actions, then each as it happens; ends with the supervisor. */
  readonly actions: Stream.Stream<Action>
}

/** Resumes runs that have no owner and can continue. */
export class Supervisor extends Context.Tag("@smithers/core/Supervisor")<Supervisor, SupervisorShape>() {}

/** Actions kept for later subscribers: the first happen before anyone can subscribe. */
const rememberedActions = 100

/** First and longest pause after a run could not be driven (ms). */
const firstPauseMs = 1000
const longestPauseMs = 300_000

/**
 * Deaths in a row after which a run is suspected of killing its process, and the interval at which its progress is checked
 * (ms).
 */
const suspectedAfter = 2
const proofMs = 100

/** Longest stored reason of a stuck run, in characters. */
const longestReason = 2000

/** A pause of a run before the next try. */
interface Pause {
  readonly times: number
  /** Time of the first pause in a row. */
  readonly first: Millis.Millis
  /** Monotonic time, so that setting the clock neither ends nor prolongs it. */
  readonly since: number
  readonly until: number
  /** Stamp of the job when it began, and the effect that reads the current one. */
  readonly before: string | undefined
  readonly stamp: Effect.Effect<string> | undefined
}

/** Validates the options. */
const read = ({ interval, maxConcurrent, maxCrashes, gather }: SupervisorSettings & Pick<WorkerOptions<never, never>, "gather">) =>
  Either.all({
    intervalMs: Settings.duration("interval", interval, "5 seconds"),
    maxConcurrent: Settings.count("maxConcurrent", maxConcurrent, 16),
    maxCrashes: Settings.count("maxCrashes", maxCrashes, 5),
    gatherMs: Settings.duration("gather", gather, "0 seconds", Millis.zero),
  })

/** A run that was released, with its mark before. */
interface Let {
  readonly revision: string
  readonly at: number
}

/** Drives runs, and remembers those that made no progress. */
const makeWorkers = <E extends WorkerError>(maxCrashes: number, report: WorkerOptions<E, never>["report"]) =>
  Effect.gen(function* () {
    const [store, ownership, inbox] = [yield* RunStore, yield* RunOwnership, yield* Inbox]
    const ending = Context.make(RunStore, store).pipe(Context.add(RunOwnership, ownership), Context.add(Inbox, inbox))
    const pauses = new Map<string, Pause>()
    const lets = new Map<string, Let>()

    /** Pauses a run, longer each time. */
    const pauseFor = (runId: string, seen: Pick<Pause, "before" | "stamp"> = unseen) =>
      Effect.gen(function* () {
        const before = pauses.get(runId)
        const times = (before?.times ?? 0) + 1
        const jitter = yield* Random.nextRange(0.8, 1.2)
        const pauseMs = Math.ceil(Math.min(firstPauseMs * 2 ** (times - 1), longestPauseMs) * jitter)
        const [now, since] = [yield* Millis.now, yield* Millis.steady]
        const pause = { times, first: before?.first ?? now, since, until: since + pauseMs, ...seen }
        pauses.set(runId, pause)
        return { ...pause, now, retryAt: Millis.after(now, Millis.make(pauseMs)) }
      })

    const refuse = (
      { runId, workflow }: RunnableRun,
      error: Extract<Action<E>, { readonly _tag: "Refused" }>["error"],
      seen?: Pick<Pause, "before" | "stamp">,
    ) =>
      Effect.gen(function* () {
        const { first, now, times: failureCount, retryAt } = yield* pauseFor(runId, seen)
        const reason = { name: error._tag, message: error.message.slice(0, longestReason) }
        // The report follows even if the note cannot be stored.
        yield* Effect.ignore(ownership.noteStuck(runId, { since: first, failureCount, retryAt, error: reason }, now))
        yield* report({ _tag: "Refused", runId, workflow, error, retryAt })
      })

    /** Ends a run whose process dies under each claim. If that fails, it is retried after a pause. */
    const giveUp = (due: RunnableRun): Effect.Effect<void> => {
      const { runId, workflow, crashes } = due
      const failure = new CrashLoop({ runId, interruptions: crashes })
      return Effect.matchEffect(Effect.provide(EndRun.fail(runId, failure), ending), {
        onFailure: (problem) => refuse(due, problem),
        onSuccess: (isEnded) => {
          if (!isEnded) return Effect.asVoid(pauseFor(runId))
          pauses.delete(runId)
          return report({ _tag: "CrashLoop", runId, workflow, failure })
        },
      })
    }

    const isHopeless = ({ crashes }: RunnableRun): boolean => crashes >= maxCrashes

    /** Drives a run until it is released. */
    const runJob = <R>(due: RunnableRun, { work, stamp }: Job<E, R>): Effect.Effect<void, never, R> => {
      const { runId, workflow } = due
      if (isHopeless(due)) return giveUp(due)
      const settle = Effect.gen(function* () {
        const before = stamp === undefined ? undefined : yield* stamp
        const died = (defect: unknown) =>
          Effect.fail(new RunDefect({ runId, error: { ...Thrown.describe(defect), retryable: false } }))
        const safely: Effect.Effect<RunOutcome, E | StoreError | RunDefect, R> = Effect.catchAllDefect(work, died)
        const ended = yield* Effect.either(safely)
        if (Either.isLeft(ended)) return yield* refuse(due, ended.left, { before, stamp })
        const status = ended.right
        // Scores stay due if the code has their scorers no longer: the run is then looked at ever more rarely.
        if (isEnded(status) && due.hasEnded !== true) pauses.delete(runId)
        else lets.set(runId, { revision: due.revision, at: yield* Millis.steady })
        if (status !== "lost") yield* report({ _tag: "Settled", runId, workflow, status })
      })
      const begin = Effect.suspend(() => {
        Metrics.runsSupervised.unsafeUpdate(1, Metrics.tagged(workflow))
        return report({ _tag: "Resumed", runId, workflow })
      })
      // Even after a bug of the supervisor, a run without progress is not polled again at once.
      return Effect.catchAllCause(Effect.zipRight(begin, settle), (cause) =>
        Effect.zipRight(pauseFor(runId), Effect.logError(`run ${runId} could not be supervised`, cause)),
      )
    }

    /** Current pauses. An old one belongs to a run that another process has resumed meanwhile. */
    const resting = (steady: number): Effect.Effect<ReadonlyArray<{ readonly runId: string; readonly leftMs: number }>> =>
      Effect.gen(function* () {
        for (const [runId, { since, until, before, stamp }] of pauses) {
          if (until + longestPauseMs < steady) pauses.delete(runId)
          // A stamp that changes all the time causes retries no more often than this.
          if (stamp === undefined || steady < since + firstPauseMs || until <= steady) continue
          if ((yield* stamp) !== before) pauses.delete(runId)
        }
        for (const [runId, { at }] of lets) if (at + 2 * longestPauseMs < steady) lets.delete(runId)
        return [...pauses].flatMap(([runId, { until }]) => (until > steady ? [{ runId, leftMs: until - steady }] : []))
      })
    /**
     * Tells whether a run made no progress since it was last released. It is then paused, longer each time, so that it is never
     * resumed in a tight loop.
     */
    const isSpinning = ({ runId, revision }: RunnableRun): Effect.Effect<boolean> =>
      Effect.gen(function* () {
        const before = lets.get(runId)
        lets.delete(runId)
        if (before?.revision === revision) return yield* Effect.as(pauseFor(runId), true)
        if (before !== undefined) pauses.delete(runId)
        return false
      })
    return { isHopeless, runJob, resting, isSpinning }
  })

const unseen = { before: undefined, stamp: undefined }

type Fired = Extract<Action<never>, { readonly _tag: "Fired" }>

const unfired: { readonly actions: ReadonlyArray<Fired>; readonly nextAt: number | undefined } = { actions: [], nextAt: undefined }

/** Fires the schedules that are due, and reports each tick. */
const fireDue = (
  schedules: Schedules["Type"],
  report: (action: Fired) => Effect.Effect<void>,
  now: Millis.Millis,
): Effect.Effect<typeof unfired, StoreError> =>
  Effect.gen(function* () {
    const { ticks, nextAt } = yield* ScheduleCommands.fire(schedules, now)
    const actions = ticks.map(({ workflow, ...tick }): Fired => ({ _tag: "Fired", runId: tick.runId, workflow, tick }))
    yield* Effect.forEach(actions, report, { discard: true })
    return { actions, nextAt }
  })

/** Drives every run that can continue now, some at a time, and waits until all are released. */
export const once = <E extends WorkerError, R>(
  options: WorkerOptions<E, R>,
): Effect.Effect<void, StoreError | InvalidSetting, RunStore | RunOwnership | Inbox | Schedules | R> =>
  Effect.gen(function* () {
    const { worker, report } = options
    const { maxConcurrent, maxCrashes } = yield* read(options)
    const { runJob } = yield* makeWorkers(maxCrashes, report)
    yield* (yield* Inbox).deliverPublished(yield* Millis.now)
    yield* fireDue(yield* Schedules, report, yield* Millis.now)
    const { runs } = yield* (yield* RunOwnership).runnable(yield* Millis.now)
    const take = (due: RunnableRun) =>
      Effect.flatMap(
        worker(due),
        Either.match({
          onLeft: () => report({ _tag: "Unknown", runId: due.runId, workflow: due.workflow }),
          onRight: (task) => runJob(due, task),
        }),
      )
    yield* Effect.forEach(runs, take, { concurrency: maxConcurrent, discard: true })
  })

/** Supervises with a worker until the scope closes. Running jobs are interrupted then. */
export const makeWith = <E extends WorkerError, R>(
  options: WorkerOptions<E, R>,
): Effect.Effect<Poller<E>, InvalidSetting, RunStore | RunOwnership | Inbox | Schedules | Scope.Scope | R> =>
  Effect.gen(function* () {
    const [store, ownership, inbox] = [yield* RunStore, yield* RunOwnership, yield* Inbox]
    const schedules = yield* Schedules
    const { worker, report, isShared = false } = options
    const { intervalMs, maxConcurrent, maxCrashes, gatherMs } = yield* read(options)
    const isLive = (yield* Effect.clock) === liveClock
    const lookMs = options.interval === undefined && !isLive ? Jumps.longestMs : intervalMs
    const working = yield* FiberMap.make<string>()
    /** The run that is driven alone because its processes died, until it makes progress. */
    let suspect: string | undefined
    const unknown = { workflows: new Set<string>(), runIds: new Set<string>() }
    const { isHopeless, runJob, resting, isSpinning } = yield* makeWorkers(maxCrashes, report)

    /** Signals that a run was released: there may be room, or a pause to keep. */
    const ended = VersionSignal.make()
    let count = 0
    const letGo = (): void => {
      count++
      ended.bump()
    }

    /** Drives a suspect run alone: other suspects wait until it commits a frame or is released. */
    const alone = <A, E2, R2>({ runId }: RunnableRun, work: Effect.Effect<A, E2, R2>): Effect.Effect<A, E2, R2> => {
      const clear = Effect.sync(() => {
        if (suspect !== runId) return
        suspect = undefined
        letGo()
      })
      const frame = Effect.map(store.load(runId), (state) => state.frame)
      const proved = Effect.flatMap(frame, (before) =>
        Effect.repeat(Effect.zipRight(Effect.sleep(proofMs), frame), { until: (now) => now > before }),
      )
      // A read that fails now is repeated when the job ends.
      const watched = Effect.zipRight(Effect.ignore(proved), clear)
      return Effect.scoped(Effect.zipRight(Effect.forkScoped(watched), Effect.ensuring(work, clear)))
    }

    /** Starts to drive runs that can continue. Returns them, and the time until the next poll if nothing happens. */
    const poll = Effect.gen(function* () {
      const [now, began] = [yield* Millis.now, yield* Millis.steady]
      const taken: Array<Action<E>> = []
      const pauses = yield* resting(began)
      // Runs that cannot be driven here must not fill the limited page of the store.
      const leaveOut = {
        workflows: [...unknown.workflows],
        runIds: [...unknown.runIds, ...[...working].map(([runId]) => runId), ...pauses.map(({ runId }) => runId)],
      }
      // Before the runs, among which those of the ticks then are. A schedule that the store refuses must not keep runs from being resumed.
      const fired = yield* Effect.catchAll(fireDue(schedules, report, now), (error) =>
        Effect.as(Effect.logWarning(`schedules could not be fired: ${error.message}`), unfired),
      )
      taken.push(...fired.actions)
      // One whose publisher or whose taker died before it was handed over.
      yield* Effect.catchAll(inbox.deliverPublished(now), (error) =>
        Effect.logWarning(`published events could not be delivered: ${error.message}`),
      )
      const { runs, nextAt } = yield* ownership.runnable(now, leaveOut)
      const firstAt = Math.min(nextAt ?? Number.POSITIVE_INFINITY, fired.nextAt ?? Number.POSITIVE_INFINITY)
      let waitMs = Math.min(lookMs, firstAt - now, ...pauses.map(({ leftMs }) => leftMs))
      // The likeliest suspect comes first, which clears the others soonest.
      for (const due of isShared ? runs.toSorted((left, right) => right.crashes - left.crashes) : runs) {
        const { runId, workflow, crashes } = due
        if (FiberMap.unsafeHas(working, runId) || unknown.workflows.has(workflow)) continue
        const isSuspect = isShared && crashes >= suspectedAfter && !isHopeless(due)
        if (isSuspect && suspect !== undefined) continue
        if (yield* isSpinning(due)) {
          waitMs = 0
          continue
        }
        const work = yield* worker(due)
        if (Either.isLeft(work)) {
          for (const name of work.left.workflows ?? []) unknown.workflows.add(name)
          for (const id of work.left.runIds ?? []) unknown.runIds.add(id)
          waitMs = 0
          const action = { _tag: "Unknown", runId, workflow } as const
          yield* report(action)
          taken.push(action)
          continue
        }
        if ((yield* FiberMap.size(working)) >= maxConcurrent) break
        if (isSuspect) suspect = runId
        const fiber = yield* FiberMap.run(working, runId, isSuspect ? alone(due, runJob(due, work.right)) : runJob(due, work.right))
        fiber.addObserver(letGo)
        if (!isHopeless(due)) taken.push({ _tag: "Resumed", runId, workflow })
      }
      return { taken, waitMs: waitMs - ((yield* Millis.steady) - began) }
    })

    const watch = Effect.gen(function* () {
      for (let version = -1; ; ) {
        const seen = count
        const { waitMs } = yield* poll
        const idle = Effect.raceFirst(ended.after(seen), Jumps.pause(waitMs))
        version = yield* Effect.raceFirst(inbox.changes(version), Effect.as(idle, version))
        // Changes that arrive together are handled by one poll.
        yield* gatherMs === 0 ? Effect.yieldNow() : Effect.sleep(gatherMs)
      }
    })
    yield* watch.pipe(
      Effect.catchAllCause((cause) => Effect.logWarning("the store could not be looked at", cause)),
      Effect.zipRight(Effect.sleep(firstPauseMs)),
      Effect.forever,
      Effect.forkScoped,
    )
    const services = yield* Effect.context<R>()
    return {
      poll: Effect.provide(
        Effect.map(poll, ({ taken }) => taken),
        services,
      ),
    }
  })

/** Drives runs in this process, with the workflows of a registry. */
const inProcess = <R>(registry: Registry<R>): Effect.Effect<Worker<EngineError, R>, never, Engine> =>
  Effect.map(Engine, (engine) => ({ runId, workflow }) => {
    const definition = registry.find(workflow)
    if (definition === undefined) return Effect.succeed(Either.left({ workflows: [workflow] }))
    const joined = Effect.map(engine.joinUntilIdle(definition, RunRequest.claim(runId)), ({ status }): RunOutcome => status)
    // Another process claimed it first, or it does not exist.
    const lost = () => Effect.succeed<RunOutcome>("lost")
    return Effect.succeed(Either.right({ work: Effect.catchTags(joined, { RunFenced: lost, RunNotFound: lost }) }))
  })

const log = (action: Action): Effect.Effect<void> => {
  switch (action._tag) {
    case "Refused":
      return Effect.logWarning(`run ${action.runId} of "${action.workflow}" could not be resumed: ${action.error.message}`)
    case "CrashLoop":
      return Effect.logError(action.failure.message)
    case "Fired":
      return action.tick.outcome === "refused" ? Effect.logError(action.tick.detail ?? "") : Effect.void
    case "Unknown":
      return Effect.logWarning(`no workflow "${action.workflow}" is registered; its runs are left alone`)
    default:
      return Effect.void
  }
}

/** Detects workflows that an untyped caller passed in place of a registry. */
const isRegistry = (value: unknown): boolean =>
  typeof Thrown.get(value, "find") === "function" && Array.isArray(Thrown.get(value, "names"))

/** Supervises until the scope closes. Runs that it drives then are suspended, and can be resumed. */
export const make = <R>(
  options: SupervisorOptions<R>,
): Effect.Effect<SupervisorShape, InvalidSetting, Engine | RunStore | RunOwnership | Inbox | Schedules | Scope.Scope | R> =>
  Effect.gen(function* () {
    yield* Settings.only("Smithers.supervisor", options, optionNames)
    if (!isRegistry(options.registry)) {
      const expected = "what Smithers.registry gives"
      return yield* new InvalidSetting({ setting: "registry", received: Millis.show(options.registry), expected })
    }
    const actions = yield* Effect.acquireRelease(PubSub.unbounded<Action>({ replay: rememberedActions }), PubSub.shutdown)
    const report = (action: Action) => Effect.zipRight(PubSub.publish(actions, action), log(action))
    const { poll } = yield* makeWith({ ...options, worker: yield* inProcess(options.registry), report, isShared: true })
    return { poll, actions: Stream.fromPubSub(actions) }
  })

/** A supervisor as a layer over an engine and its store. */
export const layer = <R>(
  options: SupervisorOptions<R>,
): Layer.Layer<Supervisor, InvalidSetting, Engine | RunStore | RunOwnership | Inbox | Schedules | R> =>
  Layer.scoped(Supervisor, make(options))
