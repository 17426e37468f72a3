import { createSmithers, Loop, runWorkflow } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers(
  { draft: z.string(), review: z.object({ approved: z.boolean(), feedback: z.string() }) },
  { output: "draft" },
)

const write = smithers((ctx) => {
  const last = ctx.latest(outputs.review, "review")
  return (
    <Workflow name="write-jsx">
      <Loop id="rounds" until={last?.approved === true} maxIterations={5}>
        <Task id="draft" output={outputs.draft}>{() => (last === undefined ? "cats" : `cats, ${last.feedback}`)}</Task>
        <Task id="review" output={outputs.review}>
          {(ctx) => ({ approved: ctx.iteration === 1, feedback: `longer than "${ctx.output(outputs.draft)}"` })}
        </Task>
      </Loop>
    </Workflow>
  )
})

const result = await runWorkflow(write, { input: {} })
if (result.status === "finished") console.log(result.output)
