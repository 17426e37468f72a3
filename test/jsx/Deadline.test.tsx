/** The deadline of a workflow of components. */
import { createSmithers } from "@smithers/jsx/Workflow"
import * as Effect from "effect/Effect"
import { Smithers } from "smithers-orchestrator"
import { expect, it } from "vitest"
import * as z from "zod"

const { Workflow, Timer, Subflow, smithers } = createSmithers({}, { input: z.object({}) })

it("is a prop of Workflow, for runs and for child runs", async () => {
  const child = smithers(() => (
    <Workflow name="child" deadline="200ms">
      <Timer id="t" duration="1h" />
    </Workflow>
  ))
  const parent = smithers(() => (
    <Workflow name="parent" deadline="1h">
      <Subflow id="child" workflow={child} input={{}} />
    </Workflow>
  ))
  const [alone, inside] = await Effect.runPromise(
    Effect.all([Effect.flip(child.execute({})), Effect.flip(parent.execute({}))], { concurrency: "unbounded" }).pipe(
      Effect.provide(Smithers.memory),
    ),
  )
  expect(alone._tag).toBe("RunTimedOut")
  expect(inside).toMatchObject({ _tag: "StepFailed", nodeId: "child" })
  expect(inside.message).toContain("has reached its deadline")
})

it("is refused where it is no duration", async () => {
  const flow = smithers(() => (
    <Workflow name="w" deadline={"soon" as never}>
      <Timer id="t" duration="1ms" />
    </Workflow>
  ))
  const error = await Effect.runPromise(Effect.flip(flow.execute({})).pipe(Effect.provide(Smithers.memory)))
  expect(error.message).toContain('"deadline" "soon" is not a duration')
})
