/** @jsxImportSource smithers-orchestrator */
/**
 * Release. Notes are written and reviewed until they are approved. A person selects how far the release goes. It is deployed and watched
 * until it is healthy; otherwise it is rolled back.
 */
import { Approval, createSmithers, Saga } from "smithers-orchestrator"
import { Poller, ReviewLoop } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { notesEditor, notesWriter } from "./agents.ts"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    notes: z.string(),
    review: z.object({ approved: z.boolean(), feedback: z.string() }),
    extent: z.object({ selected: z.enum(["canary", "everyone"]) }),
    deploy: z.object({ count: z.number() }),
    health: z.object({ satisfied: z.boolean() }),
    said: z.string(),
  },
  { input: z.object({ version: z.string(), healthyAfter: z.number() }), output: "said" },
)

const notes = { producer: notesWriter, reviewer: notesEditor }

/** The environments to deploy to. */
export const live: Array<string> = []

export default smithers((ctx) => (
  <Workflow name="release">
    <ReviewLoop id="notes" {...notes} produceOutput={outputs.notes} reviewOutput={outputs.review}>
      Write the notes of {ctx.input.version}.
    </ReviewLoop>
    <Approval
      id="extent"
      output={outputs.extent}
      options={["canary", "everyone"]}
      request={(ctx) => ({ title: `Release ${ctx.input.version}?`, summary: ctx.latest(outputs.notes, "notes:produce") ?? "" })}
    />
    <Saga id="rollout" onCompensated="continue">
      <Task id="deploy" output={outputs.deploy} compensate={() => void live.pop()}>
        {(ctx) => ({ count: live.push(`${ctx.input.version} for ${ctx.output(outputs.extent).selected}`) })}
      </Task>
      <Poller
        id="watch"
        checkOutput={outputs.health}
        maxIterations={3}
        checker={({ id, output }) => (
          <Task id={id} output={output}>
            {(ctx) => ({ satisfied: ctx.iteration >= ctx.input.healthyAfter })}
          </Task>
        )}
      />
    </Saga>
    <Task id="said" output={outputs.said}>
      {(ctx) => (ctx.latest(outputs.health)?.satisfied ? "released" : "rolled back")}
    </Task>
  </Workflow>
))
