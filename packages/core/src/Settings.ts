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
export const only = <O>(of: string, given: unknown, names: Names<O>): Either.Either<void, InvalidSetting> => {
  const known = Object.keys(names)
  if (typeof given !== "object" || given === null || Array.isArray(given))
    return Either.left(
      new InvalidSetting({ setting: of, received: Millis.show(given), expected: `an object of ${known.join(", ")}` }),
    )
  const unknown = NamesOf.unknownIn(given, known)
  if (unknown === undefined) return Either.void
  const { name, nearest } = unknown
  const others = nearest === undefined ? `, and has ${known.join(", ")}` : `. Did you mean "${nearest}"? It has ${known.join(", ")}`
  const expected = `left out: ${of} has no such setting${others}`
  return Either.left(new InvalidSetting({ setting: name, received: Millis.show(Thrown.get(given, name)), expected }))
}

/** Checks settings like {@link only}. Throws `InvalidSetting`, for callers without an Effect. */
export const onlyOrThrow = <O>(of: string, given: unknown, names: Names<O>): void =>
  Either.getOrThrowWith(only(of, given, names), (refused) => refused)

/**
 * Reads a duration. `given` is rounded up to whole milliseconds. Fails with `InvalidSetting` if it is shorter than `least`.
 * Default: `fallback`.
 */
export const duration = (
  setting: string,
  given: unknown,
  fallback: Millis.DurationLike,
  least: Millis.Millis = Millis.make(1),
): Either.Either<Millis.Millis, InvalidSetting> => {
  const [value, wanted] = [
    given === undefined ? fallback : given,
    least > 0 ? "a duration longer than 0, such as" : "a duration such as",
  ]
  const refuse = (shown: string) => new InvalidSetting({ setting, received: shown, expected: `${wanted} "${fallback}"` })
  const read = Either.mapLeft(Millis.span(value), (wrong) => refuse(wrong.given))
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
export const budget = (setting: string, given: unknown): Either.Either<Budget.Budget, InvalidSetting> =>
  Either.mapLeft(
    Budget.read(given),
    (problem) => new InvalidSetting({ setting, received: Millis.show(given), expected: `a budget: it ${problem}` }),
  )

/** Reads a deadline: a duration from `now`, or a `Date`. */
export const deadline = (
  setting: string,
  given: unknown,
  now: Millis.Millis,
): Either.Either<Millis.Millis | undefined, InvalidSetting> => {
  if (given === undefined) return Either.right(undefined)
  const read: Either.Either<Millis.Millis, unknown> =
    given instanceof Date ? Millis.instant(given) : Either.map(Millis.positiveDuration(given), (ms) => Millis.after(now, ms))
  return Either.mapLeft(
    read,
    () =>
      new InvalidSetting({
        setting,
        received: Millis.show(given),
        expected: 'a duration longer than 0, such as "2 hours", or a Date',
      }),
  )
}

/** Reads a positive integer. Default: `fallback`. */
export const count = (setting: string, given: unknown, fallback: number): Either.Either<number, InvalidSetting> => {
  const value = given === undefined ? fallback : given
  const expected = `a whole number of at least 1, such as ${fallback}`
  const isCount = typeof value === "number" && Number.isSafeInteger(value) && value >= 1
  return isCount ? Either.right(value) : Either.left(new InvalidSetting({ setting, received: Millis.show(value), expected }))
}

/** Reads `true` or `false`. Default: `fallback`. */
export const flag = (setting: string, given: unknown, fallback: boolean): Either.Either<boolean, InvalidSetting> => {
  const value = given === undefined ? fallback : given
  return typeof value === "boolean"
    ? Either.right(value)
    : Either.left(new InvalidSetting({ setting, received: Millis.show(value), expected: "true or false" }))
}

/** Reads one of several words. Default: the first. */
export const word = <A extends string>(
  setting: string,
  given: unknown,
  words: readonly [A, ...ReadonlyArray<A>],
): Either.Either<A, InvalidSetting> => {
  const value = given === undefined ? words[0] : given
  const found = words.find((one) => one === value)
  const expected = words.map((one) => JSON.stringify(one)).join(" or ")
  return found === undefined
    ? Either.left(new InvalidSetting({ setting, received: Millis.show(value), expected }))
    : Either.right(found)
}

/** Reads an optional text. */
export const text = (setting: string, given: unknown): Either.Either<string | undefined, InvalidSetting> =>
  given === undefined || typeof given === "string"
    ? Either.right(given)
    : Either.left(new InvalidSetting({ setting, received: Millis.show(given), expected: "text" }))

/** Reads a text that is not empty. */
export const filled = (setting: string, given: unknown, expected: string): Either.Either<string, InvalidSetting> =>
  typeof given === "string" && given !== "" && !given.includes("\0")
    ? Either.right(given)
    : Either.left(new InvalidSetting({ setting, received: Millis.show(given), expected }))

/** Reads a list of texts and returns a copy. Default: none. */
export const texts = (setting: string, given: unknown): Either.Either<ReadonlyArray<string>, InvalidSetting> => {
  const value = given === undefined ? [] : given
  const isTexts = Array.isArray(value) && value.every((one) => typeof one === "string")
  const expected = "an array of texts"
  return isTexts ? Either.right([...value]) : Either.left(new InvalidSetting({ setting, received: Millis.show(value), expected }))
}
