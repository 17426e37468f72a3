import { createSmithers, HumanTask, renderPlan, Scope } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ verdict: z.boolean(), note: z.string() })

const review = smithers(() => (
  <Workflow name="review-jsx">
    <Scope id="review" timeout="2h" onTimeout="continue">
      <HumanTask id="lead" output={outputs.verdict} prompt="Is it good?" />
    </Scope>
    <Task id="next" output={outputs.note}>{(ctx) => (ctx.outputMaybe(outputs.verdict) ? "good" : "unknown")}</Task>
  </Workflow>
))
console.log(renderPlan(review, { input: {} }).tasks.map(({ id }) => id))
