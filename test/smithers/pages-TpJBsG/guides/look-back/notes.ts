import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

export default Smithers.createWorkflow({ name: "notes", input: Schema.Struct({ version: Schema.String }) }).build(($) => {
  const write = $.step("write", { output: Schema.String, run: ({ input }) => `Notes of ${input.version}` })
  const count = $.step("count", { needs: { write }, output: Schema.Struct({ words: Schema.Number }), run: ({ write }) => ({ words: write.split(" ").length }) })
  return $.sequence(write, count)
})
