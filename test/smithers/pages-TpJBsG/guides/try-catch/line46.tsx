import { createSmithers, runWorkflow, Smithers, TryCatchFinally } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ note: z.string() }, { output: "note" })

const deploy = smithers(() => (
  <Workflow name="deploy">
    <TryCatchFinally
      catch={(error) => (
        <Task id="report" output={outputs.note}>{`${error.nodeId} failed: ${error.message}`}</Task>
      )}
      finally={<Task id="unlock">{() => console.log("unlocked")}</Task>}
    >
      <Task id="lock">{() => "locked"}</Task>
      <Task id="deploy" output={outputs.note} noRetry>
        {() => {
          throw new Error("no disk")
        }}
      </Task>
    </TryCatchFinally>
  </Workflow>
))

const result = await runWorkflow(deploy, { input: {}, runtime: Smithers.memory })
if (result.status === "finished") console.log(result.output)
