import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Audit = Smithers.createWorkflow({ name: "audit", input: Schema.Struct({ files: Schema.Array(Schema.String) }) }).build(($) =>
  $.map({
    id: "files",
    items: ({ input }) => input.files,
    body: (file) => {
      const read = $.step("read", { needs: { file }, output: Schema.Number, run: ({ file }) => file.length })
      const judge = $.step("judge", { needs: { read }, output: Schema.Boolean, run: ({ read }) => read < 6 })
      return $.sequence(read, judge)
    },
  }),
)

const run = Audit.execute({ files: ["a.ts", "index.ts"] }).pipe(Effect.provide(Smithers.memory))
console.log(await Effect.runPromise(run))
