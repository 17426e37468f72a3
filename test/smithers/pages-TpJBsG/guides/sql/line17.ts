import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"
import { Review } from "./review.ts"

const store = Smithers.sqlite({ filename: "smithers.db" })
await Effect.runPromise(Review.execute({ repo: "acme/api" }, { runId: "r1" }).pipe(Effect.provide(store)))
