import { createSmithers, type JsxWorkflow, runWorkflow, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Subflow, Task, smithers, outputs } = createSmithers({ sum: z.number() }, { input: z.number(), output: "sum" })

const countdown: JsxWorkflow<number, number | undefined> = smithers((ctx) => (
  <Workflow name="countdown">
    {ctx.input > 0 && <Subflow id="below" workflow={() => countdown} input={ctx.input - 1} output={outputs.sum} />}
    <Task id="sum" output={outputs.sum}>
      {(ctx) => ctx.input + (ctx.input > 0 ? ctx.output(outputs.sum, { nodeId: "below" }) : 0)}
    </Task>
  </Workflow>
))

const result = await runWorkflow(countdown, { input: 3, runtime: Smithers.memory })
if (result.status === "finished") console.log(result.output)
