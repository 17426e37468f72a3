import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Greet = Smithers.createWorkflow({ name: "greet", input: Schema.Struct({ name: Schema.String }) }).build(($) => {
  const text = $.step("text", { output: Schema.String, run: ({ input }) => `Hello, ${input.name}.` })
  const size = $.step("size", { needs: { text }, output: Schema.Number, run: ({ text }) => text.length })
  return $.sequence(text, size)
})

const first = Greet.execute({ name: "Ada" }, { runId: "greet-ada" })
const second = Greet.execute({ name: "Ada" }, { runId: "greet-ada" })
const program = Effect.zip(first, second).pipe(Effect.provide(Smithers.sqlite({ filename: "smithers.db" })))
console.log(await Effect.runPromise(program))
