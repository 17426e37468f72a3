import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Review = Smithers.createWorkflow({ name: "review", input: Schema.Struct({}) }).build(($) =>
  $.step("analyze", {
    output: Schema.Struct({ risk: Schema.Literal("low", "high"), lines: Schema.Number, files: Schema.Array(Schema.String) }),
    run: () => ({ risk: "low" as const, lines: 7, files: ["a.ts"] }),
  }),
)
await Effect.runPromise(Review.execute({}, { runId: "r1" }).pipe(Effect.provide(Smithers.sqlite({ filename: "smithers.db" }))))
