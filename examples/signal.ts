/**
 * A run that a signal starts, and that another one ends: an order that waits to be paid. The first signal of an order starts its run, and every
 * signal is counted once, however often it is sent. `bun examples/signal.ts [order]`, then `bun examples/signal.ts [order] paid`.
 */
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Order = Smithers.createWorkflow({ name: "order", input: Schema.Struct({ order: Schema.String }) }).build(($) => {
  const placed = $.signal("placed", { name: "placed", payload: Schema.Struct({ items: Schema.Number }) })
  const paid = $.signal("paid", {
    name: "paid",
    payload: Schema.Struct({ by: Schema.String }),
    correlation: ({ input }) => input.order,
    timeout: "14 days",
    onTimeout: "continue",
  })
  const ship = $.step("ship", {
    needs: { placed, paid },
    output: Schema.String,
    run: ({ input, placed, paid }) =>
      paid === undefined
        ? `Order ${input.order} was never paid.`
        : `Order ${input.order}: ${placed.items} items are on their way to ${paid.by}.`,
  })
  return $.sequence(placed, paid, ship)
})

const [order = "42", command] = process.argv.slice(2)
const runId = `order-${order}`

const program = Effect.gen(function* () {
  if (command === "paid") yield* Smithers.signal(runId, "paid", { payload: { by: "Ann" }, correlation: order, id: `paid-${order}` })
  // Sent once or ten times: there is one run, and it has heard of the order once.
  const placed = { runId, signal: "placed", payload: { items: 3 }, id: `placed-${order}` }
  const handle = yield* Smithers.signalWithStart(Order, { order }, placed)
  const result = yield* handle.waiting
  if (result.status === "waiting-event") console.log(`It waits to be paid: bun ${process.argv[1]} ${order} paid`)
  else console.log(result.status === "finished" ? result.output : result)
})

await Effect.runPromise(Effect.provide(program, Smithers.sqlite({ filename: "orders.db" })))
