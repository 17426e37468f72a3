/**
 * A clock that stands still until it is told to go on to the next sleeper. Unlike `TestClock` it does not poll fibers in real
 * time to find out whether they have come to rest, which takes milliseconds for each sleeper.
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
  /** Goes to the time of the next sleeper and wakes it; `false` when nobody sleeps. Of several at one time the first to sleep is the first. */
  readonly jump: () => boolean
  /** The time of the next sleeper (epoch ms); `undefined` when nobody sleeps. */
  readonly next: () => number | undefined
  /** Goes to a time (epoch ms), and wakes nobody. Never goes back. */
  readonly moveTo: (at: number) => void
}

/** Makes a clock that stands at a time (epoch ms). */
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
    // Nobody is woken at the end of time.
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

/** Lets every fiber run until it waits for something: they are scheduled as microtasks, and this is a macrotask. */
export const rest: Effect.Effect<void> = Effect.async((resume) => {
  setImmediate(() => resume(Effect.void))
})
