/** @jsxImportSource smithers-orchestrator */
/**
 * Plan + PRD. An idea becomes a product requirements document (PRD), and that a plan. A person answers what the idea leaves open, and
 * approves the document before it is broken into tickets. Document and tickets are written to a file.
 */
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Approval, createSmithers, HumanTask } from "smithers-orchestrator"
import { ReviewLoop } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { analyst, reviewer } from "../agents"
import Prd from "../prompts/plan-prd/prd.mdx"
import Questions from "../prompts/plan-prd/questions.mdx"
import Tickets from "../prompts/plan-prd/tickets.mdx"

const Ticket = z.object({ id: z.string(), title: z.string(), after: z.array(z.string()) })

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    questions: z.object({ questions: z.array(z.string()).max(6) }).meta({
      examples: [{ questions: ["Who shares a list, and with whom?", "What may the others change?"] }],
    }),
    answers: z.object({ answers: z.string() }),
    prd: z.object({ title: z.string(), markdown: z.string() }).meta({
      examples: [
        { title: "Shared lists", markdown: "## Problem\n\nLists are sent as screenshots." },
        { title: "Shared lists", markdown: "## Problem\n\nLists are sent as screenshots.\n\n## Out of scope\n\nComments." },
      ],
    }),
    review: z.object({ approved: z.boolean(), feedback: z.string() }).meta({
      examples: [
        { approved: false, feedback: "Say what is out of scope." },
        { approved: true, feedback: "An engineer could begin tomorrow." },
      ],
    }),
    tickets: z.object({ tickets: z.array(Ticket).min(1) }).meta({
      examples: [
        {
          tickets: [
            { id: "link", title: "Make a link to a list", after: [] },
            { id: "rights", title: "Let the owner say who may edit", after: ["link"] },
          ],
        },
      ],
    }),
    saved: z.object({ file: z.string(), tickets: z.number() }),
  },
  {
    input: z.object({ idea: z.string().default("Let people share a list"), folder: z.string().default("prds") }),
    output: "saved",
  },
)

export default smithers((ctx) => {
  const { idea, folder } = ctx.input
  const questions = ctx.outputMaybe(outputs.questions)?.questions
  const answers = ctx.outputMaybe(outputs.answers)?.answers ?? ""
  const prd = ctx.latest(outputs.prd, "prd:produce")
  return (
    <Workflow name="plan-prd">
      <Task id="questions" output={outputs.questions} agent={analyst}>
        <Questions idea={idea} />
      </Task>
      {questions !== undefined && questions.length > 0 && (
        <HumanTask id="answers" output={outputs.answers}>
          {questions.map((question, index) => `${index + 1}. ${question}`).join("\n")}
        </HumanTask>
      )}
      <ReviewLoop id="prd" producer={analyst} reviewer={reviewer} produceOutput={outputs.prd} reviewOutput={outputs.review}>
        <Prd idea={idea} questions={questions ?? []} answers={answers} />
      </ReviewLoop>
      <Approval
        id="approve"
        request={(ctx) => {
          const { title, markdown } = ctx.latest(outputs.prd, "prd:produce") ?? { title: idea, markdown: "" }
          return { title: `Plan “${title}” as this document says?`, summary: markdown }
        }}
      />
      <Task id="tickets" output={outputs.tickets} agent={analyst}>
        <Tickets prd={prd?.markdown ?? ""} />
      </Task>
      <Task id="save" output={outputs.saved}>
        {async (ctx) => {
          const { tickets } = ctx.output(outputs.tickets)
          const { title, markdown } = ctx.latest(outputs.prd, "prd:produce") ?? { title: idea, markdown: "" }
          const file = join(folder, `${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.md`)
          const plan = tickets.map(
            ({ id, title, after }) => `- [ ] ${id}: ${title}${after.length > 0 ? ` (after ${after.join(", ")})` : ""}`,
          )
          await mkdir(folder, { recursive: true })
          // A task may run twice, if the process dies in it: it writes the same file again.
          await writeFile(file, `# ${title}\n\n${markdown}\n\n## Plan\n\n${plan.join("\n")}\n`)
          return { file, tickets: tickets.length }
        }}
      </Task>
    </Workflow>
  )
})
