import { expect, test } from "bun:test"
import { createSmithers } from "smithers-orchestrator"
import { agentFromSchema, planText, scriptedAgent, TestRuntime } from "smithers-orchestrator/testing"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({
  analysis: z.object({ risk: z.enum(["low", "high"]) }),
  report: z.object({ title: z.string(), points: z.array(z.string()).min(1) }),
})
const analyst = scriptedAgent(["It depends.", new Error("overloaded"), { risk: "high" }], { name: "analyst" })
const writer = agentFromSchema({ seed: 3, name: "writer" })
const workflow = smithers((ctx) => (
  <Workflow name="review">
    <Task id="analyze" output={outputs.analysis} agent={analyst}>
      How risky is it?
    </Task>
    <Task id="report" output={outputs.report} agent={writer}>
      {`Report a ${ctx.outputMaybe(outputs.analysis, { nodeId: "analyze" })?.risk ?? "unknown"} risk.`}
    </Task>
  </Workflow>
))

test("asks again where a reply is no answer, and when the provider is overloaded", async () => {
  await using runtime = TestRuntime.make()
  const report = await runtime.execute(workflow, {})
  expect(report).toMatchObject({ title: expect.any(String) })
  expect(analyst.calls).toHaveLength(3)
  analyst.assertUsedUp()
})

test("asks the analyst, then the writer", () => {
  const plan = planText(workflow, { input: {} }).split("\n")
  expect(plan.map((line) => line.trim().split(" ").slice(0, 2).join(" "))).toEqual(["sequence", "step analyze", "step report"])
})
