/** Errors that steps declare, as callers, parents, a `catch` and retry policies meet them: in one process, and in the next one. */
import { expect, it } from "@effect/vitest"
import * as Smithers from "@smithers/core/Smithers"
import { type Ports, Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { runningOn, stores, Text } from "./Flows.ts"

class Declined extends Schema.TaggedError<Declined>()("Declined", { amount: Schema.BigInt, at: Schema.Date }) {
  get shown(): string {
    return `${this.amount} at ${this.at.toISOString()}`
  }
}
class Limited extends Schema.TaggedError<Limited>()("Limited", { seconds: Schema.Number }) {}

const declined = () => new Declined({ amount: 7n, at: new Date(5) })
const shown = "7 at 1970-01-01T00:00:00.005Z"
const flow = (name: string) => Smithers.createWorkflow({ name, input: Schema.Struct({}) })

const paying = (raise: () => unknown = () => Effect.fail(declined())) =>
  flow("w").build(($) => $.step("pay", { output: Text, error: Declined, retry: false, run: () => raise() as never }))

const handled = <A, E, R>(effect: Effect.Effect<A, E | Declined, R>) =>
  Effect.catchTag(effect as Effect.Effect<A, Declined, R>, "Declined", (error) => Effect.succeed(error.shown))

describe.each(stores)("on %s", (_, store) => {
  const on = runningOn(store)
  /** The effects one after another, each on an engine of its own on one store. */
  const processes = (...effects: ReadonlyArray<Effect.Effect<unknown, unknown, Smithers.Runtime>>) =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const one = Layer.succeedContext(yield* Effect.context<Ports>())
      for (const effect of effects) yield* Effect.provide(effect, Smithers.onStorage(one, { lease: "100 days" }))
      return storage
    }).pipe(Effect.provide(store))

  it.effect("a declared error is what execute fails with, an instance with its fields, before a restart and after", () => {
    const w = paying()
    const first = Effect.gen(function* () {
      const failed = yield* Effect.flip(w.execute({}, { runId: "r" }))
      expect(failed).toBeInstanceOf(Declined)
      expect(yield* handled(w.execute({}, { runId: "r" }))).toBe(shown)
    })
    const second = Effect.gen(function* () {
      expect(yield* handled(w.execute({}, { runId: "r" }))).toBe(shown)
      expect(yield* handled(w.resume("r"))).toBe(shown)
      const result = yield* w.run({}, { runId: "r" })
      expect(result).toMatchObject({ status: "failed", failure: { _tag: "StepFailed", nodeId: "pay", attempts: 2 } })
      expect(result.status === "failed" && result.error).toEqual(declined())
      const polled = Option.getOrThrow(yield* w.poll("r"))
      expect(polled.status === "failed" && polled.error).toBeInstanceOf(Declined)
      const attached = yield* w.attach("r")
      expect(yield* handled(attached.await)).toBe(shown)
      const stood = yield* attached.result
      expect(stood.status === "failed" && stood.error).toEqual(declined())
    })
    return processes(first, second)
  })

  it.effect.each<[what: string, raise: () => unknown]>([
    ["fails with it", () => Effect.fail(declined())],
    [
      "throws it",
      () => {
        throw declined()
      },
    ],
    ["rejects with it", () => Promise.reject(declined())],
    ["dies of it", () => Effect.die(declined())],
    ["wraps it in tryPromise", () => Effect.tryPromise(() => Promise.reject(declined()))],
    ["fails with it in a span", () => Effect.withSpan(Effect.fail(declined()), "span")],
  ])("a step that %s has failed with the declared error", ([_what, raise]) =>
    on(Effect.map(handled(paying(raise).execute({})), (given) => expect(given).toBe(shown))),
  )

  it.effect("an error that is not declared is a StepFailed whose causes are the same before a restart and after", () => {
    const w = paying(() => Effect.fail(new Limited({ seconds: 3 })))
    const raised = flow("v").build(($) =>
      $.step("a", {
        output: Text,
        retry: false,
        run: () => {
          throw new Error("outer", { cause: Object.assign(new Error("inner"), { code: "EINNER" }) })
        },
      }),
    )
    const seen: Array<unknown> = []
    const look = Effect.gen(function* () {
      const undeclared = yield* Effect.flip(w.execute({}, { runId: "w" }))
      const caused = yield* Effect.flip(raised.execute({}, { runId: "v" }))
      if (undeclared._tag !== "StepFailed" || caused._tag !== "StepFailed") return expect.fail("another error")
      expect(undeclared.error).not.toHaveProperty("declared")
      expect(undeclared.cause).toMatchObject({ name: "Limited", message: '{ "seconds": 3 }' })
      expect(caused.cause).toMatchObject({ name: "Error", message: "outer", cause: { message: "inner", code: "EINNER" } })
      expect(caused.cause.stack).toMatch(/^Error: outer\n\s+at /)
      seen.push([undeclared.cause, undeclared.cause.stack, caused.cause, caused.cause.stack, `${caused}`])
    })
    return Effect.andThen(processes(look, look), () => expect(seen[0]).toEqual(seen[1]))
  })

  it.effect("a catch and its filter are given a declared error decoded, also where they are reached after a restart", () => {
    const said: Array<unknown> = []
    const tried = flow("w").build(($) =>
      $.sequence(
        $.tryCatch({
          id: "t",
          try: $.step("pay", { output: Text, error: Schema.Union(Declined, Limited), retry: false, run: () => declined() }),
          when: ({ declared }) => {
            said.push(declared instanceof Declined)
            return declared?._tag === "Declined"
          },
          catch: $.sequence(
            $.approval("ok", { request: { title: "?" } }),
            $.step("after", {
              needs: { error: $.caught("t") },
              output: Text,
              run: ({ error }) => (error.declared instanceof Declined ? error.declared.shown : "lost"),
            }),
          ),
        }),
      ),
    )
    return processes(
      Effect.map(tried.run({}, { runId: "r" }), ({ status }) => expect(status).toBe("waiting-approval")),
      Effect.gen(function* () {
        yield* Smithers.approve("r", "ok")
        expect(yield* tried.execute({}, { runId: "r" })).toBe(shown)
        expect(new Set(said)).toEqual(new Set([true]))
      }),
    )
  })

  it.effect("a catch that is a function is given it, and what the filter does not hold for is the caller's", () =>
    on(
      Effect.gen(function* () {
        const tried = (tag: "Declined" | "Limited") =>
          flow(tag).build(($) =>
            $.tryCatch({
              try: $.step("pay", { output: Text, error: Schema.Union(Declined, Limited), retry: false, run: () => declined() }),
              when: ({ declared }) => declared?._tag === tag,
              catch: ({ error }) => (error.declared?._tag === "Declined" ? error.declared.shown : "lost"),
            }),
          )
        expect(yield* tried("Declined").execute({})).toBe(shown)
        expect(yield* handled(tried("Limited").execute({}))).toBe(shown)
      }),
    ),
  )

  it.effect("a declared error of a child run is its parent's, and so on outwards, before a restart and after", () => {
    const child = paying()
    const parent = flow("parent").build(($) => $.subflow("child", { workflow: child, input: {} }))
    const grand = flow("grand").build(($) => $.subflow("parent", { workflow: parent, input: {} }))
    const caught = flow("caught").build(($) =>
      $.tryCatch({
        try: $.subflow("child", { workflow: child, input: {} }),
        catch: ({ error }) => error.declared?.shown ?? "lost",
      }),
    )
    const look = Effect.gen(function* () {
      expect(yield* handled(parent.execute({}, { runId: "p" }))).toBe(shown)
      expect(yield* handled(grand.execute({}, { runId: "g" }))).toBe(shown)
      expect(yield* caught.execute({}, { runId: "c" })).toBe(shown)
    })
    return processes(look, look)
  })

  it.effect("a retry policy is given a declared error decoded, before a restart and after", () => {
    const seen: Array<unknown> = []
    const note = (error: Smithers.AttemptError<Declined>) => {
      seen.push(error.declared instanceof Declined && error.declared.shown)
      return true
    }
    const w = flow("w").build(($) =>
      $.step("pay", {
        output: Text,
        error: Declined,
        retry: Schedule.spaced("1 hour").pipe(Schedule.whileInput(note)),
        run: ({ attempt }) => (attempt < 3 ? Effect.fail(declined()) : "paid"),
      }),
    )
    return processes(
      Effect.map(w.run({}, { runId: "r" }), ({ status }) => expect(status).toBe("waiting-timer")),
      Effect.gen(function* () {
        const fiber = yield* Effect.fork(w.execute({}, { runId: "r" }))
        yield* TestClock.adjust("1 hour")
        yield* TestClock.adjust("1 hour")
        expect(yield* Fiber.join(fiber)).toBe("paid")
        // The first failure once here, and once more when the policy was brought back from what is stored.
        expect(seen).toEqual([shown, shown, shown])
      }),
    )
  })

  it.effect("a declared error for which the while of its retry does not hold is not retried, and others are", () =>
    on(
      Effect.gen(function* () {
        const attempts: Array<number> = []
        const w = flow("w").build(($) =>
          $.step("pay", {
            output: Text,
            error: Declined,
            retry: { while: ({ declared }) => declared === undefined, initialDelay: 0 },
            run: ({ attempt }) => {
              attempts.push(attempt)
              return attempt === 1 ? Effect.fail(new Limited({ seconds: 1 })) : Effect.fail(declined())
            },
          }),
        )
        const result = yield* w.run({}, { runId: "r" })
        expect(attempts).toEqual([1, 2])
        expect(result).toMatchObject({ error: { _tag: "Declined" }, failure: { error: { notRetried: "while" } } })
        expect(result.status === "failed" && result.failure?.message).toContain(`the "while" of its "retry" does not hold for it`)
      }),
    ),
  )

  it.effect("two policies whose while reads alike are not taken for one another", () =>
    on(
      Effect.gen(function* () {
        const step = (isWorth: boolean, $: Smithers.Builder<object>) => {
          let calls = 0
          const retry = { while: () => isWorth, initialDelay: 0, maxAttempts: 2 }
          return $.step(`${isWorth}`, { output: Schema.Void, retry, run: () => Effect.fail(++calls) })
        }
        const w = (isWorth: boolean) => flow(`${isWorth}`).build(($) => step(isWorth, $))
        expect(yield* Effect.flip(w(true).execute({}))).toMatchObject({ attempts: 2, error: { notRetried: "attempts" } })
        expect(yield* Effect.flip(w(false).execute({}))).toMatchObject({ attempts: 1, error: { notRetried: "while" } })
      }),
    ),
  )

  class Odd extends Schema.TaggedError<Odd>()("Odd", { count: Schema.Int }) {}
  const Slow = Schema.transformOrFail(Schema.String, Schema.typeSchema(Limited), {
    strict: true,
    decode: () => Effect.as(Effect.sleep(1), new Limited({ seconds: 1 })),
    encode: () => Effect.as(Effect.sleep(1), ""),
  })
  const OneWay = Schema.transform(Schema.Struct({ _tag: Schema.Literal("Limited") }), Schema.typeSchema(Limited), {
    strict: true,
    decode: () => new Limited({ seconds: 0.5 }),
    encode: () => ({ _tag: "Odd" }) as never,
  })
  it.effect.each<[what: string, schema: typeof Limited, raise: () => unknown, issue: string]>([
    ["whose fields are not as declared", Odd as never, () => new Odd({ count: 1.5 }, true), "integer"],
    ["whose schema takes time", Slow as never, () => new Limited({ seconds: 1 }), "be resolved synchronously"],
    ["that cannot be read again", OneWay as never, () => new Limited({ seconds: 1 }), "Limited"],
  ])("an error %s fails its step clearly, at once", ([_what, schema, raise, issue]) =>
    on(
      Effect.gen(function* () {
        const w = flow("w").build(($) => $.step("a", { output: Text, error: schema, run: () => Effect.fail(raise()) }))
        const failed = yield* Effect.flip(w.execute({}))
        expect(failed).toMatchObject({ attempts: 1, error: { name: "InvalidError", notRetried: "unstorable" } })
        expect((failed as Smithers.StepFailed).error.message).toContain(issue)
        expect((failed as Smithers.StepFailed).error.cause).toMatchObject({ name: expect.stringMatching(/Odd|Limited/) })
      }),
    ),
  )

  it.effect("a schema that has changed since gives the StepFailed, and not an error that is none", () => {
    const edited = flow("w").build(($) =>
      $.step("pay", {
        output: Text,
        error: Schema.Struct({ _tag: Schema.Literal("Declined"), reason: Schema.String }),
        run: () => "",
      }),
    )
    return processes(
      Effect.exit(paying().execute({}, { runId: "r" })),
      Effect.map(Effect.flip(edited.execute({}, { runId: "r" })), ({ _tag }) => expect(_tag).toBe("StepFailed")),
    )
  })

  it.effect(
    "a failure beside which something could not be undone is a CompensationFailed, and its cause has the declared error",
    () =>
      on(
        Effect.gen(function* () {
          const w = flow("w").build(($) =>
            $.saga(
              $.step("book", { output: Text, retry: false, run: () => "", compensate: () => Effect.fail("stuck") }),
              $.step("pay", { output: Text, error: Declined, retry: false, run: () => declined() }),
            ),
          )
          const failed = yield* Effect.exit(w.execute({}))
          expect(Exit.isFailure(failed) && failed.cause).toMatchObject({
            error: { _tag: "CompensationFailed", cause: { error: { declared: { _tag: "Declined", amount: "7" } } } },
          })
        }),
      ),
  )
})

it("a step whose error is no Effect Schema, or one whose errors cannot be stored, is refused when it is built", () => {
  const built = (error: unknown) => () =>
    flow("w").build(($) => $.step("a", { output: Text, error: error as typeof Declined, run: () => "" }))
  expect(built("Declined")).toThrow(`"error" must be an Effect Schema`)
  expect(built(Schema.Struct({ at: Schema.DateFromSelf }))).toThrow(
    `"error": a value of type Date cannot be stored (at at): use Schema.Date`,
  )
})
