/** Runs that go on as new ones: their ids, what goes with them and what stays, on every store. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Millis from "@smithers/core/Millis"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import { everywhere } from "@smithers/testing/Crashes"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { processOn, runningOn, stores } from "./Flows.ts"

const Input = Schema.Struct({ n: Schema.NumberFromString, until: Schema.Number })

/** Counts to `until`, with a run for each number. */
const counter = (ran: Array<string> = []) =>
  Smithers.createWorkflow({ name: "counter", input: Input }).build(($) => {
    const count = $.step("count", {
      output: Schema.Number,
      run: ({ input, runId }) => {
        ran.push(`${runId} ${input.n}`)
        return input.n + 1
      },
    })
    const again = $.continueAsNew("again", {
      needs: { count },
      input: ({ input, count }) => ({ n: String(count), until: input.until }),
    })
    const end = $.step("end", { needs: { count }, output: Schema.String, run: ({ count }) => `counted to ${count}` })
    return $.sequence(
      count,
      $.branch({ needs: { count }, when: ({ input, count }) => count < input.until, then: again, else: end }),
      $.step("last", { needs: { end: $.maybe(end) }, output: Schema.String, run: ({ end }) => end ?? "nothing" }),
    )
  })

/** Takes signals, each in a run of its own, until one says so. */
const inboxed = () =>
  Smithers.createWorkflow({ name: "inboxed", input: Schema.Struct({ taken: Schema.Array(Schema.String) }) }).build(($) => {
    const next = $.signal("next", { name: "item", payload: Schema.String })
    const again = $.continueAsNew("again", { needs: { next }, input: ({ input, next }) => ({ taken: [...input.taken, next] }) })
    const end = $.step("end", {
      needs: { next },
      output: Schema.Array(Schema.String),
      run: ({ input, next }) => [...input.taken, next],
    })
    return $.sequence(next, $.branch({ needs: { next }, when: ({ next }) => next !== "stop", then: again, else: end }))
  })

it.live("a crash at any moment changes nothing of three generations", () =>
  Effect.gen(function* () {
    const report = yield* everywhere(counter(), { n: "0", until: 3 })
    expect(report.commits).toBe(8)
  }),
)

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("a run goes on as new ones, each with its own input and history, and gives the output of the last", () =>
    on(
      Effect.gen(function* () {
        const ran: Array<string> = []
        const flow = counter(ran)
        expect(yield* flow.execute({ n: "0", until: 3 }, { runId: "r", tags: ["t"] })).toBe("counted to 3")
        expect(ran).toEqual(["r 0", "r~g1 1", "r~g2 2"])
        const storage = yield* Storage
        // Only the last is listed, unless the others are asked for.
        const shown = yield* storage.runs({})
        expect(shown).toMatchObject([{ runId: "r~g2", status: "finished", tags: ["t"], chain: { first: "r", generation: 2 } }])
        expect(yield* storage.runs({ status: ["continued"] })).toMatchObject([
          { runId: "r~g1", continuedAs: "r~g2", chain: { first: "r", generation: 1 } },
          { runId: "r", continuedAs: "r~g1", status: "continued" },
        ])
        expect((yield* storage.events("r")).at(-1)?.event).toEqual({ _tag: "RunContinued", successor: "r~g1" })
        expect((yield* storage.inspect("r~g1")).input).toEqual({ n: "1", until: 3 })
        expect(yield* storage.newest("r")).toBe("r~g2")
        // Asked again, by any of its ids, it answers with what is stored.
        expect(yield* flow.execute({ n: "0", until: 3 }, { runId: "r" })).toBe("counted to 3")
        expect(yield* flow.resume("r~g1")).toBe("counted to 3")
        expect(ran).toHaveLength(3)
        // Its state is what its log says.
        const state = yield* storage.load("r")
        expect(yield* storage.load("r", { seq: state.seq })).toMatchObject({ status: "continued", continuedAs: "r~g1" })
      }),
    ),
  )

  it.effect("a signal to any of the ids goes to the newest, once, and signals that nothing took go with the run", () =>
    on(
      Effect.gen(function* () {
        const flow = inboxed()
        yield* flow.run({ taken: [] }, { runId: "r" })
        for (const item of ["a", "b"]) yield* Commands.signal("r", "item", { payload: item, id: item })
        const running = yield* Effect.fork(flow.execute({ taken: [] }, { runId: "r" }))
        const storage = yield* Storage
        while ((yield* storage.newest("r")) !== "r~g2") yield* Effect.yieldNow()
        yield* Commands.signal("r", "item", { payload: "a", id: "a" })
        yield* Commands.signal("r~g1", "item", { payload: "b", id: "b" })
        yield* Commands.signal("r", "item", { payload: "stop", id: "stop" })
        expect(yield* Fiber.join(running)).toEqual(["a", "b", "stop"])
        expect((yield* storage.runs({})).map(({ runId }) => runId)).toEqual(["r~g2"])
      }),
    ),
  )

  it.effect("is cancelled, paused and joined by its first id", () =>
    on(
      Effect.gen(function* () {
        const flow = inboxed()
        yield* flow.run({ taken: [] }, { runId: "r" })
        yield* Commands.signal("r", "item", { payload: "a", id: "a" })
        expect(yield* flow.run({ taken: [] }, { runId: "r" })).toMatchObject({ status: "waiting-event", runId: "r~g1" })
        const storage = yield* Storage
        const other = yield* processOn(storage)
        const waits = yield* flow.run({ taken: [] }, { runId: "r" })
        expect(waits).toMatchObject({ status: "waiting-event", runId: "r~g1" })
        yield* Commands.pause("r")
        expect(yield* flow.run({ taken: [] }, { runId: "r" })).toMatchObject({ status: "paused", runId: "r~g1" })
        yield* Commands.unpause("r")
        yield* Commands.cancel("r", { reason: "enough" })
        const ended = yield* Effect.either(flow.resume("r"))
        expect(Either.isLeft(ended) && ended.left).toMatchObject({ _tag: "RunCancelled", runId: "r~g1", reason: "enough" })
        yield* other.stop
      }),
    ),
  )

  it.effect("two callers of different generations share one driver", () =>
    on(
      Effect.gen(function* () {
        const flow = inboxed()
        yield* flow.run({ taken: [] }, { runId: "r" })
        yield* Commands.signal("r", "item", { payload: "a", id: "a" })
        const first = yield* Effect.fork(flow.execute({ taken: [] }, { runId: "r" }))
        const storage = yield* Storage
        while ((yield* storage.newest("r")) !== "r~g1") yield* Effect.yieldNow()
        const second = yield* Effect.fork(flow.resume("r~g1"))
        const third = yield* Effect.fork(flow.execute({ taken: [] }, { runId: "r" }))
        yield* Effect.yieldNow()
        expect(yield* flow.run({ taken: [] }, { runId: "r" })).toMatchObject({ status: "waiting-event", runId: "r~g1" })
        yield* Commands.signal("r", "item", { payload: "stop" })
        for (const caller of [first, second, third]) expect(yield* Fiber.join(caller)).toEqual(["a", "stop"])
        expect((yield* storage.run("r~g1")).run.epoch).toBeLessThan(3)
      }),
    ),
  )

  it.effect("a child run that goes on as new ones gives its parent the output of the last", () =>
    on(
      Effect.gen(function* () {
        const ran: Array<string> = []
        const child = counter(ran)
        const parent = Smithers.createWorkflow({ name: "parent", input: Schema.Struct({}) }).build(($) => {
          const sub = $.subflow("sub", { workflow: child, input: { n: "0", until: 3 } })
          return $.sequence(sub, $.step("after", { needs: { sub }, output: Schema.String, run: ({ sub }) => sub ?? "nothing" }))
        })
        expect(yield* parent.execute({}, { runId: "p" })).toBe("counted to 3")
        expect(ran).toEqual(["p~sub~0 0", "p~sub~0~g1 1", "p~sub~0~g2 2"])
      }),
    ),
  )

  it.effect("what is in flight beside is cancelled, and a run that cannot undo it fails", () =>
    on(
      Effect.gen(function* () {
        const undone: Array<string> = []
        let isBroken = true
        const flow = Smithers.createWorkflow({ name: "saga", input: Schema.Struct({ n: Schema.Number }) }).build(($) => {
          const book = $.step("book", {
            output: Schema.String,
            retry: false,
            run: ({ input }) => `booked ${input.n}`,
            compensate: ({ output }) => {
              undone.push(output)
              if (isBroken) throw new Error("no")
            },
          })
          const hang = $.signal("hang", { name: "never", payload: Schema.String })
          const go = $.signal("go", { name: "go", payload: Schema.String })
          const again = $.sequence(go, $.continueAsNew("again", { input: { n: 1 } }))
          const body = $.branch({ when: ({ input }) => input.n === 0, then: $.parallel($.saga(book, hang), again) })
          return $.sequence(body, $.step("end", { output: Schema.Number, run: ({ input }) => input.n }))
        })
        for (const runId of ["r", "s"]) {
          expect(yield* flow.run({ n: 0 }, { runId })).toMatchObject({ status: "waiting-event" })
          yield* Commands.signal(runId, "go", { payload: "now" })
        }
        const failed = yield* Effect.flip(flow.resume("r"))
        expect(failed).toMatchObject({ _tag: "CompensationFailed", runId: "r" })
        const storage = yield* Storage
        expect(yield* storage.newest("r")).toBe("r")
        isBroken = false
        expect(yield* flow.resume("s")).toBe(1)
        expect(undone.at(-1)).toBe("booked 0")
        expect((yield* storage.run("s")).run.status).toBe("continued")
      }),
    ),
  )

  it.effect("is refused under the id of another run, which stays as it is", () =>
    on(
      Effect.gen(function* () {
        const storage = yield* Storage
        const create = { workflow: "other", version: undefined, input: {}, tags: [] }
        yield* storage.deliverOrCreate({ id: "x", runId: "r~g1", at: yield* Millis.now, command: { _tag: "Pause" } }, create)
        const refused = yield* Effect.flip(counter().execute({ n: "0", until: 3 }, { runId: "r" }))
        expect(refused._tag).toBe("StoreRefused")
        expect(refused.message).toContain('the run cannot go on as "r~g1", which is the id of another run')
        expect((yield* storage.run("r~g1")).run.workflow).toBe("other")
        expect((yield* storage.run("r")).run.status).not.toBe("continued")
      }),
    ),
  )
})

it.effect("no caller starts a run under an id of a later generation", () =>
  runningOn(MemoryStorage.layer)(
    Effect.gen(function* () {
      const refused = yield* Effect.flip(counter().execute({ n: "0", until: 1 }, { runId: "r~g1" }))
      expect(refused._tag).toBe("InvalidRunId")
      expect(refused.message).toContain("<run>~g<number>")
    }),
  ),
)

it("is refused inside of regions that end in an order of their own", () => {
  const make = () =>
    Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
      $.scope({ id: "s", body: $.continueAsNew("again", { input: {} }) }),
    )
  expect(make).toThrow(/inside scope "s".*only from outside of scopes, races, lists, sagas and tries/)
})
