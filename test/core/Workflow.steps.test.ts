/** What a single step does: what it may return, when it is tried again, and how it is held to its limits. */

import { describe, expect, it } from "@effect/vitest"
import type { ErrorInfo } from "@smithers/core/ErrorInfo"
import { NonRetryable, StepFailed } from "@smithers/core/Errors"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as TestRuntime from "@smithers/testing/TestRuntime"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as z from "zod"
import { passing, quiet, seconds } from "./Time.ts"

const onMemory = Effect.provide(Smithers.memory)
const onTestRuntime = Effect.provide(TestRuntime.layer())

const workflow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({ topic: Schema.String }) })
const input = { topic: "tea" }

const inspect = (runId: string) => Effect.flatMap(Storage, (storage) => storage.inspect(runId))

/** The failure of a step, where that is what an effect fails with; anything else fails the test. */
const stepFailure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<StepFailed, A | E, R> =>
  Effect.flatMap(Effect.flip(effect), (error) => (error instanceof StepFailed ? Effect.succeed(error) : Effect.fail(error)))

class Kettle extends Context.Tag("Kettle")<Kettle, { readonly boil: (what: string) => string }>() {}
class Patience extends Context.Tag("Patience")<Patience, { readonly isLeft: boolean }>() {}
class Cold extends Schema.TaggedError<Cold>()("Cold", { degrees: Schema.Number }) {}

describe("what a step returns", () => {
  it.effect("may be a value, a promise or an effect", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.parallel(
          $.step("value", { output: Schema.String, run: ({ input }) => input.topic }),
          $.step("promise", { output: Schema.String, run: async ({ input }) => input.topic }),
          $.step("effect", { output: Schema.String, run: ({ input }) => Effect.succeed(input.topic) }),
          $.step("generator", {
            output: Schema.String,
            run: ({ input }) =>
              Effect.gen(function* () {
                yield* Effect.yieldNow()
                return input.topic
              }),
          }),
        ),
      )
      expect(yield* W.execute(input)).toEqual(["tea", "tea", "tea", "tea"])
    }).pipe(onMemory),
  )

  it.effect("reaches the steps that need it, by the names they gave it", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const first = $.step("first", { output: Schema.Number, run: () => 1 })
        const both = $.parallel(first, $.step("second", { output: Schema.Number, run: () => 2 }))
        const sum = $.step("sum", {
          output: Schema.Number,
          needs: { one: first, both },
          run: ({ one, both }) => one + both[0] + both[1],
        })
        return $.sequence(both, sum)
      })
      expect(yield* W.execute(input)).toBe(4)
    }).pipe(onMemory),
  )

  it.effect("is decoded for the steps after it and stored in its encoded form", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => {
        const at = $.step("at", { output: Schema.Struct({ at: Schema.Date }), run: () => ({ at: "2026-01-02T00:00:00.000Z" }) })
        const next = $.step("next", {
          output: Schema.Struct({ at: Schema.Date, note: Schema.optionalWith(Schema.String, { default: () => "none" }) }),
          needs: { at },
          run: ({ at }) => ({ at: new Date(at.at.getTime() + 86_400_000).toISOString() }),
        })
        return $.sequence(at, next)
      })
      expect(yield* W.execute(input, { runId: "r" })).toEqual({ at: new Date("2026-01-03T00:00:00.000Z"), note: "none" })
      const { output } = yield* inspect("r")
      expect(output).toEqual({ at: "2026-01-03T00:00:00.000Z", note: "none" })
    }).pipe(onMemory),
  )

  it.effect("passes through a Standard Schema once, with its defaults and transforms", () =>
    Effect.gen(function* () {
      const W = Smithers.createWorkflow({ name: "zod", input: z.object({ limit: z.coerce.number().default(2) }) }).build(($) => {
        const length = $.step("length", {
          output: z.object({ length: z.string().transform((text) => text.length), unit: z.string().default("chars") }),
          run: ({ input }) => ({ length: "x".repeat(input.limit) }),
        })
        return $.sequence(
          length,
          $.step("text", { output: z.string(), needs: { length }, run: ({ length }) => `${length.length} ${length.unit}` }),
        )
      })
      expect(yield* W.execute({})).toBe("2 chars")
      expect(yield* W.execute({ limit: "3" })).toBe("3 chars")
    }).pipe(onMemory),
  )

  it.effect("may be anything a schema describes, not only a struct", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.parallel(
          $.step("nothing", { output: Schema.Void, run: () => {} }),
          $.step("null", { output: Schema.Null, run: () => null }),
          $.step("list", { output: Schema.Array(Schema.Number), run: () => [1, 2] }),
          $.step("literal", { output: Schema.Literal("a", "b"), run: () => "b" }),
          $.step("set", { output: Schema.Set(Schema.Number), run: () => [1, 1, 2] }),
          $.step("big", { output: Schema.BigInt, run: () => "12345678901234567890" }),
          $.step("record", { output: z.record(z.string(), z.number()), run: () => ({ a: 1 }) }),
        ),
      )
      const expected = [undefined, null, [1, 2], "b", new Set([1, 2]), 12345678901234567890n, { a: 1 }]
      expect(yield* W.execute(input, { runId: "r" })).toEqual(expected)
      expect(yield* W.execute(input, { runId: "r" })).toEqual(expected)
    }).pipe(onMemory),
  )

  it.effect("is refused where it does not fit the schema: never stored, tried again, and in the end named with its path", () =>
    Effect.gen(function* () {
      let attempts = 0
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Struct({ risk: Schema.Literal("low", "high"), tags: Schema.Array(Schema.String) }),
          retry: { maxAttempts: 2, initialDelay: "1s", jitter: false },
          run: () => {
            attempts++
            return { risk: "none", tags: ["x", 7] } as never
          },
        }),
      )
      const failure = yield* stepFailure(W.execute(input, { runId: "r" }))
      expect(attempts).toBe(2)
      expect(failure).toMatchObject({ nodeId: "a", attempts: 2, error: { name: "InvalidOutput", retryable: true } })
      expect(failure.message).toContain("risk: ")
      expect(failure.message).toContain("tags.1: ")
      const { nodes, output } = yield* inspect("r")
      expect(output).toBeUndefined()
      expect(nodes).toMatchObject([{ nodeId: "a", status: "failed", table: null }])
    }).pipe(onTestRuntime),
  )

  it.effect("is taken when a later attempt does fit", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) => $.step("a", { output: z.number().int(), run: ({ attempt }) => (attempt < 3 ? 1.5 : 3) }))
      expect(yield* W.execute(input)).toBe(3)
    }).pipe(onTestRuntime),
  )

  it.effect.each<[what: string, value: unknown]>([
    ["NaN", Number.NaN],
    ["a date", new Date(0)],
    ["a function", () => 1],
    ["undefined in a list", [undefined]],
    ["a map", new Map([["a", 1]])],
  ])("is refused where JSON would change it, as with %s", ([_what, value]) =>
    Effect.gen(function* () {
      const W = workflow.build(($) => $.step("a", { output: Schema.Unknown, retry: false, run: () => ({ inside: value }) }))
      const failure = yield* stepFailure(W.execute(input))
      expect(failure.error.name).toBe("InvalidOutput")
      expect(failure.error.message).toContain("inside")
    }).pipe(onMemory),
  )
})

describe("what a step is called with", () => {
  it.effect("names the run, the step, the attempt and a key to deduplicate by, the same for all attempts", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const W = workflow.build(($) =>
        $.step("brew", {
          output: Schema.Void,
          retry: { maxAttempts: 3, initialDelay: "1s" },
          run: ({ runId, stepId, iteration, attempt, idempotencyKey, lastHeartbeat, input }) => {
            seen.push({ runId, stepId, iteration, attempt, idempotencyKey, lastHeartbeat, input })
            if (attempt < 3) throw new Cold({ degrees: 3 })
          },
        }),
      )
      yield* W.execute(input, { runId: "morning" })
      const same = {
        runId: "morning",
        stepId: "brew",
        iteration: 0,
        idempotencyKey: "morning:brew:0",
        lastHeartbeat: undefined,
        input,
      }
      expect(seen).toEqual([1, 2, 3].map((attempt) => ({ ...same, attempt })))
    }).pipe(onTestRuntime),
  )

  it.effect("includes the decoded input, also after the run was resumed from its stored form", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const W = Smithers.createWorkflow({ name: "w", input: Schema.Struct({ at: Schema.Date }) }).build(($) =>
        $.step("a", {
          output: Schema.Void,
          retry: false,
          run: ({ input }) => {
            seen.push(input.at)
            if (seen.length === 1) throw new Error("first")
          },
        }),
      )
      yield* Effect.flip(W.execute({ at: "2026-01-02T00:00:00.000Z" }, { runId: "r" }))
      yield* W.resume("r")
      expect(seen).toEqual([new Date("2026-01-02T00:00:00.000Z"), new Date("2026-01-02T00:00:00.000Z")])
    }).pipe(onMemory),
  )

  it.effect("comes with the services that were given to execute, in steps, schedules and schemas alike", () =>
    Effect.gen(function* () {
      const Hot = Schema.transformOrFail(Schema.String, Schema.String, {
        decode: (what) => Effect.map(Kettle, ({ boil }) => boil(what)),
        encode: (what) => Effect.succeed(what.replace("hot ", "")),
      })
      const asLongAsPatient = Schedule.recurs(5).pipe(Schedule.checkEffect(() => Effect.map(Patience, ({ isLeft }) => isLeft)))
      const W = workflow.build(($) => {
        const water = $.step("water", { output: Hot, run: ({ input }) => input.topic })
        const part = $.fragment("part", ($) =>
          $.branch({
            when: () => true,
            then: $.step("boil", {
              output: Schema.String,
              run: ({ input }) => Effect.map(Kettle, ({ boil }) => boil(input.topic)),
            }),
          }),
        )
        const retried = $.step("retried", {
          output: Schema.Number,
          retry: asLongAsPatient,
          run: ({ attempt }) => (attempt < 3 ? Effect.fail("again") : Effect.succeed(attempt)),
        })
        return $.parallel(water, part, retried)
      })
      const given = W.execute(input).pipe(
        Effect.provideService(Kettle, { boil: (what) => `hot ${what}` }),
        Effect.provideService(Patience, { isLeft: true }),
      )
      expect(yield* given).toEqual(["hot tea", "hot tea", 3])
    }).pipe(onMemory),
  )
})

describe("skipIf", () => {
  it.effect("leaves a step out, and gives those that need it undefined", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const W = workflow.build(($) => {
        const first = $.step("first", { output: Schema.Number, run: () => 1 })
        const skipped = $.step("skipped", {
          output: Schema.Number,
          needs: { first },
          skipIf: ({ first, input }) => first === 1 && input.topic === "tea",
          run: () => {
            ran.push("skipped")
            return 2
          },
        })
        const kept = $.step("kept", { output: Schema.Number, skipIf: () => false, run: () => 3 })
        const last = $.step("last", {
          output: Schema.String,
          needs: { skipped, kept },
          run: ({ skipped, kept }) => `${skipped} ${kept}`,
        })
        return $.sequence(first, skipped, kept, last)
      })
      expect(yield* W.execute(input, { runId: "r" })).toBe("undefined 3")
      expect(ran).toEqual([])
      const { nodes } = yield* inspect("r")
      expect(nodes.find(({ nodeId }) => nodeId === "skipped")).toMatchObject({ status: "skipped", attempt: 0 })
    }).pipe(onMemory),
  )

  it.effect("that throws fails the step, with its name, without an attempt", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Void,
          skipIf: () => {
            throw new TypeError("no such thing")
          },
          run: () => {},
        }),
      )
      const failure = yield* stepFailure(W.execute(input))
      expect(failure).toMatchObject({
        nodeId: "a",
        attempts: 0,
        error: { name: "TypeError", message: `its "skipIf" threw: no such thing` },
      })
    }).pipe(onMemory),
  )
})

describe("continueOnFail", () => {
  it.effect("lets the run go on with undefined, after the retries", () =>
    Effect.gen(function* () {
      let attempts = 0
      const W = workflow.build(($) => {
        const soft = $.step("soft", {
          output: Schema.Number,
          continueOnFail: true,
          retry: { maxAttempts: 2, initialDelay: "1s" },
          run: () => {
            attempts++
            throw new Error("no")
          },
        })
        return $.sequence(soft, $.step("next", { output: Schema.String, needs: { soft }, run: ({ soft }) => `got ${soft}` }))
      })
      expect(yield* W.execute(input, { runId: "r" })).toBe("got undefined")
      expect(attempts).toBe(2)
      const { nodes, run } = yield* inspect("r")
      expect(run.status).toBe("finished")
      expect(nodes.find(({ nodeId }) => nodeId === "soft")).toMatchObject({ status: "failed", error: { message: "no" } })
      expect(yield* W.execute(input, { runId: "r" })).toBe("got undefined")
      expect(attempts).toBe(2)
    }).pipe(onTestRuntime),
  )

  it.effect("also tolerates a timeout and a skipIf that throws", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.parallel(
          $.step("slow", { output: Schema.Number, continueOnFail: true, retry: false, timeout: "1s", run: () => Effect.never }),
          $.step("odd", {
            output: Schema.Number,
            continueOnFail: true,
            skipIf: () => {
              throw new Error("no")
            },
            run: () => 1,
          }),
        ),
      )
      expect(yield* W.execute(input)).toEqual([undefined, undefined])
    }).pipe(onTestRuntime),
  )
})

describe("retries", () => {
  /** Runs a step that always fails; answers with the seconds at which it was tried, and how it failed. */
  const fail = (options: { readonly retry?: unknown }, raise: () => unknown, duration: Duration.DurationInput = "2 minutes") =>
    Effect.gen(function* () {
      const times: Array<number> = []
      const W = workflow.build(($) =>
        $.step("a", {
          ...(options as { readonly retry?: false }),
          output: Schema.Number,
          run: () =>
            Effect.flatMap(seconds, (now) =>
              Effect.suspend(() => {
                times.push(now)
                return raise() as Effect.Effect<never>
              }),
            ),
        }),
      )
      const failure = yield* passing(duration, stepFailure(W.execute(input)))
      return { times, failure }
    })
  const cold = () => Effect.fail(new Cold({ degrees: 3 }))

  it.effect("are on by default: three of them, from about one second, doubling", () =>
    Effect.gen(function* () {
      const { times, failure } = yield* fail({}, cold)
      expect(times).toHaveLength(4)
      const delays = times.slice(1).map((time, index) => time - (times[index] as number))
      for (const [index, delay] of delays.entries()) {
        expect(delay).toBeGreaterThanOrEqual(2 ** index * 0.8)
        expect(delay).toBeLessThanOrEqual(2 ** index * 1.2 + 0.001)
      }
      expect(failure.attempts).toBe(4)
    }).pipe(onMemory),
  )

  it.effect.each<[retry: object, times: ReadonlyArray<number>]>([
    [{ maxAttempts: 4, backoff: "exponential", initialDelay: "1s" }, [0, 1, 3, 7]],
    [{ maxAttempts: 4, backoff: "exponential", initialDelay: "2s", factor: 3, maxDelay: "10s" }, [0, 2, 8, 18]],
    [{ maxAttempts: 4, backoff: "linear", initialDelay: "1s" }, [0, 1, 3, 6]],
    [{ maxAttempts: 3, backoff: "constant", initialDelay: "500ms" }, [0, 0.5, 1]],
    [{ maxAttempts: 1 }, [0]],
  ])("follow the object %j", ([retry, expected]) =>
    Effect.gen(function* () {
      const { times } = yield* fail({ retry: { ...retry, jitter: false } }, cold)
      expect(times).toEqual(expected)
    }).pipe(onMemory),
  )

  it.effect("follow any Schedule", () =>
    Effect.gen(function* () {
      const retry = Schedule.fromDelays("1 second", "5 seconds", "2 seconds")
      expect((yield* fail({ retry }, cold)).times).toEqual([0, 1, 6, 8])
    }).pipe(onMemory),
  )

  it.effect("give a Schedule the error of each attempt as it is stored, to go by", () =>
    Effect.gen(function* () {
      let status = 501
      const seen: Array<ErrorInfo> = []
      const retry = Schedule.recurWhile((error: ErrorInfo) => {
        seen.push(error)
        return error.status !== 503
      })
      const raise = () => Effect.fail(Object.assign(new Cold({ degrees: 3 }), { response: { status: status++ } }))
      const { failure } = yield* fail({ retry }, raise)
      expect(seen.map(({ name, status }) => [name, status])).toEqual([
        ["Cold", 501],
        ["Cold", 502],
        ["Cold", 503],
      ])
      expect(seen).toEqual(JSON.parse(JSON.stringify(seen)))
      expect(failure).toMatchObject({ attempts: 3, error: { notRetried: "schedule" } })
    }).pipe(onMemory),
  )

  it.effect("end with a StepFailed that carries the step's own error", () =>
    Effect.gen(function* () {
      const error = new Cold({ degrees: 3 })
      const { failure } = yield* fail({ retry: false }, () => Effect.fail(error))
      expect(failure.cause).toMatchObject({ name: "Cold", message: '{ "degrees": 3 }' })
      expect(failure).toMatchObject({ nodeId: "a", iteration: 0, attempts: 1, error: { name: "Cold", retryable: true } })
      expect(failure.message).toContain(`Step "a" of run "${failure.runId}" failed after 1 attempt: Cold`)
    }).pipe(onMemory),
  )

  class Own extends TypeError {}
  const fetchFailed = () => Effect.fail(new TypeError("fetch failed", { cause: new Error("ECONNRESET") }))
  it.effect.each<[what: string, attempts: number, raise: () => unknown, name: string]>([
    ["an error of one's own", 2, cold, "Cold"],
    ["an Error", 2, () => Effect.fail(new Error("x")), "Error"],
    ["something that is no Error", 2, () => Effect.fail("x"), "Error"],
    ["an object that is no Error", 2, () => Effect.fail({ code: 7 }), "Object"],
    ["nothing", 2, () => Effect.fail(undefined), "Error"],
    ["a TypeError with a cause", 2, fetchFailed, "TypeError"],
    ["a TypeError", 1, () => Effect.fail(new TypeError("x")), "TypeError"],
    ["a ReferenceError", 1, () => Effect.fail(new ReferenceError("x")), "ReferenceError"],
    ["a SyntaxError, which comes of data", 2, () => Effect.fail(new SyntaxError("x")), "SyntaxError"],
    ["a RangeError, which comes of data", 2, () => Effect.fail(new RangeError("x")), "RangeError"],
    ["a subclass of TypeError", 2, () => Effect.fail(new Own("x")), "Own"],
    ["a TypeError with a code", 2, () => Effect.fail(Object.assign(new TypeError("x"), { code: "E" })), "TypeError"],
    ["a NonRetryable", 1, () => Effect.fail(new NonRetryable({ message: "x" })), "NonRetryable"],
    ["a defect", 1, () => Effect.die(new Error("x")), "Error"],
    ["an interruption of its own", 2, () => Effect.interrupt, "Error"],
  ])("give a step that ends with %s %i of its 2 attempts", ([_what, attempts, raise, name]) =>
    Effect.gen(function* () {
      const { times, failure } = yield* fail({ retry: { maxAttempts: 2 } }, raise)
      expect(failure.error.name).toBe(name)
      expect(times).toHaveLength(attempts)
    }).pipe(onMemory),
  )

  it.effect.each<[what: string, run: () => Promise<number> | number]>([
    [
      "throws",
      () => {
        throw new NonRetryable({ message: "stop" })
      },
    ],
    ["rejects with", () => Promise.reject(new NonRetryable({ message: "stop" }))],
  ])("are not made where a step %s a NonRetryable", ([_what, run]) =>
    Effect.gen(function* () {
      const W = workflow.build(($) => $.step("a", { output: Schema.Number, run }))
      const failure = yield* stepFailure(W.execute(input))
      expect(failure).toMatchObject({ attempts: 1, error: { name: "NonRetryable", message: "stop", retryable: false } })
    }).pipe(onMemory),
  )

  it.effect("can go on for ever", () =>
    Effect.gen(function* () {
      const retry = { maxAttempts: Number.POSITIVE_INFINITY, backoff: "constant", initialDelay: "1s", jitter: false } as const
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Number,
          retry,
          run: ({ attempt }) => (attempt < 50 ? Effect.fail("no") : Effect.succeed(attempt)),
        }),
      )
      expect(yield* W.execute(input)).toBe(50)
    }).pipe(onTestRuntime),
  )

  it.effect("hold no slot of the run, and their place in a group that limits its branches", () =>
    Effect.gen(function* () {
      const times: Array<readonly [string, number]> = []
      const note = (name: string) => Effect.map(seconds, (now) => void times.push([name, now]))
      const retry = { maxAttempts: 2, initialDelay: "10s", jitter: false } as const
      const of = (limits: { readonly ofRun?: number; readonly ofGroup: number }) =>
        Smithers.createWorkflow({
          name: `retrying-${limits.ofGroup}`,
          input: Schema.Struct({ topic: Schema.String }),
          ...(limits.ofRun === undefined ? {} : { maxConcurrency: limits.ofRun }),
        }).build(($) =>
          $.parallel(
            $.step("retried", {
              output: Schema.Void,
              retry,
              run: ({ attempt }) => Effect.zipRight(note("retried"), attempt === 1 ? Effect.fail("no") : Effect.void),
            }),
            $.sequence(
              $.step("beside", { output: Schema.Void, run: () => note("beside") }),
              $.step("after", { output: Schema.Void, run: () => note("after") }),
            ),
            { maxConcurrency: limits.ofGroup },
          ),
        )
      yield* passing("10 seconds", of({ ofRun: 1, ofGroup: 2 }).execute(input))
      expect(times.splice(0)).toEqual([
        ["retried", 0],
        ["beside", 0],
        ["after", 0],
        ["retried", 10],
      ])
      yield* passing("10 seconds", of({ ofGroup: 1 }).execute(input))
      expect(times).toEqual([
        ["retried", 10],
        ["retried", 20],
        ["beside", 20],
        ["after", 20],
      ])
    }).pipe(onMemory),
  )

  it.effect("of a Schedule that throws are not made: the step fails with what it threw", () =>
    Effect.gen(function* () {
      const retry = Schedule.recurWhile((): boolean => {
        throw new Error("bad schedule")
      })
      const { times, failure } = yield* fail({ retry }, cold)
      expect(times).toHaveLength(1)
      const errors = [{ name: "Cold", message: '{ "degrees": 3 }' }]
      const error = { message: `its "retry" threw: bad schedule`, errors, retryable: false, notRetried: "policy" }
      expect(failure).toMatchObject({ attempts: 1, error })
      expect(failure.cause).toMatchObject({ message: `its "retry" threw: bad schedule`, errors: [{ name: "Cold" }] })
    }).pipe(onMemory),
  )

  const unreadable = new Proxy(new Error("x"), {
    get: () => {
      throw new Error("do not look")
    },
  })
  const round: Record<string, unknown> = {}
  round.self = round
  it.effect.each<[what: string, thrown: unknown, name: string, message: string]>([
    ["whose properties throw", unreadable, "Error", "an error that could not be read"],
    ["without a prototype", Object.assign(Object.create(null), { code: 7 }), "Error", '{"code":7}'],
    ["that contains itself", round, "Object", "[object Object]"],
    [
      "with a name that is no text",
      { name: 5, message: { a: 1 }, _tag: Symbol("x"), constructor: { name: 6 } },
      "Error",
      "[object Object]",
    ],
    ["with a stack that is no text", Object.assign(new Error("x"), { stack: ["a"], name: null }), "Error", "x"],
    ["that is a symbol", Symbol("x"), "Error", "Symbol(x)"],
    [
      "with control characters",
      new Error("'; DROP TABLE runs; --\u0000\ud800 \u202e"),
      "Error",
      "'; DROP TABLE runs; --\u0000\ud800 \u202e",
    ],
  ])("end as a StepFailed also where something %s was raised", ([_what, thrown, name, message]) =>
    Effect.gen(function* () {
      const { failure } = yield* fail({ retry: false }, () => Effect.fail(thrown), "1 second")
      expect({ name: failure.error.name, message: failure.error.message }).toEqual({ name, message })
      expect(failure.message).toContain(`${name}: ${message}`)
    }).pipe(onMemory),
  )
})

describe("limits", () => {
  it.effect("end an attempt that takes too long, abort its signal and run its finalizers, and count as a failure", () =>
    Effect.gen(function* () {
      const signals: Array<AbortSignal> = []
      let finalized = 0
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Number,
          timeout: "2s",
          retry: { maxAttempts: 2, initialDelay: "1s", jitter: false },
          run: ({ signal }) => {
            signals.push(signal)
            return Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => void finalized++)))
          },
        }),
      )
      const error = yield* passing("5 seconds", Effect.flip(W.execute(input)))
      expect(error).toMatchObject({ _tag: "StepTimedOut", nodeId: "a", attempts: 2, limit: "timeout", timeoutMs: 2000 })
      expect(error.message).toContain("exceeded its timeout of 2000 ms in attempt 2. Not retried, because its retries are used up.")
      expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
      expect(finalized).toBe(2)
      expect(yield* seconds).toBe(5)
    }).pipe(onMemory),
  )

  it.effect("abort the signal of a promise that takes too long", () =>
    Effect.gen(function* () {
      let aborted = 0
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Number,
          timeout: "2s",
          retry: false,
          run: ({ signal }) =>
            new Promise((_, reject) => {
              signal.addEventListener("abort", () => {
                aborted++
                reject(new Error("aborted"))
              })
            }),
        }),
      )
      const error = yield* Effect.flip(W.execute(input))
      expect(error._tag).toBe("StepTimedOut")
      expect(aborted).toBe(1)
    }).pipe(onTestRuntime),
  )

  it.effect("abort the signal before finalizers run, which may wait for what only the signal ends", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Void,
          timeout: "2s",
          retry: false,
          run: ({ signal }) =>
            Effect.gen(function* () {
              const work = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()))
              yield* Effect.addFinalizer(() => Effect.promise(() => work.then(() => seen.push("work has ended"))))
              yield* Effect.never
            }).pipe(Effect.scoped),
        }),
      )
      const error = yield* Effect.flip(W.execute(input))
      expect(error._tag).toBe("StepTimedOut")
      expect(seen).toEqual(["work has ended"])
    }).pipe(onTestRuntime),
  )

  it.effect("do not touch an attempt that keeps to them", () =>
    Effect.gen(function* () {
      let signal: AbortSignal | undefined
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Number,
          timeout: "2s",
          run: (context) => {
            signal = context.signal
            return Effect.delay(Effect.succeed(1), "1999 millis")
          },
        }),
      )
      expect(yield* W.execute(input)).toBe(1)
      expect(signal?.aborted).toBe(false)
    }).pipe(onTestRuntime),
  )

  it.effect("end an attempt that gives no heartbeat, and leave one that does", () =>
    Effect.gen(function* () {
      const beating = (beats: number) =>
        workflow.build(($) =>
          $.step("a", {
            output: Schema.Number,
            heartbeatTimeout: "2s",
            retry: false,
            run: ({ heartbeat }) =>
              Effect.sync(() => heartbeat()).pipe(
                Effect.delay("1500 millis"),
                Effect.repeatN(beats),
                Effect.zipRight(Effect.delay(Effect.succeed(1), "1 minute")),
              ),
          }),
        )
      const error = yield* Effect.flip(beating(3).execute(input))
      expect(error).toMatchObject({ _tag: "StepTimedOut", limit: "heartbeatTimeout", timeoutMs: 2000, attempts: 1 })
      expect(error.message).toContain("exceeded its heartbeatTimeout of 2000 ms")
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Number,
          heartbeatTimeout: "2s",
          run: ({ heartbeat }) =>
            Effect.as(
              Effect.repeatN(
                Effect.delay(
                  Effect.sync(() => heartbeat()),
                  "1999 millis",
                ),
                9,
              ),
              1,
            ),
        }),
      )
      expect(yield* W.execute(input)).toBe(1)
    }).pipe(onTestRuntime),
  )

  it.effect("hold at the same time", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Number,
          heartbeatTimeout: "2s",
          timeout: "5s",
          retry: false,
          run: ({ heartbeat }) =>
            Effect.forever(
              Effect.delay(
                Effect.sync(() => heartbeat()),
                "1 second",
              ),
            ),
        }),
      )
      const error = yield* Effect.flip(W.execute(input))
      expect(error).toMatchObject({ _tag: "StepTimedOut", limit: "timeout", timeoutMs: 5000 })
    }).pipe(onTestRuntime),
  )
})

describe("heartbeats", () => {
  it.effect("leave their last details for the next attempt", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Void,
          retry: { maxAttempts: 3, initialDelay: "1s" },
          run: ({ heartbeat, lastHeartbeat, attempt }) => {
            seen.push(lastHeartbeat)
            if (attempt === 1) {
              heartbeat({ page: 1 })
              heartbeat({ page: 2 })
            }
            // A heartbeat without details keeps those that are there.
            if (attempt === 2) heartbeat()
            if (attempt < 3) throw new Error("again")
          },
        }),
      )
      yield* W.execute(input)
      expect(seen).toEqual([undefined, { page: 2 }, { page: 2 }])
    }).pipe(onTestRuntime),
  )

  it.effect("are there for whoever resumes a run that was interrupted", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const isBeating = yield* Deferred.make<void>()
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Void,
          run: ({ heartbeat, lastHeartbeat }) => {
            seen.push(lastHeartbeat)
            if (lastHeartbeat !== undefined) return
            heartbeat({ page: 7 })
            return Effect.zipRight(Deferred.succeed(isBeating, undefined), Effect.never)
          },
        }),
      )
      const fiber = yield* Effect.fork(W.execute(input, { runId: "r" }))
      yield* Deferred.await(isBeating)
      yield* Fiber.interrupt(fiber)
      yield* W.execute(input, { runId: "r" })
      expect(seen).toEqual([undefined, { page: 7 }])
    }).pipe(onMemory),
  )

  it.effect("are stored while the attempt runs, the latest every half second", () =>
    Effect.gen(function* () {
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Void,
          run: ({ heartbeat }) =>
            Effect.forEach(
              [1, 2, 3, 4, 5, 6],
              (page) =>
                Effect.delay(
                  Effect.sync(() => heartbeat({ page })),
                  "200 millis",
                ),
              { discard: true },
            ),
        }),
      )
      const stored = Effect.map(inspect("r"), ({ attempts }) => attempts[0]?.heartbeat)
      const fiber = yield* Effect.fork(W.execute(input, { runId: "r" }))
      yield* TestClock.adjust("200 millis")
      expect(yield* stored).toEqual({ page: 1 })
      yield* TestClock.adjust("400 millis")
      expect(yield* stored).toEqual({ page: 1 })
      yield* TestClock.adjust("100 millis")
      expect(yield* stored).toEqual({ page: 3 })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
    }).pipe(onMemory),
  )

  it.effect("are copied as they are given, and refused where they are no JSON", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const W = workflow.build(($) =>
        $.step("a", {
          output: Schema.Void,
          retry: { maxAttempts: 2, initialDelay: "1s" },
          run: ({ heartbeat, lastHeartbeat, attempt }) => {
            seen.push(lastHeartbeat)
            const details = { page: 1 }
            if (attempt === 1) {
              heartbeat(details)
              details.page = 99
              throw new Error("again")
            }
            heartbeat({ at: new Date(0) })
          },
        }),
      )
      const failure = yield* stepFailure(W.execute(input))
      expect(seen).toEqual([undefined, { page: 1 }])
      expect(failure.error).toMatchObject({ name: "TypeError", retryable: false })
      expect(failure.error.message).toContain("heartbeat details must be JSON: at a Date")
    }).pipe(onTestRuntime),
  )

  it.effect("after the end of an attempt do nothing", () =>
    Effect.gen(function* () {
      let late: ((details?: unknown) => void) | undefined
      const W = workflow.build(($) => {
        const a = $.step("a", {
          output: Schema.Void,
          run: ({ heartbeat }) => {
            late = heartbeat
          },
        })
        return $.sequence(a, $.step("b", { output: Schema.Void, needs: { a }, run: () => late?.({ page: 1 }) }))
      })
      yield* W.execute(input, { runId: "r" })
      late?.({ at: new Date(0) })
      yield* quiet
      const { attempts } = yield* inspect("r")
      expect(attempts.map(({ heartbeat }) => heartbeat)).toEqual([null, null])
    }).pipe(onMemory),
  )
})
