import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Review = Schema.Struct({ approved: Schema.Boolean, feedback: Schema.String })

const Write = Smithers.createWorkflow({ name: "write", input: Schema.Struct({ topic: Schema.String }) }).build(($) => {
  const draft = $.step("draft", {
    needs: { last: $.previous("review", Review) },
    output: Schema.String,
    run: ({ input, last }) => (last === undefined ? input.topic : `${input.topic}, ${last.feedback}`),
  })
  const review = $.step("review", {
    needs: { draft },
    output: Review,
    run: ({ draft, iteration }) => ({ approved: iteration === 1, feedback: `longer than "${draft}"` }),
  })
  const body = $.sequence(draft, review)
  const rounds = $.loop({ id: "rounds", body, until: ({ output }) => output?.approved === true, maxIterations: 5 })
  return $.sequence(rounds, $.step("count", { needs: { review: rounds, draft }, output: Schema.String, run: ({ draft }) => draft }))
})

const run = Write.execute({ topic: "cats" }).pipe(Effect.provide(Smithers.memory))
console.log(await Effect.runPromise(run))
