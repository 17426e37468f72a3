/**
 * Values of conditions that JavaScript treats as true although they mean false, or mean nothing yet.
 */
import * as Effect from "effect/Effect"

/** Texts that mean false, and are truthy. */
const noes: ReadonlySet<string> = new Set(["false", "no", "off", "0", "null", "undefined", "nan"])

/** Tells whether a value is a text that means false. */
export const saysNo = (value: unknown): value is string => typeof value === "string" && noes.has(value.trim().toLowerCase())

/** Names a value that is always truthy as a condition; `undefined` for any other. */
export const alwaysTrue = (value: unknown): string | undefined => {
  if (saysNo(value)) return `the text ${JSON.stringify(value)}`
  if (typeof value === "function") return "a function"
  if (typeof value !== "object" || value === null) return undefined
  if (Effect.isEffect(value)) return "an Effect"
  return "then" in value && typeof value.then === "function" ? "a promise" : undefined
}
