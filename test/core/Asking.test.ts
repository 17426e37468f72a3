/** Asking about a run that has ended changes nothing, whichever door it is asked at; on every store. */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { InvalidSetting } from "@smithers/core/Errors"
import * as RunRequest from "@smithers/core/RunRequest"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { journal, processOn, runningOn, stores, Text, workflow } from "./Flows.ts"
import { rest } from "./Time.ts"

/** Books, and fails to pay: what it did is undone. */
const buying = (isBroken: () => boolean) => {
  const { done, step, undoable } = journal()
  return { done, w: workflow(($) => $.saga(undoable($, "book"), step($, "pay", { fails: isBroken }))) }
}

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("a failed run answers with its failure, and nothing is done or undone again", () =>
    on(
      Effect.gen(function* () {
        const { done, w } = buying(() => true)
        const first = yield* w.run({}, { runId: "r" })
        expect(first).toMatchObject({ status: "failed", error: { _tag: "StepFailed", nodeId: "pay" } })
        const did = ["book", "pay", "undo book 0"]
        expect(done).toEqual(did)
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "pay" } })
        expect((yield* Effect.flip(w.execute({}, { runId: "r" })))._tag).toBe("StepFailed")
        expect((yield* Effect.flip(w.execute({}, { runId: "r", onFailed: "answer" })))._tag).toBe("StepFailed")
        const handle = yield* w.start({}, { runId: "r" })
        expect((yield* handle.result).status).toBe("failed")
        expect((yield* handle.waiting).status).toBe("failed")
        const late = yield* Effect.flip(Smithers.signalWithStart(w, {}, { runId: "r", signal: "go" }))
        expect(late).toMatchObject({ _tag: "RunEnded", status: "failed" })
        expect(done).toEqual(did)
        const storage = yield* Storage
        expect((yield* storage.inspect("r")).run.epoch).toBe(1)
      }),
    ),
  )

  it.effect(
    "a failed run is signalled where it is to be resumed, once for each id, and refuses the signal where it fails again",
    () =>
      on(
        Effect.gen(function* () {
          let fails = 2
          const { step } = journal()
          const w = workflow(($) =>
            $.sequence(step($, "pay", { fails: () => fails-- > 0 }), $.signal("go", { name: "go", payload: Text })),
          )
          const send = { runId: "r", signal: "go", payload: "now", id: "1" }
          yield* w.run({}, { runId: "r" })
          const late = { _tag: "RunEnded", status: "failed" }
          expect(yield* Effect.flip(w.signalWithStart({}, { ...send, onFailed: "answer" }))).toMatchObject(late)
          expect(yield* Effect.flip(w.signalWithStart({}, { ...send, onFailed: "resume" }))).toMatchObject(late)
          const handle = yield* w.signalWithStart({}, { ...send, onFailed: "resume" })
          expect(yield* handle.await).toBe("now")
          const again = yield* w.signalWithStart({}, { ...send, onFailed: "resume" })
          expect(yield* again.await).toBe("now")
        }),
      ),
  )

  it.effect("a run that was cancelled takes no signal, also where a failed one is to be resumed", () =>
    on(
      Effect.gen(function* () {
        const w = workflow(($) => $.signal("go", { name: "go", payload: Text }))
        const handle = yield* w.start({}, { runId: "r" })
        yield* handle.waiting
        yield* handle.cancel()
        const refused = yield* Effect.flip(w.signalWithStart({}, { runId: "r", signal: "go", onFailed: "resume" }))
        expect(refused).toMatchObject({ _tag: "RunEnded", status: "cancelled" })
      }),
    ),
  )

  it.effect("a failed run is resumed where that is asked for, by resume or by onFailed", () =>
    on(
      Effect.gen(function* () {
        let fails = 3
        const { done, w } = buying(() => fails-- > 0)
        yield* w.run({}, { runId: "r" })
        expect((yield* w.run({}, { runId: "r", onFailed: "resume" })).status).toBe("failed")
        const handle = yield* w.start({}, { runId: "r", onFailed: "resume" })
        expect((yield* handle.result).status).toBe("failed")
        expect(yield* w.execute({}, { runId: "r", onFailed: "resume" })).toBe("pay")
        expect(done.filter((one) => one === "book")).toHaveLength(4)
        fails = 1
        yield* w.run({}, { runId: "other" })
        expect(yield* w.resume("other")).toBe("pay")
      }),
    ),
  )

  it.effect("a run that has not ended is resumed by asking, whatever it is asked with", () =>
    Effect.provide(
      Effect.gen(function* () {
        const storage = yield* Storage
        const w = workflow(($) =>
          $.sequence($.approval("ok", { request: () => ({ title: "?" }) }), $.step("a", { output: Text, run: () => "a" })),
        )
        const create = { workflow: "w", version: undefined, input: {}, tags: [] }
        const request = RunRequest.start("r", create)
        const first = yield* processOn(storage)
        yield* first.engine.joinUntilIdle(w.definition, request)
        yield* first.stop
        yield* Commands.approve("r", "ok")
        const second = yield* processOn(storage)
        expect(yield* second.engine.join(w.definition, request)).toMatchObject({ status: "finished", output: "a" })
        yield* second.stop
      }),
      store,
    ),
  )

  it.effect("cancelling a cancelled run does nothing, through every door", () =>
    on(
      Effect.gen(function* () {
        const w = workflow(($) => $.approval("ok", { request: () => ({ title: "?" }) }))
        yield* w.run({}, { runId: "r" })
        yield* w.cancel("r", "one")
        yield* w.cancel("r", "two")
        yield* Commands.cancel("r", { reason: "three" })
        const handle = yield* w.start({}, { runId: "r" })
        yield* handle.cancel("four")
        yield* w.cancel("r")
        expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "cancelled", reason: "one" })
        const events = yield* (yield* Storage).events("r")
        expect(events.filter(({ event }) => event._tag === "RunCancelled" || event._tag === "CancelRequested")).toHaveLength(2)
        // One that ended otherwise cannot be cancelled any more.
        yield* w.run({}, { runId: "done" })
        yield* Commands.approve("done", "ok")
        yield* w.execute({}, { runId: "done" })
        expect(yield* Effect.flip(w.cancel("done"))).toMatchObject({ _tag: "RunEnded", status: "finished" })
      }),
    ),
  )

  it.effect("a run that is being resumed hears that it is cancelled", () =>
    Effect.provide(
      Effect.gen(function* () {
        const storage = yield* Storage
        const { w } = buying(() => true)
        const create = { workflow: "w", version: undefined, input: {}, tags: [] }
        const first = yield* processOn(storage)
        yield* first.engine.join(w.definition, RunRequest.start("r", create))
        yield* first.stop
        // Claimed by a process that died before its first frame.
        const claim = { runId: "r", create: undefined, leaseMs: 1, now: 0 } as const
        expect(yield* storage.open({ ...claim, reopen: ["failed"] } as never)).toMatchObject({ _tag: "Claimed" })
        yield* Commands.cancel("r", { reason: "not again" })
        const second = yield* processOn(storage)
        const request = RunRequest.join("r")
        const fiber = yield* Effect.fork(second.engine.join(w.definition, request))
        yield* rest
        // Its lease is over.
        yield* TestClock.adjust("2 seconds")
        const settled = yield* Fiber.join(fiber)
        expect(settled).toMatchObject({ status: "cancelled", reason: "not again" })
        yield* second.stop
      }),
      store,
    ),
  )

  it.effect.each<[what: string, options: object, error: InvalidSetting]>([
    [
      "tags that are no texts",
      { tags: [42] },
      new InvalidSetting({ setting: "tags", received: "an array", expected: "an array of texts" }),
    ],
    [
      "tags that are one text",
      { tags: "abc" },
      new InvalidSetting({ setting: "tags", received: '"abc"', expected: "an array of texts" }),
    ],
    [
      "tags that are nothing",
      { tags: null },
      new InvalidSetting({ setting: "tags", received: "null", expected: "an array of texts" }),
    ],
    ["a source that is no text", { source: 7 }, new InvalidSetting({ setting: "source", received: "7", expected: "text" })],
    [
      "an unknown onFailed",
      { onFailed: "retry" },
      new InvalidSetting({ setting: "onFailed", received: '"retry"', expected: '"answer" or "resume"' }),
    ],
    [
      "an unknown onIncompatible",
      { onIncompatible: true },
      new InvalidSetting({ setting: "onIncompatible", received: "a boolean", expected: '"fail" or "rerun"' }),
    ],
  ])("a run is not started with %s", ([_what, options, error]) =>
    on(
      Effect.gen(function* () {
        const { w } = buying(() => false)
        const given = { runId: "r", ...options }
        const asked: ReadonlyArray<Effect.Effect<unknown, unknown, Smithers.Runtime>> = [
          w.execute({}, given),
          w.run({}, given),
          w.start({}, given),
          Smithers.signalWithStart(w, {}, { ...given, signal: "go" }),
        ]
        for (const one of asked) expect(yield* Effect.flip(one)).toEqual(error)
        expect(yield* (yield* Storage).runs({})).toEqual([])
      }),
    ),
  )

  it.effect("a run is not cancelled for a reason that is no text, and a run id is text", () =>
    on(
      Effect.gen(function* () {
        const { w } = buying(() => false)
        expect((yield* Effect.flip(w.run({}, { runId: 7 as never })))._tag).toBe("InvalidRunId")
        yield* w.run({}, { runId: "r" })
        expect(yield* Effect.flip(w.cancel("r", 7 as never))).toEqual(
          new InvalidSetting({ setting: "reason", received: "7", expected: "text" }),
        )
        expect((yield* Effect.flip(Commands.cancel("r", { reason: 7 as never })))._tag).toBe("InvalidCommand")
      }),
    ),
  )

  it.effect("tags are kept as they were when the run was asked for", () =>
    on(
      Effect.gen(function* () {
        const tags = ["a"]
        const { w } = buying(() => false)
        yield* w.run({}, { runId: "r", tags })
        tags.push(42 as never)
        expect((yield* (yield* Storage).runs({ tag: "a" })).map(({ tags }) => tags)).toEqual([["a"]])
      }),
    ),
  )
})

it("a workflow is not built with a version, a label or a meta that could not be listed", () => {
  const refusal = (build: () => unknown): string => {
    try {
      build()
    } catch (thrown) {
      return (thrown as Error).message
    }
    throw new Error("it was accepted")
  }
  const step = (options: object) => () => workflow(($) => $.step("a", { output: Text, run: () => "", ...options } as never))
  expect(
    refusal(() => Smithers.createWorkflow({ name: "w", input: Schema.Struct({}), version: 2 as never }).build(($) => $.sequence())),
  ).toContain('"version" must be a string')
  expect(refusal(step({ label: 2 }))).toContain('"label" must be text')
  expect(refusal(step({ meta: { since: new Date(0) } }))).toContain('"meta" must be JSON: since a Date is not a JSON value')
  expect(refusal(step({ meta: { n: 1n } }))).toContain('"meta" must be JSON: n a bigint is not a JSON value')
})
