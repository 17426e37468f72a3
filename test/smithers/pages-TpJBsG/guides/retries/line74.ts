import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Import = Smithers.createWorkflow({ name: "import", input: Schema.Struct({}) }).build(($) =>
  $.step("rows", {
    output: Schema.Number,
    heartbeatTimeout: "1m", // longest silence of an attempt
    retry: { initialDelay: "10ms" },
    run: ({ attempt, heartbeat, lastHeartbeat }) => {
      const from = typeof lastHeartbeat === "number" ? lastHeartbeat : 0
      heartbeat(from + 500)
      if (attempt === 1) throw new Error("connection lost")
      return from
    },
  }),
)
console.log(await Effect.runPromise(Import.execute({}).pipe(Effect.provide(Smithers.memory))))
