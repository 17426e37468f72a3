import { createSmithers, Loop, renderPlan, Timer } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ job: z.object({ isDone: z.boolean() }) })
const isDone = async () => ({ isDone: false })

const poll = smithers((ctx) => (
  <Workflow name="poll-jsx">
    <Loop id="poll" until={ctx.latest(outputs.job, "check")?.isDone} maxIterations={Infinity}>
      <Task id="check" output={outputs.job}>{isDone}</Task>
      <Timer id="pause" duration="5m" skipIf={(ctx) => ctx.outputMaybe(outputs.job)?.isDone} />
    </Loop>
  </Workflow>
))
console.log(renderPlan(poll, { input: {} }).tasks.map(({ id }) => id))
