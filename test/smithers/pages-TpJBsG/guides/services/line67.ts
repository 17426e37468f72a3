import { Effect, Schema, Stream } from "effect"
import { Smithers } from "smithers-orchestrator"

const Order = Smithers.createWorkflow({ name: "order", input: Schema.Struct({}) }).build(($) =>
  $.signal("go", { name: "go", payload: Schema.Struct({ by: Schema.String }) }),
)

const program = Effect.gen(function* () {
  const run = yield* Order.start({})
  yield* run.events.pipe(
    Stream.filter(({ event }) => event._tag === "WaitStarted" && event.kind === "signal"),
    Stream.runForEach(({ seq }) => run.signal("go", { payload: { by: "limit" }, id: `limit-${seq}` })),
  )
  console.log(yield* run.await)
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.memory)))
