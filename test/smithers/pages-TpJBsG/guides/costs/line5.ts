import { Effect, Schema } from "effect"
import { MockLanguageModelV4 } from "ai/test"
import { createAgent, Smithers } from "smithers-orchestrator"

// A real model is a string such as "anthropic/claude-sonnet-4.5".
const usage = { inputTokens: { total: 1_000, noCache: 200, cacheRead: 800, cacheWrite: 0 }, outputTokens: { total: 100, text: 100, reasoning: 0 } }
const model = new MockLanguageModelV4({
  modelId: "claude-sonnet-4-5",
  doGenerate: async () => ({ content: [{ type: "text", text: "All is well." }], finishReason: { unified: "stop", raw: undefined }, usage, warnings: [] }),
})
const reviewer = createAgent({ name: "reviewer", model })
const Review = Smithers.createWorkflow({ name: "review", input: Schema.Struct({}), budget: { cost: 1 } }).build(($) =>
  $.step("read", { agent: reviewer, prompt: "Review it.", output: Schema.String }),
)

const program = Effect.gen(function* () {
  yield* Review.execute({}, { runId: "m1abc2" })
  for (const { nodeId, agent, name, inputTokens, cost } of yield* Smithers.usage({ runIds: ["m1abc2"] }))
    console.log(nodeId, agent, name, inputTokens, `$${cost}`)
})
await Effect.runPromise(Effect.provide(program, Smithers.sqlite({ filename: "smithers.db" })))
