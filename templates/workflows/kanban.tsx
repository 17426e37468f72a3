/** @jsxImportSource smithers-orchestrator */
/**
 * Kanban. A goal becomes cards. A person looks at them, and they go over a board: two at a time are built, and one at a time is
 * reviewed, twice at most. A card that fails is blocked, and the others go on.
 */
import { Approval, createSmithers } from "smithers-orchestrator"
import { Kanban, type KanbanOutcome, ReviewLoop, type ReviewOutcome, type Work } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { analyst, engineer, reviewer } from "../agents"
import Build from "../prompts/kanban/build.mdx"
import Cards from "../prompts/kanban/cards.mdx"
import Ship from "../prompts/kanban/ship.mdx"

const Card = z.object({ id: z.string(), title: z.string(), doneWhen: z.string() })

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    cards: z.object({ cards: z.array(Card).min(1).max(12) }).meta({
      examples: [
        {
          cards: [
            { id: "parser", title: "Read a date in the search field", doneWhen: "“since 2 May” finds what is newer" },
            { id: "help", title: "Say in the help which dates are read", doneWhen: "the help has three examples" },
          ],
        },
      ],
    }),
    change: z.object({ summary: z.string(), files: z.array(z.string()) }).meta({
      examples: [
        { summary: "Read dates, without a test", files: ["src/search.ts"] },
        { summary: "Read dates, with tests", files: ["src/search.ts", "test/search.test.ts"] },
      ],
    }),
    review: z.object({ approved: z.boolean(), feedback: z.string() }).meta({
      examples: [
        { approved: false, feedback: "There is no test for a date that does not exist." },
        { approved: true, feedback: "It does what the card says." },
      ],
    }),
    shipped: z.object({ note: z.string() }).meta({ examples: [{ note: "Merged with the changes beside it." }] }),
    board: z.object({ done: z.array(z.string()), blocked: z.array(z.object({ card: z.string(), why: z.string() })) }),
  },
  { input: z.object({ goal: z.string().default("Let people search by date") }), output: "board" },
)

/** Builds a card, and again with what the reviewer says. Its outcome is the last change. */
const Builder = (work: Work) => (
  <ReviewLoop
    {...work}
    producer={engineer}
    reviewer={reviewer}
    produceOutput={outputs.change}
    reviewOutput={outputs.review}
    maxIterations={2}
    result={({ draft }: ReviewOutcome) => draft}
  />
)

export default smithers((ctx) => {
  const { goal } = ctx.input
  const cards = ctx.outputMaybe(outputs.cards)?.cards ?? []
  return (
    <Workflow name="kanban">
      <Task id="cards" output={outputs.cards} agent={analyst}>
        <Cards goal={goal} />
      </Task>
      <Approval
        id="start"
        request={{
          title: `Work on these cards for: ${goal}?`,
          summary: cards.map(({ title, doneWhen }) => `- ${title} (done when ${doneWhen})`).join("\n"),
        }}
      />
      <Kanban
        id="board"
        cards={cards}
        by={({ id }) => id}
        columns={[
          { name: "build", worker: Builder, output: outputs.change, limit: 2, prompt: <Build goal={goal} /> },
          { name: "ship", worker: engineer, output: outputs.shipped, limit: 1, prompt: <Ship /> },
        ]}
        output={outputs.board}
        result={({ done, blocked }: KanbanOutcome) => ({
          done,
          blocked: blocked.map(({ key, column, failure }) => ({ card: key, why: `${column}: ${failure}` })),
        })}
      />
    </Workflow>
  )
})
