/**
 * What can be told of an error that came out of an agent, whichever library made it: whether asking the same agent again could
 * help, and when. Errors are read by their fields. The AI SDK, the providers' own SDKs and `fetch` name these alike, and wrap one
 * error in another: what an inner one says counts where the outer one says nothing.
 */
import * as Either from "effect/Either"
import * as Millis from "../Millis.ts"
import * as Raised from "./raised.ts"
import { get } from "./raised.ts"

export interface Trouble {
  readonly reason: string
  readonly status: number | undefined
  readonly retryable: boolean
  readonly retryAfterMs: Millis.Millis | undefined
  /** A slip of the agent's own code, and nothing that a provider said. */
  readonly isOwnCode: boolean
}

/** Reads an error. `now` is in epoch milliseconds, to count from where the provider names a time of day. */
export const read = (thrown: unknown, now: Millis.Millis): Trouble => {
  const { error } = Raised.unwrap(thrown)
  const errors = unwrap(error)
  const { name, message } = Raised.describe(error)
  const isOwnCode = Raised.isSlip(error)
  return {
    reason: message === "" ? name : message.replaceAll(colour, "").trim(),
    status: first(errors, statusOf),
    retryable: first(errors, verdict) ?? !isOwnCode,
    isOwnCode,
    retryAfterMs: first(errors, (error) => retryAfterOf(error, now)),
  }
}

/** The AI SDK prints some of its messages in colour. */
const colour = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g")

const first = <A>(errors: ReadonlyArray<object>, look: (error: object) => A | undefined): A | undefined => {
  for (const error of errors) {
    const found = look(error)
    if (found !== undefined) return found
  }
  return undefined
}

/** Errors in errors, more than anybody wraps; it ends those that contain themselves. */
const maxErrors = 32

/** The error and those inside it, the outer before the inner and the later before the earlier. */
const unwrap = (thrown: unknown): ReadonlyArray<object> => {
  const found = new Set<object>()
  const visit = (error: unknown): void => {
    if (typeof error !== "object" || error === null || found.has(error) || found.size === maxErrors) return
    found.add(error)
    const errors = get(error, "errors")
    const several = Array.isArray(errors) ? errors.toReversed() : []
    for (const inner of [get(error, "lastError"), ...several, get(error, "cause")]) visit(inner)
  }
  visit(thrown)
  return [...found]
}

const statusOf = (error: object): number | undefined =>
  [get(error, "statusCode"), get(error, "status"), get(get(error, "response"), "status")].find(isStatus)

const isStatus = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 100 && Number(value) < 600

/** Request timeout, conflict, too early, too many requests: of what a client did wrong, these pass with time. */
const passing = new Set([408, 409, 425, 429])

/** Errors without a status that say that the request or the set-up is wrong; all but the first are the AI SDK's. */
const final = new Set([
  "NonRetryable",
  "AI_InvalidArgumentError",
  "AI_InvalidDataContentError",
  "AI_InvalidMessageRoleError",
  "AI_InvalidPromptError",
  "AI_LoadAPIKeyError",
  "AI_LoadSettingError",
  "AI_MessageConversionError",
  "AI_NoSuchModelError",
  "AI_NoSuchProviderError",
  "AI_NoSuchProviderReferenceError",
  "AI_UnsupportedFunctionalityError",
  "AI_UnsupportedModelVersionError",
  "GatewayAuthenticationError",
  "GatewayError",
])

/** Whether asking again could help, where the error says so. */
const verdict = (error: object): boolean | undefined => {
  const isRetryable = get(error, "isRetryable")
  if (typeof isRetryable === "boolean") return isRetryable
  const status = statusOf(error)
  if (status !== undefined && status >= 400) return status >= 500 || passing.has(status)
  return final.has(Raised.nameOf(error)) ? false : undefined
}

/** How long the provider asks to be left alone: at most as long as there are dates. */
const retryAfterOf = (error: object, now: Millis.Millis): Millis.Millis | undefined => {
  const asked = askedOf(error, now)
  return asked === undefined ? undefined : Either.getOrElse(Millis.span(asked), () => Millis.longest)
}

const askedOf = (error: object, now: Millis.Millis): number | undefined => {
  const holders = [get(error, "responseHeaders"), get(error, "headers"), get(get(error, "response"), "headers")]
  for (const headers of holders) {
    const exact = header(headers, "retry-after-ms")
    if (isCount(exact)) return Number(exact)
    const after = header(headers, "retry-after")
    if (isCount(after)) return Number(after) * 1000
    const date = after === undefined ? Number.NaN : Date.parse(after)
    if (!Number.isNaN(date)) return Math.max(0, date - now)
  }
  return undefined
}

const isCount = (value: string | undefined): boolean => value !== undefined && /^\s*\d+(?:\.\d+)?\s*$/.test(value)

/** The value of a header in a `Headers` or in a plain object, whose names may be written in any case. */
const header = (headers: unknown, name: string): string | undefined => {
  if (typeof headers !== "object" || headers === null) return undefined
  const ask = get(headers, "get")
  const value = typeof ask === "function" ? ask.call(headers, name) : plainHeader(headers, name)
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined
}

const plainHeader = (headers: object, name: string): unknown => {
  const key = Object.keys(headers).find((key) => key.toLowerCase() === name)
  return key === undefined ? undefined : get(headers, key)
}
