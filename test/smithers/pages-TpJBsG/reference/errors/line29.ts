import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Release = Smithers.createWorkflow({ name: "release", input: Schema.Void }).build(($) =>
  $.approval("ok", { request: { title: "Release?" }, onDeny: "fail", timeout: "1 second" }),
)
const released = Release.execute(undefined, { runId: "v1" }).pipe(
  Effect.as("released"),
  Effect.catchTag("StepFailed", (failed) =>
    failed.cause instanceof Smithers.ApprovalDenied
      ? Effect.succeed(`${failed.cause.nodeId}: ${failed.cause.message}`)
      : Effect.fail(failed),
  ),
)
console.log(await Effect.runPromise(released.pipe(Effect.provide(Smithers.memory))))
