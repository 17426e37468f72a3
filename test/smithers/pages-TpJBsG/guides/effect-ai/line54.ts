import { LanguageModel } from "@effect/ai"
import { Effect, Layer, Schema, Stream } from "effect"
import { Smithers } from "smithers-orchestrator"
import { effectAgent } from "smithers-orchestrator/effect-ai"

// A model of this process. A real one comes from a package such as @effect/ai-openai.
const layer = Layer.effect(
  LanguageModel.LanguageModel,
  LanguageModel.make({
    generateText: () => Effect.succeed([{ type: "text", text: '{ "tone": "kind" }' }]),
    streamText: () => Stream.empty,
  }),
)

const Letters = Smithers.createWorkflow({ name: "letters", input: Schema.Struct({ text: Schema.String }) }).build(($) =>
  $.step("judge", {
    output: Schema.Struct({ tone: Schema.Literal("kind", "harsh") }),
    agent: effectAgent({ name: "judge", layer }),
    prompt: ({ input }) => `Judge the tone of: ${input.text}`,
  }),
)
const runtime = Smithers.sqlite({ filename: ":memory:" })
console.log(await Effect.runPromise(Effect.provide(Letters.execute({ text: "Thank you!" }, { runId: "r1" }), runtime)))
