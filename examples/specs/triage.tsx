/** @jsxImportSource smithers-orchestrator */
/**
 * Triage. Each new report is sorted: bugs are reproduced, questions are answered, and what fits neither, or is uncertain, goes to a
 * person. A digest lists what became of each.
 */
import { createSmithers, HumanTask } from "smithers-orchestrator"
import { ClassifyAndRoute, type RouteOutcome } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { classifier, librarian, reproducer } from "./agents.ts"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    category: z.object({ category: z.string(), confidence: z.number() }),
    answer: z.object({ answer: z.string() }),
    triage: z.object({ items: z.array(z.object({ key: z.string(), outcome: z.string(), answer: z.unknown() })) }),
    digest: z.string(),
  },
  { input: z.object({ reports: z.array(z.object({ id: z.string(), text: z.string() })) }), output: "digest" },
)

export default smithers((ctx) => (
  <Workflow name="triage">
    <ClassifyAndRoute
      id="triage"
      items={ctx.input.reports}
      by={({ id }) => id}
      classifier={classifier}
      classifyOutput={outputs.category}
      minConfidence={0.5}
      routes={{ bug: reproducer, question: librarian }}
      otherwise={({ id, output }) => <HumanTask id={id} output={output} prompt="Which answer does this report get?" />}
      routeOutput={outputs.answer}
      output={outputs.triage}
      result={({ items }: RouteOutcome) => ({ items })}
    >
      Answer the report.
    </ClassifyAndRoute>
    <Task id="digest" output={outputs.digest} deps={{ triage: outputs.triage }}>
      {({ triage }) => triage.items.map(({ key, outcome }) => `${key}: ${outcome}`).join("\n")}
    </Task>
  </Workflow>
))
