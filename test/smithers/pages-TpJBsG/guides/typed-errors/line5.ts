import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

class Declined extends Schema.TaggedError<Declined>()("Declined", { amount: Schema.Number, at: Schema.Date }) {}

const Pay = Smithers.createWorkflow({ name: "pay", input: Schema.Struct({ amount: Schema.Number }) }).build(($) =>
  $.step("charge", {
    output: Schema.String,
    error: Declined, // several: Schema.Union(Declined, Limited)
    retry: { while: (error) => error.declared === undefined }, // a declined card stays declined
    run: ({ input }) => Effect.fail(new Declined({ amount: input.amount, at: new Date(0) })),
  }),
)

const paid = Pay.execute({ amount: 5 }).pipe(
  Effect.catchTag("Declined", ({ amount, at }) => Effect.succeed(`declined: ${amount} in ${at.getUTCFullYear()}`)),
)
console.log(await Effect.runPromise(paid.pipe(Effect.provide(Smithers.memory))))
