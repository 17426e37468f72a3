import { describe, expect, it } from "@effect/vitest"
import type { ErrorInfo } from "@smithers/core/ErrorInfo"
import type { InvalidDelay } from "@smithers/core/Errors"
import * as RetryPolicy from "@smithers/core/RetryPolicy"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"

/** An error as it is kept. */
const named = (name: string): ErrorInfo => ({ name, message: "", retryable: true })

const policy = (options: RetryPolicy.RetryOptions): RetryPolicy.RetryPolicy =>
  Either.getOrThrowWith(RetryPolicy.fromOptions(options), (problem) => new Error(problem))

/** The delays a policy gives, one failure after the other, at most `limit`; each attempt fails 5 ms after it was made. */
const delays = <R>(
  driven: RetryPolicy.RetryPolicy<R>,
  { limit = 20, errors = [] as ReadonlyArray<ErrorInfo> } = {},
): Effect.Effect<ReadonlyArray<number>, InvalidDelay, R> =>
  Effect.gen(function* () {
    const given: Array<number> = []
    let driver = RetryPolicy.start(driven)
    for (let now = 1_000_000; given.length < limit; ) {
      const step = yield* RetryPolicy.next(driver, now, errors[given.length] ?? named("Error"))
      if (step.retryAt === undefined) return given
      given.push(step.retryAt - now)
      driver = step.driver
      now = step.retryAt + 5
    }
    return given
  })

describe("a policy from options", () => {
  it.effect("is by default three retries from one second, doubling, give or take a fifth", () =>
    Effect.gen(function* () {
      for (let seed = 0; seed < 50; seed++) {
        const given = yield* Effect.withRandom(delays(RetryPolicy.standard), Random.make(seed))
        expect(given).toHaveLength(3)
        for (const [retry, delay] of given.entries()) {
          expect(delay).toBeGreaterThanOrEqual(800 * 2 ** retry)
          expect(delay).toBeLessThanOrEqual(1200 * 2 ** retry)
        }
      }
      expect(RetryPolicy.standard.shown).toBeUndefined()
    }),
  )

  it.effect.each<[what: string, options: RetryPolicy.RetryOptions, delays: ReadonlyArray<number>]>([
    ["exponentially", { maxAttempts: 5 }, [1000, 2000, 4000, 8000]],
    ["exponentially by another factor", { maxAttempts: 4, initialDelay: "10ms", factor: 3 }, [10, 30, 90]],
    ["downwards", { maxAttempts: 4, initialDelay: "1s", factor: 0.5 }, [1000, 500, 250]],
    ["linearly", { maxAttempts: 5, backoff: "linear", initialDelay: 100 }, [100, 200, 300, 400]],
    ["not at all", { maxAttempts: 4, backoff: "constant", initialDelay: "2 minutes" }, [120_000, 120_000, 120_000]],
    ["up to a limit", { maxAttempts: 6, initialDelay: "1s", maxDelay: "3s" }, [1000, 2000, 3000, 3000, 3000]],
    ["from nothing", { maxAttempts: 3, initialDelay: 0 }, [0, 0]],
    ["up to the default limit", { maxAttempts: 4, initialDelay: "2m" }, [120_000, 240_000, 300_000]],
    ["from a delay beyond the default limit, which then is the limit", { initialDelay: "1h" }, [3_600_000, 3_600_000, 3_600_000]],
    ["from a delay beyond a limit that was asked for", { maxAttempts: 3, initialDelay: "1h", maxDelay: "10m" }, [600_000, 600_000]],
    ["and may be made once only", { maxAttempts: 2, initialDelay: "7s" }, [7000]],
    ["and may not be made at all", { maxAttempts: 1 }, []],
  ])("grows its delays %s", ([, options, expected]) =>
    Effect.gen(function* () {
      expect(yield* delays(policy({ jitter: false, ...options }))).toEqual(expected)
    }),
  )

  it.effect("may go on for ever, and its delays stay finite", () =>
    Effect.gen(function* () {
      const given = yield* delays(policy({ maxAttempts: Number.POSITIVE_INFINITY, jitter: false }), { limit: 2000 })
      expect(given).toHaveLength(2000)
      expect(given.slice(9).every((delay) => delay === 300_000)).toBe(true)
      const zero = yield* delays(policy({ maxAttempts: Number.POSITIVE_INFINITY, initialDelay: 0, jitter: false }), { limit: 2000 })
      expect(zero.every((delay) => delay === 0)).toBe(true)
    }),
  )

  it.effect("spreads its delays over the whole of the fifth on both sides, and never past the longest delay", () =>
    Effect.gen(function* () {
      const given: Array<number> = []
      const capped: Array<number> = []
      for (let seed = 0; seed < 200; seed++) {
        const one = { maxAttempts: 2, initialDelay: "10s" } as const
        given.push(...(yield* Effect.withRandom(delays(policy(one)), Random.make(seed))))
        capped.push(...(yield* Effect.withRandom(delays(policy({ ...one, maxDelay: "10s" })), Random.make(seed))))
      }
      expect(Math.min(...given)).toBeGreaterThanOrEqual(8000)
      expect(Math.min(...given)).toBeLessThan(8200)
      expect(Math.max(...given)).toBeLessThanOrEqual(12_000)
      expect(Math.max(...given)).toBeGreaterThan(11_800)
      expect(Math.max(...capped)).toBeLessThanOrEqual(10_000)
      expect(Math.max(...capped)).toBeGreaterThan(9_900)
      expect(new Set(capped.map(Math.floor)).size).toBeGreaterThan(150)
    }),
  )

  it.effect("spreads a delay beyond the default limit around itself, and not below it", () =>
    Effect.gen(function* () {
      const given: Array<number> = []
      for (let seed = 0; seed < 200; seed++) {
        const initialDelay = seed % 2 === 0 ? 270_000 : 3_600_000
        const [delay = 0] = yield* Effect.withRandom(delays(policy({ maxAttempts: 2, initialDelay })), Random.make(seed))
        given.push(delay / initialDelay)
      }
      expect(Math.min(...given)).toBeLessThan(0.85)
      expect(Math.min(...given)).toBeGreaterThanOrEqual(0.8)
      expect(Math.max(...given)).toBeGreaterThan(1.15)
      expect(Math.max(...given)).toBeLessThanOrEqual(1.2)
    }),
  )

  it("shows itself in full", () => {
    expect(policy({ initialDelay: "1h" }).shown).toEqual({ ...RetryPolicy.defaults, initialDelay: "1h", maxDelay: "1h" })
    expect(policy({ maxAttempts: 7 }).shown).toEqual({ ...RetryPolicy.defaults, maxAttempts: 7 })
  })

  it.each<[options: unknown, problem: string]>([
    [{ maxAttempts: 0 }, "retry.maxAttempts must be a whole number of at least 1, or Infinity"],
    [{ maxAttempts: -1 }, "retry.maxAttempts must be a whole number of at least 1, or Infinity"],
    [{ maxAttempts: Number.NaN }, "retry.maxAttempts must be a whole number of at least 1, or Infinity"],
    [{ initialDelay: "soon" }, `retry.initialDelay "soon" is not a duration`],
    [{ maxDelay: -1 }, `retry.maxDelay -1 is not a duration`],
    [{ maxDelay: Number.POSITIVE_INFINITY }, "retry.maxDelay Infinity is not a duration"],
    [{ factor: 0 }, "retry.factor must be greater than 0"],
    [{ factor: Number.NaN }, "retry.factor must be greater than 0"],
    [{ factor: Number.POSITIVE_INFINITY }, "retry.factor must be greater than 0"],
    [{ factor: "2" }, "retry.factor must be greater than 0"],
    [{ jitter: "no" }, "retry.jitter must be true or false"],
    [{ jitter: 1 }, "retry.jitter must be true or false"],
    [{ jitter: null }, "retry.jitter must be true or false"],
    [{ maxAttempts: "3" }, "retry.maxAttempts must be a whole number of at least 1, or Infinity"],
    [{ maxAttempts: 2.5 }, "retry.maxAttempts must be a whole number of at least 1, or Infinity"],
    [{ maxAttempts: true }, "retry.maxAttempts must be a whole number of at least 1, or Infinity"],
    [{ initialDelay: null }, "retry.initialDelay null is not a duration"],
    [{ initialDelay: {} }, "retry.initialDelay [object Object] is not a duration"],
    [{ initialDelay: 1e300 }, "retry.initialDelay 1e+300 is longer than 8.64e15 ms"],
    [{ maxDelay: Duration.infinity }, "retry.maxDelay Infinity is not a duration"],
    [{ backoff: ["linear"] }, `retry.backoff must be "exponential", "linear" or "constant"`],
    [{ backoff: "constructor" }, `retry.backoff must be "exponential", "linear" or "constant"`],
    [
      { attempts: 3 },
      'retry has no option "attempts"; there are maxAttempts, backoff, initialDelay, maxDelay, factor, jitter, while',
    ],
    [{ backoff: "fibonacci" }, `retry.backoff must be "exponential", "linear" or "constant"`],
    [{ initialDelay: -5n }, `retry.initialDelay -5 is not a duration`],
  ])("is refused for %o", (options, problem) => {
    expect(RetryPolicy.fromOptions(options as RetryPolicy.RetryOptions)).toEqual(Either.left(problem))
  })
})

class Fast extends Context.Tag("test/Fast")<Fast, boolean>() {}

describe("a policy from a schedule", () => {
  const from = <R>(schedule: Schedule.Schedule<unknown, ErrorInfo, R>) => delays(RetryPolicy.fromSchedule(schedule))

  it.effect("follows it", () =>
    Effect.gen(function* () {
      expect(yield* from(Schedule.recurs(2))).toEqual([0, 0])
      expect(yield* from(Schedule.intersect(Schedule.exponential("1 second"), Schedule.recurs(3)))).toEqual([1000, 2000, 4000])
      expect(yield* from(Schedule.fromDelays("5 millis", "7 millis"))).toEqual([5, 7])
      expect(yield* from(Schedule.stop)).toEqual([])
      expect(yield* from(Schedule.andThen(Schedule.recurs(1), Schedule.fromDelay("9 millis")))).toEqual([0, 9])
      expect(RetryPolicy.fromSchedule(Schedule.stop).shown).toBe("schedule")
    }),
  )

  it.effect("may go by the time that has passed and by the clock", () =>
    Effect.gen(function* () {
      const upTo = Schedule.intersect(Schedule.spaced("10 millis"), Schedule.recurUpTo("40 millis"))
      expect(yield* from(upTo)).toEqual([10, 10, 10])
      expect((yield* from(Schedule.fixed("100 millis"))).slice(0, 3)).toEqual([100, 95, 95])
    }),
  )

  it.effect("is given the error of each failure", () =>
    Effect.gen(function* () {
      const busy = Schedule.recurWhile(({ name }: ErrorInfo) => name === "Busy")
      const errors = ["Busy", "Busy", "Broken", "Busy"].map(named)
      expect(yield* delays(RetryPolicy.fromSchedule(busy), { errors })).toEqual([0, 0])
    }),
  )

  it.effect("may ask for services", () =>
    Effect.gen(function* () {
      const schedule = Schedule.delayedEffect(Schedule.recurs(2), () => Effect.map(Fast, (fast) => (fast ? "1 millis" : "1 hour")))
      expect(yield* Effect.provideService(from(schedule), Fast, true)).toEqual([1, 1])
      expect(yield* Effect.provideService(from(schedule), Fast, false)).toEqual([3_600_000, 3_600_000])
    }),
  )

  it.effect("never asks for a time that is over", () =>
    Effect.gen(function* () {
      const step = yield* RetryPolicy.next(RetryPolicy.start(RetryPolicy.fromSchedule(Schedule.recurs(1))), 123.5, named("Error"))
      expect(step.retryAt).toBe(124)
    }),
  )
})

describe("a policy taken up again from stored failures", () => {
  const policies: ReadonlyArray<readonly [string, RetryPolicy.RetryPolicy]> = [
    ["options", policy({ maxAttempts: 6, jitter: false })],
    ["linear options", policy({ maxAttempts: 9, backoff: "linear", initialDelay: 3, maxDelay: 20, jitter: false })],
    ["a schedule", RetryPolicy.fromSchedule(Schedule.intersect(Schedule.fibonacci("10 millis"), Schedule.recurs(5)))],
    ["a schedule of two parts", RetryPolicy.fromSchedule(Schedule.andThen(Schedule.recurs(2), Schedule.spaced("1 minute")))],
    ["a schedule by the time passed", RetryPolicy.fromSchedule(Schedule.recurUpTo("1 second"))],
    ["a schedule by the error", RetryPolicy.fromSchedule(Schedule.recurWhile(({ name }: ErrorInfo) => name !== "3"))],
  ]
  const failures = FastCheck.array(FastCheck.record({ after: FastCheck.nat(700), error: FastCheck.nat(4) }), { maxLength: 12 })

  for (const [what, made] of policies) {
    it.effect.prop(
      `stands where it stood: ${what}`,
      { all: failures, cut: FastCheck.nat(12) },
      ({ all, cut }) =>
        Effect.gen(function* () {
          const told: Array<{ readonly at: number; readonly error: ErrorInfo }> = []
          for (const { after, error } of all) told.push({ at: (told.at(-1)?.at ?? 5000) + after, error: named(`${error}`) })
          const tell = (driver: RetryPolicy.Driver, from: number) =>
            Effect.gen(function* () {
              const retries: Array<number | undefined> = []
              let current = driver
              for (const { at, error } of told.slice(from)) {
                const step = yield* RetryPolicy.next(current, at, error)
                retries.push(step.retryAt)
                if (step.retryAt === undefined) break
                current = step.driver
              }
              return retries
            })
          const live = yield* tell(RetryPolicy.start(made), 0)
          if (live.length <= cut) return
          const resumed = yield* tell(yield* RetryPolicy.replay(made, told.slice(0, cut)), cut)
          expect(resumed).toEqual(live.slice(cut))
        }),
      { fastCheck: { seed: 20_260_101 } },
    )
  }

  it.effect("has as many retries left with jitter, each within its bounds", () =>
    Effect.gen(function* () {
      const stored = [1000, 3000].map((at) => ({ at, error: named("Error") }))
      let driver = yield* RetryPolicy.replay(RetryPolicy.standard, stored)
      const third = yield* RetryPolicy.next(driver, 10_000, named("Error"))
      expect(third.retryAt).toBeGreaterThanOrEqual(13_200)
      expect(third.retryAt).toBeLessThanOrEqual(14_800)
      driver = third.driver
      expect((yield* RetryPolicy.next(driver, 20_000, named("Error"))).retryAt).toBeUndefined()
    }),
  )

  it.effect("is at its start without failures", () =>
    Effect.gen(function* () {
      const driver = yield* RetryPolicy.replay(RetryPolicy.none, [])
      expect(driver).toEqual(RetryPolicy.start(RetryPolicy.none))
      expect((yield* RetryPolicy.next(driver, 1, named("Error"))).retryAt).toBeUndefined()
    }),
  )
})
