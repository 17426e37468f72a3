/** @jsxImportSource smithers-orchestrator */
/**
 * A plan that grows: a planner breaks a goal into tickets, each ticket is written and reviewed until the reviewer approves, and a report
 * ends it. The agents answer from a script, so no key is needed; put agents of the AI SDK in their place. Stop it with Ctrl-C or
 * `kill -9` and start it again with the same run id: `bun examples/tickets.tsx [run id] [goal]`.
 */
import { type Agent, createSmithers, Loop, Parallel, runWorkflow, Sequence, useCtx } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    tickets: z.object({ tickets: z.array(z.object({ id: z.string(), title: z.string() })) }),
    patch: z.object({ diff: z.string() }),
    verdict: z.object({ approved: z.boolean(), feedback: z.string() }),
    report: z.string(),
  },
  { input: z.object({ goal: z.string() }) },
)

/** Stands in for a model: takes its time, and answers with what a function makes of the prompt. */
const scripted = (name: string, answer: (prompt: string) => unknown): Agent => ({
  name,
  generate: async ({ prompt = "", abortSignal }) => {
    console.log(`  ${name} ← ${prompt.split("\n")[0]}`)
    await Bun.sleep(400)
    abortSignal?.throwIfAborted()
    return { text: JSON.stringify(answer(prompt)), finishReason: "stop" }
  },
})

const planner = scripted("planner", () => ({
  tickets: [
    { id: "parser", title: "Write a parser" },
    { id: "printer", title: "Write a printer" },
    { id: "tests", title: "Test that they agree" },
  ],
}))
const coder = scripted("coder", (prompt) => ({ diff: prompt.includes("edge cases") ? "with edge cases" : "a first try" }))
const reviewer = scripted("reviewer", (prompt) =>
  prompt.includes("edge cases") ? { approved: true, feedback: "" } : { approved: false, feedback: "mind the edge cases" },
)

const Ticket = ({ id, title }: { readonly id: string; readonly title: string }) => {
  const ctx = useCtx()
  const verdict = ctx.latest(outputs.verdict, `${id}:review`)
  return (
    <Loop id={`${id}:rounds`} until={verdict?.approved} maxIterations={3}>
      <Sequence>
        <Task id={`${id}:write`} output={outputs.patch} agent={coder} timeout="1m">
          {title}. {verdict?.feedback}
        </Task>
        <Task id={`${id}:review`} output={outputs.verdict} agent={reviewer}>
          Review {title}: {ctx.output(outputs.patch, { nodeId: `${id}:write` }).diff}
        </Task>
      </Sequence>
    </Loop>
  )
}

const workflow = smithers((ctx) => {
  const planned = ctx.outputMaybe(outputs.tickets, { nodeId: "plan" })
  return (
    <Workflow name="tickets">
      <Task id="plan" output={outputs.tickets} agent={planner}>
        Break this into tickets: {ctx.input.goal}
      </Task>
      <Parallel maxConcurrency={2}>
        {planned?.tickets.map((ticket) => (
          <Ticket key={ticket.id} {...ticket} />
        ))}
      </Parallel>
      <Task id="report" output={outputs.report} deps={{ plan: outputs.tickets }}>
        {({ plan }, ctx) =>
          plan.tickets.map(({ id, title }) => `- ${title}: ${ctx.latest(outputs.patch, `${id}:write`)?.diff}`).join("\n")
        }
      </Task>
    </Workflow>
  )
})

export default workflow

if (import.meta.main) {
  const [runId = "tickets", goal = "a formatter"] = process.argv.slice(2)
  const result = await runWorkflow(workflow, { input: { goal }, runId, db: "tickets.db" })
  console.log(result.status === "finished" ? `\n${result.output}` : result)
}
