/** The schema of a run's input, as an option or among the schemas of a workflow. */
import { expect, it } from "@effect/vitest"
import type * as Codec from "@smithers/core/Codec"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createSmithers, renderPlan, Smithers } from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"

const onMemory = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, Smithers.memory)

describe("a schema under the key input is that of the run's input", () => {
  const kinds = {
    zod: z.object({ topic: z.string().min(3).default("birds"), depth: z.number().optional() }),
    effect: Schema.Struct({
      topic: Schema.optionalWith(Schema.String.pipe(Schema.minLength(3)), { default: () => "birds" }),
      depth: Schema.optional(Schema.Number),
    }),
  }
  const about = (input: Codec.AnySchema) => {
    const { Workflow, Task, smithers, outputs } = createSmithers({ input, text: z.string() })
    const workflow = smithers(() => (
      <Workflow name="about">
        <Task id="a" output={outputs.text}>
          {(ctx) => `about ${ctx.input.topic}`}
        </Task>
      </Workflow>
    ))
    return { workflow, outputs }
  }

  it.effect.each(Object.entries(kinds))("with its defaults and checks (%s)", ([, schema]) =>
    onMemory(
      Effect.gen(function* () {
        const { workflow } = about(schema)
        expect(yield* workflow.execute({}, { runId: "r1" })).toBe("about birds")
        expect(yield* workflow.execute({ topic: "trees" }, { runId: "r2" })).toBe("about trees")
        const refused = yield* Effect.flip(workflow.execute({ topic: "x" }, { runId: "r3" }))
        expect(refused).toMatchObject({ _tag: "InvalidInput", workflow: "about" })
        expect(refused.message).toContain("topic")
        const runs = yield* (yield* Storage).runs({})
        expect(runs.map(({ runId }) => runId).toSorted()).toEqual(["r1", "r2"])
      }),
    ),
  )

  it("and no output: it has no table, and cannot be a task's", () => {
    const { workflow, outputs } = about(kinds.zod)
    expect(Object.keys(outputs)).toEqual(["text"])
    expect(workflow.definition.tables?.map(({ name }) => name)).toEqual(["text"])
    const { Workflow, Task, smithers } = createSmithers({ input: kinds.zod, text: z.string() })
    const wrong = smithers(() => (
      <Workflow name="wrong">
        {/* @ts-expect-error it is no output */}
        <Task id="a" output="input">
          x
        </Task>
      </Workflow>
    ))
    expect(() => renderPlan(wrong, { input: {} })).toThrow("its output is not a schema of this workflow (text)")
  })

  it("and may be the schema of an output as well", () => {
    const topic = z.object({ topic: z.string() })
    const { Workflow, Task, smithers, outputs } = createSmithers({ input: topic, next: topic })
    const workflow = smithers((ctx) => (
      <Workflow name="next">
        <Task id="a" output={outputs.next}>
          {{ topic: ctx.input.topic }}
        </Task>
      </Workflow>
    ))
    expect(renderPlan(workflow, { input: { topic: "birds" } }).tasks).toMatchObject([{ id: "a", content: { topic: "birds" } }])
  })

  it("and is given once, as a schema that can be stored", () => {
    const schema = z.object({ topic: z.string() })
    expect(() => createSmithers({ input: schema, text: z.string() }, { input: schema })).toThrow(
      `the schema of the input is given twice: as the key "input" of the schemas, and as the option "input". Remove one of them`,
    )
    // @ts-expect-error it is none
    expect(() => createSmithers({ input: "topic", text: z.string() })).toThrow(
      '"input" must be an Effect Schema or a Standard Schema',
    )
    expect(() => createSmithers({ input: z.object({ at: z.date() }), text: z.string() })).toThrow(
      '"input": a Date cannot be stored',
    )
  })
})
