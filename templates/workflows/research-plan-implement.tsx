/** @jsxImportSource smithers-orchestrator */
/**
 * Research, plan, implement. The code and the ways to do it are looked into at the same time. A plan is made of that, and again with the
 * comments of a person, until the person approves. Only then it is implemented and reviewed.
 */
import { createSmithers, HumanTask, Loop, Parallel } from "smithers-orchestrator"
import { ReviewLoop, type ReviewOutcome } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { analyst, engineer, reviewer } from "../agents"
import Code from "../prompts/research-plan-implement/code.mdx"
import Implement from "../prompts/research-plan-implement/implement.mdx"
import Plan from "../prompts/research-plan-implement/plan.mdx"
import Ways from "../prompts/research-plan-implement/ways.mdx"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    code: z.object({ findings: z.array(z.string()), unknown: z.array(z.string()) }).meta({
      examples: [{ findings: ["src/export.ts writes the rows one by one"], unknown: ["how large an export gets"] }],
    }),
    ways: z.object({ ways: z.array(z.object({ name: z.string(), cost: z.string() })), choice: z.string() }).meta({
      examples: [{ ways: [{ name: "stream the rows", cost: "one module" }], choice: "stream the rows" }],
    }),
    plan: z.object({ summary: z.string(), steps: z.array(z.string()).min(1), risks: z.array(z.string()) }).meta({
      examples: [
        { summary: "Stream the rows", steps: ["write a stream", "use it in the export"], risks: [] },
        { summary: "Stream the rows, with a limit", steps: ["write a stream", "limit it", "use it"], risks: ["old clients"] },
      ],
    }),
    verdict: z.object({ approved: z.boolean(), comments: z.string().default("") }),
    change: z.object({ summary: z.string(), files: z.array(z.string()) }).meta({
      examples: [{ summary: "The export streams its rows", files: ["src/export.ts", "test/export.test.ts"] }],
    }),
    review: z.object({ approved: z.boolean(), feedback: z.string() }).meta({
      examples: [{ approved: true, feedback: "Every step of the plan is there, and is tested." }],
    }),
    report: z.object({ outcome: z.string(), summary: z.string(), files: z.array(z.string()) }),
  },
  { input: z.object({ task: z.string().default("Make the export fast") }), output: "report" },
)

type Change = z.infer<typeof outputs.change>

export default smithers((ctx) => {
  const { task } = ctx.input
  const code = ctx.outputMaybe(outputs.code)
  const ways = ctx.outputMaybe(outputs.ways)
  const plan = ctx.latest(outputs.plan, "plan")
  const verdict = ctx.latest(outputs.verdict, "approve-plan")
  return (
    <Workflow name="research-plan-implement">
      <Parallel>
        <Task id="code" output={outputs.code} agent={analyst}>
          <Code task={task} />
        </Task>
        <Task id="ways" output={outputs.ways} agent={analyst}>
          <Ways task={task} />
        </Task>
      </Parallel>
      {code && ways && (
        <Loop id="planning" until={verdict?.approved} maxIterations={5} onMaxReached="fail">
          <Task id="plan" output={outputs.plan} agent={analyst}>
            <Plan
              task={task}
              findings={code.findings}
              choice={ways.choice}
              before={plan?.steps ?? []}
              comments={verdict?.comments ?? ""}
            />
          </Task>
          <HumanTask
            id="approve-plan"
            output={outputs.verdict}
            prompt={(ctx) => {
              const { summary, steps, risks } = ctx.output(outputs.plan)
              return [
                `Is this the plan for: ${task}?`,
                summary,
                ...steps.map((step) => `- ${step}`),
                ...risks.map((risk) => `! ${risk}`),
              ].join("\n")
            }}
          />
        </Loop>
      )}
      {plan && verdict?.approved && (
        <ReviewLoop
          id="implement"
          producer={engineer}
          reviewer={reviewer}
          produceOutput={outputs.change}
          reviewOutput={outputs.review}
          onExhausted="accept"
          output={outputs.report}
          result={({ outcome, draft }: ReviewOutcome<Change>) => ({
            outcome,
            summary: draft?.summary ?? "nothing was changed",
            files: draft?.files ?? [],
          })}
        >
          <Implement task={task} steps={plan.steps} />
        </ReviewLoop>
      )}
    </Workflow>
  )
})
