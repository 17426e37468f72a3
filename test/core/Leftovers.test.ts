/** What could not be undone is said wherever the result of a run is, also of child runs; on every store. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { RunCancelled } from "@smithers/core/Errors"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import { journal, runningOn, stores, workflow } from "./Flows.ts"

const ask = { request: () => ({ title: "?" }) }

/** Books what it cannot cancel, and then asks. */
const booking = (name: string) => {
  const { undoable } = journal()
  const undo = () => {
    throw new Error("the hotel does not answer")
  }
  return workflow(($) => $.saga(undoable($, "book", { undo }), $.approval("ok", ask)), name)
}

const left = { nodeId: "book", iteration: 0, error: { message: "the hotel does not answer" } }

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("a cancelled run names it in its result, its error, its events and its state, also when it is asked again", () =>
    on(
      Effect.gen(function* () {
        const w = booking("w")
        yield* w.run({}, { runId: "r" })
        yield* w.cancel("r", "no need")
        const cancelled = { reason: "no need", uncompensated: [left] }
        for (let times = 0; times < 2; times++) {
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "cancelled", ...cancelled })
          const error = yield* Effect.flip(w.execute({}, { runId: "r" }))
          expect(error).toMatchObject({ _tag: "RunCancelled", ...cancelled })
          expect(error.message).toBe(
            'Run "r" was cancelled: no need. This could not be undone: "book" (Error: the hotel does not answer). Undo it by hand.',
          )
        }
        const last = (yield* (yield* Storage).events("r")).at(-1)?.event
        expect(last).toMatchObject({ _tag: "RunCancelled", ...cancelled })
      }),
    ),
  )

  it.effect("a cancelled parent names what its child runs could not undo, and theirs", () =>
    on(
      Effect.gen(function* () {
        const inner = booking("inner")
        const middle = workflow(($) => $.subflow("in", { workflow: inner, input: () => ({}) }), "middle")
        const w = workflow(($) => $.parallel($.subflow("sub", { workflow: middle, input: () => ({}) })))
        yield* w.run({}, { runId: "r" })
        yield* w.cancel("r")
        const result = yield* w.run({}, { runId: "r" })
        expect(result).toMatchObject({ status: "cancelled", uncompensated: [{ runId: "r~sub~0~in~0", ...left }] })
        expect((yield* Effect.flip(w.execute({}, { runId: "r" }))).message).toContain(
          'This could not be undone: "book" of run "r~sub~0~in~0" (Error: the hotel does not answer).',
        )
        expect(yield* middle.run({}, { runId: "r~sub~0" } as never).pipe(Effect.either)).toMatchObject({ _tag: "Left" })
      }),
    ),
  )

  it.effect("a failed parent says it with the failure of its child run", () =>
    on(
      Effect.gen(function* () {
        const inner = booking("inner")
        const w = workflow(($) => $.subflow("sub", { workflow: inner, input: () => ({}) }))
        yield* w.run({}, { runId: "r" })
        yield* Commands.deny("r~sub~0", "ok")
        const result = yield* w.run({}, { runId: "r" })
        expect(result).toMatchObject({ status: "failed", uncompensated: [{ runId: "r~sub~0", ...left }] })
        expect(JSON.stringify(result)).toContain("This could not be undone")
      }),
    ),
  )

  it.effect("a run that has failed, or finished since it caught that, names it in its result, also when it is asked again", () =>
    on(
      Effect.gen(function* () {
        const { step, undoable } = journal()
        const undo = () => {
          throw new Error("the hotel does not answer")
        }
        const failing = workflow(($) => $.saga(undoable($, "book", { undo }), step($, "pay", { fails: () => true })), "failing")
        const catching = workflow(
          ($) =>
            $.tryCatch({
              try: $.saga(undoable($, "book", { undo }), step($, "pay", { fails: () => true })),
              catch: () => "by hand",
            }),
          "catching",
        )
        for (let times = 0; times < 2; times++) {
          const failed = yield* failing.run({}, { runId: "f" })
          expect(failed).toMatchObject({ status: "failed", error: { _tag: "CompensationFailed" }, uncompensated: [left] })
          const caught = yield* catching.run({}, { runId: "c" })
          expect(caught).toMatchObject({ status: "finished", output: "by hand", uncompensated: [left] })
        }
      }),
    ),
  )

  it.effect("a run that could undo all of it says nothing of it", () =>
    on(
      Effect.gen(function* () {
        const { step, undoable } = journal()
        const w = workflow(($) => $.saga(undoable($, "book"), step($, "pay", { fails: () => true })))
        for (let times = 0; times < 2; times++) {
          const result = yield* w.run({}, { runId: "r" })
          expect(result).toMatchObject({ status: "failed", error: { _tag: "StepFailed" } })
          expect(result).not.toHaveProperty("uncompensated")
        }
      }),
    ),
  )
})

it("a cancelled run of which all was undone says nothing of it", () => {
  expect(new RunCancelled({ runId: "r" }).message).toBe('Run "r" was cancelled.')
  expect(new RunCancelled({ runId: "r", uncompensated: [] }).message).toBe('Run "r" was cancelled.')
})
