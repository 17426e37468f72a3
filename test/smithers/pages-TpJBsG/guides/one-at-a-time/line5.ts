import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const log: Array<string> = []

const Migrate = Smithers.createWorkflow({ name: "migrate", input: Schema.Struct({ hosts: Schema.Array(Schema.String) }) }).build(($) =>
  $.map({
    id: "hosts",
    items: ({ input }) => input.hosts,
    maxConcurrency: 1,
    body: (host) => {
      const stop = $.step("stop", { needs: { host }, output: Schema.Void, run: ({ host }) => void log.push(`stop ${host}`) })
      const pause = $.timer("pause", { duration: "10ms" })
      const start = $.step("start", { needs: { host }, output: Schema.Void, run: ({ host }) => void log.push(`start ${host}`) })
      return $.sequence(stop, pause, start)
    },
  }),
)

await Effect.runPromise(Migrate.execute({ hosts: ["db1", "db2"] }).pipe(Effect.provide(Smithers.memory)))
console.log(log)
