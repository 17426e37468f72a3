/** The errors of workflows of components: none is declared, and none is inferred. */
import { describe, expect, it } from "@effect/vitest"
import type { ExecuteError } from "@smithers/core/Workflow"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createSmithers, renderPlan, Smithers } from "smithers-orchestrator"

class Declined extends Schema.TaggedError<Declined>()("Declined", { amount: Schema.Number }) {}

const { Workflow, Task, smithers } = createSmithers({ paid: Schema.Struct({ text: Schema.String }) })

const Pay = smithers(() => (
  <Workflow name="pay">
    <Task id="charge" output="paid" noRetry>
      {() => Effect.fail(new Declined({ amount: 5 }))}
    </Task>
  </Workflow>
))

describe("an error of a task", () => {
  it.effect("is no typed error of execute, which fails with StepFailed and the tag as the name", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(Pay.execute({}))
      expect(failed).toMatchObject({ _tag: "StepFailed", nodeId: "charge", error: { name: "Declined" } })
      // The compiler takes the union of the errors of any run, and none besides.
      const errors: Array<ExecuteError> = [failed]
      const whole: Array<typeof failed> = errors
      expect(whole).toHaveLength(1)
    }).pipe(Effect.provide(Smithers.memory)),
  )

  it("cannot be declared: a Task has no error prop", () => {
    const Declaring = smithers(() => (
      <Workflow name="declaring">
        {/* @ts-expect-error a Task has no prop error */}
        <Task id="charge" output="paid" error={Declined}>
          {() => ({ text: "" })}
        </Task>
      </Workflow>
    ))
    expect(() => renderPlan(Declaring)).toThrow('Task "charge": it has no prop "error"')
  })
})
