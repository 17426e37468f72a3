/**
 * What people and programs say, heard late, twice, of something else, or in a form that nobody can keep; on every store.
 */
import { expect, it } from "@effect/vitest"
import { Smithers } from "@smithers/core"
import * as Commands from "@smithers/core/Commands"
import * as Engine from "@smithers/core/Engine"
import * as Millis from "@smithers/core/Millis"
import { ports, Storage } from "@smithers/core/Storage"
import { Clock, Effect, Fiber, Schema, TestClock } from "effect"
import { describe } from "vitest"
import { processOn, runningOn, stores, Text } from "./Flows.ts"
import { rest } from "./Time.ts"

const workflow = Smithers.createWorkflow({ name: "asks", input: Schema.Struct({}) })
const pass = (duration: string) => Effect.zipRight(TestClock.adjust(duration as "1 second"), rest)

describe.each(stores)("on %s", (_, layer) => {
  const on = runningOn(layer)
  const log = (runId: string) =>
    Effect.flatMap(Storage, (storage) => Effect.map(storage.events(runId), (all) => all.map(({ event }) => event)))
  const waits = Effect.flatMap(Storage, (storage) => storage.waits({ runId: "r", all: true }))

  describe("what a person says", () => {
    const asking = (options: { readonly timeout?: string } = {}) =>
      workflow.build(($) =>
        $.approval("ok", { request: () => ({ title: "?" }), onDeny: "continue", ...(options as { timeout?: "1 hour" }) }),
      )

    it.effect("is dated when they said it, however much later it is heard", () =>
      on(
        Effect.gen(function* () {
          const both = workflow.build(($) =>
            $.sequence($.human("ask", { prompt: "?", output: Text }), $.approval("ok", { request: () => ({ title: "?" }) })),
          )
          yield* both.run({}, { runId: "r" })
          const [start] = [yield* Clock.currentTimeMillis]
          yield* Commands.answer("r", "ask", "yes", { by: "ann" })
          yield* TestClock.adjust("8 hours")
          yield* both.run({}, { runId: "r" })
          yield* Commands.approve("r", "ok", { by: "ann" })
          yield* TestClock.adjust("8 hours")
          const decided = yield* both.run({}, { runId: "r" })
          expect(decided).toMatchObject({ output: { approved: true, decidedAt: new Date(start + 8 * 3_600_000).toISOString() } })
          const said = (yield* log("r")).flatMap((event) => ("submittedAt" in event ? [[event._tag, event.submittedAt]] : []))
          expect(said).toEqual([
            ["TaskAnswered", start],
            ["WaitEnded", start],
            ["ApprovalDecided", start + 8 * 3_600_000],
          ])
        }),
      ),
    )

    it.effect("too late is told so, and what the workflow says for that holds, whether or not the run has heard of the time", () =>
      on(
        Effect.gen(function* () {
          const timed = workflow.build(($) =>
            $.approval("ok", { request: () => ({ title: "?" }), timeout: "1 hour", onTimeout: "deny", onDeny: "continue" }),
          )
          yield* timed.run({}, { runId: "r" })
          yield* TestClock.adjust("61 minutes")
          const late = yield* Effect.flip(Commands.approve("r", "ok", { by: "ann" }))
          expect(late).toMatchObject({ _tag: "WaitExpired", nodeId: "ok", deadline: 3_600_000 })
          expect(yield* timed.run({}, { runId: "r" })).toMatchObject({ output: { approved: false } })
          expect(yield* Effect.flip(Commands.approve("r", "ok"))).toMatchObject({ _tag: "WaitExpired" })
          // The store does not take it either.
          yield* timed.run({}, { runId: "s" })
          const storage = yield* Storage
          const at = Millis.after(yield* Millis.now, Millis.make(3_600_001))
          const command = { _tag: "Decide", nodeId: "ok", iteration: 0, approved: true } as const
          const refused = yield* Effect.flip(storage.deliverResponse({ id: "late", runId: "s", at, command }))
          expect(refused).toMatchObject({ _tag: "WaitExpired", deadline: at - 1 })
          expect(yield* storage.pending).toEqual([])
          yield* TestClock.adjust("2 hours")
          expect(yield* timed.run({}, { runId: "s" })).toMatchObject({ output: { approved: false } })
        }),
      ),
    )

    it.effect("in time counts, also where the process that works on the run has not heard of it when the time is over", () =>
      on(
        Effect.gen(function* () {
          const storage = yield* Storage
          const timed = asking({ timeout: "1 hour" })
          // It hears of nothing that others write.
          const deaf: Storage["Type"] = {
            ...storage,
            changes: (version) => (version === -1 ? storage.changes(version) : Effect.never),
          }
          const { engine, stop } = yield* processOn(deaf)
          const run = Effect.provideService(timed.run({}, { runId: "r" }), Engine.Engine, engine)
          yield* run
          const fiber = yield* Effect.fork(Effect.provideService(timed.execute({}, { runId: "r" }), Engine.Engine, engine))
          yield* rest
          yield* TestClock.adjust("59 minutes")
          yield* Commands.approve("r", "ok", { by: "ann" })
          yield* TestClock.adjust("1 minute")
          expect(yield* Fiber.join(fiber)).toMatchObject({ approved: true, decidedBy: "ann" })
          yield* stop
        }),
      ),
    )

    it.effect("at the very moment in which the run ends the wait counts, and nothing that was done beside it is lost", () =>
      on(
        Effect.gen(function* () {
          const storage = yield* Storage
          let ran = 0
          const w = workflow.build(($) =>
            $.parallel(
              $.approval("ok", { request: () => ({ title: "?" }), timeout: "1 hour", onTimeout: "deny", onDeny: "continue" }),
              $.step("beside", {
                output: Schema.Number,
                run: () =>
                  Effect.delay(
                    Effect.sync(() => ++ran),
                    "1 hour",
                  ),
              }),
            ),
          )
          // Said after the run has read its inbox, and before its frame is there.
          let times = 0
          const racing: Storage["Type"] = {
            ...storage,
            commit: (frame) => {
              const isEnding = frame.events.some((event) => event._tag === "WaitEnded" && event.reason === "timed-out")
              const command = { _tag: "Decide", nodeId: "ok", iteration: 0, approved: true, by: "ann" } as const
              const decide = storage.deliverResponse({ id: "d", runId: "r", at: Millis.make(3_600_000), command })
              const isFirst = isEnding && times++ === 0
              return isFirst ? Effect.zipRight(Effect.orDie(decide), storage.commit(frame)) : storage.commit(frame)
            },
          }
          const { engine, stop } = yield* processOn(racing)
          const run = Effect.provideService(w.execute({}, { runId: "r" }), Engine.Engine, engine)
          const fiber = yield* Effect.fork(run)
          yield* rest
          yield* TestClock.adjust("1 hour")
          expect(yield* Fiber.join(fiber)).toMatchObject([{ approved: true, decidedBy: "ann" }, 1])
          expect([times, ran]).toEqual([1, 1])
          yield* stop
        }),
      ),
    )

    it.effect("while the run is paused is in time, as its time stands still", () =>
      on(
        Effect.gen(function* () {
          const timed = asking({ timeout: "1 hour" })
          yield* timed.run({}, { runId: "r" })
          yield* Commands.pause("r")
          yield* timed.run({}, { runId: "r" })
          yield* TestClock.adjust("1 day")
          yield* Commands.approve("r", "ok")
          yield* Commands.unpause("r")
          expect(yield* timed.run({}, { runId: "r" })).toMatchObject({ output: { approved: true } })
        }),
      ),
    )

    it.effect("of what was asked before is not taken for what is asked now", () =>
      on(
        Effect.gen(function* () {
          const about = (title: string) => workflow.build(($) => $.approval("ok", { request: () => ({ title }) }))
          yield* about("A").run({}, { runId: "r" })
          const storage = yield* Storage
          const [shown] = yield* waits
          yield* about("B").run({}, { runId: "r" })
          // They looked at A when they decided.
          const command = { _tag: "Decide", nodeId: "ok", iteration: 0, approved: true, digest: shown?.digest as string } as const
          yield* storage.deliverResponse({ id: "d", runId: "r", at: yield* Millis.now, command })
          expect(yield* about("B").run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          expect(yield* waits).toMatchObject([{ request: { title: "B" }, approved: null }])
          yield* Commands.approve("r", "ok")
          expect(yield* about("B").run({}, { runId: "r" })).toMatchObject({ status: "finished" })
        }),
      ),
    )

    it.effect("is held against every limit of what was asked, also of one that has a name", () =>
      on(
        Effect.gen(function* () {
          const Stars = Schema.Int.pipe(Schema.between(1, 5))
          const rating = workflow.build(($) => $.human("rate", { prompt: "?", output: Schema.Struct({ a: Stars, b: Stars }) }))
          yield* rating.run({}, { runId: "r" })
          const refused = yield* Effect.flip(Commands.answer("r", "rate", { a: 7, b: 1.5 }))
          expect(refused).toMatchObject({
            _tag: "InvalidAnswer",
            issues: [expect.stringMatching(/^a: 7/), expect.stringMatching(/^b: .*integer/)],
          })
        }),
      ),
    )

    it.effect("in what is no text is refused, and the run is as it was", () =>
      on(
        Effect.gen(function* () {
          yield* asking().run({}, { runId: "r" })
          const by = { id: 7 } as unknown as string
          for (const told of [
            Commands.approve("r", "ok", { by }),
            Commands.deny("r", "ok", { note: by }),
            Commands.answer("r", "ok", 1, { by }),
            Commands.pause("r", { by }),
            Commands.unpause("r", { by }),
            Commands.cancel("r", { reason: by }),
            Commands.signal("r", "s", { correlation: by }),
            Commands.signal("r", "s", { id: by }),
          ]) {
            const refused = yield* Effect.flip(told)
            expect(refused._tag).toBe("InvalidCommand")
            expect(refused.message).toContain("must be a text")
          }
          yield* Commands.approve("r", "ok", { by: "ann" })
          expect(yield* asking().run({}, { runId: "r" })).toMatchObject({ output: { decidedBy: "ann" } })
          expect(yield* Effect.flip(Commands.approve("r", "other"))).toMatchObject({ _tag: "RunEnded", status: "finished" })
        }),
      ),
    )
  })

  describe("a signal", () => {
    const receiving = (name: string) =>
      Smithers.createWorkflow({ name, input: Schema.Struct({}) }).build(($) => $.signal("in", { name: "s", payload: Text }))

    it.effect("sent again under its id is one, also when the run is over", () =>
      on(
        Effect.gen(function* () {
          const a = receiving("a")
          yield* a.run({}, { runId: "r" })
          yield* Commands.signal("r", "s", { payload: "x", id: "1" })
          expect(yield* a.run({}, { runId: "r" })).toMatchObject({ output: "x" })
          yield* Commands.signal("r", "s", { payload: "x", id: "1" })
          const handle = yield* a.signalWithStart({}, { runId: "r", signal: "s", payload: "x", id: "1" })
          expect(yield* handle.await).toBe("x")
          expect(yield* Effect.flip(Commands.signal("r", "s", { payload: "y", id: "2" }))).toMatchObject({ _tag: "RunEnded" })
        }),
      ),
    )

    it.effect("that was to start a run is not given to one of another workflow", () =>
      on(
        Effect.gen(function* () {
          const [a, b] = [receiving("a"), receiving("b")]
          yield* a.run({}, { runId: "r" })
          const refused = yield* Effect.flip(b.signalWithStart({}, { runId: "r", signal: "s", payload: "for b" }))
          expect(refused).toMatchObject({ _tag: "WorkflowMismatch", runId: "r", workflow: "b", stored: "a" })
          expect(yield* a.run({}, { runId: "r" })).toMatchObject({ status: "waiting-event" })
        }),
      ),
    )

    it.effect("is waited for by the name and the correlation of the code that is there now", () =>
      on(
        Effect.gen(function* () {
          const named = (name: string, order: string) =>
            workflow.build(($) => $.signal("in", { name, payload: Text, correlation: () => order }))
          yield* named("payed", "1").run({}, { runId: "r" })
          yield* Commands.signal("r", "paid", { payload: "x", correlation: "2" })
          expect(yield* named("paid", "1").run({}, { runId: "r" })).toMatchObject({ status: "waiting-event" })
          expect(yield* waits).toMatchObject([{ name: "paid", correlation: "1" }])
          expect(yield* named("paid", "2").run({}, { runId: "r" })).toMatchObject({ output: "x" })
        }),
      ),
    )

    it.effect("that one wait refuses is kept for another that it fits, and for code that is edited to take it", () =>
      on(
        Effect.gen(function* () {
          const pair = (least: number) =>
            workflow.build(($) =>
              $.parallel(
                $.signal("a", { name: "s", payload: Schema.Number }),
                $.signal("b", { name: "s", payload: Text }),
                $.signal("c", {
                  name: "s",
                  payload: Schema.Number.pipe(Schema.greaterThanOrEqualTo(least)),
                  correlation: () => "c",
                }),
              ),
            )
          yield* pair(3).run({}, { runId: "r" })
          yield* Commands.signal("r", "s", { payload: "text" })
          yield* Commands.signal("r", "s", { payload: 1 })
          yield* Commands.signal("r", "s", { payload: 2, correlation: "c" })
          expect(yield* pair(3).run({}, { runId: "r" })).toMatchObject({ status: "waiting-event", waits: [{ nodeId: "c" }] })
          expect(yield* pair(1).run({}, { runId: "r" })).toMatchObject({ output: [1, "text", 2] })
        }),
      ),
    )

    it.effect("may become a timer, and a timer a signal, by an edit", () =>
      on(
        Effect.gen(function* () {
          const signal = workflow.build(($) => $.signal("x", { name: "s", payload: Text }))
          const timer = workflow.build(($) => $.timer("x", { duration: "1 hour" }))
          yield* signal.run({}, { runId: "r" })
          expect(yield* timer.run({}, { runId: "r" })).toMatchObject({ status: "waiting-timer" })
          const fiber = yield* Effect.fork(timer.execute({}, { runId: "r" }))
          yield* pass("1 hour")
          yield* Fiber.join(fiber)
          yield* timer.run({}, { runId: "s" })
          yield* signal.run({}, { runId: "s" })
          yield* Commands.signal("s", "s", { payload: "now" })
          expect(yield* signal.run({}, { runId: "s" })).toMatchObject({ output: "now" })
        }),
      ),
    )
  })

  describe("a child run", () => {
    it.effect("that was begun anew leaves the old one cancelled, whose end is nothing to its parent", () =>
      on(
        Effect.gen(function* () {
          const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({}) }).build(($) =>
            $.approval("ok", { request: () => ({ title: "?" }) }),
          )
          const parent = workflow.build(($) => $.subflow("c", { workflow: child, input: {} }))
          const fiber = yield* Effect.fork(parent.execute({}, { runId: "r" }))
          yield* rest
          const elsewhere = yield* Effect.flip(Commands.approve("r", "c"))
          expect(elsewhere.message).toContain('subflow "c" (run r~c~0)')
          yield* Commands.retryNode("r", "c")
          yield* rest
          const storage = yield* Storage
          const status = (runId: string) => Effect.map(storage.inspect(runId), ({ run }) => run.status)
          expect(yield* status("r~c~0")).toBe("cancelled")
          expect(yield* status("r")).toBe("waiting-approval")
          expect(yield* Effect.flip(Commands.approve("r~c~0", "ok"))).toMatchObject({ _tag: "RunEnded" })
          yield* Commands.approve("r~c~0~1", "ok", { by: "ann" })
          expect(yield* Fiber.join(fiber)).toMatchObject({ decidedBy: "ann" })
          const refused = yield* Effect.flip(child.run({}, { runId: "r~c~0" }))
          expect(refused.message).toContain("which only its parent starts")
        }),
      ),
    )
  })

  describe("a cancellation", () => {
    it.effect("of a paused run lets time pass for what is done on the way out", () =>
      on(
        Effect.gen(function* () {
          const w = workflow.build(($) =>
            $.tryCatch({
              id: "t",
              try: $.approval("ok", { request: () => ({ title: "?" }) }),
              finally: $.timer("grace", { duration: "1 hour" }),
            }),
          )
          yield* w.run({}, { runId: "r" })
          yield* Commands.pause("r")
          yield* w.run({}, { runId: "r" })
          const fiber = yield* Effect.fork(w.cancel("r"))
          yield* rest
          yield* pass("1 hour")
          yield* Fiber.join(fiber)
          const storage = yield* Storage
          expect((yield* storage.inspect("r")).run.status).toBe("cancelled")
        }),
      ),
    )
  })

  it.effect("a decision and an answer are given without reading the other waits of the run, or its nodes", () =>
    on(
      Effect.gen(function* () {
        const storage = yield* Storage
        const w = workflow.build(($) =>
          $.parallel(
            $.approval("ok", { request: () => ({ title: "?" }) }),
            $.approval("other", { request: () => ({ title: "?" }) }),
          ),
        )
        yield* w.run({}, { runId: "r" })
        const refuse = () => Effect.dieMessage("all of it was read")
        const narrow = { ...storage, inspect: refuse, load: refuse, waits: refuse, runs: refuse }
        const decided = Commands.approve("r", "ok", { by: "ann" }).pipe(Effect.provide(ports(narrow)))
        expect(yield* decided).toMatchObject({ nodeId: "ok", iteration: 0, by: "ann" })
        expect(yield* Effect.flip(decided)).toMatchObject({ _tag: "AlreadyDecided", approved: true, by: "ann" })
      }),
    ),
  )
})
