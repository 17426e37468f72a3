/**
 * Cancelling and pausing families of runs of which nobody works on some: nothing of a descendant begins once an ancestor is to be cancelled or
 * paused; on every store.
 */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as EndRun from "@smithers/core/EndRun"
import { CrashLoop } from "@smithers/core/Errors"
import * as RunRequest from "@smithers/core/RunRequest"
import type * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { type Builder, journal, processOn, runningOn, stores, workflow } from "./Flows.ts"
import { rest } from "./Time.ts"

const input = () => ({})

/** Three generations. The youngest books, waits for a minute, pays, and pays once more. */
const generations = (pays: () => Effect.Effect<void> = () => Effect.void) => {
  const { done, undoable } = journal()
  const pay = ($: Builder, id: string) =>
    $.step(id, {
      output: Schema.String,
      run: () =>
        Effect.map(pays(), () => {
          done.push(id)
          return id
        }),
    })
  const child = workflow(
    ($) => $.saga(undoable($, "book"), $.timer("pause", { duration: "1 minute" }), pay($, "pay"), pay($, "more")),
    "child",
  )
  const middle = workflow(($) => $.sequence($.subflow("sub", { workflow: child, input })), "middle")
  const top = workflow(($) => $.sequence($.subflow("sub", { workflow: middle, input })), "top")
  return { done, child, middle, top }
}

const [middleId, childId] = ["r~sub~0", "r~sub~0~sub~0"]

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  /** Works on one run of the family in a process of its own, until it rests. */
  const workOn = (run: { readonly definition: ReturnType<typeof generations>["child"]["definition"] }, runId: string) =>
    Effect.gen(function* () {
      const other = yield* processOn(yield* Storage)
      const result = yield* other.engine.joinUntilIdle(run.definition, RunRequest.claim(runId))
      yield* other.stop
      return result
    })

  it.effect("a grandchild that is due before anybody works on a cancelled run ends as cancelled, undone, and begins nothing", () =>
    on(
      Effect.gen(function* () {
        const { top, middle, child, done } = generations()
        yield* top.run({}, { runId: "r" })
        yield* TestClock.adjust("2 minutes")
        yield* Commands.cancel("r", { reason: "no" })
        expect(yield* workOn(child, childId)).toMatchObject({
          status: "cancelled",
          reason: `by run "${middleId}", which started it`,
        })
        expect(done).toEqual(["book", "undo book 0"])
        expect(yield* workOn(middle, middleId)).toMatchObject({ status: "cancelled" })
        expect(yield* workOn(top, "r")).toMatchObject({ status: "cancelled", reason: "no" })
        expect(done).toEqual(["book", "undo book 0"])
      }),
    ),
  )

  it.effect("a grandchild that is due while nobody works on a paused run rests, and goes on once that is unpaused", () =>
    on(
      Effect.gen(function* () {
        const { top, child, done } = generations()
        yield* top.run({}, { runId: "r" })
        yield* TestClock.adjust("2 minutes")
        yield* Commands.pause("r")
        expect((yield* workOn(child, childId)).status).toBe("paused")
        expect(done).toEqual(["book"])
        yield* Commands.unpause("r")
        expect((yield* workOn(child, childId)).status).toBe("finished")
        expect(done).toEqual(["book", "pay", "more"])
        expect((yield* top.run({}, { runId: "r" })).status).toBe("finished")
      }),
    ),
  )

  it.effect("a grandchild at work in a process of its own begins no step after an ancestor was told to stop", () =>
    on(
      Effect.gen(function* () {
        for (const [runId, tell] of [
          ["c", Commands.cancel],
          ["p", Commands.pause],
        ] as const) {
          // Said in the midst of the first of two steps, whose end and the next one's start are one frame.
          const { top, child, done } = generations(() => Effect.asVoid(Effect.orDie(tell(runId))).pipe(Effect.provide(context)))
          const context = yield* Effect.context<Smithers.Runtime>()
          yield* top.run({}, { runId })
          yield* TestClock.adjust("2 minutes")
          const result = yield* workOn(child, `${runId}~sub~0~sub~0`)
          expect(result.status).toBe(runId === "c" ? "cancelled" : "paused")
          expect(done).not.toContain("more")
        }
      }),
    ),
  )

  it.effect("a child run in a `finally` goes on when its parent is cancelled, also where nobody works on that", () =>
    on(
      Effect.gen(function* () {
        const { child, done } = generations()
        const w = workflow(($) => {
          const tried = $.tryCatch({ id: "tried", try: $.sequence(), finally: $.subflow("clean", { workflow: child, input }) })
          return $.sequence(tried, journal().step($, "last"))
        })
        yield* w.run({}, { runId: "r" })
        yield* Commands.cancel("r")
        yield* TestClock.adjust("2 minutes")
        expect((yield* workOn(child, "r~clean~0")).status).toBe("finished")
        expect((yield* w.run({}, { runId: "r" })).status).toBe("cancelled")
        expect(done).toEqual(["book", "pay", "more"])
      }),
    ),
  )

  it.effect("a run is unpaused by whoever unpauses the one that it was paused with, and not by itself", () =>
    on(
      Effect.gen(function* () {
        const { top } = generations()
        yield* top.run({}, { runId: "r" })
        yield* Commands.pause("r")
        const refused = yield* Effect.flip(Commands.unpause(childId))
        expect(refused).toMatchObject({ _tag: "InvalidCommand", runId: childId })
        expect(refused.message).toContain('its ancestor run "r" is paused')
        expect((yield* top.run({}, { runId: "r" })).status).toBe("paused")
        expect((yield* Effect.flip(Commands.unpause(childId)))._tag).toBe("InvalidCommand")
        yield* Commands.unpause("r")
        yield* Commands.unpause(childId)
        const fiber = yield* Effect.fork(top.execute({}, { runId: "r" }))
        yield* rest
        yield* TestClock.adjust("2 minutes")
        expect(yield* Fiber.join(fiber)).toBe("more")
      }),
    ),
  )

  it.effect("child runs of a run that is ended without its code are cancelled, all generations of them", () =>
    on(
      Effect.gen(function* () {
        const { top, middle, child, done } = generations()
        yield* top.run({}, { runId: "r" })
        yield* TestClock.adjust("2 minutes")
        expect(yield* EndRun.fail("r", new CrashLoop({ runId: "r", interruptions: 5 }))).toBe(true)
        const reason = `by the end of run "r", which started it`
        expect(yield* workOn(child, childId)).toMatchObject({ status: "cancelled" })
        expect(yield* workOn(middle, middleId)).toMatchObject({ status: "cancelled", reason })
        expect(done).toEqual(["book", "undo book 0"])
        expect((yield* (yield* Storage).run("r")).run.status).toBe("failed")
      }),
    ),
  )

  it.effect("a child run in flight of which edited code knows nothing is awaited where the rest has failed, too", () =>
    on(
      Effect.gen(function* () {
        const { child, done } = generations()
        const sub = ($: Builder) => $.subflow("sub", { workflow: child, input })
        const before = workflow(($) => $.sequence(sub($)))
        yield* before.run({}, { runId: "r" })
        const after = workflow(($) => $.sequence(journal().step($, "no", { fails: () => true })))
        expect((yield* after.run({}, { runId: "r" })).status).toBe("waiting-event")
        yield* TestClock.adjust("2 minutes")
        expect((yield* workOn(child, "r~sub~0")).status).toBe("finished")
        expect(yield* after.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "no" } })
        expect(done).toEqual(["book", "pay", "more"])
      }),
    ),
  )
})
