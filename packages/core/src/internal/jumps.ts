/**
 * Jumps of the wall clock. People and time servers set it, and it goes on while a machine sleeps, but timers of the platform count the time
 * in which the process was awake. Whoever waits for a time of day therefore looks at the clock again after a jump.
 *
 * One timer per process looks for all who wait, so that thousands of runs that wait cost no wake-ups of their own.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { liveClock } from "./liveClock.ts"

/** Milliseconds between two looks at the clock: how late a jump is noticed. */
const lookMs = 2000

/** A jump is larger than this (ms). What a busy event loop adds to a look, or a time server to a clock, is smaller. */
const toleranceMs = 500

/** A look that is later than this (ms) is after a sleep of the machine: no event loop is busy for so long. */
const lateMs = 10_000

/** Timers overflow above 2^31 ms; longer waits are made of days. */
export const longestMs = 86_400_000

/** The platform's clock. A test moves its own, which does not jump. */
const listeners = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined
/** The wall clock at the last look, and what it was ahead of the time that the platform counts. */
let wall = 0
let ahead = 0

const look = (): void => {
  const now = Date.now()
  // Where the platform counts the time in which the machine slept, the look itself is late.
  const isLate = now - wall > lateMs
  wall = now
  if (!isLate && Math.abs(now - performance.now() - ahead) <= toleranceMs) return
  ahead = now - performance.now()
  for (const listener of [...listeners]) listener()
}

/** Calls a listener after each jump. Answers with what ends that. */
const onJump = (listener: () => void): (() => void) => {
  listeners.add(listener)
  if (timer === undefined) {
    wall = Date.now()
    ahead = wall - performance.now()
    timer = setInterval(look, lookMs)
    // Looking must not keep a process alive that has nothing else to do.
    if (typeof timer === "object") timer.unref()
  }
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

/** Waits for so many milliseconds, or less: until the clock has jumped, and at most a day. Whoever waits looks at the clock then. */
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

/** Waits until a time (epoch ms), or less, as {@link pause}. */
export const pauseUntil = (at: number): Effect.Effect<void> =>
  Effect.clockWith((clock) => {
    const ms = at - clock.unsafeCurrentTimeMillis()
    return ms <= 0 ? Effect.void : pause(ms)
  })

/** Waits for so many milliseconds of the process, however many they are and whatever becomes of the clock. */
export const sleep = (ms: number): Effect.Effect<void> =>
  ms <= longestMs
    ? Effect.sleep(ms)
    : Effect.zipRight(
        Effect.sleep(longestMs),
        Effect.suspend(() => sleep(ms - longestMs)),
      )
