import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Draft = Schema.Struct({ text: Schema.String })

export default Smithers.createWorkflow({ name: "letter", input: Schema.Struct({ to: Schema.String }) }).build(($) => {
  const draft = $.step("draft", { output: Draft, run: ({ input }) => ({ text: `Dear ${input.to}` }) })
  const ok = $.approval("ok", { request: () => ({ title: "Send it?" }), onDeny: "continue" })
  const send = $.step("send", {
    needs: { draft, ok },
    output: Schema.String,
    run: ({ draft, ok }) => (ok.approved ? `sent: ${draft.text}` : "thrown away"),
  })
  return $.sequence(draft, ok, send)
})
