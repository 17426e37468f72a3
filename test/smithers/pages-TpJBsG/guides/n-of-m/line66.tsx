import { createSmithers, ForEach, runWorkflow, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ note: z.string() }, { input: z.array(z.string()) })

const poll = smithers((ctx) => (
  <Workflow name="poll-jsx">
    <ForEach id="people" items={ctx.input} until={({ done }) => done >= 2}>
      {(person) => <Task id={`ask ${person}`} output={outputs.note}>{() => `${person} is free`}</Task>}
    </ForEach>
  </Workflow>
))
const result = await runWorkflow(poll, { input: ["ann", "bob", "cy"], runtime: Smithers.memory })
console.log(result.status)
