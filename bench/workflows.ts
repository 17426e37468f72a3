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

const Count = Schema.Struct({ count: Schema.Number })

/** A step that says that it has begun, in each pass, item or child run of a long run. */
type Noted = () => void

/** `count` races one after another, of a step and a signal that never comes. */
export const races = (count: number, onStep: Noted) =>
  Smithers.createWorkflow({ name: "races", input: Count }).build(($) =>
    $.loop({
      id: "loop",
      maxIterations: count,
      until: () => false,
      body: $.race({
        step: $.step("step", {
          output: Output,
          run: ({ iteration }) => {
            onStep()
            return { index: iteration }
          },
        }),
        never: $.signal("never", { name: "never", payload: Schema.Void }),
      }),
    }),
  )

/** A list of `count` items, of which four are begun and not over at once. */
export const items = (count: number, onStep: Noted) =>
  Smithers.createWorkflow({ name: "items", input: Count }).build(($) =>
    $.map({
      id: "list",
      maxItems: Number.POSITIVE_INFINITY,
      items: () => Array.from({ length: count }, (_, index) => index),
      maxConcurrency: 4,
      body: (item) =>
        $.step("step", {
          needs: { item },
          output: Output,
          run: ({ item }) => {
            onStep()
            return { index: item }
          },
        }),
    }),
  )

/** A list of `count` items that are child runs of a step each, as many at work as the run has slots. */
export const childItems = (count: number, onStep: Noted) => {
  const child = Smithers.createWorkflow({ name: "child", input: Output }).build(($) =>
    $.step("step", {
      output: Output,
      run: ({ input }) => {
        onStep()
        return input
      },
    }),
  )
  return Smithers.createWorkflow({ name: "child-items", input: Count }).build(($) =>
    $.map({
      id: "list",
      maxItems: Number.POSITIVE_INFINITY,
      items: () => Array.from({ length: count }, (_, index) => index),
      body: (item) => $.subflow("child", { needs: { item }, workflow: child, input: ({ item }) => ({ index: item }) }),
    }),
  )
}

/** Runs a workflow `runs` times at once. */
export const many = (runs: number, steps: number) => {
  const workflow = sequential(steps)
  return Effect.forEach(Array.from({ length: runs }), () => workflow.execute({ count: steps }), { concurrency: "unbounded" })
}

/** What a run that is told something is told: by a person, or by a program. */
export type Told = "approval" | "signal"

/** Waits to be told, then runs a step, which says when it begins. */
export const told = (by: Told, onGoOn: (index: number) => void = () => {}) =>
  Smithers.createWorkflow({ name: `told-${by}`, input: Output }).build(($) =>
    $.sequence(
      by === "approval"
        ? $.approval("news", { request: ({ input }) => ({ title: "Go on?", index: input.index }) })
        : $.signal("news", { name: "news", payload: Schema.Void }),
      $.step("after", {
        output: Output,
        run: ({ input }) => {
          onGoOn(input.index)
          return input
        },
      }),
    ),
  )

const At = Schema.Struct({ at: Schema.Number })

/** Waits for a time. */
export const napping = Smithers.createWorkflow({ name: "napping", input: At }).build(($) =>
  $.timer("nap", { until: ({ input }) => input.at }),
)

/** Waits for a time in `count` places at once. */
export const alarms = (count: number) =>
  Smithers.createWorkflow({ name: "alarms", input: At }).build(($) =>
    $.parallel(...Array.from({ length: count }, (_, index) => $.timer(`alarm-${index}`, { until: ({ input }) => input.at }))),
  )

/** A loop that waits between its passes, for `everyMs` each; with a step that looks, or of the timer alone. */
export const polling = (body: "timer" | "step and timer", everyMs: number) =>
  Smithers.createWorkflow({
    name: body === "timer" ? "ticking" : "polling",
    input: Schema.Struct({ passes: Schema.Number }),
  }).build(($) => {
    const tick = $.timer("tick", { duration: everyMs })
    return $.loop({
      id: "poll",
      maxIterations: Infinity,
      body:
        body === "timer"
          ? tick
          : $.sequence($.step("look", { output: Output, run: ({ iteration }) => ({ index: iteration }) }), tick),
      until: ({ input, iteration }) => iteration === input.passes,
    })
  })
