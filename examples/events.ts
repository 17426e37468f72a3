/**
 * Wires events of a run to decisions by hand: the stream of its events comes in, a signal or a cancellation goes out.
 */
import { Effect, Schema, Stream } from "effect"
import { Smithers } from "smithers-orchestrator"

const Order = Smithers.createWorkflow({ name: "order", input: Schema.Struct({ amount: Schema.Number }) }).build(($) => {
  const price = $.step("price", { output: Schema.Number, run: ({ input }) => input.amount })
  const go = $.signal("go", { name: "go", payload: Schema.Struct({ by: Schema.String }) })
  const ship = $.step("ship", { needs: { price, go }, output: Schema.String, run: ({ price }) => `shipped ${price}` })
  return $.sequence(price, go, ship)
})

/** Starts an order and follows it: one that is small goes on, one that is not is cancelled. */
export const decided = (amount: number) =>
  Effect.gen(function* () {
    const run = yield* Order.start({ amount })
    const decide = run.events.pipe(
      Stream.filter(({ event }) => event._tag === "WaitStarted" && event.kind === "signal"),
      Stream.runForEach(({ seq }) =>
        Effect.gen(function* () {
          if (amount > 100) return yield* run.cancel("too much")
          // Under an id of the event, so that it counts once, also where it is followed twice.
          yield* run.signal("go", { payload: { by: "limit" }, id: `limit-${seq}` })
        }),
      ),
    )
    // The stream ends with the run.
    const [output] = yield* Effect.all([run.await, decide], { concurrency: "unbounded" })
    return output
  }).pipe(Effect.catchTag("RunCancelled", ({ reason }) => Effect.succeed(reason ?? "cancelled")))
