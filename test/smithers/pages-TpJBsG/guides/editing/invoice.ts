import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

export default Smithers.createWorkflow({ name: "invoice", input: Schema.Struct({ items: Schema.Array(Schema.Number) }) }).build(($) => {
  const sum = $.step("sum", { output: Schema.Number, run: ({ input }) => input.items.reduce((a, b) => a + b, 0) })
  const address = $.step("address", { output: Schema.String, run: () => "ann@example.com" })
  const mail = $.step("mail", { needs: { sum, address }, output: Schema.String, run: ({ sum, address }) => `${sum} to ${address}` })
  return $.sequence(sum, address, mail)
})
