import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Build = Smithers.createWorkflow({ name: "build", input: Schema.Struct({ target: Schema.String }) }).build(($) =>
  $.step("compile", { output: Schema.String, run: ({ input }) => `${input.target}.js` }),
)

const Release = Smithers.createWorkflow({ name: "release", input: Schema.Struct({ targets: Schema.Array(Schema.String) }) }).build(($) =>
  $.map({
    id: "all",
    items: ({ input }) => input.targets,
    body: (target) => $.subflow("build", { needs: { target }, workflow: Build, input: ({ target }) => ({ target }) }),
  }),
)

const program = Effect.gen(function* () {
  console.log(yield* Release.execute({ targets: ["node", "web"] }, { runId: "r1" }))
  console.log((yield* Smithers.list({ workflow: "build" })).map(({ runId }) => runId).toSorted())
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
