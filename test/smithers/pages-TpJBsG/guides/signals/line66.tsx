import { createSmithers, runWorkflow, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Signal, Task, smithers, outputs } = createSmithers({ payment: z.object({ amount: z.number() }), note: z.string() })

const order = smithers((ctx) => (
  <Workflow name="order-jsx">
    <Signal id="paid" name="payment" output={outputs.payment} correlation={ctx.runId} timeout="7d" onTimeout="continue" />
    <Task id="ship" output={outputs.note}>{(ctx) => `paid: ${ctx.outputMaybe(outputs.payment)?.amount ?? "nothing"}`}</Task>
  </Workflow>
))

const result = await runWorkflow(order, { input: {}, runId: "o3", runtime: Smithers.memory })
console.log(result.status)
