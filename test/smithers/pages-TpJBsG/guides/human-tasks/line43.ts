import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"
import Survey from "./survey.ts"

const program = Effect.gen(function* () {
  yield* Survey.run({ movie: "Alien" }, { runId: "s2" })
  const refused = yield* Effect.flip(Smithers.answer("s2", "rate", { stars: 9 }))
  console.log(refused._tag)
  yield* Smithers.answer("s2", "rate", { stars: 3 }, { by: "ann" })
  console.log(yield* Survey.execute({ movie: "Alien" }, { runId: "s2" }))
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
