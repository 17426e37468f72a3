/** The real programs of agents against a provider on the loopback, in the namespaces that they run in by default. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { it as effectIt } from "@effect/vitest"
import type { CommandLineAgent } from "@smithers/agents/commandLine/CommandLineAgent"
import { Effect } from "effect"
import { ClaudeCodeAgent, CodexAgent, type CommonSettings, GeminiAgent, OpenCodeAgent, PiAgent } from "smithers-orchestrator/agents"
import { afterEach, beforeEach, describe, expect } from "vitest"
import { calls, type FakeProvider, refuses, type Script, says, serve } from "../providers/FakeProvider.ts"
import { hasBubblewrap } from "../sandbox/fixtures/here.ts"
import { type Asking, call, left, memoryLog, processesWith, startRuntime, until } from "./fixtures/asking.ts"
import { type ProgramName, program } from "./fixtures/programs.ts"

let [root, home] = ["", ""]
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-agent-root-")))
  home = realpathSync(mkdtempSync(join(tmpdir(), "smithers-agent-home-")))
})
afterEach(() => {
  for (const folder of [root, home]) rmSync(folder, { recursive: true, force: true })
})

const isolation = hasBubblewrap ? "bubblewrap" : "none"

const command = "echo hello from a tool > made; cat made"

/** Answers that every program is asked for, by what the prompt says. */
const script: Script = [
  { when: { results: /hello from a tool/ }, answer: says('Done. {"n": 5}') },
  {
    when: { user: /use a tool/, results: false, tool: "Bash" },
    answer: calls({ name: "Bash", input: { command: command, description: "x" } }),
  },
  {
    when: { user: /use a tool/, results: false, tool: "bash" },
    answer: calls({ name: "bash", input: { command: command, description: "x" } }),
  },
  {
    when: { user: /use a tool/, results: false, tool: "exec" },
    answer: calls({ name: "exec", input: `text(JSON.stringify(await tools.exec_command({ cmd: "${command}" })))` }),
  },
  { when: { user: /not for you/ }, answer: refuses(401, { message: "invalid x-api-key" }) },
  { when: { user: /too often/ }, answer: refuses(429) },
  { when: { user: /too busy/ }, answer: refuses(529) },
  { answer: says('Hi! {"n": 1}') },
]

interface Real {
  readonly name: ProgramName
  /** `true` if it does not repeat refused requests by itself. */
  readonly isPrompt?: boolean
  readonly agent: (command: string, provider: FakeProvider, settings?: CommonSettings) => CommandLineAgent
}

const reals: ReadonlyArray<Real> = [
  {
    ...{ name: "claude", isPrompt: true },
    agent: (command, provider, settings) =>
      ClaudeCodeAgent({
        ...settings,
        command,
        env: { HOME: home, ANTHROPIC_BASE_URL: provider.url, ANTHROPIC_API_KEY: "test" },
      }),
  },
  {
    ...{ name: "codex", isPrompt: true },
    agent: (command, provider, settings) =>
      CodexAgent({
        ...settings,
        command,
        env: { HOME: home, CODEX_HOME: join(home, ".codex"), KEY: "test" },
        config: {
          model_provider: "fake",
          "model_providers.fake": { name: "fake", base_url: provider.v1, wire_api: "responses", env_key: "KEY" },
        },
      }),
  },
  {
    name: "opencode",
    agent: (command, provider, settings) => {
      const options = { baseURL: provider.v1, apiKey: "test" }
      const fake = { npm: "@ai-sdk/anthropic", name: "fake", options, models: { "fake-1": { name: "fake" } } }
      const config = { model: "fake/fake-1", small_model: "fake/fake-1", autoupdate: false, provider: { fake } }
      writeFileSync(join(root, "opencode.json"), JSON.stringify(config))
      return OpenCodeAgent({ ...settings, command, env: { HOME: home } })
    },
  },
  {
    name: "pi",
    agent: (command, provider, settings) => {
      const cost = { input: 1, output: 2, cacheRead: 0, cacheWrite: 0 }
      const model = { id: "fake-1", name: "fake", reasoning: false, input: ["text"], cost, contextWindow: 100_000, maxTokens: 1000 }
      const fake = { baseUrl: provider.url, api: "anthropic-messages", apiKey: "test", models: [model] }
      mkdirSync(join(home, ".pi", "agent"), { recursive: true })
      writeFileSync(join(home, ".pi", "agent", "models.json"), JSON.stringify({ providers: { fake } }))
      return PiAgent({ ...settings, command, provider: "fake", model: "fake-1", args: ["--offline"], env: { HOME: home } })
    },
  },
]

effectIt.scopedLive.skipIf(!hasBubblewrap || program("claude").file === undefined)(
  "no tool of Claude Code outlives the runtime, also if that is killed (needs the Debian package bubblewrap)",
  () =>
    Effect.gen(function* () {
      const mark = `8${Date.now() % 10_000_000}`
      const use = { name: "Bash", input: { command: `setsid sleep ${mark}`, description: "x" } }
      const provider = yield* serve([{ when: { tool: "Bash" }, answer: calls(use) }])
      yield* Effect.promise(async () => {
        const runtime = startRuntime({
          ...{ COMMAND: program("claude").file ?? "", ROOT: root, HOME: home, ISOLATION: isolation },
          ...{ ANTHROPIC_BASE_URL: provider.url, ANTHROPIC_API_KEY: "test" },
        })
        await until(() => processesWith(mark).length > 0)
        runtime.kill("SIGKILL")
        expect(await left(mark)).toEqual([])
      })
    }),
)

describe.each(reals)("$name", ({ name, agent, isPrompt }) => {
  const found = program(name)
  const it = effectIt.scopedLive.skipIf(found.file === undefined)
  const ask = (provider: FakeProvider, prompt: string, asking: Partial<Asking> = {}, settings?: CommonSettings) =>
    Effect.either(call(agent(found.file ?? "", provider, settings), { root, isolation, prompt, ...asking }))
  const why = found.reason === undefined ? "" : ` (${found.reason})`

  it(`answers, uses a tool below the root, and goes on in its conversation${why}`, () =>
    Effect.gen(function* () {
      const provider = yield* serve(script)
      const { log, rows, kept } = memoryLog()
      const first = yield* ask(provider, "Please use a tool.", { log })
      expect(first).toMatchObject({ right: { text: expect.stringContaining('{"n": 5}') } })
      expect(readFileSync(join(root, "made"), "utf8")).toBe("hello from a tool\n")
      const started = rows.find((row) => "started" in row)
      expect(JSON.stringify(started)).toContain("echo hello from a tool")
      expect(rows.find((row) => "ended" in row)).toMatchObject({
        status: "finished",
        output: expect.stringContaining("hello from a tool"),
      })
      const session = kept.session?.id
      expect(session).toBeDefined()
      const requests = provider.requests.length
      const second = yield* ask(provider, "And now?", { log })
      expect(second).toMatchObject({ right: { text: expect.stringContaining('{"n": 1}') } })
      expect(kept.session?.id).toBe(session)
      // The provider is sent the earlier turn again.
      expect(JSON.stringify(provider.requests.slice(requests).map(({ body }) => body))).toContain("hello from a tool")
      // One request of ten tokens, whatever the conversation has used before.
      expect(second).toMatchObject({ right: { usage: { inputTokens: 10 } } })
    }))

  it(`says what kind of failure it is${why}`, () =>
    Effect.gen(function* () {
      const provider = yield* serve(script)
      const settings = { idleTimeout: "20 seconds" } as const
      expect(yield* ask(provider, "This is not for you.", {}, settings)).toMatchObject({ left: { _tag: "AgentNotLoggedIn" } })
      if (!isPrompt) return
      expect(yield* ask(provider, "You are too busy.", {}, settings)).toMatchObject({ left: { _tag: "AgentOverloaded" } })
      const asked = provider.requests.length
      expect(yield* ask(provider, "You ask too often.", {}, settings)).toMatchObject({ left: { _tag: "AgentRateLimited" } })
      expect(provider.requests.length - asked).toBe(1)
    }))

  it(`begins anew where its session is gone${why}`, () =>
    Effect.gen(function* () {
      const provider = yield* serve(script)
      const { log, rows } = memoryLog({
        id: name === "opencode" ? "ses_de6cbd522ffe1k9eUbc7WS6YVn" : "00000000-0000-4000-8000-000000000000",
      })
      expect(yield* ask(provider, "Say hi.", { log })).toMatchObject({ right: { text: expect.stringContaining('{"n": 1}') } })
      expect(rows[0]).toMatchObject({ kind: "note", text: expect.stringContaining("A new conversation begins.") })
    }))
})

effectIt.scopedLive.skipIf(program("gemini").file === undefined)("gemini without a login says so, with what repairs it", () =>
  Effect.gen(function* () {
    const agent = GeminiAgent({ command: program("gemini").file ?? "", env: { HOME: home } })
    const said = yield* Effect.either(call(agent, { root, isolation, prompt: "Say hi." }))
    expect(said).toMatchObject({ left: { _tag: "AgentNotLoggedIn", login: "gemini" } })
  }),
)
