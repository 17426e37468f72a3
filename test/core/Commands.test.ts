/**
 * What runs are told from outside, beside decisions and signals: pausing, running nodes again, gates of steps, starting by a signal; on
 * every store.
 */

import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { journal, runningOn, stores, Text, workflow } from "./Flows.ts"
import * as Spans from "./Spans.ts"
import { rest } from "./Time.ts"

const Input = Schema.Struct({})

/** What a step gives tells how many ran before it, so that it is seen whether it ran again. */
const counting = () => journal((id, count) => `${id} ${count}`)

const statusOf = (runId: string) =>
  Effect.flatMap(Storage, (storage) => Effect.map(storage.inspect(runId), ({ run }) => run.status))

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  describe("a paused run", () => {
    it.effect("lets what is in flight end and keeps it, starts nothing new, and goes on when it is unpaused", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = counting()
          const w = workflow(($) =>
            $.sequence($.step("slow", { output: Text, run: () => Effect.as(Effect.sleep("1 minute"), "slow") }), step($, "next")),
          )
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          yield* Commands.pause("r", { by: "ann" })
          yield* TestClock.adjust("5 minutes")
          expect(yield* Fiber.join(fiber)).toEqual({ status: "paused", runId: "r" })
          expect(done).toEqual([])
          expect(yield* statusOf("r")).toBe("paused")
          const storage = yield* Storage
          expect((yield* storage.inspect("r")).nodes[0]).toMatchObject({ nodeId: "slow", status: "finished" })
          // Taken up it is paused still, also twice, and told once more.
          yield* Commands.pause("r")
          expect((yield* w.run({}, { runId: "r" })).status).toBe("paused")
          yield* Commands.unpause("r")
          yield* Commands.unpause("r")
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished" })
          expect(done).toEqual(["next"])
          const log = (yield* storage.events("r")).map(({ event }) => event._tag)
          expect(log.filter((tag) => tag === "RunPaused" || tag === "RunUnpaused")).toEqual(["RunPaused", "RunUnpaused"])
        }),
      ),
    )

    it.effect("fires no timer and ends no wait before it is unpaused, and then at once", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = counting()
          const w = workflow(($) => $.sequence($.timer("nap", { duration: "1 hour" }), step($, "next")))
          const fiber = yield* Effect.fork(w.execute({}, { runId: "r" }))
          yield* rest
          yield* Commands.pause("r")
          yield* TestClock.adjust("1 day")
          expect(done).toEqual([])
          yield* Commands.unpause("r")
          yield* rest
          expect(yield* Fiber.join(fiber)).toBe("next 1")
        }),
      ),
    )

    it.effect("is not woken by anybody, but keeps what it is told and can be cancelled", () =>
      on(
        Effect.gen(function* () {
          const storage = yield* Storage
          const { done, step } = counting()
          const w = workflow(($) => $.sequence($.approval("ask", { request: () => ({ title: "?" }) }), step($, "next")))
          yield* w.run({}, { runId: "r" })
          yield* Commands.pause("r")
          expect((yield* storage.runnable(0)).runs.map(({ runId }) => runId)).toEqual(["r"])
          yield* w.run({}, { runId: "r" })
          expect((yield* storage.runnable(1e9)).runs).toEqual([])
          yield* Commands.approve("r", "ask")
          expect((yield* w.run({}, { runId: "r" })).status).toBe("paused")
          expect(done).toEqual([])
          yield* Commands.unpause("r")
          expect((yield* w.run({}, { runId: "r" })).status).toBe("finished")
          yield* w.run({}, { runId: "other" })
          yield* Commands.pause("other")
          yield* w.run({}, { runId: "other" })
          yield* Commands.cancel("other")
          expect((yield* w.run({}, { runId: "other" })).status).toBe("cancelled")
        }),
      ),
    )

    it.effect("begins no wait and no child run, fires nothing when it is taken up again, and is undone when it is cancelled", () =>
      on(
        Effect.gen(function* () {
          const storage = yield* Storage
          const undone: Array<string> = []
          const child = Smithers.createWorkflow({ name: "child", input: Input }).build(($) =>
            $.step("work", { output: Text, run: () => "" }),
          )
          const w = workflow(($) =>
            $.saga(
              $.step("a", {
                output: Text,
                run: () => Effect.as(Effect.sleep("1 minute"), "a"),
                compensate: () => undone.push("a"),
              }),
              $.subflow("sub", { workflow: child, input: {} }),
              $.timer("nap", { duration: "1 hour" }),
            ),
          )
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          yield* Commands.pause("r")
          yield* TestClock.adjust("5 minutes")
          expect((yield* Fiber.join(fiber)).status).toBe("paused")
          expect(yield* storage.runs({ parent: "r" })).toEqual([])
          yield* Commands.unpause("r")
          expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-timer")
          yield* Commands.pause("r")
          yield* w.run({}, { runId: "r" })
          yield* TestClock.adjust("1 day")
          expect((yield* w.run({}, { runId: "r" })).status).toBe("paused")
          yield* Commands.signal("r", "any")
          yield* w.run({}, { runId: "r" })
          expect((yield* storage.waits({ runId: "r" })).map(({ nodeId }) => nodeId)).toEqual(["nap"])
          yield* w.cancel("r")
          expect(undone).toEqual(["a"])
          expect(yield* statusOf("r")).toBe("cancelled")
        }),
      ),
    )

    it.effect("cannot be one that has ended", () =>
      on(
        Effect.gen(function* () {
          const { step } = counting()
          const w = workflow(($) => step($, "a"))
          yield* w.run({}, { runId: "r" })
          for (const told of [Commands.pause("r"), Commands.unpause("r"), Commands.cancel("r")]) {
            expect(yield* Effect.flip(told)).toMatchObject({ _tag: "RunEnded", status: "finished" })
          }
          expect(yield* Effect.flip(Commands.pause("nobody"))).toMatchObject({ _tag: "RunNotFound" })
        }),
      ),
    )
  })

  describe("running a node again", () => {
    it.effect("resets it and what truly depends on it, and nothing else", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = counting()
          const w = workflow(($) => {
            const a = step($, "a")
            const b = step($, "b", { needs: { a } })
            const c = step($, "c")
            const d = step($, "d", { needs: { b } })
            return $.sequence(a, b, c, d, $.approval("ask", { request: () => ({ title: "?" }) }))
          })
          yield* w.run({}, { runId: "r" })
          expect(done).toEqual(["a", "b", "c", "d"])
          yield* Commands.retryNode("r", "b")
          expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
          expect(done).toEqual(["a", "b", "c", "d", "b", "d"])
          const storage = yield* Storage
          const state = yield* storage.load("r")
          expect([...state.nodes].find(([key]) => key === "d/0")?.[1]).toMatchObject({ output: "d 6", attempt: 2 })
        }),
      ),
    )

    it.effect("takes up a run that has failed, without touching other nodes", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = counting()
          let isFixed = false
          const w = workflow(($) => $.sequence(step($, "a"), step($, "b", { fails: () => !isFixed })))
          expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
          isFixed = true
          yield* Commands.retryNode("r", "b")
          expect(yield* statusOf("r")).toBe("suspended")
          const storage = yield* Storage
          expect((yield* storage.runnable(0)).runs.map(({ runId }) => runId)).toEqual(["r"])
          expect((yield* w.run({}, { runId: "r" })).status).toBe("finished")
          expect(done).toEqual(["a", "b", "b"])
        }),
      ),
    )

    it.effect("ends the attempt that is in flight, and makes a waiting retry unnecessary", () =>
      on(
        Effect.gen(function* () {
          let attempts = 0
          const w = workflow(($) =>
            $.sequence(
              $.step("flaky", {
                output: Schema.Number,
                retry: { maxAttempts: 2, initialDelay: "1 day" },
                run: () =>
                  Effect.suspend(() =>
                    ++attempts === 1 ? Effect.fail("no") : attempts === 2 ? Effect.never : Effect.succeed(attempts),
                  ),
              }),
            ),
          )
          const fiber = yield* Effect.fork(w.execute({}, { runId: "r" }))
          yield* rest
          yield* Commands.retryNode("r", "flaky")
          yield* rest
          expect(attempts).toBe(2)
          yield* Commands.retryNode("r", "flaky")
          yield* rest
          expect(yield* Fiber.join(fiber)).toBe(3)
          const storage = yield* Storage
          expect((yield* storage.inspect("r")).attempts.map(({ status }) => status)).toEqual(["failed", "interrupted", "succeeded"])
        }),
      ),
    )

    it.effect("in a loop goes on from the pass that the loop is in, also where it is over", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = counting()
          const w = workflow(($) =>
            $.sequence(
              $.loop({ id: "loop", maxIterations: 2, until: () => false, body: $.sequence(step($, "a"), step($, "b")) }),
              $.approval("ask", { request: () => ({ title: "?" }) }),
            ),
          )
          yield* w.run({}, { runId: "r" })
          yield* Commands.retryNode("r", "b")
          yield* w.run({}, { runId: "r" })
          expect(done).toEqual(["a", "b", "a", "b", "b"])
          expect(yield* Effect.flip(Commands.retryNode("r", "b", { iteration: 0 }))).toMatchObject({ _tag: "InvalidCommand" })
          // A loop itself begins anew, and its rows are kept apart from those it had.
          yield* Commands.retryNode("r", "loop")
          yield* w.run({}, { runId: "r" })
          expect(done).toEqual(["a", "b", "a", "b", "b", "a", "b", "a", "b"])
          const storage = yield* Storage
          const { nodes } = yield* storage.inspect("r")
          expect(nodes.filter(({ nodeId }) => nodeId === "a").map(({ iteration }) => iteration)).toEqual([0, 1, 2, 3])
        }),
      ),
    )

    it.effect("asks a person anew, and what was decided does not count any more", () =>
      on(
        Effect.gen(function* () {
          const w = workflow(($) =>
            $.sequence(
              $.approval("ask", { request: () => ({ title: "?" }) }),
              $.approval("more", { request: () => ({ title: "!" }) }),
            ),
          )
          yield* w.run({}, { runId: "r" })
          yield* Commands.approve("r", "ask")
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ waits: [{ nodeId: "more" }] })
          yield* Commands.retryNode("r", "ask")
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ waits: [{ nodeId: "ask" }] })
        }),
      ),
    )

    it.effect("is refused while what the run has done is being undone, and for what undoes it", () =>
      on(
        Effect.gen(function* () {
          let release: (() => void) | undefined
          const w = workflow(($) =>
            $.saga(
              $.step("a", {
                output: Text,
                run: () => "a",
                compensate: () =>
                  Effect.async<void>((resume) => {
                    release = () => resume(Effect.void)
                  }),
              }),
              $.step("b", { output: Text, retry: false, run: () => Effect.fail("no") }),
            ),
          )
          const fiber = yield* Effect.fork(w.run({}, { runId: "r" }))
          yield* rest
          const refused = yield* Effect.flip(Commands.retryNode("r", "b"))
          expect(refused.message).toContain(`being compensated ("a~compensate"): retry the node once the run has ended`)
          release?.()
          expect((yield* Fiber.join(fiber)).status).toBe("failed")
          expect(yield* Effect.flip(Commands.retryNode("r", "a~compensate"))).toMatchObject({ _tag: "InvalidCommand" })
        }),
      ),
    )

    it.effect("of a saga or a try runs all of it again", () =>
      on(
        Effect.gen(function* () {
          const { done, step } = counting()
          let fails = true
          const w = workflow(($) =>
            $.sequence(
              $.saga(
                $.step("a", { output: Text, run: () => `a ${done.push("a")}`, compensate: () => done.push("undo a") }),
                step($, "b", { fails: () => fails }),
                { id: "saga", onCompensated: "continue" },
              ),
              $.approval("ask", { request: () => ({ title: "?" }) }),
            ),
          )
          yield* w.run({}, { runId: "r" })
          expect(done).toEqual(["a", "b", "undo a"])
          fails = false
          yield* Commands.retryNode("r", "saga")
          expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
          expect(done).toEqual(["a", "b", "undo a", "a", "b"])
        }),
      ),
    )

    it.effect("is refused where it makes no sense, with what would", () =>
      on(
        Effect.gen(function* () {
          const { step } = counting()
          const w = workflow(($) => $.sequence(step($, "a"), $.approval("ask", { request: () => ({ title: "?" }) }), step($, "b")))
          yield* w.run({}, { runId: "r" })
          const unknown = yield* Effect.flip(Commands.retryNode("r", "b"))
          expect(unknown).toMatchObject({ _tag: "NodeNotFound", known: ["a", "ask"] })
          expect(unknown.message).toBe(`Run "r" has not reached a node "b". It has reached a, ask.`)
          const wrong = yield* Effect.flip(Commands.retryNode("r", "a", { iteration: 3 }))
          expect(wrong.message).toBe(`"a" of run "r" has no iteration 3; it has 0.`)
          yield* Commands.approve("r", "ask")
          yield* w.run({}, { runId: "r" })
          expect(yield* Effect.flip(Commands.retryNode("r", "a"))).toMatchObject({ _tag: "RunEnded" })
        }),
      ),
    )
  })

  describe("a step that needs approval", () => {
    const gated = (needsApproval: boolean | { readonly onDeny?: "fail" | "skip" }, version = "1") => {
      const { done, step } = counting()
      const w = workflow(($) => {
        const plan = step($, "plan")
        const deploy = $.step("deploy", {
          needs: { plan },
          label: "Deploy to production",
          output: Text,
          needsApproval:
            typeof needsApproval === "boolean"
              ? needsApproval
              : { request: ({ plan }) => ({ title: `Deploy ${version}?`, summary: plan }), timeout: "1 day", ...needsApproval },
          run: ({ plan }) => {
            done.push("deploy")
            return `deployed ${plan}`
          },
        })
        return $.sequence(
          plan,
          deploy,
          $.step("after", { needs: { deploy }, output: Text, run: ({ deploy }) => `after ${deploy}` }),
        )
      })
      return { w, done }
    }

    it.effect("waits under its own id, begins when it is approved, and has no row of the decision", () =>
      on(
        Effect.gen(function* () {
          const { w, done } = gated(true)
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({
            status: "waiting-approval",
            waits: [{ nodeId: "deploy", kind: "approval" }],
          })
          const storage = yield* Storage
          expect(yield* storage.waits({})).toMatchObject([{ nodeId: "deploy", request: { title: "Deploy to production" } }])
          yield* Commands.approve("r", "deploy", { by: "ann" })
          expect(yield* w.execute({}, { runId: "r" })).toBe("after deployed plan 1")
          expect(done).toEqual(["plan", "deploy"])
          expect(yield* storage.waits({ all: true })).toMatchObject([
            { nodeId: "deploy", status: "finished", approved: true, by: "ann" },
          ])
          expect((yield* storage.inspect("r")).nodes.map(({ nodeId }) => nodeId)).toEqual(["after", "deploy", "plan"])
        }),
      ),
    )

    it.effect("is not asked for again when its attempt is made again, also after a crash between", () =>
      on(
        Effect.gen(function* () {
          let attempts = 0
          const w = workflow(($) =>
            $.step("deploy", {
              output: Schema.Number,
              needsApproval: true,
              retry: { maxAttempts: 3, initialDelay: "1 minute", jitter: false },
              run: () =>
                Effect.suspend(() =>
                  ++attempts < 2 ? Effect.fail("no") : attempts === 2 ? Effect.never : Effect.succeed(attempts),
                ),
            }),
          )
          yield* w.run({}, { runId: "r" })
          yield* Commands.approve("r", "deploy")
          const fiber = yield* Effect.fork(w.execute({}, { runId: "r" }))
          yield* TestClock.adjust("2 minutes")
          expect(attempts).toBe(2)
          yield* Fiber.interrupt(fiber)
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: 3 })
        }),
      ),
    )

    it.effect("that is denied fails the run or is left out, and one that nobody decides is denied in time", () =>
      on(
        Effect.gen(function* () {
          const failing = gated({})
          yield* failing.w.run({}, { runId: "fail" })
          yield* Commands.deny("fail", "deploy", { note: "not on a Friday" })
          const result = yield* failing.w.run({}, { runId: "fail" })
          expect(result).toMatchObject({ status: "failed", error: { nodeId: "deploy", error: { name: "ApprovalDenied" } } })
          expect(result.status === "failed" && result.error.message).toContain("not on a Friday")
          const skipping = gated({ onDeny: "skip" })
          yield* skipping.w.run({}, { runId: "skip" })
          yield* TestClock.adjust("1 day")
          expect(yield* skipping.w.run({}, { runId: "skip" })).toMatchObject({ status: "finished", output: "after undefined" })
          expect(skipping.done).toEqual(["plan"])
        }),
      ),
    )

    it.effect("is asked anew when it is run again for something else than was approved", () =>
      on(
        Effect.gen(function* () {
          let [version, isBroken] = [1, true]
          const w = workflow(($) => {
            const diff = $.step("diff", { output: Schema.Number, run: () => version++ })
            const release = $.step("release", {
              needs: { diff },
              output: Text,
              retry: false,
              needsApproval: { request: ({ diff }) => ({ title: `Release ${diff}?` }) },
              run: ({ diff }) => (isBroken ? Effect.fail("no") : Effect.succeed(`released ${diff}`)),
            })
            return $.sequence(diff, release)
          })
          yield* w.run({}, { runId: "r" })
          yield* Commands.approve("r", "release")
          expect((yield* w.run({}, { runId: "r" })).status).toBe("failed")
          isBroken = false
          yield* Commands.retryNode("r", "diff")
          expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-approval")
          const storage = yield* Storage
          expect(yield* storage.waits({ runId: "r" })).toMatchObject([{ request: { title: "Release 2?" } }])
          yield* Commands.approve("r", "release")
          expect(yield* w.run({}, { runId: "r" })).toMatchObject({ output: "released 2" })
        }),
      ),
    )

    it.effect("is asked anew when what it asks for has changed before it was decided", () =>
      on(
        Effect.gen(function* () {
          yield* gated({}, "1").w.run({}, { runId: "r" })
          yield* Commands.approve("r", "deploy")
          const changed = gated({}, "2").w
          expect((yield* changed.run({}, { runId: "r" })).status).toBe("waiting-approval")
          const storage = yield* Storage
          expect(yield* storage.waits({})).toMatchObject([{ request: { title: "Deploy 2?", summary: "plan 1" }, approved: null }])
          yield* Commands.approve("r", "deploy")
          expect((yield* changed.run({}, { runId: "r" })).status).toBe("finished")
        }),
      ),
    )
  })

  describe("a signal that starts a run", () => {
    const listening = () => {
      const heard: Array<string> = []
      const w = workflow(($) => {
        const order = $.signal("order", { name: "order", payload: Text })
        return $.sequence(
          order,
          $.step("note", {
            needs: { order },
            output: Text,
            run: ({ order }) => {
              heard.push(order)
              return order
            },
          }),
          $.signal("more", { name: "order", payload: Text }),
        )
      })
      return { w, heard }
    }

    it.effect("starts it if it is not there, and reaches it if it is, once per id", () =>
      on(
        Effect.gen(function* () {
          const { w, heard } = listening()
          const first = yield* Smithers.signalWithStart(w, {}, { runId: "r", signal: "order", payload: "one", id: "1" })
          expect((yield* first.waiting).status).toBe("waiting-event")
          expect(heard).toEqual(["one"])
          yield* Smithers.signalWithStart(w, {}, { runId: "r", signal: "order", payload: "one", id: "1" })
          yield* rest
          const storage = yield* Storage
          expect((yield* storage.inspect("r")).run.status).toBe("waiting-event")
          const second = yield* Smithers.signalWithStart(w, {}, { runId: "r", signal: "order", payload: "two", id: "2" })
          expect(yield* second.await).toBe("two")
          expect((yield* storage.events("r")).filter(({ event }) => event._tag === "RunStarted")).toHaveLength(1)
          const late = yield* Effect.either(Smithers.signalWithStart(w, {}, { runId: "r", signal: "order", payload: "three" }))
          expect(Either.isLeft(late) && late.left._tag).toBe("RunEnded")
        }),
      ),
    )

    it.effect("refuses an input, an id or a payload that is none, and stores nothing", () =>
      on(
        Effect.gen(function* () {
          const { w } = listening()
          const wrong = [
            Smithers.signalWithStart(w, null as never, { runId: "r", signal: "order" }),
            Smithers.signalWithStart(w, {}, { runId: "", signal: "order" }),
            Smithers.signalWithStart(w, {}, { runId: "r", signal: "order", payload: () => 1 }),
          ]
          const tags = yield* Effect.forEach(wrong, (one) => Effect.map(Effect.flip(one), ({ _tag }) => _tag))
          expect(tags).toEqual(["InvalidInput", "InvalidRunId", "InvalidCommand"])
          expect(yield* (yield* Storage).runs({})).toEqual([])
        }),
      ),
    )
  })

  it.effect("a handle says that nothing goes on also of a run that has ended", () =>
    on(
      Effect.gen(function* () {
        const { step } = counting()
        const w = workflow(($) => step($, "a"))
        const handle = yield* w.start({}, { runId: "r" })
        expect(yield* handle.waiting).toMatchObject({ status: "finished", output: "a 1" })
        expect(yield* (yield* w.start({}, { runId: "r" })).waiting).toMatchObject({ status: "finished" })
      }),
    ),
  )

  it.effect("a cancellation that comes with the last output loses, and one that comes before it wins", () =>
    on(
      Effect.gen(function* () {
        let release: ((end: Effect.Effect<string>) => void) | undefined
        const w = workflow(($) =>
          $.step("a", {
            output: Text,
            run: () =>
              Effect.async<string>((resume) => {
                release = resume
              }),
          }),
        )
        const late = yield* Effect.fork(w.run({}, { runId: "late" }))
        yield* rest
        release?.(Effect.succeed("done"))
        yield* Commands.cancel("late")
        expect(yield* Fiber.join(late)).toMatchObject({ status: "finished", output: "done" })
        expect(yield* Effect.flip(Commands.cancel("late"))).toMatchObject({ _tag: "RunEnded" })
        const early = yield* Effect.fork(w.run({}, { runId: "early" }))
        yield* rest
        yield* Commands.cancel("early")
        yield* rest
        release?.(Effect.succeed("done"))
        expect(yield* Fiber.join(early)).toMatchObject({ status: "cancelled" })
        const log = (yield* (yield* Storage).events("early")).map(({ event }) => event._tag)
        expect(log.slice(-3)).toEqual(["CancelRequested", "AttemptInterrupted", "RunCancelled"])
      }),
    ),
  )
})

describe("a command", () => {
  it.effect("is a span of its own name under the caller's, which fails with it", () =>
    Effect.gen(function* () {
      const { tracer, ended } = Spans.make()
      const w = workflow(($) => $.approval("ok", { request: () => ({ title: "Ship?" }) }))
      const program = Effect.gen(function* () {
        yield* w.run({}, { runId: "r" })
        yield* Commands.pause("r")
        yield* Commands.unpause("r")
        yield* Effect.flip(Commands.approve("r", "none"))
        yield* Effect.flip(Commands.signal("nobody", "paid"))
        yield* Effect.flip(Commands.retryNode("r", "none"))
        yield* w.cancel("r")
      })
      yield* program.pipe(Effect.withSpan("caller"), Effect.withTracer(tracer), Effect.provide(Smithers.memory))
      expect(ended.map(({ name, parent, isFailed }) => [parent ?? "", name, isFailed])).toEqual([
        ["Workflow.run", "smithers.run", true],
        ["caller", "Workflow.run", false],
        ["caller", "Commands.pause", false],
        ["caller", "Commands.unpause", false],
        ["caller", "Commands.approve", true],
        ["caller", "Commands.signal", true],
        ["caller", "Commands.retryNode", true],
        ["smithers.run", "smithers.wait", false],
        ["Workflow.cancel", "smithers.run", false],
        ["caller", "Workflow.cancel", false],
        ["", "caller", false],
      ])
    }),
  )
})
