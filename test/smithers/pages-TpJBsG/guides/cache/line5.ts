import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

let calls = 0

const Describe = Smithers.createWorkflow({ name: "describe", input: Schema.Struct({ sha: Schema.String, note: Schema.String }) }).build(($) =>
  $.step("describe", {
    output: Schema.String,
    cache: { key: ({ input }) => input.sha, ttl: "7 days" },
    run: ({ input }) => {
      calls++
      return `about ${input.sha}`
    },
  }),
)

const program = Effect.gen(function* () {
  console.log(yield* Describe.execute({ sha: "abc", note: "first" }))
  console.log(yield* Describe.execute({ sha: "abc", note: "second" }))
  console.log(`${calls} call`)
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
