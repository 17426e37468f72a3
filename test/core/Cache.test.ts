/**
 * The cache of outputs: what its key holds, who shares it, and what becomes of it in crashes; on every store.
 */
import { expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { createAgent } from "@smithers/agents/createAgent"
import type { AnyAgent } from "@smithers/core/Agent"
import * as AgentIdentity from "@smithers/core/AgentIdentity"
import type { AgentRunner } from "@smithers/core/AgentRunner"
import * as Smithers from "@smithers/core/Smithers"
import { ports, Storage } from "@smithers/core/Storage"
import * as Crashes from "@smithers/testing/Crashes"
import { ToolLoopAgent, tool } from "ai"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { describe } from "vitest"
import { z } from "zod"
import { runningOn, stores } from "./Flows.ts"

const Input = Schema.Struct({ n: Schema.Number, note: Schema.optional(Schema.String) })
const declare = (name = "w", version?: string) =>
  Smithers.createWorkflow({ name, input: Input, ...(version === undefined ? {} : { version }) })

/** Agents that are one but for some fields, and count how often they were asked. */
const counting = () => {
  let asked = 0
  const make = <F extends object>(fields: F) => ({
    ...fields,
    generate: () => Promise.resolve({ text: String(++asked) }),
  })
  return { make, asked: () => asked }
}

const fromOf = (runId: string) =>
  Effect.flatMap(Storage, (storage) =>
    Effect.map(storage.inspect(runId), ({ attempts }) => attempts.map(({ cachedFrom }) => cachedFrom)),
  )

describe.each(stores)("on %s", (_, layer) => {
  const on = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime | AgentRunner>) =>
    runningOn(layer)(Effect.provide(effect, AgentProgram.layer))

  const asking = (agent: AnyAgent, prompt: string | ((context: { readonly input: typeof Input.Type }) => string) = "Go.") =>
    declare().build(($) => $.step("a", { output: Schema.String, agent, cache: true, prompt }))

  it.effect("an agent is not asked again with the same prompt, whatever else the input holds", () =>
    on(
      Effect.gen(function* () {
        const { make, asked } = counting()
        const flow = asking(make({ name: "x" }), ({ input }) => `Number ${input.n}.`)
        expect(yield* flow.execute({ n: 1, note: "one" }, { runId: "first" })).toBe("1")
        expect(yield* flow.execute({ n: 1, note: "two" }, { runId: "second" })).toBe("1")
        expect(yield* flow.execute({ n: 2, note: "two" }, { runId: "third" })).toBe("2")
        expect(asked()).toBe(2)
        expect(yield* fromOf("first")).toEqual([null])
        expect(yield* fromOf("second")).toEqual(["first"])
        const events = yield* Effect.flatMap(Storage, (storage) => storage.events("second"))
        expect(events.map(({ event }) => event)).toContainEqual(expect.objectContaining({ isCached: true, cachedFrom: "first" }))
      }),
    ),
  )

  it.effect("an agent with another name, model, instruction, setting or tool is asked anew", () =>
    on(
      Effect.gen(function* () {
        const { make, asked } = counting()
        const base = { name: "x", model: "small", instructions: "Be brief.", settings: { temperature: 0 }, tools: {} }
        const others = [
          base,
          { ...base, name: "y" },
          { ...base, model: "large" },
          { ...base, instructions: "Be long." },
          { ...base, settings: { temperature: 1 } },
          { ...base, tools: { look: { description: "Looks." } } },
          { ...base, tools: { look: { description: "Looks twice." } } },
        ]
        for (const [index, fields] of others.entries())
          expect(yield* asking(make(fields)).execute({ n: 1 })).toBe(String(index + 1))
        for (const [index, fields] of others.entries())
          expect(yield* asking(make(fields)).execute({ n: 1 })).toBe(String(index + 1))
        expect(asked()).toBe(others.length)
      }),
    ),
  )

  it.effect("another prompt, schema, version of the step or version of the workflow is another key", () =>
    on(
      Effect.gen(function* () {
        const { make, asked } = counting()
        const agent = make({ name: "x" })
        const build = (options: {
          readonly prompt?: string
          readonly version?: string
          readonly of?: string
          readonly wide?: boolean
        }) =>
          declare("w", options.of).build(($) =>
            $.step("a", {
              output: options.wide === true ? Schema.String.pipe(Schema.maxLength(100)) : Schema.String,
              agent,
              prompt: options.prompt ?? "Go.",
              cache: options.version === undefined ? {} : { version: options.version },
            }),
          )
        const all = [{}, { prompt: "Stop." }, { wide: true }, { version: "2" }, { of: "2" }]
        for (const options of [...all, ...all]) yield* build(options).execute({ n: 1 })
        expect(asked()).toBe(all.length)
      }),
    ),
  )

  it.effect("a key of one's own leaves the agent in the key, and makes no prompt", () =>
    on(
      Effect.gen(function* () {
        const { make, asked } = counting()
        let prompts = 0
        const flow = (model: string) =>
          declare().build(($) =>
            $.step("a", {
              output: Schema.String,
              agent: make({ name: "x", model }),
              cache: { key: ({ input }) => input.n },
              prompt: () => `Prompt ${++prompts}`,
            }),
          )
        yield* flow("small").execute({ n: 1 })
        yield* flow("small").execute({ n: 1, note: "again" })
        yield* flow("large").execute({ n: 1 })
        expect([prompts, asked()]).toEqual([2, 2])
      }),
    ),
  )

  it.effect("outputs are shared by the passes of a run, the runs of a step, or all steps of the store", () =>
    on(
      Effect.gen(function* () {
        const ran: Array<string> = []
        const build = (scope: "run" | "workflow" | "store", name: string, id: string) =>
          declare(name).build(($) =>
            $.loop({
              id: "l",
              maxIterations: 2,
              onMaxReached: "return-last",
              until: () => false,
              body: $.step(id, {
                output: Schema.String,
                cache: { scope },
                run: () => {
                  ran.push(`${scope} ${name} ${id}`)
                  return id
                },
              }),
            }),
          )
        for (const scope of ["run", "workflow", "store"] as const) {
          yield* build(scope, `${scope}-one`, "a").execute({ n: 1 })
          yield* build(scope, `${scope}-one`, "a").execute({ n: 1 })
          yield* build(scope, `${scope}-two`, "b").execute({ n: 1 })
        }
        expect(ran).toEqual([
          ...["run run-one a", "run run-one a", "run run-two b"],
          ...["workflow workflow-one a", "workflow workflow-two b"],
          "store store-one a",
        ])
      }),
    ),
  )

  it.effect("an output is taken over until it is as old as its ttl, also one that was itself taken over", () =>
    on(
      Effect.gen(function* () {
        let ran = 0
        const flow = declare().build(($) => $.step("a", { output: Schema.Number, cache: { ttl: "1 hour" }, run: () => ++ran }))
        expect(yield* flow.execute({ n: 1 })).toBe(1)
        yield* TestClock.adjust("59 minutes")
        expect(yield* flow.execute({ n: 1 })).toBe(1)
        yield* TestClock.adjust("2 minutes")
        expect(yield* flow.execute({ n: 1 })).toBe(2)
        yield* TestClock.adjust("30 minutes")
        expect(yield* flow.execute({ n: 1 })).toBe(2)
      }),
    ),
  )

  it.effect("inputs that JSON has no form for make keys, too", () =>
    on(
      Effect.gen(function* () {
        let ran = 0
        const flow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({ at: Schema.Date }) }).build(($) =>
          $.step("a", { output: Schema.Number, cache: true, run: () => ++ran }),
        )
        const [one, two] = [new Date(1), new Date(2)]
        expect(yield* Effect.forEach([one, one, two, two], (at) => flow.execute({ at }))).toEqual([1, 1, 2, 2])
      }),
    ),
  )

  it.effect("two runs at once both do the work, and later runs take over one of the outputs", () =>
    on(
      Effect.gen(function* () {
        let ran = 0
        const gate = yield* Deferred.make<void>()
        const flow = declare().build(($) =>
          $.step("a", {
            output: Schema.Number,
            cache: true,
            run: () =>
              Effect.zipRight(
                Effect.zipRight(
                  Effect.sync(() => ++ran),
                  Deferred.await(gate),
                ),
                Effect.sync(() => ran),
              ),
          }),
        )
        const both = yield* Effect.fork(Effect.all([flow.execute({ n: 1 }), flow.execute({ n: 1 })], { concurrency: 2 }))
        while (ran < 2) yield* Effect.yieldNow()
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(both)
        expect(yield* flow.execute({ n: 1 })).toBe(2)
        expect(ran).toBe(2)
      }),
    ),
  )
})

it.effect("a runtime with cache: false does the work again, and caches the new output", () =>
  Effect.gen(function* () {
    let ran = 0
    const flow = declare().build(($) => $.step("a", { output: Schema.Number, cache: true, run: () => ++ran }))
    const storage = yield* Storage
    const on = (cache: boolean) => Effect.provide(Smithers.onStorage(Layer.succeedContext(ports(storage)), { cache }))
    expect(yield* flow.execute({ n: 1 }).pipe(on(true))).toBe(1)
    expect(yield* flow.execute({ n: 1 }).pipe(on(false))).toBe(2)
    expect(yield* flow.execute({ n: 1 }).pipe(on(true))).toBe(2)
  }).pipe(Effect.provide(Smithers.memory)),
)

it.effect("a run with cached steps ends the same wherever its process dies", () =>
  Effect.gen(function* () {
    const flow = declare().build(($) => {
      const a = $.step("a", { output: Schema.String, cache: { scope: "store" }, run: ({ input }) => `a${input.n}` })
      const b = $.step("b", { output: Schema.String, cache: { scope: "store", key: () => "same" }, run: () => "made once" })
      const c = $.step("c", {
        output: Schema.String,
        needs: { b },
        cache: { scope: "store", key: () => "same" },
        run: () => "made once",
      })
      return $.sequence(a, b, c)
    })
    const report = yield* Crashes.everywhere(flow, { n: 1 })
    expect(report.commits).toBeGreaterThan(3)
  }),
)

describe("the identity of an agent", () => {
  const model = (modelId: string) => ({
    ...{ specificationVersion: "v3", provider: "test", modelId, supportedUrls: {} },
    doGenerate: () => Promise.reject(new Error("not called")),
    doStream: () => Promise.reject(new Error("not called")),
  })
  const look = (description: string) => tool({ description, inputSchema: z.object({ at: z.string() }), execute: () => "seen" })
  const of = (agent: AnyAgent, input: unknown = {}) => Effect.runPromise(AgentIdentity.of(agent, input))

  it.each([
    ["createAgent", (fields: object) => createAgent({ name: "x", model: model("m") as never, ...fields })],
    ["a ToolLoopAgent", (fields: object) => new ToolLoopAgent({ id: "x", model: model("m") as never, ...fields })],
  ])("of %s is its model, instructions, settings and tools, and the same each time it is made", async (_, make) => {
    const fields = [
      {},
      { model: model("other") },
      { instructions: "Be brief." },
      { temperature: 0.5 },
      { tools: { look: look("Looks.") } },
      { tools: { look: look("Looks twice.") } },
      { tools: { look: tool({ description: "Looks.", inputSchema: z.object({ at: z.number() }), execute: () => "seen" }) } },
    ]
    const all = await Promise.all(fields.map(async (one) => JSON.stringify(await of(make(one) as AnyAgent))))
    expect(new Set(all).size).toBe(fields.length)
    expect(await Promise.all(fields.map(async (one) => JSON.stringify(await of(make(one) as AnyAgent))))).toEqual(all)
  })

  it("of createAgent holds what its instructions say for the input", async () => {
    const agent = createAgent({ name: "x", model: model("m") as never, instructions: ({ repo }) => `Work on ${repo}.` })
    expect(await of(agent, { repo: "a" })).not.toEqual(await of(agent, { repo: "b" }))
    expect(await of(agent, { repo: "a", other: 1 })).toEqual(await of(agent, { repo: "a" }))
  })
})
