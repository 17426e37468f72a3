/**
 * Drives runs. An engine claims runs, renews their leases, and has a fiber per run drive it (`RunDriver`). Callers join a run:
 * several in one process share its driver. When the last of them is interrupted, the run is suspended and can be resumed by any
 * process.
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
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type * as Budget from "./Budget.ts"
import type { CodeGeneration, CodeIdentity } from "./CodeGeneration.ts"
import type { Definition } from "./Definition.ts"
import * as EffectVersion from "./EffectVersion.ts"
import {
  type DriverError,
  EffectMismatch,
  InputMismatch,
  type InvalidSetting,
  type ReloadRefused,
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
import * as Outbox from "./internal/outbox.ts"
import type * as Reload from "./internal/reload.ts"
import * as Scoring from "./internal/scoring.ts"
import * as SlotQueue from "./internal/slotQueue.ts"
import * as Suspects from "./internal/suspects.ts"
import * as Tracing from "./internal/tracing.ts"
import type { Chain } from "./internal/workplace.ts"
import * as Limits from "./Limits.ts"
import * as Metrics from "./Metrics.ts"
import * as Millis from "./Millis.ts"
import * as RedactedTelemetry from "./RedactedTelemetry.ts"
import * as RunDriver from "./RunDriver.ts"
import type * as RunReader from "./RunReader.ts"
import * as RunRequest from "./RunRequest.ts"
import type * as RunResult from "./RunResult.ts"
import * as SecretSettings from "./SecretSettings.ts"
import * as Settings from "./Settings.ts"
import * as Status from "./Status.ts"
import * as Storage from "./Storage.ts"

/**
 * The errors of driving a run; a failure of the run itself is a result, not an error. Beside those of the driver: the run does
 * not exist and there is nothing to start it from (`RunNotFound`). Or its id belongs to a run of another input
 * (`InputMismatch`) or of another workflow (`WorkflowMismatch`). The run is unchanged and can be resumed.
 */
export type EngineError = DriverError

/**
 * Drives runs. At most one process drives a run: it holds a claim, and writes under a lost claim fail with `RunFenced`.
 * Interrupting the work or closing the engine leaves the run `suspended`. After a crash the next request for the run takes it
 * over: at once on the same machine, otherwise when the lease ends.
 */
export interface EngineShape {
  /**
   * Starts, resumes or joins a run, and waits for its result. A run that has ended answers with the stored result, unless the
   * request reopens it. Interrupting the last caller suspends the run.
   */
  readonly join: <R>(
    definition: Definition<R>,
    request: RunRequest.RunRequest,
  ) => Effect.Effect<RunResult.EndedResult<unknown>, EngineError, R>
  /**
   * Like `join`, but also returns when the run is paused, or waits for something outside and can do nothing else. The run is
   * suspended then, unless other callers here have joined it.
   */
  readonly joinUntilIdle: <R>(
    definition: Definition<R>,
    request: RunRequest.RunRequest,
  ) => Effect.Effect<RunResult.RunResult<unknown>, EngineError, R>
  /** Starts, resumes or joins a run, and drives it for as long as the engine lives. */
  readonly start: <R>(definition: Definition<R>, request: RunRequest.RunRequest) => Effect.Effect<Started, never, R>
  /** Reads the initial data of a run; `undefined` if it does not exist. */
  readonly origin: (runId: string) => Effect.Effect<RunReader.Origin | undefined, StoreError>
  /**
   * Detached child runs (`attach: false`) of a run and its descendants that this process drives. They stop when the engine
   * closes, and continue when their parent is run again or a supervisor resumes them.
   */
  readonly detached: (runId: string) => Effect.Effect<ReadonlyArray<string>>
  /** Waits until the {@link detached} child runs have ended or wait for something outside. */
  readonly detachedResting: (runId: string) => Effect.Effect<void, StoreError>
  /** Waits until the scorers that this process has started have ended. */
  readonly scored: Effect.Effect<void>
  /**
   * Requests the cancellation of a run and waits until the run has stopped. The request is durable before it waits, so a crash
   * does not undo it.
   */
  readonly cancel: <R>(
    definition: Definition<R>,
    runId: string,
    reason: string | undefined,
  ) => Effect.Effect<void, EngineError | RunEnded, R>
  /**
   * Notes the code that a run is about to be driven with. It is recorded as a generation when the run begins or is resumed here.
   */
  readonly noteCode: (runId: string, code: CodeIdentity) => Effect.Effect<void>
  /**
   * Replaces the code of a run that this process drives, and of its child runs, at their next frame. Attempts in flight end with the
   * code that they began with. First all of them plan with the new code: if one cannot, fails with `ReloadRefused` and all go
   * on with the old code. A child run that the new plan has not keeps its code. Returns one entry per run, the given one first;
   * none if this process does not drive it. After a crash, resuming the run with any code derives its plan from what is stored.
   */
  readonly reload: (
    runId: string,
    definition: Definition<unknown>,
    code: CodeIdentity,
  ) => Effect.Effect<ReadonlyArray<Reloaded>, ReloadRefused>
  /** Stops work on a run here whose claim was taken: its callers fail with `RunFenced`. */
  readonly fence: (runId: string) => Effect.Effect<void>
}

/** A run whose code was replaced. */
export interface Reloaded {
  readonly runId: string
  /** Number of the code, counted by reloads; the one that a run begins with is 0. */
  readonly generation: number
  /** Finished nodes that the new plan has. */
  readonly kept: number
  /** Nodes that only the new plan has. */
  readonly added: number
  /** Nodes that only the old plan has. */
  readonly removed: number
}

/** A run that this process drives. */
export interface Started {
  /**
   * Completes when the run is paused, or waits for something outside and can do nothing else. Child runs that wait in this
   * process are replaced by their own waits.
   */
  readonly resting: Effect.Effect<RunResult.RestingResult, StoreError>
  readonly settled: Effect.Effect<RunResult.EndedResult<unknown>, EngineError>
  /** Completes with the number of frames committed here once it is above the given one. */
  readonly commits: (after: number) => Effect.Effect<number>
}

/** Options of an engine. */
export interface EngineOptions {
  /**
   * Lease of a claim; it is renewed three times per lease. A process that stalls for longer loses its runs to the next process
   * that asks for them. A process that died on the same machine is noticed at once. Default: 30 seconds, far above any pause of
   * a healthy process, and short enough for a takeover within a minute. Default under a test clock: no end, since other
   * processes do not follow that clock.
   */
  readonly lease?: Duration.DurationInput
  /** Most attempts in flight, and attached child runs at work, per run. The number of runs is unlimited. Default: 4. */
  readonly maxConcurrency?: number
  /**
   * Longest time an interrupted attempt may take to clean up before the run continues without it. A promise is notified by its
   * `signal`. Compensations, retries and the release of the run wait for it. Default: 5 seconds.
   */
  readonly grace?: Duration.DurationInput
  /** `false` runs steps although their outputs are cached, and caches the new outputs instead. Default: true. */
  readonly cache?: boolean
  /** Budget of the agents of all runs of the store, per day in UTC. Default: none. */
  readonly dailyBudget?: Budget.Options
  /**
   * Limits that all runs of the store share, by name: `{ anthropic: { concurrency: 4, perMinute: 50 } }`. Steps, agents and tools name
   * them with `limit`. The last process that configured a limit decides for all.
   */
  readonly limits?: Limits.LimitSettings
  /**
   * Secrets besides the keys of providers: names of variables, or values by name. In all that is stored, logged, traced and printed their names stand for their values.
   * They are those of the whole process, and known until it ends. Default: none.
   */
  readonly secrets?: SecretSettings.Settings
  /**
   * `true` takes a snapshot of the workspace before and after each attempt of every step, `false` takes none. Workflows and steps may say
   * otherwise. Default: around attempts of agents that can write, in a git work tree.
   */
  readonly snapshots?: boolean
}

/** The names of the options of an engine. */
export const optionNames: Settings.Names<EngineOptions> = {
  lease: true,
  maxConcurrency: true,
  grace: true,
  cache: true,
  dailyBudget: true,
  limits: true,
  secrets: true,
  snapshots: true,
}

/** Drives the runs of a store. */
export class Engine extends Context.Tag("@smithers/core/Engine")<Engine, EngineShape>() {}

/**
 * Pause between two looks at the lease of a run that another process owns; it may end early if that process dies. Under a test
 * clock all processes are this one, which notifies of each release.
 */
const followInterval = Duration.seconds(1)

/** Makes an engine. It suspends its runs when the scope closes. Fails with `InvalidSetting` for an invalid option, and with a `StoreError` if limits cannot be stored. */
export const make = (
  options: EngineOptions = {},
): Effect.Effect<EngineShape, InvalidSetting | StoreError, Storage.NarrowPorts | Scope.Scope> =>
  Effect.gen(function* () {
    const ports = yield* Storage.runPorts
    const { store, ownership, inbox, reader } = ports
    const scope = yield* Effect.scope
    const clock = yield* Effect.clock
    const foreign = yield* EffectVersion.problemOfProgram
    if (foreign?.isFatal === true) return yield* Effect.die(new EffectMismatch({ problem: foreign.problem }))
    if (foreign !== undefined) yield* Effect.logWarning(foreign.problem)
    yield* Settings.only("the engine", options, optionNames)
    yield* SecretSettings.warn([...SecretSettings.addEnvironment(), ...(yield* SecretSettings.addSettings(options.secrets))])
    const leaseMs =
      options.lease === undefined && clock !== liveClock
        ? Millis.longest
        : yield* Settings.duration("lease", options.lease, "30 seconds")
    const graceMs = yield* Settings.duration("grace", options.grace, "5 seconds", Millis.zero)
    const snapshots = options.snapshots === undefined ? undefined : yield* Settings.flag("snapshots", options.snapshots, true)
    const readsCache = yield* Settings.flag("cache", options.cache, true)
    const dailyBudget = options.dailyBudget === undefined ? undefined : yield* Settings.budget("dailyBudget", options.dailyBudget)
    const settings = { maxConcurrency: yield* Settings.count("maxConcurrency", options.maxConcurrency, 4), leaseMs }
    const limits = yield* Limits.read(options.limits)
    if (Object.keys(limits).length > 0) yield* Effect.flatMap(Millis.now, (now) => ports.slots.configureLimits(limits, now))
    const slots = yield* SlotQueue.make(ports.slots, inbox)
    const actives = new Map<string, Active>()
    /** Code of runs that are about to be driven. */
    const noted = new Map<string, CodeGeneration>()
    // Runs end before the scorers of their last steps.
    const scoring = yield* Scoring.make({ scores: ports.scores, journal: ports.journal, slots, graceMs, dailyBudget })
    // Runs are released in parallel, so that their grace periods do not add up.
    const drivers = yield* Scope.fork(scope, ExecutionStrategy.parallel)

    yield* Leases.renewing(ownership, actives, leaseMs)

    // Dispatches commands to the runs of this process, whichever process delivered them. The watch starts with the first run.
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

    const callers = Callers.make(store.storeId)
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
          // The owner decides how the run ends; a failure there is not reopened here.
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

    /** Completes a revert of the run that a crash has cut off. Costs one read where there is none. */
    const settle = <R>(definition: Definition<R>, runId: string, epoch: number) =>
      Effect.onError(
        Effect.gen(function* () {
          const reverts = yield* ports.snapshots.reverts(runId)
          if (reverts.every(({ state }) => state !== "planned")) return
          const { settle } = yield* Effect.promise(() => import("./Revert.ts"))
          yield* settle(ports, definition, runId, epoch, reverts)
        }),
        () => Effect.flatMap(Millis.now, (now) => Effect.ignore(ownership.release(runId, epoch, now))),
      ) as Effect.Effect<void, EngineError, R>

    /** Drives a run to its end, through all runs that it goes on as. */
    const drive = <R>(
      definition: Definition<R>,
      request: RunRequest.RunRequest,
      active: Active,
    ): Effect.Effect<RunResult.EndedResult<unknown>, EngineError, R> =>
      Effect.gen(function* () {
        // A loop, since each call would be kept until the last run has ended.
        for (let next = request; ; ) {
          const ended = yield* driveOne(definition, next, active)
          if (ended.status !== "continued") return ended
          const { successor } = ended
          const other = actives.get(successor)
          if (other !== undefined && other !== active) return yield* joining(active, other)
          rekey(active, successor)
          // A run that was asked for by an earlier one of its ids is reopened as asked; one that is new has nothing to reopen.
          const isAsked = !active.hasDriven
          next = { ...next, runId: successor, create: undefined, ...(isAsked ? {} : { reopen: [], deadline: undefined }) }
        }
      })
    /** Drives this instead of a run that has gone on. */
    const rekey = (active: Active, runId: string): void => {
      const { runId: before } = active
      if (actives.get(before) === active) actives.delete(before)
      actives.set(runId, active)
      const code = noted.get(before)
      noted.delete(before)
      if (code !== undefined) noted.set(runId, code)
      active.runId = runId
      if (!active.ancestors.includes(active.firstRunId)) active.ancestors = [active.firstRunId, ...active.ancestors]
      Control.renew(active.control)
      active.disown?.()
      active.disown = active.firstRunId === runId ? undefined : callers.adopt(active.firstRunId, runId)
    }
    /** Waits for the end of a run that another fiber drives. */
    const joining = (active: Active, other: Active): Effect.Effect<RunResult.EndedResult<unknown>, EngineError> =>
      Effect.suspend(() => {
        other.refCount++
        active.forward = other
        if (actives.get(active.runId) === active) actives.delete(active.runId)
        const unlink = other.control.commits.link(active.control.commits)
        active.control.commits.bump()
        return Effect.interruptible(Deferred.await(other.settled)).pipe(
          Effect.onInterrupt(() => release(other)),
          Effect.ensuring(Effect.sync(unlink)),
        )
      })
    const driveOne = <R>(
      definition: Definition<R>,
      request: RunRequest.RunRequest,
      active: Active,
    ): Effect.Effect<RunResult.EndedResult<unknown> | RunResult.Continued, EngineError, R> =>
      Effect.gen(function* () {
        const { control } = active
        const { create } = request
        let opened = yield* open(request)
        // The schema may have gained a default since: the stored input is decoded with the current one.
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
          case "Continued":
            return { status: "continued", runId: request.runId, successor: opened.runId } as const
          case "Ended":
            // Another process may have resumed it meanwhile.
            return (yield* recall(definition, request.runId, active)) ?? (yield* driveOne(definition, request, active))
          case "Created":
          case "Claimed":
            active.hasDriven = true
            if (opened._tag === "Claimed") yield* settle(definition, request.runId, opened.epoch)
            return yield* RunDriver.drive(ports, definition, {
              runId: request.runId,
              epoch: opened.epoch,
              created: opened._tag === "Created" ? request.create : undefined,
              onIncompatible: request.onIncompatible,
              deadline: request.deadline,
              isForReopened: request.isForReopened,
              maxConcurrency: settings.maxConcurrency,
              code: active.code,
              onCode: (code) => {
                active.code = code
              },
              control,
              suspects,
              slots,
              scoring,
              callers,
              graceMs,
              readsCache,
              snapshots,
              dailyBudget,
              places: active.places,
              startChild: startChild(active),
            }).pipe(
              Effect.ensuring(
                Effect.suspend(() =>
                  active.children.size === 0
                    ? Effect.void
                    : Effect.forEach([...active.children.values()], release, { concurrency: "unbounded", discard: true }),
                ),
              ),
            )
        }
      })

    /** The result of a run that has ended. Its detached child runs without an owner are driven here. */
    const recall = <R>(definition: Definition<R>, runId: string, active: Active) =>
      Effect.gen(function* () {
        const ended = yield* RunDriver.recall(store, definition, runId)
        if (ended === undefined) return undefined
        const left = yield* RunDriver.detached(ports, definition, runId)
        yield* Effect.forEach(left, startChild(active), { discard: true })
        yield* RunDriver.scoreEnded(ports, definition, runId, scoring)
        return ended
      }) as Effect.Effect<RunResult.EndedResult<unknown> | undefined, EngineError, R>

    /** Finds a run that this process drives, or starts to drive it. Counts the caller as a reference until it {@link release}s. */
    const acquire = <R>(
      definition: Definition<R>,
      request: RunRequest.RunRequest,
      code: CodeGeneration | undefined = noted.get(request.runId),
      places: Chain | undefined = undefined,
    ): Effect.Effect<Active, EngineError, R> =>
      Effect.suspend((): Effect.Effect<Active, EngineError, R> => {
        const { runId, create } = request
        const running = actives.get(runId)
        if (running?.isReleasing === true) {
          return Effect.zipRight(Effect.exit(Deferred.await(running.settled)), acquire(definition, request, code, places))
        }
        if (running !== undefined) {
          // A name that only the plan has is compared by the driver; this run has a name already.
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
          runId,
          firstRunId: runId,
          forward: undefined,
          hasDriven: false,
          disown: undefined,
          create,
          places,
          workflow: definition.name,
          settled: Deferred.unsafeMake(FiberId.none),
          control: Control.make(),
          children: new Map(),
          code,
          driver: undefined,
          refCount: 1,
          ancestors: [],
          isReleasing: false,
          obstacles: new Map(),
        }
        actives.set(runId, active)
        const worked = Effect.uninterruptible(callers.within(runId, drive(definition, request, active))).pipe(
          Effect.onExit((exit) => {
            if (actives.get(active.runId) === active) actives.delete(active.runId)
            noted.delete(active.runId)
            active.disown?.()
            Metrics.runsActive.unsafeUpdate(actives.size, [])
            return Deferred.done(active.settled, exit)
          }),
        ) as Effect.Effect<RunResult.EndedResult<unknown>, EngineError, R>
        const annotations = { runId, workflow: definition.name ?? create?.workflow ?? "" }
        const driven = Effect.flatMap(Tracing.isTraced, (isTraced) =>
          RedactedTelemetry.within(
            isTraced,
            Tracing.at(
              annotations,
              isTraced,
              isTraced ? Tracing.within("smithers.run", { attributes: annotations }, worked, Tracing.endOfRun) : worked,
            ),
          ),
        )
        Metrics.runsActive.unsafeUpdate(actives.size, [])
        return startWatch.pipe(
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
                `Run "${runId}" has not ended and stops here: no run waits for it, and this process ends. It continues when the run that started it is run again, or with: smithers up --resume ${runId}`,
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

    /** Waits until a run is at rest. A child run that cannot be driven prevents that; the run then stops with its error. */
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

    type NewCode = Omit<Reload.Offer, "reply">
    /** Offers code to a run and then to its child runs. */
    const offer = (runId: string, given: NewCode): Effect.Effect<ReadonlyArray<Answered>, ReloadRefused> =>
      Effect.gen(function* () {
        const active = actives.get(runId)
        if (active === undefined || active.isReleasing) return []
        const reply = yield* Deferred.make<Reload.Accepted, ReloadRefused>()
        active.control.offer({ ...given, reply })
        const over = Effect.as(Effect.exit(Deferred.await(active.settled)), undefined)
        const accepted = yield* Effect.raceFirst(Deferred.await(reply), over)
        if (accepted === undefined) return []
        const below = yield* Effect.forEach(accepted.children, (child) =>
          // Once its parent has taken over the code, a child run that came to need the old one keeps it.
          Effect.catchAll(offer(child.runId, { ...given, definition: Outbox.definitionOf(child) }), (refused) =>
            given.generation === undefined ? refused : Effect.as(Effect.logWarning(refused.message), []),
          ),
        )
        return [{ runId, ...accepted }, ...below.flat()]
      })
    /** One reload at a time, so that generations are taken over in order. */
    const reloading = yield* Effect.makeSemaphore(1)
    const reload: EngineShape["reload"] = (runId, definition, code) =>
      reloading.withPermits(1)(
        Effect.gen(function* () {
          const tried = yield* offer(runId, { definition, code, generation: undefined })
          if (tried.length === 0) return []
          const generation = Math.max(...tried.map(({ before }) => before)) + 1
          const taken = yield* offer(runId, { definition, code, generation })
          return taken.map(({ runId, kept, added, removed }) => ({ runId, generation, kept, added, removed }))
        }),
      )

    return {
      noteCode: (runId, code) => Effect.sync(() => noted.set(runId, { generation: 0, code })),
      reload,
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
      scored: scoring.idle,
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
      fence: (runId) => Effect.sync(() => actives.get(runId)?.control.fence()),
      cancel: (definition, runId, reason) =>
        Effect.gen(function* () {
          const [id, at] = [yield* generateRunId, yield* Millis.now]
          const command = { _tag: "Cancel", ...(reason === undefined ? {} : { reason }) } as const
          // An earlier cancellation, by anyone, satisfies the request.
          const isOver = yield* Effect.as(inbox.deliver({ id, runId, at, command }), false).pipe(
            Effect.catchTag("RunEnded", (error) => (error.status === "cancelled" ? Effect.succeed(true) : error)),
          )
          if (isOver) return
          const { status } = yield* join(definition, RunRequest.join(runId, { onIncompatible: "rerun" }))
          if (status !== "cancelled") return yield* new RunEnded({ runId, status })
        }),
    }
  })

/** A run that has answered an offer of new code. */
interface Answered extends Reload.Accepted {
  readonly runId: string
}

/** An engine as a layer over a store. */
export const layer = (options?: EngineOptions): Layer.Layer<Engine, InvalidSetting | StoreError, Storage.NarrowPorts> =>
  Layer.scoped(Engine, make(options))
