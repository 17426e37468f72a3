/**
 * Classifies an error of an agent from any library: whether a retry with the same agent may help, and when. Errors of the AI SDK
 * without an answer from a provider are recognised by class. Others are read by their fields, which the SDK, the providers' SDKs
 * and `fetch` name alike. Errors may be nested; an inner one counts where the outer one is silent.
 */
import * as Millis from "@smithers/core/Millis"
import * as Thrown from "@smithers/core/Thrown"
import { get } from "@smithers/core/Thrown"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Sdk from "./internal/sdk.ts"

export interface Trouble {
  readonly reason: string
  readonly status: number | undefined
  readonly retryable: boolean
  readonly retryAfterMs: Millis.Millis | undefined
  /** The instant at which the limit of a plan has passed, as far as it is known. */
  readonly resetAt: Millis.Millis | undefined
  /** `true` for a bug in the agent's own code, as opposed to an answer of a provider. */
  readonly isOwnCode: boolean
}

/** Classifies an error, which {@link conceal} has treated. */
export const read = (thrown: unknown): Effect.Effect<Trouble> =>
  Effect.gen(function* () {
    const { error } = Thrown.unwrap(thrown)
    const errors = unwrap(error)
    const sdk = yield* Sdk.loadFor(errors)
    // Reference for providers that name a time of day.
    const now = yield* Millis.now
    const { name, message } = Thrown.describe(error)
    const isOwnCode = Thrown.isSlip(error)
    return {
      reason: message === "" ? name : message.replaceAll(colour, "").trim(),
      status: first(errors, statusOf),
      retryable: first(errors, (error) => verdict(error, sdk)) ?? !isOwnCode,
      isOwnCode,
      retryAfterMs: first(errors, (error) => retryAfterOf(error, now)),
      resetAt: first(errors, resetAtOf),
    }
  })

/** Colours in some messages of the AI SDK. */
const colour = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g")

const first = <A>(errors: ReadonlyArray<object>, look: (error: object) => A | undefined): A | undefined => {
  for (const error of errors) {
    const found = look(error)
    if (found !== undefined) return found
  }
  return undefined
}

/** Maximum number of nested errors. Also ends cycles. */
const maxErrors = 32

/** Returns the error and the nested ones: outer before inner, later before earlier. */
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

/** Fields with further errors, which are concealed themselves. */
const nested: ReadonlySet<PropertyKey> = new Set(["cause", "errors", "lastError"])

/** Fields with the text of a request or an answer. */
const texts: ReadonlySet<PropertyKey> = new Set(["responseBody", "body", "text", "prompt", "toolInput"])

/** Characters from which any other text may be that of a request or an answer. */
const longText = 200

/** Characters from which a prompt is replaced in messages. Shorter ones may be any word. */
const shortestPrompt = 12

/**
 * Hides requests and answers in an error and the nested ones, so that neither logs nor stored errors repeat a prompt: errors of the
 * AI SDK carry both. Code can still read the fields; they are no longer listed. Messages that quote a prompt are changed.
 */
export const conceal = (thrown: unknown, prompts: ReadonlyArray<string>): void => {
  for (const error of unwrap(Thrown.unwrap(thrown).error)) {
    for (const [field, property] of Object.entries(Object.getOwnPropertyDescriptors(error))) {
      if (property.enumerable !== true || !property.configurable || nested.has(field)) continue
      const { value } = property
      const isLarge =
        typeof value === "string" ? texts.has(field) || value.length > longText : typeof value === "object" && value !== null
      if (isLarge && field !== "message") Reflect.defineProperty(error, field, { ...property, enumerable: false })
    }
    for (const field of ["message", "stack"]) {
      const text = get(error, field)
      if (typeof text !== "string") continue
      const shown = prompts.filter(({ length }) => length >= shortestPrompt).reduce(withoutPrompt, text)
      if (shown === text) continue
      const property = { value: shown, enumerable: false, configurable: true, writable: true }
      Reflect.defineProperty(error, field, property)
    }
  }
}

/** Replaces a prompt, as it is or as it stands in JSON. */
const withoutPrompt = (text: string, prompt: string): string =>
  text.replaceAll(prompt, "[the prompt]").replaceAll(JSON.stringify(prompt).slice(1, -1), "[the prompt]")

const statusOf = (error: object): number | undefined =>
  [get(error, "statusCode"), get(error, "status"), get(get(error, "response"), "status")].find(isStatus)

const isStatus = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 100 && Number(value) < 600

/** Client errors that are temporary: request timeout, conflict, too early, too many requests. */
const passing = new Set([408, 409, 425, 429])

/** Errors of invalid requests or configuration: ours, and those that the AI SDK creates without a class. */
const final: ReadonlySet<string> = new Set([
  ...["NonRetryable", "GatewayAuthenticationError", "GatewayError"],
  // Commands that cannot be started here, such as an agent's program without the isolation of the runtime.
  ...["IsolationUnavailable", "InvalidPolicy", "CommandNotStarted"],
])

/** Returns `true` for errors of the AI SDK about an invalid request or configuration, raised before a provider was called. */
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

/** Returns whether a retry may help; `undefined` if the error does not say. */
const verdict = (error: object, sdk: Sdk.Sdk | undefined): boolean | undefined => {
  const isRetryable = get(error, "isRetryable")
  const status = statusOf(error)
  // An answer that was accepted and cannot be read, such as a page of a proxy or half an answer, says nothing about the next one.
  if (typeof isRetryable === "boolean" && (isRetryable || status === undefined || status >= 400)) return isRetryable
  if (status !== undefined && status >= 400) return status >= 500 || passing.has(status)
  return final.has(Thrown.nameOf(error)) || (sdk !== undefined && isFinal(error, sdk)) ? false : undefined
}

/** Returns the end of a limit, of errors of command-line agents. */
const resetAtOf = (error: object): Millis.Millis | undefined => {
  const resetAt = get(error, "resetAt")
  return typeof resetAt === "number" && Millis.is(resetAt) ? Millis.make(resetAt) : undefined
}

/** Returns the delay that the provider requests, bounded by the range of dates. */
const retryAfterOf = (error: object, now: Millis.Millis): Millis.Millis | undefined => {
  const asked = askedOf(error, now)
  return asked === undefined ? undefined : Either.getOrElse(Millis.span(asked), () => Millis.longest)
}

const askedOf = (error: object, now: Millis.Millis): number | undefined => {
  const [resetAt, after] = [resetAtOf(error), get(error, "retryAfterMs")]
  if (resetAt !== undefined) return Math.max(0, resetAt - now)
  if (typeof after === "number" && after >= 0) return after
  const holders = [get(error, "responseHeaders"), get(error, "headers"), get(get(error, "response"), "headers")]
  for (const headers of holders) {
    const exact = header(headers, "retry-after-ms")
    if (isCount(exact)) return Number(exact)
    const later = header(headers, "retry-after")
    if (isCount(later)) return Number(later) * 1000
    const date = later === undefined ? Number.NaN : Date.parse(later)
    if (!Number.isNaN(date)) return Math.max(0, date - now)
  }
  return undefined
}

const isCount = (value: string | undefined): boolean => value !== undefined && /^\s*\d+(?:\.\d+)?\s*$/.test(value)

/** Returns a header of a `Headers` or a plain object, ignoring case. */
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
