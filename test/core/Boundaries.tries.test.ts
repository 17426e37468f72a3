/**
 * Tries: what is done when something in one fails, and however it is left, in one process and across restarts, on every store.
 */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { runId, sweep } from "./Deaths.ts"
import { always, type Builder, journal, runningOn, stores, Text, workflow } from "./Flows.ts"
import { passing, rest } from "./Time.ts"

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  describe("a try", () => {
    it.effect("gives what is in it, and its finally is run, where nothing fails", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
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
          const { done, step } = journal()
          const w = workflow(($) =>
            $.tryCatch({
              id: "guard",
              try: $.sequence(step($, "a"), step($, "b", { fails: always }), step($, "never")),
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
          const { step } = journal()
          const w = workflow(($) => {
            const guarded = $.tryCatch({
              try: step($, "a", { fails: always }),
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

    it.effect("goes on with its catch in another process while a child run in it is waited for: steps beside it are retried", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
          const silent = Smithers.createWorkflow({ name: "silent", input: Schema.Struct({}) }).build(($) =>
            $.signal("never", { name: "never", payload: Text }),
          )
          let tries = 0
          const w = workflow(($) => {
            const quick = $.step("quick", {
              output: Text,
              retry: { maxAttempts: 2, initialDelay: "1 minute", jitter: false },
              run: () => (tries++ === 0 ? Effect.fail("not yet") : Effect.succeed("quick")),
            })
            const child = $.subflow("child", { workflow: silent, input: () => ({}) })
            return $.tryCatch({ try: step($, "a", { fails: always }), catch: $.race({ quick, child }, { id: "first" }) })
          })
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          yield* Fiber.interrupt(fiber)
          expect(yield* passing("2 minutes", w.execute({}, { runId: "r" }))).toEqual({ winner: "quick", value: "quick" })
          expect([tries, done]).toEqual([2, ["a"]])
          const storage = yield* Storage
          expect((yield* storage.run("r~child~0")).run.status).toBe("cancelled")
        }),
      ),
    )

    it.effect("leaves the rest of the run alone while it catches, and waits for what is in flight inside", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
          const w = workflow(($) =>
            $.parallel(
              $.tryCatch({
                try: $.parallel(
                  step($, "a", { fails: always }),
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
          const { done, step } = journal()
          const w = workflow(($) =>
            $.tryCatch({ try: step($, "a", { fails: always }), finally: $.sequence(step($, "l1"), step($, "l2")) }),
          )
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "a" } })
          expect(done).toEqual(["a", "l1", "l2"])
        }),
      ),
    )

    it.effect(
      "whose catch fails runs its finally, and fails with what the catch failed with, which the try around it catches",
      () =>
        on(
          Effect.gen(function* () {
            const { done, step } = journal()
            const w = workflow(($) =>
              $.tryCatch({
                id: "outer",
                try: $.tryCatch({
                  id: "inner",
                  try: step($, "a", { fails: always }),
                  catch: step($, "c", { fails: always }),
                  finally: step($, "f"),
                }),
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
          const { done, step } = journal()
          const w = workflow(($) =>
            $.tryCatch({
              id: "outer",
              try: $.tryCatch({
                id: "inner",
                try: step($, "a"),
                finally: $.sequence(step($, "f", { fails: always }), step($, "g")),
              }),
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
          const { step } = journal()
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
          const { done, step } = journal()
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
          expect(yield* Fiber.join(fiber)).toMatchObject({ status: "cancelled" })
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
          const { done, step } = journal()
          let isFixed = false
          const w = workflow(($) =>
            $.parallel(
              $.sequence(step($, "a"), step($, "b", { fails: () => !isFixed })),
              $.tryCatch({
                try: $.approval("ask", { request: () => ({ title: "?" }), timeout: "1 hour", onTimeout: "approve" }),
                finally: step($, "last"),
              }),
            ),
          )
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "b" } })
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
          const { step } = journal()
          const w = workflow(($) =>
            $.sequence(
              $.tryCatch({
                try: $.parallel($.approval("ask", { request: () => ({ title: "?" }) }), step($, "a", { fails: always })),
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
          const { done, step } = journal()
          let calls = 0
          const w = workflow(($) =>
            $.loop({
              id: "loop",
              maxIterations: 3,
              until: () => false,
              body: $.tryCatch({ id: "guard", try: step($, "a", { fails: () => ++calls === 2 }), catch: step($, "caught") }),
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
          const { done, step } = journal()
          let isStuck = true
          const w = workflow(($) =>
            $.tryCatch({
              try: step($, "a", { fails: always }),
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
          const { done, step } = journal()
          let isFixed = false
          const w = workflow(($) =>
            $.sequence(
              $.tryCatch({ try: step($, "a", { fails: always }), catch: step($, "caught"), finally: step($, "last") }),
              step($, "b", { fails: () => !isFixed }),
            ),
          )
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ error: { nodeId: "b" } })
          isFixed = true
          expect(yield* w.execute({}, { runId: "r", onFailed: "resume" })).toBe("b")
          expect(done).toEqual(["a", "caught", "last", "b", "b"])
        }),
      ),
    )

    it.effect("that failed begins anew when the run is resumed, its finally too", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
          let isFixed = false
          const w = workflow(($) =>
            $.tryCatch({
              try: $.sequence(step($, "a"), step($, "b", { fails: () => !isFixed })),
              finally: step($, "last"),
            }),
          )
          yield* w.run({}, { runId: "r" })
          expect(done).toEqual(["a", "b", "last"])
          isFixed = true
          expect(yield* w.execute({}, { runId: "r", onFailed: "resume" })).toBe("b")
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
            const { done, step } = journal()
            let isFixed = false
            const w = workflow(($) =>
              $.sequence(
                $.tryCatch({
                  try: $.tryCatch({ id: "inner", try: step($, "a", { fails: always }), finally: step($, "last") }),
                  catch: step($, "caught"),
                }),
                step($, "b", { fails: () => !isFixed }),
              ),
            )
            yield* w.run({}, { runId: "r" })
            isFixed = true
            expect(yield* w.execute({}, { runId: "r", onFailed: "resume" })).toBe("b")
            expect(done).toEqual(["a", "last", "caught", "b", "b"])
            const storage = yield* Storage
            expect((yield* storage.inspect("r")).nodes.find(({ nodeId }) => nodeId === "inner")?.status).toBe("failed")
          }),
        ),
    )

    it.effect("goes on with its finally after a restart, with what came before it, and nothing beside it begins", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
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
            const inner = $.tryCatch({ id: "inner", try: step($, "a", { fails: always }), finally: last })
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
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "a" } })
          expect(done).toEqual(["first", "a", "last after first", "last after first", "end"])
        }),
      ),
    )

    it.effect("with a saga inside undoes that before it catches, and inside a saga is undone with it", () =>
      on(
        Effect.gen(function* () {
          const { done, undoable: step } = journal()
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
          const { done, step } = journal()
          let isStuck = true
          const w = workflow(($) =>
            $.saga(
              $.tryCatch({
                id: "guard",
                try: step($, "a", { fails: always }),
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
                  step($, "c2", { fails: always }),
                ),
              }),
            ),
          )
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          yield* Fiber.interrupt(fiber)
          isStuck = false
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "c2" } })
          expect(done).toEqual(["a", "c2", "undo a is no good of a", "undo a is no good of a"])
        }),
      ),
    )

    describe("with a filter", () => {
      const failing = ($: Builder, id: string, status: number) =>
        $.step(id, {
          output: Text,
          retry: false,
          run: () => Effect.fail(Object.assign(new Error(`${id} is no good`), { name: "Declined", status })),
        })

      it.effect("catches what it holds for, and is asked of the error as it is stored", () =>
        on(
          Effect.gen(function* () {
            const { done, step } = journal()
            const asked: Array<unknown> = []
            const w = workflow(($) =>
              $.tryCatch({
                id: "guard",
                try: failing($, "pay", 402),
                catch: step($, "c"),
                when: (error) => {
                  asked.push(error)
                  return error.name === "Declined" && error.status === 402
                },
              }),
            )
            expect(yield* w.execute({}, { runId: "r" })).toBe("c")
            expect(done).toEqual(["c"])
            expect(asked).toEqual([{ nodeId: "pay", iteration: 0, name: "Declined", message: "pay is no good", status: 402 }])
          }),
        ),
      )

      it.effect("lets any other failure go on outwards as it was, after its finally, to a boundary that takes it", () =>
        on(
          Effect.gen(function* () {
            const { done, step } = journal()
            const guarded = ($: Builder) =>
              $.tryCatch({
                id: "inner",
                try: $.sequence(step($, "a"), failing($, "pay", 500)),
                catch: step($, "never"),
                when: ({ status }) => status === 402,
                finally: step($, "last"),
              })
            const alone = workflow(guarded, "alone")
            expect(yield* alone.run({}, { runId: "alone" })).toMatchObject({
              status: "failed",
              error: { _tag: "StepFailed", nodeId: "pay", error: { name: "Declined", status: 500 } },
            })
            const storage = yield* Storage
            expect((yield* storage.inspect("alone")).nodes.find(({ nodeId }) => nodeId === "inner")?.status).toBe("failed")
            const w = workflow(($) =>
              $.tryCatch({
                id: "outer",
                try: guarded($),
                when: ({ status }) => status === 500,
                catch: ({ error }) => `${error.nodeId} ${error.status}`,
              }),
            )
            expect(yield* w.execute({}, { runId: "r" })).toBe("pay 500")
            expect(done).toEqual(["a", "last", "a", "last"])
          }),
        ),
      )

      it.effect("undoes the saga inside before the catch of another try begins", () =>
        on(
          Effect.gen(function* () {
            const { done, step, undoable } = journal()
            const w = workflow(($) =>
              $.tryCatch({
                id: "outer",
                try: $.saga(
                  undoable($, "book"),
                  $.tryCatch({ id: "inner", try: failing($, "pay", 500), when: () => false, catch: step($, "never") }),
                ),
                catch: step($, "c"),
              }),
            )
            expect(yield* w.execute({}, { runId: "r" })).toBe("c")
            expect(done).toEqual(["book", "undo book 0", "c"])
          }),
        ),
      )

      it.effect.each([
        [
          "throws",
          () => {
            throw new Error("oops")
          },
          { name: "Error", message: 'its "when" threw: oops' },
        ],
        ["gives a promise", () => Promise.resolve(true) as unknown as boolean, { name: "InvalidCondition" }],
      ] as const)("that %s fails its try, with what failed there as the cause", ([, when, said]) =>
        on(
          Effect.gen(function* () {
            const { done, step } = journal()
            const w = workflow(($) =>
              $.tryCatch({ id: "guard", try: failing($, "pay", 500), when, catch: step($, "never"), finally: step($, "last") }),
            )
            const failed = {
              status: "failed",
              error: { nodeId: "guard", error: { ...said, cause: { name: "Declined", message: "pay is no good", status: 500 } } },
            }
            expect(yield* w.run({}, { runId: "r" })).toMatchObject(failed)
            expect(yield* w.run({}, { runId: "r" })).toMatchObject(failed)
            expect(done).toEqual(["last"])
            const outer = workflow(($) =>
              $.tryCatch({
                id: "outer",
                try: $.tryCatch({ id: "guard", try: failing($, "pay", 500), when, catch: step($, "never") }),
                catch: ({ error }) => `${error.nodeId}: ${error.cause?.message}`,
              }),
            )
            expect(yield* outer.execute({}, { runId: "s" })).toBe("guard: pay is no good")
          }),
        ),
      )

      it.effect("is asked again when a failed run is resumed, and repaired code may catch then", () =>
        on(
          Effect.gen(function* () {
            const { done, step } = journal()
            const guarded = (status: number) =>
              workflow(($) =>
                $.tryCatch({
                  id: "guard",
                  try: failing($, "pay", 500),
                  catch: step($, "c"),
                  when: (error) => error.status === status,
                }),
              )
            expect(yield* guarded(402).run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "pay" } })
            expect(yield* guarded(500).resume("r")).toBe("c")
            expect(done).toEqual(["c"])
          }),
        ),
      )
    })

    it.live.each([
      ["catches", (status: number | undefined) => status === 402, "pay 402"],
      ["lets through", (status: number | undefined) => status === 1, "outer pay 402"],
      [
        "breaks over",
        () => {
          throw new Error("oops")
        },
        "outer inner undefined",
      ],
    ] as const)("whose filter %s a failure ends alike whenever its process dies", ([, when, value]) =>
      Effect.gen(function* () {
        const w = workflow(($) =>
          $.tryCatch({
            id: "outer",
            try: $.tryCatch({
              id: "inner",
              try: $.sequence(
                $.step("a", { output: Text, run: () => "a" }),
                $.step("pay", {
                  output: Text,
                  retry: false,
                  run: () => Effect.fail(Object.assign(new Error("no"), { name: "Declined", status: 402 })),
                }),
              ),
              when: ({ status }) => when(status),
              catch: ({ error }) => `${error.nodeId} ${error.status}`,
              finally: $.step("last", { output: Text, run: () => "last" }),
            }),
            catch: ({ error }) => `outer ${error.nodeId} ${error.status}`,
          }),
        )
        const { calm, disturbed } = yield* sweep({ run: w.run({}, { runId }) })
        expect(calm.result).toMatchObject({ status: "finished", output: value })
        expect(disturbed.length).toBeGreaterThan(6)
        for (const { at, end } of disturbed) expect({ at, end }).toEqual({ at, end: calm })
      }),
    )

    it.effect("tells its catch what could not be undone on the way", () =>
      on(
        Effect.gen(function* () {
          const { undoable: step } = journal()
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
          const { done, step } = journal()
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
          expect((yield* passing("5 seconds", w.run({}, { runId: "r" }))).status).toBe("failed")
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
          const { step } = journal()
          const w = (fails: boolean) =>
            workflow(($) => {
              const lock = step($, "lock", { fails: () => fails })
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

    /** Two passes of a try, the first of which fails, and a step beside and behind it that takes what stands in it. */
    const guarded = ($: Builder, told: Array<string> = []) => {
      const a = $.step("a", { output: Text, run: ({ iteration }) => `a${iteration}` })
      const b = $.step("b", {
        output: Text,
        retry: false,
        run: ({ iteration }) => (iteration === 0 ? Effect.fail(new Error("no")) : Effect.succeed(`b${iteration}`)),
      })
      const c = $.step("c", { output: Text, run: ({ iteration }) => `c${iteration}` })
      const last = $.step("last", { output: Text, run: ({ iteration }) => `last${iteration}` })
      const guard = $.tryCatch({ id: "guard", try: $.sequence(a, b), catch: c, finally: last })
      const needs = { a: $.maybe(a), b: $.maybe(b), c: $.maybe(c), last: $.maybe(last) }
      const teller = $.step("told", {
        needs,
        output: Text,
        run: ({ a, b, c, last }) => {
          told.push(`${a} ${b} ${c} ${last}`)
          return `${a} ${b} ${c} ${last}`
        },
      })
      const beside = $.parallel(guard, teller)
      return $.loop({ id: "rounds", body: beside, until: ({ iteration }) => iteration === 2, maxIterations: 3 })
    }

    it.effect("gives what stands in it to a node outside through maybe, there or not, once it is left", () =>
      on(
        Effect.gen(function* () {
          const told: Array<string> = []
          const w = workflow(($) => guarded($, told))
          expect(yield* w.execute({}, { runId: "r" })).toEqual(["b1", "a1 b1 undefined last1"])
          expect(told).toEqual(["a0 undefined c0 last0", "a1 b1 undefined last1"])
        }),
      ),
    )

    it.live("gives the same to a node outside whenever its process dies", () =>
      Effect.gen(function* () {
        const { calm, disturbed } = yield* sweep({ run: workflow(($) => guarded($)).run({}, { runId }) })
        expect(calm.result).toMatchObject({ status: "finished", output: ["b1", "a1 b1 undefined last1"] })
        expect(disturbed.length).toBeGreaterThan(12)
        for (const { at, end } of disturbed) expect({ at, end }).toEqual({ at, end: calm })
      }),
    )

    it.effect("fails the run where a node outside would only then come to take what stands in it", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = journal()
          const w = workflow(($) => {
            const a = step($, "a")
            const guard = $.tryCatch({ id: "g", try: $.sequence(a, step($, "b", { fails: always })), finally: step($, "last") })
            return $.parallel(
              guard,
              $.step("after", { needs: { a: $.maybe(a) }, output: Text, run: () => `${done.push("after")}` }),
            )
          })
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "failed", error: { nodeId: "b" } })
          expect(done).toEqual(["a", "b", "last"])
        }),
      ),
    )

    it("refuses needs that may be absent, from inside and from outside", () => {
      const { step } = journal()
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
      expect(elsewhere).toThrow("is not in its catch")
      const beside = (isMaybe: boolean) =>
        workflow(($) => {
          const a = step($, "a")
          const last = isMaybe
            ? $.step("b", { needs: { a: $.maybe(a) }, output: Text, run: ({ a }) => `${a}` })
            : $.step("b", { needs: { a }, output: Text, run: ({ a }) => a })
          return $.parallel(a, $.tryCatch({ try: step($, "c", { fails: always }), finally: last }))
        })
      expect(() => beside(false)).toThrow(`whose "finally" may not find it: take it with $.maybe`)
      expect(() => beside(true)).not.toThrow()
    })
  })
})
