import { Effect, Layer } from "effect"
import { Smithers } from "smithers-orchestrator"
import Nap from "./nap.ts"

const runtime = Smithers.memory
const supervisor = Smithers.supervisor({ registry: Smithers.registry([Nap]) })

const program = Effect.gen(function* () {
  yield* Nap.run({ hours: 2 }, { runId: "n2" }) // returns, since only a timer is left
  yield* Effect.sleep("2 seconds")
  console.log((yield* Smithers.list()).map(({ runId, status }) => `${runId}: ${status}`))
})
await Effect.runPromise(program.pipe(Effect.provide(supervisor.pipe(Layer.provideMerge(runtime)))))
