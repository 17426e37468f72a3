import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const judge = {
  name: "judge",
  generate: () => Promise.resolve({ text: '{ "score": 0.8, "reason": "It names the change, and not why." }' }),
}

const Notes = Smithers.createWorkflow({ name: "notes", input: Schema.Struct({ most: Schema.Number }) }).build(($) =>
  $.step("write", {
    output: Schema.String,
    run: () => "Retries are on by default.",
    scorers: {
      length: ({ input, output }) => Math.min(1, input.most / output.length),
      clarity: { score: judge, instructions: "Does it say what has changed, and why?", sampling: 1 },
    },
  }),
)

const program = Effect.gen(function* () {
  yield* Notes.execute({ most: 13 }, { runId: "notes-1" })
  yield* Smithers.scored
  for (const { scorer, score, reason } of yield* Smithers.scores({ runId: "notes-1" })) console.log(scorer, score, reason ?? "(no reason)")
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
