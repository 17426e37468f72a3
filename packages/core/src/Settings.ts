/**
 * Settings of the runtime and options of runs, which may come from code without types or from a file. Each is read once, when the layer that
 * has it is built or the run is asked for, and refused there with {@link InvalidSetting}: later it would stall a run, or could not be read back.
 */
import * as Either from "effect/Either"
import { InvalidSetting } from "./Errors.ts"
import * as Millis from "./Millis.ts"

/** Reads a time. `given` is rounded up to whole milliseconds. */
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
  const refuse = (shown: string) => new InvalidSetting({ setting, given: shown, wanted: `${wanted} "${fallback}"` })
  const read = Either.mapLeft(Millis.span(value), (wrong) => refuse(wrong.given))
  // Less than a millisecond is no time to do anything in, and was meant as something else.
  return Either.filterOrLeft(
    read,
    (ms) => ms >= least && !(typeof value === "number" && value < least),
    () => refuse(Millis.show(value)),
  )
}

/** Reads how many. */
export const count = (setting: string, given: unknown, fallback: number): Either.Either<number, InvalidSetting> => {
  const value = given === undefined ? fallback : given
  const wanted = `a whole number of at least 1, such as ${fallback}`
  const isCount = typeof value === "number" && Number.isSafeInteger(value) && value >= 1
  return isCount ? Either.right(value) : Either.left(new InvalidSetting({ setting, given: Millis.show(value), wanted }))
}

/** Reads one of a few words. The first is the default. */
export const word = <A extends string>(
  setting: string,
  given: unknown,
  words: readonly [A, ...ReadonlyArray<A>],
): Either.Either<A, InvalidSetting> => {
  const value = given === undefined ? words[0] : given
  const found = words.find((one) => one === value)
  const wanted = words.map((one) => JSON.stringify(one)).join(" or ")
  return found === undefined ? Either.left(new InvalidSetting({ setting, given: Millis.show(value), wanted })) : Either.right(found)
}

/** Reads a text that may be absent. */
export const text = (setting: string, given: unknown): Either.Either<string | undefined, InvalidSetting> =>
  given === undefined || typeof given === "string"
    ? Either.right(given)
    : Either.left(new InvalidSetting({ setting, given: Millis.show(given), wanted: "text" }))

/** Reads a list of texts, of which it gives a copy. Default: none. */
export const texts = (setting: string, given: unknown): Either.Either<ReadonlyArray<string>, InvalidSetting> => {
  const value = given === undefined ? [] : given
  const isTexts = Array.isArray(value) && value.every((one) => typeof one === "string")
  const wanted = "an array of texts"
  return isTexts ? Either.right([...value]) : Either.left(new InvalidSetting({ setting, given: Millis.show(value), wanted }))
}
