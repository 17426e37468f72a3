import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Collect = Smithers.createWorkflow({ name: "collect", input: Schema.Struct({}) }).build(($) => {
  const ann = $.step("ann", { output: Schema.String, run: () => "fine" })
  const bob = $.human("bob", { prompt: "Your note?", output: Schema.String })
  const notes = $.scope({ id: "notes", body: $.parallel(ann, bob) })
  const count = $.step("count", {
    needs: { ann: $.maybe(ann), bob: $.maybe(bob) },
    output: Schema.Number,
    run: ({ ann, bob }) => [ann, bob].filter((note) => note !== undefined).length,
  })
  return $.sequence(notes, count)
})

const program = Effect.gen(function* () {
  const run = yield* Collect.start({}, { runId: "c1" })
  yield* run.waiting
  yield* Smithers.completeNode("c1", "notes", { reason: "enough", by: "cy" }) // or cancelNode
  console.log(yield* run.await)
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
