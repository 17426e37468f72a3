import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

export const Review = Smithers.createWorkflow({ name: "review", input: Schema.Struct({ repo: Schema.String }) }).build(($) =>
  $.step("analyze", {
    output: Schema.Struct({ risk: Schema.Literal("low", "high"), summary: Schema.String }),
    run: ({ input }) => ({ risk: "high" as const, summary: `of ${input.repo}` }),
  }),
)
