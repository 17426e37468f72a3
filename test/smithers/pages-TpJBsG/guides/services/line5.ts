import { Context, Effect, Layer, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

class Mailer extends Context.Tag("Mailer")<Mailer, { readonly send: (to: string) => Effect.Effect<string> }>() {}
const MailerTest = Layer.succeed(Mailer, { send: (to) => Effect.succeed(`sent to ${to}`) })

const Welcome = Smithers.createWorkflow({ name: "welcome", input: Schema.Struct({ email: Schema.String }) }).build(($) =>
  $.step("mail", { output: Schema.String, run: ({ input }) => Effect.flatMap(Mailer, (mailer) => mailer.send(input.email)) }),
)

const Welcoming = Smithers.toLayer(Welcome).pipe(
  Layer.provide(MailerTest),
  Layer.provide(Smithers.sqlite({ filename: "smithers.db" })),
)

// A request handler: it asks for the client of the workflow, and for nothing else.
const handler = Effect.gen(function* () {
  const welcome = yield* Smithers.client(Welcome)
  return yield* welcome.execute({ email: "ann@example.com" }, { runId: "welcome-ann" })
})

console.log(await Effect.runPromise(handler.pipe(Effect.provide(Welcoming))))
