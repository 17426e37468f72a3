import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"

const store = Smithers.sqlite({ filename: "smithers.db", synchronous: "full", maxConcurrency: 8, grace: "10 seconds" })
console.log(await Effect.runPromise(Smithers.list().pipe(Effect.provide(store))))
