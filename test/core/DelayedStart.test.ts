/**
 * Runs that start later, in virtual time and on both stores.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Engine from "@smithers/core/Engine"
import { RunTimedOut } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { processOn, runningOn, stores, Text, workflow } from "./Flows.ts"
import { passing, quiet } from "./Time.ts"

const hour = 3_600_000

const flow = workflow(($) =>
  $.step("only", { output: Text, run: () => Effect.map(Clock.currentTimeMillis, (now) => `at ${now / hour} h`) }),
)

for (const [name, store] of stores) {
  const on = runningOn(store)

  describe(`a run that starts later, on ${name}`, () => {
    it.effect("does nothing before its time, and then what it is made of; its output is that of the workflow", () =>
      Effect.gen(function* () {
        expect(yield* passing("3 hours", flow.execute({}, { runId: "r", delay: "2 hours" }))).toBe("at 2 h")
        expect(yield* passing("3 hours", flow.execute({}, { startAt: new Date(5 * hour) }))).toBe("at 5 h")
        // A time that has passed delays nothing.
        expect(yield* flow.execute({}, { startAt: new Date(1) })).toBe("at 6 h")
        const storage = yield* Storage
        const events = yield* storage.events("r", { limit: 100 })
        expect(events.map(({ event }) => event._tag).slice(0, 2)).toEqual(["RunStarted", "WaitStarted"])
        expect((yield* storage.load("r")).startAt).toBe(2 * hour)
      }).pipe(on),
    )

    it.effect("waits without a process, is listed as waiting for a time, and is resumed when that comes", () =>
      Effect.gen(function* () {
        const storage = yield* Storage
        const first = yield* processOn(storage)
        const waiting = yield* Effect.provideService(flow.run({}, { runId: "r", delay: "2 hours" }), Engine.Engine, first.engine)
        expect(waiting.status).toBe("waiting-timer")
        yield* first.stop
        expect((yield* storage.runnable(Millis.make(hour))).runs).toEqual([])
        expect((yield* storage.runnable(Millis.make(hour))).nextAt).toBe(2 * hour)
        yield* TestClock.adjust("2 hours")
        expect((yield* storage.runnable(Millis.make(2 * hour))).runs.map(({ runId }) => runId)).toEqual(["r"])
        const second = yield* processOn(storage)
        expect(yield* Effect.provideService(flow.execute({}, { runId: "r" }), Engine.Engine, second.engine)).toBe("at 2 h")
      }).pipe(on),
    )

    it.effect("keeps its time if its creator died before the first frame", () =>
      Effect.gen(function* () {
        const storage = yield* Storage
        const create = { workflow: "w", version: undefined, input: {}, tags: [], startAt: Millis.make(4 * hour) }
        yield* storage.open({ runId: "r", create, reopen: [], leaseMs: Millis.make(1), now: Millis.make(0) })
        yield* TestClock.adjust("1 hour")
        const resumed = yield* Effect.fork(flow.execute({}, { runId: "r" }))
        yield* TestClock.adjust("1 hour")
        expect(yield* Fiber.poll(resumed)).toMatchObject({ _tag: "None" })
        yield* TestClock.adjust("2 hours")
        expect(yield* Fiber.join(resumed)).toBe("at 4 h")
      }).pipe(on),
    )

    it.effect("can be cancelled before it starts, and counts a deadline from its start", () =>
      Effect.gen(function* () {
        const never = workflow(($) =>
          $.sequence($.timer("long", { duration: "1 day" }), $.step("end", { output: Text, run: () => "" })),
        )
        const cancelled = yield* Effect.fork(Effect.either(never.execute({}, { runId: "c", delay: "2 hours" })))
        yield* quiet
        yield* Smithers.cancel("c")
        expect(Either.isLeft(yield* Fiber.join(cancelled))).toBe(true)
        const late = Effect.flip(never.execute({}, { runId: "d", delay: "2 hours", deadline: "1 hour" }))
        expect(yield* passing("4 hours", late)).toEqual(new RunTimedOut({ runId: "d", deadline: 3 * hour }))
      }).pipe(on),
    )

    it.effect("that is forked before its start keeps it, and one forked later does not wait again", () =>
      Effect.gen(function* () {
        const running = yield* Effect.fork(flow.execute({}, { runId: "r", delay: "2 hours" }))
        yield* quiet
        yield* flow.fork("r", { runId: "early", frame: 1 })
        yield* TestClock.adjust("2 hours")
        yield* Fiber.join(running)
        yield* flow.fork("r", { runId: "later", before: "only" })
        expect(yield* flow.execute({}, { runId: "later" })).toBe("at 2 h")
        expect((yield* (yield* Storage).load("early")).startAt).toBe(2 * hour)
      }).pipe(on),
    )

    it.effect("takes one time, of either kind, and an id of a node that looks like that of its timer", () =>
      Effect.gen(function* () {
        const twice = yield* Effect.flip(flow.execute({}, { delay: "1 hour", startAt: new Date() }))
        expect(twice.message).toContain("absent beside startAt")
        const wrong = yield* Effect.flip(flow.execute({}, { startAt: "tomorrow" as never }))
        expect(wrong).toMatchObject({ _tag: "InvalidSetting", setting: "startAt" })
        expect(yield* Effect.flip(flow.execute({}, { delay: "soon" as never }))).toMatchObject({ setting: "delay" })
        const same = workflow(($) => $.step("~start", { output: Text, run: () => "mine" }))
        expect(yield* passing("1 hour", same.execute({}, { delay: "1 hour" }))).toBe("mine")
      }).pipe(on),
    )
  })
}
