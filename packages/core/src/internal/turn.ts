/**
 * Turns of the event loop. Fibers go on in microtasks, so that work without I/O would never let the process hear a signal, a timer or
 * a command. Work between steps therefore gives the loop a turn once the last one is {@link longestMs} ago.
 *
 * The time between turns is the platform's. Under a clock that a test moves no time passes between steps, and no turn is due.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"

/** The longest unbroken work between two turns, in milliseconds. A turn costs some microseconds, a hundredth of a percent of that. */
const longestMs = 10

const liveClock = Context.get(DefaultServices.liveServices, Clock.Clock)

let turnedAt = 0

const later: (call: () => void) => unknown = typeof setImmediate === "function" ? setImmediate : (call) => setTimeout(call, 0)

const isDue = (clock: Clock.Clock): boolean => clock === liveClock && performance.now() - turnedAt >= longestMs

/** Gives the event loop a turn: timers that are due, I/O and signals come first. */
const turn: Effect.Effect<void> = Effect.async((resume) => {
  later(() => {
    turnedAt = performance.now()
    resume(Effect.void)
  })
})

/** Goes on with an effect, after a turn where one is due. */
export const before = <A, E, R>(clock: Clock.Clock, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => (isDue(clock) ? Effect.zipRight(turn, effect) : effect))
