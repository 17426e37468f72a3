import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const input = Schema.Struct({ title: Schema.String, votes: Schema.Number })

export default Smithers.createWorkflow({ name: "triage", input }).build(($) => {
  const score = $.step("score", { output: Schema.Number, run: ({ input }) => input.votes * 2 })
  const urgent = $.step("urgent", { output: Schema.String, run: () => "paged" })
  const later = $.step("later", { output: Schema.String, run: () => "queued" })
  return $.sequence(score, $.branch({ needs: { score }, when: ({ score }) => score > 10, then: urgent, else: later }))
})
