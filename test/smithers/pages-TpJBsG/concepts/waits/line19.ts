import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Ship = Smithers.createWorkflow({ name: "ship", input: Schema.Struct({ version: Schema.String }) }).build(($) =>
  $.approval("ok", { request: ({ input }) => ({ title: `Ship ${input.version}?` }), timeout: "1 day", onTimeout: "deny" }),
)

const program = Effect.gen(function* () {
  const before = yield* Ship.run({ version: "1.2" }, { runId: "ship" })
  console.log(before.status)
  yield* Smithers.approve("ship", "ok", { by: "ann" })
  const after = yield* Ship.run({ version: "1.2" }, { runId: "ship" })
  console.log(after.status)
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.sqlite({ filename: "smithers.db" }))))
