/**
 * Jumps of the wall clock. People and time servers set it, and it advances while a machine sleeps, but platform timers only
 * count the time the process was awake. So a wait for a time of day reads the clock again after a jump.
 *
 * One timer per process watches for all waits, so that thousands of waiting runs cause no wake-ups of their own.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { liveClock } from "./liveClock.ts"

/** Interval between two looks at the clock (ms): the longest delay until a jump is noticed. */
const lookMs = 2000

/** Least size of a jump (ms). Delays of a busy event loop and corrections by a time server are smaller. */
const toleranceMs = 500

/** Delay of a look (ms) that shows that the machine slept: no event loop is busy for so long. */
const lateMs = 10_000

/** Timers overflow above 2^31 ms; longer waits are split into days. */
export const longestMs = 86_400_000

/** Listeners on the platform's clock. A test clock does not jump. */
const listeners = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined
/** The wall clock at the last look, and its lead over the monotonic clock. */
let wall = 0
let ahead = 0

const look = (): void => {
  const now = Date.now()
  // If the platform counts the time the machine slept, the look itself is late.
  const isLate = now - wall > lateMs
  wall = now
  if (!isLate && Math.abs(now - performance.now() - ahead) <= toleranceMs) return
  ahead = now - performance.now()
  for (const listener of [...listeners]) listener()
}

/** Calls a listener after each jump. Returns a function that removes it. */
const onJump = (listener: () => void): (() => void) => {
  listeners.add(listener)
  if (timer === undefined) {
    wall = Date.now()
    ahead = wall - performance.now()
    timer = setInterval(look, lookMs)
    // The timer must not keep an idle process alive.
    if (typeof timer === "object") timer.unref()
  }
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

/** Waits for `ms` milliseconds, until the clock jumps, or for a day, whichever is first. Read the clock afterwards. */
export const pause = (ms: number): Effect.Effect<void> =>
  Effect.clockWith((clock) => {
    const shortMs = Math.min(Math.max(0, ms), longestMs)
    if (clock !== liveClock) return clock.sleep(Duration.millis(shortMs))
    return Effect.async((resume) => {
      const end = (): void => {
        leave()
        resume(Effect.void)
      }
      const sleep = setTimeout(end, shortMs)
      const stop = onJump(end)
      const leave = (): void => {
        clearTimeout(sleep)
        stop()
      }
      return Effect.sync(leave)
    })
  })

/** Waits until a time (epoch ms), or less, like {@link pause}. */
export const pauseUntil = (at: number): Effect.Effect<void> =>
  Effect.clockWith((clock) => {
    const ms = at - clock.unsafeCurrentTimeMillis()
    return ms <= 0 ? Effect.void : pause(ms)
  })

/** Waits for any number of milliseconds of process time, regardless of the wall clock. */
export const sleep = (ms: number): Effect.Effect<void> =>
  ms <= longestMs
    ? Effect.sleep(ms)
    : Effect.zipRight(
        Effect.sleep(longestMs),
        Effect.suspend(() => sleep(ms - longestMs)),
      )
