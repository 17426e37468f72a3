/**
 * Plans that are deeper than a stack.
 */
import type * as React from "react"
import {
  Branch,
  createSmithers,
  Loop,
  Parallel,
  renderPlan,
  runWorkflow,
  Saga,
  Sequence,
  Smithers,
  TryCatchFinally,
} from "smithers-orchestrator"
import { expect, it } from "vitest"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({ text: z.string() })

const depth = 20_000

const leaf = (
  <Task id="leaf" output={outputs.text}>
    {() => "done"}
  </Task>
)

/** An element in as many others. */
const nested = (
  times: number,
  inner: React.ReactElement,
  wrap: (inner: React.ReactElement, index: number) => React.ReactElement,
) => {
  let element = inner
  for (let index = 0; index < times; index++) element = wrap(element, index)
  return element
}

it.each([
  ["sequences", (inner: React.ReactElement) => <Sequence>{inner}</Sequence>],
  ["groups", (inner: React.ReactElement) => <Parallel>{inner}</Parallel>],
  ["branches", (inner: React.ReactElement) => <Branch if={true} then={inner} />],
])("%s, 20,000 deep, are drawn and run", async (_, wrap) => {
  const element = nested(depth, leaf, wrap)
  const workflow = smithers((ctx) => (
    <Workflow name="deep">
      {element}
      <Task id="after" output={outputs.text}>{`after ${ctx.output(outputs.text, { nodeId: "leaf" })}`}</Task>
    </Workflow>
  ))
  const drawn = renderPlan(workflow, { input: {} })
  expect(drawn.tasks.map(({ id, isProvisional }) => [id, isProvisional])).toEqual([
    ["leaf", false],
    ["after", true],
  ])
  const result = await runWorkflow(workflow, { runtime: Smithers.memory, runId: `r${_}`, input: {} })
  expect(result).toMatchObject({ status: "finished", output: "after done" })
})

it.each([
  [
    "loops",
    (inner: React.ReactElement, index: number) => (
      <Loop id={`l${index}`} until={false} maxIterations={1}>
        {inner}
      </Loop>
    ),
  ],
  ["sagas", (inner: React.ReactElement, index: number) => <Saga id={`s${index}`}>{inner}</Saga>],
  ["tries", (inner: React.ReactElement, index: number) => <TryCatchFinally id={`t${index}`} try={inner} catch={<></>} />],
])(
  "%s, 500 deep, are drawn and run",
  async (_, wrap) => {
    const workflow = smithers(() => <Workflow name="deep">{nested(500, leaf, wrap)}</Workflow>)
    expect(renderPlan(workflow, { input: {} }).plan.size).toBeGreaterThan(500)
    const result = await runWorkflow(workflow, { runtime: Smithers.memory, runId: `r${_}`, input: {} })
    expect(result).toMatchObject({ status: "finished" })
  },
  60_000,
)
