import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Trip = Smithers.createWorkflow({ name: "trip", input: Schema.Struct({ city: Schema.String }) }).build(($) => {
  const flight = $.step("flight", {
    output: Schema.String,
    run: ({ input, idempotencyKey }) => `flight to ${input.city} (${idempotencyKey})`,
    compensate: ({ output }) => console.log(`cancel ${output}`),
  })
  const hotel = $.step("hotel", {
    output: Schema.String,
    run: ({ input }) => `hotel in ${input.city}`,
    compensate: ({ output }) => Effect.sync(() => console.log(`cancel ${output}`)),
  })
  const pay = $.step("pay", {
    needs: { flight, hotel },
    output: Schema.String,
    retry: false,
    run: () => Effect.fail(new Error("the card was declined")),
  })
  return $.saga(flight, hotel, pay, { id: "trip" })
})

const result = await Effect.runPromise(Trip.run({ city: "Rome" }, { runId: "t1" }).pipe(Effect.provide(Smithers.memory)))
console.log(result.status)
