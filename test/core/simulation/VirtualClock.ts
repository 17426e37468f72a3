/**
 * A clock that stands still until it is told to jump to the next sleeper. Unlike `TestClock` it does not poll fibers in real
 * time to find out whether they have come to rest, which would take seconds per hundred runs.
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
  /** Goes to the time of the next sleeper and wakes it; `false` when nobody sleeps. */
  readonly jump: () => boolean
}

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
  const jump = (): boolean => {
    let next: Sleeper | undefined
    for (const sleeper of sleepers) if (next === undefined || sleeper.at < next.at) next = sleeper
    if (next === undefined) return false
    sleepers.delete(next)
    now = Math.max(now, next.at)
    next.wake()
    return true
  }
  return { clock, jump }
}

/** Lets every fiber run until it waits for something: they are scheduled as microtasks, and this is a macrotask. */
export const rest: Effect.Effect<void> = Effect.async((resume) => {
  setImmediate(() => resume(Effect.void))
})
