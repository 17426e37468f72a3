/** @jsxImportSource smithers-orchestrator */
/**
 * Incident. Logs, metrics and recent deploys are looked at together, even if one of them cannot be. A fix is proposed; a person approves
 * it within a quarter of an hour, or it is applied anyway. The service is watched until it is healthy, and a post-mortem is written.
 */
import { Approval, createSmithers } from "smithers-orchestrator"
import { GatherAndSynthesize, Poller } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { analyst, deploys, logs, metrics } from "./agents.ts"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    evidence: z.object({ text: z.string() }),
    diagnosis: z.object({ cause: z.string(), fix: z.string() }),
    go: z.object({ approved: z.boolean(), timedOut: z.boolean() }),
    applied: z.string(),
    health: z.object({ satisfied: z.boolean(), errors: z.number() }),
    postMortem: z.string(),
  },
  { input: z.object({ service: z.string() }), output: "postMortem" },
)

const late = { timeout: "15 minutes", onTimeout: "approve" } as const

export default smithers((ctx) => (
  <Workflow name="incident">
    <GatherAndSynthesize
      id="diagnose"
      sources={{ logs, deploys, metrics }}
      gatherOutput={outputs.evidence}
      synthesizer={analyst}
      synthesisOutput={outputs.diagnosis}
      minSources={2}
    >
      {ctx.input.service} is down.
    </GatherAndSynthesize>
    <Approval id="go" output={outputs.go} {...late} request={(ctx) => ({ title: ctx.output(outputs.diagnosis).fix })} />
    <Task id="apply" output={outputs.applied}>
      {(ctx) => `done: ${ctx.output(outputs.diagnosis).fix}`}
    </Task>
    <Poller
      id="watch"
      checkOutput={outputs.health}
      intervalMs={60_000}
      timeout="1h"
      checker={({ id, output }) => (
        <Task id={id} output={output}>
          {(ctx) => ({ errors: Math.max(0, 20 - 10 * ctx.iteration), satisfied: ctx.iteration >= 2 })}
        </Task>
      )}
    />
    <Task id="post-mortem" output={outputs.postMortem}>
      {(ctx) =>
        `${ctx.output(outputs.diagnosis).cause}. ${ctx.output(outputs.applied)}${ctx.output(outputs.go).timedOut ? ", unasked" : ""}.`
      }
    </Task>
  </Workflow>
))
