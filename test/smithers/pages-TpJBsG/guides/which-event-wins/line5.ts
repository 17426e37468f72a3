import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Order = Smithers.createWorkflow({ name: "order", input: Schema.Struct({}) }).build(($) => {
  const paid = $.signal("paid", { name: "paid", payload: Schema.String })
  const revoked = $.signal("revoked", { name: "revoked", payload: Schema.String })
  return $.race({ paid, revoked })
})

const program = Effect.gen(function* () {
  yield* Order.run({}, { runId: "o1" }) // waits; no process works on it now
  yield* Smithers.signal("o1", "revoked", { payload: "by ann" })
  yield* Effect.sleep("5 millis")
  yield* Smithers.signal("o1", "paid", { payload: "by bob" })
  console.log(yield* Order.execute({}, { runId: "o1" })) // a day later
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
