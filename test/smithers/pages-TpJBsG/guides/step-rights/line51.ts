import { Smithers } from "smithers-orchestrator"
import { Effect, Schema } from "effect"

const writer = { name: "writer", generate: async ({ prompt }: { prompt: string }) => ({ text: `{"title":${JSON.stringify(prompt.split("\n")[0])}}` }) }
const Title = Schema.Struct({ title: Schema.String })

const workflow = Smithers.createWorkflow({ name: "titles", input: Schema.Struct({ topic: Schema.String }) }).build(($) =>
  $.step("title", { output: Title, agent: writer, prompt: ({ input }) => `A title about ${input.topic}.`, readOnly: true }),
)
console.log(await Effect.runPromise(workflow.execute({ topic: "the sea" }).pipe(Effect.provide(Smithers.memory))))
