/** @jsxImportSource smithers-orchestrator */
import { createSmithers, runWorkflow, Sequence } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    analysis: z.object({ summary: z.string(), risk: z.enum(["low", "high"]) }),
    report: z.string(),
  },
  { input: z.object({ repo: z.string() }), output: "report" },
)

const analyst = {
  generate: async ({ prompt = "" }: { prompt?: string }) => ({
    text: `{ "summary": ${JSON.stringify(prompt.split("\n")[0])}, "risk": "low" }`,
  }),
}

const review = smithers((ctx) => (
  <Workflow name="review">
    <Sequence>
      <Task id="analyze" output={outputs.analysis} agent={analyst}>
        Analyze {ctx.input.repo}.
      </Task>
      <Task id="report" output={outputs.report} deps={{ analyze: outputs.analysis }}>
        {({ analyze }) => `${analyze.risk} risk: ${analyze.summary}`}
      </Task>
    </Sequence>
  </Workflow>
))

export default review

const result = await runWorkflow(review, { input: { repo: "acme/api" }, runId: "review-1" })
if (result.status === "finished") console.log(result.output)
