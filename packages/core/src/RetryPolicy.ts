/**
 * When a failed attempt is made again. A policy is an Effect `Schedule`, driven one step per failure; because a step of a
 * schedule depends only on the failures before it, a policy can be brought back to where it was from the stored attempts.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as Intervals from "effect/ScheduleIntervals"

/** A duration as people write it: `"500ms"`, `"30s"`, `"2m"`, `"1h"`, `"1d"`, or any Effect `DurationInput`. */
export type DurationLike = Duration.DurationInput | `${number}${"ms" | "s" | "m" | "h" | "d"}`

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Reads a {@link DurationLike}; `None` when it is not one, or is negative or not finite. */
export const duration = (input: DurationLike): Option.Option<Duration.Duration> => {
  const short = typeof input === "string" ? /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(input) : null
  const parsed =
    short === null
      ? Duration.decodeUnknown(input)
      : Option.some(Duration.millis(Number(short[1]) * units[short[2] as keyof typeof units]))
  return Option.filter(parsed, (value) => Duration.isFinite(value) && !isNegative(input))
}

/** `Duration` itself takes everything below 0, and NaN, for 0. */
const isNegative = (input: unknown): boolean =>
  typeof input === "string"
    ? input.startsWith("-")
    : Array.isArray(input)
      ? input.some(isNegative)
      : typeof input === "bigint"
        ? input < 0n
        : typeof input === "number" && !(input >= 0)

/** How often and when to try again, in plain words. Everything left out takes the default of {@link defaults}. */
export interface RetryOptions {
  /** Attempts in all, the first one included; `1` turns retries off and `Infinity` never gives up. */
  readonly maxAttempts?: number
  /** How the delay grows from one retry to the next. */
  readonly backoff?: "exponential" | "linear" | "constant"
  /** Delay before the first retry. */
  readonly initialDelay?: DurationLike
  /** No delay is longer than this. */
  readonly maxDelay?: DurationLike
  /** Growth per retry of the exponential back-off. */
  readonly factor?: number
  /** Spreads each delay by ±20 %, so that many steps failing together do not come back together. */
  readonly jitter?: boolean
}

/**
 * Retries are on unless turned off: model providers fail constantly. 3 retries, from 1 s, doubling, at most 5 min, jittered:
 * enough to ride out a rate limit, and short enough that a real failure shows within the minute. Set per step with `retry`.
 */
export const defaults = {
  maxAttempts: 4,
  backoff: "exponential",
  initialDelay: "1 second",
  maxDelay: "5 minutes",
  factor: 2,
  jitter: true,
} as const satisfies Required<RetryOptions>

/** A retry policy ready to be driven: its schedule, and what is shown of it in a plan. */
export interface RetryPolicy<R = never> {
  readonly schedule: Schedule.Schedule<unknown, never, R>
  /** Absent for the default policy. */
  readonly shown?: RetryOptions | "schedule"
}

/** Takes any Effect `Schedule` as a policy. Its input is the step's error: as raised, or as stored after a restart. */
export const fromSchedule = <R>(schedule: Schedule.Schedule<unknown, never, R>): RetryPolicy<R> => ({
  schedule,
  shown: "schedule",
})

const show = (value: unknown): string => (typeof value === "string" ? JSON.stringify(value) : String(value))

const isWhole = (value: number): boolean => value === Number.POSITIVE_INFINITY || (Number.isInteger(value) && value >= 1)

const positive = (value: number): boolean => value > 0 && !Number.isNaN(value)

/** Compiles options into a policy; `Left` says which option is wrong. */
export const fromOptions = (options: RetryOptions): RetryPolicy | { readonly problem: string } => {
  const merged = { ...defaults, ...options }
  const initialDelay = duration(merged.initialDelay)
  const maxDelay = duration(merged.maxDelay)
  if (Option.isNone(initialDelay)) return { problem: `retry.initialDelay ${show(merged.initialDelay)} is not a duration` }
  if (Option.isNone(maxDelay)) return { problem: `retry.maxDelay ${show(merged.maxDelay)} is not a duration` }
  if (!isWhole(merged.maxAttempts)) return { problem: `retry.maxAttempts must be a whole number of at least 1, or Infinity` }
  if (!positive(merged.factor)) return { problem: `retry.factor must be greater than 0` }
  const base = Duration.toMillis(initialDelay.value)
  // Room is left for the jitter to spread the longest delays too.
  const longest = Duration.toMillis(maxDelay.value) / (merged.jitter ? 1.2 : 1)
  const growth = {
    exponential: (retry: number) => base * merged.factor ** retry,
    linear: (retry: number) => base * (retry + 1),
    constant: () => base,
  }[merged.backoff]
  if (growth === undefined) {
    return { problem: `retry.backoff must be "exponential", "linear" or "constant"` }
  }
  const retries = Number.isFinite(merged.maxAttempts) ? Schedule.recurs(merged.maxAttempts - 1) : Schedule.forever
  const delayed = Schedule.addDelay(retries, (retry) => Duration.millis(Math.min(growth(retry), longest)))
  return { schedule: merged.jitter ? Schedule.jittered(delayed) : delayed, shown: merged }
}

/** The policy of a step that names none: {@link defaults}. */
export const standard: RetryPolicy = { schedule: (fromOptions({}) as RetryPolicy).schedule }

/** A single attempt. */
export const none: RetryPolicy = fromOptions({ maxAttempts: 1 }) as RetryPolicy

/** Where a policy stands after some failures. Opaque; made by {@link start} and {@link next}. */
export interface Driver<R = never> {
  readonly policy: RetryPolicy<R>
  readonly position: unknown
}

/** A policy before its first failure. */
export const start = <R>(policy: RetryPolicy<R>): Driver<R> => ({ policy, position: policy.schedule.initial })

/**
 * Takes one failure. Answers with when to try again (epoch milliseconds), or `undefined` when the policy gives up, and with
 * the driver to use for the failure after this one.
 */
export const next = <R>(
  driver: Driver<R>,
  failedAt: number,
  error: unknown,
): Effect.Effect<{ readonly driver: Driver<R>; readonly retryAt: number | undefined }, never, R> =>
  Effect.map(driver.policy.schedule.step(failedAt, error as never, driver.position), ([position, , decision]) => ({
    driver: { policy: driver.policy, position },
    retryAt: ScheduleDecision.isContinue(decision) ? Math.max(failedAt, Intervals.start(decision.intervals)) : undefined,
  }))

/** Brings a policy to where it stood after these failures. */
export const replay = <R>(
  policy: RetryPolicy<R>,
  failures: ReadonlyArray<{ readonly at: number; readonly error: unknown }>,
): Effect.Effect<Driver<R>, never, R> =>
  Effect.reduce(failures, start(policy), (driver, failure) =>
    Effect.map(next(driver, failure.at, failure.error), (step) => step.driver),
  )
