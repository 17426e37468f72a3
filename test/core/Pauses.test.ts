/**
 * The time of runs that are paused, on every store.
 */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Millis from "@smithers/core/Millis"
import * as Pauses from "@smithers/core/Pauses"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { type Builder, runningOn, stores, workflow } from "./Flows.ts"
import { rest } from "./Time.ts"

const asks = ($: Builder) =>
  $.approval("ok", { request: () => ({ title: "?" }), timeout: "1 hour", onTimeout: "deny", onDeny: "continue" })
const asking = () => workflow(asks)

const minutes = (count: number): number => count * 60_000
const deadline = Effect.flatMap(Storage, (storage) => Effect.map(storage.waits({}), ([wait]) => wait?.deadline))

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  describe("a run that nobody works on, paused while it waits", () => {
    /** Paused with half an hour left, and unpaused a day later. */
    const paused = (w: ReturnType<typeof asking>) =>
      Effect.gen(function* () {
        yield* w.run({}, { runId: "r" })
        yield* TestClock.adjust("30 minutes")
        yield* Commands.pause("r", { by: "ann" })
        yield* TestClock.adjust("1 day")
        yield* Commands.unpause("r")
      })

    it.effect("can be decided in the time that was left when it is unpaused, before anybody resumes it and after", () =>
      on(
        Effect.gen(function* () {
          const w = asking()
          yield* paused(w)
          yield* TestClock.adjust("29 minutes")
          yield* Commands.approve("r", "ok", { by: "bob" })
          // However late that is heard.
          yield* TestClock.adjust("1 day")
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ output: { approved: true, decidedBy: "bob" } })
        }),
      ),
    )

    it.effect("shows the time that is left once it is resumed, and is denied when that is over", () =>
      on(
        Effect.gen(function* () {
          const w = asking()
          yield* paused(w)
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({
            status: "waiting-approval",
            waits: [{ deadline: minutes(60 + 24 * 60) }],
          })
          expect(yield* deadline).toBe(minutes(60 + 24 * 60))
          const storage = yield* Storage
          expect(yield* storage.runnable(minutes(60 + 24 * 60) - 1)).toMatchObject({ runs: [] })
          yield* TestClock.adjust("31 minutes")
          const late = yield* Effect.flip(Commands.approve("r", "ok"))
          expect(late).toMatchObject({ _tag: "WaitExpired", deadline: minutes(60 + 24 * 60) })
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ output: { approved: false } })
        }),
      ),
    )

    it.effect("cannot be decided once the time that was left is over, also where nobody has resumed it", () =>
      on(
        Effect.gen(function* () {
          const w = asking()
          yield* paused(w)
          yield* TestClock.adjust("31 minutes")
          expect(yield* Effect.flip(Commands.approve("r", "ok"))).toMatchObject({ _tag: "WaitExpired" })
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ output: { approved: false } })
        }),
      ),
    )

    it.effect("can be decided while it is paused, however long", () =>
      on(
        Effect.gen(function* () {
          const w = asking()
          yield* w.run({}, { runId: "r" })
          yield* Commands.pause("r")
          yield* TestClock.adjust("3 days")
          yield* Commands.approve("r", "ok", { by: "ann" })
          yield* TestClock.adjust("3 days")
          yield* Commands.unpause("r")
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ output: { approved: true } })
        }),
      ),
    )

    it.effect("is not given time that was over before the pause", () =>
      on(
        Effect.gen(function* () {
          const w = asking()
          yield* w.run({}, { runId: "r" })
          yield* TestClock.adjust("2 hours")
          yield* Commands.pause("r")
          expect(yield* Effect.flip(Commands.approve("r", "ok"))).toMatchObject({ _tag: "WaitExpired" })
          yield* TestClock.adjust("2 hours")
          yield* Commands.unpause("r")
          expect(yield* Effect.flip(Commands.approve("r", "ok"))).toMatchObject({ _tag: "WaitExpired" })
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ output: { approved: false } })
        }),
      ),
    )
  })

  describe("a run that its process works on, paused while it waits", () => {
    it.effect("goes on with the time that was left, each time", () =>
      on(
        Effect.gen(function* () {
          const running = yield* Effect.fork(asking().execute({}, { runId: "r" }))
          yield* rest
          for (const pause of [1, 2]) {
            yield* TestClock.adjust("20 minutes")
            yield* Commands.pause("r")
            yield* TestClock.adjust("1 day")
            yield* Commands.unpause("r")
            yield* rest
            expect(yield* deadline).toBe(minutes(60 + pause * 24 * 60))
          }
          yield* TestClock.adjust("19 minutes")
          expect(yield* Fiber.poll(running)).toMatchObject({ _tag: "None" })
          yield* TestClock.adjust("1 minute")
          expect(yield* Fiber.join(running)).toMatchObject({ approved: false })
          const storage = yield* Storage
          const log = (yield* storage.events("r")).filter(({ event }) => /Paused|Unpaused|Moved/i.test(event._tag))
          const once = ["RunPaused", "RunUnpaused", "DeadlineMoved"]
          expect(log.map(({ event }) => event._tag)).toEqual([...once, ...once])
        }),
      ),
    )

    it.effect("waits for timers by the clock of the world", () =>
      on(
        Effect.gen(function* () {
          const w = workflow(($) => $.parallel($.timer("nap", { duration: "1 hour" }), asks($)))
          const running = yield* Effect.fork(w.execute({}, { runId: "r" }))
          yield* rest
          yield* Commands.pause("r")
          yield* TestClock.adjust("2 hours")
          yield* Commands.unpause("r")
          yield* rest
          const storage = yield* Storage
          expect(yield* storage.waits({ all: true })).toMatchObject([
            { nodeId: "nap", status: "finished" },
            { nodeId: "ok", status: "open", deadline: minutes(180) },
          ])
          yield* Fiber.interrupt(running)
        }),
      ),
    )

    it.effect("with a child run gives that the time, too", () =>
      on(
        Effect.gen(function* () {
          const child = workflow(asks, "child")
          const parent = workflow(($) => $.subflow("inner", { workflow: child, input: () => ({}) }), "parent")
          const running = yield* Effect.fork(parent.execute({}, { runId: "r" }))
          yield* rest
          yield* Commands.pause("r")
          yield* TestClock.adjust("1 day")
          yield* Commands.unpause("r")
          yield* rest
          yield* TestClock.adjust("59 minutes")
          const storage = yield* Storage
          const [wait] = yield* storage.waits({ kind: ["approval"] })
          yield* Commands.approve(wait?.runId ?? "", "ok")
          yield* rest
          expect(yield* Fiber.join(running)).toMatchObject({ approved: true })
        }),
      ),
    )
  })
})

describe("the time of a wait", () => {
  const time = FastCheck.nat(100)
  const said = FastCheck.array(FastCheck.tuple(FastCheck.constantFrom("Pause", "Unpause"), time))

  it.prop(
    "is as long as what lies between its pauses, whether a run has heard of them or not",
    { limit: FastCheck.integer({ min: 1, max: 100 }), said, at: time, heard: FastCheck.nat(5) },
    ({ limit, said, at, heard }) => {
      let [now, pausedAt, left] = [0, undefined as number | undefined, limit]
      const commands: Array<{ readonly at: number; readonly command: { readonly _tag: "Pause" | "Unpause" } }> = []
      for (const [tag, after] of said) {
        now += after
        if (pausedAt === undefined) left -= after
        if (tag === "Pause") pausedAt ??= now
        else pausedAt = undefined
        commands.push({ at: now, command: { _tag: tag as "Pause" | "Unpause" } })
      }
      const isOver = (pausedAt === undefined ? left - at : left) < 0
      // What was heard is folded into the deadline.
      let [deadline, since] = [Millis.make(limit), undefined as number | undefined]
      for (const { at, command } of commands.slice(0, heard)) {
        if (command._tag === "Pause") since ??= at
        else if (since !== undefined) {
          deadline = Pauses.moved({ kind: "approval", since: 0, deadline }, since, at)
          since = undefined
        }
      }
      const wait = { kind: "approval", since: 0, deadline }
      expect(Pauses.isTooLate(wait, now + at, since, commands.slice(heard))).toBe(isOver)
    },
  )
})
