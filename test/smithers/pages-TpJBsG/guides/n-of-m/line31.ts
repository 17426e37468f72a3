import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Poll = Smithers.createWorkflow({ name: "poll", input: Schema.Struct({ people: Schema.Array(Schema.String) }) }).build(($) =>
  $.map({
    id: "people",
    items: ({ input }) => input.people,
    body: (person) => $.human("ask", { needs: { person }, prompt: ({ person }) => `${person}: which day?`, output: Schema.String }),
    until: ({ done, open }) => done >= 2 || open === 0,
  }),
)

const program = Effect.gen(function* () {
  const run = yield* Poll.start({ people: ["ann", "bob", "cy"] }, { runId: "p1" })
  yield* run.waiting
  yield* Smithers.answer("p1", "people[cy].ask", "Monday")
  yield* Smithers.answer("p1", Smithers.itemId("people", "ann", "ask"), "Friday")
  console.log(yield* run.await)
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
