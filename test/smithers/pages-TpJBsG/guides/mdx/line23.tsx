import "smithers-orchestrator/mdx"
import { createSmithers, renderPlan } from "smithers-orchestrator"
import { z } from "zod"

const { default: Review } = await import("./review.mdx")
const { Workflow, Task, smithers, outputs } = createSmithers({ note: z.string() }, { input: z.object({ repo: z.string() }) })
const agent = { generate: async () => ({ text: "fine" }) }

const review = smithers((ctx) => (
  <Workflow name="review">
    <Task id="review" output={outputs.note} agent={agent}>
      <Review repo={ctx.input.repo} risk="low" files={["a.ts", "b.ts"]} />
    </Task>
  </Workflow>
))
console.log(renderPlan(review, { input: { repo: "acme/api" } }).tasks[0]?.content)
