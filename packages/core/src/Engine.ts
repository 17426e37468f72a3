/**
 * The only performer. It opens runs, keeps the claims of those it works on, and has each driven by a fiber of its own
 * (`RunDriver`). Callers join a run: several in one process share its driver, and when the last of them is interrupted the run
 * is suspended, ready to be resumed by anyone.
 */
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
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { Definition } from "./Definition.ts"
import {
  type DriverError,
  InputMismatch,
  type InvalidSetting,
  RunEnded,
  RunFenced,
  type StoreError,
  WorkflowMismatch,
} from "./Errors.ts"
import { generateRunId } from "./Ids.ts"
import { type Active, atRest } from "./internal/active.ts"
import * as Callers from "./internal/callers.ts"
import * as Children from "./internal/children.ts"
import * as Control from "./internal/control.ts"
import * as Leases from "./internal/leases.ts"
import { liveClock } from "./internal/liveClock.ts"
import { isBegunWith, isSameCall } from "./internal/origin.ts"
import * as Suspects from "./internal/suspects.ts"
import * as Tracing from "./internal/tracing.ts"
import * as Metrics from "./Metrics.ts"
import * as Millis from "./Millis.ts"
import * as RunDriver from "./RunDriver.ts"
import type * as RunReader from "./RunReader.ts"
import * as RunRequest from "./RunRequest.ts"
import type * as RunResult from "./RunResult.ts"
import * as Settings from "./Settings.ts"
import * as Status from "./Status.ts"
import * as Storage from "./Storage.ts"

/**
 * Why a run could not be worked on; how a run ended is no error of the engine's. Beside those of the driver: there is no such run and nothing
 * to start it from (`RunNotFound`), or its id is that of a run with another input (`InputMismatch`) or of another workflow
 * (`WorkflowMismatch`). The run is as it was, and can be resumed.
 */
export type EngineError = DriverError

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
    request: RunRequest.RunRequest,
  ) => Effect.Effect<RunResult.EndedResult<unknown>, EngineError, R>
  /**
   * The same, but stops waiting as soon as the run is paused or waits for something from outside, and nothing else can go on. If nobody else works
   * on it here it is suspended then.
   */
  readonly joinUntilIdle: <R>(
    definition: Definition<R>,
    request: RunRequest.RunRequest,
  ) => Effect.Effect<RunResult.RunResult<unknown>, EngineError, R>
  /** Starts, resumes or joins a run and leaves it running for as long as the engine lives. */
  readonly start: <R>(definition: Definition<R>, request: RunRequest.RunRequest) => Effect.Effect<Started, never, R>
  /** What a run was begun with; `undefined` where there is none of this id. */
  readonly origin: (runId: string) => Effect.Effect<RunReader.Origin | undefined, StoreError>
  /**
   * Child runs of a run, or of its child runs, that are worked on here and that no run waits for (`attach: false`). They stop where they are when the
   * engine closes, and go on when the run that started them is run again, or when a supervisor resumes them.
   */
  readonly detached: (runId: string) => Effect.Effect<ReadonlyArray<string>>
  /** Waits until nothing of those {@link detached} child runs goes on here before something comes from outside. */
  readonly detachedResting: (runId: string) => Effect.Effect<void, StoreError>
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
   * runs to whoever asks for them. Default: 30 seconds, far above any pause of a healthy process, short enough for a takeover within the
   * minute. A process that died on the same machine is noticed at once, without waiting for the lease. Under a clock that a test moves the
   * default is no end: other processes do not go by that clock, and renewals would tick in time that it skips.
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

/**
 * How long to wait for news of a run that another process works on, before looking at its lease again: the lease may end early, as the
 * process is no longer there. Under a clock that a test moves, all processes are this one, and tell of what they let go of.
 */
const followInterval = Duration.seconds(1)

/** Makes an engine; it suspends its runs when the scope closes. Fails where a setting is none. */
export const make = (options: EngineOptions = {}): Effect.Effect<EngineShape, InvalidSetting, Storage.NarrowPorts | Scope.Scope> =>
  Effect.gen(function* () {
    const ports = yield* Storage.runPorts
    const { store, ownership, inbox, reader } = ports
    const scope = yield* Effect.scope
    const clock = yield* Effect.clock
    const leaseMs =
      options.lease === undefined && clock !== liveClock
        ? Millis.longest
        : yield* Settings.duration("lease", options.lease, "30 seconds")
    const graceMs = yield* Settings.duration("grace", options.grace, "5 seconds", Millis.zero)
    const settings = { maxConcurrency: yield* Settings.count("maxConcurrency", options.maxConcurrency, 4), leaseMs }
    const actives = new Map<string, Active>()
    // Runs are let go of side by side: what one needs to stop must not add up over all of them.
    const drivers = yield* Scope.fork(scope, ExecutionStrategy.parallel)

    yield* Leases.renewing(ownership, actives, leaseMs)

    // Commands reach runs of this process whoever delivered them. The watch begins with the first run.
    const dispatch = Effect.map(inbox.pending, (commands) => {
      for (const command of commands) actives.get(command.runId)?.control.deliver(command)
    })
    const watch = Effect.iterate(-1, {
      while: () => true,
      body: (version) => Effect.tap(inbox.changes(version), () => (actives.size === 0 ? Effect.void : dispatch)),
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

    const callers = Callers.make(store.place)
    const suspects = Suspects.make(callers.waitsFor)

    const open = (request: RunRequest.RunRequest) =>
      Effect.gen(function* () {
        const { runId, create } = request
        let { reopen } = request
        for (let version = yield* inbox.changes(-1); ; ) {
          const now = yield* Millis.now
          const opened = yield* ownership.open({ runId, create, reopen, leaseMs, now })
          if (opened._tag !== "Owned") return opened
          if (!request.waitForOwner) return yield* new RunFenced({ runId, epoch: 0 })
          // Whoever works on it decides how it ends; a failure there is not taken up again here.
          reopen = []
          const left = Duration.millis(Math.max(1, opened.until - now))
          const wait = clock === liveClock ? Duration.min(followInterval, left) : left
          version = yield* Effect.interruptible(
            Effect.timeoutTo(inbox.changes(version), {
              duration: wait,
              onSuccess: (news) => news,
              onTimeout: () => version,
            }),
          )
        }
      })

    const drive = <R>(
      definition: Definition<R>,
      request: RunRequest.RunRequest,
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
          (yield* isBegunWith(reader, definition, create, request.runId))
        )
          opened = yield* open({ ...request, create: undefined })
        switch (opened._tag) {
          case "Mismatch":
            return yield* request.create === undefined || opened.workflow === request.create.workflow
              ? new InputMismatch({ runId: request.runId })
              : new WorkflowMismatch({ runId: request.runId, workflow: request.create.workflow, stored: opened.workflow })
          case "Ended":
            // Somebody may have resumed it meanwhile.
            return (yield* recall(definition, request.runId, active)) ?? (yield* drive(definition, request, active))
          case "Created":
          case "Claimed":
            return yield* RunDriver.drive(ports, definition, {
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
                  Effect.forEach([...active.children.values()], release, { concurrency: "unbounded", discard: true }),
                ),
              ),
            )
        }
      })

    /** The result of a run that has ended. Child runs that it has left to themselves, and that nobody works on, are worked on here. */
    const recall = <R>(definition: Definition<R>, runId: string, active: Active) =>
      Effect.gen(function* () {
        const ended = yield* RunDriver.recall(store, definition, runId)
        if (ended === undefined) return undefined
        const left = yield* RunDriver.detached(ports, definition, runId)
        yield* Effect.forEach(left, startChild(active), { discard: true })
        return ended
      }) as Effect.Effect<RunResult.EndedResult<unknown> | undefined, EngineError, R>

    /** Finds a run at work here, or begins to work on it. The caller counts as one who waits for it, until it {@link release}s. */
    const acquire = <R>(definition: Definition<R>, request: RunRequest.RunRequest): Effect.Effect<Active, EngineError, R> =>
      Effect.suspend((): Effect.Effect<Active, EngineError, R> => {
        const { runId, create } = request
        const running = actives.get(runId)
        if (running?.isReleasing === true) {
          return Effect.zipRight(Effect.exit(Deferred.await(running.settled)), acquire(definition, request))
        }
        if (running !== undefined) {
          // A name that only a plan will tell is compared by the driver; here the run has one already.
          if (running.workflow !== undefined && definition.name !== undefined && running.workflow !== definition.name) {
            return new WorkflowMismatch({ runId, workflow: definition.name, stored: running.workflow })
          }
          running.refCount++
          if (create === undefined || (running.create !== undefined && isSameCall(create, running.create)))
            return Effect.succeed(running)
          return isBegunWith(reader, definition, create, runId, running.create).pipe(
            Effect.filterOrFail(
              (isSame) => isSame,
              () => new InputMismatch({ runId }),
            ),
            Effect.as(running),
            Effect.onError(() => release(running)),
          )
        }
        const active: Active = {
          create,
          workflow: definition.name,
          settled: Deferred.unsafeMake(FiberId.none),
          control: Control.make(),
          children: new Map(),
          driver: undefined,
          refCount: 1,
          ancestors: [],
          isReleasing: false,
          obstacles: new Map(),
        }
        actives.set(runId, active)
        const worked = Effect.uninterruptible(callers.within(runId, drive(definition, request, active))).pipe(
          Effect.onExit((exit) => {
            if (actives.get(runId) === active) actives.delete(runId)
            return Effect.zipRight(Metric.set(Metrics.runsActive, actives.size), Deferred.done(active.settled, exit))
          }),
        ) as Effect.Effect<RunResult.EndedResult<unknown>, EngineError, R>
        const place = { runId, workflow: definition.name ?? create?.workflow ?? "" }
        const driven = Effect.flatMap(Tracing.isTraced, (isTraced) =>
          Tracing.at(
            place,
            isTraced,
            isTraced ? Tracing.within("smithers.run", { attributes: place }, worked, Tracing.endOfRun) : worked,
          ),
        )
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

    const release = (active: Active): Effect.Effect<void> =>
      Effect.suspend(() => {
        active.refCount--
        if (active.refCount > 0 || active.driver === undefined) return Effect.void
        active.isReleasing = true
        return Effect.asVoid(Fiber.interrupt(active.driver))
      })

    const detached = new Map<string, Active>()
    const detachedOf = (runId: string): ReadonlyArray<readonly [string, Active]> =>
      [...detached].filter(([, { ancestors }]) => ancestors.includes(runId))
    const startChild = Children.make({ ports, scope, callers, detached, acquire })
    yield* Effect.addFinalizer(() =>
      Effect.forEach(
        detached,
        ([runId, { control }]) =>
          control.waiting.length > 0 || control.isPaused
            ? Effect.void
            : Effect.logWarning(
                `Run "${runId}" is not over and stops here: no run waits for it, and this process ends. It goes on when the run that started it is run again, or with: smithers up --resume ${runId}`,
              ),
        { discard: true },
      ),
    )

    const join: EngineShape["join"] = (definition, request) =>
      callers.waiting(
        request.runId,
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(acquire(definition, request), (active) =>
            Effect.onInterrupt(restore(Deferred.await(active.settled)), () => release(active)),
          ),
        ),
      )

    /** Waits until nothing of a run goes on here. A child run that cannot be worked on is in the way: then the run stops with its error. */
    const resting = (runId: string, active: Active): Effect.Effect<RunResult.RestingResult, StoreError> =>
      Effect.flatMap(atRest(inbox, runId, active), (rest) => (active.obstacles.size === 0 ? Effect.succeed(rest) : Effect.never))

    const joinUntilIdle: EngineShape["joinUntilIdle"] = (definition, request) =>
      callers.waiting(
        request.runId,
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(acquire(definition, request), (active) => {
            const ended = Effect.raceFirst(Deferred.await(active.settled), resting(request.runId, active))
            const isSettled = (exit: Exit.Exit<RunResult.RunResult<unknown>, unknown>) =>
              Exit.isSuccess(exit) && Status.isEnded(exit.value.status)
            return Effect.onExit(restore(ended), (exit) => (isSettled(exit) ? Effect.void : release(active)))
          }),
        ),
      )

    return {
      origin: reader.origin,
      detached: (runId) => Effect.sync(() => detachedOf(runId).map(([childRunId]) => childRunId)),
      detachedResting: (runId) =>
        Effect.gen(function* () {
          const rested = new Set<Active>()
          for (;;) {
            const others = detachedOf(runId).filter(([, active]) => !rested.has(active))
            if (others.length === 0) return
            const rest = ([childRunId, active]: readonly [string, Active]) =>
              Effect.raceFirst(Effect.exit(Deferred.await(active.settled)), atRest(inbox, childRunId, active))
            yield* Effect.forEach(others, rest, { concurrency: "unbounded", discard: true })
            for (const [, active] of others) rested.add(active)
          }
        }),
      join,
      joinUntilIdle,
      start: (definition, request) =>
        Effect.matchEffect(acquire(definition, request), {
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
          const isOver = yield* Effect.as(inbox.deliver({ id, runId, at, command }), false).pipe(
            Effect.catchTag("RunEnded", (error) => (error.status === "cancelled" ? Effect.succeed(true) : error)),
          )
          if (isOver) return
          const { status } = yield* join(definition, RunRequest.join(runId, { onIncompatible: "rerun" }))
          if (status !== "cancelled") return yield* new RunEnded({ runId, status })
        }),
    }
  })

/** The engine as a layer over a store. */
export const layer = (options?: EngineOptions): Layer.Layer<Engine, InvalidSetting, Storage.NarrowPorts> =>
  Layer.scoped(Engine, make(options))
