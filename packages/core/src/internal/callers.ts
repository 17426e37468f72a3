/**
 * The graph of runs in a process that wait for each other: a step that executes another run waits for its result. A cycle would
 * deadlock. Engines of one process share the graph, since promise code often uses its own engine. Runs are identified by their
 * id and store.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { RunWaitsForItself } from "../Errors.ts"
import { compositeKey } from "../Ids.ts"

/** A run, identified by its store and its id. */
interface Caller {
  readonly key: string
  readonly runId: string
}

/** The run whose step the current fiber belongs to. A service instead of a FiberRef, which would cost each fork. */
class CurrentRun extends Context.Tag("@smithers/core/CurrentRun")<CurrentRun, Caller>() {}

interface AsyncContext {
  readonly run: <A>(caller: Caller, body: () => A) => A
  readonly getStore: () => Caller | undefined
}

/** The same for promise code, on platforms that track promises: Node from 20.16, and Bun. */
const asyncContext = ((): AsyncContext | undefined => {
  interface Platform {
    readonly process?: {
      readonly getBuiltinModule?: (id: string) => { readonly AsyncLocalStorage: new () => AsyncContext } | undefined
    }
  }
  const hooks = (globalThis as Platform).process?.getBuiltinModule?.("node:async_hooks")
  return hooks === undefined ? undefined : new hooks.AsyncLocalStorage()
})()

/** The runs that each run waits for, once per wait. */
const awaited = new Map<string, Array<string>>()

/** Records that a run waits for another. Returns a function that removes the record. */
const link = (caller: string, other: string): (() => void) => {
  const others = awaited.get(caller) ?? []
  awaited.set(caller, others)
  others.push(other)
  return () => {
    const index = others.indexOf(other)
    if (index >= 0) others.splice(index, 1)
    if (others.length === 0 && awaited.get(caller) === others) awaited.delete(caller)
  }
}

const waitsFor = (key: string, other: string): boolean => {
  const known = new Set([key])
  for (const one of known) {
    if (one === other) return true
    for (const next of awaited.get(one) ?? []) known.add(next)
  }
  return false
}

export interface Callers {
  /** Marks all fibers of an effect as those of a run. */
  readonly within: <A, E, R>(runId: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Calls the code of a step on behalf of a run. */
  readonly entering: (runId: string) => <A>(body: () => A) => A
  /** Waits for another run with an effect. Fails if that run waits, directly or not, for the run whose step calls. */
  readonly waiting: <A, E, R>(runId: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RunWaitsForItself, R>
  /** Records that a run waits for a child run. Returns a function that removes the record. */
  readonly adopt: (runId: string, child: string) => () => void
  /** Tells whether a run waits for another, directly or not. */
  readonly waitsFor: (runId: string, other: string) => boolean
}

/** The runs of a store. `storeId` identifies the store. */
export const make = (storeId: string): Callers => {
  const keyOf = (runId: string): string => compositeKey(storeId, runId)
  const callerOf = (runId: string): Caller => ({ key: keyOf(runId), runId })
  return {
    within: <A, E, R>(runId: string, effect: Effect.Effect<A, E, R>) =>
      Effect.mapInputContext(effect, (context: Context.Context<R>) => Context.add(context, CurrentRun, callerOf(runId))),
    entering: (runId) => {
      const caller = callerOf(runId)
      return (body) => (asyncContext === undefined ? body() : asyncContext.run(caller, body))
    },
    adopt: (runId, child) => link(keyOf(runId), keyOf(child)),
    waitsFor: (runId, other) => waitsFor(keyOf(runId), keyOf(other)),
    waiting: <A, E, R>(runId: string, effect: Effect.Effect<A, E, R>) =>
      Effect.contextWithEffect((context: Context.Context<R>): Effect.Effect<A, E | RunWaitsForItself, R> => {
        const caller = Option.getOrElse(Context.getOption(context, CurrentRun), () => asyncContext?.getStore())
        if (caller === undefined) return effect
        const key = keyOf(runId)
        if (waitsFor(key, caller.key)) return Effect.fail(new RunWaitsForItself({ runId, by: caller.runId }))
        return Effect.acquireUseRelease(
          Effect.sync(() => link(caller.key, key)),
          () => effect,
          (unlink) => Effect.sync(unlink),
        )
      }),
  }
}
