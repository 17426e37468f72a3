import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"
import Release from "./release.ts"

const program = Effect.gen(function* () {
  const result = yield* Release.run({ version: "3.0" }, { runId: "v3" })
  if (result.status === "waiting-approval") console.log(result.waits.map(({ nodeId, kind }) => `${nodeId}: ${kind}`))
  yield* Smithers.deny("v3", "ok", { by: "bob", note: "not on a Friday" })
  console.log(yield* Release.execute({ version: "3.0" }, { runId: "v3" }))
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
