import { expect, it } from "@effect/vitest"
import { Clock, Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { TestRuntime } from "smithers-orchestrator/testing"

const Order = Smithers.createWorkflow({ name: "order", input: Schema.Struct({ id: Schema.String }) }).build(($) => {
  const paid = $.signal("paid", { name: "payment", payload: Schema.Number, timeout: "7 days", onTimeout: "continue" })
  const ship = $.step("ship", {
    output: Schema.String,
    needs: { paid },
    run: ({ paid }) => Effect.succeed(paid === undefined ? "cancelled" : `shipped for ${paid}`),
  })
  return $.sequence(paid, ship)
})

it.effect("cancels what is not paid in a week", () =>
  Effect.gen(function* () {
    const began = yield* Clock.currentTimeMillis
    expect(yield* Order.execute({ id: "o2" })).toBe("cancelled")
    expect((yield* Clock.currentTimeMillis) - began).toBe(7 * 24 * 3600 * 1000)
  }).pipe(Effect.provide(TestRuntime.layer({ seed: 7 }))),
)
