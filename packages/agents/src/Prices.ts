/**
 * Prices of models, by which calls are charged. The bundled table holds list prices of November 2025, without discounts and surcharges,
 * such as those for long prompts; the prices of a runtime come before it. A model that neither knows has no price: its cost is unknown,
 * not 0.
 */
import type { Usage } from "@smithers/core/Charges"
import { InvalidSetting } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

const Amount = Schema.Number.pipe(Schema.finite(), Schema.nonNegative())

/** The price of a model in US dollars per million tokens. */
export const Price = Schema.Struct({
  input: Amount,
  output: Amount,
  /** Input that is read from a cache. Default: the price of input. */
  cachedInput: Schema.optional(Amount),
  /** Input that is written to a cache. Default: the price of input. */
  cacheWrite: Schema.optional(Amount),
})
export interface Price extends Schema.Schema.Type<typeof Price> {}

/**
 * Prices by the ids of models, such as `claude-sonnet-4-5`. An id also stands for the same one with a provider before it
 * (`anthropic/claude-sonnet-4.5`) and a date after it.
 */
export interface Prices {
  readonly [model: string]: Price
}

const readPrices = Schema.decodeUnknownEither(Schema.Record({ key: Schema.String, value: Price }), { onExcessProperty: "error" })

/** Reads prices, or returns the first problem with its path. */
const read = (value: unknown): Either.Either<Prices, { readonly path: ReadonlyArray<string>; readonly problem: string }> => {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return Either.left({ path: [], problem: 'an object of prices, such as { "my-model": { input: 3, output: 15 } }' })
  return Either.mapLeft(readPrices(value), (error) => {
    const path = (ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.path ?? []).map(String)
    return { path, problem: "US dollars per million tokens: { input, output, cachedInput?, cacheWrite? }" }
  })
}

/** Reads the setting of prices. */
export const setting = (name: string, value: unknown): Either.Either<Prices, InvalidSetting> =>
  Either.mapLeft(
    read(value === undefined ? {} : value),
    ({ path, problem }) =>
      new InvalidSetting({ setting: [name, ...path].join("."), received: Millis.show(value), expected: problem }),
  )

const claude = (input: number, output: number): Price => ({ input, output, cachedInput: input / 10, cacheWrite: input * 1.25 })
const price = (input: number, output: number, cachedInput: number): Price => ({ input, output, cachedInput })

/** The month of the bundled prices. */
export const asOf = "2025-11"

/** List prices of {@link asOf}. */
export const bundled: Prices = {
  "claude-opus-4": claude(15, 75),
  "claude-opus-4-1": claude(15, 75),
  "claude-opus-4-5": claude(5, 25),
  "claude-sonnet-4": claude(3, 15),
  "claude-sonnet-4-5": claude(3, 15),
  "claude-haiku-4-5": claude(1, 5),
  "claude-3-7-sonnet": claude(3, 15),
  "claude-3-5-haiku": claude(0.8, 4),
  "gpt-5": price(1.25, 10, 0.125),
  "gpt-5-codex": price(1.25, 10, 0.125),
  "gpt-5-1": price(1.25, 10, 0.125),
  "gpt-5-1-codex": price(1.25, 10, 0.125),
  "gpt-5-mini": price(0.25, 2, 0.025),
  "gpt-5-nano": price(0.05, 0.4, 0.005),
  "gpt-4-1": price(2, 8, 0.5),
  "gpt-4-1-mini": price(0.4, 1.6, 0.1),
  "gpt-4-1-nano": price(0.1, 0.4, 0.025),
  "gpt-4o": price(2.5, 10, 1.25),
  "gpt-4o-mini": price(0.15, 0.6, 0.075),
  o3: price(2, 8, 0.5),
  "o4-mini": price(1.1, 4.4, 0.275),
  "gemini-2-5-pro": price(1.25, 10, 0.125),
  "gemini-2-5-flash": price(0.3, 2.5, 0.03),
  "gemini-2-5-flash-lite": price(0.1, 0.4, 0.01),
}

/** An id without its provider and its date, with dots as dashes. */
const normal = (model: string): string =>
  (model.split("/").at(-1) ?? model)
    .toLowerCase()
    .replaceAll(".", "-")
    .replace(/-(latest|\d{8}|\d{4}-\d{2}-\d{2})$/, "")

const normalized = (prices: Prices): ReadonlyMap<string, Price> =>
  new Map(Object.entries(prices).map(([model, price]) => [normal(model), price]))

const ofBundle = normalized(bundled)
const known = new WeakMap<Prices, ReadonlyMap<string, Price>>()

/** The price of a model, by the prices of a runtime and then by the bundled ones. */
export const of = (prices: Prices, model: string | undefined): Price | undefined => {
  if (model === undefined) return undefined
  const own = known.get(prices) ?? normalized(prices)
  known.set(prices, own)
  return own.get(normal(model)) ?? ofBundle.get(normal(model))
}

/** The cost of a call in US dollars. */
export const costOf = ({ input, output, cachedInput = input, cacheWrite = input }: Price, usage: Usage): number => {
  const { inputTokens = 0, outputTokens = 0, cachedInputTokens = 0, cacheWriteTokens = 0 } = usage
  const fresh = Math.max(0, inputTokens - cachedInputTokens - cacheWriteTokens)
  return (fresh * input + cachedInputTokens * cachedInput + cacheWriteTokens * cacheWrite + outputTokens * output) / 1e6
}
