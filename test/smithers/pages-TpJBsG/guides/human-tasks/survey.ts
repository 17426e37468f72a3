import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Rating = Schema.Struct({ stars: Schema.Number.pipe(Schema.between(1, 5)), comment: Schema.optional(Schema.String) })

export default Smithers.createWorkflow({ name: "survey", input: Schema.Struct({ movie: Schema.String }) }).build(($) => {
  const rating = $.human("rate", {
    prompt: ({ input }) => `How was ${input.movie}?`,
    output: Rating,
    timeout: "7 days",
    onTimeout: "continue", // the value is undefined then. Default: "fail"
  })
  const text = $.step("text", {
    needs: { rating },
    output: Schema.String,
    run: ({ rating }) => (rating === undefined ? "no answer" : "*".repeat(rating.stars)),
  })
  return $.sequence(rating, text)
})
