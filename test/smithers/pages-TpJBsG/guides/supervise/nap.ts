import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

export default Smithers.createWorkflow({ name: "nap", input: Schema.Struct({ hours: Schema.Number }) }).build(($) => {
  const rest = $.timer("rest", { duration: "1 second" })
  const wake = $.step("wake", { output: Schema.String, run: ({ input }) => `slept ${input.hours} hours` })
  return $.sequence(rest, wake)
})
