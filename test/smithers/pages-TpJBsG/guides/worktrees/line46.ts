import { Smithers } from "smithers-orchestrator"
import { TestRuntime } from "smithers-orchestrator/testing"
import { Effect, Schema } from "effect"

const workflow = Smithers.createWorkflow({ name: "fixes", input: Schema.Array(Schema.String) }).build(($) =>
  $.map({
    id: "issues",
    items: ({ input }) => input,
    key: (issue) => issue,
    body: () => $.worktree({ id: "tree", body: $.step("fix", { output: Schema.String, run: ({ cwd }) => cwd }) }),
  }),
)
const directories = await Effect.runPromise(workflow.execute(["login", "search"]).pipe(Effect.provide(TestRuntime.layer())))
console.log(new Set(directories).size)
