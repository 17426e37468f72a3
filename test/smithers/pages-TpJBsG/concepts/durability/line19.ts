import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const charged = new Map<string, number>() // a payment provider that knows its keys

const Pay = Smithers.createWorkflow({ name: "pay", input: Schema.Struct({ amount: Schema.Number }) }).build(($) =>
  $.step("charge", {
    output: Schema.Number,
    retry: { initialDelay: "10ms" },
    run: ({ input, attempt, idempotencyKey }) => {
      charged.set(idempotencyKey, input.amount)
      if (attempt === 1) throw new Error("the connection was cut after the charge")
      return charged.size
    },
  }),
)

const run = Pay.execute({ amount: 5 }, { runId: "p1" }).pipe(Effect.provide(Smithers.memory))
console.log(await Effect.runPromise(run), [...charged.keys()])
