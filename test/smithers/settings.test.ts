/**
 * The settings of every layer that users can build. A layer of the facade that has no entry here does not compile, nor does a setting without values
 * that it refuses.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import { describe, expect, it } from "@effect/vitest"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Smithers } from "smithers-orchestrator"
import { Server } from "smithers-orchestrator/server"
import { Sql } from "smithers-orchestrator/sql"
import { Crashes, Simulation, TestRuntime } from "smithers-orchestrator/testing"

type AnyLayer = Layer.Layer<never, unknown, unknown>

/** The functions of a module that give a layer. */
type LayersOf<M> = { [K in keyof M]: M[K] extends (...given: never) => AnyLayer ? K : never }[keyof M]

/** Values that each setting refuses. */
type Bad<O> = { readonly [K in keyof O]-?: ReadonlyArray<unknown> }

interface Case {
  readonly build: (settings: never) => AnyLayer
  readonly valid: object
  readonly bad: { readonly [setting: string]: ReadonlyArray<unknown> }
}

/** One way to call a layer. `valid` are settings that it takes. */
const called = <O extends object>(build: (settings: O) => AnyLayer, valid: NoInfer<O>, bad: Bad<NoInfer<O>>): Case => ({
  build,
  valid,
  bad,
})

const counts = [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "4", "", null, [], {}]
const times = [-1, Number.NaN, Number.POSITIVE_INFINITY, 1e300, "soon", "", "-1 second", Duration.infinity, true, null, []]
const spans = [...times, 0, 0.5, "0 seconds"]
const texts = ["", "a\0b", null, 5, Number.NaN, [], {}]
const words = ["", "other", 1, true, null, []]

const serverToken = { name: "ann", scope: "read", token: "a-token-of-more-than-twenty" } as const

const budgets = [
  5,
  null,
  [],
  {},
  { tokens: -1 },
  { tokens: 1.5 },
  { cost: "1" },
  { duration: 0 },
  { onReached: "stop" },
  { token: 1 },
]
const prices = [
  5,
  null,
  [],
  { "m-1": 3 },
  { "m-1": { input: 3 } },
  { "m-1": { input: -1, output: 1 } },
  { "m-1": { input: 1, output: 1, other: 1 } },
]

const tools = [
  ...[
    5,
    "bubblewrap",
    [],
    { other: 1 },
    { isolation: "docker" },
    { isolation: "" },
    { root: 5 },
    { root: "" },
    { isReadOnly: "yes" },
  ],
  ...[{ network: "some" }, { network: [""] }, { hidden: ".env" }, { hidden: [5] }, { env: { A: 1 } }, { readable: [""] }],
]
const secrets = [5, "STRIPE_KEY", true, [5], [""], { A: 5 }, { A: null }, null]
const limits = [
  ...[5, "anthropic", [], null, { "": { concurrency: 1 } }, { a: 4 }, { a: {} }, { a: [] }, { a: { concurency: 4 } }],
  ...[
    { a: { concurrency: 0 } },
    { a: { perMinute: 1.5 } },
    { a: { perHour: "50" } },
    { a: { perSecond: Number.POSITIVE_INFINITY } },
  ],
]
const engine: Bad<Smithers.RuntimeOptions> = {
  lease: spans,
  grace: times,
  maxConcurrency: counts,
  cache: ["no", 0, null, {}],
  dailyBudget: budgets,
  prices,
  limits,
  secrets,
  tools,
  snapshots: ["no", 0, null, {}],
}
const sqlite: Bad<Smithers.SqliteOptions> = { filename: texts, access: words, synchronous: words, busyTimeout: times, ...engine }

const configured = (settings: Smithers.SqliteOptions) => {
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) return Smithers.layerConfig(settings as never)
  const configs = Object.entries(settings).map(([name, value]) => [name, Config.succeed(value)] as const)
  return Smithers.layerConfig(Object.fromEntries(configs) as never)
}
const registry = Smithers.registry([])
const supervised = (settings: Parameters<typeof Smithers.supervisor>[0]) =>
  Layer.provide(Smithers.supervisor(settings), Smithers.memory)
const filename = ":memory:"

/** The layers by the module that users import them from; those that take no settings have none. */
const layers: {
  readonly ".": { readonly [K in LayersOf<typeof Smithers>]: ReadonlyArray<Case> }
  readonly "./server": { readonly [K in LayersOf<typeof Server>]: ReadonlyArray<Case> }
  readonly "./sql": { readonly [K in LayersOf<typeof Sql>]: ReadonlyArray<Case> }
  readonly "./testing": { readonly [K in LayersOf<typeof TestRuntime>]: ReadonlyArray<Case> }
} = {
  ".": {
    sqlite: [called(Smithers.sqlite, { filename }, sqlite)],
    layerConfig: [
      called(configured, { filename }, sqlite),
      called(
        (settings: { readonly filename: Config.Config<string> }) => Smithers.layerConfig(settings),
        { filename: Config.succeed(filename) },
        {
          filename: ["runs.db", 5, null, {}],
        },
      ),
    ],
    onStorage: [
      called((settings: Smithers.RuntimeOptions) => Smithers.onStorage(MemoryStorage.layer, settings), {}, engine),
      called(
        ({ storage }: { readonly storage: typeof MemoryStorage.layer }) => Smithers.onStorage(storage),
        { storage: MemoryStorage.layer },
        { storage: [undefined, null, "runs.db", {}] },
      ),
    ],
    supervisor: [
      called(
        supervised,
        { registry },
        {
          registry: [undefined, null, [], {}, "all"],
          interval: spans,
          maxConcurrent: counts,
          maxCrashes: counts,
        },
      ),
    ],
    toLayer: [],
  },
  "./server": {
    layer: [
      called(
        (options: Server.ServerOptions) => Layer.provide(Server.layer(options), [HttpLayerRouter.layer, Smithers.memory]),
        { workflows: [], tokens: [serverToken] },
        {
          workflows: [null, 5, {}, [5], [{}], [{ name: "w" }]],
          tokens: [
            ...[
              null,
              5,
              {},
              [],
              [5],
              [{ ...serverToken, name: "" }],
              [{ ...serverToken, scope: "all" }],
              [serverToken, serverToken],
            ],
            ...[[{ ...serverToken, token: "short" }], [{ ...serverToken, token: 5 }], [{ ...serverToken, other: 1 }]],
            [{ ...serverToken, runId: 5 }],
          ],
          allowHosts: [null, 5, "a.example", [5]],
          prefix: [null, 5, "smithers", "/", "/a/", "/a b", "/a/../b/?"],
          page: ["yes", 1, null],
          hooks: [null, 5, {}, [5], [{ workflow: "w", signal: "s", secret: "short" }]],
          bounds: [null, 5, [], { bodyBytes: 0 }, { depth: "2" }, { bodyMs: Number.NaN }, { other: 1 }],
        },
      ),
    ],
  },
  "./sql": {
    // A store in memory has no second connection, so that no settings are right without a file; what is refused is refused before that.
    reader: [called(Sql.reader, { filename: "there-is-none.db" }, { filename: [...texts, ":memory:"], busyTimeout: times })],
  },
  "./testing": {
    layer: [
      called(
        TestRuntime.layer,
        {},
        {
          seed: [Number.NaN, 0.5, Number.POSITIVE_INFINITY, "1", null, []],
          startAt: [Number.NaN, new Date(Number.NaN), Number.POSITIVE_INFINITY, "2025-01-01", null, []],
          maxConcurrency: counts,
          patience: spans,
          grace: times,
        },
      ),
    ],
  },
}

const cases = Object.entries(layers).flatMap(([path, module]) =>
  Object.entries<ReadonlyArray<Case>>(module).flatMap(([name, ways]) => ways.map((way) => [`${path} ${name}`, way] as const)),
)

/** What building a layer fails with; nothing where it is built. */
const refusal = ({ build }: Case, settings: unknown): Effect.Effect<unknown> =>
  Effect.suspend(() => Effect.scoped(Layer.build(build(settings as never) as Layer.Layer<never, unknown>))).pipe(
    Effect.as(undefined),
    Effect.catchAll((error) => Effect.succeed(error)),
  )

describe("every layer of the facade", () => {
  it("is looked for in each module that is published", () => {
    const manifest = JSON.parse(readFileSync(join(import.meta.dirname, "../../packages/smithers/package.json"), "utf8"))
    // These make elements, agents, clients, scorers and plugins, and no layer.
    const elements = ["./patterns", "./jsx-runtime", "./jsx-dev-runtime"]
    const others = ["./agents", "./client", "./effect-ai", "./tools", "./mdx", "./mdx-plugin", "./scorers", ...elements]
    expect(Object.keys(manifest.exports).sort()).toEqual([...Object.keys(layers), ...others].sort())
  })

  it.effect.each(cases)("refuses each wrong value of a setting by its name: %s", ([, way]) =>
    Effect.gen(function* () {
      for (const [setting, values] of Object.entries(way.bad)) {
        for (const value of values) {
          const error = yield* refusal(way, { ...way.valid, [setting]: value })
          // Of a setting that has parts the part is named.
          const named = expect.stringMatching(new RegExp(`^${setting}($|\\.)`))
          expect([setting, value, error]).toEqual([
            setting,
            value,
            expect.objectContaining({ _tag: "InvalidSetting", setting: named }),
          ])
          expect((error as Error).message).toMatch(
            new RegExp(`^The setting "${setting}(\\.[\\w.-]+)?" is .+, and must be .+\\.$`, "s"),
          )
        }
      }
    }),
  )

  it.effect.each(cases)("takes settings that are right, and those that are undefined as left out: %s", ([name, way]) =>
    Effect.gen(function* () {
      const missing = name.startsWith("./sql") ? { _tag: "StoreMissing" } : undefined
      const absent = Object.fromEntries(Object.keys(way.bad).map((setting) => [setting, undefined]))
      for (const settings of [way.valid, { ...absent, ...way.valid }]) {
        const error = yield* refusal(way, settings)
        if (missing === undefined) expect(error).toBeUndefined()
        else expect((error as { readonly _tag: string })._tag).toMatch(/^Store(Missing|Failed)$/)
      }
    }),
  )

  it.effect.each(cases.filter(([, { bad }]) => !("storage" in bad)))(
    "refuses settings that there are none of, and what holds none: %s",
    ([, way]) =>
      Effect.gen(function* () {
        const error = yield* refusal(way, { ...way.valid, nonsense: 1 })
        expect(error).toMatchObject({ _tag: "InvalidSetting", setting: "nonsense" })
        expect((error as Error).message).toMatch(
          /^The setting "nonsense" is .+, and must be left out: .+ has no such setting, and has \w+/,
        )
        for (const settings of [null, "runs.db", 5, []]) {
          const other = yield* refusal(way, settings)
          expect([settings, other]).toEqual([settings, expect.objectContaining({ _tag: "InvalidSetting" })])
        }
      }),
  )

  it("that binds a workflow refuses what is none", () => {
    for (const given of [undefined, null, "review", {}, Schema.String])
      expect(() => Smithers.toLayer(given as never)).toThrow(expect.objectContaining({ _tag: "InvalidWorkflow" }))
  })

  it.effect("has its like in the kit: crashes and simulations refuse what is no option of theirs, and runtimes with promises", () =>
    Effect.gen(function* () {
      const workflow = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
        $.step("a", { output: Schema.Void, run: () => {} }),
      )
      const options: object = { seed: 1, sedes: 2 }
      const others: object = { input: {}, seed: 1 }
      const refused = (setting: string) => expect.objectContaining({ _tag: "InvalidSetting", setting })
      expect(yield* Effect.flip(Crashes.everywhere(workflow, {}, options))).toEqual(refused("sedes"))
      expect(yield* Effect.flip(Simulation.simulate(workflow, others as never))).toEqual(refused("seed"))
      yield* Effect.promise(() => expect(TestRuntime.make(options).now()).rejects.toEqual(refused("sedes")))
    }),
  )
})
