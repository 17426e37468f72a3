/**
 * Settings of the runtime and options of runs. They may come from untyped code or a file. Each is checked once, when its layer
 * is built or the run is requested, and refused with {@link InvalidSetting}. A later check would stall a run.
 */
import * as Either from "effect/Either"
import * as Budget from "./Budget.ts"
import { InvalidSetting } from "./Errors.ts"
import * as Millis from "./Millis.ts"
import * as NamesOf from "./Names.ts"
import * as Thrown from "./Thrown.ts"

/** The names of all settings of a layer. A setting that is missing here is a type error. */
export type Names<O> = { readonly [Name in keyof O]-?: true }

/** Checks that settings are an object without unknown names. `of` is the layer, as users call it. */
export const only = <O>(of: string, value: unknown, names: Names<O>): Either.Either<void, InvalidSetting> => {
  const known = Object.keys(names)
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return Either.left(
      new InvalidSetting({ setting: of, received: Millis.show(value), expected: `an object of ${known.join(", ")}` }),
    )
  const unknown = NamesOf.unknownIn(value, known)
  if (unknown === undefined) return Either.void
  const { name, nearest } = unknown
  const others = nearest === undefined ? `, and has ${known.join(", ")}` : `. Did you mean "${nearest}"? It has ${known.join(", ")}`
  const expected = `left out: ${of} has no such setting${others}`
  return Either.left(new InvalidSetting({ setting: name, received: Millis.show(Thrown.get(value, name)), expected }))
}

/** Checks settings like {@link only}. Throws `InvalidSetting`, for callers without an Effect. */
export const onlyOrThrow = <O>(of: string, value: unknown, names: Names<O>): void =>
  Either.getOrThrowWith(only(of, value, names), (refused) => refused)

/**
 * Reads a duration. `given` is rounded up to whole milliseconds. Fails with `InvalidSetting` if it is shorter than `least`.
 * Default: `fallback`.
 */
export const duration = (
  setting: string,
  received: unknown,
  fallback: Millis.DurationLike,
  least: Millis.Millis = Millis.make(1),
): Either.Either<Millis.Millis, InvalidSetting> => {
  const [value, wanted] = [
    received === undefined ? fallback : received,
    least > 0 ? "a duration longer than 0, such as" : "a duration such as",
  ]
  const refuse = (shown: string) => new InvalidSetting({ setting, received: shown, expected: `${wanted} "${fallback}"` })
  const read = Either.mapLeft(Millis.span(value), (wrong) => refuse(wrong.received))
  // A positive duration below one millisecond is a mistake, probably of the unit.
  return Either.filterOrLeft(
    read,
    (ms) => ms >= least && !(typeof value === "number" && value < least),
    () => refuse(Millis.show(value)),
  )
}

/** Reads a setting of the environment that is JSON. `undefined` if the variable is not set, or empty. */
export const jsonOf = (variable: string, expected: string): Either.Either<unknown, InvalidSetting> => {
  const text = process.env[variable]
  if (text === undefined || text === "") return Either.right(undefined)
  return Either.try({
    try: (): unknown => JSON.parse(text),
    catch: () => new InvalidSetting({ setting: variable, received: Millis.show(text), expected: `JSON of ${expected}` }),
  })
}

/** Reads a budget. */
export const budget = (setting: string, value: unknown): Either.Either<Budget.Budget, InvalidSetting> =>
  Either.mapLeft(
    Budget.read(value),
    (problem) => new InvalidSetting({ setting, received: Millis.show(value), expected: `a budget: it ${problem}` }),
  )

/** Reads a deadline: a duration from `now`, or a `Date`. */
export const deadline = (
  setting: string,
  value: unknown,
  now: Millis.Millis,
): Either.Either<Millis.Millis | undefined, InvalidSetting> => {
  if (value === undefined) return Either.right(undefined)
  const read: Either.Either<Millis.Millis, unknown> =
    value instanceof Date ? Millis.instant(value) : Either.map(Millis.positiveDuration(value), (ms) => Millis.after(now, ms))
  return Either.mapLeft(
    read,
    () =>
      new InvalidSetting({
        setting,
        received: Millis.show(value),
        expected: 'a duration longer than 0, such as "2 hours", or a Date',
      }),
  )
}

/** Reads the time at which a run starts: `startAt`, a `Date`, or `delay`, a duration from `now`. Default: at once. */
export const startAt = (
  options: { readonly startAt?: unknown; readonly delay?: unknown },
  now: Millis.Millis,
): Either.Either<Millis.Millis | undefined, InvalidSetting> => {
  const { startAt, delay } = options
  const invalid = (setting: string, received: unknown, expected: string) => () =>
    new InvalidSetting({ setting, received: Millis.show(received), expected })
  if (startAt !== undefined && delay !== undefined)
    return Either.left(invalid("delay", delay, "absent beside startAt, which says when the run starts")())
  if (startAt !== undefined)
    return Either.mapLeft(
      startAt instanceof Date ? Millis.instant(startAt) : Either.left(startAt),
      invalid("startAt", startAt, "a Date"),
    )
  if (delay === undefined) return Either.right(undefined)
  const read = Either.map(Millis.positiveDuration(delay), (ms) => Millis.after(now, ms))
  return Either.mapLeft(read, invalid("delay", delay, 'a duration longer than 0, such as "2 hours"'))
}

/** Reads a positive integer. Default: `fallback`. */
export const count = (setting: string, received: unknown, fallback: number): Either.Either<number, InvalidSetting> => {
  const value = received === undefined ? fallback : received
  const expected = `a whole number of at least 1, such as ${fallback}`
  const isCount = typeof value === "number" && Number.isSafeInteger(value) && value >= 1
  return isCount ? Either.right(value) : Either.left(new InvalidSetting({ setting, received: Millis.show(value), expected }))
}

/** Reads `true` or `false`. Default: `fallback`. */
export const flag = (setting: string, received: unknown, fallback: boolean): Either.Either<boolean, InvalidSetting> => {
  const value = received === undefined ? fallback : received
  return typeof value === "boolean"
    ? Either.right(value)
    : Either.left(new InvalidSetting({ setting, received: Millis.show(value), expected: "true or false" }))
}

/** Reads one of several words. Default: the first. */
export const word = <A extends string>(
  setting: string,
  received: unknown,
  words: readonly [A, ...ReadonlyArray<A>],
): Either.Either<A, InvalidSetting> => {
  const value = received === undefined ? words[0] : received
  const found = words.find((one) => one === value)
  const expected = words.map((one) => JSON.stringify(one)).join(" or ")
  return found === undefined
    ? Either.left(new InvalidSetting({ setting, received: Millis.show(value), expected }))
    : Either.right(found)
}

/** Reads an optional text. */
export const text = (setting: string, value: unknown): Either.Either<string | undefined, InvalidSetting> =>
  value === undefined || typeof value === "string"
    ? Either.right(value)
    : Either.left(new InvalidSetting({ setting, received: Millis.show(value), expected: "text" }))

/** Reads a text that is not empty. */
export const filled = (setting: string, value: unknown, expected: string): Either.Either<string, InvalidSetting> =>
  typeof value === "string" && value !== "" && !value.includes("\0")
    ? Either.right(value)
    : Either.left(new InvalidSetting({ setting, received: Millis.show(value), expected }))

/** Reads a list of texts and returns a copy. Default: none. */
export const texts = (setting: string, received: unknown): Either.Either<ReadonlyArray<string>, InvalidSetting> => {
  const value = received === undefined ? [] : received
  const isTexts = Array.isArray(value) && value.every((one) => typeof one === "string")
  const expected = "an array of texts"
  return isTexts ? Either.right([...value]) : Either.left(new InvalidSetting({ setting, received: Millis.show(value), expected }))
}
