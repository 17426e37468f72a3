/**
 * What TypeScript infers of a workflow. Nothing here runs: `tsc` checks it. Where a line must not compile, a `@ts-expect-error`
 * above it says so, which is an error itself once the line does compile.
 */
import type { Agent } from "@smithers/core/Agent"
import type { Builder, Node, Reference, Services, Step, Value, Written, WrittenBy } from "@smithers/core/Builder"
import type * as Codec from "@smithers/core/Codec"
import type { Engine } from "@smithers/core/Engine"
import type { ErrorInfo } from "@smithers/core/ErrorInfo"
import type * as Errors from "@smithers/core/Errors"
import type { LoggedEvent } from "@smithers/core/RunReader"
import type { RunResult } from "@smithers/core/RunResult"
import type { StepSandbox } from "@smithers/core/Sandboxes"
import * as Smithers from "@smithers/core/Smithers"
import type { NarrowPorts } from "@smithers/core/Storage"
import type * as Transaction from "@smithers/core/Transaction"
import type { WrittenOf } from "@smithers/core/Workflow"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import * as z from "zod"

/** Whether two types are the same; `any` is the same as `any` only. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** `is<Actual, Expected>()` compiles where both are the same type. */
declare const is: <A, B>(...proof: Same<A, B> extends true ? [] : [{ readonly actual: A; readonly expected: B }]) => void

// The comparison itself can fail, and `any` does not slip through it.
const anything = JSON.parse("0")
// @ts-expect-error two types
is<string, number>()
// @ts-expect-error any is not a string
is<typeof anything, string>()
// @ts-expect-error nor is a readonly field a writable one
is<{ readonly a: 1 }, { a: 1 }>()

/** Shows an intersection as one object, to compare it with one. */
type Flat<T> = { [K in keyof T]: T[K] }

class Person extends Schema.Class<Person>("Person")({ name: Schema.String, born: Schema.Date }) {}

class Models extends Context.Tag("Models")<Models, { readonly ask: (prompt: string) => string }>() {}
class Files extends Context.Tag("Files")<Files, { readonly read: (path: string) => string }>() {}
class Clocks extends Context.Tag("Clocks")<Clocks, { readonly tick: number }>() {}
class Secrets extends Context.Tag("Secrets")<Secrets, { readonly key: string }>() {}
class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", { seconds: Schema.Number }) {}
class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

type Risk = "low" | "medium" | "high"
const Analysis = Schema.Struct({ summary: Schema.String, risk: Schema.Literal("low", "medium", "high") })
type Analysis = { readonly summary: string; readonly risk: Risk }
const Input = Schema.Struct({ repo: Schema.String, depth: Schema.NumberFromString })
type Input = { readonly repo: string; readonly depth: number }

const declared = Smithers.createWorkflow({ name: "types", input: Input })
declare const $: Builder<Input>

// The example of the announcement, as it stands there, but for a store that core has.
export const announced = (
  analyzeRepo: (
    input: { readonly repo: string; readonly sha: string },
    options: { readonly signal: AbortSignal },
  ) => Effect.Effect<Analysis, RateLimited, Models>,
) => {
  const Review = Smithers.createWorkflow({
    name: "review",
    input: Schema.Struct({ repo: Schema.String, sha: Schema.String }),
  }).build(($) => {
    const analyze = $.step("analyze", {
      output: Schema.Struct({
        summary: Schema.String,
        risk: Schema.Literal("low", "medium", "high"),
      }),
      timeout: "2m",
      retry: { maxAttempts: 3, backoff: "exponential", initialDelay: "1s" },
      run: ({ input, heartbeat, signal }) =>
        Effect.gen(function* () {
          heartbeat({ phase: "analyzing" })
          return yield* analyzeRepo(input, { signal })
        }),
    })

    const report = $.step("report", {
      needs: { analyze },
      output: Schema.Struct({ markdown: Schema.String }),
      run: ({ analyze }) => ({
        markdown: `# Review\n\n${analyze.summary}`,
      }),
    })

    return $.sequence(analyze, report)
  })
  is<
    typeof Review,
    Smithers.Workflow<
      { readonly repo: string; readonly sha: string },
      { readonly markdown: string },
      Models,
      WrittenOf<typeof Review>
    >
  >()
  const effect = Review.execute({ repo: "acme/api", sha: "abc123" }).pipe(
    Effect.provide(Smithers.memory),
    Effect.provide(Layer.succeed(Models, { ask: () => "" })),
  )
  is<typeof effect, Effect.Effect<{ readonly markdown: string }, Smithers.ExecuteError, never>>()
  // @ts-expect-error the steps ask for Models, which nothing provides
  return Effect.runPromise(Review.execute({ repo: "acme/api", sha: "abc123" }).pipe(Effect.provide(Smithers.memory)))
}

// Literals are kept without `as const`, whatever `run` returns and whether or not it takes its context.
export const literals = () => {
  const steps = {
    value: $.step("a", { output: Analysis, run: () => ({ summary: "", risk: "low" }) }),
    valueOfContext: $.step("a", { output: Analysis, run: ({ input }) => ({ summary: input.repo, risk: "low" }) }),
    method: $.step("a", {
      output: Analysis,
      run({ input }) {
        return { summary: input.repo, risk: "low" }
      },
    }),
    promise: $.step("a", { output: Analysis, run: async () => ({ summary: "", risk: "low" }) }),
    promiseOfContext: $.step("a", { output: Analysis, run: async ({ input }) => ({ summary: input.repo, risk: "low" }) }),
    resolved: $.step("a", { output: Analysis, run: () => Promise.resolve({ summary: "", risk: "low" }) }),
    succeed: $.step("a", { output: Analysis, run: () => Effect.succeed({ summary: "", risk: "low" }) }),
    generator: $.step("a", {
      output: Analysis,
      run: () =>
        Effect.gen(function* () {
          yield* Effect.void
          return { summary: "", risk: "low" }
        }),
    }),
    promised: $.step("a", { output: Analysis, run: () => Effect.promise(async () => ({ summary: "", risk: "low" })) }),
    piped: $.step("a", {
      output: Analysis,
      run: ({ input }) => Effect.void.pipe(Effect.map(() => ({ summary: input.repo, risk: "low" }))),
    }),
    callback: $.step("a", {
      output: Analysis,
      run: ({ input }) => Effect.async((resume) => resume(Effect.succeed({ summary: input.repo, risk: "low" }))),
    }),
    early: $.step("a", {
      output: Analysis,
      run: ({ input }) => {
        if (input.depth > 3) return new RateLimited({ seconds: 1 })
        if (input.depth > 2) return new Refused({ why: "" })
        if (input.depth > 1) return { summary: "", risk: "low" }
        return Effect.succeed({ summary: "", risk: "high" })
      },
    }),
    outputLast: $.step("a", { run: ({ input }) => ({ summary: input.repo, risk: "low" }), output: Analysis }),
  }
  is<Value<(typeof steps)[keyof typeof steps]>, Analysis>()
  is<(typeof steps)[keyof typeof steps], Step<"a", Analysis, never>>()

  const tuple = $.step("b", { output: Schema.Tuple(Schema.Number, Schema.Literal("x")), run: () => [1, "x"] })
  is<Value<typeof tuple>, readonly [number, "x"]>()
  const tagged = $.step("c", {
    output: Schema.Union(
      Schema.Struct({ _tag: Schema.Literal("ok"), value: Schema.Number }),
      Schema.Struct({ _tag: Schema.Literal("no"), why: Schema.String }),
    ),
    run: ({ input }) =>
      Effect.gen(function* () {
        if (input.depth > 1) yield* Effect.void
        return input.depth > 2 ? { _tag: "ok", value: 1 } : { _tag: "no", why: "" }
      }),
  })
  is<Value<typeof tagged>, { readonly _tag: "ok"; readonly value: number } | { readonly _tag: "no"; readonly why: string }>()
}

// Schemas that are not structs, schemas with two sides, and schemas of another library.
export const schemas = () => {
  is<Value<ReturnType<typeof scalar>>, "x" | "y">()
  const scalar = () => $.step("a", { output: Schema.Literal("x", "y"), run: () => "x" })
  const list = $.step("b", { output: Schema.Array(Schema.String), run: () => Effect.succeed(["a"]) })
  is<Value<typeof list>, readonly string[]>()
  const nothing = $.step("c", { output: Schema.Void, run: () => Effect.void })
  is<Value<typeof nothing>, void>()
  const maybe = $.step("d", { output: Schema.NullOr(Schema.Number), run: async () => null })
  is<Value<typeof maybe>, number | null>()

  // `run` returns the encoded side, or a value of the type; the steps after it receive the latter.
  const at = $.step("e", { output: Schema.Struct({ at: Schema.Date }), run: () => ({ at: "2026-01-01" }) })
  is<Value<typeof at>, { readonly at: Date }>()
  const date = $.step("e", { output: Schema.Struct({ at: Schema.Date }), run: () => ({ at: new Date() }) })
  is<Value<typeof date>, { readonly at: Date }>()
  // @ts-expect-error neither side of Schema.Date is a number
  $.step("e", { output: Schema.Struct({ at: Schema.Date }), run: () => ({ at: 5 }) })
  const option = $.step("e", { output: Schema.Option(Schema.Number), run: () => Option.some(1) })
  is<typeof option, Step<"e", Option.Option<number>>>()
  const either = $.step("e", {
    output: Schema.Either({ left: Schema.String, right: Schema.Number }),
    run: () => Effect.succeed(Either.right(1)),
  })
  is<typeof either, Step<"e", Either.Either<number, string>>>()
  const person = $.step("e", { output: Person, run: async () => new Person({ name: "Ada", born: new Date(0) }) })
  is<typeof person, Step<"e", Person>>()

  const zod = z.object({
    kind: z.enum(["bug", "task"]).default("task"),
    length: z.string().transform((text) => text.length),
    tags: z.array(z.string()),
  })
  const parsed = $.step("f", { output: zod, run: () => ({ length: "four", tags: ["a"] }) })
  is<Value<typeof parsed>, { kind: "bug" | "task"; length: number; tags: string[] }>()
  const parsedLater = $.step("g", {
    output: zod,
    run: ({ input }) => Effect.succeed({ kind: "bug", length: input.repo, tags: [] }),
  })
  is<Value<typeof parsedLater>, Value<typeof parsed>>()
  // @ts-expect-error the input side of `length` is a string
  $.step("h", { output: zod, run: () => ({ length: 4, tags: [] }) })

  const withZod = Smithers.createWorkflow({
    name: "zod",
    input: z.object({ limit: z.coerce.number().default(3), name: z.string() }),
  })
  const built = withZod.build(($) =>
    $.step("a", {
      output: z.string(),
      run: ({ input }) => {
        is<typeof input, { limit: number; name: string }>()
        return input.name
      },
    }),
  )
  is<
    typeof built extends Smithers.Workflow<infer I, infer A, infer R> ? [I, A, R] : never,
    [{ name: string; limit?: unknown }, string, never]
  >()

  // A schema may need a service to decode; so then does whoever runs the workflow.
  const secret = Schema.transformOrFail(Schema.String, Schema.String, {
    decode: (text) => Effect.map(Secrets, ({ key }) => key + text),
    encode: (text) => Effect.succeed(text),
  })
  const needy = Smithers.createWorkflow({ name: "needy", input: Schema.Struct({ token: secret }) }).build(($) =>
    $.step("a", { output: Schema.String, run: ({ input }) => input.token }),
  )
  is<typeof needy, Smithers.Workflow<{ readonly token: string }, string, Secrets, WrittenOf<typeof needy>>>()
  const needyStep = $.step("a", { output: secret, run: () => Effect.map(Models, ({ ask }) => ask("")) })
  is<typeof needyStep, Step<"a", string, Models | Secrets>>()
}

// A condition is asked at once.
declare const builder: Builder<{ readonly n: number }>
{
  const $ = builder
  const one = $.step("one", { output: Schema.Number, run: () => 1 })
  // @ts-expect-error a promise is not true or false
  $.branch({ when: async () => true, then: one })
  // @ts-expect-error nor is an Effect
  $.branch({ when: () => Effect.succeed(true), then: one })
  const text = $.step("text", { output: Schema.Literal("bug", "idea"), run: () => "bug" })
  const needed = $.step("needed", { output: Schema.Date, run: () => Effect.map(Models, () => new Date(0)) })
  const typed = $.switch({ needs: { text }, on: ({ text }) => text, cases: { bug: one, idea: needed } })
  is<typeof typed, Node<number | Date, Models, WrittenBy<typeof typed>>>()
  const numbered = $.switch({ on: ({ input }) => (input.n > 1 ? 200 : 404), cases: { 200: one, 404: text } })
  is<typeof numbered, Node<number | "bug" | "idea", never, WrittenBy<typeof numbered>>>()
  const open = $.switch({ on: ({ input }) => String(input.n), cases: { bug: one }, otherwise: needed })
  is<typeof open, Node<number | Date, Models, WrittenBy<typeof open>>>()
  // @ts-expect-error there is no such case
  $.switch({ needs: { text }, on: ({ text }) => text, cases: { bug: one } })
  // @ts-expect-error any text may be none of the cases
  $.switch({ on: ({ input }) => String(input.n), cases: { bug: one } })
  // @ts-expect-error a promise names no case
  $.switch({ on: async () => "bug", cases: { bug: one } })
  // @ts-expect-error a case is a node
  $.switch({ on: () => "bug", cases: { bug: 1 } })
  // @ts-expect-error nor is a promise here
  $.loop({ id: "l", body: one, until: async () => true, maxIterations: 3 })
  // @ts-expect-error nor here
  $.step("two", { output: Schema.Number, skipIf: async () => true, run: () => 2 })
  // @ts-expect-error nor here
  $.timer("t", { duration: "1s", skipIf: async () => true })
}

// What depends on the run is a function, of what a condition is called with.
{
  const $ = builder
  const team = $.step("team", { output: Schema.Array(Schema.String), run: () => ["ann"] })
  $.approval("ok", {
    needs: { team },
    request: ({ iteration, runId }) => ({ title: `${runId} ${iteration.toFixed()}` }),
    approvers: ({ team }) => team,
    timeout: ({ input }) => (input.n > 1 ? "2h" : 1000),
  })
  $.human("h", { prompt: "?", output: Schema.String, deadline: ({ input }) => new Date(input.n), onTimeout: "continue" })
  $.signal("s", { name: "s", payload: Schema.Void, correlation: ({ runId }) => runId, deadline: 1 })
  $.timer("t", { duration: ({ iteration }) => `${iteration}s` })
  $.step("work", {
    output: Schema.Void,
    needs: { team },
    timeout: ({ team }) => team.length,
    run: () => {},
    needsApproval: { approvers: ({ team }) => team, deadline: ({ input }) => input.n },
  })
  // @ts-expect-error no duration
  $.timer("t", { duration: () => "soon" })
  // @ts-expect-error a name alone is no list
  $.approval("ok", { request: { title: "?" }, approvers: () => "ann" })
  // @ts-expect-error nobody is needed by this name
  $.approval("ok", { request: { title: "?" }, timeout: ({ team }) => team })
  // @ts-expect-error a time is given at once
  $.human("h", { prompt: "?", output: Schema.String, deadline: async () => 1 })
}

// Everything a step's code is called with.
export const contexts = () => {
  const analyze = $.step("analyze", { output: Analysis, run: () => ({ summary: "", risk: "low" }) })
  const skipped = $.step("skipped", { output: Schema.Number, skipIf: () => true, run: () => 1 })
  $.step("report", {
    output: Schema.String,
    needs: { analyze, skipped, before: $.previous("report", Schema.String) },
    run: (context) => {
      is<
        Flat<typeof context>,
        {
          readonly input: Input
          readonly heartbeat: (details?: unknown) => void
          readonly lastHeartbeat: unknown
          readonly signal: AbortSignal
          readonly cwd: string
          readonly sandbox: StepSandbox | undefined
          readonly [Transaction.attemptKey]?: Transaction.Attempt | undefined
          readonly runId: string
          readonly stepId: string
          readonly iteration: number
          readonly attempt: number
          readonly idempotencyKey: string
          readonly analyze: Analysis
          readonly skipped: number | undefined
          readonly before: string | undefined
        }
      >()
      // @ts-expect-error an analysis has no such field
      context.analyze.verdict
      // @ts-expect-error a skipped step may have no output
      context.skipped.toFixed()
      // @ts-expect-error it was not asked for
      context.other
      return context.analyze.summary
    },
    skipIf: (context) => {
      is<
        Flat<typeof context>,
        {
          readonly input: Input
          readonly runId: string
          readonly iteration: number
          readonly analyze: Analysis
          readonly skipped: number | undefined
          readonly before: string | undefined
        }
      >()
      return context.analyze.risk === "low"
    },
    cache: {
      key: ({ input, analyze }) => {
        is<typeof analyze, Analysis>()
        return [input.repo, analyze.risk]
      },
      ttl: "1h",
    },
    compensate: ({ output, analyze, input, idempotencyKey }) => {
      is<[typeof output, typeof analyze, typeof input, typeof idempotencyKey], [string, Analysis, Input, string]>()
    },
  })
  const decoded = $.step("decoded", {
    output: Schema.NumberFromString,
    run: () => "1",
    compensate: ({ output }) => is<typeof output, number>(),
  })
  is<Value<typeof decoded>, number>()
  // @ts-expect-error steps are compared with what is decoded, a number
  $.step("late", { output: Schema.Void, needs: { decoded }, run: ({ decoded }) => decoded.trim() })
}

// What a step may not be.
export const mistakes = () => {
  // @ts-expect-error a risk is no number
  $.step("a", { output: Analysis, run: () => ({ summary: "", risk: 1 }) })
  // @ts-expect-error there is no such risk
  $.step("a", { output: Analysis, run: ({ input }) => ({ summary: input.repo, risk: "extreme" }) })
  // @ts-expect-error the summary is missing
  $.step("a", { output: Analysis, run: async () => ({ risk: "low" }) })
  // @ts-expect-error there is no such risk
  $.step("a", { output: Analysis, run: () => Effect.succeed({ summary: "", risk: "extreme" }) })
  // @ts-expect-error the summary is missing
  $.step("a", { output: Analysis, run: () => Effect.map(Models, () => ({ risk: "low" })) })
  // @ts-expect-error nothing is returned
  $.step("a", { output: Analysis, run: () => {} })
  // @ts-expect-error the input has no such field
  $.step("a", { output: Schema.String, run: ({ input }) => input.branch })
  // @ts-expect-error there is no option of this name
  $.step("a", { output: Schema.String, run: () => "", retries: 3 })
  // @ts-expect-error there is no retry option of this name
  $.step("a", { output: Schema.String, run: () => "", retry: { attempts: 3 } })
  // @ts-expect-error it has no output
  $.step("a", { run: () => "" })
  // @ts-expect-error it has no code
  $.step("a", { output: Schema.String })
  // @ts-expect-error a need is a node
  $.step("a", { output: Schema.String, needs: { b: "b" }, run: () => "" })
  // @ts-expect-error not a duration
  $.step("a", { output: Schema.String, run: () => "", timeout: "soon" })
  // @ts-expect-error a predicate answers with a boolean
  $.step("a", { output: Schema.String, run: () => "", skipIf: ({ input }) => input.repo })
  // @ts-expect-error a schema is an Effect Schema or a Standard Schema
  $.step("a", { output: { type: "string" }, run: () => "" })
  // @ts-expect-error a child is a node
  $.sequence("a")
  // @ts-expect-error an arm is a node
  $.branch({ when: () => true, then: "a" })
  // @ts-expect-error a branch has no option of this name
  $.branch({ when: () => true, then: $.sequence(), otherwise: $.sequence() })
  // @ts-expect-error a loop has an id
  $.loop({ body: $.sequence(), until: () => true })
  // @ts-expect-error there is no such way
  $.loop({ id: "l", body: $.sequence(), until: () => true, onMaxReached: "stop" })
  // @ts-expect-error there is no option of this name
  $.parallel($.sequence(), { concurrency: 2 })
  // @ts-expect-error there is no option of this name
  $.sequence($.sequence(), { maxConcurrency: 2 })
  // @ts-expect-error a sandbox is named, or is false
  $.sequence($.sequence(), { sandbox: true })
  // @ts-expect-error a workflow gives a node
  declared.build(() => "a")
}

export const limits = () => {
  const output = Schema.Void
  $.step("a", { output, run: () => {}, timeout: "2m", heartbeatTimeout: "500ms", cache: { ttl: "1h" } })
  $.step("a", { output, run: () => {}, timeout: Duration.minutes(2), heartbeatTimeout: 500, cache: { ttl: "1 hour" } })
  $.step("a", {
    output,
    run: () => {},
    timeout: "1 minute",
    retry: { initialDelay: "1s", maxDelay: Duration.hours(1), jitter: false },
  })
  $.step("a", { output, run: () => {}, retry: false, cache: true, label: "A", meta: { team: "x" } })
  $.step("a", { output, run: () => {}, retry: Schedule.exponential("1 second").pipe(Schedule.intersect(Schedule.recurs(3))) })
  $.step("a", { output, run: () => {}, retry: Schedule.recurWhile((error: ErrorInfo) => error.status === 429) })
  $.step("a", {
    output,
    run: () => {},
    retry: Schedule.exponential("1 second").pipe(
      Schedule.intersect(Schedule.recurs(5)),
      Schedule.whileInput((error: Smithers.ErrorInfo) => error.status === undefined || error.status >= 500),
    ),
  })
  // After a restart nobody has the error that was raised.
  // @ts-expect-error an ErrorInfo is no RateLimited
  $.step("a", { output, run: () => {}, retry: Schedule.recurWhile((error: RateLimited) => error.seconds < 60) })
  $.step("a", {
    output,
    run: () => {},
    retry: Schedule.recurWhile((error) => {
      is<typeof error, ErrorInfo>()
      return error.name === "RateLimited"
    }),
  })
}

// A step that may have no output says so, and nothing else does.
export const absence = () => {
  const run = () => 1
  const output = Schema.Number
  const plain = $.step("a", { output, run })
  is<Value<typeof plain>, number>()
  const skipped = $.step("a", { output, run, skipIf: ({ input }) => input.depth > 1 })
  is<Value<typeof skipped>, number | undefined>()
  const soft = $.step("a", { output, run, continueOnFail: true })
  is<Value<typeof soft>, number | undefined>()
  const both = $.step("a", { output, run, continueOnFail: true, skipIf: () => false })
  is<Value<typeof both>, number | undefined>()
  const hard = $.step("a", { output, run, continueOnFail: false })
  is<Value<typeof hard>, number>()
  const perhaps = $.step("a", { output, run, continueOnFail: Math.random() > 0.5 })
  is<Value<typeof perhaps>, number | undefined>()
}

// Values and services of the control flow.
export const flow = () => {
  const text = $.step("text", { output: Schema.String, run: () => Effect.map(Models, ({ ask }) => ask("")) })
  const number = $.step("number", { output: Schema.Number, run: () => Effect.map(Files, ({ read }) => read("").length) })
  const soft = $.step("soft", {
    output: Schema.Boolean,
    run: () => Effect.map(Clocks, ({ tick }) => tick > 1),
    continueOnFail: true,
  })

  const sequence = $.sequence(text, soft, number)
  is<typeof sequence, Node<number, Models | Clocks | Files, WrittenBy<typeof sequence>>>()
  const endsSoftly = $.sequence(number, soft)
  is<Value<typeof endsSoftly>, boolean | undefined>()
  const joined = $.sequence(text, soft, number, { sandbox: "planner" })
  is<typeof joined, Node<number, Models | Clocks | Files, WrittenBy<typeof sequence>>>()
  const empty = $.sequence()
  is<typeof empty, Node<undefined, never, WrittenBy<typeof empty>>>()
  const many = [text, text]
  const spread = $.sequence(...many)
  is<typeof spread, Node<string | undefined, Models, WrittenBy<typeof spread>>>()
  const spreadThenOne = $.sequence(...many, number)
  is<typeof spreadThenOne, Node<number, Models | Files, WrittenBy<typeof spreadThenOne>>>()

  const parallel = $.parallel(text, number, soft)
  is<typeof parallel, Node<readonly [string, number, boolean | undefined], Models | Files | Clocks, WrittenBy<typeof parallel>>>()
  const limited = $.parallel(text, number, { maxConcurrency: 1, failFast: true })
  is<typeof limited, Node<readonly [string, number], Models | Files, WrittenBy<typeof limited>>>()
  const spreadParallel = $.parallel(...many)
  is<typeof spreadParallel, Node<readonly string[], Models, WrittenBy<typeof spreadParallel>>>()
  const spreadLimited = $.parallel(...many, { maxConcurrency: 2 })
  is<typeof spreadLimited, Node<readonly string[], Models, WrittenBy<typeof spreadLimited>>>()
  const mapped = $.parallel(...["a", "b"].map((id) => $.step(id, { output: Schema.Literal(1), run: () => 1 })), { failFast: true })
  is<typeof mapped, Node<readonly 1[], never, WrittenBy<typeof mapped>>>()
  const nobody = $.parallel()
  is<typeof nobody, Node<readonly [], never, WrittenBy<typeof nobody>>>()

  const branch = $.branch({ when: ({ input }) => input.depth > 1, then: text, else: number })
  is<typeof branch, Node<string | number, Models | Files, WrittenBy<typeof branch>>>()
  const oneArm = $.branch({ when: () => true, then: text })
  is<typeof oneArm, Node<string | undefined, Models, WrittenBy<typeof oneArm>>>()
  $.branch({
    needs: { text, soft },
    when: (context) => {
      is<
        Flat<typeof context>,
        {
          readonly input: Input
          readonly runId: string
          readonly iteration: number
          readonly text: string
          readonly soft: boolean | undefined
        }
      >()
      return context.text === ""
    },
    then: number,
  })

  const draft = $.step("draft", { output: Analysis, run: () => ({ summary: "", risk: "low" }) })
  const loop = $.loop({
    id: "loop",
    body: $.sequence(text, draft),
    needs: { number, draft },
    until: (context) => {
      is<
        Flat<typeof context>,
        {
          readonly input: Input
          readonly runId: string
          readonly output: Analysis | undefined
          readonly iteration: number
          readonly number: number | undefined
          readonly draft: Analysis | undefined
        }
      >()
      // @ts-expect-error a risk is one of three
      return context.output?.risk === "none"
    },
    maxIterations: 3,
    onMaxReached: "fail",
  })
  is<typeof loop, Node<Analysis, Models, WrittenBy<typeof loop>>>()

  // Nested, and needed as a whole.
  const nested = $.parallel(
    $.loop({
      id: "outer",
      maxIterations: Infinity,
      body: $.branch({ when: () => true, then: loop, else: sequence }),
      until: () => true,
    }),
  )
  is<typeof nested, Node<readonly [Analysis | number], Models | Clocks | Files, WrittenBy<typeof nested>>>()
  $.step("last", {
    output: Schema.Void,
    needs: { nested, oneArm },
    run: ({ nested, oneArm }) => is<[typeof nested, typeof oneArm], [readonly [Analysis | number], string | undefined]>(),
  })
}

// Parts of one's own.
export const fragments = () => {
  const review = <I extends { readonly repo: string }>($: Builder<I>, draft: Node<string>, rounds: number) =>
    $.step("review", {
      output: Analysis,
      needs: { draft },
      run: ({ input, draft }) => Effect.map(Models, ({ ask }) => ({ summary: ask(input.repo + draft + rounds), risk: "low" })),
    })
  const draft = $.step("draft", { output: Schema.String, run: () => "" })
  const used = $.fragment("part", review, draft, 3)
  is<typeof used, Step<"review", Analysis, Models>>()
  const inline = $.fragment(
    "inline",
    ($, label) => $.sequence($.step("x", { output: Schema.Number, run: ({ input }) => input.depth, label })),
    "a",
  )
  is<typeof inline, Node<number, never, WrittenBy<typeof inline>>>()
  // @ts-expect-error a draft is text
  $.fragment("part", review, $.step("n", { output: Schema.Number, run: () => 1 }), 3)
  // @ts-expect-error the number of rounds is missing
  $.fragment("part", review, draft)
  const other = Smithers.createWorkflow({ name: "other", input: Schema.Struct({ file: Schema.String }) })
  // @ts-expect-error this workflow has no repo to give
  other.build(($) => $.fragment("part", review, $.step("d", { output: Schema.String, run: () => "" }), 3))

  // Steps made by a function that is itself generic.
  const ask = <I, const Id extends string, S extends Codec.AnySchema>($: Builder<I>, id: Id, output: S, reply: Codec.Input<S>) =>
    $.step(id, { output, run: ({ runId }) => Effect.as(Effect.zipLeft(Models, Effect.log(runId)), reply) })
  const asked = ask($, "asked", Analysis, { summary: "", risk: "high" })
  is<typeof asked, Step<"asked", Analysis, Models>>()
}

// Services of everything inside reach whoever runs the workflow.
export const services = () => {
  const limited = Schedule.recurs(3).pipe(Schedule.checkEffect(() => Effect.as(Clocks, true)))
  const built = declared.build(($) => {
    const value = $.step("a", { output: Schema.Void, run: () => Effect.asVoid(Models) })
    const either = $.step("b", {
      output: Schema.Void,
      run: ({ input }) => (input.depth > 1 ? Effect.asVoid(Files) : Effect.asVoid(Models)),
    })
    const undone = $.step("c", { output: Schema.Void, run: () => {}, compensate: () => Effect.asVoid(Secrets) })
    const retried = $.step("d", { output: Schema.Void, run: async () => {}, retry: limited })
    return $.fragment(
      "x",
      ($, ...nodes) => $.loop({ id: "l", maxIterations: Infinity, body: $.parallel(...nodes), until: () => true }),
      value,
      either,
      undone,
      retried,
    )
  })
  is<typeof built extends Smithers.Workflow<infer _I, infer _A, infer R> ? R : never, Models | Files | Secrets | Clocks>()
  const execute = built.execute({ repo: "", depth: "1" })
  is<Effect.Effect.Context<typeof execute>, Models | Files | Secrets | Clocks | Engine>()
  const provided = execute.pipe(Effect.provide(Layer.succeed(Models, { ask: () => "" })), Effect.provide(Smithers.memory))
  is<Effect.Effect.Context<typeof provided>, Files | Secrets | Clocks>()
  // @ts-expect-error Files, Secrets and Clocks are missing
  Effect.runPromise(provided)
}

// The ways to run a workflow.
export const running = () => {
  const W = declared.build(($) => $.step("a", { output: Schema.Number, run: ({ input }) => Effect.as(Models, input.depth) }))
  type RunError =
    | Errors.StoreBusy
    | Errors.StoreFull
    | Errors.StoreCorrupt
    | Errors.StoreReadOnly
    | Errors.StoreRemoved
    | Errors.StoreMissing
    | Errors.StoreTooNew
    | Errors.StoreUnsupported
    | Errors.StoreTooOld
    | Errors.StoreInUse
    | Errors.StoreRefused
    | Errors.StoreFailed
    | Errors.IncompatibleTable
    | Errors.RunNotFound
    | Errors.RunFenced
    | Errors.IncompatibleOutput
    | Errors.InvalidInput
    | Errors.InvalidWorkflow
    | Errors.RenderFailed
    | Errors.RunWaitsForItself
    | Errors.RevertUnfinished
    | Errors.InputMismatch
    | Errors.WorkflowMismatch
    | Errors.InvalidRunId
    | Errors.InvalidSetting
  type ExecuteError =
    | RunError
    | Errors.StepFailed
    | Errors.StepTimedOut
    | Errors.CrashLoop
    | Errors.LoopLimitReached
    | Errors.EndlessPass
    | Errors.UnsettledRead
    | Errors.RunTimedOut
    | Errors.CompensationFailed
    | Errors.ApprovalDenied
    | Errors.WaitTimedOut
    | Errors.ScopeTimedOut
    | Errors.RaceLost
    | Errors.ListStillOpen
    | Errors.RunCancelled
  is<Smithers.ExecuteError, ExecuteError>()

  const input = { repo: "", depth: "1" }
  const executed = W.execute(input, { runId: "r", tags: ["t"], onIncompatible: "rerun" })
  is<typeof executed, Effect.Effect<number, ExecuteError, Models | Engine>>()
  const ran = W.run(input)
  is<typeof ran, Effect.Effect<RunResult<number>, RunError, Models | Engine>>()
  const started = W.start(input)
  is<
    typeof started,
    Effect.Effect<
      Smithers.RunHandle<number>,
      Errors.InvalidInput | Errors.InvalidSetting | Errors.InvalidRunId | Errors.InvalidWorkflow | Errors.RenderFailed,
      Models | Engine | NarrowPorts
    >
  >()
  type Handle = Effect.Effect.Success<typeof started>
  is<Handle["await"], Effect.Effect<number, ExecuteError>>()
  is<Handle["result"], Effect.Effect<RunResult<number>, RunError>>()
  is<ReturnType<Handle["cancel"]>, Effect.Effect<void, RunError | Errors.RunEnded>>()
  is<Handle["events"], Stream.Stream<LoggedEvent, RunError>>()
  const resumed = W.resume("r")
  is<typeof resumed, Effect.Effect<number, ExecuteError, Models | Engine>>()
  const cancelled = W.cancel("r", "reason")
  is<typeof cancelled, Effect.Effect<void, RunError | Errors.RunEnded, Models | Engine>>()

  Effect.map(ran, (result) => {
    switch (result.status) {
      case "finished":
        return is<typeof result.output, number>()
      case "failed":
        return is<typeof result.error, Errors.RunFailure>()
      case "cancelled":
        return is<typeof result.reason, string | undefined>()
    }
  })
  Effect.catchTag(executed, "StepFailed", (error) => {
    is<typeof error.cause, Error>()
    is<typeof error.error, Errors.ErrorInfo>()
    return Effect.succeed(0)
  })

  W.execute({ repo: "", depth: 1 })
  // @ts-expect-error the depth is a number, or written as text
  W.execute({ repo: "", depth: true })
  // @ts-expect-error the depth is missing
  W.execute({ repo: "" })
  // @ts-expect-error there is no such field
  W.execute({ ...input, sha: "" })
  // @ts-expect-error there is no such option
  W.execute(input, { id: "r" })
  // @ts-expect-error tags are a list
  W.execute(input, { tags: "t" })
  // @ts-expect-error a workflow that takes something is given something
  W.execute()

  const nothing = Smithers.createWorkflow({ name: "nothing", input: Schema.Void }).build(($) => $.sequence())
  is<Effect.Effect.Success<ReturnType<typeof nothing.execute>>, undefined>()
  nothing.execute()

  // @ts-expect-error a workflow has no option of this name
  Smithers.createWorkflow({ name: "n", input: Input, retries: 3 })
  // @ts-expect-error a workflow has an input
  Smithers.createWorkflow({ name: "n" })
}

// What is caught, undone, asked for and started.
export const boundaries = () => {
  const draft = $.step("draft", { output: Analysis, run: () => Effect.as(Models, { summary: "", risk: "low" as const }) })
  const count = $.step("count", {
    output: Schema.NumberFromString,
    run: () => "1",
    compensate: ({ output, input }) => is<[typeof output, typeof input], [number, Input]>(),
  })
  const saga = $.saga(draft, count)
  is<typeof saga, Node<number, Models, WrittenBy<typeof saga>>>()
  const named = $.saga(draft, count, { id: "saga" })
  is<typeof named, Node<number, Models, WrittenBy<typeof named>>>()
  const going = $.saga(draft, count, { onCompensated: "continue" })
  is<typeof going, Node<number | undefined, Models, WrittenBy<typeof going>>>()
  // @ts-expect-error one of two words
  $.saga(draft, { onCompensated: "ignore" })

  const caught = $.tryCatch({ id: "t", try: draft, catch: count })
  is<typeof caught, Node<Analysis | number, Models, WrittenBy<typeof caught>>>()
  const handled = $.tryCatch({
    try: draft,
    catch: ({ error, input, attempt }) => {
      is<typeof error.nodeId, string>()
      is<typeof error.issues, ReadonlyArray<string> | undefined>()
      is<[typeof input, typeof attempt], [Input, number]>()
      return Effect.map(Files, ({ read }) => read(error.message))
    },
    finally: $.step("last", { output: Schema.Void, run: () => Effect.asVoid(Secrets) }),
  })
  is<typeof handled, Node<Analysis | string, Models | Files | Secrets, WrittenBy<typeof handled>>>()
  const soon = $.tryCatch({ try: draft, catch: async () => 1 })
  is<typeof soon, Node<Analysis | number, Models, WrittenBy<typeof soon>>>()
  const some = $.tryCatch({ try: draft, catch: count, when: ({ status, nodeId }) => status === 402 && nodeId === "draft" })
  is<typeof some, Node<Analysis | number, Models, WrittenBy<typeof some>>>()
  // @ts-expect-error a filter answers at once
  $.tryCatch({ try: draft, catch: count, when: async () => true })
  // @ts-expect-error it is asked of what is stored, before anything is undone
  $.tryCatch({ try: draft, catch: count, when: ({ uncompensated }) => uncompensated === undefined })
  // @ts-expect-error nothing is caught
  $.tryCatch({ try: draft, finally: count, when: () => true })
  const only = $.tryCatch({ try: draft, finally: count })
  is<typeof only, Node<Analysis, Models, WrittenBy<typeof only>>>()
  const both = $.tryCatch({ try: count, catch: ({ error }) => error.message, finally: draft })
  is<typeof both, Node<number | string, Models, WrittenBy<typeof both>>>()
  // @ts-expect-error it catches nothing, and does nothing in the end
  $.tryCatch({ try: draft })
  // @ts-expect-error a finally that is not there is none
  $.tryCatch({ try: draft, finally: undefined })
  // @ts-expect-error a catch is a node or a function
  $.tryCatch({ try: draft, catch: 7 })
  $.step("told", {
    needs: { error: $.caught("t"), maybe: $.maybe(draft) },
    output: Schema.Void,
    run: ({ error, maybe }) => is<[typeof error.name, typeof maybe], [string, Analysis | undefined]>(),
  })

  const gated = $.step("gated", {
    needs: { draft },
    output: Schema.Number,
    needsApproval: { request: ({ draft }) => ({ title: draft.summary }), onDeny: "skip" },
    run: () => 1,
  })
  is<typeof gated, Step<"gated", number | undefined, never, number>>()
  const asked = $.step("asked", { output: Schema.Number, needsApproval: true, run: () => 1 })
  is<typeof asked, Step<"asked", number>>()
  $.timer("at", { needs: { draft }, until: ({ draft }) => draft.summary.length })
  $.timer("in", { duration: "5 minutes", label: "a while" })
  // @ts-expect-error it would never fire
  $.timer("never", {})
  // @ts-expect-error one time is enough
  $.timer("both", { duration: "5 minutes", until: 5 })
  // @ts-expect-error a time is no text
  $.timer("text", { until: "tomorrow" })
  // @ts-expect-error a request has a title
  $.step("untitled", { output: Schema.Number, needsApproval: { request: () => ({ summary: "" }) }, run: () => 1 })

  const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({ n: Schema.NumberFromString }) }).build(($) =>
    $.step("work", { output: Schema.Date, run: () => Effect.as(Clocks, "") }),
  )
  const sub = $.subflow("sub", { workflow: child, needs: { count }, input: ({ count }) => ({ n: `${count}` }) })
  is<typeof sub, Step<"sub", Date, Clocks>>()
  const apart = $.subflow("apart", { workflow: child, input: { n: "1" }, attach: false })
  is<typeof apart, Step<"apart", { readonly runId: string }, Clocks>>()
  const soft = $.subflow("soft", { workflow: child, input: { n: "1" }, onFail: "continue", skipIf: () => true })
  is<typeof soft, Step<"soft", Date | undefined, Clocks>>()
  const late = $.subflow("late", { workflow: child, input: { n: "1" }, timeout: "1h", onTimeout: "continue" })
  is<typeof late, Step<"late", Date | undefined, Clocks>>()
  $.subflow("number", { workflow: child, input: { n: 1 } })
  // @ts-expect-error its input is a number, or written as text
  $.subflow("wrong", { workflow: child, input: { n: true } })
  // @ts-expect-error what gives it, too
  $.subflow("wrong", { workflow: child, input: () => ({ n: true }) })
}

// What is written, by the ids of the steps.
{
  const Wide = Smithers.createWorkflow({ name: "wide", input: Schema.Void }).build(($) => {
    const first = $.step("first", { output: Schema.Struct({ at: Schema.Date }), run: () => ({ at: "2026-01-01" }) })
    const soft = $.step("soft", { output: Schema.Number, run: () => 1, continueOnFail: true, skipIf: () => false as boolean })
    const asked = $.human("asked", { output: Schema.String, prompt: "Who?", timeout: "1 day", onTimeout: "continue" })
    const inner = $.loop({ id: "loop", body: $.parallel(soft, asked), until: () => true, maxIterations: 2 })
    const caught = $.step("caught", { output: Schema.Boolean, run: () => true })
    const last = $.step("last", { output: Schema.Null, run: () => null })
    const tried = $.tryCatch({ id: "try", try: $.saga(inner), catch: caught, finally: last })
    return $.sequence(first, $.branch({ when: () => true, then: tried }))
  })
  type Row =
    | Written<"first", { readonly at: Date }>
    | Written<"soft", number>
    | Written<"asked", string>
    | Written<"caught", boolean>
    | Written<"last", null>
  is<WrittenOf<typeof Wide>, Row>()
}

// A step of an agent: its prompt is given the needs, and its output is that of the schema.
declare const writer: Agent
const first = $.step("first", { output: Analysis, run: () => ({ summary: "", risk: "low" }) })
const written = $.step("written", {
  needs: { first },
  output: Analysis,
  agent: [writer],
  allowTools: ["read"],
  skipIf: ({ first }) => first.risk === "low",
  prompt: ({ first, input, attempt }) => {
    is<typeof first, Analysis>()
    is<typeof attempt, number>()
    return `${input.repo} ${first.summary}`
  },
})
is<Value<typeof written>, Analysis | undefined>()
is<Services<typeof written>, never>()
$.step("text", { output: Schema.String, agent: writer, prompt: async () => "Write." })
$.step("effect", { output: Schema.String, agent: writer, prompt: () => Effect.succeed("Write.") })
// @ts-expect-error it has no prompt
$.step("silent", { output: Schema.String, agent: writer })
// @ts-expect-error a prompt is text
$.step("number", { output: Schema.String, agent: writer, prompt: () => 3 })
// @ts-expect-error rights are those of an agent
$.step("code", { output: Schema.String, allowTools: ["read"], run: () => "" })
// @ts-expect-error it has neither
$.step("neither", { output: Schema.String })

// The value of a list: an item can be left from outside, whatever the list says of its own end.
Smithers.createWorkflow({ name: "lists", input: Schema.Void }).build(($) => {
  const each = {
    items: () => ["a"],
    body: (item: Reference<string>) => $.step("each", { needs: { item }, output: Schema.Date, run: () => new Date(0) }),
  }
  const list = $.map({ id: "list", ...each })
  $.step("read", { needs: { list }, output: Schema.Void, run: ({ list }) => is<typeof list, ReadonlyArray<Date | undefined>>() })
  const settled = $.map({ id: "settled", ...each, settled: true })
  return $.step("last", {
    needs: { settled },
    output: Schema.Void,
    run: ({ settled: [first] }) => {
      if (first?.status === "finished") is<typeof first.value, Date>()
      if (first?.status === "open") is<typeof first, { readonly key: string; readonly status: "open" }>()
    },
  })
})
