/** A workflow of one step: `bun bench/one.ts <file>` runs it on a database, and `smithers up bench/one.ts` from the command line. */
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const one = Smithers.createWorkflow({ name: "one", input: Schema.Struct({}) }).build(($) =>
  $.step("step", { output: Schema.Int, run: () => 1 }),
)

export default one

if (import.meta.main)
  await Effect.runPromise(Effect.provide(one.execute({}), Smithers.sqlite({ filename: process.argv[2] ?? "smithers.db" })))
