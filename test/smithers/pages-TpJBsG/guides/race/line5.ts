import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { TestRuntime } from "smithers-orchestrator/testing"

const Ask = Smithers.createWorkflow({ name: "ask", input: Schema.Struct({}) }).build(($) => {
  const answer = $.human("answer", { prompt: "Which colour?", output: Schema.String })
  const patience = $.timer("patience", { duration: "1 day" })
  const first = $.race({ answer, timeout: patience })
  const result = $.step("result", {
    needs: { first },
    output: Schema.String,
    run: ({ first }) => (first.winner === "answer" ? first.value : "grey, as nobody answered"),
  })
  return $.sequence(first, result)
})

console.log(await Effect.runPromise(Ask.execute({}).pipe(Effect.provide(TestRuntime.layer()))))
