/** What calls of models cost: the bundled prices, those of a runtime, and how tokens of caches count. */
import * as Prices from "@smithers/agents/Prices"
import * as Either from "effect/Either"
import { describe, expect, it } from "vitest"

describe("a price", () => {
  it("is found by the id of a model, with a provider before it, a date after it, and dots for dashes", () => {
    const sonnet = Prices.bundled["claude-sonnet-4-5"]
    for (const id of ["claude-sonnet-4-5", "anthropic/claude-sonnet-4.5", "claude-sonnet-4-5-20250929", "Claude-Sonnet-4-5-latest"])
      expect(Prices.of({}, id)).toBe(sonnet)
    expect(Prices.of({}, "openai/gpt-5.1-2025-11-13")).toBe(Prices.bundled["gpt-5-1"])
  })

  it("is unknown of a model that neither table has, and of no model", () => {
    expect(Prices.of({}, "claude-sonnet-9")).toBeUndefined()
    expect(Prices.of({}, "claude-sonnet")).toBeUndefined()
    expect(Prices.of({}, undefined)).toBeUndefined()
  })

  it("of the runtime comes before a bundled one", () => {
    const own = { "anthropic/claude-sonnet-4.5": { input: 1, output: 2 } }
    expect(Prices.of(own, "claude-sonnet-4-5")).toEqual({ input: 1, output: 2 })
    expect(Prices.of(own, "claude-opus-4-5")).toBe(Prices.bundled["claude-opus-4-5"])
  })

  it("is an amount of dollars per million tokens, or is refused with its path", () => {
    expect(Either.isRight(Prices.setting("prices", { m: { input: 0, output: 0 } }))).toBe(true)
    for (const wrong of [{ m: { input: -1, output: 1 } }, { m: { input: 1 } }, { m: { input: 1, output: 1, cached: 1 } }, [], "1"])
      expect(Prices.setting("prices", wrong)).toMatchObject({ left: { setting: expect.stringMatching(/^prices/) } })
  })

  it("of all bundled models is positive, and cheaper for input from a cache", () => {
    expect(Prices.asOf).toMatch(/^\d{4}-\d{2}$/)
    for (const [model, { input, output, cachedInput = input }] of Object.entries(Prices.bundled))
      expect([model, input > 0, output > input, cachedInput < input]).toEqual([model, true, true, true])
  })
})

describe("the cost of a call", () => {
  const price = { input: 3, output: 15, cachedInput: 0.3, cacheWrite: 3.75 }

  it("counts input that caches gave or took by their own prices, and the rest of it once", () => {
    const usage = { inputTokens: 1_000_000, cachedInputTokens: 600_000, cacheWriteTokens: 100_000, outputTokens: 10_000 }
    expect(Prices.costOf(price, usage)).toBeCloseTo(0.3 * 3 + 0.6 * 0.3 + 0.1 * 3.75 + 0.01 * 15, 9)
  })

  it("takes the price of input where there is none for caches, and never less than none of fresh input", () => {
    expect(Prices.costOf({ input: 2, output: 4 }, { inputTokens: 1_000_000, cachedInputTokens: 400_000 })).toBeCloseTo(2, 9)
    // A provider that counts cached tokens beside the input.
    expect(Prices.costOf(price, { inputTokens: 10, cachedInputTokens: 1_000_000 })).toBeCloseTo(0.3, 9)
  })
})
