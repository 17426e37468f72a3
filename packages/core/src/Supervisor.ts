/**
 * Wakes runs that nobody works on and that can go on: whose owner died, whose timer is due, whose wait is over, or that were told
 * something. It looks when the store says that something changed, when the next deadline comes, and every now and then for owners
 * that have gone; between that it does nothing. Several supervisors may watch one store: a run is claimed by one.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Engine, type EngineError } from "./Engine.ts"
import { CrashLoop, type ErrorInfo, InvalidWorkflow, StoreError } from "./Errors.ts"
import { infoOf } from "./internal/outbox.ts"
import * as Ticker from "./internal/ticker.ts"
import * as Metrics from "./Metrics.ts"
import type * as Plan from "./Plan.ts"
import type { Definition } from "./RunDriver.ts"
import { type Due, Storage } from "./Storage.ts"

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
      const { name, plan: inner, definition } = node.on.child
      // The services of a child are among those of its parent.
      byName.set(name, definition as Definition<R>)
      addChildren(inner)
    }
  }
  for (const { plan } of workflows) addChildren(plan)
  return { names: [...byName.keys()], find: (name) => byName.get(name) }
}

/** How a supervisor works. */
export interface SupervisorOptions<R> {
  readonly registry: Registry<R>
  /** How often to look for runs whose owner is gone, which no change of the store tells of; 5 seconds unless told. */
  readonly interval?: Duration.DurationInput
  /** Runs worked on at once; 16 unless told. */
  readonly maxConcurrent?: number
  /**
   * How many times in a row a run may be claimed without anything coming of it, because its workflow cannot be loaded or its process dies
   * of it, before it is ended as failed (`CrashLoop`). Counted in the store, so that it survives the supervisor; 5 unless told.
   */
  readonly maxTries?: number
}

/** What a supervisor did with a run. */
export type Action =
  | { readonly _tag: "Resumed"; readonly runId: string; readonly workflow: string }
  | {
      readonly _tag: "Settled"
      readonly runId: string
      readonly workflow: string
      readonly how: "Finished" | "Failed" | "Cancelled" | "Idle"
    }
  /** The run could not be worked on. It is left alone for a while, twice as long each time, at most five minutes. */
  | {
      readonly _tag: "Refused"
      readonly runId: string
      readonly workflow: string
      readonly error: EngineError
      readonly again: number
    }
  /** The run could not be taken up `maxTries` times in a row, and has been ended as failed. */
  | { readonly _tag: "CrashLoop"; readonly runId: string; readonly workflow: string; readonly failure: CrashLoop }
  /** No workflow of this name is registered: said once, of the first of its runs. */
  | { readonly _tag: "Unknown"; readonly runId: string; readonly workflow: string }

/**
 * Takes up runs that nobody works on and that can go on. It keeps nothing of its own but pauses: what it works on when its process dies is
 * taken up by whoever supervises then, and of several supervisors one takes a run.
 */
export interface SupervisorShape {
  /** Looks once, and answers with what it took up; does not wait for what comes of it. */
  readonly look: Effect.Effect<ReadonlyArray<Action>, StoreError>
  /** What it did, as it happens: for logs. Answers with what stops the telling. */
  readonly actions: (listener: (action: Action) => void) => () => void
}

/** A supervisor at work. */
export class Supervisor extends Context.Tag("@smithers/core/Supervisor")<Supervisor, SupervisorShape>() {}

/** The first pause after a run could not be worked on, and the longest (ms). */
const firstPauseMs = 1000
const longestPauseMs = 300_000

interface Pause {
  readonly times: number
  readonly until: number
}

/** Begins to supervise, until the scope closes. Runs that it works on then are suspended, and can be resumed. */
export const make = <R>(options: SupervisorOptions<R>): Effect.Effect<SupervisorShape, never, Engine | Storage | Scope.Scope | R> =>
  Effect.gen(function* () {
    const [engine, storage] = [yield* Engine, yield* Storage]
    const { maxConcurrent = 16, maxTries = 5 } = options
    const intervalMs = Duration.toMillis(options.interval ?? Duration.seconds(5))
    const working = yield* FiberMap.make<string>()
    const pauses = new Map<string, Pause>()
    const unknown = new Set<string>()
    const listeners = new Set<(action: Action) => void>()
    const tell = (action: Action): void => {
      for (const listener of listeners) listener(action)
    }

    /** Runs that were let go of again: then there is room, or a pause to keep. */
    const ended = Ticker.make()
    let count = 0
    const letGo = (): void => {
      count++
      ended.tick()
    }

    /** Leaves a run alone for a while, longer each time. Answers with until when. */
    const pauseFor = (runId: string): Effect.Effect<number> =>
      Effect.gen(function* () {
        const times = (pauses.get(runId)?.times ?? 0) + 1
        const jitter = yield* Random.nextRange(0.8, 1.2)
        const pauseMs = Math.min(firstPauseMs * 2 ** (times - 1), longestPauseMs) * jitter
        const until = Math.ceil((yield* Clock.currentTimeMillis) + pauseMs)
        pauses.set(runId, { times, until })
        return until
      })

    /** Ends a run that cannot be taken up. Where that does not work either, it is tried again after a while. */
    const giveUp = (runId: string, workflow: string, tries: number, error: ErrorInfo | undefined): Effect.Effect<void> => {
      const failure = new CrashLoop({ runId, interruptions: tries, ...(error === undefined ? {} : { error }) })
      return engine.abandon(runId, failure).pipe(
        Effect.flatMap((isEnded) =>
          isEnded
            ? Effect.zipRight(
                Effect.sync(() => {
                  pauses.delete(runId)
                  tell({ _tag: "CrashLoop", runId, workflow, failure })
                }),
                Effect.logError(failure.message),
              )
            : Effect.asVoid(pauseFor(runId)),
        ),
        Effect.catchAll((problem) =>
          Effect.zipRight(pauseFor(runId), Effect.logWarning(`run ${runId} could not be ended: ${problem.message}`)),
        ),
      )
    }

    const work = ({ runId, workflow, tries }: Due, definition: Definition<R>): Effect.Effect<void, never, R> =>
      engine.joinUntilIdle(definition, { runId, create: undefined, revive: [], onIncompatible: "fail", isPatient: false }).pipe(
        Effect.matchEffect({
          onSuccess: ({ _tag }) =>
            Effect.sync(() => {
              pauses.delete(runId)
              tell({ _tag: "Settled", runId, workflow, how: _tag })
            }),
          onFailure: (error) =>
            Effect.gen(function* () {
              // Another process was first, or the run is gone: nothing to do for us.
              if (error._tag === "RunFenced" || error._tag === "RunNotFound") return
              // What the store has against it is not the run's fault.
              if (!Schema.is(StoreError)(error) && tries + 1 >= maxTries) {
                return yield* giveUp(runId, workflow, tries + 1, infoOf(error))
              }
              const again = yield* pauseFor(runId)
              tell({ _tag: "Refused", runId, workflow, error, again })
              yield* Effect.logWarning(`run ${runId} of "${workflow}" could not be resumed: ${error.message}`)
            }),
        }),
      )

    /** Takes up what can go on, and answers with that and with when to look again. */
    const look = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const taken: Array<Action> = []
      // What nobody here can work on now must not stand in the way of the rest, of which a part at a time is answered.
      const resting = [...pauses].filter(([, { until }]) => until > now)
      const leaveOut = {
        workflows: [...unknown],
        runIds: [...working].map(([runId]) => runId).concat(resting.map(([runId]) => runId)),
      }
      const { runs, nextAt } = yield* storage.due(now, leaveOut)
      let again = Math.min(now + intervalMs, nextAt ?? Number.POSITIVE_INFINITY, ...resting.map(([, { until }]) => until))
      for (const found of runs) {
        const { runId, workflow } = found
        if (FiberMap.unsafeHas(working, runId)) continue
        const definition = options.registry.find(workflow)
        if (definition === undefined) {
          if (!unknown.has(workflow)) {
            yield* Effect.logWarning(`no workflow "${workflow}" is registered; its runs are left alone`)
            unknown.add(workflow)
            again = now
            const action = { _tag: "Unknown", runId, workflow } as const
            tell(action)
            taken.push(action)
          }
          continue
        }
        if ((yield* FiberMap.size(working)) >= maxConcurrent) break
        const isHopeless = found.tries >= maxTries
        const taking = isHopeless ? giveUp(runId, workflow, found.tries, undefined) : work(found, definition)
        const fiber = yield* FiberMap.run(working, runId, taking)
        fiber.addObserver(letGo)
        if (isHopeless) continue
        Metrics.runsSupervised.unsafeUpdate(1, [])
        const action = { _tag: "Resumed", runId, workflow } as const
        tell(action)
        taken.push(action)
      }
      return { taken, again }
    })

    const watch = Effect.gen(function* () {
      for (let version = -1; ; ) {
        const seen = count
        const { again } = yield* look
        const pause = Math.max(0, again - (yield* Clock.currentTimeMillis))
        const news = Effect.raceFirst(storage.changes(version), Effect.as(ended.after(seen), version))
        version = yield* Effect.timeoutTo(news, { duration: pause, onSuccess: (later) => later, onTimeout: () => version })
        // What changes together is looked at together.
        yield* Effect.yieldNow()
      }
    })
    yield* watch.pipe(
      Effect.catchAll((error) => Effect.logWarning("the store could not be looked at", error)),
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
      actions: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    }
  })

/** A supervisor as a layer over an engine and its store. */
export const layer = <R>(options: SupervisorOptions<R>): Layer.Layer<Supervisor, never, Engine | Storage | R> =>
  Layer.scoped(Supervisor, make(options))
