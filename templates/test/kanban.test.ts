import { expect, test } from "bun:test"
import { TestRuntime } from "smithers-orchestrator/testing"
import kanban from "../workflows/kanban"

test("nothing is built before a person has seen the cards, and each is built until it is approved", async () => {
  await using runtime = TestRuntime.make()
  const run = await runtime.start(kanban, { goal: "Search by date" }, { runId: "k" })
  const { request } = await runtime.waitFor("k", "start")
  expect(request).toMatchObject({ title: "Work on these cards for: Search by date?" })
  expect(await runtime.timeline("k")).not.toContain("produce: started")
  await runtime.approve("k", "start")
  expect(await run.output()).toEqual({ done: ["parser", "help"], blocked: [] })
  expect((await runtime.timeline("k")).match(/parser:produce.*: started/g)).toHaveLength(2)
})

test("a board that is denied ends the run", async () => {
  await using runtime = TestRuntime.make()
  const run = await runtime.start(kanban, {}, { runId: "k" })
  await runtime.deny("k", "start", { note: "not now" })
  await expect(run.output()).rejects.toMatchObject({ _tag: "ApprovalDenied" })
})
