/**
 * Deadlines of whole runs, in virtual time and on both stores.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Engine from "@smithers/core/Engine"
import { RunTimedOut } from "@smithers/core/Errors"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { processOn, runningOn, stores } from "./Flows.ts"
import { passing, quiet, rest } from "./Time.ts"

const Input = Schema.Struct({})
const Text = Schema.String
const hour = 3_600_000

for (const [name, store] of stores) {
  const on = runningOn(store)

  describe(`a deadline of a run on ${name}`, () => {
    it.effect("ends it as failed, once what is in flight is interrupted, its saga undone and its finally done", () => {
      const log: Array<string> = []
      const note = (what: string) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          log.push(`${what} ${now / 60_000}`)
          return what
        })
      const flow = Smithers.createWorkflow({ name: "w", input: Input, deadline: "1 hour" }).build(($) =>
        $.tryCatch({
          id: "try",
          try: $.saga(
            $.step("book", { output: Text, run: () => note("book"), compensate: () => note("unbook") }),
            $.step("long", {
              output: Text,
              run: () => Effect.onInterrupt(Effect.as(Effect.sleep("10 hours"), "long"), () => note("interrupted")),
            }),
            $.step("after", { output: Text, run: () => note("after") }),
          ),
          finally: $.step("tidy", { output: Text, run: () => Effect.zipRight(Effect.sleep("5 minutes"), note("tidy")) }),
        }),
      )
      return Effect.gen(function* () {
        const error = yield* passing("2 hours", Effect.flip(flow.execute({}, { runId: "r" })))
        expect(error).toEqual(new RunTimedOut({ runId: "r", deadline: hour }))
        expect(error.message).toBe(
          'Run "r" has reached its deadline, 1970-01-01T01:00:00.000Z, before it had finished. Finished steps are kept: resume it with a later deadline.',
        )
        expect(log).toEqual(["book 0", "interrupted 60", "unbook 60", "tidy 65"])
        expect((yield* Smithers.inspect("r")).run.status).toBe("failed")
        expect(yield* Effect.flip(flow.execute({}, { runId: "r" }))).toEqual(error)
      }).pipe(on)
    })

    it.effect("does nothing to a run that finishes before it, and is shown with it", () => {
      const flow = Smithers.createWorkflow({ name: "w", input: Input, deadline: "1 hour" }).build(($) =>
        $.step("s", { output: Text, run: () => Effect.as(Effect.sleep("59 minutes"), "done") }),
      )
      return Effect.gen(function* () {
        expect(yield* passing("2 hours", flow.execute({}, { runId: "r" }))).toBe("done")
        expect((yield* Smithers.inspect("r")).deadline).toBe(hour)
      }).pipe(on)
    })

    it.effect("that a caller gives is that of the run, as a time from now or a Date", () => {
      const flow = Smithers.createWorkflow({ name: "w", input: Input, deadline: "1 hour" }).build(($) =>
        $.timer("t", { duration: "1 day" }),
      )
      return Effect.gen(function* () {
        const ends = (runId: string, deadline: Smithers.Deadline) =>
          Effect.map(Effect.flip(flow.execute({}, { runId, deadline })), (error) => "deadline" in error && error.deadline)
        expect(yield* passing("3 hours", ends("longer", "2 hours"))).toBe(2 * hour)
        expect(yield* passing("3 hours", ends("dated", new Date(5 * hour)))).toBe(5 * hour)
        for (const deadline of [0, -1, "soon", new Date(Number.NaN), null])
          expect(yield* Effect.flip(flow.execute({}, { deadline: deadline as never }))).toMatchObject({ _tag: "InvalidSetting" })
      }).pipe(on)
    })

    it.effect("counts time that it waits, is paused, or that no process works on it, and survives restarts", () => {
      const flow = Smithers.createWorkflow({ name: "w", input: Input, deadline: "3 hours" }).build(($) =>
        $.approval("ok", { request: () => ({ title: "Ok?" }) }),
      )
      return Effect.gen(function* () {
        const storage = yield* Storage
        const first = yield* processOn(storage)
        const waiting = yield* Effect.provideService(flow.run({}, { runId: "r" }), Engine.Engine, first.engine)
        expect(waiting.status).toBe("waiting-approval")
        yield* first.stop
        yield* TestClock.adjust("1 hour")
        yield* Smithers.pause("r")
        // Nobody works on it, so it is woken for its end.
        const found = yield* storage.runnable(2 * hour, { runIds: ["r"] })
        expect(found.runs).toEqual([])
        yield* TestClock.adjust("3 hours")
        expect((yield* storage.runnable(4 * hour)).runs.map(({ runId }) => runId)).toEqual(["r"])
        const second = yield* processOn(storage)
        const error = yield* Effect.flip(Effect.provideService(flow.execute({}, { runId: "r" }), Engine.Engine, second.engine))
        expect(error).toEqual(new RunTimedOut({ runId: "r", deadline: 3 * hour }))
      }).pipe(on)
    })

    it.effect("wakes a waiting run that a supervisor watches", () => {
      const flow = Smithers.createWorkflow({ name: "w", input: Input, deadline: "3 hours" }).build(($) =>
        $.signal("go", { name: "go", payload: Text }),
      )
      return Effect.gen(function* () {
        const storage = yield* Storage
        yield* flow.run({}, { runId: "r" })
        expect((yield* storage.runnable(1)).nextAt).toBe(3 * hour)
      }).pipe(on)
    })

    it.effect("is that of attached child runs too, or their own where it is earlier", () => {
      const child = (own: "30 minutes" | "5 hours" | undefined) =>
        Smithers.createWorkflow({ name: `child ${own}`, input: Input, ...(own === undefined ? {} : { deadline: own }) }).build(
          ($) => $.timer("t", { duration: "1 day" }),
        )
      const flow = Smithers.createWorkflow({ name: "w", input: Input, deadline: "1 hour" }).build(($) =>
        $.parallel(
          $.subflow("same", { workflow: child(undefined), input: () => ({}) }),
          $.subflow("later", { workflow: child("5 hours"), input: () => ({}) }),
          $.subflow("earlier", { workflow: child("30 minutes"), input: () => ({}), onFail: "continue" }),
          $.subflow("detached", { workflow: child(undefined), input: () => ({}), attach: false }),
        ),
      )
      return Effect.gen(function* () {
        const fiber = yield* Effect.fork(Effect.flip(flow.execute({}, { runId: "r" })))
        yield* TestClock.adjust("31 minutes")
        yield* rest
        const of = (node: string) => Smithers.inspect(`r~${node}~0`)
        expect([(yield* of("same")).deadline, (yield* of("later")).deadline, (yield* of("earlier")).deadline]).toEqual([
          hour,
          hour,
          hour / 2,
        ])
        expect((yield* of("detached")).deadline).toBe(undefined)
        expect((yield* of("earlier")).failure).toEqual(new RunTimedOut({ runId: "r~earlier~0", deadline: hour / 2 }))
        expect((yield* of("same")).run.status).not.toBe("failed")
        yield* TestClock.adjust("1 hour")
        expect(yield* Fiber.join(fiber)).toEqual(new RunTimedOut({ runId: "r", deadline: hour }))
        expect((yield* of("same")).run.finishedAt).not.toBe(null)
        expect((yield* of("later")).run.finishedAt).not.toBe(null)
        expect((yield* of("detached")).run.finishedAt).toBe(null)
      }).pipe(on)
    })

    it.effect("can be moved by resuming the run, which goes on where it was; without that it ends again at once", () => {
      let calls = 0
      const flow = Smithers.createWorkflow({ name: "w", input: Input, deadline: "1 hour" }).build(($) =>
        $.sequence(
          $.step("first", { output: Text, run: () => `${++calls}` }),
          $.step("long", { output: Text, run: () => Effect.as(Effect.sleep("90 minutes"), "done") }),
        ),
      )
      return Effect.gen(function* () {
        yield* passing("1 hour", Effect.exit(flow.execute({}, { runId: "r" })))
        yield* quiet
        const again = yield* Effect.flip(flow.resume("r"))
        expect(again).toEqual(new RunTimedOut({ runId: "r", deadline: hour }))
        expect(yield* passing("3 hours", flow.resume("r", { deadline: "2 hours" }))).toBe("done")
        expect(calls).toBe(1)
        expect((yield* Smithers.inspect("r")).deadline).toBe(3 * hour)
      }).pipe(on)
    })

    it.effect("leaves a cancellation that came before it a cancellation", () => {
      const flow = Smithers.createWorkflow({ name: "w", input: Input, deadline: "1 hour" }).build(($) =>
        $.saga(
          $.step("a", { output: Text, run: () => "a", compensate: () => Effect.sleep("2 hours") }),
          $.timer("t", { duration: "1 day" }),
        ),
      )
      return Effect.gen(function* () {
        const fiber = yield* Effect.fork(Effect.flip(flow.execute({}, { runId: "r" })))
        yield* TestClock.adjust("30 minutes")
        yield* rest
        yield* Smithers.cancel("r")
        yield* TestClock.adjust("3 hours")
        expect((yield* Fiber.join(fiber))._tag).toBe("RunCancelled")
      }).pipe(on)
    })
  })
}

describe("a deadline of a workflow", () => {
  it("is refused where it is no duration", () => {
    for (const deadline of ["soon", 0, -1, {}])
      expect(() =>
        Smithers.createWorkflow({ name: "w", input: Input, deadline: deadline as never }).build(($) =>
          $.step("s", { output: Text, run: () => "" }),
        ),
      ).toThrow(/"deadline"/)
  })
})
