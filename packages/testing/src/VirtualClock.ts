/**
 * A clock that stands still until it is moved to the next sleeper. Unlike `TestClock`, it does not poll fibers in real time to
 * detect idleness, which takes milliseconds per sleeper.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

export interface VirtualClock {
  readonly clock: Clock.Clock
  /** Moves to the time of the next sleeper and wakes it; `false` if there is none. Sleepers of one time wake in order. */
  readonly jump: () => boolean
  /** Returns the time of the next sleeper (epoch ms); `undefined` if there is none. */
  readonly next: () => number | undefined
  /** Moves to a time (epoch ms) without waking anyone. Never moves back. */
  readonly moveTo: (at: number) => void
}

/** Creates a clock at a time (epoch ms). */
export const make = (startAt: number): VirtualClock => {
  let now = startAt
  const sleepers = new Set<Sleeper>()
  const nanos = (): bigint => BigInt(now) * 1_000_000n
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: nanos,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.async((resume) => {
        const sleeper: Sleeper = { at: now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
        sleepers.add(sleeper)
        return Effect.sync(() => sleepers.delete(sleeper))
      }),
  }
  const first = (): Sleeper | undefined => {
    let next: Sleeper | undefined
    for (const sleeper of sleepers) if (next === undefined || sleeper.at < next.at) next = sleeper
    // Sleepers without an end never wake.
    return next?.at === Number.POSITIVE_INFINITY ? undefined : next
  }
  const moveTo = (at: number): void => {
    now = Math.max(now, at)
  }
  return {
    clock,
    next: () => first()?.at,
    moveTo,
    jump: () => {
      const next = first()
      if (next === undefined) return false
      sleepers.delete(next)
      moveTo(next.at)
      next.wake()
      return true
    },
  }
}

/** Runs every fiber until it waits: fibers are scheduled as microtasks, and this is a macrotask. */
export const rest: Effect.Effect<void> = Effect.async((resume) => {
  setImmediate(() => resume(Effect.void))
})
