import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Nightly = Smithers.createWorkflow({ name: "nightly", input: Schema.Struct({}), deadline: "2 hours" }).build(($) =>
  $.saga(
    $.step("lock", { output: Schema.Void, run: () => console.log("locked"), compensate: () => console.log("unlocked") }),
    $.approval("go", { request: () => ({ title: "Go on?" }) }),
  ),
)

// The time of one run may be given with it.
const error = await Effect.runPromise(
  Effect.flip(Nightly.execute({}, { runId: "tonight", deadline: "300ms" })).pipe(Effect.provide(Smithers.memory)),
)
console.log(error._tag)
