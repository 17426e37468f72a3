import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

export default Smithers.createWorkflow({ name: "release", input: Schema.Struct({ version: Schema.String }) }).build(($) => {
  const notes = $.step("notes", { output: Schema.String, run: ({ input }) => `Changes of ${input.version}` })
  const ok = $.approval("ok", {
    needs: { notes },
    request: ({ input, notes }) => ({ title: `Release ${input.version}?`, summary: notes }),
    onDeny: "continue", // the default is "fail"
    timeout: "1 day",
    onTimeout: "deny", // the default
  })
  const ship = $.step("ship", {
    needs: { ok },
    output: Schema.String,
    run: ({ ok }) => (ok.approved ? `shipped, as ${ok.decidedBy} wished` : ok.timedOut ? "nobody decided" : "denied"),
  })
  return $.sequence(notes, ok, ship)
})
