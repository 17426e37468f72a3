import { expect, test } from "bun:test"
import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { TestRuntime } from "smithers-orchestrator/testing"

const Publish = Smithers.createWorkflow({ name: "publish", input: Schema.Struct({ post: Schema.String }) }).build(($) => {
  const review = $.approval("review", { request: ({ input }) => ({ title: `Publish ${input.post}?` }) })
  const embargo = $.timer("embargo", { duration: "1 day" })
  const publish = $.step("publish", { output: Schema.String, run: ({ input }) => `published ${input.post}` })
  return $.sequence(review, embargo, publish)
})

test("publishes a day after somebody has approved", async () => {
  await using runtime = TestRuntime.make()
  const run = await runtime.start(Publish, { post: "p1" }, { runId: "r" })
  await runtime.approve("r", "review", { by: "ann" })
  expect(await run.output()).toBe("published p1")
  expect(await runtime.timeline("r")).toBe(`started publish
review: waits for approval
review: approved by ann
review: decided, finished
embargo: waits for timer
embargo: fired, finished
publish: started
publish: succeeded
finished`)
})
