/** The same call once more, after a workflow of components was edited. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createSmithers, Parallel, Smithers } from "smithers-orchestrator"
import { describe } from "vitest"
import { z } from "zod"

const stores = {
  memory: () => Smithers.memory,
  sqlite: () => Smithers.sqlite({ filename: ":memory:" }),
}

const Dated = Schema.Struct({ at: Schema.Date })
const one = createSmithers({ dated: Dated, note: z.string() }, { input: z.object({ a: z.string() }) })
const other = createSmithers(
  { dated: Dated, note: z.string() },
  { input: z.object({ a: z.string(), n: z.string().default(() => `${Math.random()}`) }) },
)
const date = new Date("2020-01-01T00:00:00.000Z")

describe.each(Object.entries(stores))("a finished run that is asked again, on %s,", (_, store) => {
  const onStore = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) => Effect.provide(effect, store())

  it.effect("answers without being drawn, whatever its render and its input have become", () =>
    onStore(
      Effect.gen(function* () {
        const before = one.smithers(() => (
          <one.Workflow name="w">
            <Parallel>
              <one.Task id="dated" output="dated">
                {() => ({ at: date })}
              </one.Task>
            </Parallel>
            <one.Task id="last" output="dated">
              {(ctx) => ctx.output("dated", { nodeId: "dated" })}
            </one.Task>
          </one.Workflow>
        ))
        expect(yield* before.execute({ a: "x" }, { runId: "r" })).toEqual({ at: date })
        const seen: Array<unknown> = []
        const after = other.smithers((ctx) => {
          seen.push(ctx.input.a)
          if (ctx.input.a === "x") throw new Error("it was drawn")
          return (
            <other.Workflow name="w">
              <other.Task id="new" output="note">
                new
              </other.Task>
            </other.Workflow>
          )
        })
        expect(yield* after.execute({ a: "x" }, { runId: "r" })).toEqual({ at: date })
        expect(yield* after.run({ a: "x" }, { runId: "r" })).toMatchObject({ status: "finished", output: { at: date } })
        // Without an input it was drawn to learn its name.
        expect(seen).not.toContain("x")
        expect(yield* Effect.flip(after.execute({ a: "x" }, { runId: "another" }))).toMatchObject({ _tag: "RenderFailed" })
      }),
    ),
  )

  it.effect("is refused where it is a run of another workflow", () =>
    onStore(
      Effect.gen(function* () {
        const named = (name: string) =>
          one.smithers(() => (
            <one.Workflow name={name}>
              <one.Task id="note" output="note">
                text
              </one.Task>
            </one.Workflow>
          ))
        expect(yield* named("w").execute({ a: "x" }, { runId: "r" })).toBe("text")
        expect(yield* Effect.flip(named("v").execute({ a: "x" }, { runId: "r" }))).toMatchObject({ _tag: "WorkflowMismatch" })
      }),
    ),
  )
})
