import { createSmithers, Loop, Parallel, runWorkflow, Sequence, Smithers } from "smithers-orchestrator"
import { expect, it } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({
  analyze: z.object({ summary: z.string(), n: z.number().default(3) }),
  fix: z.object({ patch: z.string() }),
})
const agent = {
  name: "a",
  generate: async (r: { prompt?: string }) => ({
    text: r.prompt?.includes("Fix") ? JSON.stringify({ patch: r.prompt.slice(0, 40) }) : '{"summary":"sum"}',
  }),
}
it("runs", async () => {
  let renders = 0
  const wf = smithers((ctx) => {
    renders++
    return (
      <Workflow name="bugfix">
        <Parallel>
          <Task id="side" output={outputs.analyze}>
            {{ summary: "x" }}
          </Task>
          <Sequence>
            <Task id="analyze" output={outputs.analyze} agent={agent}>{`Analyze: ${ctx.input.description}`}</Task>
            <Task
              id="fix"
              output={outputs.fix}
              agent={agent}
            >{`Fix: ${ctx.output("analyze", { nodeId: "analyze" }).summary}`}</Task>
          </Sequence>
        </Parallel>
        <Loop until={ctx.iteration >= 2}>
          <Task id="l" output={outputs.fix}>
            {(c) => ({ patch: String(c.iteration) })}
          </Task>
        </Loop>
      </Workflow>
    )
  })
  const r = await runWorkflow(wf, { input: { description: "d" }, runtime: Smithers.memory })
  console.log(r, renders, wf.name)
  if (r.status !== "finished") throw r
  expect(r.output).toEqual({ patch: "2" })
})
