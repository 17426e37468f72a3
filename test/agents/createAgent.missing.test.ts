/** Without the AI SDK installed. */

import { expect, it } from "@effect/vitest"
import { createAgent } from "@smithers/agents"
import { NonRetryable } from "@smithers/core/Errors"
import * as Effect from "effect/Effect"
import { vi } from "vitest"

vi.mock("ai", () => {
  throw new Error("Cannot find package 'ai'")
})

it.effect("an agent can be made without the AI SDK, and says at its first call that it needs it", () =>
  Effect.gen(function* () {
    const agent = createAgent({ name: "a", model: "acme/large" })
    const error = yield* Effect.flip(
      Effect.tryPromise({ try: async () => agent.generate({ prompt: "Go." }), catch: (thrown) => thrown }),
    )
    expect(error).toBeInstanceOf(NonRetryable)
    expect(String(error)).toContain("bun add ai")
  }),
)
