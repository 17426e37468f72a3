/** @jsxImportSource smithers-orchestrator */
/**
 * Content. Ideas go over a board, two in a column at most. For each text that gets through, headlines are tried until one scores well.
 * A person approves what is published.
 */
import { type Agent, Approval, createSmithers, ForEach } from "smithers-orchestrator"
import { Kanban, type KanbanOutcome, Optimizer, type OptimizerOutcome } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { contentEditor, copywriter, drafter, planner, scorer } from "./agents.ts"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    text: z.object({ text: z.string() }),
    board: z.object({ done: z.array(z.string()), blocked: z.array(z.string()) }),
    ...{ headline: z.object({ headline: z.string() }), score: z.object({ score: z.number() }) },
    best: z.string(),
    published: z.object({ published: z.array(z.string()), blocked: z.array(z.string()) }),
  },
  { input: z.object({ ideas: z.array(z.string()) }), output: "published" },
)

const column = (name: string, worker: Agent) => ({ name, worker, output: outputs.text, limit: 2 })

export default smithers((ctx) => {
  const done = ctx.outputMaybe(outputs.board)?.done ?? []
  const headlines = done.map((idea) => ctx.outputMaybe(outputs.best, { nodeId: `headline ${idea}` }))
  return (
    <Workflow name="content">
      <Kanban
        id="board"
        cards={ctx.input.ideas}
        columns={[column("outline", planner), column("draft", drafter), column("edit", contentEditor)]}
        output={outputs.board}
        result={({ done, blocked }: KanbanOutcome) => ({ done, blocked: blocked.map(({ key, column }) => `${key} in ${column}`) })}
      >
        Work on the idea.
      </Kanban>
      <ForEach id="headlines" items={done}>
        {(idea) => (
          <Optimizer
            id={`headline ${idea}`}
            generator={copywriter}
            generateOutput={outputs.headline}
            evaluateOutput={outputs.score}
            targetScore={20}
            output={outputs.best}
            evaluator={scorer}
            result={({ best }: OptimizerOutcome<{ headline: string }>) => best?.candidate.headline ?? idea}
          >
            Find a headline for {idea}.
          </Optimizer>
        )}
      </ForEach>
      <Approval id="go" skipIf={headlines.length === 0} request={{ title: "Publish?", summary: headlines.join(", ") }} />
      <Task id="publish" output={outputs.published}>
        {(ctx) => ({ published: headlines.map(String), blocked: ctx.output(outputs.board).blocked })}
      </Task>
    </Workflow>
  )
})
