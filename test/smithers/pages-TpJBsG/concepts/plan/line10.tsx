import { createSmithers, Parallel, renderPlan } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ files: z.array(z.string()), note: z.string() })

const review = smithers((ctx) => (
  <Workflow name="review">
    <Task id="list" output={outputs.files}>{["a.ts", "b.ts"]}</Task>
    <Parallel>
      {ctx.outputMaybe(outputs.files)?.map((file) => (
        <Task key={file} id={`read ${file}`} output={outputs.note}>{() => `read ${file}`}</Task>
      ))}
    </Parallel>
  </Workflow>
))

const ids = (state: { list?: Array<string> }) => renderPlan(review, { input: {}, outputs: state }).tasks.map(({ id }) => id)
console.log(ids({}))
console.log(ids({ list: ["a.ts", "b.ts"] }))
