/** What is kept of the errors that steps raise, what people read of them, and what is said where one is not retried. */
import { describe, expect, it } from "@effect/vitest"
import * as ErrorInfo from "@smithers/core/ErrorInfo"
import { NonRetryable, StepFailed } from "@smithers/core/Errors"
import type { RetryOptions } from "@smithers/core/RetryPolicy"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { runningOn, stores, workflow } from "./Flows.ts"

class Declined extends Error {}
class Limit extends Data.TaggedError("Limit")<{ readonly seconds: number }> {}

type Retry = RetryOptions | Schedule.Schedule<unknown, ErrorInfo.ErrorInfo> | false

/** The failure of a run of one step. */
const failing = (run: () => unknown, retry: Retry = false) =>
  Effect.gen(function* () {
    const W = workflow(($) => $.step("a", { output: Schema.Unknown, retry, run }))
    const failure = yield* Effect.flip(W.execute({}, { runId: "r" }))
    return failure instanceof StepFailed ? failure : yield* Effect.die(failure)
  })

const thrower = (thrown: unknown) => () => {
  throw thrown
}

const refused = () =>
  new Error("could not load", { cause: Object.assign(new Declined("HTTP refused"), { response: { status: 401 }, code: "E_AUTH" }) })

describe("the error of a step", () => {
  for (const [store, layer] of stores) {
    it.effect(`is kept with its causes, wherever it is read: ${store}`, () =>
      Effect.gen(function* () {
        const failure = yield* failing(thrower(refused()))
        const kept = {
          name: "Error",
          message: "could not load",
          cause: { name: "Declined", message: "HTTP refused", code: "E_AUTH", status: 401 },
          retryable: true,
          notRetried: "off",
        }
        expect(failure.error).toMatchObject(kept)
        const storage = yield* Storage
        const { attempts, nodes, failure: stored } = yield* storage.inspect("r")
        const events = yield* storage.events("r")
        const failed = events.flatMap(({ event }) => (event._tag === "AttemptFailed" ? [event.error] : []))
        const read = [attempts[0]?.error, nodes[0]?.error, (stored as StepFailed).error, ...failed]
        expect(read).toEqual([failure.error, failure.error, failure.error, failure.error])
        expect(JSON.parse(JSON.stringify(failure.error))).toEqual(failure.error)
      }).pipe(runningOn(layer)),
    )
  }

  const fails = (run: () => unknown) => Effect.map(failing(run), ({ error }) => error)
  const circular = new Error("round")
  circular.cause = new Error("and round", { cause: circular })
  const effect = Effect.tryPromise(() => Promise.reject(refused()))

  it.effect.each<[what: string, run: () => unknown, kept: object]>([
    ["a subclass that has no name of its own", thrower(new Declined("no")), { name: "Declined", message: "no" }],
    ["an error that has been given a name", thrower(Object.assign(new Error("x"), { name: "Own" })), { name: "Own" }],
    ["a tagged error, which says its fields", thrower(new Limit({ seconds: 3 })), { name: "Limit", message: '{"seconds":3}' }],
    ["a plain object like an error", thrower({ name: "Error", message: "x", code: 7 }), { name: "Error", message: "x", code: 7 }],
    ["Effect.tryPromise without a catch", () => effect, { message: "could not load", cause: { status: 401 } }],
    ["Effect.try without a catch", () => Effect.try(thrower(new Declined("no"))), { name: "Declined", message: "no" }],
    ["a promise of Effect.runPromise", () => Effect.runPromise(Effect.fail(new Limit({ seconds: 3 }))), { name: "Limit" }],
    [
      "an unknown error in another",
      thrower(new Error("x", { cause: Effect.runSync(Effect.flip(Effect.try(thrower(refused())))) })),
      { cause: { message: "could not load" } },
    ],
    [
      "an AggregateError",
      () => Promise.any([Promise.reject(new Declined("a")), Promise.reject(refused())]),
      {
        name: "AggregateError",
        errors: [
          { name: "Declined", message: "a" },
          { message: "could not load", cause: { code: "E_AUTH" } },
        ],
      },
    ],
    [
      "several errors of one Effect",
      () => Effect.ensuring(Effect.fail(new Declined("first")), Effect.die(new Error("then"))),
      {
        name: "Declined",
        errors: [{ name: "Error", message: "then" }],
      },
    ],
    [
      "a response",
      thrower(new Response("x", { status: 502, statusText: "Bad Gateway" })),
      {
        name: "Response",
        message: "HTTP status 502 Bad Gateway",
        status: 502,
      },
    ],
    ["an SDK's error", thrower(Object.assign(new Error("x"), { statusCode: 429 })), { status: 429 }],
    ["a command that failed", () => Bun.$`exit 4`.quiet(), { name: "ShellError", code: 4 }],
    ["errors that contain themselves", thrower(circular), { message: "round", cause: { message: "and round" } }],
    ["a cause that is text", thrower(new Error("x", { cause: "because" })), { cause: { name: "Error", message: "because" } }],
    [
      "a time out of a signal",
      thrower(new DOMException("too long", "TimeoutError")),
      { name: "TimeoutError", message: "too long" },
    ],
  ])("says what it is: %s", ([, run, kept]) =>
    Effect.gen(function* () {
      const error = yield* fails(run)
      expect(error).toMatchObject(kept)
    }).pipe(runningOn(stores[0]?.[1] as never)),
  )

  it.effect("keeps its frames, and not what they repeat", () =>
    Effect.gen(function* () {
      const error = yield* fails(thrower(new Error("one\n    at two")))
      expect(error.stack).toMatch(/^ +at .*ErrorInfo\.test\.ts/)
      expect(error.stack).not.toContain("two")
    }).pipe(Effect.provide(Smithers.memory)),
  )

  it.effect("is cut to some KB, and keeps its beginning, its end and its innermost cause", () =>
    Effect.gen(function* () {
      const long = (name: string) => `begin ${name} ${"x".repeat(1_000_000)} end ${name}`
      let inner = Object.assign(new Error(long("root")), { name: "n".repeat(100_000), code: "c".repeat(100_000) })
      for (let depth = 0; depth < 100; depth++) inner = Object.assign(new Error(long("cause"), { cause: inner }), { code: "E" })
      const error = yield* fails(
        thrower(
          new AggregateError(
            Array(1000)
              .fill(0)
              .map((_, index) => new Error(long(`${index}`))),
            long("all"),
            { cause: inner },
          ),
        ),
      )
      expect(error.message).toMatch(/^begin all x+ … \d+ characters left out … x+ end all$/)
      expect(error.cause?.message).toMatch(/^begin cause .* end cause$/)
      expect(JSON.stringify(error).length).toBeLessThan(50_000)
      expect(error.message.length).toBeLessThan(8300)
      expect((yield* fails(thrower(new Error("\u{1f600}".repeat(10_000))))).message.isWellFormed()).toBe(true)
    }).pipe(Effect.provide(Smithers.memory)),
  )

  it.effect("is cut where it is an output that does not fit, issue by issue", () =>
    Effect.gen(function* () {
      const W = workflow(($) =>
        $.step("a", {
          output: Schema.Array(Schema.Number),
          retry: false,
          run: () => Array(100).fill("x".repeat(100_000)) as never,
        }),
      )
      const failure = yield* Effect.flip(W.execute({}))
      expect(failure).toMatchObject({ error: { name: "InvalidOutput" } })
      const { issues = [] } = (failure as StepFailed).error
      expect(issues).toHaveLength(33)
      expect(issues.at(-1)).toBe("and 68 more like these")
      expect(JSON.stringify((failure as StepFailed).error).length).toBeLessThan(50_000)
    }).pipe(Effect.provide(Smithers.memory)),
  )
})

describe("what is read of an error", () => {
  it.effect("is the chain of its causes", () =>
    Effect.gen(function* () {
      const { message } = yield* failing(thrower(refused()))
      expect(message).toBe(
        'Step "a" of run "r" failed after 1 attempt: Error: could not load. Caused by: Declined: HTTP refused (status 401, code E_AUTH). Not retried, because its retries are turned off. Resuming the run tries it again.',
      )
    }).pipe(Effect.provide(Smithers.memory)),
  )

  const one = (name: string, message: string, more: Partial<ErrorInfo.ErrorCause> = {}): ErrorInfo.ErrorCause => ({
    name,
    message,
    ...more,
  })
  it.each<[what: string, error: ErrorInfo.ErrorCause, text: string]>([
    ["only its name where it has no message", one("AggregateError", ""), "AggregateError"],
    [
      "the errors that it gathers",
      one("AggregateError", "", { errors: [one("Error", "a"), one("Error", "b", { cause: one("Error", "c") })] }),
      "AggregateError. (1) Error: a. (2) Error: b. Caused by: Error: c",
    ],
    ["a status and a code that the message does not say", one("E", "x", { status: 3, code: "C" }), "E: x (status 3, code C)"],
    [
      "neither where the message says them",
      one("E", "ECONNRESET: status 3", { status: 3, code: "ECONNRESET" }),
      "E: ECONNRESET: status 3",
    ],
    ["nothing twice that a wrapper repeats", one("A", "failed: B: no", { cause: one("B", "no") }), "A: failed: B: no"],
    [
      "the name of what a wrapper repeats",
      one("A", "failed: no", { cause: one("B", "no", { status: 4 }) }),
      "A: failed: no. Caused by: B (status 4)",
    ],
    [
      "no more than a few of many",
      one("A", "", {
        errors: Array(9)
          .fill(0)
          .map((_, index) => one("E", `${index}`)),
      }),
      "A. (1) E: 0. (2) E: 1. (3) E: 2. (4) E: 3. (5) E: 4. (and 4 more)",
    ],
  ])("says %s", (_, error, text) => {
    expect(ErrorInfo.text(error)).toBe(text)
  })

  it("is bounded however long and deep it is", () => {
    let error = one("E", "x".repeat(8000))
    for (let depth = 0; depth < 50; depth++)
      error = one("E", `${depth} ${"x".repeat(8000)}`, { cause: error, errors: Array(20).fill(error) })
    expect(ErrorInfo.text(error).length).toBeLessThan(6000)
  })
})

describe("a failure that is not retried", () => {
  const slip = () => (undefined as never as { readonly a: unknown }).a
  it.effect.each<[because: string, reason: ErrorInfo.NotRetried, run: () => unknown, retry: Retry | undefined, attempts: number]>([
    ["its retries are used up", "attempts", thrower(new Error("x")), { maxAttempts: 2, initialDelay: 0 }, 2],
    ["its retries are turned off", "off", thrower(new Error("x")), false, 1],
    ["its retries are turned off", "off", thrower(new Error("x")), { maxAttempts: 1 }, 1],
    ["its retry schedule has ended", "schedule", thrower(new Error("x")), Schedule.recurs(1), 2],
    [
      "its retry schedule has ended",
      "schedule",
      thrower(new Error("x")),
      Schedule.recurWhile((error: ErrorInfo.ErrorInfo) => error.status === 503),
      1,
    ],
    [`its "retry" failed to give a time`, "policy", thrower(new Error("x")), Schedule.recurWhile(thrower(new Error("y"))), 1],
    ["it was raised as NonRetryable", "nonRetryable", thrower(new NonRetryable({ message: "x" })), undefined, 1],
    [
      "it was raised as NonRetryable",
      "nonRetryable",
      () => Effect.runPromise(Effect.fail(new NonRetryable({ message: "x" }))),
      undefined,
      1,
    ],
    [
      "it is a defect: it was thrown inside an Effect",
      "defect",
      () => Effect.map(Effect.void, thrower(new Error("x"))),
      undefined,
      1,
    ],
    ["it is a defect: it was thrown inside an Effect", "defect", () => Effect.die(new Error("x")), undefined, 1],
    ["it is a defect: it was thrown inside an Effect", "defect", () => Effect.runPromise(Effect.die(new Error("x"))), undefined, 1],
    ["an error of this class without a cause or a code is treated as a slip", "slip", slip, undefined, 1],
    [
      "an error of this class without a cause or a code is treated as a slip",
      "slip",
      () => Effect.tryPromise(async () => slip()),
      undefined,
      1,
    ],
    ["an error of this class without a cause or a code is treated as a slip", "slip", () => Effect.sync(slip), undefined, 1],
  ])("says that %s (%s)", ([because, reason, run, retry, attempts]) =>
    Effect.gen(function* () {
      const W = workflow(($) => $.step("a", { output: Schema.Unknown, ...(retry === undefined ? {} : { retry }), run }))
      const failure = yield* Effect.flip(W.execute({}))
      expect(failure).toMatchObject({ _tag: "StepFailed", attempts, error: { notRetried: reason } })
      expect(failure.message).toContain(`Not retried, because ${because}`)
    }).pipe(Effect.provide(Smithers.memory)),
  )
})
