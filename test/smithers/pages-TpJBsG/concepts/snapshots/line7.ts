import { writeFileSync } from "node:fs"
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const page = Smithers.createWorkflow({ name: "page", input: Schema.Struct({}), snapshots: true }).build(($) =>
  $.step("write", {
    output: Schema.String,
    run: () => {
      writeFileSync("page.txt", "Hello")
      return "written"
    },
  }),
)

const program = Effect.gen(function* () {
  yield* page.execute({}, { runId: "p1" })
  const { resets, files } = yield* page.revert("p1", { node: "write", attempt: 1 })
  console.log(resets[0]?.nodeId, files?.changes[0]?.change, files?.changes[0]?.path)
  console.log(yield* page.resume("p1"))
})
await Effect.runPromise(program.pipe(Effect.provide(Smithers.sqlite({ filename: "page.db" }))))
