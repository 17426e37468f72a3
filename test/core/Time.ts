/** Time in tests passes only as far as a test says. */
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
