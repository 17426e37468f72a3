import { describe, expect, it } from "@effect/vitest"
import { mcpServer } from "@smithers/agents/McpServer"
import * as Commands from "@smithers/core/Commands"
import * as Millis from "@smithers/core/Millis"
import * as RunState from "@smithers/core/RunState"
import * as SecretSettings from "@smithers/core/SecretSettings"
import * as Secrets from "@smithers/core/Secrets"
import { Storage } from "@smithers/core/Storage"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { ClaudeCodeAgent, Smithers } from "smithers-orchestrator"
import * as FrameBuilder from "../../packages/core/src/internal/frameBuilder.ts"

const random = (): string => `sk-test-${crypto.randomUUID()}`
const quiet = Logger.remove(Logger.defaultLogger)
const memory = Layer.merge(Smithers.memory, quiet)

/** A secret that is registered, with its name. */
const known = Effect.sync(() => {
  const [name, value] = [`NAME_${crypto.randomUUID().slice(0, 8)}`, random()]
  Secrets.add(name, value)
  return { name, value }
})

const flow = <A, I>(input: Schema.Schema<A, I>) => Smithers.createWorkflow({ name: "flow", input })

describe("a secret in a value that a run computes with", () => {
  it.live("refuses the input of a run, by its name and its path, before anything is stored", () =>
    Effect.gen(function* () {
      const { name, value } = yield* known
      const Input = Schema.Struct({ auth: Schema.Struct({ keys: Schema.Array(Schema.String) }) })
      const w = flow(Input).build(($) => $.step("a", { output: Schema.Void, run: () => undefined }))
      for (const spelled of [value, `Bearer ${value}`, Buffer.from(value).toString("base64")]) {
        const refused = yield* Effect.flip(w.execute({ auth: { keys: ["x", spelled] } }, { runId: "r" }))
        expect(refused).toMatchObject({ _tag: "InvalidInput", secret: { name, path: "auth.keys[1]" } })
        expect(refused.message).not.toContain(value)
        expect(refused.message).toContain(`auth.keys[1] holds the secret ${name}`)
      }
      expect(yield* Smithers.list()).toEqual([])
    }).pipe(Effect.provide(memory)),
  )

  it.live("refuses the id of a run, without saying it", () =>
    Effect.gen(function* () {
      const { name, value } = yield* known
      const w = flow(Schema.Struct({})).build(($) => $.step("a", { output: Schema.Void, run: () => undefined }))
      const refused = yield* Effect.flip(w.execute({}, { runId: `run-${value}` }))
      expect(refused).toMatchObject({ _tag: "InvalidRunId", runId: `run-[secret ${name}]` })
    }).pipe(Effect.provide(memory)),
  )

  it.live("fails a step whose output holds it, at once, and tells the name and the path", () =>
    Effect.gen(function* () {
      const { name, value } = yield* known
      let calls = 0
      const w = flow(Schema.Struct({})).build(($) =>
        $.step("a", { output: Schema.Unknown, run: () => ({ call: ++calls, deep: [{ [value]: 1 }] }) }),
      )
      const failed = yield* Effect.flip(w.execute({}, { runId: "r" }))
      expect(failed).toMatchObject({ _tag: "StepFailed", error: { name: "InvalidOutput", notRetried: "unstorable" } })
      expect(failed.message).toContain(`deep[0].[secret ${name}] holds the secret ${name}`)
      expect(failed.message).not.toContain(value)
      expect(calls).toBe(1)
    }).pipe(Effect.provide(memory)),
  )

  it.live("fails a child run before it begins whose input holds it", () =>
    Effect.gen(function* () {
      const { name, value } = yield* known
      const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({ key: Schema.String }) }).build(($) =>
        $.step("in", { output: Schema.Void, run: () => undefined }),
      )
      const w = flow(Schema.Struct({})).build(($) => $.subflow("sub", { workflow: child, input: () => ({ key: value }) }))
      const failed = yield* Effect.flip(w.execute({}, { runId: "r" }))
      expect(failed._tag).toBe("StepFailed")
      expect(failed.message).toContain(`key holds the secret ${name}`)
      expect(failed.message).not.toContain(value)
      expect(yield* Smithers.list()).toHaveLength(1)
    }).pipe(Effect.provide(memory)),
  )

  it.live("refuses the payload of a signal and an answer, and the run waits on", () =>
    Effect.gen(function* () {
      const { name, value } = yield* known
      const w = flow(Schema.Struct({})).build(($) =>
        $.sequence(
          $.signal("go", { name: "go", payload: Schema.String }),
          $.human("who", { output: Schema.Struct({ token: Schema.String }), prompt: "Who?" }),
        ),
      )
      expect((yield* w.run({}, { runId: "r" })).status).toBe("waiting-event")
      const refused = { _tag: "InvalidCommand", runId: "r", secret: { name } }
      expect(yield* Effect.flip(Commands.signal("r", "go", { payload: value }))).toMatchObject(refused)
      yield* Commands.signal("r", "go", { payload: "fine" })
      yield* w.run({}, { runId: "r" })
      const answer = yield* Effect.flip(Commands.answer("r", "who", { token: value }))
      expect(answer).toMatchObject({ ...refused, secret: { name, path: "token" } })
      expect(answer.message).not.toContain(value)
      yield* Commands.answer("r", "who", { token: "mine" })
      expect(yield* w.execute({}, { runId: "r" })).toEqual({ token: "mine" })
    }).pipe(Effect.provide(memory)),
  )

  it.live("is refused by the inbox itself, whoever writes to it, and hidden in the words of people", () =>
    Effect.gen(function* () {
      const { name, value } = yield* known
      const w = flow(Schema.Struct({})).build(($) =>
        $.sequence(
          $.signal("go", { name: "go", payload: Schema.Struct({ n: Schema.String }) }),
          $.approval("ok", { request: () => ({ title: "?" }) }),
        ),
      )
      yield* w.run({}, { runId: "r" })
      const storage = yield* Storage
      const message = (payload: unknown) => ({
        ...{ id: "m", runId: "r", at: Millis.make(Date.now()) },
        command: { _tag: "Signal", name: "go", payload: payload as never } as const,
      })
      const refused = yield* Effect.flip(storage.deliver(message({ n: `it is ${value}` })))
      expect(refused).toMatchObject({ _tag: "StoreRefused", secret: { name } })
      expect(refused.message).not.toContain(value)
      expect(yield* Effect.flip(Commands.signal("r", "go", { payload: { n: value } }))).toMatchObject({ _tag: "InvalidCommand" })
      expect(yield* storage.pending).toEqual([])
      yield* Commands.signal("r", "go", { payload: { n: "none" } })
      yield* w.run({}, { runId: "r" })
      yield* Commands.approve("r", "ok", { note: `by ${value}`, by: `me ${value}` })
      yield* w.run({}, { runId: "r" })
      const [decided] = yield* storage.waits({ runId: "r", kind: ["approval"], all: true })
      expect(decided).toMatchObject({ note: `by [secret ${name}]`, by: `me [secret ${name}]` })
    }).pipe(Effect.provide(memory)),
  )

  it.live("is no key of a limit, in which its name would make all keys share one queue", () =>
    Effect.gen(function* () {
      const one = yield* known
      const w = flow(Schema.Struct({})).build(($) =>
        $.step("call", { output: Schema.String, limit: () => ({ name: "api", key: one.value }), run: () => "called" }),
      )
      const refused = yield* Effect.flip(w.execute({}, { runId: "r" }))
      expect(refused.message).toContain(`has a key that is or holds the secret ${one.name}`)
      expect(refused.message).not.toContain(one.value)
    }).pipe(Effect.provide(Layer.merge(Smithers.sqlite({ filename: ":memory:", limits: { api: { concurrency: 1 } } }), quiet))),
  )

  it("refuses Schema.Redacted where the workflow is built, since its encoded form is the secret", () => {
    const Token = Schema.Struct({ login: Schema.Struct({ token: Schema.Redacted(Schema.String) }) })
    const build = () =>
      flow(Schema.Struct({})).build(($) => $.step("a", { output: Token, run: () => ({ login: { token: Redacted.make("x") } }) }))
    expect(build).toThrow(/a secret \(Schema\.Redacted\) cannot be stored \(at login\.token\): use its name as text/)
  })
})

describe("a store whose writer knows a secret", () => {
  it.live("refuses a new run whose input holds it, whoever asks for the run", () =>
    Effect.gen(function* () {
      const { name, value } = yield* known
      const storage = yield* Storage
      const create = { workflow: "w", version: undefined, input: { key: value }, tags: [] }
      const at = Millis.make(1)
      const opened = yield* Effect.flip(storage.open({ runId: "r", create, reopen: [], leaseMs: at, now: at }))
      expect(opened).toMatchObject({ _tag: "StoreRefused", secret: { name, path: "key" } })
    }).pipe(Effect.provide(memory)),
  )
})

describe("a store", () => {
  it.live("holds no secret of what is written past the engine: frames and heartbeats", () =>
    Effect.gen(function* () {
      const { name, value } = yield* known
      const storage = yield* Storage
      const create = { workflow: "w", version: undefined, input: {}, tags: [] }
      const now = Millis.make(1)
      yield* storage.open({ runId: "r", create, reopen: [], leaseMs: Millis.make(60_000), now })
      const frame = FrameBuilder.make("r", 1, yield* storage.load("r"))
      frame.append({ _tag: "RunStarted", workflow: "w", input: {} }, now)
      frame.append({ _tag: "AttemptStarted", nodeId: "a", iteration: 0, attempt: 1 }, now)
      frame.append({ _tag: "CancelRequested", reason: `since ${value}` }, now)
      yield* storage.commit(frame.build({ at: now }))
      yield* storage.heartbeat({
        runId: "r",
        epoch: 1,
        nodeId: "a",
        iteration: 0,
        attempt: 1,
        at: now,
        details: { [value]: value },
      })
      // What is loaded is not redacted once more.
      const state = yield* storage.load("r")
      expect(state.cancel?.reason).toBe(`since [secret ${name}]`)
      const [record] = RunState.records(state).filter(({ nodeId }) => nodeId === "a")
      expect(record).toMatchObject({ heartbeat: { [`[secret ${name}]`]: `[secret ${name}]` } })
    }).pipe(Effect.provide(memory)),
  )

  it.live("gives a declared error back as it is stored, in this process too", () =>
    Effect.gen(function* () {
      const { name, value } = yield* known
      class Declined extends Schema.TaggedError<Declined>()("Declined", { reason: Schema.String }) {}
      const w = flow(Schema.Struct({})).build(($) =>
        $.step("a", {
          output: Schema.Void,
          error: Declined,
          retry: false,
          run: () => Effect.fail(new Declined({ reason: value })),
        }),
      )
      expect(yield* Effect.flip(w.execute({}))).toMatchObject({ _tag: "Declined", reason: `[secret ${name}]` })
    }).pipe(Effect.provide(memory)),
  )
})

describe("the secrets of a process", () => {
  const withEnv = (variables: { readonly [name: string]: string }, act: () => void): void => {
    const before = { ...process.env }
    Object.assign(process.env, variables)
    try {
      act()
    } finally {
      for (const name of Object.keys(variables)) {
        if (before[name] === undefined) delete process.env[name]
        else process.env[name] = before[name]
      }
    }
  }

  it.live("are the values that a step reads by Config.redacted, from when it reads them", () =>
    Effect.gen(function* () {
      const [alone, inside] = [random(), random()]
      const settings = ConfigProvider.fromMap(
        new Map([
          ["VAULT_KEY", alone],
          ["db.password", inside],
          ["host", "example-host"],
        ]),
        {
          pathDelim: ".",
        },
      )
      const w = flow(Schema.Struct({})).build(($) =>
        $.step("a", {
          output: Schema.String,
          retry: false,
          run: () =>
            Effect.gen(function* () {
              const key = yield* Config.redacted("VAULT_KEY")
              const db = yield* Config.all({
                password: Config.redacted("password"),
                port: Config.option(Config.number("port")),
              }).pipe(Config.nested("db"))
              const host = yield* Config.string("host")
              return yield* Effect.fail(new Error(`${host}: ${Redacted.value(key)} ${Redacted.value(db.password)}`))
            }),
        }),
      )
      const failed = yield* Effect.flip(Effect.withConfigProvider(w.execute({}, { runId: "r" }), settings))
      expect(failed.message).toContain("example-host: [secret VAULT_KEY] [secret password]")
      expect(JSON.stringify(yield* (yield* Storage).events("r"))).not.toContain(alone)
    }).pipe(Effect.provide(memory)),
  )

  it.live(
    "are the values that services read while they are built, below Smithers.redactedConfig, and what is read beside them",
    () =>
      Effect.gen(function* () {
        const [inLayer, beside, merged] = [random(), random(), random()]
        const settings = ConfigProvider.fromMap(
          new Map([
            ["LAYER_KEY", inLayer],
            ["BESIDE_KEY", beside],
            ["MERGED_KEY", merged],
          ]),
        )
        class Shop extends Context.Tag("Shop")<Shop, { readonly key: string }>() {}
        const shop = Layer.effect(
          Shop,
          Effect.map(Config.redacted("LAYER_KEY"), (key) => ({ key: Redacted.value(key) })),
        )
        const w = Smithers.createWorkflow({ name: "w", input: Schema.Struct({}) }).build(($) =>
          $.step("a", {
            output: Schema.String,
            retry: false,
            run: () => Effect.flatMap(Shop, ({ key }) => Effect.fail(new Error(`the key ${key}`))),
          }),
        )
        const told = yield* Effect.gen(function* () {
          const failed = yield* Effect.flip(w.execute({}, { runId: "r" }))
          expect(failed.message).toContain("the key [secret LAYER_KEY]")
          yield* Config.redacted("BESIDE_KEY")
          return JSON.stringify(yield* (yield* Storage).events("r"))
        }).pipe(
          Effect.provide(Layer.provideMerge(shop, Smithers.redactedConfig)),
          Effect.zipLeft(Effect.provide(Config.redacted("MERGED_KEY"), Smithers.redactedTelemetry)),
          Effect.withConfigProvider(settings),
        )
        expect(told).not.toContain(inLayer)
        expect(Secrets.text(`${beside} ${merged}`)).toBe("[secret BESIDE_KEY] [secret MERGED_KEY]")
      }).pipe(Effect.provide(memory)),
  )

  it("are what a process of ours reads by its default settings, once it notices them", async () => {
    const value = random()
    process.env.UNNAMED_SETTING = value
    const read = Effect.runPromise(Config.redacted("UNNAMED_SETTING"))
    await read
    expect(Secrets.text(value)).toBe(value)
    SecretSettings.noticeDefault()
    SecretSettings.noticeDefault()
    expect(Redacted.value(await Effect.runPromise(Config.redacted("UNNAMED_SETTING")))).toBe(value)
    expect(Secrets.text(value)).toBe("[secret UNNAMED_SETTING]")
    expect(await Effect.runPromise(Effect.either(Config.redacted("NO_SUCH_SETTING")))).toMatchObject({ _tag: "Left" })
  })

  it("are the variables of servers and programs whose names say so, and the headers of servers", () => {
    const [token, bearer, plain] = [random(), random(), random()]
    mcpServer({ name: "one", command: "server", env: { GITHUB_TOKEN: token, MODE: plain } })
    mcpServer({ name: "two", url: "https://example.test", headers: { Authorization: `Bearer ${bearer}` } })
    expect(Secrets.text(`${token} ${bearer}`)).toBe("[secret GITHUB_TOKEN] [secret Authorization]")
    expect(Secrets.text(plain)).toBe(plain)
    const programs = random()
    new ClaudeCodeAgent({ env: { ANTHROPIC_CUSTOM_SECRET: programs } })
    expect(Secrets.text(programs)).toBe("[secret ANTHROPIC_CUSTOM_SECRET]")
  })

  it("are by default the keys of providers, each under the name of its variable", () => {
    const values = SecretSettings.providerVariables.map((name) => [name, random()] as const)
    withEnv(Object.fromEntries(values), () => {
      SecretSettings.addEnvironment()
    })
    for (const [name, value] of values) expect(Secrets.text(`key ${value}.`)).toBe(`key [secret ${name}].`)
  })

  it("are those that SMITHERS_SECRETS lists; what is weak or missing is named without its value", () => {
    const value = random()
    withEnv({ SMITHERS_SECRETS: "SHOP_ONE, SHOP_TWO  SHOP_THREE", SHOP_ONE: value, SHOP_TWO: "admin" }, () => {
      expect(SecretSettings.addEnvironment()).toEqual([
        { name: "SHOP_TWO", reason: "is shorter than 8 characters" },
        { name: "SHOP_THREE", reason: "is not set" },
      ])
    })
    expect(Secrets.text(value)).toBe("[secret SHOP_ONE]")
    expect(Secrets.text("admin")).toBe("admin")
  })

  it.live("are those of the settings of a runtime, which warns once of each that it refuses", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => void lines.push(String(message))),
      )
      const [one, two] = [random(), random()]
      process.env.SETTING_ONE = one
      const secrets = { SETTING_TWO: Redacted.make(two), SETTING_WEAK: "hunter2" }
      const build = (given: SecretSettings.Settings) =>
        Effect.scoped(Effect.asVoid(Layer.build(Smithers.sqlite({ filename: ":memory:", secrets: given })))).pipe(
          Effect.provide(logger),
        )
      yield* build(["SETTING_ONE", "SETTING_MISSING"])
      for (let time = 0; time < 2; time++) yield* build(secrets)
      expect(Secrets.text(`${one} ${two} hunter2`)).toBe("[secret SETTING_ONE] [secret SETTING_TWO] hunter2")
      expect(lines).toEqual([
        "The secret SETTING_MISSING is not protected: it is not set.",
        "The secret SETTING_WEAK is not protected: its value is shorter than 8 characters.",
      ])
    }),
  )

  it.live("are those that are registered, also while a stream is open", () =>
    Effect.gen(function* () {
      const value = random()
      const stream = Secrets.stream()
      let out = stream.push(value.slice(0, 4))
      const kept = yield* Smithers.secret("LATE", Redacted.make(value))
      expect(Redacted.value(kept)).toBe(value)
      for (const character of ` ${value}!`) out += stream.push(character)
      expect(out + stream.end()).toBe(`${value.slice(0, 4)} [secret LATE]!`)
    }),
  )
})
