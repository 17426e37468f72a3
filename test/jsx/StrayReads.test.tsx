/**
 * Reads of tasks that are not there, and never were: what the end of a run says of them.
 */
import { describe, expect, it } from "@effect/vitest"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { createSmithers, Loop, Parallel, renderPlan, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs, useCtx } = createSmithers({
  verdict: z.object({ ok: z.boolean() }),
  text: z.string(),
  never: z.string(),
})
type Drawing = Parameters<typeof smithers>[0]

const stores = {
  memory: () => Smithers.memory,
  sqlite: () => Smithers.sqlite({ filename: ":memory:" }),
}

const review = (
  <Task id="review" output={outputs.verdict}>
    {{ ok: true }}
  </Task>
)

describe.each(Object.entries(stores))("the end of a run, kept on %s, names what was read in vain", (_, store) => {
  const ended = (draw: Drawing) =>
    Effect.gen(function* () {
      const workflow = smithers(draw)
      const result = yield* workflow.run({}, { runId: "r" })
      const again = yield* workflow.run({}, { runId: "r" })
      const details = yield* Effect.flatMap(Storage, (storage) => storage.inspect("r"))
      const of = (one: object) => ("strayReads" in one ? one.strayReads : undefined)
      expect(of(again)).toEqual(of(result))
      expect(details.strayReads).toEqual(of(result))
      return { tag: result.status, strays: of(result) }
    }).pipe(Effect.provide(store()))

  it.effect("a loop's condition, with the id that was probably meant", () =>
    Effect.gen(function* () {
      const draw: Drawing = (ctx) => (
        <Workflow name="w">
          <Loop id="l" until={ctx.latest(outputs.verdict, "reveiw")?.ok} maxIterations={2}>
            {review}
          </Loop>
        </Workflow>
      )
      const strays = [{ nodeId: "reveiw", output: "verdict", suggestion: "review" }]
      expect(yield* ended(draw)).toEqual({ tag: "finished", strays })
    }),
  )

  it.effect("a function of a task, and an output that nothing gives; of a run that fails as well", () =>
    Effect.gen(function* () {
      const draw: Drawing = () => (
        <Workflow name="w">
          {review}
          <Task id="say" output={outputs.text}>
            {(ctx) => `${ctx.outputMaybe(outputs.verdict, { nodeId: "Review " })?.ok} ${ctx.outputMaybe(outputs.never)}`}
          </Task>
          <Task id="fails" noRetry>
            {() => Promise.reject(new Error("no"))}
          </Task>
        </Workflow>
      )
      const strays = [{ nodeId: "Review ", output: "verdict", suggestion: "review" }, { output: "never" }]
      expect(yield* ended(draw)).toEqual({ tag: "failed", strays })
    }),
  )

  it.effect("and nothing that came later, was left out, or has gone again", () =>
    Effect.gen(function* () {
      const Late = () => {
        const ctx = useCtx()
        const verdict = ctx.outputMaybe(outputs.verdict, { nodeId: "review" })
        const late = ctx.outputMaybe(outputs.text, { nodeId: "late" })
        return (
          <Parallel>
            {verdict === undefined || late !== undefined ? null : (
              <Task id="late" output={outputs.text}>
                x
              </Task>
            )}
          </Parallel>
        )
      }
      const draw: Drawing = (ctx) => (
        <Workflow name="w">
          {review}
          <Task id="left-out" output={outputs.never} skipIf={true}>
            x
          </Task>
          <Late />
          <Task id="say" output={outputs.text}>
            {(own) => `${ctx.runId}${own.outputMaybe(outputs.never)} ${own.latest(outputs.text, "late")}`}
          </Task>
        </Workflow>
      )
      expect(yield* ended(draw)).toEqual({ tag: "finished", strays: undefined })
    }),
  )
})

it.effect("the log says so too, once", () =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => lines.push(String(message)))
    const workflow = smithers((ctx) => (
      <Workflow name="w">
        {review}
        {ctx.latest(outputs.verdict, "reviews")?.ok ? review : null}
      </Workflow>
    ))
    yield* workflow
      .run({}, { runId: "r" })
      .pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)), Effect.provide(Smithers.memory))
    expect(lines.filter((line) => line.includes("reviews"))).toEqual([
      'Run "r": the output "verdict" of "reviews" was read, and no task of the run has that id: did you mean "review"?',
    ])
  }),
)

describe("a plan without a run warns of an id that is nearly that of a task", () => {
  const warnings = (draw: Drawing) => renderPlan(smithers(draw), { input: {}, checkPurity: true }).warnings

  it("in a component, with its place, and in a function", () => {
    const Rounds = () => {
      const ctx = useCtx()
      return (
        <Loop id="l" until={ctx.latest(outputs.verdict, "reveiw")?.ok} maxIterations={2}>
          {review}
        </Loop>
      )
    }
    expect(warnings(() => <Workflow name="w">{<Rounds />}</Workflow>)).toEqual([
      'a component (at smithers > Workflow > Rounds > Loop) reads the output "verdict" of "reveiw", which is not a task. Did you mean "review"?',
    ])
    const asked = warnings(() => (
      <Workflow name="w">
        <Loop
          id="l"
          until={(ctx) => (ctx as unknown as Parameters<Drawing>[0]).latest(outputs.verdict, "revew")?.ok}
          maxIterations={2}
        >
          {review}
        </Loop>
      </Workflow>
    ))
    expect(asked).toEqual([
      '"until" of loop "l" (at smithers > Workflow > Loop) reads the output "verdict" of "revew", which is not a task. Did you mean "review"?',
    ])
  })

  it("and not of one that may come, such as the next of a list", () => {
    const draw: Drawing = (ctx) => (
      <Workflow name="w">
        <Task id="fix-1" output={outputs.text}>
          x
        </Task>
        {ctx.outputMaybe(outputs.text, { nodeId: "fix-2" })}
        {ctx.outputMaybe(outputs.text, { nodeId: "publish" })}
      </Workflow>
    )
    expect(warnings(draw)).toEqual([])
  })
})
