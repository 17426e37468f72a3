/**
 * Which runs of a process wait for which: a step that executes another run waits for its end. A run that waits for itself in this way would do
 * so for ever.
 */
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { RunWaitsForItself } from "../Errors.ts"

/** The run whose step the current fiber is of. Code that is a promise, and starts fibers of its own, is of none. */
const current: FiberRef.FiberRef<string | undefined> = FiberRef.unsafeMake<string | undefined>(undefined)

/** Marks all fibers of an effect as those of a run. */
export const within = <A, E, R>(runId: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.locally(effect, current, runId)

export interface Callers {
  /** Waits for another run with an effect. Fails where that one waits, through however many others, for the run whose step asks. */
  readonly waiting: <A, E, R>(runId: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RunWaitsForItself, R>
  /** Whether a run waits for another, through however many others. */
  readonly waitsFor: (runId: string, other: string) => boolean
}

/** Makes the graph, empty. `childrenOf` are the child runs that a run waits for. */
export const make = (childrenOf: (runId: string) => Iterable<string>): Callers => {
  const called = new Map<string, Array<string>>()
  const waitsFor = (runId: string, other: string): boolean => {
    const known = new Set([runId])
    for (const one of known) {
      if (one === other) return true
      for (const next of called.get(one) ?? []) known.add(next)
      for (const next of childrenOf(one)) known.add(next)
    }
    return false
  }
  return {
    waitsFor,
    waiting: <A, E, R>(runId: string, effect: Effect.Effect<A, E, R>) =>
      Effect.flatMap(FiberRef.get(current), (caller): Effect.Effect<A, E | RunWaitsForItself, R> => {
        if (caller === undefined) return effect
        if (waitsFor(runId, caller)) return Effect.fail(new RunWaitsForItself({ runId, by: caller }))
        const calls = called.get(caller) ?? []
        called.set(caller, calls)
        calls.push(runId)
        const over = Effect.sync(() => {
          calls.splice(calls.indexOf(runId), 1)
          if (calls.length === 0) called.delete(caller)
        })
        return Effect.ensuring(effect, over)
      }),
  }
}
