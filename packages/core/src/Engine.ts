/**
 * The only performer. It opens runs, keeps the claims of those it works on, and has each driven by a fiber of its own
 * (`RunDriver`). Callers join a run: several in one process share its driver, and when the last of them is interrupted the run
 * is suspended, ready to be resumed by anyone.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Json } from "./Codec.ts"
import { InputMismatch, RunEnded, RunFenced, type RunNotFound, type StoreError, WorkflowMismatch } from "./Errors.ts"
import { generateRunId } from "./Ids.ts"
import { canonical } from "./internal/json.ts"
import * as Metrics from "./Metrics.ts"
import * as RunDriver from "./RunDriver.ts"
import type { Waiting } from "./Scheduler.ts"
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

export type EngineError = RunDriver.DriverError | RunNotFound | InputMismatch | WorkflowMismatch

export interface EngineShape {
  /** Starts, resumes or joins a run, and waits for how it ends. */
  readonly join: <R>(
    definition: RunDriver.Definition<R>,
    request: RunRequest,
  ) => Effect.Effect<RunDriver.Settlement, EngineError, R>
  /**
   * The same, but stops waiting as soon as the run itself waits for the world and nothing else can go on. If nobody else works on it
   * here it is suspended then.
   */
  readonly joinUntilIdle: <R>(
    definition: RunDriver.Definition<R>,
    request: RunRequest,
  ) => Effect.Effect<RunDriver.Settlement | Idle, EngineError, R>
  /** Starts, resumes or joins a run and leaves it running for as long as the engine lives. */
  readonly start: <R>(definition: RunDriver.Definition<R>, request: RunRequest) => Effect.Effect<Started, never, R>
  /** Asks for a run to be cancelled and waits until it has stopped. */
  readonly cancel: <R>(
    definition: RunDriver.Definition<R>,
    runId: string,
    reason: string | undefined,
  ) => Effect.Effect<void, EngineError | RunEnded, R>
}

/** A run that can go on only when something comes from outside. */
export interface Idle {
  readonly _tag: "Idle"
  readonly waiting: ReadonlyArray<Waiting>
}

/** A run at work in this process. */
export interface Started {
  /** Completes once nothing of the run can go on before something comes from outside. */
  readonly idle: Effect.Effect<Idle, StoreError>
  readonly settled: Effect.Effect<RunDriver.Settlement, EngineError>
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
}

/** Runs workflows on a store. */
export class Engine extends Context.Tag("@smithers/core/Engine")<Engine, EngineShape>() {}

interface Active {
  readonly create: Storage.NewRun | undefined
  readonly workflow: string | undefined
  readonly settled: Deferred.Deferred<RunDriver.Settlement, EngineError>
  readonly control: RunDriver.Control
  driver: Fiber.RuntimeFiber<unknown, unknown> | undefined
  joined: number
  /** The last caller left: the run is being suspended, and whoever comes now opens it again. */
  isLeaving: boolean
}

/** How long to wait for news of a run that another process works on, before looking at its lease again. */
const followInterval = Duration.seconds(1)

/** Makes an engine; it suspends its runs when the scope closes. */
export const make = (options: EngineOptions = {}): Effect.Effect<EngineShape, never, Storage.Storage | Scope.Scope> =>
  Effect.gen(function* () {
    const storage = yield* Storage.Storage
    const scope = yield* Effect.scope
    const leaseMs = Duration.toMillis(options.lease ?? Duration.seconds(30))
    const settings = { maxConcurrency: options.maxConcurrency ?? 4, leaseMs }
    const actives = new Map<string, Active>()

    const owned = (): Array<{ readonly runId: string; readonly epoch: number }> =>
      [...actives].flatMap(([runId, active]) =>
        active.control.epoch === undefined ? [] : [{ runId, epoch: active.control.epoch }],
      )

    const renewLeases = Effect.gen(function* () {
      const claims = owned()
      if (claims.length === 0) return
      const now = yield* Clock.currentTimeMillis
      for (const runId of yield* storage.renew(claims, now + leaseMs)) actives.get(runId)?.control.fence()
    })
    yield* renewLeases.pipe(
      Effect.catchAllCause((cause) => Effect.logWarning("leases could not be renewed", cause)),
      Effect.schedule(Schedule.spaced(Duration.millis(leaseMs / 3))),
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
      Effect.catchAll((error) => Effect.logWarning("the store could not be watched", error)),
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

    const open = (request: RunRequest) =>
      Effect.gen(function* () {
        let { revive } = request
        for (let version = yield* storage.changes(-1); ; ) {
          const now = yield* Clock.currentTimeMillis
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

    const drive = <R>(definition: RunDriver.Definition<R>, request: RunRequest, control: RunDriver.Control) =>
      Effect.gen(function* () {
        const opened = yield* open(request)
        switch (opened._tag) {
          case "Mismatch":
            return yield* request.create === undefined || opened.workflow === request.create.workflow
              ? new InputMismatch({ runId: request.runId })
              : new WorkflowMismatch({ runId: request.runId, workflow: request.create.workflow, stored: opened.workflow })
          case "Ended":
            return yield* RunDriver.recall(storage, definition, request.runId)
          case "Created":
          case "Claimed":
            yield* Metric.increment(opened._tag === "Created" ? Metrics.runsStarted : Metrics.runsResumed)
            return yield* RunDriver.drive(storage, definition, {
              runId: request.runId,
              epoch: opened.epoch,
              created: opened._tag === "Created" ? request.create : undefined,
              onIncompatible: request.onIncompatible,
              maxConcurrency: definition.maxConcurrency ?? settings.maxConcurrency,
              control,
            })
        }
      })

    const enter = <R>(definition: RunDriver.Definition<R>, request: RunRequest): Effect.Effect<Active, EngineError, R> =>
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
          if (create !== undefined && running.create !== undefined && !isSameInput(create.input, running.create.input)) {
            return new InputMismatch({ runId })
          }
          if (create === undefined || running.create !== undefined) return Effect.succeed(running)
          // Taken up by its id alone: its input is the one it was started with.
          return Effect.flatMap(storage.inspect(runId), ({ input }) =>
            isSameInput(create.input, input as Json | undefined) ? Effect.succeed(running) : new InputMismatch({ runId }),
          )
        }
        const active: Active = {
          create,
          workflow: definition.name,
          settled: Deferred.unsafeMake(FiberId.none),
          control: RunDriver.control(),
          driver: undefined,
          joined: 0,
          isLeaving: false,
        }
        actives.set(runId, active)
        const driven: Effect.Effect<RunDriver.Settlement, EngineError, R> = Effect.uninterruptible(
          drive(definition, request, active.control),
        ).pipe(
          Effect.onExit((exit) => {
            if (actives.get(runId) === active) actives.delete(runId)
            return Effect.zipRight(Metric.set(Metrics.runsActive, actives.size), Deferred.done(active.settled, exit))
          }),
          Effect.withSpan("smithers.run", { attributes: { "smithers.run_id": runId, "smithers.workflow": definition.name ?? "" } }),
        ) as Effect.Effect<RunDriver.Settlement, EngineError, R>
        return startWatch.pipe(
          Effect.zipRight(Metric.set(Metrics.runsActive, actives.size)),
          Effect.zipRight(Effect.forkIn(driven, scope)),
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
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(enter(definition, request), (active) => {
          active.joined++
          return Effect.onInterrupt(restore(Deferred.await(active.settled)), () => leave(active))
        }),
      )

    /** Waits until a run has nothing left to do here, commands that are on their way included. */
    const idle = (runId: string, { control }: Active): Effect.Effect<Idle, StoreError> =>
      Effect.gen(function* () {
        for (let seen = -1; ; seen = yield* control.commits.after(seen)) {
          if (control.waiting.length === 0) continue
          const { waiting } = control
          const isTold = (yield* storage.inbox).some((command) => command.runId === runId)
          if (!isTold && control.waiting === waiting) return { _tag: "Idle", waiting } as const
        }
      })

    const joinUntilIdle: EngineShape["joinUntilIdle"] = (definition, request) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(enter(definition, request), (active) => {
          active.joined++
          const ended = Effect.raceFirst(Deferred.await(active.settled), idle(request.runId, active))
          return Effect.onInterrupt(restore(ended), () => leave(active)).pipe(
            Effect.tap((result) => (result._tag === "Idle" ? leave(active) : Effect.void)),
          )
        }),
      )

    return {
      join,
      joinUntilIdle,
      start: (definition, request) =>
        Effect.matchEffect(enter(definition, request), {
          onFailure: (error) => Effect.succeed({ settled: Effect.fail(error), idle: Effect.never, commits: () => Effect.never }),
          onSuccess: (active) =>
            Effect.sync(() => {
              active.joined++
              const settled = Deferred.await(active.settled)
              return { settled, idle: idle(request.runId, active), commits: active.control.commits.after }
            }),
        }),
      cancel: (definition, runId, reason) =>
        Effect.gen(function* () {
          const [id, at] = [yield* generateRunId, yield* Clock.currentTimeMillis]
          yield* storage.deliver({ id, runId, at, command: { _tag: "Cancel", ...(reason === undefined ? {} : { reason }) } })
          const settlement = yield* join(definition, { runId, create: undefined, revive: [], onIncompatible: "rerun" })
          if (settlement._tag !== "Cancelled") return yield* new RunEnded({ runId, status: settlement._tag.toLowerCase() })
        }),
    }
  })

const isSameInput = (left: Json | undefined, right: Json | undefined): boolean =>
  left === undefined || right === undefined ? left === right : canonical(left) === canonical(right)

/** The engine as a layer over a store. */
export const layer = (options?: EngineOptions): Layer.Layer<Engine, never, Storage.Storage> => Layer.scoped(Engine, make(options))
