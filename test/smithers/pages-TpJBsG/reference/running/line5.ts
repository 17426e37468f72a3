import { Effect, Option, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Ship = Smithers.createWorkflow({ name: "ship", input: Schema.Struct({ tag: Schema.String }) }).build(($) =>
  $.sequence($.timer("wait", { duration: "20ms" }), $.step("ship", { output: Schema.String, run: ({ input }) => `shipped ${input.tag}` })),
)

const program = Effect.gen(function* () {
  const run = yield* Ship.start({ tag: "v1" }, { runId: "s1", tags: ["release"] })
  console.log((yield* run.waiting).status) // like `run`: once nothing but waits is left
  console.log(yield* run.await) // the output
  console.log(Option.map(yield* Ship.poll("s1"), ({ status }) => status))
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
