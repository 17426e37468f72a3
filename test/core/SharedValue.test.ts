/** Outputs as a run keeps them, one for each of its rows. */

import { describe, expect, it } from "vitest"
import { share } from "../../packages/core/src/internal/sharedValue.ts"

/** Collects what nothing holds. A reference that was just looked at is held until the next turn. */
const collected = async (ref: WeakRef<object>): Promise<boolean> => {
  for (let turn = 0; turn < 50; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 0))
    Bun.gc(true)
    if (ref.deref() === undefined) return true
  }
  return false
}

/** Shares a value in a call of its own, so that no variable of the test holds what it was made from. */
const shared = (value: unknown) => {
  const stored = { text: "x".repeat(1000) }
  return { kept: share(value, () => () => stored), stored: new WeakRef(stored) }
}

describe("a shared value", () => {
  it.each([
    ["a flat one", { index: 1 }],
    ["a nested one", { list: [{ index: 1 }] }],
    ["a text", "given"],
  ])("that is frozen holds nothing of what it was decoded from: %s", async (_, value) => {
    const { kept, stored } = shared(value)
    expect(await collected(stored)).toBe(true)
    expect(kept.give()).toBe(value)
  })
})
