import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Mail = Smithers.createWorkflow({ name: "mail", input: Schema.String }).build(($) =>
  $.step("send", { output: Schema.String, run: ({ input }) => `mailed ${input}` }),
)
const Order = Smithers.createWorkflow({ name: "order", input: Schema.Struct({}) }).build(($) =>
  $.subflow("mail", { workflow: Mail, input: "ann", attach: false }),
)

const program = Effect.gen(function* () {
  const { runId } = yield* Order.execute({}, { runId: "o1" })
  const mail = yield* Mail.attach(runId) // joins the child, which the engine works on
  console.log(runId, yield* mail.await)
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
