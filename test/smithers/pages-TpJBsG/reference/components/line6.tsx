import { createSmithers, runWorkflow, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Parallel, Branch, Task, smithers, outputs } = createSmithers({ size: z.number() }, { input: z.object({ big: z.boolean() }) })

const measure = smithers((ctx) => (
  <Workflow name="measure">
    <Parallel maxConcurrency={2}>
      <Task id="a" output={outputs.size}>{1}</Task>
      <Branch if={ctx.input.big} then={<Task id="b" output={outputs.size}>{2}</Task>} />
    </Parallel>
  </Workflow>
))
const { status } = await runWorkflow(measure, { input: { big: true }, runtime: Smithers.memory })
console.log(status)
