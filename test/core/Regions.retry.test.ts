/**
 * Regions in runs that failed and go on, and in which a node is run again: what was reset is as if it had never begun, on both stores.
 */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { always, journal, runningOn, stores, workflow } from "./Flows.ts"

const statuses = Effect.gen(function* () {
  const { nodes } = yield* (yield* Storage).inspect("r")
  return Object.fromEntries(nodes.map(({ nodeId, status }) => [nodeId, status]))
})

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("a region in a catch that a resumed run does not come to is not shown as running, and none can be left for it", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        let isFixed = false
        const w = workflow(($) =>
          $.sequence(
            $.tryCatch({
              try: step($, "a", { fails: () => !isFixed }),
              catch: $.sequence($.scope({ id: "region", body: step($, "b") }), step($, "c", { fails: always })),
            }),
            $.approval("ask", { request: { title: "?" } }),
          ),
        )
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "c" } })
        expect(yield* statuses).toMatchObject({ region: "finished", b: "finished" })
        isFixed = true
        yield* Commands.retryNode("r", "a")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
        expect(yield* statuses).toMatchObject({ region: "interrupted", b: "interrupted", a: "finished" })
        yield* Commands.approve("r", "ask")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        expect(yield* statuses).toMatchObject({ region: "interrupted" })
        expect(done).toEqual(["a", "b", "c", "a"])
      }),
    ),
  )

  it.effect(
    "what an arm had finished that is not taken any more stays: it is used again with the arm, and undone by its saga",
    () =>
      on(
        Effect.gen(function* () {
          const { done, step, undoable } = journal()
          let arm: "one" | "two" = "one"
          const w = workflow(($) => {
            const choice = $.step("choice", { output: Schema.Literal("one", "two"), run: () => arm })
            const cases = { one: undoable($, "one"), two: undoable($, "two") }
            const branch = $.switch({ needs: { choice }, on: ({ choice }) => choice, cases })
            const ask = $.approval("ask", { request: { title: "?" } })
            return $.saga($.sequence(choice, branch, ask, step($, "last", { fails: always })))
          })
          yield* w.run({}, { runId: "r" })
          for (const next of ["two", "one"] as const) {
            arm = next
            yield* Commands.retryNode("r", "choice")
            expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
          }
          expect(done).toEqual(["one", "two"])
          yield* Commands.approve("r", "ask")
          expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
          expect(done.slice(2)).toEqual(["last", "undo two 0", "undo one 0"])
        }),
      ),
  )

  it.effect("a race that was won keeps its winner where that was undone and the run is resumed, however fast others are now", () =>
    on(
      Effect.gen(function* () {
        const { done, step, undoable } = journal()
        let isBroken = true
        const w = workflow(($) => {
          const late = $.approval("late", { request: { title: "?" } })
          const first = undoable($, "first")
          const second = undoable($, "second", { needs: { first } })
          const beside = step($, "beside", { needs: { late } })
          const race = $.race({ slow: $.sequence(first, second), fast: beside }, { id: "race" })
          return $.saga($.sequence($.parallel(late, race), step($, "pay", { fails: () => isBroken })))
        })
        yield* w.run({}, { runId: "r" })
        yield* Commands.approve("r", "late")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
        expect(done).toEqual(["first", "second", "pay", "undo second 0", "undo first 0"])
        isBroken = false
        expect(yield* w.execute({}, { runId: "r", onFailed: "resume" })).toBe("pay")
        expect(done.slice(5)).toEqual(["first", "second", "pay"])
        const { nodes } = yield* (yield* Storage).inspect("r")
        expect(nodes.find(({ nodeId }) => nodeId === "race")).toMatchObject({ status: "finished", winners: ["slow"] })
      }),
    ),
  )

  it.effect("a race whose winner runs again and fails then is lost, and begins again as a whole where it is retried", () =>
    on(
      Effect.gen(function* () {
        const { done, step, undoable } = journal()
        let [isBroken, isFirstBad] = [true, false]
        const w = workflow(($) => {
          const late = $.approval("late", { request: { title: "?" } })
          const race = $.race(
            { one: undoable($, "one", { fails: () => isFirstBad }), other: step($, "other", { needs: { late } }) },
            { id: "race", onFailure: "ignore" },
          )
          return $.saga($.sequence($.parallel(late, race), step($, "pay", { fails: () => isBroken })))
        })
        yield* w.run({}, { runId: "r" })
        yield* Commands.approve("r", "late")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
        ;[isBroken, isFirstBad] = [false, true]
        expect(yield* w.run({}, { runId: "r", onFailed: "resume" })).toMatchObject({ status: "failed", error: { nodeId: "race" } })
        expect(done).toEqual(["one", "pay", "undo one 0", "one"])
        yield* TestClock.adjust("1 second")
        yield* Commands.retryNode("r", "race")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        expect(done.slice(4)).toEqual(["one", "other", "pay"])
      }),
    ),
  )

  it.effect("a race that was lost tries its branches again where the run is resumed, but those that a person denied", () =>
    on(
      Effect.gen(function* () {
        const { done, step, undoable } = journal()
        let isBroken = true
        const w = workflow(($) =>
          $.race(
            {
              one: $.saga($.sequence(undoable($, "book"), step($, "one", { fails: () => isBroken }))),
              two: $.sequence(step($, "two"), step($, "three", { fails: always })),
              ask: $.approval("ask", { request: { title: "?" } }),
            },
            { id: "race", onFailure: "ignore" },
          ),
        )
        yield* w.run({}, { runId: "r" })
        yield* Commands.deny("r", "ask")
        for (const request of [{ runId: "r" }, { runId: "r", onFailed: "resume" }] as const)
          expect(yield* w.run({}, request)).toMatchObject({ status: "failed", error: { nodeId: "race" } })
        isBroken = false
        done.length = 0
        expect(yield* w.execute({}, { runId: "r", onFailed: "resume" })).toEqual({ winner: "one", value: "one" })
        expect(done.toSorted()).toEqual(["book", "one", "three"])
      }),
    ),
  )

  it.effect("a node whose failure was caught runs again with all that its failure had given up, regions and sagas beside it", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        let isFixed = false
        const w = workflow(($) =>
          $.sequence(
            $.tryCatch({
              id: "guard",
              try: $.parallel(
                $.scope({ id: "beside", body: $.saga(step($, "one"), { id: "saga" }) }),
                $.race({ only: step($, "bad", { fails: () => !isFixed }) }, { id: "race" }),
                { failFast: true },
              ),
              catch: step($, "caught"),
            }),
            step($, "end", { fails: () => !isFixed }),
          ),
        )
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "end" } })
        expect(yield* statuses).toMatchObject({ guard: "caught", race: "failed" })
        isFixed = true
        yield* Commands.retryNode("r", "bad")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        expect(yield* statuses).toMatchObject({ guard: "finished", race: "finished", beside: "finished", saga: "finished" })
        expect(done.filter((id) => id === "caught")).toEqual(["caught"])
      }),
    ),
  )

  it.effect("a region that was left begins again where a node in it runs again, with the sagas that were given up with it", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        let isFixed = false
        const w = workflow(($) =>
          $.sequence(
            $.scope({
              id: "region",
              body: $.parallel(
                step($, "a"),
                $.saga($.sequence($.approval("ask", { request: { title: "?" } }), step($, "b")), { id: "saga" }),
              ),
            }),
            step($, "end", { fails: () => !isFixed }),
          ),
        )
        yield* w.run({}, { runId: "r" })
        yield* Commands.cancelNode("r", "region")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "end" } })
        expect(yield* statuses).toMatchObject({ region: "cancelled", saga: "cancelled", ask: "superseded" })
        isFixed = true
        yield* Commands.retryNode("r", "a")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval", waits: [{ nodeId: "ask" }] })
        yield* Commands.approve("r", "ask")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        expect(yield* statuses).toMatchObject({ region: "finished", saga: "finished" })
        expect(done).toEqual(["a", "end", "a", "b", "end"])
      }),
    ),
  )

  it.effect("a branch in a region that is over chooses again where what it goes by is given again, and its new arm runs", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal((id, count) => `${id}${count}`)
        let isFixed = false
        const w = workflow(($) => {
          const source = step($, "source")
          const choice = $.branch({
            needs: { source },
            when: ({ source }) => source !== "source1",
            then: step($, "then"),
            else: step($, "else"),
          })
          return $.sequence(source, $.scope({ id: "region", body: choice }), step($, "end", { fails: () => !isFixed }))
        })
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "end" } })
        isFixed = true
        yield* Commands.retryNode("r", "source")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        expect(done).toEqual(["source", "else", "end", "source", "then", "end"])
      }),
    ),
  )

  it.effect("a region that was reset can be asked to be left before the run comes to it again", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal()
        let isFixed = false
        const w = workflow(($) =>
          $.tryCatch({
            try: $.sequence(step($, "a", { fails: () => !isFixed }), $.approval("ask", { request: { title: "?" } })),
            finally: $.scope({ id: "region", body: step($, "last") }),
          }),
        )
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "a" } })
        isFixed = true
        yield* Commands.retryNode("r", "a")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ waits: [{ nodeId: "ask" }] })
        yield* Commands.cancelNode("r", "region")
        yield* Commands.approve("r", "ask")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        expect(done).toEqual(["a", "last", "a"])
        expect(yield* statuses).toMatchObject({ region: "cancelled" })
      }),
    ),
  )
})
