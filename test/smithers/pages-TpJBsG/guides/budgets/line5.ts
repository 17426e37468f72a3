import { Effect, Schema } from "effect"
import { MockLanguageModelV4 } from "ai/test"
import { createAgent, defineTool, Smithers } from "smithers-orchestrator"

const look = defineTool({ description: "Looks.", input: Schema.Struct({}), execute: () => `seen at ${Math.random()}` })

// A model that never stops to look. A real one is a string such as "anthropic/claude-sonnet-4.5".
const usage = { inputTokens: { total: 100, noCache: 100, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 20, text: 20, reasoning: 0 } }
const model = new MockLanguageModelV4({
  modelId: "my-model",
  doGenerate: async ({ tools }) => ({
    content: tools === undefined ? [{ type: "text", text: "what I have so far" }] : [{ type: "tool-call", toolCallId: "look", toolName: "look", input: "{}" }],
    finishReason: { unified: tools === undefined ? "stop" : "tool-calls", raw: undefined },
    usage,
    warnings: [],
  }),
})
const scout = createAgent({ name: "scout", model, tools: { look }, maxSteps: 50 })

const Study = Smithers.createWorkflow({ name: "study", input: Schema.Struct({}), budget: { cost: 2, duration: "2 hours" } }).build(($) =>
  $.sequence(
    $.step("quick", { agent: scout, prompt: "Look around.", output: Schema.String, budget: { tokens: 500, onReached: "finish" } }),
    $.budget({ id: "deep", agentCalls: 3, body: $.step("dig", { agent: scout, prompt: "Look closely.", output: Schema.String, retry: false }) }),
  ),
)

const program = Effect.gen(function* () {
  const result = yield* Study.run({}, { runId: "r" })
  if (result.status === "failed") console.log(result.error.message.split(" (")[0])
  for (const { name, spent } of yield* Smithers.budgets("r")) console.log(name, spent.agentCalls, "calls", `$${spent.cost}`)
})
const prices = { "my-model": { input: 3, output: 15 } }
await Effect.runPromise(Effect.provide(program, Smithers.sqlite({ filename: ":memory:", prices })))
