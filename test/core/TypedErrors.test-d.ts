/** What TypeScript infers of the errors that steps declare. Nothing here runs: `tsc` checks it. */
import type { Errors } from "@smithers/core/Builder"
import type { ErrorInfo } from "@smithers/core/ErrorInfo"
import type * as Failures from "@smithers/core/Errors"
import type { RunResult } from "@smithers/core/RunResult"
import * as Smithers from "@smithers/core/Smithers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare const is: <A, B>(...proof: Same<A, B> extends true ? [] : [{ readonly actual: A; readonly expected: B }]) => void

class Declined extends Schema.TaggedError<Declined>()("Declined", { amount: Schema.Number, at: Schema.Date }) {}
class Limited extends Schema.TaggedError<Limited>()("Limited", { seconds: Schema.Number }) {}
class Bank extends Context.Tag("Bank")<Bank, { readonly pay: Effect.Effect<string, Declined | Limited> }>() {}

const flow = Smithers.createWorkflow({ name: "errors", input: Schema.Void })
declare const $: Smithers.Builder<void>
const pay = $.step("pay", { output: Schema.String, error: Declined, run: () => Effect.flatMap(Bank, ({ pay }) => pay) })
const plain = $.step("plain", { output: Schema.String, run: () => Effect.fail(new Limited({ seconds: 1 })) })
const both = $.step("both", { output: Schema.String, error: Schema.Union(Declined, Limited), run: () => "" })

// What is declared is an error of the node, whatever else `run` fails with; what is not declared is none.
is<Errors<typeof pay>, Declined>()
is<Errors<typeof plain>, never>()
is<Errors<typeof both>, Declined | Limited>()

// It goes outwards through all nodes, but for those that keep it.
export const nodes = () => {
  const limited = $.step("limited", { output: Schema.Void, error: Limited, run: () => {} })
  is<Errors<ReturnType<typeof sequence>>, Declined | Limited>()
  is<Errors<ReturnType<typeof parallel>>, Declined | Limited>()
  const looped = $.loop({ id: "l", body: pay, until: () => true, maxIterations: 1 })
  is<Errors<typeof looped>, Declined>()
  const branched = $.branch({ when: () => true, then: pay, else: limited })
  is<Errors<typeof branched>, Declined | Limited>()
  const switched = $.switch({ on: () => "a" as const, cases: { a: pay, b: limited } })
  is<Errors<typeof switched>, Declined | Limited>()
  const saga = $.saga(pay, limited)
  is<Errors<typeof saga>, Declined | Limited>()
  const undone = $.saga(pay, limited, { onCompensated: "continue" })
  is<Errors<typeof undone>, never>()
  const soft = $.step("soft", { output: Schema.Void, error: Limited, continueOnFail: true, run: () => {} })
  is<Errors<typeof soft>, never>()
  const part = $.fragment("f", ($) => $.step("pay", { output: Schema.String, error: Declined, run: () => "" }))
  is<Errors<typeof part>, Declined>()
}
const sequence = () => $.sequence(pay, plain, both)
const parallel = () => $.parallel(pay, both, { failFast: true })

// A catch is told of it, and keeps it; one with a filter may not.
export const tries = () => {
  const caught = $.tryCatch({
    try: pay,
    catch: ({ error }) => {
      is<typeof error.declared, Declined | undefined>()
      return error.declared?.amount ?? 0
    },
  })
  is<Errors<typeof caught>, never>()
  const filtered = $.tryCatch({ try: both, when: ({ declared }) => declared?._tag === "Limited", catch: () => 0 })
  is<Errors<typeof filtered>, Declined | Limited>()
  const replaced = $.tryCatch({ try: pay, catch: $.step("other", { output: Schema.Void, error: Limited, run: () => {} }) })
  is<Errors<typeof replaced>, Limited>()
  const last = $.tryCatch({ try: pay, finally: $.step("tidy", { output: Schema.Void, error: Limited, run: () => {} }) })
  is<Errors<typeof last>, Declined | Limited>()
}

// The ways to run a workflow, and a parent, have it.
export const running = () => {
  const W = flow.build(() => pay)
  const executed = W.execute()
  is<Effect.Effect.Error<typeof executed>, Smithers.ExecuteError | Declined>()
  const handled = Effect.catchTag(executed, "Declined", (error) => {
    is<typeof error, Declined>()
    return Effect.succeed(error.at.getTime())
  })
  is<Effect.Effect.Success<typeof handled>, string | number>()
  is<Extract<Effect.Effect.Error<typeof handled>, Declined>, never>()
  is<Effect.Effect.Success<ReturnType<typeof W.run>>, RunResult<string, Declined>>()
  is<Effect.Effect.Success<ReturnType<typeof W.poll>>, Option.Option<RunResult<string, Declined>>>()
  is<Effect.Effect.Success<ReturnType<typeof W.attach>>, Smithers.RunHandle<string, Declined>>()
  is<Effect.Effect.Error<ReturnType<typeof W.resume>>, Smithers.ExecuteError | Declined>()
  Effect.map(W.run(), (result) => {
    if (result.status === "failed") is<typeof result.error, Failures.RunFailure | Declined>()
  })
  const child = $.subflow("child", { workflow: W, input: undefined })
  is<Errors<typeof child>, Declined>()
  const soft = $.subflow("soft", { workflow: W, input: undefined, onFail: "continue" })
  is<Errors<typeof soft>, never>()
  const apart = $.subflow("apart", { workflow: W, input: undefined, attach: false })
  is<Errors<typeof apart>, never>()
  const Parent = flow.build(($) => $.subflow("child", { workflow: W, input: undefined }))
  is<Effect.Effect.Error<ReturnType<typeof Parent.execute>>, Smithers.ExecuteError | Declined>()
}

// Retry policies are given it decoded.
export const retries = () => {
  $.step("while", {
    output: Schema.Void,
    error: Declined,
    retry: {
      while: (error) => {
        is<typeof error.declared, Declined | undefined>()
        return error.declared === undefined
      },
    },
    run: () => {},
  })
  $.step("none", {
    output: Schema.Void,
    retry: {
      while: (error) => {
        is<typeof error, ErrorInfo>()
        return error.status !== 402
      },
    },
    run: () => {},
  })
  const known = Schedule.recurs(3).pipe(
    Schedule.whileInput((error: Smithers.AttemptError<Declined>) => error.declared === undefined),
  )
  $.step("schedule", { output: Schema.Void, error: Declined, retry: known, run: () => {} })
  // @ts-expect-error it is told of errors that the step does not declare
  $.step("undeclared", { output: Schema.Void, error: Limited, retry: known, run: () => {} })
  // @ts-expect-error a schema of errors asks for no services
  $.step("services", { output: Schema.Void, error: Declined as Schema.Schema<Declined, string, Bank>, run: () => {} })
  // @ts-expect-error errors are declared by an Effect Schema
  $.step("text", { output: Schema.Void, error: "Declined", run: () => {} })
}
