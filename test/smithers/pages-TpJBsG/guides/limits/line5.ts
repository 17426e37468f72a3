import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

let [now, most] = [0, 0]
const Import = Smithers.createWorkflow({ name: "import", input: Schema.Struct({ file: Schema.String }) }).build(($) =>
  $.step("upload", {
    output: Schema.String,
    limit: "hub",
    timeout: "1 minute",
    run: async ({ input: { file } }) => {
      most = Math.max(most, ++now)
      await Bun.sleep(20)
      return `${file} ${now--}`
    },
  }),
)

const runtime = Smithers.sqlite({ filename: "imports.db", limits: { hub: { concurrency: 2, perMinute: 50 } } })
const files = Array.from({ length: 8 }, (_, index) => ({ file: `${index}.csv` }))
await Effect.runPromise(
  Effect.all(files.map((file) => Import.execute(file)), { concurrency: "unbounded" }).pipe(Effect.provide(runtime)),
)
console.log(most)
