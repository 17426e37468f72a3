/**
 * Plans without a run.
 */
import { createSmithers, Loop, Parallel, renderPlan } from "smithers-orchestrator"
import { describe, expect, it } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers(
  {
    draft: z.object({ text: z.string(), at: z.iso.datetime().optional() }),
    review: z.object({ approved: z.boolean() }),
    n: z.number(),
  },
  { input: z.object({ topic: z.string().default("cats") }) },
)

const rounds = smithers((ctx) => (
  <Workflow name="rounds">
    <Loop id="rounds" until={ctx.latest(outputs.review)?.approved} maxIterations={5}>
      <Task id="draft" output={outputs.draft} agent={{ generate: async () => ({ text: "{}" }) }}>
        Write about {ctx.input.topic}, pass {ctx.iteration}, after {ctx.iterationCount(outputs.draft)} drafts
      </Task>
      <Task id="review" output={outputs.review}>
        {{ approved: false }}
      </Task>
    </Loop>
    {ctx.outputMaybe(outputs.draft)?.text === "late" ? (
      <Task id="publish" output={outputs.n}>
        {1}
      </Task>
    ) : null}
  </Workflow>
))

describe("renderPlan", () => {
  it("draws a plan from an input, with defaults, and says what its tasks say", () => {
    const { name, tasks, plan } = renderPlan(rounds, { input: {} })
    expect(name).toBe("rounds")
    expect(tasks.map(({ id, output, loop, content, isAgent }) => [id, output, loop, content, isAgent])).toEqual([
      ["draft", "draft", "rounds", "Write about cats, pass 0, after 0 drafts", true],
      ["review", "review", "rounds", { approved: false }, false],
    ])
    expect([...plan.positions.keys()]).toEqual(["rounds", "draft", "review"])
  })

  it("draws it as after these outputs, also in the passes of a loop", () => {
    const outputs = { "draft/0": { text: "early" }, "review/0": { approved: false }, "draft/1": { text: "late" } }
    const { tasks } = renderPlan(rounds, { input: { topic: "dogs" }, outputs })
    expect(tasks.map(({ id, content }) => [id, content])).toEqual([
      ["draft", "Write about dogs, pass 1, after 2 drafts"],
      ["review", { approved: false }],
      ["publish", 1],
    ])
    const next = renderPlan(rounds, { input: {}, outputs, loops: { rounds: 3 } })
    expect(next.tasks.map(({ id }) => id)).toEqual(["draft", "review"])
    expect(next.tasks[0]?.content).toBe("Write about cats, pass 2, after 2 drafts")
  })

  it("refuses inputs and outputs that do not match their schemas", () => {
    expect(() => renderPlan(rounds, { input: { topic: 1 } })).toThrow(/The input of the workflow is not valid: topic/)
    expect(() => renderPlan(rounds, { input: {}, outputs: { review: { approved: "yes" } } })).toThrow(
      /"review" does not match "review": approved/,
    )
    expect(() => renderPlan(rounds, { input: {}, outputs: { publsh: 1 } })).toThrow(/"publsh"/)
  })

  it("takes outputs of loops in loops for those of the pass that is asked for", () => {
    const nested = smithers((ctx) => (
      <Workflow name="nested">
        <Loop id="outer" until={false} maxIterations={4}>
          <Loop id="inner" until={false} maxIterations={5}>
            <Task id="i" output={outputs.n}>
              {1}
            </Task>
          </Loop>
          <Task id="o" output={outputs.draft}>
            {{ text: `got ${ctx.outputMaybe("n", { nodeId: "i" })}` }}
          </Task>
        </Loop>
      </Workflow>
    ))
    const said = (options: { readonly outputs: Record<string, unknown>; readonly loops?: Record<string, number> }) =>
      renderPlan(nested, { input: {}, ...options }).tasks[1]?.content
    expect(said({ outputs: { i: 7 } })).toEqual({ text: "got 7" })
    expect(said({ outputs: { "i/2": 9 } })).toEqual({ text: "got 9" })
    expect(said({ outputs: { i: 7 }, loops: { outer: 2 } })).toEqual({ text: "got 7" })
    expect(() => renderPlan(rounds, { input: {}, outputs: { "publish/3": 1, draft: { text: "late" } } })).toThrow(/in no loop/)
  })

  it("reports what a second drawing of the same state draws differently", () => {
    let draws = 0
    const impure = smithers(() => {
      draws++
      return (
        <Workflow name="impure">
          <Parallel>
            <Task id="clock" output={outputs.n}>
              {draws}
            </Task>
            <Task id={`new-${draws}`} output={outputs.n}>
              {1}
            </Task>
          </Parallel>
        </Workflow>
      )
    })
    expect(renderPlan(impure, { input: {} }).impurities).toEqual([])
    const { impurities } = renderPlan(impure, { input: {}, checkPurity: true })
    expect(impurities).toEqual([
      'task "new-2" is only there the first time',
      'task "new-3" is only there the second time',
      'task "clock" says 2, and then 3',
    ])
    expect(renderPlan(rounds, { input: {}, checkPurity: true }).impurities).toEqual([])
    let limit = 0
    const limits = smithers(() => (
      <Workflow name="limits">
        <Task id="a" output={outputs.n} timeoutMs={++limit}>
          {1}
        </Task>
      </Workflow>
    ))
    expect(renderPlan(limits, { input: {}, checkPurity: true }).impurities).toEqual([
      expect.stringMatching(/^the plan has .*"timeoutMs":1.*, and then .*"timeoutMs":2/),
    ])
  })

  it("lists the outputs that were read and are not there", () => {
    const reads = smithers((ctx) => (
      <Workflow name="reads">
        <Task id="a" output={outputs.n}>
          {ctx.output(outputs.review, { nodeId: "b" }).approved ? 1 : 2}
        </Task>
      </Workflow>
    ))
    expect(renderPlan(reads, { input: {} }).pending).toEqual([{ nodeId: "b", table: "review" }])
  })
})
