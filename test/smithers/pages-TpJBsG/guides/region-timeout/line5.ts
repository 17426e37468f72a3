import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { TestRuntime } from "smithers-orchestrator/testing"

const Review = Smithers.createWorkflow({ name: "review", input: Schema.Struct({}) }).build(($) => {
  const lead = $.human("lead", { prompt: "Is it good?", output: Schema.Boolean })
  const peer = $.human("peer", { prompt: "Is it good?", output: Schema.Boolean })
  const review = $.scope({
    id: "review",
    body: $.sequence(lead, peer),
    timeout: "2 hours",
    onTimeout: "continue", // goes on without a value. Default: "fail", with ScopeTimedOut
  })
  const next = $.step("next", {
    needs: { review },
    output: Schema.String,
    run: ({ review }) => (review === undefined ? "no review in time" : "reviewed"),
  })
  return $.sequence(review, next)
})

console.log(await Effect.runPromise(Review.execute({}).pipe(Effect.provide(TestRuntime.layer()))))
