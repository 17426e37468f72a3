import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Order = Smithers.createWorkflow({ name: "order", input: Schema.Struct({}) }).build(($) =>
  $.signal("paid", { name: "paid", payload: Schema.Struct({ amount: Schema.Number }) }),
)

const program = Effect.gen(function* () {
  yield* Order.run({}, { runId: "order-7" }) // waits, and releases its claim
  yield* Smithers.signal("order-7", "paid", { payload: { amount: 5 }, id: "payment-1" })
  yield* Smithers.signal("order-7", "paid", { payload: { amount: 5 }, id: "payment-1" }) // counts once
  console.log(yield* Order.execute({}, { runId: "order-7" }))
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
