/** The slots of a run, which its attempts and its attached child runs at work hold; on every store. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Engine from "@smithers/core/Engine"
import { RenderFailed } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { runId, sweep } from "./Deaths.ts"
import { type Builder, processOn, runningOn, stores, Text, workflow } from "./Flows.ts"
import { passing, rest, settled } from "./Time.ts"

const Input = Schema.Struct({})
const input = () => ({})

/** Says what is at work at once, a second long each. */
const counter = () => {
  const began: Array<string> = []
  let [now, most] = [0, 0]
  const work = (name: string) =>
    Effect.gen(function* () {
      began.push(name)
      most = Math.max(most, ++now)
      yield* Effect.ensuring(
        Effect.sleep("1 second"),
        Effect.sync(() => now--),
      )
      return name
    })
  const step = ($: Builder, id: string) => $.step(id, { output: Text, run: () => work(id) })
  const child = workflow(($) => $.step("work", { output: Text, run: ({ runId }) => work(runId) }), "child")
  return { began, step, child, most: () => most }
}

/** A workflow with a limit. */
const limited = (maxConcurrency: number, build: ($: Builder) => Smithers.Node<unknown>, name = "w") =>
  Smithers.createWorkflow({ name, input: Input, maxConcurrency }).build(build)

const ids = (count: number, prefix: string) => Array.from({ length: count }, (_, index) => `${prefix}${index}`)

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("attached child runs at work hold slots of their run, and begin in document order with its steps", () =>
    on(
      Effect.gen(function* () {
        const { began, step, child, most } = counter()
        const w = limited(2, ($) =>
          $.parallel(...ids(4, "n").flatMap((id) => [step($, id), $.subflow(`s${id}`, { workflow: child, input })])),
        )
        yield* passing("10 seconds", w.execute({}, { runId: "r" }))
        expect(most()).toBe(2)
        expect(began).toEqual(ids(4, "n").flatMap((id) => [id, `r~s${id}~0`]))
      }),
    ),
  )

  it.effect("detached child runs hold none", () =>
    on(
      Effect.gen(function* () {
        const { began, step, child } = counter()
        const detached = ids(5, "d")
        const w = limited(1, ($) =>
          $.parallel(step($, "step"), ...detached.map((id) => $.subflow(id, { workflow: child, input, attach: false }))),
        )
        const fiber = yield* Effect.fork(w.execute({}, { runId: "r" }))
        yield* rest
        expect([...began].sort()).toEqual([...detached.map((id) => `r~${id}~0`), "step"])
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(fiber)
      }),
    ),
  )

  it.effect("a child run that waits for a person, a signal or a time gives its slot back, and goes on without asking for one", () =>
    on(
      Effect.gen(function* () {
        const { began, step, child } = counter()
        const asking = workflow(
          ($) => $.sequence($.approval("ask", { request: { title: "?" } }), $.subflow("deeper", { workflow: child, input })),
          "asking",
        )
        const hearing = workflow(($) => $.signal("hear", { name: "go", payload: Text }), "hearing")
        const sleeping = workflow(($) => $.timer("nap", { duration: "1 day" }), "sleeping")
        const w = limited(1, ($) =>
          $.parallel(
            $.subflow("asks", { workflow: asking, input }),
            $.subflow("hears", { workflow: hearing, input }),
            $.subflow("sleeps", { workflow: sleeping, input }),
            step($, "a"),
            step($, "b"),
          ),
        )
        const run = yield* w.start({}, { runId: "r" })
        yield* rest
        const open = yield* (yield* Storage).waits({ runId: "r~asks~0" })
        expect(open).toMatchObject([{ nodeId: "ask" }])
        // Its parent is at work.
        yield* Commands.approve("r~asks~0", "ask")
        yield* rest
        expect(began).toEqual(["a", "r~asks~0~deeper~0"])
        yield* TestClock.adjust("1 second")
        expect(began).toEqual(["a", "r~asks~0~deeper~0", "b"])
        yield* TestClock.adjust("1 day")
        yield* Commands.signal("r~hears~0", "go", { payload: "on" })
        expect(yield* run.await).toEqual(["r~asks~0~deeper~0", "on", undefined, "a", "b"])
      }),
    ),
  )

  it.effect("a run whose only slot is its child's goes on where that waits for what the run has still to begin", () =>
    on(
      Effect.gen(function* () {
        const hearing = workflow(($) => $.signal("hear", { name: "go", payload: Text }), "hearing")
        const context = yield* Effect.context<Smithers.Runtime>()
        const say = Effect.provide(Commands.signal("r~hears~0", "go", { payload: "now" }), context)
        const w = limited(1, ($) =>
          $.parallel(
            $.subflow("hears", { workflow: hearing, input }),
            $.step("says", { output: Text, run: () => Effect.as(Effect.orDie(say), "said") }),
          ),
        )
        expect(yield* w.execute({}, { runId: "r" })).toEqual(["now", "said"])
      }),
    ),
  )

  it.effect("a workflow that starts itself twice in each run ends with a limit of one", () =>
    on(
      Effect.gen(function* () {
        const Depth = Schema.Struct({ n: Schema.Number })
        const most = new Map<string, number>()
        let ran = 0
        const Walk: Smithers.Workflow<typeof Depth.Type, unknown> = Smithers.createWorkflow({
          name: "walk",
          input: Depth,
          maxConcurrency: 1,
        }).build(($) => {
          const here = (id: string) =>
            $.step(id, {
              output: Schema.Number,
              run: ({ runId }) => {
                ran++
                most.set(runId, (most.get(runId) ?? 0) + 1)
                return ran
              },
            })
          const deeper = (id: string) => $.subflow(id, { workflow: () => Walk, input: ({ input }) => ({ n: input.n - 1 }) })
          const further = $.parallel(deeper("left"), here("between"), deeper("right"))
          return $.sequence(here("here"), $.branch({ when: ({ input }) => input.n > 0, then: further }))
        })
        yield* Walk.execute({ n: 3 }, { runId: "r" })
        expect(ran).toBe(7 * 2 + 8)
        expect(most.size).toBe(15)
      }),
    ),
  )

  it.effect("a paused run begins no child run that waits for a slot, and a cancelled one never does", () =>
    on(
      Effect.gen(function* () {
        const { began, child } = counter()
        const w = limited(1, ($) => $.parallel(...ids(3, "s").map((id) => $.subflow(id, { workflow: child, input }))))
        const run = yield* w.start({}, { runId: "r" })
        yield* rest
        yield* Commands.pause("r")
        yield* TestClock.adjust("1 hour")
        expect(began).toEqual(["r~s0~0"])
        yield* Commands.unpause("r")
        yield* TestClock.adjust("500 millis")
        expect(began).toEqual(["r~s0~0", "r~s1~0"])
        yield* run.cancel()
        yield* TestClock.adjust("1 hour")
        expect((yield* run.result).status).toBe("cancelled")
        expect(began).toEqual(["r~s0~0", "r~s1~0"])
        expect((yield* (yield* Storage).runs({ parent: "r" })).map(({ status }) => status).sort()).toEqual([
          "cancelled",
          "finished",
        ])
      }),
    ),
  )

  it.effect("a child run that cannot be worked on holds no slot", () =>
    on(
      Effect.gen(function* () {
        const { began, step, child } = counter()
        const broken = {
          ...child,
          definition: {
            ...child.definition,
            planner: () => ({
              ...child.definition.planner(),
              plan: () => Either.left(new RenderFailed({ workflow: "child", problem: "it does not load" })),
            }),
          },
        }
        const w = limited(1, ($) => $.parallel($.subflow("sub", { workflow: broken, input }), step($, "a"), step($, "b")))
        const refused = yield* passing("10 seconds", Effect.flip(w.execute({}, { runId: "r" })))
        expect(refused).toMatchObject({ _tag: "RenderFailed", workflow: "child" })
        expect(began).toEqual(["a", "b"])
      }),
    ),
  )

  it.effect("two supervisors keep to the limit of a run over its child runs", () =>
    on(
      Effect.gen(function* () {
        const storage = yield* Storage
        const { began, step, child, most } = counter()
        const w = limited(2, ($) =>
          $.parallel(
            ...ids(4, "s").map((id) => $.subflow(id, { workflow: child, input })),
            ...ids(2, "n").map((id) => step($, id)),
          ),
        )
        yield* storage.deliverOrCreate(
          { id: "s", runId: "r", at: Millis.make(0), command: { _tag: "Signal", name: "begin" } },
          { workflow: "w", version: undefined, input: {}, tags: [] },
        )
        const processes = [yield* processOn(storage), yield* processOn(storage)]
        for (const { engine, scope } of processes)
          yield* Supervisor.make({ registry: Supervisor.registry([w, child]), interval: "1 day", maxConcurrent: 1 }).pipe(
            Effect.provideService(Engine.Engine, engine),
            Scope.extend(scope),
          )
        const isOver = Effect.map(storage.run("r"), ({ run }) => run.status === "finished")
        for (let second = 0; second < 10 && !(yield* isOver); second++) {
          yield* rest
          yield* TestClock.adjust("1 second")
        }
        yield* settled("the family has ended", () => isOver)
        expect([...began].sort()).toEqual(["n0", "n1", ...ids(4, "s").map((id) => `r~${id}~0`)])
        expect(most()).toBe(2)
        for (const { stop } of processes) yield* stop
      }),
    ),
  )
})

it.live("a run whose process dies at any commit keeps to its limit over child runs, and ends as an undisturbed one", () =>
  Effect.gen(function* () {
    let [now, most] = [0, 0]
    const child = workflow(
      ($) =>
        $.step("work", {
          output: Text,
          run: ({ runId }) =>
            Effect.gen(function* () {
              most = Math.max(most, ++now)
              yield* Effect.ensuring(
                Effect.yieldNow(),
                Effect.sync(() => now--),
              )
              return runId
            }),
        }),
      "child",
    )
    const w = limited(1, ($) =>
      $.sequence(
        $.parallel(...ids(2, "s").map((id) => $.subflow(id, { workflow: child, input }))),
        $.step("after", { output: Text, run: () => "after" }),
      ),
    )
    const { calm, disturbed } = yield* sweep({ run: w.run({}, { runId }) })
    expect(calm.result).toMatchObject({ status: "finished", output: "after" })
    expect(disturbed.length).toBeGreaterThan(6)
    for (const { at, end } of disturbed) expect({ at, end }).toEqual({ at, end: calm })
    expect(most).toBe(1)
  }),
)
