import { createSmithers, Parallel, runWorkflow, Sequence, useCtx } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ size: z.number(), verdict: z.string() }, { input: z.array(z.string()) })

const File = ({ path }: { path: string }) => {
  const ctx = useCtx()
  const size = ctx.outputMaybe(outputs.size, { nodeId: `read ${path}` })
  return (
    <Sequence>
      <Task id={`read ${path}`} output={outputs.size}>{() => path.length}</Task>
      {size !== undefined && (
        <Task id={`judge ${path}`} output={outputs.verdict}>{() => (size < 6 ? "short" : "long")}</Task>
      )}
    </Sequence>
  )
}

const audit = smithers((ctx) => (
  <Workflow name="audit-jsx">
    <Parallel>{ctx.input.map((path: string) => <File key={path} path={path} />)}</Parallel>
  </Workflow>
))

const result = await runWorkflow(audit, { input: ["a.ts", "index.ts"] })
console.log(result.status)
