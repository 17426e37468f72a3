/**
 * Forks of runs, on every store.
 */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { RunReader } from "@smithers/core/RunReader"
import * as RunState from "@smithers/core/RunState"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { expectSame } from "../contract/Storage.ts"
import { type Builder, journal, runningOn, stores, Text, workflow } from "./Flows.ts"
import { rest } from "./Time.ts"

const ids = (nodes: ReadonlyArray<{ readonly nodeId: string }>): ReadonlyArray<string> => nodes.map(({ nodeId }) => nodeId)

/** Three steps, each of which reads the one before it. */
const chain = () => {
  const { done, step } = journal((id, count) => `${id}${count}`)
  const flow = workflow(($) => {
    const a = step($, "a")
    const b = $.step("b", {
      needs: { a },
      output: Text,
      run: ({ a }) => {
        done.push("b")
        return `${a}+b`
      },
    })
    const c = $.step("c", {
      needs: { b },
      output: Text,
      run: ({ b }) => {
        done.push("c")
        return `${b}+c`
      },
    })
    return $.sequence(a, b, c)
  })
  return { done, flow }
}

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("keeps what had finished before a node, runs the rest again, and leaves the original as it was", () =>
    on(
      Effect.gen(function* () {
        const { done, flow } = chain()
        expect(yield* flow.execute({}, { runId: "r", tags: ["nightly"], source: "here.tsx" })).toBe("a1+b+c")
        const storage = yield* Storage
        const before = [yield* storage.inspect("r"), yield* storage.load("r"), yield* storage.events("r")]
        const forked = yield* flow.fork("r", { before: "c", runId: "f" })
        expect([ids(forked.kept), ids(forked.rerun), ids(forked.requested)]).toEqual([["a", "b"], ["c"], []])
        expect(done).toEqual(["a", "b", "c"])
        expect(yield* flow.resume("f")).toBe("a1+b+c")
        expect(done).toEqual(["a", "b", "c", "c"])
        expect([yield* storage.inspect("r"), yield* storage.load("r"), yield* storage.events("r")]).toEqual(before)
        const { run } = yield* storage.run("f")
        expect(run).toMatchObject({
          forkedFrom: { runId: "r", frame: forked.frame, seq: forked.seq },
          tags: ["nightly"],
          source: "here.tsx",
          parent: null,
        })
        const forksAt = (first: number, last: number, filter: { readonly runIds?: ReadonlyArray<string> } = {}) =>
          Effect.map(storage.runs({ ...filter, forkedAt: { runId: "r", first, last } }), (runs) => runs.map(({ runId }) => runId))
        expect((yield* storage.runs({ forkedFrom: "r" })).map(({ runId }) => runId)).toEqual(["f"])
        expect(yield* forksAt(forked.frame, forked.frame)).toEqual(["f"])
        expect(yield* forksAt(0, forked.frame, { runIds: ["r", "f"] })).toEqual(["f"])
        expect(yield* forksAt(0, forked.frame, { runIds: ["r"] })).toEqual([])
        expect([yield* forksAt(0, forked.frame - 1), yield* forksAt(forked.frame + 1, forked.frame + 9)]).toEqual([[], []])
        expect(yield* storage.runs({ forkedAt: { runId: "f", first: 0, last: forked.frame } })).toEqual([])
        const { attempts } = yield* storage.inspect("f")
        expect(attempts.map(({ nodeId, attempt, status }) => [nodeId, attempt, status])).toEqual([
          ["a", 1, "succeeded"],
          ["b", 1, "succeeded"],
          ["c", 1, "succeeded"],
        ])
      }),
    ),
  )

  it.effect("goes back to any frame, and has the history of the original up to it", () =>
    on(
      Effect.gen(function* () {
        const { flow } = chain()
        yield* flow.execute({}, { runId: "r" })
        const storage = yield* Storage
        const { frame: frames } = yield* storage.load("r")
        for (let frame = 1; frame <= frames; frame++) {
          const runId = `f${frame}`
          yield* flow.fork("r", { frame, runId })
          for (let earlier = 1; earlier <= frame; earlier++) {
            expect(yield* storage.load(runId, { frame: earlier })).toEqual(yield* storage.load("r", { frame: earlier }))
            expect(yield* storage.plan(runId, earlier)).toBe(yield* storage.plan("r", earlier))
          }
          expect((yield* storage.load(runId)).frame).toBe(frame + 1)
          expectSame({ ...(yield* storage.load(runId)), status: "running" }, yield* storage.load(runId, { frame: frame + 1 }))
          expect(yield* flow.resume(runId)).toMatch(/^a\d\+b\+c$/)
        }
      }),
    ),
  )

  it.effect("keeps outputs as of the cut, also of nodes that the original has run or asked again since", () =>
    on(
      Effect.gen(function* () {
        const { done, step } = journal((id, count) => `${id}${count}`)
        const flow = workflow(($) => {
          const a = step($, "a")
          const b = step($, "b", { needs: { a } })
          const ok = $.approval("ok", { request: () => ({ title: "?" }), onDeny: "continue" })
          const last = $.step("last", { needs: { b, ok }, output: Text, run: ({ b, ok }) => `${b} ${ok.approved}` })
          return $.sequence(a, b, ok, last)
        })
        yield* flow.run({}, { runId: "r" })
        yield* Commands.approve("r", "ok")
        expect(yield* flow.resume("r")).toBe("b2 true")
        const storage = yield* Storage
        const { frame } = yield* storage.load("r")
        yield* flow.revert("r", { node: "b" })
        yield* flow.revert("r", { node: "ok" })
        yield* flow.run({}, { runId: "r" })
        yield* Commands.deny("r", "ok")
        expect(yield* flow.resume("r")).toBe("b3 false")
        const forked = yield* flow.fork("r", { frame, runId: "f" })
        expect([ids(forked.kept), ids(forked.rerun)]).toEqual([["a", "b", "ok", "last"], []])
        const recordsOf = (state: RunState.RunState) =>
          RunState.records(state).toSorted((left, right) => (left.nodeId < right.nodeId ? -1 : 1))
        expect(recordsOf(yield* storage.load("f"))).toEqual(recordsOf(yield* storage.load("r", { frame })))
        expect(yield* flow.resume("f")).toBe("b2 true")
        expect(done).toEqual(["a", "b", "b"])
      }),
    ),
  )

  it.effect("forks a fork, also before its own cut", () =>
    on(
      Effect.gen(function* () {
        const { done, flow } = chain()
        yield* flow.execute({}, { runId: "r" })
        yield* flow.fork("r", { before: "c", runId: "f" })
        yield* flow.resume("f")
        const late = yield* flow.fork("f", { before: "c", runId: "g" })
        expect([late.from, ids(late.kept)]).toEqual(["f", ["a", "b"]])
        const early = yield* flow.fork("f", { before: "b", runId: "h" })
        expect([early.from, ids(early.kept), ids(early.rerun)]).toEqual(["r", ["a"], ["b", "c"]])
        done.length = 0
        expect(yield* flow.resume("g")).toBe("a1+b+c")
        expect(done).toEqual(["c"])
        expect(yield* flow.resume("h")).toBe("a1+b+c")
        expect(done).toEqual(["c", "b", "c"])
        const storage = yield* Storage
        expect(yield* storage.load("g", { seq: early.seq })).toEqual(yield* storage.load("r", { seq: early.seq }))
      }),
    ),
  )

  it.effect("makes nothing on a dry run, and says the same", () =>
    on(
      Effect.gen(function* () {
        const { flow } = chain()
        yield* flow.execute({}, { runId: "r" })
        const dry = yield* flow.fork("r", { before: "b", runId: "f", dryRun: true })
        const reader = yield* RunReader
        expect(yield* Effect.flip(reader.run("f"))).toMatchObject({ _tag: "RunNotFound" })
        expect(yield* flow.fork("r", { before: "b", runId: "f" })).toEqual({ ...dry, isDryRun: false })
      }),
    ),
  )

  it.effect("takes another input, and outputs of steps, whose readers run again", () =>
    on(
      Effect.gen(function* () {
        const input = Schema.Struct({ who: Schema.String })
        const flow = Smithers.createWorkflow({ name: "greet", input }).build(($) => {
          const a = $.step("a", { output: Schema.Struct({ n: Schema.Number }), run: () => ({ n: 1 }) })
          const b = $.step("b", { needs: { a }, output: Text, run: ({ a, input }) => `${input.who} ${a.n}` })
          const other = $.step("other", { output: Text, run: () => "other" })
          return $.sequence(a, $.parallel(b, other))
        })
        yield* flow.execute({ who: "ann" }, { runId: "r" })
        const forked = yield* flow.fork("r", { input: { who: "bob" }, set: { a: { n: 7 } }, runId: "f" })
        expect([ids(forked.set), ids(forked.kept), ids(forked.rerun)]).toEqual([["a"], ["other"], ["b"]])
        expect(yield* flow.resume("f")).toEqual(["bob 7", "other"])
        expect(yield* flow.resume("r")).toEqual(["ann 1", "other"])
        const wrong = yield* Effect.flip(flow.fork("r", { set: { a: { n: "seven" } }, runId: "g" }))
        expect(wrong).toMatchObject({
          _tag: "InvalidFork",
          problem: expect.stringContaining('the value of "a" does not match its schema'),
        })
        expect(yield* Effect.flip(flow.fork("r", { input: { who: 1 } as never, runId: "g" }))).toMatchObject({
          _tag: "InvalidInput",
        })
        expect(yield* Effect.flip(flow.fork("r", { set: { nobody: 1 }, runId: "g" }))).toMatchObject({
          _tag: "NodeNotFound",
          nodeId: "nobody",
        })
        expect(yield* Effect.flip((yield* RunReader).run("g"))).toMatchObject({ _tag: "RunNotFound" })
      }),
    ),
  )

  it.effect("sets the output of a step that never ran, which then never runs", () =>
    on(
      Effect.gen(function* () {
        const { done, flow } = chain()
        yield* flow.execute({}, { runId: "r" })
        yield* flow.fork("r", { before: "b", set: { b: "by hand" }, runId: "f" })
        expect(yield* flow.resume("f")).toBe("by hand+c")
        expect(done).toEqual(["a", "b", "c", "c"])
        const { attempts } = yield* (yield* Storage).inspect("f")
        expect(attempts.map(({ nodeId }) => nodeId)).toEqual(["a", "b", "c"])
      }),
    ),
  )

  it.effect("forks a failed run from its failure, before any of its sagas has undone anything", () =>
    on(
      Effect.gen(function* () {
        let isBroken = true
        const { done, step, undoable } = journal()
        const flow = workflow(($) => $.saga(undoable($, "book"), step($, "pay", { fails: () => isBroken }), step($, "mail")))
        yield* Effect.flip(flow.execute({}, { runId: "r" }))
        expect(done).toEqual(["book", "pay", "undo book 0"])
        isBroken = false
        const forked = yield* flow.fork("r", { fromFailure: true, runId: "f" })
        expect([ids(forked.kept), ids(forked.rerun)]).toEqual([["book"], ["pay"]])
        done.length = 0
        yield* flow.resume("f")
        expect(done).toEqual(["pay", "mail"])
        expect(yield* Effect.flip(flow.fork("f", { fromFailure: true }))).toMatchObject({
          _tag: "InvalidFork",
          problem: "it has not failed; it is finished",
        })
      }),
    ),
  )

  it.effect("does not undo what the original did, unless it is told to own that", () =>
    on(
      Effect.gen(function* () {
        const { done, step, undoable } = journal()
        const flow = workflow(($) => $.saga(undoable($, "book"), undoable($, "hotel"), step($, "pay", { fails: () => true })))
        yield* Effect.flip(flow.execute({}, { runId: "r" }))
        for (const [runId, ownEffects, undone] of [
          ["f", false, ["undo hotel 0"]],
          ["g", true, ["undo hotel 0", "undo book 0"]],
        ] as const) {
          yield* flow.fork("r", { before: "hotel", runId, ownEffects })
          done.length = 0
          yield* Effect.flip(flow.resume(runId))
          expect(done).toEqual(["hotel", "pay", ...undone])
        }
      }),
    ),
  )

  it.effect("starts what was in flight or in back-off again, at once and with a fresh budget", () =>
    on(
      Effect.gen(function* () {
        const calls: Array<string> = []
        const flow = workflow(($) =>
          $.step("a", {
            output: Text,
            retry: { maxAttempts: 2, initialDelay: "1 hour", jitter: false },
            run: ({ runId, attempt }) => {
              calls.push(`${runId} ${attempt}`)
              throw new Error("no")
            },
          }),
        )
        yield* flow.run({}, { runId: "r" })
        expect(calls).toEqual(["r 1"])
        yield* flow.fork("r", { runId: "f" })
        expect(yield* flow.run({}, { runId: "f" })).toMatchObject({ status: expect.stringMatching(/waiting|suspended/) })
        expect(calls).toEqual(["r 1", "f 2"])
        yield* TestClock.adjust("2 hours")
        yield* Effect.flip(flow.resume("f"))
        expect(calls).toEqual(["r 1", "f 2", "f 3"])
      }),
    ),
  )

  it.effect("interrupts what was in flight at the cut in the fork alone, while the original works on", () =>
    on(
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const flow = workflow(($) =>
          $.step("a", {
            output: Text,
            run: ({ runId }) => (runId === "r" ? Effect.as(Deferred.await(gate), "slow") : Effect.succeed("fast")),
          }),
        )
        const original = yield* Effect.fork(flow.execute({}, { runId: "r" }))
        yield* rest
        const forked = yield* flow.fork("r", { runId: "f" })
        expect(ids(forked.rerun)).toEqual(["a"])
        expect(yield* flow.resume("f")).toBe("fast")
        const { attempts } = yield* (yield* Storage).inspect("f")
        expect(attempts.map(({ attempt, status }) => [attempt, status])).toEqual([
          [1, "interrupted"],
          [2, "succeeded"],
        ])
        yield* Deferred.succeed(gate, undefined)
        expect(yield* Fiber.join(original)).toBe("slow")
      }),
    ),
  )

  describe("what people decide", () => {
    const asks = ($: Builder) => {
      const ok = $.approval("ok", { request: () => ({ title: "?" }), onDeny: "continue" })
      return $.sequence(ok, $.step("after", { needs: { ok }, output: Text, run: ({ ok }) => `${ok.approved} by ${ok.decidedBy}` }))
    }

    it.effect("is kept if it was decided by the cut, and asked again on request", () =>
      on(
        Effect.gen(function* () {
          const flow = workflow(asks)
          yield* flow.run({}, { runId: "r" })
          yield* Commands.approve("r", "ok", { by: "ann" })
          expect(yield* flow.execute({}, { runId: "r" })).toBe("true by ann")
          const kept = yield* flow.fork("r", { before: "after", runId: "f" })
          expect([kept.kept, kept.requested]).toEqual([[{ nodeId: "ok", iteration: 0, kind: "approval" }], []])
          expect(yield* flow.resume("f")).toBe("true by ann")
          const asked = yield* flow.fork("r", { reask: true, runId: "g" })
          expect([ids(asked.kept), ids(asked.requested), ids(asked.rerun)]).toEqual([[], ["ok"], ["after"]])
          expect(yield* flow.run({}, { runId: "g" })).toMatchObject({ status: "waiting-approval" })
          yield* Commands.deny("g", "ok", { by: "bob" })
          expect(yield* flow.resume("g")).toBe("false by bob")
        }),
      ),
    )

    it.effect("is asked again if it was open, and answers of the original never count", () =>
      on(
        Effect.gen(function* () {
          const flow = workflow(asks)
          yield* flow.run({}, { runId: "r" })
          yield* flow.fork("r", { runId: "f" })
          yield* Commands.approve("r", "ok", { by: "ann" })
          expect(yield* flow.execute({}, { runId: "r" })).toBe("true by ann")
          const forked = yield* flow.fork("r", { before: "after", runId: "later" })
          expect(ids(forked.kept)).toEqual(["ok"])
          expect(yield* flow.run({}, { runId: "f" })).toMatchObject({ status: "waiting-approval" })
          yield* Commands.approve("f", "ok", { by: "bob" })
          expect(yield* flow.resume("f")).toBe("true by bob")
        }),
      ),
    )

    it.effect("before a step is asked again on request, also if the step has finished", () =>
      on(
        Effect.gen(function* () {
          const done: Array<string> = []
          const flow = workflow(($) =>
            $.step("deploy", {
              output: Text,
              needsApproval: { request: () => ({ title: "?" }) },
              run: ({ runId }) => {
                done.push(runId)
                return "done"
              },
            }),
          )
          yield* flow.run({}, { runId: "r" })
          yield* Commands.approve("r", "deploy")
          yield* flow.execute({}, { runId: "r" })
          const forked = yield* flow.fork("r", { reask: true, runId: "f" })
          expect(ids([...forked.requested, ...forked.rerun])).toEqual(["deploy"])
          expect(yield* flow.run({}, { runId: "f" })).toMatchObject({ status: "waiting-approval" })
          yield* Commands.approve("f", "deploy")
          yield* flow.resume("f")
          expect(done).toEqual(["r", "f"])
        }),
      ),
    )
  })

  it.effect("gives timers and waits for signals the time that they had left, or keeps their deadlines", () =>
    on(
      Effect.gen(function* () {
        const flow = workflow(($) =>
          $.parallel(
            $.timer("nap", { duration: "1 hour" }),
            $.signal("news", { name: "news", payload: Text, timeout: "2 hours", onTimeout: "continue" }),
          ),
        )
        yield* flow.run({}, { runId: "r" })
        const begun = (yield* (yield* Storage).load("r")).frame
        yield* TestClock.adjust("30 minutes")
        yield* flow.fork("r", { frame: begun, runId: "f" })
        yield* flow.fork("r", { frame: begun, runId: "g", keepDeadlines: true })
        const deadlines = (runId: string) =>
          Effect.map(
            Effect.flatMap(Storage, (storage) => storage.waits({ runId })),
            (waits) => waits.map(({ nodeId, deadline }) => [nodeId, (deadline ?? 0) / 60_000]).sort(),
          )
        expect(yield* deadlines("f")).toEqual([
          ["nap", 90],
          ["news", 150],
        ])
        expect(yield* deadlines("g")).toEqual([
          ["nap", 60],
          ["news", 120],
        ])
      }),
    ),
  )

  it.effect("has the signals that came by the cut, and the later ones on request", () =>
    on(
      Effect.gen(function* () {
        const flow = workflow(($) =>
          $.sequence($.signal("one", { name: "one", payload: Text }), $.signal("two", { name: "two", payload: Text })),
        )
        yield* flow.run({}, { runId: "r" })
        yield* Commands.signal("r", "one", { payload: "1" })
        yield* flow.run({}, { runId: "r" })
        const { frame } = yield* (yield* Storage).load("r")
        yield* Commands.signal("r", "two", { payload: "2" })
        yield* flow.execute({}, { runId: "r" })
        yield* flow.fork("r", { frame, runId: "f" })
        expect(yield* flow.run({}, { runId: "f" })).toMatchObject({ status: "waiting-event", waits: [{ nodeId: "two" }] })
        yield* flow.fork("r", { frame, runId: "g", replaySignals: true })
        expect(yield* flow.resume("g")).toEqual(yield* flow.execute({}, { runId: "r" }))
      }),
    ),
  )

  it.effect(
    "starts child runs at work again under the fork, keeps the results of those that had ended, and adopts on request",
    () =>
      on(
        Effect.gen(function* () {
          const child = workflow(($) => $.signal("go", { name: "go", payload: Text }), "child")
          const flow = workflow(($) => {
            const one = $.subflow("one", { workflow: child, input: () => ({}) })
            const two = $.subflow("two", { workflow: child, input: () => ({}) })
            return $.sequence(one, two)
          })
          yield* flow.run({}, { runId: "r" })
          yield* Commands.signal("r~one~0", "go", { payload: "1" })
          yield* flow.run({}, { runId: "r" })
          const { frame } = yield* (yield* Storage).load("r")
          yield* flow.fork("r", { frame, runId: "f" })
          expect(yield* flow.run({}, { runId: "f" })).toMatchObject({ status: "waiting-event" })
          const storage = yield* Storage
          expect((yield* storage.runs({ parent: "f" })).map(({ runId }) => runId)).toEqual([expect.stringMatching(/^f~two~0/)])
          expect((yield* storage.run("r~two~0")).run).toMatchObject({ status: "waiting-event" })
          yield* Commands.signal("r~two~0", "go", { payload: "2" })
          yield* flow.execute({}, { runId: "r" })
          expect((yield* storage.run("f")).run).toMatchObject({ status: "waiting-event" })
          yield* flow.fork("r", { frame, runId: "g", children: "adopt" })
          expect(yield* flow.resume("g")).toEqual(yield* flow.execute({}, { runId: "r" }))
          expect(yield* storage.runs({ parent: "g" })).toEqual([])
        }),
      ),
  )

  it.effect("inherits neither a pause nor a cancellation, and has the time that was left of its deadline", () =>
    on(
      Effect.gen(function* () {
        const flow = workflow(($) => $.signal("go", { name: "go", payload: Text }))
        yield* flow.run({}, { runId: "r", deadline: "1 hour" })
        yield* Commands.pause("r")
        expect(yield* flow.run({}, { runId: "r" })).toMatchObject({ status: "paused" })
        yield* TestClock.adjust("20 minutes")
        yield* flow.cancel("r")
        const storage = yield* Storage
        for (const frame of [1, (yield* storage.load("r")).frame]) {
          const { runId } = yield* flow.fork("r", { frame })
          expect(yield* flow.run({}, { runId })).toMatchObject({ status: "waiting-event" })
          const { deadline } = yield* storage.load(runId)
          expect(deadline).toBe((frame === 1 ? 80 : 60) * 60_000)
          yield* Commands.signal(runId, "go", { payload: "!" })
          expect(yield* flow.resume(runId)).toBe("!")
        }
      }),
    ),
  )

  it.effect("does not take over what the original has cached after the cut", () =>
    on(
      Effect.gen(function* () {
        let count = 0
        const flow = workflow(($) => $.step("a", { output: Schema.Number, cache: { key: () => "k" }, run: () => ++count }))
        yield* flow.execute({}, { runId: "r" })
        expect(yield* flow.execute({}, { runId: "other" })).toBe(1)
        yield* flow.fork("r", { before: "a", runId: "f" })
        expect(yield* flow.resume("f")).toBe(2)
      }),
    ),
  )

  it.effect("does not let its child runs take over what those of the original have cached after the cut", () =>
    on(
      Effect.gen(function* () {
        let count = 0
        const child = workflow(
          ($) =>
            $.sequence(
              $.step("kept", { output: Schema.Number, cache: { key: () => "kept" }, run: () => ++count }),
              $.signal("go", { name: "go", payload: Schema.Void }),
              $.step("later", { output: Schema.Number, cache: { key: () => "later", scope: "store" }, run: () => ++count }),
            ),
          "child",
        )
        const flow = workflow(($) => $.subflow("sub", { workflow: child, input: () => ({}) }))
        yield* flow.run({}, { runId: "r" })
        yield* TestClock.adjust("1 minute")
        const { frame } = yield* (yield* Storage).load("r")
        yield* flow.fork("r", { frame, runId: "f" })
        yield* Commands.signal("r~sub~0", "go")
        yield* flow.execute({}, { runId: "r" })
        expect(count).toBe(2)
        const storage = yield* Storage
        const outputs = (runId: string) =>
          Effect.gen(function* () {
            yield* flow.run({}, { runId })
            const [sub] = yield* storage.runs({ parent: runId })
            yield* Commands.signal(sub?.runId ?? "", "go")
            yield* flow.resume(runId)
            const state = yield* storage.load(sub?.runId ?? "")
            return ["kept", "later"].map((nodeId) => RunState.step(state, nodeId, 0)?.output)
          })
        expect(yield* outputs("f")).toEqual([1, 3])
        // Another run takes over what was cached last.
        yield* flow.run({}, { runId: "other" })
        yield* Commands.signal("other~sub~0", "go")
        expect([yield* flow.execute({}, { runId: "other" }), count]).toEqual([3, 3])
      }),
    ),
  )

  it.effect("refuses a moment that the run does not have, an id that is taken, and options that do not go together", () =>
    on(
      Effect.gen(function* () {
        const { flow } = chain()
        yield* flow.execute({}, { runId: "r" })
        const refused = (options: Smithers.ForkOptions) => Effect.flip(Smithers.fork(flow, "r", options))
        expect(yield* refused({ frame: 99 })).toMatchObject({
          _tag: "InvalidFork",
          problem: expect.stringContaining("its frames are 1 to"),
        })
        expect(yield* refused({ frame: 1.5 })).toMatchObject({ _tag: "InvalidFork" })
        expect(yield* refused({ before: "x" })).toMatchObject({ _tag: "NodeNotFound", known: ["a", "b", "c"] })
        expect(yield* refused({ before: "a", iteration: 3 })).toMatchObject({ _tag: "NodeNotFound", known: [0] })
        expect(yield* refused({ before: "a", frame: 1 })).toMatchObject({ _tag: "InvalidFork" })
        expect(yield* refused({ runId: "r" })).toMatchObject({ _tag: "RunIdTaken", runId: "r" })
        expect(yield* refused({ runId: "r", dryRun: true })).toMatchObject({ _tag: "RunIdTaken", runId: "r" })
        expect(yield* refused({ runId: "a~b~0" })).toMatchObject({ _tag: "InvalidRunId" })
        expect(yield* refused({ frmae: 1 } as never)).toMatchObject({ _tag: "InvalidSetting" })
        expect(yield* Effect.flip(flow.fork("nobody"))).toMatchObject({ _tag: "RunNotFound" })
        expect(yield* Effect.flip(workflow(($) => $.step("a", { output: Text, run: () => "" }), "v").fork("r"))).toMatchObject({
          _tag: "WorkflowMismatch",
        })
      }),
    ),
  )
})
