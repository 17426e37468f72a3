import { createSmithers, runWorkflow, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Approval, Parallel, Task, smithers, outputs } = createSmithers({ risk: z.number(), note: z.string() })

const review = smithers((ctx) => {
  const risk = ctx.outputMaybe(outputs.risk)
  return (
    <Workflow name="review">
      <Parallel>
        <Task id="rate" output={outputs.risk}>{() => 1}</Task>
        {(risk === undefined || risk > 5) && <Approval id="ok" request={{ title: "Go on?" }} />}
      </Parallel>
      <Task id="done" output={outputs.note}>{() => "done"}</Task>
    </Workflow>
  )
})

const result = await runWorkflow(review, { input: {}, runId: "r1" })
console.log(result.status)
