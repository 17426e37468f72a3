/**
 * The only performer. It opens runs, keeps the claims of those it works on, and has each driven by a fiber of its own
 * (`RunDriver`). Callers join a run: several in one process share its driver, and when the last of them is interrupted the run
 * is suspended, ready to be resumed by anyone.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { Json } from "./Codec.ts"
import type { Definition } from "./Definition.ts"
import {
  InputMismatch,
  type InvalidSetting,
  isTransient,
  RunEnded,
  RunFenced,
  type StoreError,
  WorkflowMismatch,
} from "./Errors.ts"
import { generateRunId } from "./Ids.ts"
import * as Callers from "./internal/callers.ts"
import { canonical } from "./internal/json.ts"
import * as Jumps from "./internal/jumps.ts"
import * as Suspects from "./internal/suspects.ts"
import * as Metrics from "./Metrics.ts"
import * as Millis from "./Millis.ts"
import * as RunDriver from "./RunDriver.ts"
import * as RunResult from "./RunResult.ts"
import type * as RunState from "./RunState.ts"
import * as Settings from "./Settings.ts"
import * as Status from "./Status.ts"
import * as Storage from "./Storage.ts"

/** A request to work on a run. */
export interface RunRequest {
  readonly runId: string
  /** What to start it from if it does not exist; without it the run must exist. */
  readonly create: Storage.NewRun | undefined
  /** Also continue a run that ended like this, giving its failed nodes a fresh budget. */
  readonly revive: Storage.OpenRequest["revive"]
  /** What to do about stored outputs that the current schemas do not accept. */
  readonly onIncompatible: "fail" | "rerun"
  /** Whether to wait for a run that another process works on; otherwise it is `RunFenced`. Waits unless told. */
  readonly isPatient?: boolean
}

/**
 * Why a run could not be worked on; how a run ended is no error of the engine's. Beside those of the driver: there is no such run and nothing
 * to start it from (`RunNotFound`), or its id is that of a run with another input (`InputMismatch`) or of another workflow
 * (`WorkflowMismatch`). The run is as it was, and can be resumed.
 */
export type EngineError = RunDriver.DriverError

/**
 * Works on runs. At most one process works on a run: it holds a claim, and one that has lost it changes nothing more (`RunFenced`). Work that
 * is interrupted, or whose engine is closed, leaves its run `suspended`; after a crash whoever asks for the run takes it over, at once on the
 * same machine, and otherwise when its lease is over.
 */
export interface EngineShape {
  /**
   * Starts, resumes or joins a run, and waits for how it ends. A run that has ended answers with what is stored, unless it is to be revived.
   * Interrupting the last caller suspends the run.
   */
  readonly join: <R>(
    definition: Definition<R>,
    request: RunRequest,
  ) => Effect.Effect<RunResult.EndedResult<unknown>, EngineError, R>
  /**
   * The same, but stops waiting as soon as the run is paused or waits for something from outside, and nothing else can go on. If nobody else works
   * on it here it is suspended then.
   */
  readonly joinUntilIdle: <R>(
    definition: Definition<R>,
    request: RunRequest,
  ) => Effect.Effect<RunResult.RunResult<unknown>, EngineError, R>
  /** Starts, resumes or joins a run and leaves it running for as long as the engine lives. */
  readonly start: <R>(definition: Definition<R>, request: RunRequest) => Effect.Effect<Started, never, R>
  /** What a run was begun with; `undefined` where there is none of this id. */
  readonly origin: (runId: string) => Effect.Effect<Storage.Origin | undefined, StoreError>
  /** Asks for a run to be cancelled and waits until it has stopped. Kept before it waits, so that a crash does not take it back. */
  readonly cancel: <R>(
    definition: Definition<R>,
    runId: string,
    reason: string | undefined,
  ) => Effect.Effect<void, EngineError | RunEnded, R>
}

/** A run at work in this process. */
export interface Started {
  /**
   * Completes once nothing of the run can go on before something comes from outside. Child runs that wait in this process are followed by what they
   * wait for.
   */
  readonly resting: Effect.Effect<RunResult.RestingResult, StoreError>
  readonly settled: Effect.Effect<RunResult.EndedResult<unknown>, EngineError>
  /** Completes with the number of frames committed here once it is above the given one. */
  readonly commits: (after: number) => Effect.Effect<number>
}

/** How runs are driven. */
export interface EngineOptions {
  /**
   * How long a claim holds without being renewed; it is renewed three times as often. A process that stops for longer loses its
   * runs to whoever asks for them. 30 s: far above any pause of a healthy process, short enough for a takeover within the
   * minute. A process that died on the same machine is noticed at once, without waiting for the lease.
   */
  readonly lease?: Duration.DurationInput
  /** Runs that may be worked on at the same time are unlimited; this bounds the steps of each run in flight. 4 unless told. */
  readonly maxConcurrency?: number
  /**
   * How long an interrupted attempt may take to end in order, before the run goes on without it: code that is a promise is told by its
   * `signal`, and what it does on the way out is awaited before anything is undone, retried or let go of. Default: 5 seconds.
   */
  readonly grace?: Duration.DurationInput
}

/** Runs workflows on a store. */
export class Engine extends Context.Tag("@smithers/core/Engine")<Engine, EngineShape>() {}

interface Active {
  readonly create: Storage.NewRun | undefined
  readonly workflow: string | undefined
  readonly settled: Deferred.Deferred<RunResult.EndedResult<unknown>, EngineError>
  readonly control: RunDriver.Control
  /** Child runs that are worked on here for this one. */
  readonly children: Map<string, Active>
  driver: Fiber.RuntimeFiber<unknown, unknown> | undefined
  joined: number
  /** The last caller left: the run is being suspended, and whoever comes now opens it again. */
  isLeaving: boolean
  /** Child runs that cannot be worked on, and why. */
  readonly obstacles: Map<string, Cause.Cause<EngineError>>
}

/** The pause before a child run is started that the store could not open for the moment. */
const childPause = Duration.seconds(1)

/** How long to wait for news of a run that another process works on, before looking at its lease again. */
const followInterval = Duration.seconds(1)

/** Makes an engine; it suspends its runs when the scope closes. Fails where a setting is none. */
export const make = (options: EngineOptions = {}): Effect.Effect<EngineShape, InvalidSetting, Storage.Storage | Scope.Scope> =>
  Effect.gen(function* () {
    const storage = yield* Storage.Storage
    const scope = yield* Effect.scope
    const leaseMs = yield* Settings.duration("lease", options.lease, "30 seconds")
    const graceMs = yield* Settings.duration("grace", options.grace, "5 seconds", Millis.zero)
    const settings = { maxConcurrency: yield* Settings.count("maxConcurrency", options.maxConcurrency, 4), leaseMs }
    const actives = new Map<string, Active>()
    // Runs are let go of side by side: what one needs to stop must not add up over all of them.
    const drivers = yield* Scope.fork(scope, ExecutionStrategy.parallel)

    const owned = (): Array<{ readonly runId: string; readonly epoch: number }> =>
      [...actives].flatMap(([runId, active]) =>
        active.control.epoch === undefined ? [] : [{ runId, epoch: active.control.epoch }],
      )

    const renewLeases = Effect.gen(function* () {
      const claims = owned()
      if (claims.length === 0) return
      const now = yield* Millis.now
      for (const runId of yield* storage.renew(claims, Millis.after(now, leaseMs))) actives.get(runId)?.control.fence()
    })
    yield* renewLeases.pipe(
      Effect.catchTag("StoreGone", (error) =>
        Effect.sync(() => {
          for (const { control } of actives.values()) control.lose(error)
        }),
      ),
      Effect.catchAllCause((cause) => Effect.logWarning("leases could not be renewed", cause)),
      // A jump of the clock may have ended them for others: then they are renewed at once.
      Effect.zipLeft(Jumps.pause(leaseMs / 3)),
      Effect.forever,
      Effect.forkIn(scope),
    )

    // Commands reach runs of this process whoever delivered them. The watch begins with the first run.
    const dispatch = Effect.map(storage.inbox, (commands) => {
      for (const command of commands) actives.get(command.runId)?.control.deliver(command)
    })
    const watch = Effect.iterate(-1, {
      while: () => true,
      body: (version) => Effect.tap(storage.changes(version), () => (actives.size === 0 ? Effect.void : dispatch)),
    }).pipe(
      Effect.catchAllCause((cause) => Effect.logWarning("the store could not be watched", cause)),
      Effect.repeat(Schedule.spaced("1 second")),
      Effect.interruptible,
      Effect.forkIn(scope),
    )
    let isWatching = false
    const startWatch = Effect.suspend(() => {
      if (isWatching) return Effect.void
      isWatching = true
      return watch
    })

    const callers = Callers.make(storage.place)
    const suspects = Suspects.make(callers.waitsFor)

    const open = (request: RunRequest) =>
      Effect.gen(function* () {
        let { revive } = request
        for (let version = yield* storage.changes(-1); ; ) {
          const now = yield* Millis.now
          const opened = yield* storage.open({ ...request, revive, leaseMs, now })
          if (opened._tag !== "Owned") return opened
          if (request.isPatient === false) return yield* new RunFenced({ runId: request.runId, epoch: 0 })
          // Whoever works on it decides how it ends; a failure there is not taken up again here.
          revive = []
          const wait = Duration.min(followInterval, Duration.millis(Math.max(1, opened.until - now)))
          version = yield* Effect.interruptible(
            Effect.timeoutTo(storage.changes(version), {
              duration: wait,
              onSuccess: (news) => news,
              onTimeout: () => version,
            }),
          )
        }
      })

    /**
     * Works on a child run here for as long as its parent is worked on, or as the engine lives where nobody waits for it. One that another
     * process works on is taken up when that lets go of it.
     */
    const startChild =
      (parent: Active): RunDriver.DriveOptions["startChild"] =>
      ({ runId, child, parent: place }) =>
        Effect.gen(function* () {
          if (parent.children.has(runId)) return
          // The plan knows it as an object; whoever made the plan made it of a definition.
          const definition = child.definition as Definition<unknown>
          const revive = (yield* isAwaitedAgain(parent, runId, place)) ? Status.ReopenableStatus.literals : []
          const entered = yield* Effect.exit(enter(definition, { runId, create: undefined, revive, onIncompatible: "fail" }))
          if (!place.isAttached) return
          if (Exit.isFailure(entered)) return yield* keptFrom(parent, { runId, child, parent: place }, entered.cause)
          const active = entered.value
          parent.children.set(runId, active)
          const disown = callers.adopt(place.runId, runId)
          parent.obstacles.delete(runId)
          const unlink = active.control.commits.link(parent.control.commits)
          const told = Effect.flatMap(Effect.exit(Deferred.await(active.settled)), (exit) => {
            unlink()
            disown()
            if (parent.children.get(runId) === active) parent.children.delete(runId)
            return Exit.isSuccess(exit)
              ? tellParent(parent, runId, place)
              : keptFrom(parent, { runId, child, parent: place }, exit.cause)
          })
          yield* Effect.forkIn(Effect.interruptible(told), scope)
        }).pipe(
          Effect.catchAll((error) =>
            isTransient(error)
              ? Effect.asVoid(Effect.forkIn(startAgain(parent, { runId, child, parent: place }), scope))
              : Effect.logWarning(`child run ${runId} could not be started: ${error.message}`),
          ),
        )

    /** Starts a child run after a pause, where the store failed for a moment, if its parent is still worked on here. */
    const startAgain = (parent: Active, started: RunDriver.StartedChild): Effect.Effect<void, never, unknown> =>
      Effect.gen(function* () {
        const { epoch } = parent.control
        yield* Effect.interruptible(Effect.sleep(childPause))
        if (epoch !== undefined && parent.control.epoch === epoch && !parent.isLeaving) yield* startChild(parent)(started)
      })

    /** Stops a run with what keeps a child run from being worked on, once nothing else of it can go on. */
    const keptFrom = (parent: Active, started: RunDriver.StartedChild, cause: Cause.Cause<EngineError>) =>
      Effect.suspend((): Effect.Effect<void, never, unknown> => {
        const failure = Cause.failureOption(cause)
        // Another process has it, or it was only let go of.
        if (Cause.isInterruptedOnly(cause) || Option.exists(failure, ({ _tag }) => _tag === "RunFenced")) return Effect.void
        // A store that fails for a moment says nothing of the child.
        if (Option.exists(failure, isTransient)) return Effect.asVoid(Effect.forkIn(startAgain(parent, started), scope))
        const { runId } = started
        parent.obstacles.set(runId, cause)
        const stop = Effect.andThen(atRest(started.parent.runId, parent), () => {
          if (parent.obstacles.get(runId) === cause) parent.control.obstruct(cause)
        })
        const over = Effect.exit(Deferred.await(parent.settled))
        return Effect.asVoid(Effect.forkIn(Effect.interruptible(Effect.race(Effect.ignore(stop), over)), scope))
      })

    /**
     * Whether a child run has ended, and its parent waits for it once more. Another process may have ended it just now: that is on its way to
     * the parent, or was heard by whoever has the parent since.
     */
    const isAwaitedAgain = (parent: Active, runId: string, { runId: parentId }: RunState.Parent) =>
      Effect.gen(function* () {
        const { status } = (yield* storage.run(runId)).run
        if (!Status.isReopenable(status)) return false
        const isTold = (yield* storage.inbox).some(
          ({ runId: told, command }) => told === parentId && command._tag === "ChildEnded" && command.childRunId === runId,
        )
        if (isTold) return false
        const { run } = yield* storage.run(parentId)
        return run.owner !== null && run.epoch === parent.control.epoch
      })

    /** Tells a parent how a child run has ended, also one that needed no work. */
    const tellParent = (parent: Active, runId: string, { nodeId, iteration }: RunState.Parent): Effect.Effect<void> =>
      Effect.gen(function* () {
        const result = RunResult.ofState(yield* storage.load(runId))
        if (result === undefined) return
        const end = RunResult.toChildEnd(result)
        const [id, at] = [yield* generateRunId, yield* Millis.now]
        parent.control.deliver({ id, runId, at, command: { _tag: "ChildEnded", childRunId: runId, nodeId, iteration, ...end } })
      }).pipe(Effect.catchAll((error) => Effect.logWarning(`how child run ${runId} ended could not be read`, error)))

    /** Whether a run was begun with what is given now: by what was given then, or by what is stored, read as the schema reads it now. */
    const isBegunWith = <R>(
      definition: Definition<R>,
      create: Storage.NewRun,
      runId: string,
      known?: Storage.NewRun,
    ): Effect.Effect<boolean, StoreError, R> =>
      Effect.gen(function* () {
        const origin = known ?? (yield* storage.origin(runId))
        if (origin === undefined) return false
        if (isSameCall(create, origin)) return true
        const { accept, restore } = definition.input
        const read = Effect.flatMap(
          Effect.suspend(() => restore(origin.input)),
          (value) => accept(value),
        )
        return yield* Effect.matchCause(read, { onFailure: () => false, onSuccess: (input) => isSameInput(create.input, input) })
      }) as Effect.Effect<boolean, StoreError, R>

    const drive = <R>(
      definition: Definition<R>,
      request: RunRequest,
      active: Active,
    ): Effect.Effect<RunResult.EndedResult<unknown>, EngineError, R> =>
      Effect.gen(function* () {
        const { control } = active
        const { create } = request
        let opened = yield* open(request)
        // Its schema may have gained a default since: what is stored is read as it is read now.
        if (
          opened._tag === "Mismatch" &&
          create?.workflow === opened.workflow &&
          (yield* isBegunWith(definition, create, request.runId))
        )
          opened = yield* open({ ...request, create: undefined })
        switch (opened._tag) {
          case "Mismatch":
            return yield* request.create === undefined || opened.workflow === request.create.workflow
              ? new InputMismatch({ runId: request.runId })
              : new WorkflowMismatch({ runId: request.runId, workflow: request.create.workflow, stored: opened.workflow })
          case "Ended":
            // Somebody may have resumed it meanwhile.
            return (yield* RunDriver.recall(storage, definition, request.runId)) ?? (yield* drive(definition, request, active))
          case "Created":
          case "Claimed":
            // A run that its parent or a signal created is begun by its first claim.
            yield* Metric.increment(opened.epoch === 1 ? Metrics.runsStarted : Metrics.runsResumed)
            return yield* RunDriver.drive(storage, definition, {
              runId: request.runId,
              epoch: opened.epoch,
              created: opened._tag === "Created" ? request.create : undefined,
              onIncompatible: request.onIncompatible,
              maxConcurrency: definition.maxConcurrency ?? settings.maxConcurrency,
              control,
              suspects,
              callers,
              graceMs,
              startChild: startChild(active),
            }).pipe(
              Effect.ensuring(
                Effect.suspend(() =>
                  Effect.forEach([...active.children.values()], leave, { concurrency: "unbounded", discard: true }),
                ),
              ),
            )
        }
      })

    /** Finds a run at work here, or begins to work on it. The caller counts as one who waits for it, until it {@link leave}s. */
    const enter = <R>(definition: Definition<R>, request: RunRequest): Effect.Effect<Active, EngineError, R> =>
      Effect.suspend((): Effect.Effect<Active, EngineError, R> => {
        const { runId, create } = request
        const running = actives.get(runId)
        if (running?.isLeaving === true) {
          return Effect.zipRight(Effect.exit(Deferred.await(running.settled)), enter(definition, request))
        }
        if (running !== undefined) {
          // A name that only a plan will tell is compared by the driver; here the run has one already.
          if (running.workflow !== undefined && definition.name !== undefined && running.workflow !== definition.name) {
            return new WorkflowMismatch({ runId, workflow: definition.name, stored: running.workflow })
          }
          running.joined++
          if (create === undefined || (running.create !== undefined && isSameCall(create, running.create)))
            return Effect.succeed(running)
          return isBegunWith(definition, create, runId, running.create).pipe(
            Effect.filterOrFail(
              (isSame) => isSame,
              () => new InputMismatch({ runId }),
            ),
            Effect.as(running),
            Effect.onError(() => leave(running)),
          )
        }
        const active: Active = {
          create,
          workflow: definition.name,
          settled: Deferred.unsafeMake(FiberId.none),
          control: RunDriver.control(),
          children: new Map(),
          driver: undefined,
          joined: 1,
          isLeaving: false,
          obstacles: new Map(),
        }
        actives.set(runId, active)
        const driven: Effect.Effect<RunResult.EndedResult<unknown>, EngineError, R> = Effect.uninterruptible(
          callers.within(runId, drive(definition, request, active)),
        ).pipe(
          Effect.onExit((exit) => {
            if (actives.get(runId) === active) actives.delete(runId)
            return Effect.zipRight(Metric.set(Metrics.runsActive, actives.size), Deferred.done(active.settled, exit))
          }),
          Effect.withSpan("smithers.run", { attributes: { "smithers.run_id": runId, "smithers.workflow": definition.name ?? "" } }),
        ) as Effect.Effect<RunResult.EndedResult<unknown>, EngineError, R>
        return startWatch.pipe(
          Effect.zipRight(Metric.set(Metrics.runsActive, actives.size)),
          Effect.zipRight(Effect.forkIn(driven, drivers)),
          Effect.map((fiber) => {
            active.driver = fiber
            return active
          }),
          Effect.uninterruptible,
        )
      })

    const leave = (active: Active): Effect.Effect<void> =>
      Effect.suspend(() => {
        active.joined--
        if (active.joined > 0 || active.driver === undefined) return Effect.void
        active.isLeaving = true
        return Effect.asVoid(Fiber.interrupt(active.driver))
      })

    const join: EngineShape["join"] = (definition, request) =>
      callers.waiting(
        request.runId,
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(enter(definition, request), (active) =>
            Effect.onInterrupt(restore(Deferred.await(active.settled)), () => leave(active)),
          ),
        ),
      )

    /** Waits until a run has nothing left to do here, nor its child runs, commands that are on their way included. */
    const atRest = (runId: string, active: Active): Effect.Effect<RunResult.RestingResult, StoreError> =>
      Effect.gen(function* () {
        for (let seen = -1; ; seen = yield* active.control.commits.after(seen)) {
          const before = restOf(active)
          if (before === undefined) continue
          const runIds = [runId, ...familyOf(active)]
          const isTold = (yield* storage.inbox).some((command) => runIds.includes(command.runId))
          const after = restOf(active)
          if (!isTold && after?.key === before.key) return RunResult.resting(runId, after.waiting, after.isPaused)
        }
      })

    /** The same, unless a child run that cannot be worked on is in the way: then that is what comes of it. */
    const resting = (runId: string, active: Active): Effect.Effect<RunResult.RestingResult, StoreError> =>
      Effect.flatMap(atRest(runId, active), (rest) => (active.obstacles.size === 0 ? Effect.succeed(rest) : Effect.never))

    const joinUntilIdle: EngineShape["joinUntilIdle"] = (definition, request) =>
      callers.waiting(
        request.runId,
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(enter(definition, request), (active) => {
            const ended = Effect.raceFirst(Deferred.await(active.settled), resting(request.runId, active))
            const isSettled = (exit: Exit.Exit<RunResult.RunResult<unknown>, unknown>) =>
              Exit.isSuccess(exit) && Status.isEnded(exit.value.status)
            return Effect.onExit(restore(ended), (exit) => (isSettled(exit) ? Effect.void : leave(active)))
          }),
        ),
      )

    return {
      origin: storage.origin,
      join,
      joinUntilIdle,
      start: (definition, request) =>
        Effect.matchEffect(enter(definition, request), {
          onFailure: (error) => Effect.succeed({ settled: Effect.fail(error), resting: Effect.never, commits: () => Effect.never }),
          onSuccess: (active) =>
            Effect.sync(() => {
              const settled = Deferred.await(active.settled)
              return { settled, resting: resting(request.runId, active), commits: active.control.commits.after }
            }),
        }),
      cancel: (definition, runId, reason) =>
        Effect.gen(function* () {
          const [id, at] = [yield* generateRunId, yield* Millis.now]
          const command = { _tag: "Cancel", ...(reason === undefined ? {} : { reason }) } as const
          // One that was cancelled is what was asked for, whoever asked first.
          const isOver = yield* Effect.as(storage.deliver({ id, runId, at, command }), false).pipe(
            Effect.catchTag("RunEnded", (error) => (error.status === "cancelled" ? Effect.succeed(true) : error)),
          )
          if (isOver) return
          const { status } = yield* join(definition, { runId, create: undefined, revive: [], onIncompatible: "rerun" })
          if (status !== "cancelled") return yield* new RunEnded({ runId, status })
        }),
    }
  })

/** Child runs that are worked on here, and theirs. */
const familyOf = ({ children }: Active): ReadonlyArray<string> =>
  [...children].flatMap(([runId, child]) => [runId, ...familyOf(child)])

/** What a run and its child runs wait for, when nothing of them goes on. */
interface Rest {
  readonly waiting: ReadonlyArray<RunResult.Waiting>
  readonly isPaused: boolean
  /** Equal as long as nothing of this changes. */
  readonly key: string
}

/** What a run and its child runs rest on, if they all do. */
const restOf = ({ control, children }: Active): Rest | undefined => {
  const { waiting, isPaused } = control
  if (waiting.length === 0 && !isPaused) return undefined
  const found = [...waiting]
  for (const { childRunId } of waiting) {
    const child = childRunId === undefined ? undefined : children.get(childRunId)
    if (child === undefined) continue
    const rest = restOf(child)
    if (rest === undefined) return undefined
    found.push(...rest.waiting.map((wait) => ({ ...wait, childRunId: wait.childRunId ?? (childRunId as string) })))
  }
  return { waiting: found, isPaused, key: JSON.stringify([found, isPaused]) }
}

const isSameCall = (one: Pick<Storage.NewRun, "input" | "given">, other: Pick<Storage.NewRun, "input" | "given">): boolean =>
  (one.given !== undefined && one.given === other.given) || isSameInput(one.input, other.input)

const isSameInput = (left: Json | undefined, right: Json | undefined): boolean =>
  left === undefined || right === undefined ? left === right : canonical(left) === canonical(right)

/** The engine as a layer over a store. */
export const layer = (options?: EngineOptions): Layer.Layer<Engine, InvalidSetting, Storage.Storage> =>
  Layer.scoped(Engine, make(options))
