/**
 * Waiting on the world: approvals, people's tasks, signals and timers, in one process and across restarts, on every store.
 */

import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { Decision } from "@smithers/core/Decision"
import * as Engine from "@smithers/core/Engine"
import * as Smithers from "@smithers/core/Smithers"
import { type Ports, ports, Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import * as z from "zod"
import { runningOn, stores, Text } from "./Flows.ts"
import { rest } from "./Time.ts"

const Input = Schema.Struct({ spec: Schema.String })

/** Asks before it ships. */
const shipping = (onDeny: "fail" | "continue" | "skip" = "fail", title = "Ship it?") => {
  const ran: Array<string> = []
  const workflow = Smithers.createWorkflow({ name: "ship", input: Input }).build(($) => {
    const diff = $.step("implement", {
      output: Text,
      run: ({ input }) => {
        ran.push("implement")
        return `diff of ${input.spec}`
      },
    })
    const ship = $.approval("ship", {
      needs: { diff },
      request: ({ diff }) => ({ title, summary: diff }),
      onDeny,
      timeout: "1 day",
      onTimeout: "deny",
    })
    const deploy = $.step("deploy", {
      needs: { ship },
      output: Schema.Unknown,
      run: ({ ship }) => {
        ran.push("deploy")
        return ship ?? "nothing"
      },
    })
    return $.sequence(diff, ship, deploy)
  })
  return { workflow, ran }
}

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  describe("an approval", () => {
    it.effect("is waited for in process by execute, and goes on at once when it is given", () =>
      on(
        Effect.gen(function* () {
          const { workflow, ran } = shipping()
          const fiber = yield* Effect.fork(workflow.execute({ spec: "login" }, { runId: "r" }))
          yield* rest
          expect(ran).toEqual(["implement"])
          const storage = yield* Storage
          const waits = yield* storage.waits({})
          expect(waits).toMatchObject([
            { runId: "r", workflow: "ship", nodeId: "ship", kind: "approval", status: "open", deadline: 86_400_000 },
          ])
          expect(waits[0]?.request).toEqual({ title: "Ship it?", summary: "diff of login" })
          yield* TestClock.adjust("1 hour")
          yield* Commands.approve("r", "ship", { by: "ann", note: "nice" })
          expect(yield* Fiber.join(fiber)).toEqual({
            approved: true,
            note: "nice",
            decidedBy: "ann",
            decidedAt: "1970-01-01T01:00:00.000Z",
            timedOut: false,
          })
          expect(ran).toEqual(["implement", "deploy"])
          expect(yield* storage.waits({})).toEqual([])
          expect(yield* storage.waits({ all: true })).toMatchObject([
            { status: "finished", approved: true, note: "nice", by: "ann", endedAt: 3_600_000, timedOut: false },
          ])
        }),
      ),
    )

    it.effect("makes run return with what is waited for, and the run goes on when it is run again", () =>
      on(
        Effect.gen(function* () {
          const { workflow, ran } = shipping()
          const waiting = yield* workflow.run({ spec: "login" }, { runId: "r" })
          expect(waiting).toEqual({
            status: "waiting-approval",
            runId: "r",
            waits: [{ nodeId: "ship", iteration: 0, kind: "approval", deadline: 86_400_000 }],
          })
          const storage = yield* Storage
          expect(yield* storage.runs({})).toMatchObject([{ runId: "r", status: "waiting-approval", owner: null }])
          expect(yield* workflow.run({ spec: "login" }, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          yield* Commands.approve("r", "ship")
          expect(yield* workflow.run({ spec: "login" }, { runId: "r" })).toMatchObject({ status: "finished" })
          expect(ran).toEqual(["implement", "deploy"])
        }),
      ),
    )

    it.effect("that is denied fails the run, goes on without, or is left out, as onDeny says", () =>
      on(
        Effect.gen(function* () {
          const decided = (onDeny: "fail" | "continue" | "skip") =>
            Effect.gen(function* () {
              const { workflow, ran } = shipping(onDeny)
              yield* workflow.run({ spec: "x" }, { runId: onDeny })
              yield* Commands.deny(onDeny, "ship", { by: "bob", note: "too risky" })
              return [yield* workflow.run({ spec: "x" }, { runId: onDeny }), ran.at(-1)] as const
            })
          const [failed, lastOfFailed] = yield* decided("fail")
          expect(failed).toMatchObject({
            status: "failed",
            error: { nodeId: "ship", error: { name: "ApprovalDenied", message: "denied by bob: too risky" } },
          })
          expect(lastOfFailed).toBe("implement")
          const [continued] = yield* decided("continue")
          expect(continued).toMatchObject({ status: "finished", output: { approved: false, note: "too risky", decidedBy: "bob" } })
          const [skipped] = yield* decided("skip")
          expect(skipped).toMatchObject({ status: "finished", output: "nothing" })
        }),
      ),
    )

    it.effect("is decided once: whoever comes second is told who was first, also where they say the same", () =>
      on(
        Effect.gen(function* () {
          const { workflow } = shipping()
          yield* workflow.run({ spec: "x" }, { runId: "r" })
          yield* Commands.approve("r", "ship", { by: "ann" })
          const decided = { _tag: "AlreadyDecided", approved: true, by: "ann" }
          expect(yield* Effect.flip(Commands.approve("r", "ship", { by: "bob" }))).toMatchObject(decided)
          expect(yield* Effect.flip(Commands.deny("r", "ship", { by: "bob" }))).toMatchObject(decided)
          expect(yield* workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({ output: { approved: true, decidedBy: "ann" } })
          expect(yield* Effect.flip(Commands.deny("r", "ship"))).toMatchObject(decided)
          expect(yield* Effect.flip(Commands.approve("r", "ship"))).toMatchObject(decided)
        }),
      ),
    )

    it.effect("that is decided otherwise between the looking and the saying is told so", () =>
      on(
        Effect.gen(function* () {
          const workflow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
            $.sequence(
              $.approval("ask", { request: () => ({ title: "?" }) }),
              $.approval("more", { request: () => ({ title: "!" }) }),
            ),
          )
          const storage = yield* Storage
          const fiber = yield* Effect.fork(workflow.execute({}, { runId: "r" }))
          yield* rest
          const approved = Effect.provide(Effect.orDie(Commands.approve("r", "ask")), ports(storage))
          const slow: Storage["Type"] = {
            ...storage,
            deliverResponse: (command) => Effect.zipRight(Effect.zipRight(approved, rest), storage.deliverResponse(command)),
          }
          const denied = yield* Effect.flip(Effect.provide(Commands.deny("r", "ask"), ports(slow)))
          expect(denied._tag).toBe("AlreadyDecided")
          yield* Fiber.interrupt(fiber)
        }),
      ),
    )

    it.effect("is for its approvers to decide, and for nobody else", () =>
      on(
        Effect.gen(function* () {
          const workflow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
            $.approval("ask", { request: () => ({ title: "?" }), approvers: ["ann", "bob"] }),
          )
          yield* workflow.run({}, { runId: "r" })
          const storage = yield* Storage
          expect((yield* storage.waits({}))[0]?.request).toEqual({ title: "?", approvers: ["ann", "bob"] })
          const other = yield* Effect.flip(Commands.approve("r", "ask", { by: "eve" }))
          expect(other.message).toBe(`"eve" may not decide on "ask" of run "r". Its approvers are ann, bob.`)
          expect((yield* Effect.flip(Commands.deny("r", "ask")))._tag).toBe("NotAnApprover")
          yield* Commands.approve("r", "ask", { by: "bob" })
          expect(yield* workflow.execute({}, { runId: "r" })).toMatchObject({ approved: true, decidedBy: "bob" })
        }),
      ),
    )

    it.effect("is asked for in vain where nothing waits, with what does", () =>
      on(
        Effect.gen(function* () {
          const { workflow } = shipping()
          yield* workflow.run({ spec: "x" }, { runId: "r" })
          const error = yield* Effect.flip(Commands.approve("r", "deploy"))
          expect(error).toMatchObject({ _tag: "NotWaiting", open: ['approval "ship"'] })
          expect(error.message).toContain('It waits for approval "ship".')
          expect((yield* Effect.flip(Commands.answer("r", "ship", 1)))._tag).toBe("NotWaiting")
          expect((yield* Effect.flip(Commands.approve("nobody", "ship")))._tag).toBe("RunNotFound")
          const elsewhere = yield* Effect.flip(Commands.approve("r", "ship", { iteration: 3 }))
          expect(elsewhere).toMatchObject({ _tag: "NotWaiting", iteration: 3 })
          expect(elsewhere.message).toContain('"ship", iteration 3,')
        }),
      ),
    )

    it("of an older version, which does not say so, counts as decided in time", () => {
      const row = { approved: true, note: null, decidedBy: null, decidedAt: null }
      expect(Schema.decodeSync(Decision)(row)).toEqual({ ...row, timedOut: false })
    })

    it.effect("that nobody decides in time is denied, a day later, also where the process was away", () =>
      on(
        Effect.gen(function* () {
          const { workflow } = shipping("continue")
          yield* workflow.run({ spec: "x" }, { runId: "r" })
          yield* TestClock.adjust("1 day")
          expect(yield* workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({
            output: { approved: false, decidedBy: null, decidedAt: null, timedOut: true },
          })
          const storage = yield* Storage
          expect(yield* storage.waits({ all: true })).toMatchObject([{ status: "finished", approved: null, timedOut: true }])
          const fiber = yield* Effect.fork(shipping("fail").workflow.execute({ spec: "x" }, { runId: "s" }))
          yield* rest
          yield* TestClock.adjust("1 day")
          expect(yield* Effect.flip(Fiber.join(fiber))).toMatchObject({
            _tag: "ApprovalDenied",
            problem: "denied: not decided in time",
          })
        }),
      ),
    )

    it.effect("is not over while its run is paused, also where that is taken up by another process", () =>
      on(
        Effect.gen(function* () {
          const { workflow } = shipping("continue")
          yield* workflow.run({ spec: "x" }, { runId: "r" })
          yield* Commands.pause("r")
          yield* TestClock.adjust("2 days")
          expect(yield* workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({ status: "paused" })
          yield* Commands.approve("r", "ship", { by: "ann" })
          yield* Commands.unpause("r")
          expect(yield* workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({ output: { approved: true, decidedBy: "ann" } })
        }),
      ),
    )

    it.effect("decided in the very millisecond in which it is over is decided", () =>
      on(
        Effect.gen(function* () {
          const { workflow } = shipping("continue")
          yield* workflow.run({ spec: "x" }, { runId: "r" })
          yield* TestClock.adjust("1 day")
          yield* Commands.approve("r", "ship", { by: "ann" })
          expect(yield* workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({ output: { approved: true, decidedBy: "ann" } })
        }),
      ),
    )

    it.effect("of something else than what was decided is asked anew", () =>
      on(
        Effect.gen(function* () {
          yield* shipping("fail", "Ship it?").workflow.run({ spec: "x" }, { runId: "r" })
          const edited = shipping("fail", "Ship it to production?")
          expect(yield* edited.workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          const storage = yield* Storage
          expect(yield* storage.waits({})).toMatchObject([{ request: { title: "Ship it to production?" }, approved: null }])
          yield* Commands.approve("r", "ship")
          // The code that asked first is back: what was approved is not what it asks for.
          expect(yield* shipping("fail", "Ship it?").workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({
            status: "waiting-approval",
          })
          yield* Commands.approve("r", "ship")
          expect(yield* shipping("fail", "Ship it?").workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({
            status: "finished",
          })
        }),
      ),
    )

    it.effect("that was denied stays denied when the failed run is resumed, and is asked again when it is retried", () =>
      on(
        Effect.gen(function* () {
          const { workflow } = shipping()
          yield* workflow.run({ spec: "x" }, { runId: "r" })
          yield* TestClock.adjust("1 second")
          yield* Commands.deny("r", "ship", { by: "bob", note: "too risky" })
          const denied = {
            nodeId: "ship",
            error: { name: "ApprovalDenied", message: "denied by bob: too risky", notRetried: "denied" },
          }
          expect(yield* workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({ status: "failed", error: denied })
          yield* TestClock.adjust("1 second")
          const again = yield* Effect.flip(workflow.resume("r"))
          expect(again).toMatchObject({ _tag: "ApprovalDenied", nodeId: "ship", problem: "denied by bob: too risky" })
          expect(again.message).toBe('Node "ship" of run "r" failed: denied by bob: too risky. Retry the node to ask again.')
          const asked = { runId: "r", onFailed: "resume" } as const
          expect(yield* workflow.run({ spec: "x" }, asked)).toMatchObject({ status: "failed", error: denied })
          // Nobody is asked meanwhile.
          expect(yield* (yield* Storage).waits({})).toEqual([])
          expect((yield* Effect.flip(Commands.approve("r", "ship")))._tag).toBe("AlreadyDecided")
          yield* Commands.retryNode("r", "ship")
          expect(yield* workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
          yield* Commands.approve("r", "ship")
          expect(yield* workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({ status: "finished" })
        }),
      ),
    )

    it.effect("that nobody decided in time is asked again when the failed run is resumed", () =>
      on(
        Effect.gen(function* () {
          const ask = { request: () => ({ title: "?" }), timeout: "1 hour" } as const
          const w = Smithers.createWorkflow({ name: "late", input: Input }).build(($) => $.approval("ok", ask))
          const fiber = yield* Effect.fork(Effect.flip(w.execute({ spec: "x" }, { runId: "r" })))
          yield* rest
          yield* TestClock.adjust("1 hour")
          expect((yield* Fiber.join(fiber)).message).toContain("denied: not decided in time")
          const asked = { runId: "r", onFailed: "resume" } as const
          expect(yield* w.run({ spec: "x" }, asked)).toMatchObject({ status: "waiting-approval" })
        }),
      ),
    )
  })

  describe("a person's task", () => {
    const survey = Smithers.createWorkflow({ name: "survey", input: Input }).build(($) => {
      const ask = $.human("ask", {
        prompt: ({ input }) => `How is ${input.spec}?`,
        output: z.object({ stars: z.number().int().min(1).max(5), why: z.string().default("") }),
      })
      return $.sequence(ask, $.step("thank", { needs: { ask }, output: Text, run: ({ ask }) => `${ask.stars} stars ${ask.why}` }))
    })

    it.effect("keeps the question with the JSON Schema of the answer, and refuses answers that do not match it", () =>
      on(
        Effect.gen(function* () {
          const fiber = yield* Effect.fork(survey.execute({ spec: "it" }, { runId: "r" }))
          yield* rest
          const storage = yield* Storage
          const [wait] = yield* storage.waits({ kind: ["human"] })
          expect(wait?.request).toMatchObject({ prompt: "How is it?", schema: { properties: { stars: { maximum: 5 } } } })
          const before = yield* storage.events("r")
          const refused = yield* Effect.flip(Commands.answer("r", "ask", { stars: 9, why: [] }, { by: "ann" }))
          expect(refused).toMatchObject({ _tag: "InvalidAnswer", runId: "r", nodeId: "ask", iteration: 0 })
          expect(refused.message).toContain("stars: 9 is greater than 5; why: ")
          yield* rest
          expect(yield* storage.waits({})).toMatchObject([{ nodeId: "ask", by: null, status: "open" }])
          expect(yield* storage.events("r")).toEqual(before)
          yield* Commands.answer("r", "ask", { stars: 4 }, { by: "ann" })
          expect(yield* Fiber.join(fiber)).toBe("4 stars ")
          expect((yield* Effect.flip(Commands.answer("r", "ask", { stars: 5 })))._tag).toBe("AlreadyDecided")
        }),
      ),
    )

    it.effect("makes run say waiting-approval, and takes the first answer that was given meanwhile", () =>
      on(
        Effect.gen(function* () {
          expect(yield* survey.run({ spec: "it" }, { runId: "r" })).toMatchObject({
            status: "waiting-approval",
            waits: [{ kind: "human" }],
          })
          yield* Commands.answer("r", "ask", { stars: 2, why: "slow" })
          expect((yield* Effect.flip(Commands.answer("r", "ask", { stars: 5 })))._tag).toBe("AlreadyDecided")
          expect(yield* survey.run({ spec: "it" }, { runId: "r" })).toMatchObject({ output: "2 stars slow" })
        }),
      ),
    )

    it.effect("is refused by the run, and stays open, where a JSON Schema cannot say what is wrong with the answer", () =>
      on(
        Effect.gen(function* () {
          const Pair = Schema.Tuple(Schema.Int, Schema.Int).pipe(
            Schema.filter(([low, high]) => low < high || "low is not below high"),
          )
          const between = Smithers.createWorkflow({ name: "between", input: Input }).build(($) =>
            $.human("ask", { prompt: "Between what?", output: Pair }),
          )
          const fiber = yield* Effect.fork(between.execute({ spec: "it" }, { runId: "r" }))
          yield* rest
          expect(yield* Effect.flip(Commands.answer("r", "ask", [1, "2"]))).toMatchObject({
            _tag: "InvalidAnswer",
            issues: [expect.stringMatching(/^1: .*"integer"/)],
          })
          yield* Commands.answer("r", "ask", [2, 1])
          yield* rest
          const storage = yield* Storage
          expect(yield* storage.waits({})).toMatchObject([{ nodeId: "ask", status: "open" }])
          expect((yield* storage.events("r")).at(-1)?.event).toMatchObject({
            _tag: "AnswerRefused",
            nodeId: "ask",
            issues: [expect.stringContaining("low is not below high")],
          })
          yield* Commands.answer("r", "ask", [1, 2])
          expect(yield* Fiber.join(fiber)).toEqual([1, 2])
        }),
      ),
    )
  })

  describe("a signal", () => {
    const orders = Smithers.createWorkflow({ name: "orders", input: Input }).build(($) => {
      const paid = (id: string) =>
        $.signal(id, {
          name: "paid",
          payload: Schema.Struct({ cents: Schema.NumberFromString }),
          correlation: ({ input }) => input.spec,
          timeout: "1 hour",
          onTimeout: "continue",
        })
      return $.parallel(paid("first"), paid("second"))
    })

    it.effect("is kept until someone waits for it, in order, and each is taken by one", () =>
      on(
        Effect.gen(function* () {
          const workflow = Smithers.createWorkflow({ name: "late", input: Input }).build(($) =>
            $.sequence(
              $.timer("pause", { duration: "1 minute" }),
              $.parallel(
                $.signal("a", { name: "go", payload: Text }),
                $.waitForEvent("b", { name: "go", payload: Text }),
                $.signal("c", { name: "stop", payload: Schema.Void }),
              ),
            ),
          )
          expect(yield* workflow.run({ spec: "x" }, { runId: "r" })).toMatchObject({ status: "waiting-timer" })
          yield* Commands.signal("r", "go", { payload: "one", id: "s1" })
          yield* Commands.signal("r", "go", { payload: "one", id: "s1" })
          yield* Commands.signal("r", "stop")
          const fiber = yield* Effect.fork(workflow.execute({ spec: "x" }, { runId: "r" }))
          yield* rest
          yield* TestClock.adjust("1 minute")
          yield* rest
          expect(fiber.unsafePoll()).toBeNull()
          yield* Commands.signal("r", "go", { payload: "two" })
          expect(yield* Fiber.join(fiber)).toEqual(["one", "two", undefined])
        }),
      ),
    )

    it.effect("of one id reaches every run that it is sent to, each once", () =>
      on(
        Effect.gen(function* () {
          const workflow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
            $.signal("paid", { name: "paid", payload: Text }),
          )
          for (const runId of ["a", "b"]) {
            yield* workflow.run({}, { runId })
            yield* Commands.signal(runId, "paid", { payload: runId, id: "evt" })
            yield* Commands.signal(runId, "paid", { payload: runId, id: "evt" })
            expect(yield* workflow.execute({}, { runId })).toBe(runId)
          }
        }),
      ),
    )

    it.effect("is taken only with the same correlation, decoded, and one that does not match is refused", () =>
      on(
        Effect.gen(function* () {
          const fiber = yield* Effect.fork(orders.execute({ spec: "o1" }, { runId: "r" }))
          yield* rest
          yield* Commands.signal("r", "paid", { payload: { cents: "100" }, correlation: "o2" })
          yield* Commands.signal("r", "paid", { payload: { cents: "many" }, correlation: "o1" })
          yield* Commands.signal("r", "paid", { payload: { cents: "250" }, correlation: "o1" })
          yield* rest
          expect(fiber.unsafePoll()).toBeNull()
          const storage = yield* Storage
          const refused = (yield* storage.events("r")).flatMap(({ event }) =>
            event._tag === "SignalRefused" ? [event.nodeId] : [],
          )
          expect(refused).toEqual(["first", "second"])
          yield* TestClock.adjust("1 hour")
          expect(yield* Fiber.join(fiber)).toEqual([{ cents: 250 }, undefined])
        }),
      ),
    )

    it.effect("makes run say waiting-event, and reaches the run when it is taken up", () =>
      on(
        Effect.gen(function* () {
          expect(yield* orders.run({ spec: "o1" }, { runId: "r" })).toMatchObject({
            status: "waiting-event",
            waits: [{ nodeId: "first" }, { nodeId: "second" }],
          })
          yield* Commands.signal("r", "paid", { payload: { cents: "1" }, correlation: "o1" })
          expect(yield* orders.run({ spec: "o1" }, { runId: "r" })).toMatchObject({ waits: [{ nodeId: "second" }] })
          yield* Commands.signal("r", "paid", { payload: { cents: "2" }, correlation: "o1" })
          expect(yield* orders.run({ spec: "o1" }, { runId: "r" })).toMatchObject({ output: [{ cents: 1 }, { cents: 2 }] })
          expect((yield* Effect.flip(Commands.signal("r", "paid")))._tag).toBe("RunEnded")
        }),
      ),
    )
  })

  describe("a timer", () => {
    const nap = Smithers.createWorkflow({ name: "nap", input: Input }).build(($) =>
      $.sequence(
        $.timer("wait", { duration: "10 minutes" }),
        $.timer("past", { until: new Date(1000) }),
        $.timer("date", { until: ({ input }) => (input.spec === "bad" ? Number.NaN : 900_000) }),
        $.step("done", { output: Schema.Number, run: () => Effect.clockWith((clock) => clock.currentTimeMillis) }),
      ),
    )

    it.effect("keeps its deadline across restarts, however often it is asked", () =>
      on(
        Effect.gen(function* () {
          expect(yield* nap.run({ spec: "x" }, { runId: "r" })).toMatchObject({
            status: "waiting-timer",
            waits: [{ nodeId: "wait", kind: "timer", deadline: 600_000 }],
          })
          yield* TestClock.adjust("9 minutes")
          expect(yield* nap.run({ spec: "x" }, { runId: "r" })).toMatchObject({ waits: [{ deadline: 600_000 }] })
          const fiber = yield* Effect.fork(nap.execute({ spec: "x" }, { runId: "r" }))
          yield* rest
          yield* TestClock.adjust("1 minute")
          yield* rest
          expect(fiber.unsafePoll()).toBeNull()
          yield* TestClock.adjust("5 minutes")
          expect(yield* Fiber.join(fiber)).toBe(900_000)
        }),
      ),
    )

    it.effect("that is given no time fails its run", () =>
      on(
        Effect.gen(function* () {
          const fiber = yield* Effect.fork(nap.run({ spec: "bad" }, { runId: "r" }))
          yield* rest
          expect(yield* Fiber.join(fiber)).toMatchObject({ status: "waiting-timer" })
          yield* TestClock.adjust("10 minutes")
          expect(yield* nap.run({ spec: "bad" }, { runId: "r" })).toMatchObject({
            status: "failed",
            error: { nodeId: "date", error: { message: expect.stringContaining('"until" gave NaN') } },
          })
        }),
      ),
    )
  })

  const given = (value: unknown) => value as never
  it.effect.each([
    ["request", "?", `a string, and must give an object with a "title"`],
    ["request", { summary: "x" }, `no title, and must give an object with a "title"`],
    ["request", { title: 5 }, `a title that is a number, and must give an object with a "title"`],
    ["prompt", 5, "a number, and must give text"],
    ["correlation", { a: 1 }, "an object, and must give text"],
    ["until", null, "null, and must give a Date or epoch milliseconds"],
    ["until", "2030-01-01", "a string, and must give a Date or epoch milliseconds"],
    ["until", new Date("nope"), "an invalid Date, and must give a Date or epoch milliseconds"],
  ] as const)("what cannot be asked or waited for fails its run with what is wrong: a %s that gives %j", ([what, value, problem]) =>
    on(
      Effect.gen(function* () {
        const workflow = Smithers.createWorkflow({ name: "odd", input: Input }).build(($): Smithers.Node<unknown> => {
          switch (what) {
            case "request":
              return $.sequence($.approval("it", { request: () => given(value), approvers: ["ann"] }))
            case "prompt":
              return $.sequence($.human("it", { prompt: () => given(value), output: Text }))
            case "correlation":
              return $.sequence($.signal("it", { name: "x", payload: Text, correlation: () => given(value) }))
            case "until":
              return $.sequence($.timer("it", { until: () => given(value) }))
          }
        })
        expect(yield* workflow.run({ spec: "" }, { runId: "r" })).toMatchObject({
          status: "failed",
          error: {
            nodeId: "it",
            error: { name: "InvalidRequest", message: `"it" cannot wait: its "${what}" gave ${problem}.`, retryable: false },
          },
        })
        const storage = yield* Storage
        expect(yield* storage.waits({})).toEqual([])
      }),
    ),
  )

  it.effect("waits stand beside work: what can go on goes on, and run returns when nothing can", () =>
    on(
      Effect.gen(function* () {
        const ran: Array<string> = []
        const workflow = Smithers.createWorkflow({ name: "beside", input: Input }).build(($) => {
          const note = (id: string) =>
            $.step(id, {
              output: Text,
              run: () => {
                ran.push(id)
                return id
              },
            })
          return $.parallel(
            $.sequence($.approval("go", { request: () => ({ title: "Go?" }) }), note("after")),
            $.sequence(
              note("one"),
              $.loop({
                id: "loop",
                maxIterations: Infinity,
                body: $.sequence($.timer("tick", { duration: "1s" }), note("two")),
                until: ({ iteration }) => iteration === 2,
              }),
            ),
          )
        })
        const handle = yield* workflow.start({ spec: "x" }, { runId: "r" })
        expect(yield* handle.waiting).toMatchObject({ status: "waiting-approval", waits: [{ nodeId: "go" }, { nodeId: "tick" }] })
        yield* TestClock.adjust("1 second")
        yield* rest
        yield* TestClock.adjust("1 second")
        yield* rest
        expect(ran).toEqual(["one", "two", "two"])
        expect(yield* handle.waiting).toMatchObject({ waits: [{ nodeId: "go" }] })
        yield* Commands.approve("r", "go")
        yield* handle.await
        expect(ran).toEqual(["one", "two", "two", "after"])
      }),
    ),
  )

  it.effect("a run that is cancelled while it waits is over at once, and its waits are withdrawn", () =>
    on(
      Effect.gen(function* () {
        const { workflow } = shipping()
        const handle = yield* workflow.start({ spec: "x" }, { runId: "r" })
        yield* handle.waiting
        yield* handle.cancel("no longer")
        expect(yield* handle.result).toMatchObject({ status: "cancelled" })
        const storage = yield* Storage
        expect(yield* storage.waits({ all: true })).toMatchObject([{ status: "withdrawn", reason: "given-up", deadline: null }])
        expect((yield* Effect.flip(Commands.approve("r", "ship")))._tag).not.toBe("StoreFailed")
      }),
    ),
  )

  it.effect("an engine that closes while its run waits leaves it to the next, for each kind of wait", () =>
    Effect.gen(function* () {
      const all = Smithers.createWorkflow({ name: "all", input: Input }).build(($) =>
        $.parallel(
          $.approval("approval", { request: () => ({ title: "?" }), onDeny: "continue" }),
          $.human("human", { prompt: "?", output: Text }),
          $.signal("signal", { name: "s", payload: Text }),
          $.timer("timer", { duration: "1 hour" }),
        ),
      )
      const storage = yield* Storage
      const life = <A, E>(effect: Effect.Effect<A, E, Engine.Engine | Ports>) =>
        Effect.provide(effect, Engine.layer({ lease: "100 days" }).pipe(Layer.provideMerge(Layer.succeedContext(ports(storage)))))
      yield* life(Effect.flatMap(all.start({ spec: "x" }, { runId: "r" }), (handle) => handle.waiting))
      yield* TestClock.adjust("30 minutes")
      yield* Effect.provide(Commands.approve("r", "approval"), ports(storage))
      yield* Effect.provide(Commands.signal("r", "s", { payload: "p" }), ports(storage))
      yield* life(Effect.flatMap(all.start({ spec: "x" }, { runId: "r" }), (handle) => handle.waiting))
      yield* Effect.provide(Commands.answer("r", "human", "a"), ports(storage))
      yield* TestClock.adjust("30 minutes")
      const output = yield* life(all.execute({ spec: "x" }, { runId: "r" }))
      expect(output).toEqual([expect.objectContaining({ approved: true }), "a", "p", undefined])
    }).pipe(Effect.provide(store)),
  )

  it.effect("of approve and deny at the same time one counts, and the other is told", () =>
    on(
      Effect.gen(function* () {
        const { workflow } = shipping("continue")
        yield* workflow.run({ spec: "x" }, { runId: "r" })
        const both = yield* Effect.all([Effect.either(Commands.approve("r", "ship")), Effect.either(Commands.deny("r", "ship"))], {
          concurrency: "unbounded",
        })
        expect(both.filter(Either.isLeft).map(({ left }) => left._tag)).toEqual(["AlreadyDecided"])
        const exit = yield* Effect.exit(workflow.run({ spec: "x" }, { runId: "r" }))
        expect(Exit.isSuccess(exit) && exit.value).toMatchObject({ output: { approved: Either.isRight(both[0]) } })
      }),
    ),
  )
})
