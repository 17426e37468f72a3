import { Effect, Schema } from "effect"
import { MockLanguageModelV4 } from "ai/test"
import { createAgent, defineTool, Smithers } from "smithers-orchestrator"

// A model that looks once, and answers. A real one is a string such as "anthropic/claude-sonnet-4.5".
const usage = { inputTokens: { total: 1_000, noCache: 200, cacheRead: 800, cacheWrite: 0 }, outputTokens: { total: 100, text: 100, reasoning: 0 } }
const call = { type: "tool-call" as const, toolCallId: "1", toolName: "look", input: "{}" }
const model = new MockLanguageModelV4({
  modelId: "claude-sonnet-4-5",
  doGenerate: async ({ prompt }) => {
    const isDone = prompt.some(({ role }) => role === "tool")
    const content = isDone ? { type: "text" as const, text: "All is well." } : call
    return { content: [content], finishReason: { unified: isDone ? "stop" : "tool-calls", raw: undefined }, usage, warnings: [] }
  },
})
const look = defineTool({ description: "Looks.", input: Schema.Struct({}), execute: () => "nothing" })
const reviewer = createAgent({ name: "reviewer", model, tools: { look } })
const Review = Smithers.createWorkflow({ name: "review", input: Schema.Struct({}), budget: { cost: 1 } }).build(($) =>
  $.step("read", { agent: reviewer, prompt: "Review it.", output: Schema.String }),
)
await Effect.runPromise(Effect.provide(Review.execute({}, { runId: "m1abc2" }), Smithers.sqlite({ filename: "smithers.db" })))
