import { expect, test } from "bun:test"
import { TestRuntime } from "smithers-orchestrator/testing"
import mission from "../workflows/mission"

test("milestones that a person approves are reached in order, each in as many rounds as it needs", async () => {
  await using runtime = TestRuntime.make()
  const run = await runtime.start(mission, { goal: "Move to the new queue" }, { runId: "m" })
  const { request } = await runtime.waitFor("m", "go")
  expect(request).toMatchObject({ title: "Start this mission: Move to the new queue?" })
  await runtime.approve("m", "go")
  expect(await run.output()).toEqual({ reached: ["List what uses the old queue", "Send through the new queue"], left: [] })
  const timeline = await runtime.timeline("m")
  expect(timeline.match(/inventory:produce.*: started/g)).toHaveLength(2)
  expect(timeline.indexOf("switch:produce")).toBeGreaterThan(timeline.lastIndexOf("inventory:review"))
})

test("nothing starts without an approval", async () => {
  await using runtime = TestRuntime.make()
  const run = await runtime.start(mission, {}, { runId: "m" })
  await runtime.deny("m", "go")
  await expect(run.output()).rejects.toMatchObject({ _tag: "ApprovalDenied" })
})

test("a person is asked where the rounds do not reach a milestone, and the mission ends where that does not help", async () => {
  await using runtime = TestRuntime.make()
  // The reviewer that stands in approves in the second round.
  const run = await runtime.start(mission, { rounds: 1 }, { runId: "m" })
  await runtime.approve("m", "go")
  const { request } = await runtime.waitFor("m", "inventory:advice")
  expect(JSON.stringify(request)).toContain("What scripts/ does is left out.")
  await runtime.answer("m", "inventory:advice", { goOn: true, advice: "Leave the scripts." })
  expect(await run.output()).toEqual({ reached: [], left: ["List what uses the old queue", "Send through the new queue"] })
})
