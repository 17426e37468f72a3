import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import { Storage } from "@smithers/core/Storage"
import { Effect, Schema } from "effect"
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

describe("the result of runWorkflow", () => {
  it("is that of the run, whatever way it has stopped, with what a cancelled one could not undo", async () => {
    const workflow = Smithers.createWorkflow({ name: "booking", input: Schema.Struct({}) }).build(($) => {
      const compensate = () => {
        throw new Error("the hotel is closed")
      }
      const book = $.step("book", { output: Schema.String, run: () => "room", compensate })
      return $.saga(book, $.approval("ok", { request: () => ({ title: "Go?" }) }))
    })
    const folder = mkdtempSync(join(tmpdir(), "smithers-"))
    const db = join(folder, "smithers.db")
    const options = { input: {}, runId: "r", db }
    const waits = [{ nodeId: "ok", iteration: 0, kind: "approval", deadline: undefined }]
    expect(await runWorkflow(workflow, options)).toEqual({ status: "waiting-approval", runId: "r", waits })
    await Effect.runPromise(Effect.provide(workflow.cancel("r", "no need"), Smithers.sqlite({ filename: db })))
    const uncompensated = [{ nodeId: "book", iteration: 0, error: { message: "the hotel is closed" } }]
    const cancelled = { status: "cancelled", runId: "r", reason: "no need", uncompensated }
    expect(await runWorkflow(workflow, options)).toMatchObject(cancelled)
    rmSync(folder, { recursive: true })
  })
})

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

describe("a child run that a run of runWorkflow does not wait for", () => {
  it("goes on once the result is given, and keeps the process going until it has ended", async () => {
    const folder = mkdtempSync(join(tmpdir(), "smithers-"))
    const db = join(folder, "smithers.db")
    const child = Bun.spawn([process.execPath, join(import.meta.dirname, "fixtures/left.ts"), db], { stdout: "pipe" })
    expect((await new Response(child.stdout).text()).trim().split("\n")).toEqual(["parent finished", "child done"])
    expect(await child.exited).toBe(0)
    const statuses = Effect.gen(function* () {
      const storage = yield* Storage
      return (yield* storage.runs({})).map(({ runId, status }) => [runId, status])
    })
    expect(Object.fromEntries(await Effect.runPromise(Effect.provide(statuses, Smithers.sqlite({ filename: db }))))).toEqual({
      r: "finished",
      "r~sub~0": "finished",
    })
    rmSync(folder, { recursive: true })
  })
})
