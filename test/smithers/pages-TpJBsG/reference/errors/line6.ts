import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Add = Smithers.createWorkflow({ name: "add", input: Schema.Struct({ a: Schema.Number }) }).build(($) =>
  $.step("add", { output: Schema.Number, run: ({ input }) => input.a + 1 }),
)
const run = Add.resume("r9").pipe(
  Effect.catchTag("RunNotFound", ({ runId }) => Effect.succeed(`no run ${runId}`)),
  Effect.catchTag("StepFailed", ({ nodeId, error }) => Effect.succeed(`${nodeId}: ${error.message}`)),
)
console.log(await Effect.runPromise(run.pipe(Effect.provide(Smithers.memory))))
