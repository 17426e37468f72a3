/**
 * Times as stored and scheduled: whole milliseconds within the range of a `Date`. Input of authors, providers and callers is
 * parsed here once, at the boundary, and rounded up, so that nothing is due early. Events, plans and the store take only these.
 */
import type * as Brand from "effect/Brand"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { liveClock } from "./internal/liveClock.ts"
import * as Thrown from "./Thrown.ts"

/** An instant (epoch milliseconds) or a duration, in whole milliseconds, at most {@link longest}. */
export type Millis = number & Brand.Brand<"Millis">

const longestMs = 8.64e15

/** Tells whether a number is a {@link Millis}. */
export const is = (value: number): value is Millis => Number.isSafeInteger(value) && Math.abs(value) <= longestMs

/** Schema of a {@link Millis}. */
export const Millis: Schema.Schema<Millis, number> = Schema.Number.pipe(
  Schema.filter((value) => is(value) || "a time is in whole milliseconds, at most 8.64e15", {
    jsonSchema: { type: "integer" },
  }),
  Schema.brand("Millis"),
)

/** Brands a number. Throws a `RangeError` if it is no {@link Millis}. */
export const make = (value: number): Millis => {
  if (!is(value)) throw new RangeError(`${value} is not a time in whole milliseconds`)
  return value
}

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

type Unit = keyof typeof units

const isUnit = (text: string | undefined): text is Unit => text !== undefined && Object.hasOwn(units, text)

/** A duration: `"500ms"`, `"30s"`, `"2m"`, `"1h"`, `"1d"`, `"1w"`, or any Effect `DurationInput`. A number is milliseconds. */
export type DurationLike = Duration.DurationInput | `${number}${Unit}`

/** The last millisecond of a `Date`, in September of the year 275760, and so the longest duration. */
export const longest = make(longestMs)

/** Formats a value for an error message. */
export const show = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value)
  if (typeof value === "number" || typeof value === "bigint") return String(value)
  if (Duration.isDuration(value)) return Duration.format(value)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "an invalid Date" : "a Date"
  return typeof value === "object" && value !== null && !Array.isArray(value) ? "[object Object]" : Thrown.show(value)
}

/** Tolerance for rounding errors, half a nanosecond in ms: `8.3 * 60_000` means 498,000 ms. */
const noise = 5e-7

const roundUp = (ms: number): number => {
  const nearest = Math.round(ms)
  // A zero has no sign.
  return (Math.abs(ms - nearest) < noise ? nearest : Math.ceil(ms)) + 0
}

/** A value that is no duration, formatted for an error message. */
export interface InvalidDuration {
  readonly received: string
  readonly problem: "is not a duration" | "is longer than 8.64e15 ms" | "is not longer than 0"
}

/** Parses a duration, 0 included. */
export const span = (input: unknown): Either.Either<Millis, InvalidDuration> => {
  const [, count, unit] = (typeof input === "string" ? /^(\d+(?:\.\d+)?)\s*(\w+)$/.exec(input) : null) ?? []
  const ms = isUnit(unit)
    ? Number(count) * units[unit]
    : Option.match(Duration.decodeUnknown(input), { onNone: () => Number.NaN, onSome: Duration.toMillis })
  if (!Number.isFinite(ms) || isNegative(input)) return Either.left({ received: show(input), problem: "is not a duration" })
  const whole = roundUp(ms)
  return is(whole) ? Either.right(whole) : Either.left({ received: show(input), problem: "is longer than 8.64e15 ms" })
}

/** Parses a duration that was typed, such as on a command line: like {@link span}, with plain numbers counted in `unit`. */
export const parseDuration = (text: string, unit: Unit): Either.Either<Millis, InvalidDuration> => {
  const typed = text.trim()
  return Either.mapLeft(span(/^\d+(?:\.\d+)?$/.test(typed) ? `${typed}${unit}` : typed), ({ problem }) => ({
    received: show(text),
    problem,
  }))
}

/** Parses a duration longer than 0. */
export const positiveDuration = (input: unknown): Either.Either<Millis, InvalidDuration> =>
  Either.filterOrLeft(
    span(input),
    (ms) => ms > 0,
    () => ({ received: show(input), problem: "is not longer than 0" }),
  )

/** `Duration` itself treats negative numbers and NaN as 0. */
const isNegative = (input: unknown): boolean =>
  typeof input === "string"
    ? input.startsWith("-")
    : Array.isArray(input)
      ? input.some(isNegative)
      : typeof input === "bigint"
        ? input < 0n
        : typeof input === "number" && !(input >= 0)

/** Parses a `Date` or epoch milliseconds. `Left` is the invalid value, formatted. */
export const instant = (input: unknown): Either.Either<Millis, string> => {
  const at = input instanceof Date ? input.getTime() : input
  const whole = typeof at === "number" ? roundUp(at) : Number.NaN
  return is(whole) ? Either.right(whole) : Either.left(typeof at === "number" ? show(input) : Thrown.show(input))
}

/** Adds a duration to an instant; the sum is at most {@link longest}. */
export const after = (from: number, ms: Millis): Millis => make(Math.min(longest, roundUp(from) + ms))

/** The start of the epoch, or an empty duration. */
export const zero = make(0)

/** The current time of a clock, rounded down: a test clock may be between two milliseconds. */
export const unsafeNow = (clock: Clock.Clock): Millis => make(Math.floor(clock.unsafeCurrentTimeMillis()))

/** The monotonic time of the process: only the difference between two readings has a meaning. */
export const unsafeSteady = (clock: Clock.Clock): Millis =>
  // The same time without a bigint, which costs a microsecond.
  make(clock === liveClock ? Math.floor(performance.now()) : Number(clock.unsafeCurrentTimeNanos() / 1_000_000n))

/** The monotonic time of the process. */
export const steady: Effect.Effect<Millis> = Effect.clockWith((clock) => Effect.sync(() => unsafeSteady(clock)))

/** The current time. */
export const now: Effect.Effect<Millis> = Effect.clockWith((clock) => Effect.sync(() => unsafeNow(clock)))

/** Tells whether a clock is that of the platform, and not one of a test. */
export const isLive = (clock: Clock.Clock): boolean => clock === liveClock
