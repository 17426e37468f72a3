/**
 * Turns of the event loop. Fibers continue in microtasks, so work without I/O would keep the process from signals, timers and
 * commands. Work between steps therefore gives the loop a turn once the last one is {@link longestMs} ago.
 *
 * The time between turns is the platform's. Under a test clock no time passes between steps, and no turn is due.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { liveClock } from "./liveClock.ts"

/** Longest unbroken work between two turns (ms). A turn costs some microseconds, a tenth of a percent of that. */
const longestMs = 10

/**
 * Limit before several attempts start (ms). It is lower, so that a turn comes before they begin and not between them, which
 * would split their frame.
 */
const beforeManyMs = 5

let turnedAt = 0

const later: (call: () => void) => unknown = typeof setImmediate === "function" ? setImmediate : (call) => setTimeout(call, 0)

/** Tells whether the loop is due a turn. */
export const isDue = (clock: Clock.Clock, afterMs: number = longestMs): boolean =>
  clock === liveClock && performance.now() - turnedAt >= afterMs

/** Fibers that wait for the next turn. */
let waiting: Array<() => void> = []

/**
 * Gives the event loop a turn: due timers, I/O and signals come first. All waiting fibers continue at the same moment, so that
 * attempts which start together still end together and are committed in one frame.
 */
export const turn: Effect.Effect<void> = Effect.async((resume) => {
  waiting.push(() => resume(Effect.void))
  if (waiting.length > 1) return
  later(() => {
    turnedAt = performance.now()
    const resumed = waiting
    waiting = []
    for (const goOn of resumed) goOn()
  })
})

/** Tells whether an attempt may begin at once: no turn is due. Never under a test clock, whose work goes on fiber by fiber. */
export const mayBegin = (clock: Clock.Clock): boolean => clock === liveClock && performance.now() - turnedAt < longestMs

/** Tells whether several attempts may begin at once. */
export const mayBeginMany = (clock: Clock.Clock): boolean => clock === liveClock && performance.now() - turnedAt < beforeManyMs

/** Continues with an effect, after a turn if one is due then. */
export const before = <A, E, R>(clock: Clock.Clock, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => (isDue(clock) ? Effect.zipRight(turn, effect) : effect))

/** Continues with an effect at once, after a turn if one is due soon. Use it before several attempts start. */
export const beforeMany = <A, E, R>(clock: Clock.Clock, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  isDue(clock, beforeManyMs) ? Effect.zipRight(turn, effect) : effect
