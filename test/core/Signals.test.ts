/** The ids of signals and of other commands: unique per run, whatever texts they are made of; on every store. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { SignalIdTaken } from "@smithers/core/Errors"
import * as RunRequest from "@smithers/core/RunRequest"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { processOn, runningOn, stores, Text, workflow } from "./Flows.ts"

/** Waits for two signals named `paid`, one after another. */
const paying = workflow(($) =>
  $.sequence($.signal("first", { name: "paid", payload: Text }), $.signal("second", { name: "paid", payload: Text })),
)

const paid = { payload: "10 EUR", correlation: "a:b", id: "42:evt1" }

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("ids of runs and of signals that read alike when they are joined are not mixed up", () =>
    on(
      Effect.gen(function* () {
        for (const runId of ["order", "order:42"]) yield* paying.run({}, { runId })
        yield* Commands.signal("order", "paid", { id: "42:evt1", payload: "one" })
        yield* Commands.signal("order:42", "paid", { id: "evt1", payload: "two" })
        for (const runId of ["order", "order:42"]) {
          const { status, ...rest } = yield* paying.run({}, { runId })
          expect([status, "waits" in rest && rest.waits.map(({ nodeId }) => nodeId)]).toEqual(["waiting-event", ["second"]])
        }
        const storage = yield* Storage
        const outputs = yield* Effect.forEach(["order", "order:42"], (runId) =>
          Effect.map(storage.load(runId), (state) => JSON.stringify(state).includes(runId === "order" ? '"one"' : '"two"')),
        )
        expect(outputs).toEqual([true, true])
      }),
    ),
  )

  it.effect("the same id in two runs is the id of two signals", () =>
    on(
      Effect.gen(function* () {
        const storage = yield* Storage
        for (const runId of ["a", "b"]) {
          yield* paying.run({}, { runId })
          yield* Commands.signal(runId, "paid", { id: "evt", payload: runId })
        }
        for (const runId of ["a", "b"]) {
          yield* paying.run({}, { runId })
          const received = (yield* storage.events(runId)).map(({ event }) => event).filter(({ _tag }) => _tag === "SignalReceived")
          expect(received).toEqual([{ _tag: "SignalReceived", id: "evt", name: "paid", payload: runId, submittedAt: 0 }])
        }
      }),
    ),
  )

  it.effect.prop(
    "signals of one run that differ in their ids are all kept, whatever the ids hold",
    { ids: FastCheck.uniqueArray(FastCheck.string({ unit: FastCheck.constantFrom(":", '"', ",", "\\", "a", "[", "\ud83d") })) },
    ({ ids }) =>
      on(
        Effect.gen(function* () {
          const storage = yield* Storage
          yield* paying.run({}, { runId: "r" })
          for (const id of ids) yield* Commands.signal("r", "other", { id })
          yield* Commands.pause("r")
          yield* paying.run({}, { runId: "r" })
          expect((yield* storage.load("r")).signals).toHaveLength(ids.length)
        }),
      ),
    { fastCheck: { numRuns: 20 } },
  )

  it.effect("decisions about nodes whose ids and iterations read alike are not mixed up", () =>
    on(
      Effect.gen(function* () {
        const ask = (id: string) => ({ request: () => ({ title: id }) })
        const asking = workflow(($) => $.parallel($.approval("a", ask("a")), $.approval("a:0", ask("a:0"))))
        yield* asking.run({}, { runId: "r" })
        yield* asking.run({}, { runId: "r:a" })
        yield* Commands.approve("r", "a")
        yield* Commands.approve("r:a", "a")
        yield* Commands.deny("r", "a:0").pipe(Effect.flatMap(() => Effect.flip(Commands.approve("r", "a:0"))))
        const storage = yield* Storage
        expect((yield* storage.waits({ runId: "r" })).map(({ isAnswered }) => isAnswered)).toEqual([true, true])
        expect((yield* storage.waits({ runId: "r:a" })).map(({ isAnswered }) => isAnswered)).toEqual([true, false])
      }),
    ),
  )

  it.effect("another signal under an id that is taken is refused, and the very same one is not", () =>
    on(
      Effect.gen(function* () {
        yield* paying.run({}, { runId: "r" })
        yield* Commands.signal("r", "paid", paid)
        const taken = new SignalIdTaken({ runId: "r", id: "42:evt1", signal: "paid", correlation: "a:b" })
        const others = [
          Commands.signal("r", "refunded", paid),
          Commands.signal("r", "paid", { ...paid, payload: "11 EUR" }),
          Commands.signal("r", "paid", { ...paid, payload: undefined }),
          Commands.signal("r", "paid", { ...paid, correlation: "a" }),
          Commands.signal("r", "paid", { payload: paid.payload, id: paid.id }),
          Smithers.signalWithStart(paying, {}, { runId: "r", signal: "paid", ...paid, payload: null }),
        ]
        const refused = Effect.forEach(others, (other) => Effect.flip<unknown, unknown, Smithers.Runtime>(other))
        expect(yield* refused).toEqual(others.map(() => taken))
        yield* Commands.signal("r", "paid", paid)
        // Once a frame has taken care of it.
        yield* Commands.pause("r")
        yield* paying.run({}, { runId: "r" })
        expect(yield* refused).toEqual(others.map(() => taken))
        yield* Commands.signal("r", "paid", paid)
        const storage = yield* Storage
        expect((yield* storage.load("r")).signals.map(({ id }) => id)).toEqual(["42:evt1"])
        // Also once the run has ended.
        yield* Commands.cancel("r")
        yield* paying.run({}, { runId: "r" })
        expect(yield* refused).toEqual(others.map(() => taken))
        yield* Commands.signal("r", "paid", paid)
      }),
    ),
  )

  it.effect("what a signal carries is compared as JSON, whatever the order of its keys", () =>
    on(
      Effect.gen(function* () {
        yield* paying.run({}, { runId: "r" })
        yield* Commands.signal("r", "paid", { id: "1", payload: { a: 1, b: [-0, { c: null, d: undefined }] } })
        yield* Commands.signal("r", "paid", { id: "1", payload: { b: [0, { c: null }], a: 1 } })
        const error = yield* Effect.flip(Commands.signal("r", "paid", { id: "1", payload: { a: 1, b: [0, {}] } }))
        expect(error._tag).toBe("SignalIdTaken")
      }),
    ),
  )

  it.effect("a sender that comes back after a crash sends the same signal without harm, and is refused another", () =>
    Effect.provide(
      Effect.gen(function* () {
        const storage = yield* Storage
        const crashed = yield* processOn(storage)
        const create = { workflow: "w", version: undefined, input: {}, tags: [] }
        const request = RunRequest.start("r", create)
        yield* crashed.engine.joinUntilIdle(paying.definition, request)
        yield* Commands.signal("r", "paid", paid)
        yield* crashed.stop
        const { engine, stop } = yield* processOn(storage)
        yield* Commands.signal("r", "paid", paid)
        expect((yield* Effect.flip(Commands.signal("r", "paid", { ...paid, payload: "other" })))._tag).toBe("SignalIdTaken")
        yield* engine.joinUntilIdle(paying.definition, request)
        yield* Commands.signal("r", "paid", paid)
        expect((yield* storage.load("r")).signals).toHaveLength(1)
        yield* stop
      }),
      store,
    ),
  )
})

it("the error names what stands under the id", () => {
  const { message } = new SignalIdTaken({ runId: "r", id: "evt", signal: "paid", correlation: "a" })
  expect(message).toBe(
    'The id "evt" is taken in run "r" by another signal: "paid" with the correlation "a". A signal that differs in name, payload or correlation needs an id of its own.',
  )
  expect(Schema.is(SignalIdTaken)(new SignalIdTaken({ runId: "r", id: "evt", signal: "paid" }))).toBe(true)
})
