/** @jsxImportSource smithers-orchestrator */
/**
 * Mission. A goal that takes days becomes milestones, which a person approves. One after another is worked on and reviewed, in a few
 * rounds. Where those do not reach it, a person gives advice for as many more, or ends the mission there.
 */
import { Approval, createSmithers, HumanTask, Sequence } from "smithers-orchestrator"
import { ReviewLoop, type ReviewOutcome } from "smithers-orchestrator/patterns"
import { z } from "zod"
import { analyst, engineer, reviewer } from "../agents"
import Milestones from "../prompts/mission/milestones.mdx"
import Work from "../prompts/mission/work.mdx"

const Milestone = z.object({ id: z.string(), title: z.string(), reachedWhen: z.string() })
type Milestone = z.infer<typeof Milestone>

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers(
  {
    milestones: z.object({ milestones: z.array(Milestone).min(1).max(8) }).meta({
      examples: [
        {
          milestones: [
            { id: "inventory", title: "List what uses the old queue", reachedWhen: "docs/queue.md names every caller" },
            { id: "switch", title: "Send through the new queue", reachedWhen: "no module imports the old queue" },
          ],
        },
      ],
    }),
    work: z.object({ summary: z.string(), files: z.array(z.string()) }).meta({
      examples: [
        { summary: "Did the services", files: ["docs/queue.md"] },
        { summary: "Did the scripts, too", files: ["docs/queue.md"] },
      ],
    }),
    review: z.object({ approved: z.boolean(), missing: z.string() }).meta({
      examples: [
        { approved: false, missing: "What scripts/ does is left out." },
        { approved: true, missing: "" },
      ],
    }),
    leg: z.object({ reached: z.boolean(), missing: z.string() }),
    advice: z.object({ goOn: z.boolean(), advice: z.string().default("") }),
    debrief: z.object({ reached: z.array(z.string()), left: z.array(z.string()) }),
  },
  {
    input: z.object({ goal: z.string().default("Move all jobs to the new queue"), rounds: z.int().positive().default(3) }),
    output: "debrief",
  },
)

/** How far a milestone is. Each read is of a task that exists only where those before it were not enough. */
const legOf = (ctx: Pick<ReturnType<typeof useCtx>, "outputMaybe">, id: string) => {
  const first = ctx.outputMaybe(outputs.leg, { nodeId: id })
  const advice = first?.reached === false ? ctx.outputMaybe(outputs.advice, { nodeId: `${id}:advice` }) : undefined
  const second = advice?.goOn ? ctx.outputMaybe(outputs.leg, { nodeId: `${id}:again` }) : undefined
  return { first, advice, isReached: (second ?? first)?.reached === true }
}

const Rounds = ({ id, milestone, advice = "" }: { id: string; milestone: Milestone; advice?: string }) => (
  <ReviewLoop
    id={id}
    producer={engineer}
    reviewer={reviewer}
    produceOutput={outputs.work}
    reviewOutput={outputs.review}
    maxIterations={useCtx().input.rounds}
    onExhausted="accept"
    output={outputs.leg}
    result={({ outcome, review }: ReviewOutcome<unknown, { missing: string }>) => ({
      reached: outcome === "approved",
      missing: review?.missing ?? "",
    })}
  >
    <Work title={milestone.title} reachedWhen={milestone.reachedWhen} advice={advice} />
  </ReviewLoop>
)

const Leg = ({ milestone }: { milestone: Milestone }) => {
  const { id, title } = milestone
  const { first, advice } = legOf(useCtx(), id)
  return (
    <Sequence>
      <Rounds id={id} milestone={milestone} />
      {first?.reached === false && (
        <HumanTask id={`${id}:advice`} output={outputs.advice}>
          Its rounds did not reach “{title}”. Missing: {first.missing} Shall it go on, and with which advice?
        </HumanTask>
      )}
      {advice?.goOn && <Rounds id={`${id}:again`} milestone={milestone} advice={advice.advice} />}
    </Sequence>
  )
}

export default smithers((ctx) => {
  const milestones = ctx.outputMaybe(outputs.milestones)?.milestones ?? []
  const current = milestones.findIndex(({ id }) => !legOf(ctx, id).isReached)
  const reached = current < 0 ? milestones.length : current
  return (
    <Workflow name="mission">
      <Task id="milestones" output={outputs.milestones} agent={analyst}>
        <Milestones goal={ctx.input.goal} />
      </Task>
      <Approval
        id="go"
        request={{
          title: `Start this mission: ${ctx.input.goal}?`,
          summary: milestones.map(({ title, reachedWhen }) => `- ${title} (reached when ${reachedWhen})`).join("\n"),
        }}
      />
      {milestones.slice(0, reached + 1).map((milestone) => (
        <Leg key={milestone.id} milestone={milestone} />
      ))}
      <Task id="debrief" output={outputs.debrief}>
        {() => {
          const titles = milestones.map(({ title }) => title)
          return { reached: titles.slice(0, reached), left: titles.slice(reached) }
        }}
      </Task>
    </Workflow>
  )
})
