import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Sync = Smithers.createWorkflow({ name: "sync", input: Schema.Struct({ customer: Schema.String }) }).build(($) =>
  $.step("pull", {
    output: Schema.String,
    limit: ({ input }) => ({ name: "crm", key: input.customer }),
    run: ({ input }) => `synced ${input.customer}`,
  }),
)

const runtime = Smithers.sqlite({ filename: "sync.db", limits: { crm: { concurrency: 1 } } })
await Effect.runPromise(Sync.execute({ customer: "acme" }).pipe(Effect.provide(runtime)))
