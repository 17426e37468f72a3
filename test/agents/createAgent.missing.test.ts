/** Without the AI SDK installed. */

import { describe, expect, it } from "@effect/vitest"
import { createAgent } from "@smithers/agents"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import type { Agent } from "@smithers/core/Agent"
import * as Codec from "@smithers/core/Codec"
import { NonRetryable } from "@smithers/core/Errors"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { vi } from "vitest"
import * as Journals from "./Journals.ts"

/** How often something has asked for the SDK. */
const asked = vi.hoisted(() => ({ times: 0 }))

vi.mock("ai", () => {
  asked.times++
  throw new Error("Cannot find package 'ai'")
})

const asking = (agent: Agent) =>
  AgentProgram.run({
    agents: [agent],
    prompt: "Assess.",
    output: Codec.make(Schema.Struct({ risk: Schema.String })),
    isText: false,
    corrections: 1,
    context: { input: {}, runId: "r", stepId: "s", iteration: 0, attempt: 1, idempotencyKey: "k" },
    signal: new AbortController().signal,
    journal: Journals.make(),
    feedback: [],
    onTurn: () => undefined,
  })

describe("without the AI SDK", () => {
  it.effect("agents that do not need it are asked, put right, and given up with what they raised", () =>
    Effect.gen(function* () {
      const replies = ["low", '{"risk":"low"}']
      expect(yield* asking({ generate: async () => ({ text: replies.shift() ?? "" }) })).toEqual({ risk: "low" })
      const refused = Object.assign(new Error("bad key"), { statusCode: 401 })
      const failed = yield* Effect.flip(asking({ name: "a", generate: () => Promise.reject(refused) }))
      expect(failed).toMatchObject({ _tag: "AgentFailed", agent: "a", status: 401, retryable: false, cause: refused })
      expect(asked.times).toBe(0)
    }),
  )

  it.effect("errors of another copy of it are read by their fields", () =>
    Effect.gen(function* () {
      const marked = Object.assign(new Error("busy"), { [Symbol.for("vercel.ai.error")]: true, statusCode: 429 })
      const failed = yield* Effect.flip(asking({ name: "a", generate: () => Promise.reject(marked) }))
      expect(failed).toMatchObject({ _tag: "AgentFailed", status: 429, retryable: true })
      expect(asked.times).toBeGreaterThan(0)
    }),
  )

  it.effect("an agent can be made, and says at its first call that it needs it", () =>
    Effect.gen(function* () {
      const agent = createAgent({ name: "a", model: "acme/large" })
      const error = yield* Effect.flip(
        Effect.tryPromise({ try: async () => agent.generate({ prompt: "Go." }), catch: (thrown) => thrown }),
      )
      expect(error).toBeInstanceOf(NonRetryable)
      expect(String(error)).toContain("bun add ai")
    }),
  )
})
