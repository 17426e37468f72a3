import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

export default Smithers.createWorkflow({ name: "order", input: Schema.Struct({ orderId: Schema.String }) }).build(($) => {
  const paid = $.signal("paid", {
    name: "payment",
    correlation: ({ input }) => input.orderId,
    payload: Schema.Struct({ amount: Schema.Number }),
    timeout: "7 days",
    onTimeout: "continue", // the value is undefined then. Default: "fail"
  })
  const ship = $.step("ship", {
    needs: { paid },
    output: Schema.String,
    run: ({ input, paid }) => (paid === undefined ? `${input.orderId} cancelled` : `${input.orderId} shipped for ${paid.amount}`),
  })
  return $.sequence(paid, ship)
})
