import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Deploy = Smithers.createWorkflow({ name: "deploy", input: Schema.Struct({ tag: Schema.String }) }).build(($) =>
  $.step("deploy", {
    output: Schema.String,
    needsApproval: { request: ({ input }) => ({ title: `Deploy ${input.tag}?` }), onDeny: "skip", approvers: ["ann"] },
    run: ({ input }) => `deployed ${input.tag}`,
  }),
)

const program = Effect.gen(function* () {
  yield* Deploy.run({ tag: "v1" }, { runId: "d1" })
  const refused = yield* Effect.flip(Smithers.approve("d1", "deploy", { by: "bob" }))
  console.log(refused._tag)
  yield* Smithers.approve("d1", "deploy", { by: "ann" })
  console.log(yield* Deploy.execute({ tag: "v1" }, { runId: "d1" }))
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
