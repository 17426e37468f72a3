import { expect, test } from "bun:test"
import { TestRuntime } from "smithers-orchestrator/testing"
import workflow from "../workflows/research-plan-implement"

test("the plan is made again with the comments of a person, and implemented once it is approved", async () => {
  await using runtime = TestRuntime.make()
  const run = await runtime.start(workflow, { task: "Make the export fast" }, { runId: "r" })
  await runtime.answer("r", "approve-plan", { approved: false, comments: "Mind old clients." })
  const { request } = await runtime.waitFor("r", { nodeId: "approve-plan", iteration: 1 })
  expect(JSON.stringify(request)).toContain("old clients")
  expect(await runtime.timeline("r")).not.toContain("implement:")
  await runtime.answer("r", "approve-plan", { approved: true })
  expect(await run.output()).toMatchObject({ outcome: "approved", files: ["src/export.ts", "test/export.test.ts"] })
})
