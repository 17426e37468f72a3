/** @jsxImportSource smithers-orchestrator */
/**
 * On call. The service is checked every minute. When it is down, the first person on call is paged, and the second one if nobody
 * acknowledges within half an hour. Whoever does gets a runbook; if nobody does, the shift is handed over as it is.
 */
import { createSmithers, Race, Sequence, Signal, Timer } from "smithers-orchestrator"
import { Poller } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { guide } from "./agents.ts"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    check: z.object({ satisfied: z.boolean(), code: z.number() }),
    ack: z.object({ by: z.string() }),
    runbook: z.object({ steps: z.array(z.string()) }),
    handover: z.string(),
  },
  { input: z.object({ service: z.string(), first: z.string(), second: z.string(), downAfter: z.number() }), output: "handover" },
)

export default smithers((ctx) => {
  const { first, second } = ctx.input
  const paged = ctx.winner("first") === "ack" ? first : ctx.winner("second") === "ack" ? second : undefined
  const paging = (id: string, person: string) => (
    <Sequence key={id}>
      <Task id={`page-${id}`}>{`page ${person}`}</Task>
      <Race id={id}>
        <Signal key="ack" id={`ack-${id}`} name="ack" correlation={person} output={outputs.ack} />
        <Timer key="late" id={`late-${id}`} duration="30 minutes" />
      </Race>
    </Sequence>
  )
  return (
    <Workflow name="on-call">
      <Poller
        id="watch"
        checkOutput={outputs.check}
        intervalMs={60_000}
        backoff="fixed"
        checker={({ id, output }) => (
          <Task id={id} output={output}>
            {(ctx) => ({ satisfied: ctx.iteration >= ctx.input.downAfter, code: 503 })}
          </Task>
        )}
      />
      {paging("first", first)}
      {ctx.winner("first") === "late" && paging("second", second)}
      {paged !== undefined && (
        <Task id="runbook" output={outputs.runbook} agent={guide}>
          Hello {paged}, {ctx.input.service} is down.
        </Task>
      )}
      <Task id="handover" output={outputs.handover}>
        {(ctx) => ctx.outputMaybe(outputs.runbook)?.steps.join(", ") ?? "nobody has acknowledged"}
      </Task>
    </Workflow>
  )
})
