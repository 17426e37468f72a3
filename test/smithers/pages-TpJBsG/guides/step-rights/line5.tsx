import { ToolLoopAgent } from "ai"
import { MockLanguageModelV4 } from "ai/test"
import { bash, createSmithers, grep, read, renderPlan, Task, Workflow, write } from "smithers-orchestrator"
import { z } from "zod"

const agent = new ToolLoopAgent({ id: "reviewer", model: new MockLanguageModelV4(), tools: { read, grep, write, bash } })
const { smithers, outputs } = createSmithers({ review: z.object({ findings: z.array(z.string()) }) })
const workflow = smithers(() => (
  <Workflow name="review">
    <Task
      id="review"
      output={outputs.review}
      agent={agent}
      allowTools={["read", "grep", "bash"]}
      allowNetwork={["api.github.com"]}
      root="packages/core"
      readOnly
    >
      Review the change.
    </Task>
  </Workflow>
))
console.log(renderPlan(workflow, { input: {} }).tasks.map(({ id }) => id))
