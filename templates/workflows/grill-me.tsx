/** @jsxImportSource smithers-orchestrator */
/**
 * Grill me. An agent asks a person about a plan, one question at a time, each after the answer to the one before. It stops when it has
 * nothing more to ask, or after a number of questions, and writes down what was decided and what is still open.
 */
import { createSmithers, HumanTask, Loop } from "smithers-orchestrator"
import { z } from "zod"
import { analyst } from "../agents"
import Ask from "../prompts/grill-me/ask.mdx"
import Conclude from "../prompts/grill-me/conclude.mdx"

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers(
  {
    question: z.object({ done: z.boolean(), question: z.string(), suggestion: z.string() }).meta({
      examples: [
        { done: false, question: "What happens to rows that are written during the move?", suggestion: "write them to both" },
        { done: false, question: "How do you go back if it fails?", suggestion: "keep the old table for a week" },
        { done: true, question: "", suggestion: "" },
      ],
    }),
    answer: z.object({ answer: z.string() }),
    conclusion: z.object({ decided: z.array(z.string()), open: z.array(z.string()) }).meta({
      examples: [{ decided: ["Rows are written to both tables during the move"], open: ["who watches it at night"] }],
    }),
  },
  {
    input: z.object({
      plan: z.string().default("Move the orders to a new table next week"),
      questions: z.number().int().positive().default(10),
    }),
    output: "conclusion",
  },
)

/** The questions so far, each with its answer, as the prompts are told them. */
const talkOf = (ctx: Pick<ReturnType<typeof useCtx>, "outputMaybe" | "iterationCount">): string =>
  Array.from({ length: ctx.iterationCount(outputs.answer, "answer") }, (_, iteration) => {
    const { question } = ctx.outputMaybe(outputs.question, { nodeId: "ask", iteration }) ?? {}
    const { answer } = ctx.outputMaybe(outputs.answer, { nodeId: "answer", iteration }) ?? {}
    return `Question ${iteration + 1}: ${question}\nAnswer: ${answer}`
  }).join("\n\n")

const Round = () => {
  const ctx = useCtx()
  const asked = ctx.outputMaybe(outputs.question, { nodeId: "ask" })
  return (
    <>
      <Task id="ask" output={outputs.question} agent={analyst}>
        {(ctx) => <Ask plan={ctx.input.plan} talk={talkOf(ctx)} />}
      </Task>
      <HumanTask id="answer" output={outputs.answer} skipIf={(ctx) => ctx.output(outputs.question).done}>
        {asked === undefined || asked.done ? "…" : `${asked.question}\nSuggestion: ${asked.suggestion}`}
      </HumanTask>
    </>
  )
}

export default smithers((ctx) => (
  <Workflow name="grill-me">
    <Loop id="rounds" until={ctx.latest(outputs.question, "ask")?.done} maxIterations={ctx.input.questions}>
      <Round />
    </Loop>
    <Task id="conclude" output={outputs.conclusion} agent={analyst}>
      {(ctx) => <Conclude plan={ctx.input.plan} talk={talkOf(ctx)} />}
    </Task>
  </Workflow>
))
