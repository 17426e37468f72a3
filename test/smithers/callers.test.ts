/**
 * Steps that are promises and execute runs, each call with a store and an engine of its own, as programs do that know no Effect.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, ManagedRuntime, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { afterEach, beforeEach, expect, it } from "vitest"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "smithers-test-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const input = Schema.Struct({ to: Schema.String })

/** A workflow whose step executes another run of it, in a database. */
const calling = (file: (to: string) => string) => {
  const call = async (to: string): Promise<string> => {
    const inner = workflow.execute({ to: to === "r" ? "r" : "" }, { runId: to })
    return Effect.runPromise(inner.pipe(Effect.provide(Smithers.sqlite({ filename: file(to) }))))
  }
  const workflow: Smithers.Workflow<typeof input.Encoded, string> = Smithers.createWorkflow({
    name: "calls",
    input,
  }).build(($) =>
    $.step("call", {
      output: Schema.String,
      retry: false,
      run: async ({ input: { to } }) => (to === "" ? "end" : call(to)),
    }),
  )
  return workflow
}

it("a promise that executes the run of its own step is told so, also through an engine of its own", async () => {
  const filename = join(folder, "test.db")
  const run = calling(() => filename).run({ to: "r" }, { runId: "r" })
  const result = await Effect.runPromise(run.pipe(Effect.provide(Smithers.sqlite({ filename }))))
  expect(result).toMatchObject({ status: "failed", error: { error: { name: "RunWaitsForItself", notRetried: "slip" } } })
})

it("a promise executes other runs, also one of the same id in another database", async () => {
  const filename = join(folder, "test.db")
  const runtime = ManagedRuntime.make(Smithers.sqlite({ filename }))
  const other = calling(() => filename).run({ to: "other" }, { runId: "s" })
  expect(await runtime.runPromise(other)).toMatchObject({ status: "finished", output: "end" })
  let times = 0
  const elsewhere = calling(() => join(folder, `other-${++times}.db`))
  const same = elsewhere.run({ to: "t" }, { runId: "t" })
  expect(await runtime.runPromise(same)).toMatchObject({ status: "finished", output: "end" })
  await runtime.dispose()
})
