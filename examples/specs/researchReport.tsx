/** @jsxImportSource smithers-orchestrator */
/**
 * Research report. A question is looked up in several places. Where they disagree, two sides debate it and a judge decides. A report is
 * written of that, and reviewed until it cites its sources.
 */
import { createSmithers } from "smithers-orchestrator"
import { Debate, GatherAndSynthesize, ReviewLoop } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { editor, judge, opponent, papers, proposer, searcher, web, writer } from "./agents.ts"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    found: z.object({ text: z.string() }),
    summary: z.object({ text: z.string(), isDisputed: z.boolean() }),
    argument: z.object({ text: z.string() }),
    verdict: z.object({ winner: z.string() }),
    draft: z.string(),
    review: z.object({ approved: z.boolean(), missing: z.string() }),
    report: z.string(),
  },
  { input: z.object({ question: z.string() }), output: "report" },
)

export default smithers((ctx) => (
  <Workflow name="research-report">
    <GatherAndSynthesize
      id="search"
      sources={{ papers, web }}
      gatherOutput={outputs.found}
      synthesizer={searcher}
      synthesisOutput={outputs.summary}
    >
      {ctx.input.question}
    </GatherAndSynthesize>
    <Debate
      id="debate"
      skipIf={ctx.outputMaybe(outputs.summary)?.isDisputed !== true}
      {...{ proposer, opponent, judge }}
      argumentOutput={outputs.argument}
      verdictOutput={outputs.verdict}
    >
      {ctx.input.question}
    </Debate>
    <ReviewLoop id="report" producer={writer} reviewer={editor} produceOutput={outputs.draft} reviewOutput={outputs.review}>
      {(ctx) => `Report on: ${ctx.input.question} (${ctx.outputMaybe(outputs.verdict)?.winner ?? "undisputed"})`}
    </ReviewLoop>
    <Task id="print" output={outputs.report}>
      {(ctx) => ctx.latest(outputs.draft) ?? ""}
    </Task>
  </Workflow>
))
