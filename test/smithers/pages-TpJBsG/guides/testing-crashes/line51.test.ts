import { expect, test } from "bun:test"
import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { simulate } from "smithers-orchestrator/testing"

let order: Array<string> = []
const search = Smithers.createWorkflow({ name: "search", input: Schema.Struct({}) }).build(($) => {
  const source = (id: string) =>
    $.step(id, {
      output: Schema.String,
      timeout: "10 seconds",
      run: () => {
        order.push(id)
        return `found by ${id}`
      },
    })
  const sources = $.parallel(source("web"), source("wiki"))
  return $.sequence(sources, $.step("best", { output: Schema.String, run: () => order[0] ?? "" }))
})

test("does not depend on which source is first", async () => {
  const simulated = simulate(search, { input: {}, seeds: 50, before: () => (order = []) })
  await expect(simulated).rejects.toMatchObject({ _tag: "SimulationFailed", problem: expect.stringContaining('"best" is finished with') })
})

test("finishes, whatever fails", async () => {
  const check = ({ status }: { status: string }) => expect(status).toBe("finished")
  const report = await simulate(search, { input: {}, seeds: 50, before: () => (order = []), check })
  expect(report.failures).toBeGreaterThan(0)
})
