/**
 * Events without a run, in virtual time and on both stores.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Engine from "@smithers/core/Engine"
import * as Millis from "@smithers/core/Millis"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { processOn, runningOn, stores, Text } from "./Flows.ts"
import { quiet } from "./Time.ts"

const order = Smithers.createWorkflow({ name: "order", input: Schema.Struct({ of: Schema.String }) }).build(($) => {
  const paid = $.signal("paid", { name: "payment", correlation: ({ input }) => input.of, payload: Text })
  return $.sequence(paid, $.step("ship", { needs: { paid }, output: Text, run: ({ paid }) => `shipped for ${paid}` }))
})

const paid = (id: string, of: string, payload: string) => ({ id, correlation: of, payload })

const takers = ({ takenBy }: { readonly takenBy: ReadonlyArray<{ readonly runId: string }> }) => takenBy.map(({ runId }) => runId)

for (const [name, store] of stores) {
  const on = runningOn(store)

  describe(`an event on ${name}`, () => {
    it.effect("is taken by every run that waits for its name and correlation, and by no other", () =>
      Effect.gen(function* () {
        for (const [runId, of] of [
          ["a", "x"],
          ["b", "x"],
          ["c", "y"],
        ] as const)
          yield* order.run({ of }, { runId })
        const event = yield* Smithers.publish("payment", paid("e1", "x", "7"))
        expect(takers(event).sort()).toEqual(["a", "b"])
        expect(yield* order.execute({ of: "x" }, { runId: "a" })).toBe("shipped for 7")
        expect(yield* order.execute({ of: "x" }, { runId: "b" })).toBe("shipped for 7")
        expect((yield* order.run({ of: "y" }, { runId: "c" })).status).toBe("waiting-event")
        // The same again changes nothing, and tells who took it.
        expect(takers(yield* Smithers.publish("payment", paid("e1", "x", "7"))).sort()).toEqual(["a", "b"])
        expect(yield* Effect.flip(Smithers.publish("payment", paid("e1", "x", "8")))).toMatchObject({ _tag: "EventIdTaken" })
        expect(yield* Smithers.published({ id: "e1" })).toHaveLength(1)
      }).pipe(on),
    )

    it.effect("is kept for the first wait that opens, for its time, and taken once", () =>
      Effect.gen(function* () {
        expect((yield* Smithers.publish("payment", { ...paid("e1", "x", "9"), keep: "2 hours" })).takenBy).toEqual([])
        yield* Smithers.publish("payment", { ...paid("none", "y", "0"), keep: 0 })
        yield* TestClock.adjust("1 hour")
        expect(yield* order.execute({ of: "x" }, { runId: "a" })).toBe("shipped for 9")
        expect((yield* order.run({ of: "x" }, { runId: "b" })).status).toBe("waiting-event")
        expect((yield* order.run({ of: "y" }, { runId: "c" })).status).toBe("waiting-event")
        yield* Smithers.publish("other", paid("e2", "z", "1"))
        yield* Smithers.publish("payment", { ...paid("e3", "z", "2"), keep: "1 hour" })
        yield* TestClock.adjust("1 hour")
        // Too late.
        expect((yield* order.run({ of: "z" }, { runId: "d" })).status).toBe("waiting-event")
        expect((yield* Smithers.published()).map(({ id, takenBy }) => [id, takenBy.length])).toEqual([
          ["e2", 0],
          ["e3", 0],
          ["e1", 1],
          ["none", 0],
        ])
      }).pipe(on),
    )

    it.effect("goes to the oldest of several waits that opened while nobody delivered, by whoever looks next", () =>
      Effect.gen(function* () {
        const storage = yield* Storage
        // Processes whose engines die between the frame of a wait and the look for kept events.
        const deaf: Storage["Type"] = { ...storage, deliverPublished: () => Effect.succeed(0) }
        yield* Smithers.publish("payment", paid("e1", "x", "5"))
        for (const runId of ["a", "b"]) {
          const dying = yield* processOn(deaf)
          yield* Effect.provideService(order.run({ of: "x" }, { runId }), Engine.Engine, dying.engine)
          yield* dying.stop
          yield* TestClock.adjust("1 minute")
        }
        expect(takers((yield* Smithers.published({ id: "e1" }))[0] ?? { takenBy: [] })).toEqual([])
        // A resumed run looks before it waits on.
        expect((yield* order.run({ of: "x" }, { runId: "b" })).status).toBe("waiting-event")
        expect(takers((yield* Smithers.published({ id: "e1" }))[0] ?? { takenBy: [] })).toEqual(["a"])
        expect(yield* storage.deliverPublished(Millis.make(180_000))).toBe(0)
        expect(yield* order.execute({ of: "x" }, { runId: "a" })).toBe("shipped for 5")
      }).pipe(on),
    )

    it.effect("is heard by a run that waits in this process", () =>
      Effect.gen(function* () {
        const running = yield* Effect.fork(order.execute({ of: "x" }, { runId: "a" }))
        yield* quiet
        yield* Smithers.publish("payment", paid("e1", "x", "3"))
        yield* quiet
        expect(yield* Fiber.join(running)).toBe("shipped for 3")
      }).pipe(on),
    )

    it.effect("has a name, an id, and a payload that is JSON", () =>
      Effect.gen(function* () {
        const problem = (effect: Effect.Effect<unknown, { readonly message: string }, Smithers.Runtime>) =>
          Effect.map(Effect.flip(effect), ({ message }) => message)
        expect(yield* problem(Smithers.publish("", { id: "e" }))).toContain('"name"')
        expect(yield* problem(Smithers.publish("n", {} as never))).toContain('"id"')
        expect(yield* problem(Smithers.publish("n", { id: "e", payload: { n: Number.NaN } }))).toContain("not a JSON number")
        expect(yield* problem(Smithers.publish("n", { id: "e", keep: "soon" as never }))).toContain('"keep"')
        expect(yield* Smithers.published()).toEqual([])
      }).pipe(on),
    )
  })
}
