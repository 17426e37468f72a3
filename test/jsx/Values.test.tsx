/** @jsxImportSource smithers-orchestrator */
/** Values that renders and functions of ctx are given: whoever changes one changes nothing for anybody else. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createSmithers, Smithers } from "smithers-orchestrator"
import { z } from "zod"

const Dated = Schema.Struct({ at: Schema.Date })
const { Workflow, Task, Branch, Loop, Parallel, smithers, outputs } = createSmithers(
  {
    list: z.object({ items: z.array(z.number()) }),
    dated: Dated,
    ended: Schema.Struct({ at: Schema.Date }),
    fixed: z.object({ item: z.number() }),
    text: z.string(),
  },
  { input: Schema.Struct({ at: Schema.Date, words: Schema.mutable(Schema.Array(Schema.String)) }) },
)

const input = { at: "2020-01-01T00:00:00.000Z", words: ["a", "b"] }

const onMemory = Effect.provide(Smithers.memory)

/** A value, once something was done. */
const having = <A,>(_: unknown, value: A): A => value

/** Does what is to fail or to change a copy only. */
const tryTo = (change: () => void): void => {
  try {
    change()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(TypeError)
  }
}

describe("a value of ctx that is changed", () => {
  it.effect("is the same in the next read, the next render, and the function of a task", () =>
    onMemory(
      Effect.gen(function* () {
        const seen: Array<string> = []
        const look = (
          ctx: { readonly input: { readonly at: Date; readonly words: Array<string> } },
          list?: { items: Array<number> },
          dated?: { at: Date },
        ) => {
          seen.push(JSON.stringify([ctx.input, list ?? { items: [1, 2, 3] }, dated ?? { at: "2021-01-01T00:00:00.000Z" }]))
          ctx.input.at.setFullYear(1999)
          tryTo(() => ctx.input.words.reverse())
          tryTo(() => list?.items.reverse())
          dated?.at.setFullYear(1999)
        }
        const lastly = { input: { at: new Date(input.at), words: [...input.words] } }
        const workflow = smithers((ctx) => {
          look(ctx, ctx.outputMaybe(outputs.list), ctx.outputMaybe(outputs.dated))
          look(ctx, ctx.latest(outputs.list), ctx.latest("dated"))
          return (
            <Workflow name="w">
              <Parallel>
                <Task id="list" output={outputs.list}>
                  {{ items: [1, 2, 3] }}
                </Task>
                <Task id="dated" output={outputs.dated}>
                  {() => ({ at: "2021-01-01T00:00:00.000Z" })}
                </Task>
              </Parallel>
              <Task
                id="told"
                output={outputs.text}
                deps={{ list: outputs.list, dated: outputs.dated }}
                skipIf={(ctx) => having(look(ctx, ctx.latest("list")), false)}
              >
                {({ list, dated }, ctx) => {
                  look(ctx, list, dated)
                  look(lastly, ctx.output("list"), ctx.output("dated"))
                  return "told"
                }}
              </Task>
              <Loop
                id="loop"
                until={(ctx) => having(look(ctx, ctx.output("list"), ctx.output("dated")), ctx.iterationCount("fixed", "fix") > 1)}
              >
                <Task id="fix" output={outputs.fixed}>
                  {(ctx) => {
                    look(ctx, ctx.output("list"), ctx.output("dated"))
                    return { item: 1 }
                  }}
                </Task>
              </Loop>
              <Branch
                if={ctx.outputMaybe("text") !== undefined}
                then={
                  <Task id="end" output={outputs.ended}>
                    {(ctx) => ctx.output("dated")}
                  </Task>
                }
              />
            </Workflow>
          )
        })
        const output = (yield* workflow.execute(input, { runId: "r" })) as typeof Dated.Type
        expect(output.at.toISOString()).toBe("2021-01-01T00:00:00.000Z")
        output.at.setFullYear(1999)
        expect(yield* workflow.execute(input, { runId: "r" })).toEqual({ at: new Date("2021-01-01T00:00:00.000Z") })
        expect(seen.length).toBeGreaterThan(12)
        for (const one of seen) expect(one).toBe(JSON.stringify([input, { items: [1, 2, 3] }, { at: "2021-01-01T00:00:00.000Z" }]))
      }),
    ),
  )

  it.effect("in a render fails it, where the value is frozen, and says what to do", () =>
    onMemory(
      Effect.gen(function* () {
        const workflow = smithers((ctx) => (
          <Workflow name="w">
            <Task id="list" output={outputs.list}>
              {{ items: [1, 2, 3, 4] }}
            </Task>
            <Parallel>
              {ctx
                .outputMaybe(outputs.list)
                ?.items.reverse()
                .map((item) => (
                  <Task key={item} id={`fix-${item}`} output={outputs.fixed}>
                    {{ item }}
                  </Task>
                ))}
            </Parallel>
          </Workflow>
        ))
        const failed = yield* Effect.flip(workflow.execute(input))
        expect(failed).toMatchObject({ _tag: "RenderFailed", problem: expect.stringMatching(/TypeError.*frozen.*copy/s) })
      }),
    ),
  )
})
