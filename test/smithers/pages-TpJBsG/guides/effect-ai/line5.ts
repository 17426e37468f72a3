import { Tool, Toolkit } from "@effect/ai"
import { AnthropicClient, AnthropicLanguageModel } from "@effect/ai-anthropic"
import { FetchHttpClient } from "@effect/platform"
import { Config, Effect, Layer, Schema } from "effect"
import { effectAgent } from "smithers-orchestrator/effect-ai"

const Lookup = Tool.make("lookup", { parameters: { id: Schema.String }, success: Schema.String }).annotate(Tool.Readonly, true)
const Refund = Tool.make("refund", {
  description: "Refunds an order.",
  parameters: { order: Schema.String, cents: Schema.Number },
  success: Schema.String,
})
const toolkit = Toolkit.make(Lookup, Refund)

const handlers = toolkit.toLayer({ lookup: ({ id }) => Effect.succeed(id), refund: ({ order }) => Effect.succeed(`refunded ${order}`) })
const model = AnthropicLanguageModel.layer({ model: "claude-sonnet-4-5", config: { max_tokens: 4096 } }).pipe(
  Layer.provide(AnthropicClient.layerConfig({ apiKey: Config.redacted("ANTHROPIC_API_KEY") })),
  Layer.provide(FetchHttpClient.layer),
)

const clerk = effectAgent({
  name: "clerk",
  modelId: "claude-sonnet-4-5",
  instructions: "You answer complaints. Be kind.",
  toolkit,
  layer: Layer.merge(model, handlers),
  rules: { refund: { needsApproval: ({ input }) => input.cents > 5000, afterCrash: "ask" } },
})
console.log(clerk.name, Object.keys(clerk.tools))
