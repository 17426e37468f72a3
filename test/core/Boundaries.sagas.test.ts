/**
 * Sagas: what has finished in one that is left by a failure or a cancellation is undone, in one process and across restarts, on every store.
 */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { InvalidWorkflow } from "@smithers/core/Errors"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { describe } from "vitest"
import { always, type Builder, journal, runningOn, stores, Text, workflow } from "./Flows.ts"
import { passing, rest } from "./Time.ts"

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  describe("a saga", () => {
    it.effect("that succeeds gives its last value, and undoes nothing, also when the run fails later", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          const w = workflow(($) =>
            $.sequence(
              $.saga(step($, "a"), step($, "b")),
              $.step("c", { output: Text, retry: false, run: () => Effect.fail("late") }),
            ),
          )
          const result = yield* w.run({}, { runId: "r" })
          expect(result).toMatchObject({ status: "failed", error: { _tag: "StepFailed", nodeId: "c" } })
          expect(done).toEqual(["a", "b"])
        }),
      ),
    )

    it.effect("undoes what has finished in reverse order of completion, and the run fails with the cause", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          const w = workflow(($) => $.saga(step($, "a"), step($, "b"), step($, "c"), step($, "d", { fails: always })))
          const result = yield* w.run({}, { runId: "r" })
          expect(result).toMatchObject({
            status: "failed",
            error: { _tag: "StepFailed", nodeId: "d", error: { message: "d is no good" } },
          })
          expect(done).toEqual(["a", "b", "c", "d", "undo c 0", "undo b 0", "undo a 0"])
          const storage = yield* Storage
          const { nodes, attempts } = yield* storage.inspect("r")
          expect(nodes.map(({ nodeId, kind, status }) => [nodeId, kind, status])).toEqual([
            ["a", "step", "finished"],
            ["a~compensate", "step", "finished"],
            ["b", "step", "finished"],
            ["b~compensate", "step", "finished"],
            ["c", "step", "finished"],
            ["c~compensate", "step", "finished"],
            ["d", "step", "failed"],
            ["saga:a", "boundary", "failed"],
          ])
          expect(attempts.filter(({ nodeId }) => nodeId.endsWith("~compensate"))).toHaveLength(3)
        }),
      ),
    )

    it.effect("undoes parallel branches in the order in which they completed, not in which they stand", () =>
      on(
        Effect.gen(function* () {
          const done: Array<string> = []
          const step = ($: Builder, id: string, seconds: number) =>
            $.step(id, {
              output: Text,
              run: () => Effect.as(Effect.sleep(`${seconds} seconds`), id),
              compensate: ({ output }) => {
                done.push(output)
              },
            })
          const w = workflow(($) =>
            $.saga(
              $.parallel(step($, "slow", 3), step($, "fast", 1), step($, "middle", 2)),
              $.step("fails", { output: Text, retry: false, run: () => Effect.fail("no") }),
            ),
          )
          yield* passing("5 seconds", w.run({}, { runId: "r" }))
          expect(done).toEqual(["slow", "middle", "fast"])
        }),
      ),
    )

    it.effect("waits for what is in flight beside a failure, keeps it, and undoes it too", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          const w = workflow(($) =>
            $.saga(
              $.parallel(
                $.step("slow", {
                  output: Text,
                  run: () => Effect.as(Effect.sleep("1 minute"), "slow"),
                  compensate: () => {
                    done.push("undo slow")
                  },
                }),
                $.sequence(step($, "a"), step($, "b", { fails: always })),
              ),
            ),
          )
          const result = yield* passing("2 minutes", w.run({}, { runId: "r" }))
          expect(result.status).toBe("failed")
          expect(done).toEqual(["a", "b", "undo slow", "undo a 0"])
        }),
      ),
    )

    it.effect("undoes each pass of a loop, the last one first, with what each pass gave", () =>
      on(
        Effect.gen(function* () {
          const done: Array<string> = []
          const w = workflow(($) => {
            const inner = $.step("inner", {
              output: Text,
              run: ({ iteration }) => `inner ${iteration}`,
            })
            const book = $.step("book", {
              needs: { inner },
              output: Text,
              run: ({ inner, iteration }) => `${inner}, ${iteration}`,
              compensate: ({ output, inner, iteration, idempotencyKey }) => {
                done.push(`${output} | ${inner} | ${iteration} | ${idempotencyKey}`)
              },
            })
            return $.saga(
              $.loop({
                id: "outer",
                maxIterations: 2,
                until: () => false,
                body: $.loop({ id: "loop", maxIterations: 2, until: () => false, body: $.sequence(inner, book) }),
              }),
              $.step("fails", { output: Text, retry: false, run: () => Effect.fail("no") }),
            )
          })
          yield* w.run({}, { runId: "r" })
          expect(done).toEqual([
            "inner 1, 1 | inner 1 | 1 | r:book~compensate:3",
            "inner 0, 0 | inner 0 | 0 | r:book~compensate:2",
            "inner 1, 1 | inner 1 | 1 | r:book~compensate:1",
            "inner 0, 0 | inner 0 | 0 | r:book~compensate:0",
          ])
        }),
      ),
    )

    it.effect("in a loop undoes its own pass only", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          let passes = 0
          const w = workflow(($) =>
            $.loop({
              id: "loop",
              maxIterations: 3,
              until: () => false,
              body: $.saga(step($, "a"), step($, "b", { fails: () => ++passes === 2 })),
            }),
          )
          yield* w.run({}, { runId: "r" })
          expect(done).toEqual(["a", "b", "a", "b", "undo a 1"])
        }),
      ),
    )

    it.effect("goes on without its value where it is told to continue", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          const w = workflow(($) => {
            const trip = $.saga(step($, "a"), step($, "b", { fails: always }), { id: "trip", onCompensated: "continue" })
            return $.sequence(trip, $.step("after", { needs: { trip }, output: Text, run: ({ trip }) => `trip: ${trip}` }))
          })
          expect(yield* w.execute({}, { runId: "r" })).toBe("trip: undefined")
          expect(done).toEqual(["a", "b", "undo a 0"])
          const storage = yield* Storage
          expect((yield* storage.inspect("r")).nodes.find(({ nodeId }) => nodeId === "trip")?.status).toBe("compensated")
          // Asked again, it answers with what is stored.
          expect(yield* w.execute({}, { runId: "r" })).toBe("trip: undefined")
        }),
      ),
    )

    it.effect("inside another one is undone first, and then the one around it", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          const w = workflow(($) =>
            $.saga(step($, "a"), $.saga(step($, "b"), step($, "c")), $.saga(step($, "d"), step($, "e", { fails: always }))),
          )
          yield* w.run({}, { runId: "r" })
          expect(done).toEqual(["a", "b", "c", "d", "e", "undo d 0", "undo c 0", "undo b 0", "undo a 0"])
        }),
      ),
    )

    it.effect("beside a failure is undone as well, as the run cannot go on", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          const w = workflow(($) =>
            $.parallel(
              $.saga(step($, "a"), $.approval("ask", { request: () => ({ title: "?" }) }), step($, "b")),
              $.step("fails", {
                output: Text,
                retry: false,
                run: () => Effect.zipRight(Effect.sleep("1 minute"), Effect.fail("no")),
              }),
            ),
          )
          const result = yield* passing("2 minutes", w.run({}, { runId: "r" }))
          expect(result).toMatchObject({ status: "failed", error: { nodeId: "fails" } })
          expect(done).toEqual(["a", "undo a 0"])
        }),
      ),
    )

    it.effect("is undone when a step times out", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          const w = workflow(($) =>
            $.saga(step($, "a"), $.step("slow", { output: Text, retry: false, timeout: "1 minute", run: () => Effect.never })),
          )
          const result = yield* passing("2 minutes", w.run({}, { runId: "r" }))
          expect(result).toMatchObject({ status: "failed", error: { _tag: "StepTimedOut", nodeId: "slow" } })
          expect(done).toEqual(["a", "undo a 0"])
        }),
      ),
    )

    it.effect("is undone when the run is cancelled, before the run has ended; a finished one is not", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          const w = workflow(($) =>
            $.sequence(
              $.saga(step($, "before")),
              $.saga(
                step($, "a"),
                $.step("slow", { output: Text, run: () => Effect.never, compensate: () => done.push("never") }),
                step($, "b"),
              ),
            ),
          )
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          yield* w.cancel("r", "enough")
          expect(yield* Fiber.join(fiber)).toEqual({ status: "cancelled", runId: "r", reason: "enough" })
          expect(done).toEqual(["before", "a", "undo a 0"])
          const storage = yield* Storage
          const { run, nodes } = yield* storage.inspect("r")
          expect(run.status).toBe("cancelled")
          expect(nodes.find(({ nodeId }) => nodeId === "slow")?.status).toBe("interrupted")
        }),
      ),
    )

    it.effect("is undone when the run is cancelled while it waits", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          const w = workflow(($) => $.saga(step($, "a"), $.approval("ask", { request: () => ({ title: "?" }) }), step($, "b")))
          expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
          yield* Commands.cancel("r")
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "cancelled" })
          expect(done).toEqual(["a", "undo a 0"])
          yield* Commands.cancel("r")
        }),
      ),
    )

    it.effect("whose steps cannot be undone says so beside the cause, and undoes the others", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          const w = workflow(($) =>
            $.saga(
              step($, "a"),
              step($, "b", {
                undo: () => {
                  throw new Error("it is gone")
                },
              }),
              step($, "c"),
              step($, "d", { fails: always }),
            ),
          )
          const failed = yield* Effect.flip(w.execute({}, { runId: "r" }))
          expect(failed).toMatchObject({
            _tag: "CompensationFailed",
            cause: { _tag: "StepFailed", nodeId: "d" },
            failed: [{ nodeId: "b", iteration: 0, error: { message: "it is gone" } }],
          })
          expect(failed.message).toContain("d is no good")
          expect(failed.message).toContain(`"b" (Error: it is gone)`)
          expect(done).toEqual(["a", "b", "c", "d", "undo c 0", "undo b 0", "undo a 0"])
          const storage = yield* Storage
          expect((yield* storage.inspect("r")).failure).toMatchObject({ _tag: "CompensationFailed", failed: [{ nodeId: "b" }] })
        }),
      ),
    )

    it.effect("that was cancelled and could not be undone says so", () =>
      on(
        Effect.gen(function* () {
          const { undoable: step } = journal()
          const w = workflow(($) =>
            $.saga(
              step($, "a", {
                undo: () => {
                  throw new Error("stuck")
                },
              }),
              $.approval("ask", { request: () => ({ title: "?" }) }),
            ),
          )
          yield* w.run({}, { runId: "r" })
          yield* Commands.cancel("r")
          const result = yield* w.run({}, { runId: "r" })
          expect(result).toMatchObject({ status: "cancelled", uncompensated: [{ nodeId: "a", error: { message: "stuck" } }] })
          expect(yield* w.run({}, { runId: "r" })).toEqual(result)
        }),
      ),
    )

    it.effect("does not go on where it is told to continue and a step could not be undone", () =>
      on(
        Effect.gen(function* () {
          const { undoable: step } = journal()
          const w = workflow(($) => {
            const undo = () => {
              throw new Error("stuck")
            }
            return $.sequence(
              $.saga(step($, "a", { undo }), step($, "b", { fails: always }), { onCompensated: "continue" }),
              $.step("after", { output: Text, run: () => "after" }),
            )
          })
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({
            status: "failed",
            error: { _tag: "CompensationFailed", cause: { nodeId: "b" }, failed: [{ nodeId: "a" }] },
          })
        }),
      ),
    )

    it.effect("is undone with retries, and with the policy of the step", () =>
      on(
        Effect.gen(function* () {
          const done: Array<string> = []
          let tries = 0
          const w = workflow(($) =>
            $.saga(
              $.step("a", {
                output: Text,
                retry: { maxAttempts: 3, initialDelay: "1 minute", jitter: false },
                run: () => "a",
                compensate: ({ attempt, output }) =>
                  Effect.suspend(() => {
                    done.push(`try ${attempt} of ${output}`)
                    return ++tries < 3 ? Effect.fail("not yet") : Effect.void
                  }),
              }),
              $.step("fails", { output: Text, retry: false, run: () => Effect.fail("no") }),
            ),
          )
          const result = yield* passing("10 minutes", Effect.flip(w.execute({}, { runId: "r" })))
          expect(result).toMatchObject({ _tag: "StepFailed", nodeId: "fails" })
          expect(done).toEqual(["try 1 of a", "try 2 of a", "try 3 of a"])
        }),
      ),
    )

    it.effect("that was being undone when its process went goes on there, and undoes nothing twice", () =>
      on(
        Effect.gen(function* () {
          const done: Array<string> = []
          let isStuck = true
          const step = ($: Builder, id: string, undo: () => Effect.Effect<void> = () => Effect.void) =>
            $.step(id, {
              output: Text,
              run: () => id,
              compensate: () => {
                done.push(`undo ${id}`)
                return undo()
              },
            })
          const w = workflow(($) =>
            $.saga(
              step($, "a"),
              step($, "b", () => (isStuck ? Effect.never : Effect.void)),
              step($, "c"),
              $.step("fails", { output: Text, retry: false, run: () => Effect.fail("no") }),
            ),
          )
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          expect(done).toEqual(["undo c", "undo b"])
          yield* Fiber.interrupt(fiber)
          isStuck = false
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "fails" } })
          expect(done).toEqual(["undo c", "undo b", "undo b", "undo a"])
        }),
      ),
    )

    it.effect("begins anew when its run is resumed: what was undone is done again", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
          let isFixed = false
          const step0 = ($: Builder) =>
            $.step("first", {
              output: Text,
              run: () => {
                done.push("first")
                return "first"
              },
            })
          const w = workflow(($) =>
            $.sequence(step0($), $.saga(step($, "a"), step($, "b"), step($, "c", { fails: () => !isFixed }))),
          )
          yield* w.run({}, { runId: "r" })
          expect(done).toEqual(["first", "a", "b", "c", "undo b 0", "undo a 0"])
          isFixed = true
          done.length = 0
          expect(yield* w.execute({}, { runId: "r", onFailed: "resume" })).toBe("c")
          expect(done).toEqual(["a", "b", "c"])
        }),
      ),
    )

    it.effect("that has finished is done for those that need what is in it, also after a restart", () =>
      on(
        Effect.gen(function* () {
          let isStuck = true
          const w = workflow(($) => {
            const a = $.step("a", { output: Text, run: () => "a" })
            const run = ({ a }: { readonly a: string }) => (isStuck ? Effect.never : Effect.succeed(`after ${a}`))
            return $.sequence($.saga(a), $.step("after", { needs: { a }, output: Text, run }))
          })
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          yield* Fiber.interrupt(fiber)
          isStuck = false
          expect(yield* w.execute({}, { runId: "r" })).toBe("after a")
        }),
      ),
    )

    it.effect(
      "does again all that was undone in it when its run is resumed: in sagas inside, and loops from their first pass",
      () =>
        on(
          Effect.gen(function* () {
            const { done, undoable: step } = journal()
            let isFixed = false
            const w = workflow(($) =>
              $.saga(
                $.saga(step($, "a")),
                $.tryCatch({ try: step($, "b"), finally: $.step("last", { output: Text, run: () => "last" }) }),
                $.loop({ id: "loop", maxIterations: 2, until: () => false, body: step($, "c") }),
                step($, "d", { fails: () => !isFixed }),
              ),
            )
            yield* w.run({}, { runId: "r" })
            expect(done).toEqual(["a", "b", "c", "c", "d", "undo c 1", "undo c 0", "undo b 0", "undo a 0"])
            isFixed = true
            done.length = 0
            expect(yield* w.execute({}, { runId: "r", onFailed: "resume" })).toBe("d")
            expect(done).toEqual(["a", "b", "c", "c", "d"])
          }),
        ),
    )

    it.effect("that begins anew makes again what was made of what was undone, under another key", () =>
      on(
        Effect.gen(function* () {
          const keys: Array<string> = []
          let [isFixed, count] = [false, 0]
          const w = workflow(($) => {
            const book = $.step("book", {
              output: Text,
              run: ({ idempotencyKey }) => {
                keys.push(idempotencyKey)
                return `ref ${++count}`
              },
              compensate: ({ idempotencyKey }) => {
                keys.push(idempotencyKey)
              },
            })
            const confirm = $.step("confirm", { needs: { book }, output: Text, run: ({ book }) => `confirmed ${book}` })
            const pay = $.step("pay", {
              needs: { confirm },
              output: Text,
              retry: false,
              run: ({ confirm }) => (isFixed ? Effect.succeed(confirm) : Effect.fail("no")),
            })
            return $.saga(book, confirm, pay)
          })
          yield* w.run({}, { runId: "r" })
          yield* w.run({}, { runId: "r", onFailed: "resume" })
          isFixed = true
          expect(yield* w.execute({}, { runId: "r", onFailed: "resume" })).toBe("confirmed ref 3")
          expect(keys).toEqual([...["r:book:0", "r:book~compensate:0"], ...["r:book:0:1", "r:book~compensate:0:1"], "r:book:0:2"])
        }),
      ),
    )

    it("whose steps take over what another run has done is refused", () => {
      const build = () => workflow(($) => $.saga($.step("a", { output: Text, run: () => "a", cache: true, compensate: () => {} })))
      expect(build).toThrow(`it has both "cache" and "compensate"`)
    })

    it("must be there for a step that can be undone", () => {
      const { undoable: step } = journal()
      expect(() => workflow(($) => step($, "a"))).toThrow(InvalidWorkflow)
      expect(() => workflow(($) => step($, "a"))).toThrow(`"compensate" is never called, as no saga is around it`)
    })
  })
})
