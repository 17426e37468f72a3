/**
 * Values of conditions that JavaScript treats as true although they mean false, or mean nothing yet.
 */
import * as Effect from "effect/Effect"

/** Texts that mean false, and are truthy. */
const noes: ReadonlySet<string> = new Set(["false", "no", "off", "0", "null", "undefined", "nan"])

/** Tells whether a value is a text that means false. */
export const saysNo = (given: unknown): given is string => typeof given === "string" && noes.has(given.trim().toLowerCase())

/** Names a value that is always truthy as a condition; `undefined` for any other. */
export const alwaysTrue = (given: unknown): string | undefined => {
  if (saysNo(given)) return `the text ${JSON.stringify(given)}`
  if (typeof given === "function") return "a function"
  if (typeof given !== "object" || given === null) return undefined
  if (Effect.isEffect(given)) return "an Effect"
  return "then" in given && typeof given.then === "function" ? "a promise" : undefined
}
