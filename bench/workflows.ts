/**
 * The workflows that are measured: steps that do nothing, so that what is left is the runtime.
 */
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Output = Schema.Struct({ index: Schema.Number })

/** `count` steps one after another. `onStep` is called as each begins. */
export const sequential = (count: number, onStep: (index: number) => void = () => {}) =>
  Smithers.createWorkflow({ name: "sequential", input: Schema.Struct({ count: Schema.Number }) }).build(($) =>
    $.sequence(
      ...Array.from({ length: count }, (_, index) =>
        $.step(`step-${index}`, {
          output: Output,
          run: () => {
            onStep(index)
            return { index }
          },
        }),
      ),
    ),
  )

/** `count` steps at once, as many in flight as the run allows. */
export const parallel = (count: number) =>
  Smithers.createWorkflow({ name: "parallel", input: Schema.Struct({ count: Schema.Number }) }).build(($) =>
    $.parallel(...Array.from({ length: count }, (_, index) => $.step(`step-${index}`, { output: Output, run: () => ({ index }) }))),
  )

/** Runs a workflow `runs` times at once. */
export const many = (runs: number, steps: number) => {
  const workflow = sequential(steps)
  return Effect.forEach(Array.from({ length: runs }), () => workflow.execute({ count: steps }), { concurrency: "unbounded" })
}
