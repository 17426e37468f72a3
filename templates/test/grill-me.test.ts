import { expect, test } from "bun:test"
import { TestRuntime } from "smithers-orchestrator/testing"
import grillMe from "../workflows/grill-me"

test("it asks one question after another until it is done, and then says what is decided", async () => {
  await using runtime = TestRuntime.make()
  const run = await runtime.start(grillMe, { plan: "Move the orders" }, { runId: "g" })
  const { request } = await runtime.waitFor("g", { nodeId: "answer", iteration: 0 })
  expect(JSON.stringify(request)).toContain("during the move")
  await runtime.answer("g", "answer", { answer: "They go to both tables." })
  await runtime.waitFor("g", { nodeId: "answer", iteration: 1 })
  await runtime.answer("g", "answer", { answer: "We keep the old one." })
  expect(await run.output()).toMatchObject({ open: ["who watches it at night"] })
})

test("it asks no more questions than it may", async () => {
  await using runtime = TestRuntime.make()
  const run = await runtime.start(grillMe, { questions: 1 }, { runId: "g" })
  await runtime.answer("g", "answer", { answer: "They go to both tables." })
  await run.output()
  expect((await runtime.timeline("g")).match(/ask.*: started/g)).toHaveLength(1)
})
