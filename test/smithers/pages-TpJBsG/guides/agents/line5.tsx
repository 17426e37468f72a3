import { createSmithers, renderPlan } from "smithers-orchestrator"
import { createAgent } from "smithers-orchestrator/agents"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers(
  { analysis: z.object({ summary: z.string(), risk: z.enum(["low", "high"]) }) },
  { input: z.object({ repo: z.string() }) },
)

const analyst = createAgent({
  name: "analyst",
  model: "anthropic/claude-sonnet-4.5",
  instructions: "You review code. Be brief.",
})

const review = smithers((ctx) => (
  <Workflow name="review">
    <Task id="analyze" output={outputs.analysis} agent={analyst} retries={2} timeout="5m">
      <h1>Task</h1>
      Analyze the repository {ctx.input.repo}.
    </Task>
  </Workflow>
))

const [task] = renderPlan(review, { input: { repo: "acme/api" } }).tasks
console.log(task?.content)
