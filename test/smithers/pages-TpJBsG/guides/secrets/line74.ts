import { Config, Console, Effect, Redacted, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Login = Smithers.createWorkflow({ name: "login", input: Schema.Struct({ token: Schema.String }) }).build(($) =>
  $.step("ask", { output: Schema.Number, run: ({ input }) => Effect.map(Config.redacted(input.token), (token) => Redacted.value(token).length) }),
)
process.env.SHOP_TOKEN = "shp_9f8a7b6c5d"
const Store = Smithers.sqlite({ filename: ":memory:", secrets: ["SHOP_TOKEN"] })

const calls = Effect.gen(function* () {
  yield* Console.log((yield* Effect.flip(Login.execute({ token: "shp_9f8a7b6c5d" }))).message)
  yield* Console.log(yield* Login.execute({ token: "SHOP_TOKEN" }))
})
await Effect.runPromise(Effect.provide(calls, Store))
