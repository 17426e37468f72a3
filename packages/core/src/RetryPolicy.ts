/**
 * Retries of failed attempts. A policy is an Effect `Schedule`, advanced once per failure. A step of a schedule depends only on
 * the failures before it, so its position can be restored from the stored attempts.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as Intervals from "effect/ScheduleIntervals"
import * as Bounds from "./Bounds.ts"
import { alwaysTrue } from "./Condition.ts"
import type { AttemptError } from "./DeclaredError.ts"
import type { ErrorInfo, NotRetried } from "./ErrorInfo.ts"
import { InvalidDelay } from "./Errors.ts"
import * as Millis from "./Millis.ts"
import * as Names from "./Names.ts"

export type { DurationLike } from "./Millis.ts"

/** Options of retries. Default: {@link defaults}. */
export interface RetryOptions<E = never> {
  /** Attempts in all, including the first; `1` turns retries off, and `Infinity` never gives up. Default: 4. */
  readonly maxAttempts?: number
  /** Growth of the delay from one retry to the next. Default: `exponential`. */
  readonly backoff?: "exponential" | "linear" | "constant"
  /** Delay before the first retry. Default: 1 second. */
  readonly initialDelay?: Millis.DurationLike
  /** Longest delay. Default: 5 minutes, or `initialDelay` if that is longer. */
  readonly maxDelay?: Millis.DurationLike
  /** Factor of the exponential back-off. Default: 2. */
  readonly factor?: number
  /** Spreads each delay by ±20 %, so that steps which fail together do not retry together. Default: true. */
  readonly jitter?: boolean
  /**
   * Tells whether to retry an error, while attempts are left. A declared error is decoded, as `declared`. Must be pure: it is
   * called again after a restart with the same error.
   */
  readonly while?: (error: AttemptError<E>) => boolean
}

/**
 * Defaults of retries, which are on because model providers fail constantly. 3 retries, from 1 s, doubling, at most 5 min, with
 * jitter: enough to outlast a rate limit, and a real failure still shows within a minute. Set per step with `retry`.
 */
export const defaults = {
  maxAttempts: Bounds.limitOf("attempts"),
  backoff: "exponential",
  initialDelay: "1 second",
  maxDelay: "5 minutes",
  factor: 2,
  jitter: true,
} as const satisfies Required<Omit<RetryOptions, "while">>

/** The names of all options. */
export const optionNames: ReadonlyArray<string> = [...Object.keys(defaults), "while"]

/**
 * Longest delay (ms) that a provider's `Retry-After` may request without a `maxDelay` of the author. Rate limits end within the
 * hour. A request for days is a refusal, which the run reports instead of waiting.
 */
export const longestAskedMs = Millis.make(3_600_000)

/** A compiled retry policy: its schedule, and its description for a plan. */
export interface RetryPolicy<R = never> {
  readonly schedule: Schedule.Schedule<unknown, ErrorInfo, R>
  /** Longest delay that a provider may request: the author's `maxDelay`, otherwise {@link longestAskedMs}. */
  readonly longestAskedMs: Millis.Millis
  /** Tells whether to retry an error, if the policy has a `while`. */
  readonly holds?: (error: ErrorInfo) => boolean
  /** Absent for the default policy. */
  readonly shown?: Omit<RetryOptions, "while"> | "schedule"
}

/** Turns an Effect `Schedule` into a policy. Its input is the stored error of each attempt, the same before and after a restart. */
export const fromSchedule = <R>(schedule: Schedule.Schedule<unknown, ErrorInfo, R>): RetryPolicy<R> => ({
  schedule,
  longestAskedMs,
  shown: "schedule",
})

const isCount = (value: unknown): value is number =>
  typeof value === "number" && (value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && value >= 1))

const backoffs = ["exponential", "linear", "constant"] as const

/** Validates options, which may come from untyped code. `Left` names the invalid one. */
const read = (options: RetryOptions) =>
  Either.gen(function* () {
    const value: { readonly [key: string]: unknown } = { ...options }
    const unknown = Names.problemOf(value, optionNames)
    if (unknown !== undefined) return yield* Either.left(`retry ${unknown}`)
    const option = (key: keyof typeof defaults): unknown => (value[key] === undefined ? defaults[key] : value[key])
    const delay = (key: "initialDelay" | "maxDelay") =>
      Either.mapLeft(Millis.span(option(key)), ({ received, problem }) => `retry.${key} ${received} ${problem}`)
    const [initialDelayMs, maxDelayMs] = [yield* delay("initialDelay"), yield* delay("maxDelay")]
    const [maxAttempts, factor, jitter] = [option("maxAttempts"), option("factor"), option("jitter")]
    const backoff = backoffs.find((known) => known === option("backoff"))
    if (!isCount(maxAttempts)) return yield* Either.left("retry.maxAttempts must be a whole number of at least 1, or Infinity")
    if (typeof factor !== "number" || !(factor > 0 && Number.isFinite(factor)))
      return yield* Either.left("retry.factor must be greater than 0")
    if (typeof jitter !== "boolean") return yield* Either.left("retry.jitter must be true or false")
    if (backoff === undefined) return yield* Either.left(`retry.backoff must be "exponential", "linear" or "constant"`)
    if (options.while !== undefined && typeof options.while !== "function")
      return yield* Either.left("retry.while must be a function")
    return { maxAttempts, backoff, initialDelayMs, maxDelayMs, factor, jitter }
  })

/** Compiles options into a policy. `Left` names the invalid option. */
export const fromOptions = (options: RetryOptions): Either.Either<RetryPolicy, string> =>
  Either.map(read(options), ({ maxAttempts, backoff, initialDelayMs, maxDelayMs, factor, jitter }): RetryPolicy => {
    // Leaves room for the jitter of the longest delays; but a default limit never cuts the delay that the author chose.
    const limit = maxDelayMs / (jitter ? 1.2 : 1)
    const isDefault = options.maxDelay === undefined
    const longest = isDefault ? Math.max(limit, initialDelayMs) : limit
    const growth = {
      exponential: (retry: number) => initialDelayMs * factor ** retry,
      linear: (retry: number) => initialDelayMs * (retry + 1),
      constant: () => initialDelayMs,
    }[backoff]
    const retries = Number.isFinite(maxAttempts) ? Schedule.recurs(maxAttempts - 1) : Schedule.forever
    const delayed = Schedule.addDelay(retries, (retry) => Duration.millis(Math.min(growth(retry), longest)))
    const shown = (duration: Millis.DurationLike, ms: Millis.Millis) => (typeof duration === "string" ? duration : ms)
    const initialDelay = shown(options.initialDelay ?? defaults.initialDelay, initialDelayMs)
    const isLonger = isDefault && initialDelayMs > maxDelayMs
    return {
      schedule: jitter ? Schedule.jittered(delayed) : delayed,
      longestAskedMs: isDefault ? longestAskedMs : maxDelayMs,
      ...(options.while === undefined ? {} : { holds: holdsBy(options.while) }),
      shown: {
        maxAttempts,
        backoff,
        initialDelay,
        maxDelay: isLonger ? initialDelay : shown(options.maxDelay ?? defaults.maxDelay, maxDelayMs),
        factor,
        jitter,
      },
    }
  })

/** Reads the result of a `while`. Throws an error for a value that is always truthy. */
const holdsBy =
  (holds: (error: ErrorInfo) => unknown) =>
  (error: ErrorInfo): boolean => {
    const value = holds(error)
    const late = alwaysTrue(value)
    if (late !== undefined) throw new TypeError(`its "while" gave ${late}, which always counts as true: give a boolean`)
    return Boolean(value)
  }

/** The policy of a step without one: {@link defaults}. */
export const standard: RetryPolicy = { schedule: Either.getOrThrow(fromOptions({})).schedule, longestAskedMs }

/** A single attempt. */
export const none: RetryPolicy = Either.getOrThrow(fromOptions({ maxAttempts: 1 }))

/** The position of a policy after some failures. Opaque; made by {@link start} and {@link next}. */
export interface Driver<R = never> {
  readonly policy: RetryPolicy<R>
  readonly position: unknown
  /** The last failure: its time by the clock of the policy, and its monotonic time if known. */
  readonly last: { readonly at: number; readonly steady: number | undefined } | undefined
  /** `true` if it gave up because its `while` did not hold. */
  readonly isRefused?: boolean
}

/** A policy before its first failure. */
export const start = <R>(policy: RetryPolicy<R>): Driver<R> => ({ policy, position: policy.schedule.initial, last: undefined })

/** The decision after a failure. */
export interface Next<R = never> {
  /** The driver for the next failure. */
  readonly driver: Driver<R>
  /** Time of the next attempt (epoch milliseconds); `undefined` if the policy gives up. */
  readonly retryAt: Millis.Millis | undefined
}

/**
 * Advances a policy by one failure, at `failedAt` by the wall clock and `steady` by the monotonic clock. Between failures the
 * policy's clock advances with the faster of the two, since the policy measures elapsed time; the delay counts from the wall
 * clock. Fails with {@link InvalidDelay} if the policy gives an invalid time.
 */
export const next = <R>(
  driver: Driver<R>,
  failedAt: number,
  error: ErrorInfo,
  steady?: number,
): Effect.Effect<Next<R>, InvalidDelay, R> => {
  const { policy, last } = driver
  const passed = steady === undefined || last?.steady === undefined ? 0 : Math.max(0, steady - last.steady)
  const at = last === undefined ? failedAt : Math.max(failedAt, last.at + passed)
  return Effect.flatMap(
    policy.schedule.step(at, error, driver.position),
    ([position, , decision]): Either.Either<Next<R>, InvalidDelay> => {
      const after = { policy, position, last: { at, steady } }
      if (ScheduleDecision.isContinue(decision) && policy.holds?.(error) === false)
        return Either.right({ driver: { ...after, isRefused: true }, retryAt: undefined })
      if (!ScheduleDecision.isContinue(decision)) return Either.right({ driver: after, retryAt: undefined })
      const due = Millis.instant(failedAt + Math.max(0, Intervals.start(decision.intervals) - at))
      return Either.mapBoth(due, {
        onLeft: (received) => new InvalidDelay({ received }),
        onRight: (retryAt) => ({ driver: after, retryAt }),
      })
    },
  )
}

/** The reason a policy gave up. */
export const whyEnded = <R>({ policy: { shown }, isRefused }: Driver<R>): NotRetried =>
  isRefused === true ? "while" : shown === "schedule" ? "schedule" : shown?.maxAttempts === 1 ? "off" : "attempts"

/** Restores the position of a policy after these failures. */
export const replay = <R>(
  policy: RetryPolicy<R>,
  failures: ReadonlyArray<{ readonly at: number; readonly error: ErrorInfo }>,
): Effect.Effect<Driver<R>, InvalidDelay, R> =>
  Effect.reduce(failures, start(policy), (driver, failure) =>
    Effect.map(next(driver, failure.at, failure.error), (step) => step.driver),
  )
