/**
 * A decision is about what was shown: a node that asks again, in another pass, after a retry or in other words, asks for something else.
 */
import { expect, it } from "@effect/vitest"
import * as Commands from "@smithers/core/Commands"
import { Storage } from "@smithers/core/Storage"
import { Effect, Schema, TestClock } from "effect"
import { describe } from "vitest"
import { runningOn, stores, workflow } from "./Flows.ts"

/** Asks in each pass, in the same words. */
const rounds = workflow(($) =>
  $.loop({
    id: "rounds",
    body: $.approval("ok", { request: () => ({ title: "Ship it?" }), onDeny: "continue" }),
    until: ({ iteration }) => iteration >= 2,
    maxIterations: 3,
  }),
)
const about = (title: string) => workflow(($) => $.approval("ok", { request: () => ({ title }) }))

describe.each(stores)("on %s", (_, layer) => {
  const on = runningOn(layer)
  const asked = (nodeId = "ok") =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const [open] = (yield* storage.waits({ runId: "r" })).filter((wait) => wait.nodeId === nodeId)
      if (open?.requestId === null || open === undefined) throw new Error("nothing is asked")
      return { ...open, requestId: open.requestId }
    })

  it.effect("a decision of one pass is not taken for one of the next, and is told who has decided", () =>
    on(
      Effect.gen(function* () {
        yield* rounds.run({}, { runId: "r" })
        const first = yield* asked()
        yield* TestClock.adjust("1 minute")
        yield* Commands.approve("r", "ok", { request: first.requestId, by: "ann", note: "fine" })
        yield* rounds.run({}, { runId: "r" })
        const second = yield* asked()
        expect([first.iteration, second.iteration]).toEqual([0, 1])
        expect(second.requestId).not.toBe(first.requestId)
        for (const iteration of [{}, { iteration: 0 }]) {
          const late = yield* Effect.flip(Commands.approve("r", "ok", { request: first.requestId, ...iteration, by: "bob" }))
          expect(late).toMatchObject({
            _tag: "AlreadyDecided",
            iteration: 0,
            approved: true,
            by: "ann",
            note: "fine",
            at: 60_000,
          })
          expect(late.message).toBe(
            '"ok" of run "r" was already approved by ann at 1970-01-01T00:01:00.000Z ("fine"), and a decision cannot be changed.',
          )
        }
        const other = yield* Effect.flip(Commands.deny("r", "ok", { request: first.requestId, iteration: 1 }))
        expect(other).toMatchObject({ _tag: "RequestChanged", requestId: first.requestId, currentRequestId: second.requestId })
        expect(yield* asked()).toMatchObject({ requestId: second.requestId, approved: null, isAnswered: false })
      }),
    ),
  )

  it.effect("what a node asks in other words now is not what was decided", () =>
    on(
      Effect.gen(function* () {
        yield* about("Ship A?").run({}, { runId: "r" })
        const first = yield* asked()
        yield* about("Ship B?").run({}, { runId: "r" })
        const second = yield* asked()
        const stale = yield* Effect.flip(Commands.approve("r", "ok", { request: first.requestId, iteration: 0 }))
        expect(stale).toMatchObject({ _tag: "RequestChanged", requestId: first.requestId, currentRequestId: second.requestId })
        expect(stale.message).toContain(`That is ${second.requestId}, in iteration 0: read it, and decide on it`)
        expect(second).toMatchObject({ requestCount: 2 })
        const decided = yield* Commands.approve("r", "ok", { request: second.requestId, by: "ann" })
        expect(decided).toMatchObject({ requestId: second.requestId, request: { title: "Ship B?" }, by: "ann", iteration: 0 })
        expect(yield* about("Ship B?").run({}, { runId: "r" })).toMatchObject({ output: { approved: true, decidedBy: "ann" } })
      }),
    ),
  )

  it.effect("a question that is asked again within the same millisecond does not take what was said to the first", () =>
    on(
      Effect.gen(function* () {
        const ask = about("Ship it?")
        yield* ask.run({}, { runId: "r" })
        const first = yield* asked()
        yield* Commands.deny("r", "ok", { by: "ann" })
        expect(yield* ask.run({}, { runId: "r" })).toMatchObject({ status: "failed" })
        yield* Commands.retryNode("r", "ok")
        yield* ask.run({}, { runId: "r" })
        const second = yield* asked()
        expect([second.since, second.digest]).toEqual([first.since, first.digest])
        expect((yield* Effect.flip(Commands.approve("r", "ok", { request: first.requestId })))._tag).toBe("RequestChanged")
        yield* Commands.approve("r", "ok", { request: second.requestId, by: "bob" })
        expect(yield* ask.run({}, { runId: "r" })).toMatchObject({ output: { approved: true, decidedBy: "bob" } })
      }),
    ),
  )

  it.effect("what was said to a question that was asked again before the run heard of it does not count", () =>
    on(
      Effect.gen(function* () {
        yield* about("Ship it?").run({}, { runId: "r" })
        const first = yield* asked()
        yield* about("Ship what?").run({}, { runId: "r" })
        yield* about("Ship it?").run({}, { runId: "r" })
        const third = yield* asked()
        expect(third).toMatchObject({ digest: first.digest, requestCount: 3 })
        // Told to the store past all checks.
        const storage = yield* Storage
        const { digest, requestSeq } = first
        const command = { _tag: "Decide", nodeId: "ok", iteration: 0, approved: true, requestSeq, digest: digest ?? "" } as const
        yield* storage.deliverResponse({ id: "stale", runId: "r", at: third.since as never, command })
        expect(yield* asked()).toMatchObject({ isAnswered: false })
        expect(yield* about("Ship it?").run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
      }),
    ),
  )

  it.effect("a request that outlives the end of its run keeps its id, and what was said of it", () =>
    on(
      Effect.gen(function* () {
        const ask = about("Ship it?")
        yield* ask.run({}, { runId: "r" })
        const first = yield* asked()
        yield* ask.cancel("r")
        expect((yield* (yield* Storage).waits({ runId: "r" })).length).toBe(0)
        expect(yield* Effect.flip(Commands.approve("r", "ok", { request: first.requestId }))).toMatchObject({
          _tag: "RunEnded",
          status: "cancelled",
        })
        yield* Effect.fork(ask.resume("r"))
        yield* TestClock.adjust("1 second")
        yield* Effect.yieldNow()
        expect(yield* asked()).toMatchObject({ requestId: first.requestId, requestCount: 1 })
      }),
    ),
  )

  it.effect("of two answers the second is told of the first, until the run has refused that", () =>
    on(
      Effect.gen(function* () {
        // A JSON Schema cannot say this.
        const Even = Schema.Number.pipe(Schema.filter((number) => number % 2 === 0 || "is odd"))
        const ask = workflow(($) => $.human("count", { prompt: "How many?", output: Even }))
        yield* ask.run({}, { runId: "r" })
        const { requestId } = yield* asked("count")
        yield* Commands.answer("r", "count", 3, { by: "ann", request: requestId })
        expect(yield* asked("count")).toMatchObject({ isAnswered: true, by: "ann", decidedAt: 0, refusals: 0 })
        expect(yield* Effect.flip(Commands.answer("r", "count", 4, { by: "bob" }))).toMatchObject({
          _tag: "AlreadyDecided",
          by: "ann",
          at: 0,
        })
        expect(yield* ask.run({}, { runId: "r" })).toMatchObject({ status: "waiting-approval" })
        const refused = yield* asked("count")
        expect(refused).toMatchObject({ requestId, isAnswered: false, refusals: 1, refused: [expect.stringContaining("is odd")] })
        // The same person may say the same again, and others something else.
        yield* Commands.answer("r", "count", 3, { by: "ann", request: requestId })
        yield* ask.run({}, { runId: "r" })
        yield* Commands.answer("r", "count", 4, { by: "bob", request: requestId })
        expect(yield* ask.run({}, { runId: "r" })).toMatchObject({ output: 4 })
        const late = yield* Effect.flip(Commands.answer("r", "count", 6, { by: "ann", request: requestId }))
        expect(late).toMatchObject({ _tag: "AlreadyDecided", by: "bob", at: 0 })
        expect(late.message).toContain("was already answered by bob")
      }),
    ),
  )
})
