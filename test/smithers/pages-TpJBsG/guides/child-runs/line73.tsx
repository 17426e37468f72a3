import { createSmithers, renderPlan } from "smithers-orchestrator"
import { z } from "zod"

const child = createSmithers({ finding: z.string() }, { input: z.object({ path: z.string() }), output: "finding" })
const audit = child.smithers((ctx) => (
  <child.Workflow name="audit">
    <child.Task id="look" output={child.outputs.finding}>{() => `looked at ${ctx.input.path}`}</child.Task>
  </child.Workflow>
))

const { Workflow, Subflow, smithers, outputs } = createSmithers({ finding: z.string() }, { input: z.array(z.string()) })
const all = smithers((ctx) => (
  <Workflow name="audits">
    {ctx.input.map((path: string) => (
      <Subflow key={path} id={`audit ${path}`} workflow={audit} input={{ path }} output={outputs.finding} onFail="continue" />
    ))}
  </Workflow>
))
console.log(renderPlan(all, { input: ["a.ts"] }).tasks.map(({ id }) => id))
