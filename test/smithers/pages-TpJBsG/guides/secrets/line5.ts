import { Console, Effect, Redacted, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Charge = Smithers.createWorkflow({ name: "charge", input: Schema.Struct({}) }).build(($) =>
  $.step("pay", {
    output: Schema.String,
    retry: false,
    run: () => Effect.fail(new Error("401: the key sk_live_51H8xQ9aTz is not valid")),
  }),
)
const Store = Smithers.sqlite({
  filename: "smithers.db",
  secrets: { STRIPE_KEY: Redacted.make("sk_live_51H8xQ9aTz") }, // or the names of variables: ["STRIPE_KEY"]
})

const told = Effect.flatMap(Effect.flip(Charge.execute({})), (failure) => Console.log(/key .* valid/.exec(failure.message)?.[0]))
await Effect.runPromise(Effect.provide(told, Store))
