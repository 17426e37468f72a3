import { Console, Effect, Schema, Tracer } from "effect"
import { Smithers } from "smithers-orchestrator"

const Order = Smithers.createWorkflow({ name: "order", input: Schema.Struct({}) }).build(($) =>
  $.step("ship", { output: Schema.String, run: () => Effect.succeed("shipped").pipe(Effect.withSpan("post office")) }),
)

// A tracer that takes note of names. In an app: NodeSdk.layer of @effect/opentelemetry.
const names: Array<string> = []
const noting = (native: Tracer.Tracer) =>
  Tracer.make({
    context: (f, fiber) => native.context(f, fiber),
    span: (name, ...rest) => {
      names.push(name)
      return native.span(name, ...rest)
    },
  })

const run = Effect.flatMap(Effect.tracer, (tracer) => Effect.withTracer(Order.execute({}), noting(tracer)))
await Effect.runPromise(run.pipe(Effect.provide(Smithers.memory), Effect.tap(Console.log)))
console.log(names.filter((name) => name.startsWith("smithers.") || name === "post office"))
