/** Workflows that name themselves, or each other, as child runs. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { runId, sweep } from "./Deaths.ts"
import { runningOn, stores } from "./Flows.ts"
import { rest } from "./Time.ts"

const Depth = Schema.Struct({ n: Schema.Number })
type Depth = typeof Depth.Type

/** Goes down to depth 0, and gives what it finds there. */
const countdown = (atBottom: ($: Smithers.Builder<Depth>) => Smithers.Node<Date>) => {
  const ran: Array<number> = []
  const Walk: Smithers.Workflow<Depth, Date> = Smithers.createWorkflow({ name: "walk", input: Depth }).build(($) => {
    const here = $.step("here", {
      output: Schema.Number,
      run: ({ input }) => {
        ran.push(input.n)
        return input.n
      },
    })
    const deeper = $.subflow("deeper", { workflow: () => Walk, input: ({ input }) => ({ n: input.n - 1 }) })
    return $.sequence(here, $.branch({ when: ({ input }) => input.n > 0, then: deeper, else: atBottom($) }))
  })
  return { Walk, ran }
}
const bottom = ($: Smithers.Builder<Depth>) => $.step("bottom", { output: Schema.Date, run: () => new Date(5) })

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("a workflow may start itself, each time as a run of its own, and its decoded output comes up", () =>
    on(
      Effect.gen(function* () {
        const { Walk, ran } = countdown(bottom)
        expect(yield* Walk.execute({ n: 20 }, { runId: "r" })).toEqual(new Date(5))
        expect(ran).toEqual(Array.from({ length: 21 }, (_, index) => 20 - index))
        expect(yield* Walk.execute({ n: 20 }, { runId: "r" })).toEqual(new Date(5))
        expect(ran).toHaveLength(21)
        const storage = yield* Storage
        expect((yield* storage.run("r~deeper~0~deeper~0")).run).toMatchObject({ workflow: "walk", status: "finished" })
      }),
    ),
  )

  it.effect("a value that holds one of its own kind is decoded as far as it goes", () =>
    on(
      Effect.gen(function* () {
        interface Tree extends ReadonlyArray<Date | Tree | undefined> {}
        const Grow: Smithers.Workflow<Depth, Tree> = Smithers.createWorkflow({ name: "grow", input: Depth }).build(($) => {
          const deeper = $.subflow("deeper", { workflow: () => Grow, input: ({ input }) => ({ n: input.n - 1 }) })
          return $.parallel(
            $.step("here", { output: Schema.Date, run: ({ input }) => new Date(input.n) }),
            $.branch({ when: ({ input }) => input.n > 0, then: deeper }),
          )
        })
        expect(yield* Grow.execute({ n: 2 }, { runId: "r" })).toEqual([new Date(2), [new Date(1), [new Date(0), undefined]]])
      }),
    ),
  )

  it.effect("two workflows may start each other, one of them named at once", () =>
    on(
      Effect.gen(function* () {
        const Even: Smithers.Workflow<Depth, string> = Smithers.createWorkflow({ name: "even", input: Depth }).build(($) =>
          $.branch({
            when: ({ input }) => input.n > 0,
            then: $.subflow("odd", { workflow: () => Odd, input: ({ input }) => ({ n: input.n - 1 }) }),
            else: $.step("yes", { output: Schema.String, run: () => "even" }),
          }),
        )
        const Odd: Smithers.Workflow<Depth, string> = Smithers.createWorkflow({ name: "odd", input: Depth }).build(($) =>
          $.branch({
            when: ({ input }) => input.n > 0,
            then: $.subflow("even", { workflow: Even, input: ({ input }) => ({ n: input.n - 1 }) }),
            else: $.step("no", { output: Schema.String, run: () => "odd" }),
          }),
        )
        expect(yield* Even.execute({ n: 5 })).toBe("odd")
        expect(yield* Odd.execute({ n: 4 })).toBe("odd")
        expect(yield* Odd.execute({ n: 5 })).toBe("even")
        expect([...Smithers.registry([Even]).names].sort()).toEqual(["even", "odd"])
      }),
    ),
  )

  it.effect("what waits at the bottom is waited for by each, also in a later process, and a failure comes up", () =>
    on(
      Effect.gen(function* () {
        const { Walk, ran } = countdown(($) =>
          $.sequence($.approval("ask", { request: ({ input }) => ({ title: `At ${input.n}?` }) }), bottom($)),
        )
        expect(yield* Walk.run({ n: 3 }, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
        yield* Commands.approve("r~deeper~0~deeper~0~deeper~0", "ask")
        expect(yield* Walk.run({ n: 3 }, { runId: "r" })).toMatchObject({ status: "finished", output: new Date(5) })
        expect(ran).toEqual([3, 2, 1, 0])
        yield* Walk.run({ n: 2 }, { runId: "s" })
        yield* Commands.deny("s~deeper~0~deeper~0", "ask")
        expect(yield* Walk.run({ n: 2 }, { runId: "s" })).toMatchObject({ status: "failed", error: { nodeId: "deeper" } })
      }),
    ),
  )

  it.effect("cancelling the outermost cancels those that it stands in for", () =>
    on(
      Effect.gen(function* () {
        const { Walk } = countdown(($) => $.sequence($.timer("t", { duration: "1h" }), bottom($)))
        const fiber = yield* Effect.fork(Walk.run({ n: 2 }, { runId: "r" }))
        yield* rest
        yield* Walk.cancel("r")
        yield* Fiber.join(fiber)
        const storage = yield* Storage
        for (const id of ["r", "r~deeper~0", "r~deeper~0~deeper~0"]) expect((yield* storage.run(id)).run.status).toBe("cancelled")
      }),
    ),
  )

  it.effect("a function that names no workflow fails its node with an error that says so", () =>
    on(
      Effect.gen(function* () {
        const named = (workflow: () => unknown) =>
          Smithers.createWorkflow({ name: "none", input: Schema.Struct({}) }).build(($) =>
            $.subflow("sub", { workflow: workflow as () => Smithers.Workflow<unknown, unknown>, input: {} }),
          )
        const failed = (problem: string) => ({
          status: "failed",
          error: { nodeId: "sub", error: { name: "InvalidRequest", message: expect.stringContaining(problem) } },
        })
        const must = "and must give the result of smithers(…) or createWorkflow(…).build(…)"
        expect(yield* named(() => undefined).run({}, { runId: "a" })).toMatchObject(
          failed(`its "workflow" gave undefined, ${must}`),
        )
        expect(
          yield* named(() => {
            throw new Error("not yet")
          }).run({}, { runId: "b" }),
        ).toMatchObject(failed(`its "workflow" threw: not yet`))
        expect(() => Smithers.registry([named(() => 1)])).toThrow(`its "workflow" gave a number, ${must}`)
      }),
    ),
  )
})

it("a workflow that names itself is built, shown and registered without being walked into", () => {
  let asked = 0
  const Walk: Smithers.Workflow<Depth, Date> = Smithers.createWorkflow({ name: "walk", input: Depth }).build(($) => {
    const deeper = $.subflow("deeper", {
      workflow: () => {
        asked++
        return Walk
      },
      input: { n: 1 },
    })
    return $.branch({ when: () => false, then: deeper, else: bottom($) })
  })
  expect(asked).toBe(0)
  expect(Walk.plan.text.split("\n")[1]).toContain(`"workflow":"walk"`)
  expect(Smithers.registry([Walk]).names).toEqual(["walk"])
  expect(Walk.definition.tables.map(({ nodeId }) => nodeId)).toEqual(["deeper", "bottom"])
  expect(asked).toBeLessThan(4)
})

it.live("a workflow that starts itself ends alike whenever its process dies", () =>
  Effect.gen(function* () {
    const { Walk } = countdown(bottom)
    const { calm, disturbed } = yield* sweep({ run: Walk.run({ n: 2 }, { runId }) })
    expect(calm.result).toMatchObject({ status: "finished", output: new Date(5) })
    expect(disturbed.length).toBeGreaterThan(8)
    for (const { at, end } of disturbed) expect({ at, end: { ...end, twice: [] } }).toEqual({ at, end: { ...calm, twice: [] } })
  }),
)
