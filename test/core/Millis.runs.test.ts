/**
 * Times that authors and providers give, as runs keep them: whole milliseconds on every store, or a typed failure of the node that gave what is
 * no time.
 */
import { describe, expect, it } from "@effect/vitest"
import { AgentFailed } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import type * as RetryPolicy from "@smithers/core/RetryPolicy"
import { Storage } from "@smithers/core/Storage"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { type Builder, runningOn, stores, Text, workflow } from "./Flows.ts"
import { passing, rest } from "./Time.ts"

type Retry = RetryPolicy.RetryOptions | Schedule.Schedule<unknown, unknown> | false

/** A step that fails so often as it is called with `fails`, and then gives how often it was called. */
const failing = ($: Builder, retry: Retry, fails: (attempt: number) => unknown) => {
  const called = { times: 0 }
  const step = $.step("work", {
    output: Schema.Number,
    retry,
    run: () => {
      called.times++
      const error = fails(called.times)
      if (error !== undefined) throw error
      return called.times
    },
  })
  return { step, called }
}

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)

  it.effect("a step beside a timer with fractions of a millisecond is kept, and the timer fires no earlier than it was to", () =>
    on(
      Effect.gen(function* () {
        let times = 0
        const flow = workflow(($) =>
          $.parallel(
            $.step("paid", { output: Schema.Number, run: () => ++times }),
            $.sequence(
              $.timer("until", { until: () => 1000.25 }),
              $.timer("for", { duration: 20.7 }),
              $.timer("text", { duration: "1.5ms" }),
              $.timer("static", { until: 2000.5 }),
            ),
          ),
        )
        const fiber = yield* Effect.fork(flow.execute({}, { runId: "r" }))
        yield* rest
        const storage = yield* Storage
        const deadlines = Effect.map(storage.waits({ all: true }), (waits) => waits.map(({ deadline }) => deadline))
        expect(yield* deadlines).toEqual([1001])
        yield* TestClock.adjust("1000 millis")
        yield* rest
        expect(yield* deadlines).toEqual([1001])
        yield* TestClock.adjust("1 millis")
        yield* rest
        expect(yield* deadlines).toEqual([1001, 1022])
        yield* TestClock.adjust("21 millis")
        yield* rest
        expect(yield* deadlines).toEqual([1001, 1022, 1024])
        yield* TestClock.adjust("2 millis")
        yield* rest
        expect(yield* deadlines).toEqual([1001, 1022, 1024, 2001])
        yield* TestClock.adjust("1 seconds")
        expect(yield* Fiber.join(fiber)).toEqual([1, undefined])
        expect(times).toBe(1)
      }),
    ),
  )

  it.effect("a clock between two milliseconds makes no difference", () =>
    on(
      Effect.gen(function* () {
        yield* TestClock.adjust("1100 micros")
        const flow = workflow(($) =>
          $.sequence(
            failing($, { maxAttempts: 2, initialDelay: 5, jitter: false }, (attempt) =>
              attempt === 1 ? new Error("no") : undefined,
            ).step,
            $.approval("ask", { request: () => ({ title: "?" }), timeout: 3, onTimeout: "approve" }),
            $.timer("nap", { duration: 7 }),
          ),
        )
        yield* passing("1 second", flow.execute({}, { runId: "r" }))
        const storage = yield* Storage
        const { run, nodes, attempts } = yield* storage.inspect("r")
        const events = yield* storage.events("r")
        const times = [
          ...[run.createdAt, run.updatedAt, run.finishedAt],
          ...nodes.flatMap(({ startedAt, finishedAt, retryAt }) => [startedAt, finishedAt, retryAt]),
          ...attempts.flatMap(({ startedAt, finishedAt }) => [startedAt, finishedAt]),
          ...(yield* storage.waits({ all: true })).flatMap(({ since, deadline, endedAt }) => [since, deadline, endedAt]),
          ...events.map(({ at }) => at),
        ]
        expect(times.length).toBeGreaterThan(20)
        expect(times.filter((time) => time !== null && !Number.isSafeInteger(time))).toEqual([])
      }),
    ),
  )

  it.effect.each<[what: string, retry: Retry, retryAt: number]>([
    ["a Schedule with fractions", Schedule.spaced("1500 micros"), 2],
    ["options with fractions", { initialDelay: 20.7, jitter: false }, 21],
    ["options that grow by fractions", { initialDelay: 10, factor: 1.5, jitter: false, backoff: "exponential" }, 10],
    ["a Schedule as late as a date can be", Schedule.spaced(Duration.millis(Millis.longest)), 8.64e15],
  ])("a retry by %s is kept in whole milliseconds", ([, retry, retryAt]) =>
    on(
      Effect.gen(function* () {
        const flow = workflow(($) => failing($, retry, () => new Error("no")).step)
        const fiber = yield* Effect.fork(flow.execute({}, { runId: "r" }))
        yield* rest
        expect((yield* (yield* Storage).inspect("r")).nodes).toMatchObject([{ status: "retrying", retryAt }])
        yield* Fiber.interrupt(fiber)
      }),
    ),
  )

  it.effect.each<[what: string, schedule: Schedule.Schedule<unknown, unknown>, given: string]>([
    ["an infinite delay", Schedule.spaced(Duration.infinity), "Infinity"],
    ["a delay of 1e300 ms", Schedule.fromDelay(1e300), "1e+300"],
    ["an infinite delay with jitter", Schedule.jittered(Schedule.spaced(Duration.infinity)), "Infinity"],
  ])("a Schedule with %s fails its step once, says so, and keeps what the step failed with", ([, schedule, given]) =>
    on(
      Effect.gen(function* () {
        const calls: Array<{ times: number }> = []
        let beside = 0
        const flow = workflow(($) => {
          const { step, called } = failing($, schedule, () => new Error("provider is down"))
          calls.push(called)
          return $.parallel($.step("paid", { output: Schema.Number, run: () => ++beside }), step)
        })
        const storage = yield* Storage
        for (const times of [1, 2]) {
          expect(yield* flow.run({}, { runId: "r", onFailed: "resume" })).toMatchObject({
            status: "failed",
            error: {
              _tag: "StepFailed",
              nodeId: "work",
              attempts: times,
              error: {
                name: "InvalidDelay",
                message: `its "retry" sets the next attempt to ${given}, which is no valid time`,
                errors: [{ name: "Error", message: "provider is down" }],
              },
            },
          })
          expect(calls).toEqual([{ times }])
          expect(beside).toBe(1)
        }
        expect((yield* storage.inspect("r")).run.status).toBe("failed")
      }),
    ),
  )

  it.effect.each([Number.POSITIVE_INFINITY, 1e300, -1e300, 8.64e15 + 1])(
    "a timer until %d fails, and what ran before it is kept",
    (until) =>
      on(
        Effect.gen(function* () {
          let beside = 0
          const flow = workflow(($) =>
            $.sequence($.step("paid", { output: Schema.Number, run: () => ++beside }), $.timer("nap", { until: () => until })),
          )
          for (let time = 0; time < 2; time++)
            expect(yield* flow.run({}, { runId: "r" })).toMatchObject({
              status: "failed",
              error: {
                nodeId: "nap",
                error: { name: "InvalidRequest", message: expect.stringContaining(`"until" gave ${until}`) },
              },
            })
          expect(beside).toBe(1)
        }),
      ),
  )

  it.effect("what lasts for ever, as far as a date can tell, is waited for", () =>
    on(
      Effect.gen(function* () {
        yield* TestClock.adjust("1 day")
        const flow = workflow(($) =>
          $.parallel(
            $.timer("nap", { duration: Millis.longest }),
            $.signal("it", { name: "x", payload: Text, timeout: "99999999d" }),
          ),
        )
        expect(yield* flow.run({}, { runId: "r" })).toMatchObject({
          status: "waiting-event",
          waits: [
            { nodeId: "nap", deadline: 8.64e15 },
            { nodeId: "it", deadline: 8.64e15 },
          ],
        })
      }),
    ),
  )

  describe("a provider that asks to be left alone", () => {
    const limited = (retryAfterMs: number) =>
      new AgentFailed({ nodeId: "work", agent: "a", reason: "too many requests", status: 429, retryable: true, retryAfterMs })
    const sixteenDays = 16 * 86_400_000
    const hour = 3_600_000

    it.effect.each<[what: string, asked: number, retry: Retry | undefined, waits: number]>([
      ["for 30 s is left alone for 30 s", 30_000, { maxAttempts: 2, jitter: false }, 30_000],
      [
        "for a part of a millisecond more than a second is left alone in whole ones",
        1000.4,
        { maxAttempts: 2, jitter: false },
        1001,
      ],
      ["for 16 days is left alone for an hour", sixteenDays, { maxAttempts: 2, jitter: false }, hour],
      [
        "for 16 days is left alone for as long as maxDelay",
        sixteenDays,
        { maxAttempts: 2, maxDelay: "10m", jitter: false },
        600_000,
      ],
      ["for 16 days under a longer maxDelay is left alone for that", sixteenDays, { maxAttempts: 2, maxDelay: "20d" }, sixteenDays],
      ["for longer than any date is left alone for an hour", 1e300, { maxAttempts: 2, jitter: false }, hour],
      ["without end is left alone for an hour", Number.POSITIVE_INFINITY, { maxAttempts: 2, jitter: false }, hour],
      ["for 16 days under a Schedule is left alone for an hour", sixteenDays, Schedule.recurs(1), hour],
      ["for less than nothing is asked by the policy", -5, { maxAttempts: 2, jitter: false }, 1000],
      ["for what is no number is asked by the policy", Number.NaN, { maxAttempts: 2, jitter: false }, 1000],
    ])("%s", ([, asked, retry, waits]) =>
      on(
        Effect.gen(function* () {
          const flow = workflow(($) => failing($, retry ?? {}, () => limited(asked)).step)
          const fiber = yield* Effect.fork(Effect.flip(flow.execute({}, { runId: "r" })))
          yield* rest
          const storage = yield* Storage
          expect((yield* storage.inspect("r")).nodes).toMatchObject([{ status: "retrying", retryAt: waits }])
          yield* TestClock.adjust(waits - 1)
          yield* rest
          expect((yield* storage.inspect("r")).nodes).toMatchObject([{ status: "retrying", attempt: 1 }])
          yield* TestClock.adjust(1)
          expect(yield* Fiber.join(fiber)).toMatchObject({
            _tag: "StepFailed",
            attempts: 2,
            error: { name: "AgentFailed", message: expect.stringContaining("429") },
          })
        }),
      ),
    )
  })
})
