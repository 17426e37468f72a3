/** @jsxImportSource smithers-orchestrator */
/**
 * Patterns in patterns: the producer of a review loop is a panel, and the loop is the route of a classifier. Several of one pattern
 * stand in one workflow.
 */
import { createSmithers } from "smithers-orchestrator"
import {
  ClassifyAndRoute,
  Panel,
  type PanelOutcome,
  ReviewLoop,
  type ReviewOutcome,
  type Work,
} from "smithers-orchestrator/patterns"
import { crashEverywhere, planText, TestRuntime } from "smithers-orchestrator/testing"
import { describe, expect, it } from "vitest"
import { z } from "zod"
import { agent } from "./Fixture.tsx"

const { Workflow, Parallel, Task, smithers, outputs } = createSmithers({
  vote: z.object({ vote: z.string() }),
  draft: z.string(),
  review: z.object({ approved: z.boolean() }),
  category: z.object({ category: z.string() }),
  report: z.object({ outcome: z.string(), items: z.array(z.object({ key: z.string(), answer: z.unknown() })) }),
})

const agents = {
  classifier: agent("classifier", { category: "post" }, { category: "post" }),
  ann: agent("ann", ...["cats", "dogs", "cats", "dogs"].map((vote) => ({ vote }))),
  bob: agent("bob", ...["cats", "dogs", "cats", "dogs"].map((vote) => ({ vote }))),
  reviewer: agent("reviewer", ...[false, true, false, true].map((approved) => ({ approved }))),
}

/** A panel that votes on the topic, which is the draft. */
const Topic = (work: Work) => (
  <Panel
    {...work}
    panelists={{ ann: agents.ann, bob: agents.bob }}
    panelistOutput={outputs.vote}
    result={({ vote = "none" }: PanelOutcome) => vote}
  />
)

/** A loop whose producer is the panel, and whose outcome is the draft that was approved. */
const Post = (work: Work) => (
  <ReviewLoop
    {...work}
    producer={Topic}
    reviewer={agents.reviewer}
    produceOutput={outputs.draft}
    reviewOutput={outputs.review}
    result={({ draft }: ReviewOutcome) => draft}
  />
)

const nested = (items: ReadonlyArray<string>) =>
  smithers(() => (
    <Workflow name="nested">
      <ClassifyAndRoute
        id="mail"
        items={items}
        classifier={agents.classifier}
        classifyOutput={outputs.category}
        routes={{ post: Post }}
        routeOutput={outputs.draft}
        maxConcurrency={1}
        output={outputs.report}
      >
        Answer the mail.
      </ClassifyAndRoute>
    </Workflow>
  ))
const reset = () => void Object.values(agents).map((one) => one.reset())

describe("patterns in patterns", () => {
  it("run as one, each with ids of its own", async () => {
    reset()
    await using runtime = TestRuntime.make()
    expect(await runtime.execute(nested(["m1", "m2"]), {}, { runId: "r" })).toEqual({
      outcome: "routed",
      items: [
        { key: "m1", answer: "dogs" },
        { key: "m2", answer: "dogs" },
      ],
    })
    const timeline = await runtime.timeline("r")
    expect(timeline).toContain("mail:handle:m2:produce:by:bob (iteration 1): succeeded")
    // The task reaches the innermost participant.
    expect(agents.bob.calls[1]?.prompt).toMatch(/Answer the mail\..*The item.*m1.*Your last draft.*cats/s)
  })

  it("survive a crash at every commit", async () => {
    expect((await crashEverywhere(nested(["m1"]), {}, { before: reset })).commits).toBeGreaterThan(8)
  })

  it("stand beside each other in one workflow, also several of one kind", async () => {
    const loop = (id: string, replies: ReadonlyArray<boolean>) => (
      <ReviewLoop
        id={id}
        producer={agent(id, "a", "b", "c")}
        reviewer={agent(`${id}-reviewer`, ...replies.map((approved) => ({ approved })))}
        produceOutput={outputs.draft}
        reviewOutput={outputs.review}
      >
        Write.
      </ReviewLoop>
    )
    const both = (
      <Parallel>
        {loop("first", [false, true])}
        {loop("second", [true])}
      </Parallel>
    )
    const two = smithers(() => (
      <Workflow name="two">
        {both}
        <Task id="said" output={outputs.draft}>
          {(ctx) => ["first", "second"].map((id) => ctx.latest(outputs.draft, `${id}:produce`)).join(" and ")}
        </Task>
      </Workflow>
    ))
    expect(planText(two, { input: {} })).toContain("loop second:rounds")
    await using runtime = TestRuntime.make()
    expect(await runtime.execute(two, {})).toBe("b and a")
  })
})
