/** Time in tests passes only as far as a test says. */

import * as VirtualClock from "@smithers/testing/VirtualClock"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"

/** Lets time pass while an effect runs, and waits for it. */
export const passing = <A, E, R>(duration: Duration.DurationInput, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust(duration)
    return yield* Fiber.join(fiber)
  })

/** Seconds since the test began. */
export const seconds: Effect.Effect<number> = Effect.map(Clock.currentTimeMillis, (now) => now / 1000)

/** Lets everything that needs no time happen. */
export const quiet: Effect.Effect<void> = TestClock.adjust(0)

/**
 * Lets every fiber go on until it waits for something, so that what has not happened then does not happen by itself. One turn of the
 * event loop is enough for all that fibers and stores pass on as microtasks, however many; the others are for what would take a turn.
 */
export const rest: Effect.Effect<void> = Effect.repeatN(VirtualClock.rest, 9)

/** Waits until something is so that needs no time, and fails with its name where it does not come to be. */
export const settled = <E = never, R = never>(
  what: string,
  condition: () => boolean | Effect.Effect<boolean, E, R>,
): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    for (let turn = 0; turn < 10_000; turn++) {
      const found = condition()
      if (typeof found === "boolean" ? found : yield* found) return
      // What never comes to rest leaves the event loop no turn for long.
      yield* turn % 100 === 99 ? VirtualClock.rest : Effect.yieldNow()
    }
    return yield* Effect.dieMessage(`waited in vain until ${what}`)
  })
