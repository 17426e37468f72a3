import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Search = Smithers.createWorkflow({ name: "search", input: Schema.Struct({}) }).build(($) => {
  const quick = $.step("quick", { output: Schema.Struct({ found: Schema.Boolean }), run: () => ({ found: true }) })
  const slow = $.step("slow", {
    output: Schema.Struct({ found: Schema.Boolean }),
    run: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => console.log("slow was interrupted"))),
  })
  const search = $.scope({
    id: "search",
    needs: { quick, slow }, // looked at as they are: nothing waits for them
    body: $.parallel(quick, slow),
    completeWhen: ({ quick, slow }) => quick?.found === true || slow?.found === true,
  })
  const report = $.step("report", {
    needs: { quick: $.maybe(quick), search },
    output: Schema.String,
    run: ({ quick }) => `found: ${quick?.found}`,
  })
  return $.sequence(search, report)
})

console.log(await Effect.runPromise(Search.execute({}).pipe(Effect.provide(Smithers.memory))))
