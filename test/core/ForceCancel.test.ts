/**
 * Runs that are ended by force, since what undoes them hangs.
 */
import { describe, expect, it } from "@effect/vitest"
import * as EndRun from "@smithers/core/EndRun"
import { RunEnded, RunNotFound } from "@smithers/core/Errors"
import * as Smithers from "@smithers/core/Smithers"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { runningOn, stores } from "./Flows.ts"
import { settled } from "./Time.ts"

const Input = Schema.Struct({})
const Text = Schema.String
const notUndone = { name: "NotUndone", message: "the run was ended by force before it was undone", retryable: false }

for (const [name, store] of stores) {
  const on = runningOn(store)

  describe(`a cancellation by force on ${name}`, () => {
    it.effect("ends a run whose undoing hangs, and tells what was not undone", () => {
      const done: Array<string> = []
      const flow = Smithers.createWorkflow({ name: "w", input: Input }).build(($) => {
        const step = (id: string, undo: Effect.Effect<unknown>) =>
          $.step(id, {
            output: Text,
            run: () => id,
            compensate: () =>
              Effect.zipRight(
                Effect.sync(() => done.push(`undo ${id}`)),
                undo,
              ),
          })
        return $.tryCatch({
          id: "try",
          try: $.sequence(
            $.saga(step("kept", Effect.void)),
            $.saga(
              step("a", Effect.void),
              step("b", Effect.never),
              step("c", Effect.void),
              $.step("plain", { output: Text, run: () => "plain" }),
              $.timer("t", { duration: "1 day" }),
            ),
          ),
          finally: $.step("tidy", { output: Text, run: () => "tidy" }),
        })
      })
      return Effect.gen(function* () {
        const waiting = yield* Effect.fork(Effect.exit(flow.execute({}, { runId: "r" })))
        yield* settled("the saga waits", () =>
          Effect.map(
            Effect.orElseSucceed(Smithers.inspect("r"), () => undefined),
            (details) => details?.nodes.some(({ nodeId, status }) => nodeId === "t" && status === "waiting") === true,
          ),
        )
        yield* Smithers.cancel("r", { reason: "rain" })
        yield* settled("the undoing hangs", () => done.includes("undo b"))
        const ended = yield* flow.forceCancel("r", "it hangs")
        expect(ended).toEqual({
          runId: "r",
          children: [],
          uncompensated: expect.arrayContaining([
            { nodeId: "a", iteration: 0, error: notUndone },
            { nodeId: "b", iteration: 0, error: notUndone },
          ]),
          unfinished: [{ nodeId: "try", iteration: 0 }],
        })
        expect(ended.uncompensated).toHaveLength(2)
        expect(done).toEqual(["undo c", "undo b"])
        expect((yield* Smithers.inspect("r")).run).toMatchObject({ status: "cancelled", owner: null })
        // Who worked on it here stops.
        yield* TestClock.adjust("1 minute")
        expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "Failure" })
        expect(yield* Effect.flip(flow.execute({}, { runId: "r" }))).toMatchObject({ _tag: "RunCancelled", reason: "rain" })
        // It is told again, and nothing is done twice.
        expect((yield* EndRun.force("r")).uncompensated).toHaveLength(2)
        expect(done).toEqual(["undo c", "undo b"])
      }).pipe(on)
    })

    it.effect("ends child runs that it waits for, too", () => {
      const child = Smithers.createWorkflow({ name: "child", input: Input }).build(($) =>
        $.saga(
          $.step("pay", { output: Text, run: () => "paid", compensate: () => Effect.never }),
          $.timer("t", { duration: "1 day" }),
        ),
      )
      const flow = Smithers.createWorkflow({ name: "w", input: Input }).build(($) =>
        $.subflow("inner", { workflow: child, input: () => ({}) }),
      )
      return Effect.gen(function* () {
        yield* flow.run({}, { runId: "r" })
        const ended = yield* EndRun.force("r", "now")
        expect(ended).toEqual({
          runId: "r",
          children: ["r~inner~0"],
          uncompensated: [{ runId: "r~inner~0", nodeId: "pay", iteration: 0, error: notUndone }],
          unfinished: [],
        })
        for (const runId of ["r", "r~inner~0"]) expect((yield* Smithers.inspect(runId)).run.status).toBe("cancelled")
      }).pipe(on)
    })

    it.effect("is refused for a run that has finished, and for one that does not exist", () => {
      const flow = Smithers.createWorkflow({ name: "w", input: Input }).build(($) => $.step("s", { output: Text, run: () => "" }))
      return Effect.gen(function* () {
        yield* flow.execute({}, { runId: "r" })
        expect(yield* Effect.flip(EndRun.force("r"))).toEqual(new RunEnded({ runId: "r", status: "finished" }))
        expect(yield* Effect.flip(EndRun.force("none"))).toEqual(new RunNotFound({ runId: "none" }))
      }).pipe(on)
    })

    it.effect("can be taken back like any other: what was not undone is run again", () => {
      let runs = 0
      const flow = Smithers.createWorkflow({ name: "w", input: Input }).build(($) =>
        $.saga(
          $.step("pay", { output: Text, run: () => `${++runs}`, compensate: () => Effect.never }),
          $.timer("t", { duration: "1 hour" }),
        ),
      )
      return Effect.gen(function* () {
        yield* flow.run({}, { runId: "r" })
        yield* EndRun.force("r")
        const resumed = yield* Effect.fork(flow.resume("r"))
        yield* TestClock.adjust("2 hours")
        yield* Fiber.join(resumed)
        expect((yield* Smithers.inspect("r")).run.status).toBe("finished")
      }).pipe(on)
    })
  })
}
