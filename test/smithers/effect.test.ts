/** What the guides promise of an Effect app: settings from a Config, agents that are Effects, errors over HTTP, and decisions wired to events. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpServer from "@effect/platform/HttpServer"
import { expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createSmithers, Smithers } from "smithers-orchestrator"
import { jsx } from "smithers-orchestrator/jsx-runtime"
import { describe } from "vitest"
import { decided } from "../../examples/events.ts"

class Declined extends Schema.TaggedError<Declined>()("Declined", { amount: Schema.Number, at: Schema.Date }) {}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "smithers-effect-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true })),
)

const flow = (name: string) => Smithers.createWorkflow({ name, input: Schema.Struct({}) })
const one = flow("one").build(($) => $.step("a", { output: Schema.String, run: () => "done" }))

describe("a layer from a Config", () => {
  const from = (settings: Record<string, string>) =>
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(settings))))

  it.scoped("has its settings under names of their own", () =>
    Effect.gen(function* () {
      const db = join(yield* folder, "runs.db")
      const env = { SMITHERS_DB: db, SMITHERS_LEASE: "1 minute", SMITHERS_MAX_CONCURRENCY: "2", SMITHERS_SYNCHRONOUS: "full" }
      const live = Layer.provide(Smithers.layerConfig(), from(env))
      expect(yield* Effect.provide(one.execute({}, { runId: "r" }), live)).toBe("done")
      // It is in that file.
      expect(yield* Effect.provide(one.execute({}, { runId: "r" }), Smithers.sqlite({ filename: db }))).toBe("done")
    }),
  )

  it.scoped("or has each of them under a name of yours", () =>
    Effect.gen(function* () {
      const db = join(yield* folder, "runs.db")
      const live = Smithers.layerConfig({ filename: Config.string("MY_RUNS"), grace: Config.duration("MY_GRACE") })
      const env = from({ MY_RUNS: db, MY_GRACE: "1 second" })
      expect(yield* Effect.provide(one.execute({}), Layer.provide(live, env))).toBe("done")
    }),
  )

  it.effect.each<[what: string, env: Record<string, string>, error: object]>([
    ["a duration that is none", { SMITHERS_LEASE: "soon" }, { _op: "InvalidData", path: ["SMITHERS_LEASE"] }],
    ["an unknown word", { SMITHERS_SYNCHRONOUS: "maybe" }, { _op: "InvalidData", path: ["SMITHERS_SYNCHRONOUS"] }],
    [
      "a number of no steps",
      { SMITHERS_DB: ":memory:", SMITHERS_MAX_CONCURRENCY: "0" },
      { _tag: "InvalidSetting", setting: "maxConcurrency" },
    ],
  ])("is not built with %s, which is named", ([_what, env, error]) =>
    Effect.gen(function* () {
      const live = Layer.provide(Smithers.layerConfig(), from(env))
      expect(yield* Effect.flip(Effect.scoped(Layer.build(live)))).toMatchObject(error)
    }),
  )
})

describe("an agent that answers by an Effect", () => {
  const asking = (generate: () => Effect.Effect<{ readonly text: string }, unknown>) => {
    const Reply = Schema.Struct({ word: Schema.String })
    const { Task, Workflow, outputs, smithers } = createSmithers({ reply: Reply }, { output: "reply" })
    const agent = { name: "effectful", generate }
    return smithers(() =>
      jsx(Workflow, {
        name: "asks",
        children: jsx(Task, { id: "ask", output: outputs.reply, agent, noRetry: true, children: "Say a word." }),
      }),
    )
  }

  it.live("is asked, and brings its services", () =>
    Effect.gen(function* () {
      class Words extends Context.Tag("Words")<Words, { readonly word: string }>() {}
      const w = asking(() =>
        Effect.provideService(
          Effect.map(Words, ({ word }) => ({ text: JSON.stringify({ word }) })),
          Words,
          { word: "effect" },
        ),
      )
      expect(yield* w.execute({})).toEqual({ word: "effect" })
    }).pipe(Effect.provide(Smithers.memory)),
  )

  it.live("fails its task where it fails", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(asking(() => Effect.fail(new Error("no words"))).execute({}))
      expect(failed).toMatchObject({ _tag: "StepFailed", error: { name: "AgentFailed" } })
      expect(String(failed)).toContain("no words")
    }).pipe(Effect.provide(Smithers.memory)),
  )
})

describe("errors over HTTP", () => {
  const pay = flow("pay").build(($) =>
    $.sequence(
      $.step("charge", {
        output: Schema.String,
        error: Declined,
        retry: false,
        run: ({ runId }) =>
          runId === "declined"
            ? Effect.fail(new Declined({ amount: 7, at: new Date(0) }))
            : Effect.fail(new Error("outer", { cause: new Error("inner") })),
      }),
    ),
  )
  const api = HttpApi.make("shop").add(
    HttpApiGroup.make("orders").add(
      HttpApiEndpoint.post("pay", "/pay/:runId")
        .setPath(Schema.Struct({ runId: Schema.String }))
        .addSuccess(Schema.String)
        .addError(Declined, { status: 402 })
        .addError(Smithers.StepFailed, { status: 500 }),
    ),
  )

  it.live("carry the fields of declared errors, and no stack of any", () =>
    Effect.gen(function* () {
      const orders = HttpApiBuilder.group(api, "orders", (handlers) =>
        handlers.handle("pay", ({ path: { runId } }) =>
          Effect.flatMap(Smithers.client(pay), (client) => client.execute({}, { runId })).pipe(
            Effect.catchAll((error) =>
              error._tag === "Declined" || error._tag === "StepFailed" ? Effect.fail(error) : Effect.die(error),
            ),
          ),
        ),
      ).pipe(Layer.provide(Smithers.toLayer(pay)), Layer.provide(Smithers.memory))
      const web = HttpApiBuilder.toWebHandler(
        Layer.mergeAll(Layer.provide(HttpApiBuilder.api(api), orders), HttpServer.layerContext),
      )
      const post = (runId: string) =>
        Effect.promise(async () => {
          const response = await web.handler(new Request(`http://shop/pay/${runId}`, { method: "POST" }))
          return { status: response.status, text: await response.text() }
        })
      const declined = yield* post("declined")
      expect(declined.status).toBe(402)
      expect(JSON.parse(declined.text)).toEqual({ _tag: "Declined", amount: 7, at: "1970-01-01T00:00:00.000Z" })
      const failed = yield* post("failed")
      expect(failed.status).toBe(500)
      expect(JSON.parse(failed.text)).toMatchObject({
        _tag: "StepFailed",
        error: { message: "outer", cause: { message: "inner" } },
      })
      expect(failed.text).not.toMatch(/stack|\.test\.ts|\bat \S+:\d+/)
      yield* Effect.promise(() => web.dispose())
    }),
  )
})

it.live("events of a run are wired to decisions by hand, as the example does it", () =>
  Effect.gen(function* () {
    expect(yield* decided(20)).toBe("shipped 20")
    expect(yield* decided(200)).toBe("too much")
  }).pipe(Effect.provide(Smithers.memory)),
)
