/**
 * Runs in which nothing is left but attempts that are due later, on every store.
 */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Engine from "@smithers/core/Engine"
import { ports, Storage } from "@smithers/core/Storage"
import * as Supervisor from "@smithers/core/Supervisor"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { type Builder, processOn, runningOn, stores, Text, workflow } from "./Flows.ts"
import { rest } from "./Time.ts"

/** A step whose first attempt fails, and that says when it was begun. */
const flaky = ($: Builder, id: string, pause: "9 seconds" | "10 minutes" | "1 hour" | "3 hours", begun: Array<string> = []) =>
  $.step(id, {
    output: Text,
    retry: { backoff: "constant", initialDelay: pause, jitter: false },
    run: ({ attempt }) =>
      Effect.suspend(() => {
        begun.push(`${id} ${attempt}`)
        return attempt === 1 ? Effect.fail(new Error("refused")) : Effect.succeed("done")
      }),
  })

const dueAt = (now: number) => Effect.flatMap(Storage, (storage) => storage.runnable(now))
const minutes = (count: number): number => count * 60_000

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  describe("a run in which only a later attempt is left", () => {
    it.effect("is let go of and waits for a time, with the attempt among its waits; it is due then, and goes on where it was", () =>
      on(
        Effect.gen(function* () {
          const begun: Array<string> = []
          const w = workflow(($) => flaky($, "calls", "10 minutes", begun))
          const wait = { nodeId: "calls", iteration: 0, kind: "retry", deadline: minutes(10) }
          expect(yield* w.run({}, { runId: "r" })).toEqual({ status: "waiting-timer", runId: "r", waits: [wait] })
          const storage = yield* Storage
          expect((yield* storage.inspect("r")).run).toMatchObject({ status: "waiting-timer", owner: null })
          expect(yield* storage.waits({})).toMatchObject([{ ...wait, runId: "r", status: "open", since: 0 }])
          expect(yield* storage.waits({ kind: ["timer"] })).toEqual([])
          expect(yield* storage.waits({ kind: ["retry"], runIds: ["r"], isAnswered: false })).toHaveLength(1)
          expect(yield* dueAt(minutes(10) - 1)).toEqual({ runs: [], nextAt: minutes(10) })
          expect((yield* dueAt(minutes(10))).runs).toMatchObject([{ runId: "r", crashes: 0 }])

          yield* TestClock.adjust("4 minutes")
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "waiting-timer", waits: [wait] })
          expect(begun).toEqual(["calls 1"])
          yield* TestClock.adjust("6 minutes")
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: "done" })
          expect(begun).toEqual(["calls 1", "calls 2"])
          expect(yield* storage.waits({ all: true })).toEqual([])
        }),
      ),
    )

    it.effect("of several, names all, the first of which says when it is due", () =>
      on(
        Effect.gen(function* () {
          const w = workflow(($) => $.parallel(flaky($, "slow", "3 hours"), flaky($, "fast", "1 hour")))
          const result = yield* w.run({}, { runId: "r" })
          const wait = (nodeId: string, hours: number) => ({ nodeId, iteration: 0, kind: "retry", deadline: minutes(60 * hours) })
          expect(result).toMatchObject({ status: "waiting-timer", waits: [wait("slow", 3), wait("fast", 1)] })
          expect(yield* dueAt(1)).toMatchObject({ runs: [], nextAt: minutes(60) })
        }),
      ),
    )

    it.effect("is not let go of for a short pause, or while anything else is at work", () =>
      on(
        Effect.gen(function* () {
          const short = workflow(($) => flaky($, "calls", "9 seconds"))
          const running = yield* Effect.fork(short.run({}, { runId: "short" }))
          yield* TestClock.adjust("9 seconds")
          expect(yield* Fiber.join(running)).toMatchObject({ status: "finished" })

          const beside = workflow(($) =>
            $.parallel(flaky($, "calls", "1 hour"), $.step("works", { output: Text, run: () => Effect.never })),
          )
          const working = yield* Effect.fork(beside.run({}, { runId: "beside" }))
          yield* TestClock.adjust("10 minutes")
          expect(yield* Fiber.poll(working)).toMatchObject({ _tag: "None" })
          expect(yield* dueAt(minutes(10))).toMatchObject({ runs: [] })
          yield* Fiber.interrupt(working)
        }),
      ),
    )

    it.effect("waits for people first where it waits for them too, and is woken by an answer", () =>
      on(
        Effect.gen(function* () {
          const w = workflow(($) => $.parallel(flaky($, "calls", "1 hour"), $.approval("ask", { request: () => ({ title: "?" }) })))
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({
            status: "waiting-approval",
            waits: [{ kind: "retry" }, { kind: "approval" }],
          })
          yield* Commands.approve("r", "ask")
          expect((yield* dueAt(1)).runs).toHaveLength(1)
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "waiting-timer", waits: [{ nodeId: "calls" }] })
        }),
      ),
    )

    it.effect("can be paused, cancelled and tried at once", () =>
      on(
        Effect.gen(function* () {
          const w = workflow(($) => flaky($, "calls", "1 hour"))
          yield* w.run({}, { runId: "paused" })
          yield* Commands.pause("paused")
          expect(yield* w.run({}, { runId: "paused" })).toMatchObject({ status: "paused" })
          expect((yield* dueAt(minutes(70))).runs).toEqual([])

          const cancelled = workflow(($) => flaky($, "calls", "1 hour"))
          yield* cancelled.run({}, { runId: "cancelled" })
          yield* Commands.cancel("cancelled")
          expect(yield* cancelled.run({}, { runId: "cancelled" })).toMatchObject({ status: "cancelled" })
          expect((yield* dueAt(minutes(70))).runs).toEqual([])

          const again = workflow(($) => flaky($, "calls", "1 hour"))
          yield* again.run({}, { runId: "again" })
          yield* Commands.retryNode("again", "calls")
          expect(yield* again.run({}, { runId: "again" })).toMatchObject({ status: "finished" })
        }),
      ),
    )

    it.effect("of a child run lets its parent rest, too", () =>
      on(
        Effect.gen(function* () {
          const child = workflow(($) => flaky($, "calls", "1 hour"), "child")
          const parent = workflow(($) => $.subflow("inner", { workflow: child, input: () => ({}) }), "parent")
          const waits = [
            { nodeId: "inner", kind: "subflow" },
            { nodeId: "calls", kind: "retry", deadline: minutes(60) },
          ]
          expect(yield* parent.run({}, { runId: "r" })).toMatchObject({ status: "waiting-timer", waits })
          yield* TestClock.adjust("1 hour")
          expect(yield* parent.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: "done" })
        }),
      ),
    )
  })

  it.scoped("runs between two attempts leave a supervisor's slots to others", () =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const { engine, scope } = yield* processOn(storage)
      const calls = workflow(($) => flaky($, "calls", "10 minutes"), "calls")
      const naps = workflow(($) => $.timer("nap", { duration: "1 minute" }), "naps")
      const supervisor = yield* Supervisor.make({
        registry: Supervisor.registry([calls, naps]),
        interval: "1 day",
        maxConcurrent: 4,
      }).pipe(Effect.provide(ports(storage)), Effect.provideService(Engine.Engine, engine), Scope.extend(scope))
      const settled: Array<string> = []
      const noted = Stream.runForEach(supervisor.actions, (action) =>
        Effect.sync(() => action._tag === "Settled" && settled.push(`${action.runId} ${action.status}`)),
      )
      yield* Effect.forkScoped(noted)
      const provided = Effect.provideService(Engine.Engine, engine)
      yield* Effect.forEach([1, 2, 3, 4], (index) => provided(calls.run({}, { runId: `calls-${index}` })))
      yield* provided(naps.run({}, { runId: "naps" }))
      yield* rest
      yield* TestClock.adjust("1 minute")
      yield* rest
      expect(settled).toEqual(["naps finished"])
      yield* TestClock.adjust("9 minutes")
      yield* rest
      expect(settled.slice(1).sort()).toEqual([1, 2, 3, 4].map((index) => `calls-${index} finished`))
    }).pipe(Effect.provide(Layer.fresh(store))),
  )
})
