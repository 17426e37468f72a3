import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"
import letter from "./letter.ts"

const program = Effect.gen(function* () {
  yield* letter.run({ to: "Ann" }, { runId: "r1" })
  yield* Smithers.deny("r1", "ok")
  console.log(yield* letter.execute({ to: "Ann" }, { runId: "r1" }))

  const { kept, rerun, requested } = yield* letter.fork("r1", { reask: true, set: { draft: { text: "Dear Bob" } }, runId: "r2" })
  console.log([kept, rerun, requested].map((nodes) => nodes.map(({ nodeId }) => nodeId).join(" ")))
  yield* letter.run({ to: "Ann" }, { runId: "r2" })
  yield* Smithers.approve("r2", "ok")
  console.log(yield* letter.resume("r2"))
})

await Effect.runPromise(program.pipe(Effect.provide(Smithers.sqlite({ filename: "smithers.db" }))))
