/**
 * Turns of the event loop. Fibers go on in microtasks, so that work without I/O would never let the process hear a signal, a timer or
 * a command. Work between steps therefore gives the loop a turn once the last one is {@link longestMs} ago.
 *
 * The time between turns is the platform's. Under a clock that a test moves no time passes between steps, and no turn is due.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { liveClock } from "./liveClock.ts"

/** The longest unbroken work between two turns, in milliseconds. A turn costs some microseconds, a tenth of a percent of that. */
const longestMs = 10

/**
 * The same for whoever starts several attempts: earlier, so that a turn comes before they begin and not between them, where it would tear
 * apart what begins, ends and is committed together.
 */
const beforeManyMs = 5

let turnedAt = 0

const later: (call: () => void) => unknown = typeof setImmediate === "function" ? setImmediate : (call) => setTimeout(call, 0)

const isDue = (clock: Clock.Clock, afterMs: number): boolean => clock === liveClock && performance.now() - turnedAt >= afterMs

/** Fibers that wait for the turn that is coming. */
let waiting: Array<() => void> = []

/**
 * Gives the event loop a turn: timers that are due, I/O and signals come first. Whoever waits for it goes on at the same moment, so that
 * attempts begun together still end together and are committed in one frame.
 */
const turn: Effect.Effect<void> = Effect.async((resume) => {
  waiting.push(() => resume(Effect.void))
  if (waiting.length > 1) return
  later(() => {
    turnedAt = performance.now()
    const resumed = waiting
    waiting = []
    for (const goOn of resumed) goOn()
  })
})

/** Goes on with an effect, after a turn where one is due then. */
export const before = <A, E, R>(clock: Clock.Clock, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => (isDue(clock, longestMs) ? Effect.zipRight(turn, effect) : effect))

/** Goes on with an effect at once, after a turn where one is due or will be before several attempts that are about to begin are over. */
export const beforeMany = <A, E, R>(clock: Clock.Clock, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  isDue(clock, beforeManyMs) ? Effect.zipRight(turn, effect) : effect
