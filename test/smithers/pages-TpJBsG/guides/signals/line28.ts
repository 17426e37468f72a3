import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"
import Order from "./order.ts"

const program = Effect.gen(function* () {
  yield* Order.run({ orderId: "o1" }, { runId: "o1" })
  yield* Smithers.signal("o1", "payment", { correlation: "o1", payload: { amount: 9 }, id: "charge-77" })
  console.log(yield* Order.execute({ orderId: "o1" }, { runId: "o1" }))

  // Starts the run if there is none, and sends the signal: both or nothing.
  const signal = { runId: "o2", signal: "payment", correlation: "o2", payload: { amount: 5 } }
  const run = yield* Smithers.signalWithStart(Order, { orderId: "o2" }, signal)
  console.log(yield* run.await)
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
