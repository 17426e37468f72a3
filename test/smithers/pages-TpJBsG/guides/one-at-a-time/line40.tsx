import { createSmithers, ForEach, runWorkflow, Sequence, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const log: Array<string> = []
const { Workflow, Task, smithers } = createSmithers({}, { input: z.array(z.string()) })

const migrate = smithers((ctx) => (
  <Workflow name="migrate-jsx">
    <ForEach id="hosts" items={ctx.input} maxConcurrency={1}>
      {(host) => (
        <Sequence>
          <Task id={`stop ${host}`}>{() => void log.push(`stop ${host}`)}</Task>
          <Task id={`move ${host}`}>{() => Bun.sleep(10)}</Task>
          <Task id={`start ${host}`}>{() => void log.push(`start ${host}`)}</Task>
        </Sequence>
      )}
    </ForEach>
  </Workflow>
))
await runWorkflow(migrate, { input: ["db1", "db2"], runtime: Smithers.memory })
console.log(log)
