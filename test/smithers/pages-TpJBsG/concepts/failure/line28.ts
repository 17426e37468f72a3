import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Trip = Smithers.createWorkflow({ name: "trip", input: Schema.Struct({}) }).build(($) =>
  $.saga(
    $.step("flight", { output: Schema.String, run: () => "SM1", compensate: ({ output }) => console.log(`cancel ${output}`) }),
    $.step("car", { output: Schema.String, run: () => Effect.fail(new Smithers.NonRetryable({ message: "no cars" })) }),
  ),
)

const result = await Effect.runPromise(Trip.run({}).pipe(Effect.provide(Smithers.memory)))
console.log(result.status)
