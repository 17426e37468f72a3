import { createSmithers, runWorkflow, Smithers, useCtx } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ n: z.number() }, { input: z.object({ start: z.number() }), output: "n" })

const Double = () => {
  const ctx = useCtx()
  const first = ctx.outputMaybe(outputs.n, { nodeId: "first" })
  return first === undefined ? null : <Task id="double" output={outputs.n}>{first * 2}</Task>
}

const count = smithers((ctx) => (
  <Workflow name="count">
    <Task id="first" output={outputs.n}>{ctx.input.start}</Task>
    <Double />
  </Workflow>
))
const result = await runWorkflow(count, { input: { start: 4 }, runtime: Smithers.memory })
if (result.status === "finished") console.log(result.output)
