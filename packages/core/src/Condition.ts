/**
 * Values that authors give as conditions, and that JavaScript would take for true against what they say.
 */
import * as Effect from "effect/Effect"

/** Texts that say no, and count as true. */
const noes: ReadonlySet<string> = new Set(["false", "no", "off", "0", "null", "undefined", "nan"])

/** Tells whether a value is a text that says no. */
export const saysNo = (given: unknown): given is string => typeof given === "string" && noes.has(given.trim().toLowerCase())

/** Names what a condition gave that would count as true whatever comes of it; `undefined` for anything that counts as it is. */
export const alwaysTrue = (given: unknown): string | undefined => {
  if (saysNo(given)) return `the text ${JSON.stringify(given)}`
  if (typeof given === "function") return "a function"
  if (typeof given !== "object" || given === null) return undefined
  if (Effect.isEffect(given)) return "an Effect"
  return "then" in given && typeof given.then === "function" ? "a promise" : undefined
}
