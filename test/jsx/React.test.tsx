/** What of React works in a workflow, what has no effect, and what cannot be, each with an error that says so. */
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as React from "react"
import { createSmithers, type JsxWorkflow, type RenderOptions, renderPlan, Smithers } from "smithers-orchestrator"
import { describe, expect, it } from "vitest"
import { z } from "zod"

const {
  Workflow,
  Task,
  Sequence,
  Loop,
  smithers: typed,
  outputs,
  useCtx,
} = createSmithers({ note: z.string(), number: z.number() }, { input: z.object({ flag: z.boolean().default(false) }) })

const Note = ({ id, text = "" }: { id: string; text?: React.ReactNode }) => (
  <Task id={id} output={outputs.note}>
    {`${text}`}
  </Task>
)

/** A workflow of these children. */
const workflowOf = (draw: () => React.ReactNode) => typed(() => <Workflow name="w">{draw()}</Workflow>)

/** The tasks of a plan, with what is in them. */
const planOf = (draw: () => React.ReactNode, options: RenderOptions = {}) => shown(workflowOf(draw), options)

const shown = (workflow: JsxWorkflow<never, unknown> | JsxWorkflow<unknown, unknown>, options: RenderOptions = {}) =>
  renderPlan(workflow as JsxWorkflow<unknown, unknown>, { input: {}, ...options }).tasks.map(({ id, content }) => `${id}: ${content}`)

/** Runs a workflow to its end, and gives what its tasks gave. */
const run = async <I, A>(workflow: JsxWorkflow<I, A>, input: I) =>
  Effect.gen(function* () {
    yield* workflow.execute(input, { runId: "run" } as const) as Effect.Effect<unknown, unknown, Smithers.Runtime>
    const { values } = yield* Effect.flatMap(Storage, (storage) => storage.load("run")) as never
    return values
  }).pipe(Effect.provide(Smithers.memory), Effect.runPromise as never)

const failureOf = (act: () => unknown) => {
  try {
    act()
  } catch (thrown) {
    return thrown as Error & { readonly _tag: string; readonly problem: string; readonly where?: string }
  }
  throw new Error("it did not fail")
}
