/** Values that a run is given, keeps and gives out: whoever is given one can change nothing for anybody else. */
import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as Codec from "@smithers/core/Codec"
import * as Commands from "@smithers/core/Commands"
import { Engine } from "@smithers/core/Engine"
import * as RunState from "@smithers/core/RunState"
import * as Smithers from "@smithers/core/Smithers"
import { Storage } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as z from "zod"
import * as Journals from "../agents/Journals.ts"
import { processOn, runningOn, stores, Text } from "./Flows.ts"
import { passing } from "./Time.ts"

class Person extends Schema.Class<Person>("Person")({ name: Schema.String, tags: Schema.mutable(Schema.Array(Schema.String)) }) {
  #calls = 0
  greet() {
    this.#calls++
    return `${this.name} ${this.tags.join()} ${this.#calls}`
  }
}

/** A value, once something was done. */
const having = <A>(_: unknown, value: A): A => value

/** Does what is to fail or to change a copy only. */
const tryTo = (change: () => void): void => {
  try {
    change()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(TypeError)
  }
}

const List = z.object({ items: z.array(z.number()), deep: z.object({ words: z.array(z.string()) }) })
const list = () => ({ items: [1, 2, 3], deep: { words: ["a", "b"] } })
type List = z.infer<typeof List>

/** Tries to change all of a list. */
const spoil = (given: List): void => {
  tryTo(() => given.items.reverse())
  tryTo(() => given.items.push(9))
  tryTo(() => Object.assign(given, { items: [] }))
  tryTo(() => given.deep.words.pop())
  tryTo(() => Object.assign(given.deep, { more: 1 }))
}

/** Kinds of values: a schema, what is given of it, how it is changed, and what it shows. */
const kinds: ReadonlyArray<
  readonly [
    what: string,
    schema: Schema.Schema.AnyNoContext | z.ZodType,
    give: () => unknown,
    spoil: (given: never) => void,
    show: (given: never) => unknown,
  ]
> = [
  ["objects and arrays", List, list, spoil, (given: List) => JSON.stringify(given)],
  [
    "objects and arrays of an Effect Schema",
    Schema.Struct({
      items: Schema.mutable(Schema.Array(Schema.Number)),
      deep: Schema.Struct({ words: Schema.mutable(Schema.Array(Schema.String)) }),
    }),
    list,
    spoil,
    (given: List) => JSON.stringify(given),
  ],
  ["JSON of no schema", Schema.Unknown, list, spoil, (given: List) => JSON.stringify(given)],
  [
    "an array of many items",
    z.object({ items: z.array(z.number()) }),
    () => ({ items: Array.from({ length: 5000 }, (_, index) => index) }),
    (given: List) => {
      tryTo(() => given.items.reverse())
      tryTo(() => given.items.splice(0, 4000))
    },
    (given: List) => [given.items.length, given.items[0], given.items.at(-1)],
  ],
  [
    "a date",
    Schema.Struct({ at: Schema.Date }),
    () => ({ at: "2020-01-01T00:00:00.000Z" }),
    (given: { at: Date }) => given.at.setFullYear(1999),
    (given: { at: Date }) => given.at.toISOString(),
  ],
  [
    "a map and a set",
    Schema.Struct({
      map: Schema.Map({ key: Schema.String, value: Schema.mutable(Schema.Array(Schema.Date)) }),
      set: Schema.Set(Schema.Number),
    }),
    () => ({ map: [["a", ["2020-01-01T00:00:00.000Z"]]], set: [1, 2] }),
    (given: { map: Map<string, Array<Date>>; set: Set<number> }) => {
      given.map.get("a")?.[0]?.setFullYear(1999)
      tryTo(() => given.map.get("a")?.pop())
      given.map.set("b", [])
      given.set.clear()
    },
    (given: { map: Map<string, Array<Date>>; set: Set<number> }) => JSON.stringify([[...given.map], [...given.set]]),
  ],
  [
    "bytes",
    Schema.Struct({ bytes: Schema.Uint8ArrayFromBase64 }),
    () => ({ bytes: "AQID" }),
    (given: { bytes: Uint8Array }) => given.bytes.fill(0),
    (given: { bytes: Uint8Array }) => [...given.bytes],
  ],
  [
    "an instance of a class",
    Schema.Struct({ person: Person }),
    () => ({ person: { name: "Ada", tags: ["x"] } }),
    ({ person }: { person: Person }) => {
      tryTo(() => Object.assign(person, { name: "Eve" }))
      tryTo(() => person.tags.push("y"))
      person.greet()
    },
    ({ person }: { person: Person }) => person.greet(),
  ],
  [
    "an option of a date",
    Schema.Option(Schema.Struct({ at: Schema.Date })),
    () => ({ _tag: "Some", value: { at: "2020-01-01T00:00:00.000Z" } }),
    (given: Option.Option<{ at: Date }>) => Option.map(given, ({ at }) => at.setFullYear(1999)),
    (given: Option.Option<{ at: Date }>) => JSON.stringify(given),
  ],
  [
    "a date of a schema that takes time",
    Schema.Struct({ at: Schema.Date }).pipe(Schema.filterEffect(() => Effect.as(Effect.yieldNow(), true))),
    () => ({ at: "2020-01-01T00:00:00.000Z" }),
    (given: { at: Date }) => given.at.setFullYear(1999),
    (given: { at: Date }) => given.at.toISOString(),
  ],
]

describe.each(stores)("a value that a step or a caller changes, on %s,", (_, store) => {
  const onStore = runningOn(store)

  it.effect.each(kinds)("is the same for everybody else: %s", ([, schema, give, spoil, show]) =>
    onStore(
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const look = (given: unknown): void => {
          seen.push(show(given as never))
          spoil(given as never)
          spoil(given as never)
        }
        const W = Smithers.createWorkflow({ name: "w", input: schema }).build(($) => {
          const made = $.step("made", { output: schema, run: ({ input }) => having(look(input), give() as never) })
          const both = $.parallel(made, $.step("beside", { output: schema, run: () => give() as never }))
          const branch = $.branch({
            needs: { made },
            when: ({ made, input }) => having([look(made), look(input)], true),
            then: $.step("taken", { output: Text, run: () => "taken" }),
          })
          const retried = $.step("retried", {
            output: Text,
            needs: { made, both },
            retry: { maxAttempts: 2, initialDelay: 1 },
            skipIf: ({ made }) => having(look(made), false),
            run: ({ made, both, input, attempt }) => {
              look(made)
              look(both[0])
              look(both[1])
              look(input)
              if (attempt === 1) throw new Error("once more")
              return "done"
            },
          })
          const undone = $.tryCatch({
            try: $.saga(
              $.step("booked", {
                output: schema,
                run: () => give() as never,
                compensate: ({ output, input }) => having(look(output), look(input)),
              }),
              $.step("failing", { output: Text, retry: false, run: () => Promise.reject<string>(new Error("no")) }),
            ),
            catch: ({ input }) => having(look(input), "caught"),
          })
          const again = $.step("last", { output: schema, needs: { made }, run: ({ made }) => having(look(made), give() as never) })
          return $.sequence(both, branch, retried, undone, again)
        })
        const given = give()
        const before = JSON.stringify(given)
        const output = yield* passing("1 hour", W.execute(given as never, { runId: "r" }))
        expect(JSON.stringify(given)).toBe(before)
        expect(Object.isFrozen(given)).toBe(false)
        look(output)
        look(yield* W.execute(given as never, { runId: "r" }))
        expect(seen.length).toBeGreaterThan(12)
        for (const one of seen) expect(one).toEqual(seen[0])
      }),
    ),
  )

  it.effect("is the same for a caller that waits for the same run", () =>
    onStore(
      Effect.gen(function* () {
        const W = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
          $.step("a", {
            output: Schema.Struct({ at: Schema.Date, list: Schema.Array(Schema.Number) }),
            run: () => Effect.as(Effect.yieldNow(), { at: "2020-01-01T00:00:00.000Z", list: [1] }),
          }),
        )
        const waiting = yield* Effect.fork(W.execute({}, { runId: "r" }))
        const first = yield* W.execute({}, { runId: "r" })
        first.at.setFullYear(1999)
        expect((yield* Fiber.join(waiting)).at.getUTCFullYear()).toBe(2020)
        const handle = yield* W.start({}, { runId: "r" })
        const one = yield* handle.await
        one.at.setFullYear(1999)
        expect((yield* handle.await).at.getUTCFullYear()).toBe(2020)
      }),
    ),
  )

  it.effect("is stored as it was when it was returned or given", () =>
    onStore(
      Effect.gen(function* () {
        const returned = list()
        const input = list()
        const W = Smithers.createWorkflow({ name: "w", input: List }).build(($) => {
          const a = $.step("a", { output: List, run: () => returned })
          const b = $.step("b", {
            output: Schema.Unknown,
            needs: { a },
            run: ({ a, input: given }) => {
              returned.items.push(4)
              input.items.push(4)
              return [a.items, given.items]
            },
          })
          return $.sequence(a, b)
        })
        expect(yield* W.execute(input, { runId: "r" })).toEqual([
          [1, 2, 3],
          [1, 2, 3],
        ])
        const { input: kept } = yield* Effect.flatMap(Storage, (storage) => storage.inspect("r"))
        expect(kept).toEqual(list())
      }),
    ),
  )

  it.effect("is the same in what a signal, an answer and a request hold", () =>
    onStore(
      Effect.gen(function* () {
        const [payload, answer] = [list(), list()]
        const seen: Array<unknown> = []
        const look = (given: List): void => {
          seen.push(JSON.stringify(given))
          spoil(given)
        }
        const W = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) => {
          const sent = $.signal("sent", { name: "sent", payload: List })
          const told = $.human("told", { prompt: "?", output: List })
          const asked = $.approval("asked", {
            needs: { sent, told },
            request: ({ sent, told }) => having([look(sent), look(told)], { title: "Go?", details: list() }),
          })
          return $.sequence(
            sent,
            told,
            asked,
            $.step("end", {
              output: Text,
              needs: { sent, told },
              run: ({ sent, told }) => having([look(sent), look(told)], "end"),
            }),
          )
        })
        expect((yield* W.run({}, { runId: "r" })).status).toBe("waiting-event")
        yield* Commands.signal("r", "sent", { payload })
        spoil(payload)
        expect((yield* W.run({}, { runId: "r" })).status).toBe("waiting-approval")
        yield* Commands.answer("r", "told", answer)
        spoil(answer)
        expect((yield* W.run({}, { runId: "r" })).status).toBe("waiting-approval")
        const storage = yield* Storage
        const waits = yield* storage.waits({ runId: "r" })
        expect(waits.at(-1)?.request).toEqual({ title: "Go?", details: list() })
        tryTo(() => spoil((waits.at(-1) as { request: { details: List } }).request.details))
        expect((yield* storage.waits({ runId: "r" })).at(-1)?.request).toEqual({ title: "Go?", details: list() })
        yield* Commands.approve("r", "asked")
        expect((yield* W.run({}, { runId: "r" })).status).toBe("finished")
        expect(seen.length).toBeGreaterThan(3)
        for (const one of seen) expect(one).toBe(JSON.stringify(list()))
      }),
    ),
  )

  it.effect("is the same in the details of the last heartbeat, and in what a catch is told", () =>
    onStore(
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const W = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
          $.tryCatch({
            try: $.step("a", {
              output: z.number(),
              retry: { maxAttempts: 4, initialDelay: 1 },
              run: ({ heartbeat, lastHeartbeat, attempt }) => {
                if (attempt === 1) heartbeat(list())
                else {
                  seen.push(JSON.stringify(lastHeartbeat))
                  spoil(lastHeartbeat as List)
                }
                return "no number" as never
              },
            }),
            catch: ({ error }) => {
              tryTo(() => (error.issues as Array<string>).pop())
              throw new Error(`${error.issues?.length} issue`)
            },
          }),
        )
        const failed = yield* passing("1 hour", Effect.flip(W.execute({}, { runId: "r" })))
        expect(failed).toMatchObject({ _tag: "StepFailed", error: { message: "1 issue" } })
        expect(seen).toEqual([JSON.stringify(list()), JSON.stringify(list()), JSON.stringify(list())])
      }),
    ),
  )

  it.effect("is the same in what the store tells of a run", () =>
    onStore(
      Effect.gen(function* () {
        const W = Smithers.createWorkflow({ name: "w", input: List }).build(($) =>
          $.parallel(
            $.step("a", { output: List, run: list }),
            $.step("b", { output: Schema.Struct({ items: Schema.Array(Schema.Number) }), run: list }),
          ),
        )
        yield* W.execute(list(), { runId: "r" })
        const storage = yield* Storage
        const told = yield* storage.inspect("r")
        spoil(told.input as List)
        tryTo(() => (told.output as Array<unknown>).pop())
        tryTo(() => (told.output as Array<List>)[1]?.items.pop())
        const again = yield* storage.inspect("r")
        expect(again.input).toEqual(list())
        expect(again.output).toEqual([list(), { items: [1, 2, 3] }])
      }),
    ),
  )

  it.effect("is the same for the process that takes the run up", () =>
    Effect.provide(
      Effect.gen(function* () {
        const storage = yield* Storage
        const seen: Array<string> = []
        const W = Smithers.createWorkflow({
          name: "w",
          input: Schema.Struct({}),
        }).build(($) => {
          const a = $.step("a", { output: List, run: list })
          return $.sequence(
            a,
            $.step("b", { output: Text, needs: { a }, run: ({ a }) => having([seen.push(JSON.stringify(a)), spoil(a)], "b") }),
            $.signal("go", { name: "go", payload: Schema.Unknown }),
            $.step("c", { output: Text, needs: { a }, run: ({ a }) => having([seen.push(JSON.stringify(a)), spoil(a)], "c") }),
          )
        })
        const one = yield* processOn(storage)
        yield* Effect.provideService(W.run({}, { runId: "r" }), Engine, one.engine)
        yield* one.stop
        yield* Commands.signal("r", "go")
        const other = yield* processOn(storage)
        yield* Effect.provideService(W.run({}, { runId: "r" }), Engine, other.engine)
        yield* other.stop
        expect(seen).toEqual([JSON.stringify(list()), JSON.stringify(list())])
      }),
      store,
    ),
  )
})

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

const ofType: ReadonlyArray<readonly [what: string, schema: Schema.Schema.AnyNoContext, value: unknown]> = [
  ["an option", Schema.Option(Schema.Number), Option.some(1)],
  ["no option", Schema.Option(Schema.Number), Option.none()],
  ["an either that is right", Schema.Either({ left: Schema.String, right: Schema.Number }), Either.right(1)],
  ["an either that is left", Schema.Either({ left: Schema.String, right: Schema.Number }), Either.left("no")],
  ["an exit", Schema.Exit({ success: Schema.Number, failure: Schema.String, defect: Schema.Defect }), Exit.fail("no")],
  ["an option or null", Schema.NullOr(Schema.Option(Schema.Date)), Option.some(new Date(0))],
  ["an instance of a class", Person, new Person({ name: "Ada", tags: [] })],
  ["an error that is a value", Refused, new Refused({ why: "late" })],
  ["a date", Schema.Date, new Date(0)],
  [
    "a map of instances",
    Schema.HashMap({ key: Schema.String, value: Person }),
    HashMap.make(["a", new Person({ name: "Ada", tags: [] })]),
  ],
]

describe("a value of a schema's type", () => {
  it.effect.each(ofType)("can be returned, promised, given by an Effect, and passed in: %s", ([, schema, value]) =>
    Effect.provide(
      Effect.gen(function* () {
        const ways = {
          plain: () => value,
          promised: async () => value,
          effect: () => Effect.succeed(value),
          later: () => Effect.as(Effect.yieldNow(), value),
        }
        const W = Smithers.createWorkflow({ name: "w", input: schema }).build(($) =>
          $.parallel(
            ...Object.entries(ways).map(([id, run]) => $.step(id, { output: schema, retry: false, run: run as never })),
            $.step("given", { output: schema, retry: false, run: ({ input }) => input as never }),
          ),
        )
        const output = yield* W.execute(value as never, { runId: "r" })
        expect(output).toEqual([value, value, value, value, value])
        expect(yield* W.execute(value as never, { runId: "r" })).toEqual(output)
      }),
      Smithers.memory,
    ),
  )

  it.effect("is told from an Effect: where the schema has no options, an option is one", () =>
    Effect.provide(
      Effect.gen(function* () {
        const step = (schema: Schema.Schema.AnyNoContext, run: () => unknown) =>
          Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) })
            .build(($) => $.step("a", { output: schema, retry: false, run: run as never }))
            .execute({})
        expect(yield* step(Schema.Number, () => Option.some(1))).toBe(1)
        expect(yield* step(Schema.Unknown, () => Either.right({ a: 1 }))).toEqual({ a: 1 })
        expect(yield* step(Schema.Struct({}), () => Effect.succeed({}))).toEqual({})
        expect(yield* Effect.flip(step(Schema.Number, () => Option.none()))).toMatchObject({
          error: { name: "NoSuchElementException" },
        })
        expect(yield* Effect.flip(step(Person, () => new Refused({ why: "late" })))).toMatchObject({ error: { name: "Refused" } })
      }),
      Smithers.memory,
    ),
  )
})

describe("a value that is nested too deep", () => {
  const deep = (): unknown => JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`)
  const problem = "it is nested more than 500 levels deep"

  it.effect("is refused at once, as an input, an output, a signal, an answer, a request and a heartbeat", () =>
    Effect.provide(
      Effect.gen(function* () {
        const W = Smithers.createWorkflow({ name: "w", input: Schema.Unknown }).build(($) =>
          $.sequence(
            $.step("beat", {
              output: Text,
              retry: false,
              run: ({ heartbeat }) => {
                expect(() => heartbeat(deep())).toThrow(problem)
                return "beat"
              },
            }),
            $.tryCatch({
              id: "output",
              try: $.step("deep", { output: Schema.Unknown, retry: false, run: deep }),
              catch: ({ error }) => [error.name, error.issues],
            }),
            $.tryCatch({
              id: "request",
              try: $.approval("asked", { request: () => ({ title: "?", details: deep() }) }),
              catch: ({ error }) => error.message,
            }),
            $.human("human", { prompt: "?", output: Schema.Unknown }),
            $.signal("signal", { name: "go", payload: Schema.Unknown }),
          ),
        )
        expect(yield* Effect.flip(W.run(deep()))).toMatchObject({ _tag: "InvalidInput", issues: [problem] })
        yield* W.run(1, { runId: "r" })
        const { state } = yield* Effect.map(
          Effect.flatMap(Storage, (storage) => storage.load("r")),
          (state) => ({ state }),
        )
        const outputs = Object.fromEntries(
          RunState.records(state).map((record) => [record.nodeId, record.kind === "step" ? record.output : null]),
        )
        expect(outputs["output:catch"]).toEqual(["InvalidOutput", [problem]])
        expect(outputs["request:catch"]).toContain(problem)
        expect(yield* Effect.flip(Commands.answer("r", "human", deep()))).toMatchObject({
          _tag: "InvalidCommand",
          problem: expect.stringContaining(problem),
        })
        expect(yield* Effect.flip(Commands.signal("r", "go", { payload: deep() }))).toMatchObject({
          _tag: "InvalidCommand",
          problem: expect.stringContaining(problem),
        })
        expect(yield* Effect.flip(W.signalWithStart(1, { runId: "r", signal: "go", payload: deep() }))).toMatchObject({
          _tag: "InvalidCommand",
        })
      }),
      Smithers.memory,
    ),
  )
})

describe("a value that cannot be read, or whose schema throws,", () => {
  const trapped = {
    get a(): string {
      throw new Error("not now")
    },
  }
  class Trapped {
    get a(): string {
      throw new Error("not now")
    }
  }
  const schemas = [Schema.Struct({ a: Schema.String }), z.object({ a: z.string() })]

  it.effect("is no input, and nothing is started", () =>
    Effect.provide(
      Effect.gen(function* () {
        const build = (input: Codec.AnySchema) =>
          Smithers.createWorkflow({ name: "w", input }).build(($) => $.step("a", { output: Text, run: () => "a" }))
        for (const schema of schemas) {
          for (const given of [trapped, new Trapped(), new Proxy(trapped, {})]) {
            expect(yield* Effect.flip(build(schema).run(given, { runId: "r" }))).toMatchObject({
              _tag: "InvalidInput",
              issues: [expect.stringContaining("not now")],
            })
          }
        }
        const failing = Schema.String.pipe(
          Schema.filter(() => {
            throw new Error("not now")
          }),
        )
        expect(yield* Effect.flip(build(failing).run("x", { runId: "r" }))).toMatchObject({ _tag: "InvalidInput" })
        expect(yield* Effect.flip(Effect.flatMap(Storage, (storage) => storage.inspect("r")))).toMatchObject({
          _tag: "RunNotFound",
        })
      }),
      Smithers.memory,
    ),
  )

  it.effect("is refused as a signal, and the run goes on waiting", () =>
    Effect.provide(
      Effect.gen(function* () {
        const payload = Schema.String.pipe(
          Schema.filter((text) => {
            if (text === "bad") throw new Error("not now")
            return true
          }),
        )
        const W = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
          $.signal("go", { name: "go", payload }),
        )
        yield* W.run({}, { runId: "r" })
        yield* Commands.signal("r", "go", { payload: "bad" })
        expect((yield* W.run({}, { runId: "r" })).status).toBe("waiting-event")
        yield* Commands.signal("r", "go", { payload: "good" })
        expect(yield* W.run({}, { runId: "r" })).toMatchObject({ status: "finished", output: "good" })
        const events = yield* Effect.flatMap(Storage, (storage) => storage.events("r"))
        const refused = events.flatMap(({ event }) => (event._tag === "SignalRefused" ? event.issues : []))
        expect([...new Set(refused)]).toEqual(["checking it threw Error: not now"])
      }),
      Smithers.memory,
    ),
  )
})

describe("an output of a kind that cannot be stored, although its schema accepts it,", () => {
  const made = z.string().transform((text) => ({ at: new Date(text) }))

  it.live("fails its step at once, whether code or an agent gave it", () =>
    Effect.provide(
      Effect.gen(function* () {
        const calls = { code: 0, agent: 0, unlucky: 0 }
        const once = (output: Schema.Schema.AnyNoContext | z.ZodType, run: () => unknown) =>
          Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) })
            .build(($) => $.step("a", { output, retry: { maxAttempts: 3, initialDelay: 1 }, run: run as never }))
            .execute({}) as Effect.Effect<unknown, Smithers.ExecuteError, Engine>
        const failed = yield* Effect.flip(once(made, () => having(calls.code++, "2020-01-01")))
        expect(failed).toMatchObject({
          _tag: "StepFailed",
          attempts: 1,
          error: { name: "InvalidOutput", retryable: false, issues: ["at: a Date is not a JSON value"] },
        })
        expect(calls.code).toBe(1)
        // Which number it is may be chance.
        expect(yield* once(Schema.Number, () => (calls.unlucky++ === 0 ? Number.NaN : 1))).toBe(1)
        const agent = { generate: async () => having(calls.agent++, { text: "2020-01-01" }) }
        const asked = yield* Effect.flip(
          AgentProgram.run({
            agents: [agent, agent],
            prompt: "When?",
            output: Codec.make(made),
            isText: false,
            corrections: 2,
            context: { input: {}, runId: "r", stepId: "a", iteration: 0, attempt: 1, idempotencyKey: "k" },
            signal: new AbortController().signal,
            journal: Journals.make(),
            feedback: [],
            onTurn: () => undefined,
          }),
        )
        expect(asked).toMatchObject({ _tag: "InvalidOutput", isFinal: true })
        expect(calls.agent).toBe(1)
      }),
      Smithers.memory,
    ),
  )
})
