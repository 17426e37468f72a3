import { createSmithers, runWorkflow, Smithers } from "smithers-orchestrator"

const { Workflow, Task, smithers } = createSmithers({})
const deploy = smithers(() => (
  <Workflow name="deploy">
    <Task id="deploy" needsApproval={{ request: { title: "Deploy?" }, onDeny: "skip" }}>{() => console.log("deployed")}</Task>
  </Workflow>
))

const result = await runWorkflow(deploy, { input: {}, runId: "d1", runtime: Smithers.memory })
console.log(result.status)
