import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { TestRuntime } from "smithers-orchestrator/testing"

const Watch = Smithers.createWorkflow({ name: "watch", input: Schema.Struct({}) }).build(($) => {
  const check = $.step("check", { output: Schema.Boolean, run: () => false })
  const pause = $.branch({ needs: { check }, when: ({ check }) => !check, then: $.timer("pause", { duration: "1 minute" }) })
  const poll = $.loop({ id: "poll", body: $.sequence(check, pause), needs: { check }, until: ({ check }) => check === true, maxIterations: Infinity })
  const hour = $.scope({ id: "hour", body: poll, timeout: "1 hour", onTimeout: "continue" })
  const end = $.step("end", { needs: { check: $.maybe(check) }, output: Schema.String, run: ({ check }) => (check ? "done" : "given up") })
  return $.sequence(hour, end)
})
console.log(await Effect.runPromise(Watch.execute({}).pipe(Effect.provide(TestRuntime.layer()))))
