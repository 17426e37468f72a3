/** The same call once more, after the workflow was edited: it is answered by what is stored, or goes on with it. */
import { describe, expect, it } from "@effect/vitest"
import type { InputMismatch } from "@smithers/core/Errors"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as z from "zod"
import { runningOn, stores, Text } from "./Flows.ts"

let serial = 0
/** A default that is another each time. */
const next = () => `n${++serial}`

const inputs: ReadonlyArray<
  readonly [
    what: string,
    before: Schema.Schema.AnyNoContext | z.ZodType,
    after: Schema.Schema.AnyNoContext | z.ZodType,
    given: unknown,
  ]
> = [
  ["a field with a default", z.object({ a: z.string() }), z.object({ a: z.string(), n: z.number().default(1) }), { a: "x" }],
  [
    "a field with a default of an Effect Schema",
    Schema.Struct({ a: Schema.String }),
    Schema.Struct({ a: Schema.String, n: Schema.optionalWith(Schema.Number, { default: () => 1 }) }),
    { a: "x" },
  ],
  [
    "a field whose default is computed",
    z.object({ a: z.string() }),
    z.object({ a: z.string(), id: z.string().default(next) }),
    { a: "x" },
  ],
  [
    "nothing, and has a default that is computed",
    z.object({ a: z.string(), id: z.string().default(next) }),
    z.object({ a: z.string(), id: z.string().default(next) }),
    { a: "x" },
  ],
  [
    "a default, where the caller gives a value of the type",
    Schema.Struct({ at: Schema.Date }),
    Schema.Struct({ at: Schema.Date, n: Schema.optionalWith(Schema.Number, { default: () => 1 }) }),
    { at: new Date(0) },
  ],
  [
    "another transform",
    z.object({ a: z.string().transform((text) => text.length) }),
    z.object({ a: z.string().transform((text) => `${text}!`) }),
    { a: "x" },
  ],
]

describe.each(stores)("the same execute, on %s, after the input schema has gained", (_, store) => {
  const onStore = runningOn(store)

  it.effect.each(inputs)("%s, is answered, whether the run has finished or waits", ([, before, after, given]) =>
    onStore(
      Effect.gen(function* () {
        const build = (input: Schema.Schema.AnyNoContext | z.ZodType, ran: Array<string>) =>
          Smithers.createWorkflow({ name: "w", input }).build(($) =>
            $.sequence(
              $.step("a", { output: Text, run: () => (ran.push("a") > 0 ? "a" : "") }),
              $.signal("go", { name: "go", payload: Schema.Unknown }),
              $.step("b", { output: Text, run: () => (ran.push("b") > 0 ? "b" : "") }),
            ),
          )
        const ran: Array<string> = []
        expect((yield* build(before, ran).run(given as never, { runId: "r" })).status).toBe("waiting-event")
        expect((yield* build(after, ran).run(given as never, { runId: "r" })).status).toBe("waiting-event")
        yield* Smithers.signal("r", "go", { payload: 1 })
        expect(yield* build(after, ran).execute(given as never, { runId: "r" })).toBe("b")
        expect(yield* build(after, ran).execute(given as never, { runId: "r" })).toBe("b")
        expect(yield* build(before, ran).execute(given as never, { runId: "r" })).toBe("b")
        expect(ran).toEqual(["a", "b"])
      }),
    ),
  )

  it.effect("a rule that refuses the input, is answered where the run has finished", () =>
    onStore(
      Effect.gen(function* () {
        const build = (input: z.ZodType) =>
          Smithers.createWorkflow({ name: "w", input }).build(($) => $.step("a", { output: Text, run: () => "a" }))
        expect(yield* build(z.object({ a: z.string() })).execute({ a: "long" }, { runId: "r" })).toBe("a")
        const stricter = build(z.object({ a: z.string().max(2) }))
        expect(yield* stricter.execute({ a: "long" }, { runId: "r" })).toBe("a")
        expect(yield* Effect.flip(stricter.execute({ a: "long" }, { runId: "other" }))).toMatchObject({ _tag: "InvalidInput" })
      }),
    ),
  )

  it.effect("nothing, is another call where a value of the type is another", () =>
    onStore(
      Effect.gen(function* () {
        const kinds: ReadonlyArray<readonly [Schema.Schema.AnyNoContext, one: unknown, other: unknown]> = [
          [Schema.URL, new URL("https://a.example"), new URL("https://b.example")],
          [Schema.Date, new Date(0), new Date(1)],
          [Schema.Option(Schema.Number), Option.some(1), Option.some(2)],
          [Schema.Map({ key: Schema.String, value: Schema.Date }), new Map([["a", new Date(0)]]), new Map([["a", new Date(1)]])],
          [Schema.BigInt, 1n, 2n],
        ]
        for (const [index, [input, one, another]] of kinds.entries()) {
          const W = Smithers.createWorkflow({ name: "w", input }).build(($) => $.step("a", { output: Text, run: () => "a" }))
          expect(yield* W.execute(one as never, { runId: `r${index}` })).toBe("a")
          expect(yield* W.execute(one as never, { runId: `r${index}` })).toBe("a")
          expect(yield* Effect.flip(W.execute(another as never, { runId: `r${index}` }))).toMatchObject({ _tag: "InputMismatch" })
        }
      }),
    ),
  )

  it.effect("anything, is another call where another input is given", () =>
    onStore(
      Effect.gen(function* () {
        const build = (name: string, input: z.ZodType) =>
          Smithers.createWorkflow({ name, input }).build(($) => $.step("a", { output: Text, run: () => "a" }))
        const before = z.object({ a: z.string() })
        const after = z.object({ a: z.string(), n: z.number().default(1) })
        yield* build("w", before).execute({ a: "x" }, { runId: "r" })
        const refused = (effect: Effect.Effect<unknown, unknown, Smithers.Runtime>) =>
          Effect.map(Effect.flip(effect), (error) => (error as InputMismatch)._tag as string)
        expect(yield* refused(build("w", after).execute({ a: "y" }, { runId: "r" }))).toBe("InputMismatch")
        expect(yield* refused(build("w", after).execute({ a: "x", n: 2 }, { runId: "r" }))).toBe("InputMismatch")
        expect(yield* build("w", after).execute({ a: "x", n: 1 }, { runId: "r" })).toBe("a")
        expect(yield* refused(build("other", after).execute({ a: "x" }, { runId: "r" }))).toBe("WorkflowMismatch")
      }),
    ),
  )
})

const In = Schema.Struct({ a: Schema.String })

describe.each(stores)("a finished run that is asked again, on %s, after the workflow was edited,", (_, store) => {
  const onStore = runningOn(store)
  const Dated = Schema.Struct({ at: Schema.Date })
  const declare = Smithers.createWorkflow({ name: "w", input: In })
  const first = declare.build(($) => {
    const one = $.step("one", { output: Dated, run: () => ({ at: "2020-01-01T00:00:00.000Z" }) })
    const two = $.step("two", { output: Schema.Option(Schema.Number), run: () => Option.some(1) })
    return $.sequence(
      $.step("before", { output: Text, run: () => "before" }),
      $.parallel(one, two, $.step("three", { output: Schema.Void, run: () => undefined })),
    )
  })
  const date = new Date("2020-01-01T00:00:00.000Z")
  const never = () => {
    throw new Error("it was run")
  }

  it.effect("answers with what it gave, decoded as far as the schemas still can", () =>
    onStore(
      Effect.gen(function* () {
        const given = [{ at: date }, Option.some(1), undefined]
        expect(yield* first.execute({ a: "x" }, { runId: "r" })).toEqual(given)
        expect(yield* first.execute({ a: "x" }, { runId: "r" })).toEqual(given)
        const more = declare.build(($) =>
          $.sequence($.step("new", { output: Text, run: never }), $.step("one", { output: Dated, run: never })),
        )
        expect(yield* more.execute({ a: "x" }, { runId: "r" })).toEqual([{ at: date }, { _tag: "Some", value: 1 }, undefined])
        const other = declare.build(($) =>
          $.sequence(
            $.step("before", { output: Schema.Number, run: never }),
            $.step("one", { output: Schema.Struct({ at: Schema.Number }), run: never }),
            $.step("two", { output: Schema.Option(Schema.Number), run: never }),
          ),
        )
        expect(yield* other.execute({ a: "x" }, { runId: "r" })).toEqual([
          { at: "2020-01-01T00:00:00.000Z" },
          Option.some(1),
          undefined,
        ])
        expect(yield* other.run({ a: "x" }, { runId: "r" })).toMatchObject({ status: "finished" })
        const handle = yield* other.start({ a: "x" }, { runId: "r" })
        expect(yield* handle.result).toMatchObject({ status: "finished" })
        const events = yield* Effect.flatMap(Storage, (storage) => storage.events("r"))
        expect(events.filter(({ event }) => event._tag === "RunResumed" || event._tag === "PlanChanged")).toEqual([])
      }),
    ),
  )

  it.effect("answers through loops, branches, sagas and tries, and with nothing where it gave nothing", () =>
    onStore(
      Effect.gen(function* () {
        const build = (runs: (value: number) => number) =>
          declare.build(($) => {
            const count = $.step("count", { output: Schema.NumberFromString, run: ({ iteration }) => runs(iteration) })
            const loop = $.loop({ id: "l", body: count, until: ({ output }) => output === 2, maxIterations: 9 })
            const arm = $.branch({ when: () => true, then: $.saga(loop, { id: "s" }) })
            const failing = $.step("failing", { output: Text, retry: false, run: () => Promise.reject<string>(new Error("no")) })
            return $.parallel(arm, $.tryCatch({ id: "t", try: failing, catch: () => ({ caught: true }) }))
          })
        const given = [2, { caught: true }]
        expect(yield* build((value) => value).execute({ a: "x" }, { runId: "r" })).toEqual(given)
        expect(yield* build(never).execute({ a: "x" }, { runId: "r" })).toEqual(given)
        const empty = declare.build(($) => $.step("none", { output: Schema.Void, run: () => undefined }))
        expect(yield* empty.execute({ a: "x" }, { runId: "e" })).toBeUndefined()
        expect(yield* empty.execute({ a: "x" }, { runId: "e" })).toBeUndefined()
        expect(yield* first.execute({ a: "x" }, { runId: "e" })).toBeUndefined()
      }),
    ),
  )
})
