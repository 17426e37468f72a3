/**
 * Sagas and tries: how failures and cancellations are met on their way outwards, in one process and across restarts, on every store.
 */

import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { InvalidWorkflow } from "@smithers/core/Errors"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { passing } from "./Time.ts"

const Input = Schema.Struct({})
type Builder = Smithers.Builder<typeof Input.Type>
const Text = Schema.String

const rest = Effect.gen(function* () {
  for (let turn = 0; turn < 80; turn++) yield* Effect.yieldNow()
})

const stores: ReadonlyArray<readonly [string, Layer.Layer<Storage, unknown>]> = [
  ["memory", MemoryStorage.layer],
  ["SQLite", SqliteStorage.layer({ filename: ":memory:" })],
]

const workflow = <A, R>(build: ($: Builder) => Smithers.Node<A, R>) =>
  Smithers.createWorkflow({ name: "w", input: Input }).build<A, R>(build)

/** Says what was done and undone, in order. */
const journal = () => {
  const done: Array<string> = []
  const step = ($: Builder, id: string, more: { readonly fails?: () => boolean; readonly undo?: () => unknown } = {}) =>
    $.step(id, {
      output: Text,
      retry: false,
      run: () => {
        done.push(id)
        if (more.fails?.() === true) throw new Error(`${id} is no good`)
        return id
      },
      compensate: ({ output, idempotencyKey }) => {
        done.push(`undo ${output} ${idempotencyKey.split(":")[2]}`)
        return more.undo?.()
      },
    })
  return { done, step }
}
const always = () => true

describe.each(stores)("on %s", (_, store) => {
  const on = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) =>
    Effect.provide(effect, Smithers.onStorage(store, { lease: "100 days" }))

  describe("a saga", () => {
    it.effect("that succeeds gives its last value, and undoes nothing, also when the run fails later", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
          const w = workflow(($) =>
            $.sequence(
              $.saga(step($, "a"), step($, "b")),
              $.step("c", { output: Text, retry: false, run: () => Effect.fail("late") }),
            ),
          )
          const result = yield* w.run({}, { runId: "r" })
          expect(result).toMatchObject({ _tag: "failed", error: { _tag: "StepFailed", nodeId: "c" } })
          expect(done).toEqual(["a", "b"])
        }),
      ),
    )

    it.effect("undoes what has finished in reverse order of completion, and the run fails with the cause", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
          const w = workflow(($) => $.saga(step($, "a"), step($, "b"), step($, "c"), step($, "d", { fails: always })))
          const result = yield* w.run({}, { runId: "r" })
          expect(result).toMatchObject({
            _tag: "failed",
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
          const { done, step } = journal()
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
          expect(result._tag).toBe("failed")
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
          const { done, step } = journal()
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
          const { done, step } = journal()
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
          const { done, step } = journal()
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
          const { done, step } = journal()
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
          expect(result).toMatchObject({ _tag: "failed", error: { nodeId: "fails" } })
          expect(done).toEqual(["a", "undo a 0"])
        }),
      ),
    )

    it.effect("is undone when a step times out", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
          const w = workflow(($) =>
            $.saga(step($, "a"), $.step("slow", { output: Text, retry: false, timeout: "1 minute", run: () => Effect.never })),
          )
          const result = yield* passing("2 minutes", w.run({}, { runId: "r" }))
          expect(result).toMatchObject({ _tag: "failed", error: { _tag: "StepTimedOut", nodeId: "slow" } })
          expect(done).toEqual(["a", "undo a 0"])
        }),
      ),
    )

    it.effect("is undone when the run is cancelled, before the run has ended; a finished one is not", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
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
          expect(yield* Fiber.join(fiber)).toEqual({ _tag: "cancelled", runId: "r", reason: "enough" })
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
          const { done, step } = journal()
          const w = workflow(($) => $.saga(step($, "a"), $.approval("ask", { request: () => ({ title: "?" }) }), step($, "b")))
          expect((yield* w.run({}, { runId: "r" }))._tag).toBe("waiting-approval")
          yield* Commands.cancel("r")
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ _tag: "cancelled" })
          expect(done).toEqual(["a", "undo a 0"])
          yield* Commands.cancel("r")
        }),
      ),
    )

    it.effect("whose steps cannot be undone says so beside the cause, and undoes the others", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
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
          const { step } = journal()
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
          expect(result).toMatchObject({ _tag: "cancelled", uncompensated: [{ nodeId: "a", error: { message: "stuck" } }] })
          expect(yield* w.run({}, { runId: "r" })).toEqual(result)
        }),
      ),
    )

    it.effect("does not go on where it is told to continue and a step could not be undone", () =>
      on(
        Effect.gen(function* () {
          const { step } = journal()
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
            _tag: "failed",
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
          const result = yield* passing("10 minutes", w.run({}, { runId: "r" }))
          expect(result).toMatchObject({ _tag: "failed", error: { _tag: "StepFailed", nodeId: "fails" } })
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
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ _tag: "failed", error: { nodeId: "fails" } })
          expect(done).toEqual(["undo c", "undo b", "undo b", "undo a"])
        }),
      ),
    )

    it.effect("begins anew when its run is resumed: what was undone is done again", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
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
          expect(yield* w.execute({}, { runId: "r" })).toBe("c")
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
            const { done, step } = journal()
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
            expect(yield* w.execute({}, { runId: "r" })).toBe("d")
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
          yield* w.run({}, { runId: "r" })
          isFixed = true
          expect(yield* w.execute({}, { runId: "r" })).toBe("confirmed ref 3")
          expect(keys).toEqual([...["r:book:0", "r:book~compensate:0"], ...["r:book:0:1", "r:book~compensate:0:1"], "r:book:0:2"])
        }),
      ),
    )

    it("whose steps take over what another run has done is refused", () => {
      const build = () => workflow(($) => $.saga($.step("a", { output: Text, run: () => "a", cache: true, compensate: () => {} })))
      expect(build).toThrow(`it has both "cache" and "compensate"`)
    })

    it("must be there for a step that can be undone", () => {
      const { step } = journal()
      expect(() => workflow(($) => step($, "a"))).toThrow(InvalidWorkflow)
      expect(() => workflow(($) => step($, "a"))).toThrow(`"compensate" is never called, as no saga is around it`)
    })
  })

  describe("a try", () => {
    it.effect("gives what is in it, and its finally is run, where nothing fails", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          const w = workflow(($) => $.tryCatch({ try: step($, "a"), catch: step($, "caught"), finally: step($, "last") }))
          expect(yield* w.execute({}, { runId: "r" })).toBe("a")
          expect(done).toEqual(["a", "last"])
          expect(yield* w.execute({}, { runId: "r" })).toBe("a")
        }),
      ),
    )

    it.effect("runs its catch with what failed, then its finally, and gives what the catch gave", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          const w = workflow(($) =>
            $.tryCatch({
              id: "guard",
              try: $.sequence(step($, "a"), step($, "b", always), step($, "never")),
              catch: $.step("caught", {
                needs: { error: $.caught("guard") },
                output: Text,
                run: ({ error }) => `${error.nodeId}/${error.iteration} ${error.name}: ${error.message}`,
              }),
              finally: step($, "last"),
            }),
          )
          expect(yield* w.execute({}, { runId: "r" })).toBe("b/0 Error: b is no good")
          expect(done).toEqual(["a", "b", "last"])
          const storage = yield* Storage
          expect((yield* storage.inspect("r")).nodes.find(({ nodeId }) => nodeId === "guard")?.status).toBe("caught")
        }),
      ),
    )

    it.effect("runs a function as its catch, as a step whose result is kept", () =>
      on(
        Effect.gen(function* () {
          let calls = 0
          const { step } = plain()
          const w = workflow(($) => {
            const guarded = $.tryCatch({
              try: step($, "a", always),
              catch: ({ error, input }) =>
                Effect.sync(() => ({ said: `${error.message} ${JSON.stringify(input)}`, calls: ++calls })),
            })
            return $.sequence(
              guarded,
              $.step("after", { needs: { guarded }, output: Schema.Unknown, run: ({ guarded }) => guarded }),
            )
          })
          expect(yield* w.execute({}, { runId: "r" })).toEqual({ said: "a is no good {}", calls: 1 })
          expect(yield* w.execute({}, { runId: "r" })).toEqual({ said: "a is no good {}", calls: 1 })
        }),
      ),
    )

    it.effect("leaves the rest of the run alone while it catches, and waits for what is in flight inside", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          const w = workflow(($) =>
            $.parallel(
              $.tryCatch({
                try: $.parallel(
                  step($, "a", always),
                  $.step("slow", {
                    output: Text,
                    run: () =>
                      Effect.map(Effect.sleep("1 minute"), () => {
                        done.push("slow")
                        return "slow"
                      }),
                  }),
                ),
                catch: step($, "caught"),
              }),
              $.sequence(step($, "beside"), step($, "then")),
            ),
          )
          const fiber = yield* Effect.fork(w.execute({}, { runId: "r" }))
          yield* rest
          expect(done).toEqual(["a", "beside", "then"])
          yield* passing("2 minutes", Fiber.join(fiber))
          expect(done).toEqual(["a", "beside", "then", "slow", "caught"])
        }),
      ),
    )

    it.effect("without a catch runs its finally and lets the failure go on", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          const w = workflow(($) => $.tryCatch({ try: step($, "a", always), finally: $.sequence(step($, "l1"), step($, "l2")) }))
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ _tag: "failed", error: { nodeId: "a" } })
          expect(done).toEqual(["a", "l1", "l2"])
        }),
      ),
    )

    it.effect(
      "whose catch fails runs its finally, and fails with what the catch failed with, which the try around it catches",
      () =>
        on(
          Effect.gen(function* () {
            const { done, step } = plain()
            const w = workflow(($) =>
              $.tryCatch({
                id: "outer",
                try: $.tryCatch({ id: "inner", try: step($, "a", always), catch: step($, "c", always), finally: step($, "f") }),
                catch: ({ error }) => error.message,
              }),
            )
            expect(yield* w.execute({}, { runId: "r" })).toBe("c is no good")
            expect(done).toEqual(["a", "c", "f"])
          }),
        ),
    )

    it.effect("whose finally fails is left by that failure", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          const w = workflow(($) =>
            $.tryCatch({
              id: "outer",
              try: $.tryCatch({ id: "inner", try: step($, "a"), finally: $.sequence(step($, "f", always), step($, "g")) }),
              catch: ({ error }) => error.message,
            }),
          )
          expect(yield* w.execute({}, { runId: "r" })).toBe("f is no good")
          expect(done).toEqual(["a", "f"])
        }),
      ),
    )

    it.effect("catches a denial, a loop that found no end, and a predicate that threw", () =>
      on(
        Effect.gen(function* () {
          const { step } = plain()
          const w = workflow(($) =>
            $.parallel(
              $.tryCatch({
                try: $.approval("ask", { request: () => ({ title: "?" }), timeout: "1 hour" }),
                catch: ({ error }) => error.name,
              }),
              $.tryCatch({
                try: $.loop({ id: "loop", body: step($, "pass"), until: () => false, maxIterations: 2, onMaxReached: "fail" }),
                catch: ({ error }) => `${error.nodeId}: ${error.name}`,
              }),
              $.tryCatch({
                id: "branching",
                try: $.branch({
                  when: () => {
                    throw new Error("which way?")
                  },
                  then: step($, "yes"),
                }),
                catch: ({ error }) => error.message,
              }),
            ),
          )
          const fiber = yield* Effect.fork(w.execute({}, { runId: "r" }))
          expect(yield* passing("2 hours", Fiber.join(fiber))).toEqual([
            "ApprovalDenied",
            "loop: LoopLimitReached",
            `its "when" threw: which way?`,
          ])
        }),
      ),
    )

    it.effect("catches a request for approval that could not be made, and is told which function threw", () =>
      on(
        Effect.gen(function* () {
          const w = workflow(($) =>
            $.tryCatch({
              try: $.step("a", {
                output: Text,
                run: () => "a",
                needsApproval: {
                  request: () => {
                    throw new Error("no title")
                  },
                },
              }),
              catch: ({ error }) => error.message,
            }),
          )
          expect(yield* w.execute({}, { runId: "r" })).toBe(`its "request" threw: no title`)
        }),
      ),
    )

    it.effect("runs its finally when the run is cancelled, and no catch", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          const w = workflow(($) =>
            $.tryCatch({
              try: $.sequence(step($, "a"), $.step("slow", { output: Text, run: () => Effect.never })),
              catch: step($, "caught"),
              finally: step($, "last"),
            }),
          )
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          yield* Commands.cancel("r")
          expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "cancelled" })
          expect(done).toEqual(["a", "last"])
        }),
      ),
    )

    it.effect("makes all passes of a loop in its finally when the run is cancelled, before it or in the midst of it", () =>
      on(
        Effect.gen(function* () {
          for (const stuck of ["slow", "pass"]) {
            const done: Array<string> = []
            const step = ($: Builder, id: string) =>
              $.step(id, {
                output: Text,
                run: () => {
                  done.push(id)
                  return id === stuck ? Effect.as(Effect.sleep("1 minute"), id) : Effect.succeed(id)
                },
              })
            const w = workflow(($) =>
              $.tryCatch({
                try: step($, "slow"),
                finally: $.loop({ id: "loop", maxIterations: 3, until: () => false, body: step($, "pass") }),
              }),
            )
            const fiber = yield* Effect.fork(w.run({}, { runId: stuck }))
            yield* rest
            yield* Commands.cancel(stuck)
            yield* passing("10 minutes", Fiber.join(fiber))
            expect(done).toEqual(["slow", "pass", "pass", "pass"])
          }
        }),
      ),
    )

    it.effect("beside a failure begins anew when some node of the run is run again", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          let isFixed = false
          const w = workflow(($) =>
            $.parallel(
              $.sequence(
                step($, "a"),
                step($, "b", () => !isFixed),
              ),
              $.tryCatch({
                try: $.approval("ask", { request: () => ({ title: "?" }), timeout: "1 hour", onTimeout: "approve" }),
                finally: step($, "last"),
              }),
            ),
          )
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ _tag: "failed", error: { nodeId: "b" } })
          isFixed = true
          yield* Commands.retryNode("r", "a")
          yield* passing("2 hours", w.execute({}, { runId: "r" }))
          expect(done).toEqual(["a", "b", "last", "a", "b", "last"])
        }),
      ),
    )

    it.effect("gives up what was waited for inside, so that nobody is asked any more", () =>
      on(
        Effect.gen(function* () {
          const { step } = plain()
          const w = workflow(($) =>
            $.sequence(
              $.tryCatch({
                try: $.parallel($.approval("ask", { request: () => ({ title: "?" }) }), step($, "a", always)),
                catch: step($, "caught"),
              }),
              $.approval("other", { request: () => ({ title: "!" }) }),
            ),
          )
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ waits: [{ nodeId: "other" }] })
          const storage = yield* Storage
          expect((yield* storage.waits({ runId: "r" })).map(({ nodeId }) => nodeId)).toEqual(["other"])
        }),
      ),
    )

    it.effect("starts afresh in each pass of a loop", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          let calls = 0
          const w = workflow(($) =>
            $.loop({
              id: "loop",
              maxIterations: 3,
              until: () => false,
              body: $.tryCatch({ id: "guard", try: step($, "a", () => ++calls === 2), catch: step($, "caught") }),
            }),
          )
          expect(yield* w.execute({}, { runId: "r" })).toBe("a")
          expect(done).toEqual(["a", "a", "caught", "a"])
        }),
      ),
    )

    it.effect("goes on where it was when the process went while it caught", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          let isStuck = true
          const w = workflow(($) =>
            $.tryCatch({
              try: step($, "a", always),
              catch: $.sequence(
                step($, "c1"),
                $.step("c2", {
                  output: Text,
                  run: () => {
                    done.push("c2")
                    return isStuck ? Effect.never : Effect.succeed("c2")
                  },
                }),
              ),
              finally: step($, "last"),
            }),
          )
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          yield* Fiber.interrupt(fiber)
          isStuck = false
          expect(yield* w.execute({}, { runId: "r" })).toBe("c2")
          expect(done).toEqual(["a", "c1", "c2", "c2", "last"])
        }),
      ),
    )

    it.effect("leaves a failure that it caught alone when the run is resumed because of another one", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          let isFixed = false
          const w = workflow(($) =>
            $.sequence(
              $.tryCatch({ try: step($, "a", always), catch: step($, "caught"), finally: step($, "last") }),
              step($, "b", () => !isFixed),
            ),
          )
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ error: { nodeId: "b" } })
          isFixed = true
          expect(yield* w.execute({}, { runId: "r" })).toBe("b")
          expect(done).toEqual(["a", "caught", "last", "b", "b"])
        }),
      ),
    )

    it.effect("that failed begins anew when the run is resumed, its finally too", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          let isFixed = false
          const w = workflow(($) =>
            $.tryCatch({
              try: $.sequence(
                step($, "a"),
                step($, "b", () => !isFixed),
              ),
              finally: step($, "last"),
            }),
          )
          yield* w.run({}, { runId: "r" })
          expect(done).toEqual(["a", "b", "last"])
          isFixed = true
          expect(yield* w.execute({}, { runId: "r" })).toBe("b")
          // What had finished in it is kept.
          expect(done).toEqual(["a", "b", "last", "b", "last"])
        }),
      ),
    )

    it.effect(
      "leaves alone what it caught of a try inside that had failed, when the run is resumed because of another failure",
      () =>
        on(
          Effect.gen(function* () {
            const { done, step } = plain()
            let isFixed = false
            const w = workflow(($) =>
              $.sequence(
                $.tryCatch({
                  try: $.tryCatch({ id: "inner", try: step($, "a", always), finally: step($, "last") }),
                  catch: step($, "caught"),
                }),
                step($, "b", () => !isFixed),
              ),
            )
            yield* w.run({}, { runId: "r" })
            isFixed = true
            expect(yield* w.execute({}, { runId: "r" })).toBe("b")
            expect(done).toEqual(["a", "last", "caught", "b", "b"])
            const storage = yield* Storage
            expect((yield* storage.inspect("r")).nodes.find(({ nodeId }) => nodeId === "inner")?.status).toBe("failed")
          }),
        ),
    )

    it.effect("goes on with its finally after a restart, with what came before it, and nothing beside it begins", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          let isStuck = true
          const w = workflow(($) => {
            const first = step($, "first")
            const last = $.step("last", {
              needs: { first },
              output: Text,
              run: ({ first }) => {
                done.push(`last after ${first}`)
                return isStuck ? Effect.never : Effect.succeed("last")
              },
            })
            const inner = $.tryCatch({ id: "inner", try: step($, "a", always), finally: last })
            const beside = $.sequence(inner, step($, "never"))
            return $.tryCatch({
              id: "outer",
              try: $.sequence(first, $.parallel(beside, step($, "neither"), { maxConcurrency: 1 })),
              finally: step($, "end"),
            })
          })
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          yield* Fiber.interrupt(fiber)
          isStuck = false
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ _tag: "failed", error: { nodeId: "a" } })
          expect(done).toEqual(["first", "a", "last after first", "last after first", "end"])
        }),
      ),
    )

    it.effect("with a saga inside undoes that before it catches, and inside a saga is undone with it", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
          const w = workflow(($) =>
            $.saga(
              step($, "a"),
              $.tryCatch({
                try: $.saga(step($, "b"), step($, "c", { fails: always })),
                catch: step($, "caught"),
                finally: step($, "last"),
              }),
              step($, "d", { fails: always }),
            ),
          )
          yield* w.run({}, { runId: "r" })
          expect(done).toEqual([
            ...["a", "b", "c", "undo b 0", "caught", "last", "d"],
            ...["undo last 0", "undo caught 0", "undo a 0"],
          ])
        }),
      ),
    )

    it.effect("remembers what it caught when its catch fails, for what is undone of the catch, also after a crash", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          let isStuck = true
          const w = workflow(($) =>
            $.saga(
              $.tryCatch({
                id: "guard",
                try: step($, "a", always),
                catch: $.sequence(
                  $.step("c1", {
                    needs: { error: $.caught("guard") },
                    output: Text,
                    run: ({ error }) => error.message,
                    compensate: ({ error, output }) => {
                      done.push(`undo ${output} of ${error.nodeId}`)
                      return isStuck ? Effect.never : Effect.void
                    },
                  }),
                  step($, "c2", always),
                ),
              }),
            ),
          )
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          yield* Fiber.interrupt(fiber)
          isStuck = false
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ _tag: "failed", error: { nodeId: "c2" } })
          expect(done).toEqual(["a", "c2", "undo a is no good of a", "undo a is no good of a"])
        }),
      ),
    )

    it.effect("tells its catch what could not be undone on the way", () =>
      on(
        Effect.gen(function* () {
          const { step } = journal()
          const undo = () => {
            throw new Error("no refund")
          }
          const w = workflow(($) =>
            $.tryCatch({
              try: $.saga(step($, "pay", { undo }), step($, "b", { fails: always })),
              catch: ({ error }) => error.uncompensated ?? [],
            }),
          )
          expect(yield* w.execute({}, { runId: "r" })).toEqual([{ nodeId: "pay", iteration: 0, message: "no refund" }])
        }),
      ),
    )

    it.effect("does not have its finally interrupted by a failure beside it, also in a group that fails fast", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = plain()
          const w = workflow(($) =>
            $.parallel(
              $.tryCatch({
                try: step($, "body"),
                finally: $.step("last", {
                  output: Text,
                  run: () => {
                    done.push("last")
                    return Effect.as(Effect.sleep("2 seconds"), "last")
                  },
                }),
              }),
              $.step("bad", {
                output: Text,
                retry: false,
                run: () => Effect.zipRight(Effect.sleep("1 second"), Effect.fail("no")),
              }),
              { failFast: true },
            ),
          )
          expect((yield* passing("5 seconds", w.run({}, { runId: "r" })))._tag).toBe("failed")
          expect(done).toEqual(["body", "last"])
          const storage = yield* Storage
          const { attempts } = yield* storage.inspect("r")
          expect(attempts.filter(({ nodeId }) => nodeId === "last").map(({ status }) => status)).toEqual(["succeeded"])
        }),
      ),
    )

    it.effect("takes what stands in its try through maybe, there or not", () =>
      on(
        Effect.gen(function* () {
          const { step } = plain()
          const w = (fails: boolean) =>
            Smithers.createWorkflow({ name: `w${fails}`, input: Input }).build(($) => {
              const lock = step($, "lock", () => fails)
              return $.tryCatch({
                try: lock,
                catch: () => "caught",
                finally: $.step("unlock", { needs: { lock: $.maybe(lock) }, output: Text, run: ({ lock }) => `${lock}` }),
              })
            })
          yield* w(false).execute({}, { runId: "there" })
          yield* w(true).execute({}, { runId: "gone" })
          const storage = yield* Storage
          const of = (runId: string) =>
            Effect.map(storage.load(runId), (state) => [...state.nodes].find(([key]) => key === "unlock/0")?.[1])
          expect(yield* of("there")).toMatchObject({ output: "lock" })
          expect(yield* of("gone")).toMatchObject({ output: "undefined" })
        }),
      ),
    )

    it("refuses needs that may be absent, from inside and from outside", () => {
      const { step } = plain()
      const inside = () =>
        workflow(($) => {
          const a = step($, "a")
          return $.tryCatch({ try: a, finally: $.step("b", { needs: { a }, output: Text, run: ({ a }) => a }) })
        })
      expect(inside).toThrow("take it with $.maybe")
      const outside = () =>
        workflow(($) => {
          const a = step($, "a")
          return $.sequence($.tryCatch({ try: a, catch: () => 1 }), $.step("b", { needs: { a }, output: Text, run: ({ a }) => a }))
        })
      expect(outside).toThrow("which may be left without it: need that itself")
      const elsewhere = () =>
        workflow(($) =>
          $.sequence(
            $.tryCatch({ id: "g", try: step($, "a"), catch: () => 1 }),
            $.step("b", { needs: { e: $.caught("g") }, output: Text, run: () => "" }),
          ),
        )
      expect(elsewhere).toThrow("does not stand in its catch")
      const beside = (isMaybe: boolean) =>
        workflow(($) => {
          const a = step($, "a")
          const last = isMaybe
            ? $.step("b", { needs: { a: $.maybe(a) }, output: Text, run: ({ a }) => `${a}` })
            : $.step("b", { needs: { a }, output: Text, run: ({ a }) => a })
          return $.parallel(a, $.tryCatch({ try: step($, "c", always), finally: last }))
        })
      expect(() => beside(false)).toThrow(`whose "finally" may not find it: take it with $.maybe`)
      expect(() => beside(true)).not.toThrow()
    })
  })
})

/** Like the journal, for steps that nobody undoes. */
const plain = () => {
  const done: Array<string> = []
  const step = ($: Builder, id: string, fails: () => boolean = () => false) =>
    $.step(id, {
      output: Text,
      retry: false,
      run: () => {
        done.push(id)
        if (fails()) throw new Error(`${id} is no good`)
        return id
      },
    })
  return { done, step }
}
