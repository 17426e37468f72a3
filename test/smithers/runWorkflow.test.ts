import * as MemoryStorage from "@smithers/core/MemoryStorage"
import { Schema } from "effect"
import { runWorkflow, Smithers } from "smithers-orchestrator"
import { describe, expect, it } from "vitest"

const counting = () => {
  let runs = 0
  const workflow = Smithers.createWorkflow({ name: "counting", input: Schema.Struct({}) }).build(($) => {
    const paid = $.step("paid", { output: Schema.Number, run: () => ++runs })
    return $.sequence(paid, $.approval("ok", { request: () => ({ title: "Go on?" }) }))
  })
  return { workflow, runs: () => runs }
}

describe("runWorkflow with a store in memory", () => {
  it("finds the runs of earlier calls with the same runtime, and none of another's", async () => {
    const { workflow, runs } = counting()
    const runtime = Smithers.onStorage(MemoryStorage.layer)
    const options = { input: {}, runId: "r" }
    expect(await runWorkflow(workflow, { ...options, runtime })).toMatchObject({ status: "waiting-approval" })
    expect(await runWorkflow(workflow, { ...options, runtime })).toMatchObject({ status: "waiting-approval" })
    expect(runs()).toBe(1)
    const both = [1, 2].map(() => runWorkflow(workflow, { ...options, runtime: Smithers.memory }))
    expect(await Promise.all(both)).toMatchObject([{ status: "waiting-approval" }, { status: "waiting-approval" }])
    expect(runs()).toBe(2)
  })
})
