/**
 * Reads an error that came out of an agent, whichever library made it: could asking the same agent again help, and when. Errors of the AI
 * SDK that have no answer from a provider are known by their classes. Others are read by their fields, which the SDK, the providers' own SDKs and
 * `fetch` name alike. They wrap one error in another: what an inner one says counts where the outer one says nothing.
 */
import * as Millis from "@smithers/core/Millis"
import * as Raised from "@smithers/core/Raised"
import { get } from "@smithers/core/Raised"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Sdk from "./internal/sdk.ts"

export interface Trouble {
  readonly reason: string
  readonly status: number | undefined
  readonly retryable: boolean
  readonly retryAfterMs: Millis.Millis | undefined
  /** A slip of the agent's own code, and nothing that a provider said. */
  readonly isOwnCode: boolean
}

/** Reads an error. */
export const read = (thrown: unknown): Effect.Effect<Trouble> =>
  Effect.gen(function* () {
    const { error } = Raised.unwrap(thrown)
    const errors = unwrap(error)
    const sdk = yield* Sdk.loadFor(errors)
    // To count from where the provider names a time of day.
    const now = yield* Millis.now
    const { name, message } = Raised.describe(error)
    const isOwnCode = Raised.isSlip(error)
    return {
      reason: message === "" ? name : message.replaceAll(colour, "").trim(),
      status: first(errors, statusOf),
      retryable: first(errors, (error) => verdict(error, sdk)) ?? !isOwnCode,
      isOwnCode,
      retryAfterMs: first(errors, (error) => retryAfterOf(error, now)),
    }
  })

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

/** Errors of ours, and of the AI SDK where it makes them without a class, that say that the request or the set-up is wrong. */
const final: ReadonlySet<string> = new Set(["NonRetryable", "GatewayAuthenticationError", "GatewayError"])

/** Tells whether an error of the AI SDK says that the request or the set-up is wrong, without a provider having been asked. */
const isFinal = (error: object, sdk: Sdk.Sdk): boolean =>
  [
    sdk.InvalidArgumentError,
    sdk.InvalidDataContentError,
    sdk.InvalidMessageRoleError,
    sdk.InvalidPromptError,
    sdk.LoadAPIKeyError,
    sdk.LoadSettingError,
    sdk.MessageConversionError,
    sdk.NoSuchModelError,
    sdk.NoSuchProviderError,
    sdk.NoSuchProviderReferenceError,
    sdk.UnsupportedFunctionalityError,
  ].some((kind) => kind.isInstance(error)) || error instanceof sdk.UnsupportedModelVersionError

/** Whether asking again could help, where the error says so. */
const verdict = (error: object, sdk: Sdk.Sdk | undefined): boolean | undefined => {
  const isRetryable = get(error, "isRetryable")
  if (typeof isRetryable === "boolean") return isRetryable
  const status = statusOf(error)
  if (status !== undefined && status >= 400) return status >= 500 || passing.has(status)
  return final.has(Raised.nameOf(error)) || (sdk !== undefined && isFinal(error, sdk)) ? false : undefined
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
