/**
 * Wakes runs that nobody works on and that can go on: whose owner died, whose timer is due, whose wait is over, or that were told
 * something. It looks when the store says that something changed, when the next deadline comes, and every now and then for owners
 * that have gone; between that it does nothing. Several supervisors may watch one store: a run is claimed by one. How a run is worked on is
 * for a {@link Worker} to say: in this process with the workflows of a registry, or in processes of their own as the command line does.
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
  type InvalidSetting,
  InvalidWorkflow,
  type RunFenced,
  type RunNotFound,
  type StoreError,
  WorkDied,
} from "./Errors.ts"
import { Inbox } from "./Inbox.ts"
import * as Jumps from "./internal/jumps.ts"
import { liveClock } from "./internal/liveClock.ts"
import * as VersionSignal from "./internal/versionSignal.ts"
import * as Metrics from "./Metrics.ts"
import * as Millis from "./Millis.ts"
import type * as Plan from "./Plan.ts"
import * as Raised from "./Raised.ts"
import { type Exclusion, type RunnableRun, RunOwnership } from "./RunOwnership.ts"
import * as RunRequest from "./RunRequest.ts"
import { RunStore } from "./RunStore.ts"
import * as Settings from "./Settings.ts"
import { isEnded, type ResultStatus } from "./Status.ts"

/** A workflow as a registry knows it. */
export interface Registered<R> {
  readonly name: string
  readonly definition: Definition<R>
  /** Where it is always the same. */
  readonly plan?: Plan.Plan
}

/** Workflows by name: what a supervisor can run. Make it with {@link registry}. */
export interface Registry<out R = never> {
  readonly names: ReadonlyArray<string>
  readonly find: (name: string) => Definition<R> | undefined
}

/**
 * Puts workflows together, with those that they start as child runs where their plans are constant. Throws {@link InvalidWorkflow} where
 * two have one name.
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
      if (node._tag !== "Wait" || node.on.kind !== "subflow" || byName.has(node.on.child.name)) continue
      // The definition first: it says why a workflow that a function was to give is none.
      const { definition, name, plan: inner } = node.on.child
      // The services of a child are among those of its parent.
      byName.set(name, definition as Definition<R>)
      addChildren(inner)
    }
  }
  for (const { plan } of workflows) addChildren(plan)
  return { names: [...byName.keys()], find: (name) => byName.get(name) }
}

/**
 * How a run was left that was worked on: the status of its result, `suspended` where it could go on, or `gone` where it is not there, or
 * somebody else's by now.
 */
export type Outcome = ResultStatus | "suspended" | "gone"

/** How to work on a run. */
export interface Task<out E, out R> {
  /** Fails where the run cannot be worked on. What it fails with is said of the run (`Stuck`) and never ends it: it is tried again. */
  readonly work: Effect.Effect<Outcome, E | StoreError, R>
  /** What the work depends on outside of the store, as text. A run that cannot be worked on is tried again soon after it changes. */
  readonly stamp?: Effect.Effect<string>
}

/** The work on a run or, to the left, what is left out from now on since it is not known here how to work on it. */
export type Work<E, R> = Either.Either<Task<E, R>, Exclusion>

/** How runs are worked on. The work of a run is interrupted when the supervisor stops, and must have let go of the run then. */
export type Worker<E, R> = (due: RunnableRun) => Effect.Effect<Work<E, R>, StoreError, R>

/** An error as a {@link Worker} gives it. */
export interface Problem {
  readonly _tag: string
  readonly message: string
}

/** How a supervisor works, whatever works on the runs. */
export interface SupervisorSettings {
  /**
   * How often to look for runs whose owner is gone, which no change of the store tells of. Default: 5 seconds; under a clock that a test moves
   * a day, so that looks do not tick in time that it skips.
   */
  readonly interval?: Duration.DurationInput
  /** Runs worked on at once; 16 unless told. */
  readonly maxConcurrent?: number
  /**
   * How many times in a row the process of a run may die before anything comes of its claim, until the run is ended as failed (`CrashLoop`).
   * The store counts them, so that they survive the supervisor. Nothing else ends a run: what does not load or fit is tried again. Default: 5.
   */
  readonly maxTries?: number
}

/** How a supervisor with a registry works. */
export interface SupervisorOptions<R> extends SupervisorSettings {
  readonly registry: Registry<R>
}

/** How a supervisor with a worker of its own works. */
export interface WorkerOptions<E, R> extends SupervisorSettings {
  readonly worker: Worker<E, R>
  /** What is done with what it did, as it happens. */
  readonly report: (action: Action<E>) => Effect.Effect<void>
  /**
   * Whether the runs are worked on in this process, so that one that kills it takes the others with it. Those whose process died more than once
   * before anything came of their claim are then begun one at a time. Default: false.
   */
  readonly isShared?: boolean
  /** How long to gather what changes before looking, where runs at work in other processes change something all the time; not at all unless told. */
  readonly gather?: Duration.DurationInput
}

/** What a supervisor did with a run. */
export type Action<E = EngineError> =
  | { readonly _tag: "Resumed"; readonly runId: string; readonly workflow: string }
  | {
      readonly _tag: "Settled"
      readonly runId: string
      readonly workflow: string
      readonly status: Exclude<Outcome, "gone">
    }
  /** The run could not be worked on, or not be ended. It is left alone for a while, twice as long each time, at most five minutes. */
  | {
      readonly _tag: "Refused"
      readonly runId: string
      readonly workflow: string
      readonly error: E | WorkDied | StoreError | RunNotFound | RunFenced
      readonly again: number
    }
  /** The process of the run died `maxTries` times in a row before anything came of its claim. The run has been ended as failed. */
  | { readonly _tag: "CrashLoop"; readonly runId: string; readonly workflow: string; readonly failure: CrashLoop }
  /** It is not known here how to work on this run, or on any of its workflow: said once, of the first of those that are left out for it. */
  | { readonly _tag: "Unknown"; readonly runId: string; readonly workflow: string }

/** A supervisor, whatever works on the runs. */
export interface Looking<out E> {
  /** Looks once, and answers with what it took up; does not wait for what comes of it. */
  readonly look: Effect.Effect<ReadonlyArray<Action<E>>, StoreError>
}

/**
 * Takes up runs that nobody works on and that can go on. It keeps nothing of its own but pauses: what it works on when its process dies is
 * taken up by whoever supervises then, and of several supervisors one takes a run.
 */
export interface SupervisorShape extends Looking<EngineError> {
  /** The last hundred actions, and then each as it happens; ends with the supervisor. */
  readonly actions: Stream.Stream<Action>
}

/** A supervisor at work. */
export class Supervisor extends Context.Tag("@smithers/core/Supervisor")<Supervisor, SupervisorShape>() {}

/** Actions that are kept for whoever listens later: what a supervisor does first, it does before anybody can. */
const rememberedActions = 100

/** The first pause after a run could not be worked on, and the longest (ms). */
const firstPauseMs = 1000
const longestPauseMs = 300_000

/** Deaths in a row after which a run is suspected of killing its process, and how often to look whether something came of it (ms). */
const suspectedAfter = 2
const proofMs = 100

/** Characters that are kept of why a run is stuck: more than people read, and little to store again and again. */
const longestReason = 2000

/** A run that is left alone. */
interface Pause {
  readonly times: number
  /** When it was first left alone. */
  readonly first: Millis.Millis
  /** By the time of the process, so that nobody ends or prolongs it who sets the clock. */
  readonly since: number
  readonly until: number
  /** What the work on it depended on when it began, and depends on now. */
  readonly before: string | undefined
  readonly stamp: Effect.Effect<string> | undefined
}

/** Reads how a supervisor works. */
const read = ({ interval, maxConcurrent, maxTries, gather }: SupervisorSettings & Pick<WorkerOptions<never, never>, "gather">) =>
  Either.all({
    intervalMs: Settings.duration("interval", interval, "5 seconds"),
    maxConcurrent: Settings.count("maxConcurrent", maxConcurrent, 16),
    maxTries: Settings.count("maxTries", maxTries, 5),
    gatherMs: Settings.duration("gather", gather, "0 seconds", Millis.zero),
  })

/** A run that was let go of, as it was before that. */
interface Let {
  readonly mark: string
  readonly at: number
}

/** Takes up runs, and remembers those that it could do nothing with. */
const makeCrew = <E extends Problem>(maxTries: number, report: WorkerOptions<E, never>["report"]) =>
  Effect.gen(function* () {
    const [store, ownership, inbox] = [yield* RunStore, yield* RunOwnership, yield* Inbox]
    const ending = Context.make(RunStore, store).pipe(Context.add(RunOwnership, ownership), Context.add(Inbox, inbox))
    const pauses = new Map<string, Pause>()
    const lets = new Map<string, Let>()

    /** Leaves a run alone for a while, longer each time. */
    const pauseFor = (runId: string, seen: Pick<Pause, "before" | "stamp"> = unseen) =>
      Effect.gen(function* () {
        const before = pauses.get(runId)
        const times = (before?.times ?? 0) + 1
        const jitter = yield* Random.nextRange(0.8, 1.2)
        const pauseMs = Math.ceil(Math.min(firstPauseMs * 2 ** (times - 1), longestPauseMs) * jitter)
        const [now, since] = [yield* Millis.now, yield* Millis.steady]
        const pause = { times, first: before?.first ?? now, since, until: since + pauseMs, ...seen }
        pauses.set(runId, pause)
        return { ...pause, now, again: Millis.after(now, Millis.make(pauseMs)) }
      })

    const refuse = (
      { runId, workflow }: RunnableRun,
      error: Extract<Action<E>, { readonly _tag: "Refused" }>["error"],
      seen?: Pick<Pause, "before" | "stamp">,
    ) =>
      Effect.gen(function* () {
        const { first, now, times: tries, again } = yield* pauseFor(runId, seen)
        const reason = { name: error._tag, message: error.message.slice(0, longestReason) }
        // It is said below also where it cannot be kept.
        yield* Effect.ignore(ownership.noteStuck(runId, { since: first, tries, again, error: reason }, now))
        yield* report({ _tag: "Refused", runId, workflow, error, again })
      })

    /** Ends a run whose process dies each time it is claimed. Where that does not work either, it is tried again after a while. */
    const giveUp = (due: RunnableRun): Effect.Effect<void> => {
      const { runId, workflow, deaths } = due
      const failure = new CrashLoop({ runId, interruptions: deaths })
      return Effect.matchEffect(Effect.provide(EndRun.fail(runId, failure), ending), {
        onFailure: (problem) => refuse(due, problem),
        onSuccess: (isEnded) => {
          if (!isEnded) return Effect.asVoid(pauseFor(runId))
          pauses.delete(runId)
          return report({ _tag: "CrashLoop", runId, workflow, failure })
        },
      })
    }

    const isHopeless = ({ deaths }: RunnableRun): boolean => deaths >= maxTries

    /** Works on a run until it is let go of again. */
    const takeUp = <R>(due: RunnableRun, { work, stamp }: Task<E, R>): Effect.Effect<void, never, R> => {
      const { runId, workflow } = due
      if (isHopeless(due)) return giveUp(due)
      const settle = Effect.gen(function* () {
        const before = stamp === undefined ? undefined : yield* stamp
        const died = (defect: unknown) =>
          Effect.fail(new WorkDied({ runId, error: { ...Raised.describe(defect), retryable: false } }))
        const safely: Effect.Effect<Outcome, E | StoreError | WorkDied, R> = Effect.catchAllDefect(work, died)
        const ended = yield* Effect.either(safely)
        if (Either.isLeft(ended)) return yield* refuse(due, ended.left, { before, stamp })
        const status = ended.right
        if (isEnded(status)) pauses.delete(runId)
        else lets.set(runId, { mark: due.mark, at: yield* Millis.steady })
        if (status !== "gone") yield* report({ _tag: "Settled", runId, workflow, status })
      })
      const begin = Effect.suspend(() => {
        Metrics.runsSupervised.unsafeUpdate(1, Metrics.tagged(workflow))
        return report({ _tag: "Resumed", runId, workflow })
      })
      // Whatever is wrong with us: a run that nothing came of is not looked at again at once.
      return Effect.catchAllCause(Effect.zipRight(begin, settle), (cause) =>
        Effect.zipRight(pauseFor(runId), Effect.logError(`run ${runId} could not be supervised`, cause)),
      )
    }

    /** Pauses that are not over. One that was over long ago is of a run that others took up meanwhile. */
    const resting = (steady: number): Effect.Effect<ReadonlyArray<{ readonly runId: string; readonly leftMs: number }>> =>
      Effect.gen(function* () {
        for (const [runId, { since, until, before, stamp }] of pauses) {
          if (until + longestPauseMs < steady) pauses.delete(runId)
          // What changes all the time is tried no more often than this.
          if (stamp === undefined || steady < since + firstPauseMs || until <= steady) continue
          if ((yield* stamp) !== before) pauses.delete(runId)
        }
        for (const [runId, { at }] of lets) if (at + 2 * longestPauseMs < steady) lets.delete(runId)
        return [...pauses].flatMap(([runId, { until }]) => (until > steady ? [{ runId, leftMs: until - steady }] : []))
      })
    /**
     * Whether a run that can go on is as it was before it was last let go of: nothing came of that, so it is left alone for a while, longer
     * each time. Whatever makes it due, it must not be taken up again at once.
     */
    const isSpinning = ({ runId, mark }: RunnableRun): Effect.Effect<boolean> =>
      Effect.gen(function* () {
        const before = lets.get(runId)
        lets.delete(runId)
        if (before?.mark === mark) return yield* Effect.as(pauseFor(runId), true)
        if (before !== undefined) pauses.delete(runId)
        return false
      })
    return { isHopeless, takeUp, resting, isSpinning }
  })

const unseen = { before: undefined, stamp: undefined }

/** Works once on every run that can go on now, some at a time, and waits until all of them are let go of again. */
export const once = <E extends Problem, R>(
  options: WorkerOptions<E, R>,
): Effect.Effect<void, StoreError | InvalidSetting, RunStore | RunOwnership | Inbox | R> =>
  Effect.gen(function* () {
    const { worker, report } = options
    const { maxConcurrent, maxTries } = yield* read(options)
    const { takeUp } = yield* makeCrew(maxTries, report)
    const { runs } = yield* (yield* RunOwnership).runnable(yield* Millis.now)
    const take = (due: RunnableRun) =>
      Effect.flatMap(
        worker(due),
        Either.match({
          onLeft: () => report({ _tag: "Unknown", runId: due.runId, workflow: due.workflow }),
          onRight: (task) => takeUp(due, task),
        }),
      )
    yield* Effect.forEach(runs, take, { concurrency: maxConcurrent, discard: true })
  })

/** Begins to supervise with a worker, until the scope closes. Work that goes on then is interrupted. */
export const makeWith = <E extends Problem, R>(
  options: WorkerOptions<E, R>,
): Effect.Effect<Looking<E>, InvalidSetting, RunStore | RunOwnership | Inbox | Scope.Scope | R> =>
  Effect.gen(function* () {
    const [store, ownership, inbox] = [yield* RunStore, yield* RunOwnership, yield* Inbox]
    const { worker, report, isShared = false } = options
    const { intervalMs, maxConcurrent, maxTries, gatherMs } = yield* read(options)
    const isLive = (yield* Effect.clock) === liveClock
    const lookMs = options.interval === undefined && !isLive ? Jumps.longestMs : intervalMs
    const working = yield* FiberMap.make<string>()
    /** The run that is begun by itself, since its process died before, until something comes of that. */
    let suspect: string | undefined
    const unknown = { workflows: new Set<string>(), runIds: new Set<string>() }
    const { isHopeless, takeUp, resting, isSpinning } = yield* makeCrew(maxTries, report)

    /** Runs that were let go of again: then there is room, or a pause to keep. */
    const ended = VersionSignal.make()
    let count = 0
    const letGo = (): void => {
      count++
      ended.bump()
    }

    /** Works on a suspect, which keeps others of them waiting until a frame has come of it or it is let go of. */
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
      // What the store does not answer now it answers when the work ends.
      const watched = Effect.zipRight(Effect.ignore(proved), clear)
      return Effect.scoped(Effect.zipRight(Effect.forkScoped(watched), Effect.ensuring(work, clear)))
    }

    /** Takes up what can go on, and answers with that and with how long to wait before looking again, if nothing happens. */
    const look = Effect.gen(function* () {
      const [now, began] = [yield* Millis.now, yield* Millis.steady]
      const taken: Array<Action<E>> = []
      const pauses = yield* resting(began)
      // What nobody here can work on now must not stand in the way of the rest, of which a part at a time is answered.
      const leaveOut = {
        workflows: [...unknown.workflows],
        runIds: [...unknown.runIds, ...[...working].map(([runId]) => runId), ...pauses.map(({ runId }) => runId)],
      }
      const { runs, nextAt } = yield* ownership.runnable(now, leaveOut)
      let waitMs = Math.min(lookMs, (nextAt ?? Number.POSITIVE_INFINITY) - now, ...pauses.map(({ leftMs }) => leftMs))
      // Of those that may have killed their process the likeliest comes first: then the others are soon suspected no longer.
      for (const due of isShared ? runs.toSorted((left, right) => right.deaths - left.deaths) : runs) {
        const { runId, workflow, deaths } = due
        if (FiberMap.unsafeHas(working, runId) || unknown.workflows.has(workflow)) continue
        const isSuspect = isShared && deaths >= suspectedAfter && !isHopeless(due)
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
        const fiber = yield* FiberMap.run(working, runId, isSuspect ? alone(due, takeUp(due, work.right)) : takeUp(due, work.right))
        fiber.addObserver(letGo)
        if (!isHopeless(due)) taken.push({ _tag: "Resumed", runId, workflow })
      }
      return { taken, waitMs: waitMs - ((yield* Millis.steady) - began) }
    })

    const watch = Effect.gen(function* () {
      for (let version = -1; ; ) {
        const seen = count
        const { waitMs } = yield* look
        const nothing = Effect.raceFirst(ended.after(seen), Jumps.pause(waitMs))
        version = yield* Effect.raceFirst(inbox.changes(version), Effect.as(nothing, version))
        // What changes together is looked at together.
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
      look: Effect.provide(
        Effect.map(look, ({ taken }) => taken),
        services,
      ),
    }
  })

/** Works on runs in this process, with the workflows of a registry. */
const inProcess = <R>(registry: Registry<R>): Effect.Effect<Worker<EngineError, R>, never, Engine> =>
  Effect.map(Engine, (engine) => ({ runId, workflow }) => {
    const definition = registry.find(workflow)
    if (definition === undefined) return Effect.succeed(Either.left({ workflows: [workflow] }))
    const joined = Effect.map(engine.joinUntilIdle(definition, RunRequest.claim(runId)), ({ status }): Outcome => status)
    // Another process was first, or the run is gone: nothing to do for us.
    const gone = () => Effect.succeed<Outcome>("gone")
    return Effect.succeed(Either.right({ work: Effect.catchTags(joined, { RunFenced: gone, RunNotFound: gone }) }))
  })

const log = (action: Action): Effect.Effect<void> => {
  switch (action._tag) {
    case "Refused":
      return Effect.logWarning(`run ${action.runId} of "${action.workflow}" could not be resumed: ${action.error.message}`)
    case "CrashLoop":
      return Effect.logError(action.failure.message)
    case "Unknown":
      return Effect.logWarning(`no workflow "${action.workflow}" is registered; its runs are left alone`)
    default:
      return Effect.void
  }
}

/** Begins to supervise, until the scope closes. Runs that it works on then are suspended, and can be resumed. */
export const make = <R>(
  options: SupervisorOptions<R>,
): Effect.Effect<SupervisorShape, InvalidSetting, Engine | RunStore | RunOwnership | Inbox | Scope.Scope | R> =>
  Effect.gen(function* () {
    const actions = yield* Effect.acquireRelease(PubSub.unbounded<Action>({ replay: rememberedActions }), PubSub.shutdown)
    const report = (action: Action) => Effect.zipRight(PubSub.publish(actions, action), log(action))
    const { look } = yield* makeWith({ ...options, worker: yield* inProcess(options.registry), report, isShared: true })
    return { look, actions: Stream.fromPubSub(actions) }
  })

/** A supervisor as a layer over an engine and its store. */
export const layer = <R>(
  options: SupervisorOptions<R>,
): Layer.Layer<Supervisor, InvalidSetting, Engine | RunStore | RunOwnership | Inbox | R> => Layer.scoped(Supervisor, make(options))
