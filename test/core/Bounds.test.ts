/** Bounds that hold by default, and that are lifted by name. */
import { expect, it } from "@effect/vitest"
import { Smithers } from "@smithers/core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { runningOn, stores, Text } from "./Flows.ts"

const Depth = Schema.Struct({ n: Schema.Number })

describe.each(stores)("on %s", (_, layer) => {
  const on = runningOn(layer)
  const failureOf = (result: { readonly status: string }): string => String(Reflect.get(result, "error"))

  /** A workflow that starts itself until a depth. */
  const walk = (end: number, maxDepth?: number) => {
    const Walk: Smithers.Workflow<{ readonly n: number }, unknown> = Smithers.createWorkflow({ name: "walk", input: Depth }).build(
      ($): Smithers.Node<unknown> => {
        const limits = maxDepth === undefined ? {} : { maxDepth }
        const again = { workflow: () => Walk, input: ({ input }: { readonly input: typeof Depth.Type }) => ({ n: input.n + 1 }) }
        return $.branch({
          when: ({ input }) => input.n < end,
          then: $.subflow("deeper", { ...again, ...limits }),
          else: $.step("end", { output: Text, run: () => "the end" }),
        })
      },
    )
    return Walk
  }

  it.effect("child runs are at most 50 deep; maxDepth lifts that by name", () =>
    on(
      Effect.gen(function* () {
        expect(yield* walk(5).execute({ n: 0 }, { runId: "few" })).toBe("the end")
        const result = yield* walk(60).run({ n: 0 }, { runId: "many" })
        expect(result.status).toBe("failed")
        // The message of the outermost is cut before it comes to the innermost.
        const failed = yield* Smithers.list({ status: ["failed"], limit: 100 })
        expect(failed).toHaveLength(51)
        const failures = yield* Effect.forEach(failed, ({ runId }) => Smithers.inspect(runId))
        const messages = failures.map(({ failure }) => String(failure))
        expect(messages.filter((message) => message.includes("its run is 50 child runs deep already")).length).toBeGreaterThan(0)
        expect(yield* walk(60, Number.POSITIVE_INFINITY).execute({ n: 0 }, { runId: "lifted" })).toBe("the end")
      }),
    ),
  )

  it.effect("a depth holds across a resume", () =>
    on(
      Effect.gen(function* () {
        const bounded = walk(3, 2)
        expect(failureOf(yield* bounded.run({ n: 0 }, { runId: "r" }))).toContain("its run is 2 child runs deep already")
        expect(yield* Effect.either(bounded.resume("r"))).toMatchObject({ _tag: "Left" })
        expect(yield* walk(3).resume("r")).toBe("the end")
      }),
    ),
  )

  it.effect("a list has at most 10,000 items; maxItems lifts and narrows that by name", () =>
    on(
      Effect.gen(function* () {
        const done: Array<number> = []
        const of = (count: number, maxItems?: number) =>
          Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
            $.map({
              id: "list",
              items: () => Array.from({ length: count }, (_, index) => index),
              body: (item) => $.step("one", { needs: { item }, output: Schema.Number, run: ({ item }) => done.push(item) }),
              ...(maxItems === undefined ? {} : { maxItems }),
            }),
          )
        expect(failureOf(yield* of(10_001).run({}, { runId: "a" }))).toContain(
          'List "list" has 10001 items, and may have 10000. Raise its "maxItems"',
        )
        expect(failureOf(yield* of(4, 3).run({}, { runId: "b" }))).toContain("TooManyItems")
        expect(done).toEqual([])
        expect(yield* of(4, 3).run({}, { runId: "b" })).toMatchObject({ status: "failed" })
        expect(yield* of(4, Number.POSITIVE_INFINITY).execute({}, { runId: "c" })).toHaveLength(4)
        expect(yield* of(4, 4).resume("b")).toHaveLength(4)
      }),
    ),
  )
})
