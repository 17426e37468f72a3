/**
 * Steps that execute other runs, and so wait for them.
 */
import { expect, it } from "@effect/vitest"
import type * as Smithers from "@smithers/core/Smithers"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { type Builder, runningOn, stores, Text, workflow } from "./Flows.ts"
import { rest } from "./Time.ts"

/** Executes runs of workflows that are made later. */
const making = () => {
  type Call = (runId: string) => Effect.Effect<unknown, unknown, Smithers.Runtime>
  const made = new Map<string, Call>()
  const call = (name: string, runId: string) => Effect.suspend(() => (made.get(name) as Call)(runId))
  return { call, made }
}

const calls = ($: Builder, id: string, call: Effect.Effect<unknown, unknown, Smithers.Runtime>) =>
  $.step(id, { output: Text, retry: false, run: () => Effect.as(call, id) })

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  describe("a step that would wait for its own run", () => {
    it.effect("by executing it fails at once, and says so", () =>
      on(
        Effect.gen(function* () {
          const { call, made } = making()
          const own = workflow(($) => $.step("again", { output: Text, run: () => Effect.as(call("own", "r"), "") }))
          made.set("own", (runId) => own.execute({}, { runId }))
          const failed = yield* Effect.flip(own.execute({}, { runId: "r" }))
          expect(failed).toMatchObject({
            _tag: "StepFailed",
            attempts: 1,
            error: {
              name: "RunWaitsForItself",
              notRetried: "slip",
              message: expect.stringMatching(/^A step of run "r" executes its own run, /),
            },
          })
        }),
      ),
    )

    it.effect("by way of other runs, their steps and their child runs, fails where the circle is closed", () =>
      on(
        Effect.gen(function* () {
          const { call, made } = making()
          const first = workflow(($) => calls($, "one", call("second", "b")), "first")
          const third = workflow(($) => calls($, "three", call("first", "a")), "third")
          const second = workflow(($) => $.subflow("two", { workflow: third, input: () => ({}) }), "second")
          made.set("first", (runId) => first.execute({}, { runId }))
          made.set("second", (runId) => second.execute({}, { runId }))
          const failed = yield* Effect.flip(first.execute({}, { runId: "a" }))
          expect(failed).toMatchObject({
            error: { message: expect.stringMatching(/executes run "a", which waits for that run/) },
          })
        }),
      ),
    )

    it.effect("fails, too, where it runs it only until it rests, and where two runs wait for each other from two sides", () =>
      on(
        Effect.gen(function* () {
          const { call, made } = making()
          const later = (name: string, runId: string) => Effect.zipRight(Effect.sleep(1), call(name, runId))
          const left = workflow(($) => calls($, "l", later("right", "r")), "left")
          const right = workflow(($) => calls($, "r", later("left", "l")), "right")
          made.set("left", (runId) => left.run({}, { runId }))
          made.set("right", (runId) => right.run({}, { runId }))
          const one = yield* Effect.fork(left.run({}, { runId: "l" }))
          const other = yield* Effect.fork(right.run({}, { runId: "r" }))
          yield* rest
          yield* TestClock.adjust(1)
          const ends = [yield* Fiber.join(one), yield* Fiber.join(other)]
          expect(ends.map(({ status }) => status).sort()).toEqual(["failed", "finished"])
        }),
      ),
    )
  })

  it.effect("steps that execute runs which do not wait for them go on, one run also for several", () =>
    on(
      Effect.gen(function* () {
        const inner = workflow(($) => $.step("given", { output: Text, run: () => Effect.as(Effect.yieldNow(), "inner") }), "inner")
        const shared = Effect.suspend(() => inner.execute({}, { runId: "shared" }))
        const outer = workflow(($) => $.parallel(calls($, "a", shared), calls($, "b", shared)))
        expect(yield* outer.execute({}, { runId: "r" })).toEqual(["a", "b"])
        expect(yield* outer.execute({}, { runId: "s" })).toEqual(["a", "b"])
      }),
    ),
  )
})
