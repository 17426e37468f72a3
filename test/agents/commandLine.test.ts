/** Command-line agents against a stand-in for their programs, which misbehaves as they do. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as ProviderError from "@smithers/agents/ProviderError"
import type { ToolRights } from "@smithers/agents/ToolSession"
import { Effect, Fiber } from "effect"
import {
  AcpAgent,
  ClaudeCodeAgent,
  CliAgent,
  CodexAgent,
  type CommonSettings,
  GeminiAgent,
  KimiAgent,
  OpenCodeAgent,
} from "smithers-orchestrator/agents"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { hasBubblewrap } from "../sandbox/fixtures/here.ts"
import {
  ask,
  call,
  callsIn,
  failure,
  left,
  memoryLog,
  processesWith,
  reply,
  standIn,
  startRuntime,
  until,
} from "./fixtures/asking.ts"

let [root, home] = ["", ""]
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "smithers-agent-root-")))
  home = realpathSync(mkdtempSync(join(tmpdir(), "smithers-agent-home-")))
  mkdirSync(join(home, ".stand-in"))
})
afterEach(() => {
  for (const folder of [root, home]) rmSync(folder, { recursive: true, force: true })
})

const given = (how: string, settings: CommonSettings = {}) => ({
  ...{ command: standIn, writable: [join(home, ".stand-in")] },
  ...settings,
  env: { HOME: home, STAND_IN: how, ...settings.env },
})
const claude = (how: string, settings: CommonSettings & { readonly model?: string } = {}) => ClaudeCodeAgent(given(how, settings))
const codex = (how: string, settings: CommonSettings = {}) => CodexAgent(given(how, settings))
const acp = (how: string, settings: CommonSettings = {}) => AcpAgent({ ...given(how, settings), command: standIn })

const reset = 1_893_456_000_000

describe("what a command-line agent does", () => {
  it("is stored as it happens: its session before its first word, calls with their outcomes, texts and cost", async () => {
    const { log, rows } = memoryLog()
    const { text, usage, response } = await reply(claude(""), { root, log })
    expect(text).toBe('{"n": 1}')
    expect(usage).toEqual({ inputTokens: 10, outputTokens: 5, totalTokens: 15, costUsd: 0.001 })
    expect(response).toEqual({ modelId: "stand-in-1" })
    const [first] = callsIn(home)
    const id = first?.args[first.args.indexOf("--session-id") + 1]
    expect(rows).toEqual([
      { session: { id } },
      { kind: "reasoning", text: "hm" },
      { kind: "text", text: "Let me look." },
      { started: "t1", tool: "Bash", input: { command: "ls" } },
      { ended: "t1", status: "finished", output: "a.ts" },
      { started: "t1#2", tool: "Bash", input: { command: "rm a.ts" } },
      { ended: "t1#2", status: "failed", output: "not allowed" },
      { session: { id, totals: { costUsd: 0.001 } } },
      { kind: "note", text: "The call is finished. It cost $0.001000.", model: "stand-in-1", inputTokens: 10, outputTokens: 5 },
    ])
  })

  it("is told to who listens", async () => {
    const seen: Array<string> = []
    await reply(claude("", { onEvent: ({ type }) => seen.push(type) }), { root })
    expect(seen).toEqual(["session", "reasoning", "text", "toolUse", "toolResult", "toolUse", "toolResult", "result"])
  })

  it("goes on in the session of an earlier call, and costs what the total has grown by", async () => {
    const { log } = memoryLog()
    await reply(claude(""), { root, log })
    const second = await reply(claude(""), { root, log })
    expect(second.text).toBe('{"n": 2}')
    expect(second.usage?.costUsd).toBeCloseTo(0.001)
    const [first, then] = callsIn(home)
    const id = first?.args[first.args.indexOf("--session-id") + 1]
    expect(then?.args.slice(then.args.indexOf("--resume"), then.args.indexOf("--resume") + 2)).toEqual(["--resume", id])
    expect(then?.input).toMatch(/^You have worked on this task before, and were interrupted\.[\s\S]*Do it\.$/)
    expect(first?.input).toBe("Do it.")
  })

  it("is corrected in its session with the correction alone, also where nothing is recorded", async () => {
    const agent = claude("bad-then-good")
    const log = memoryLog().log
    const silent = { ...log, session: undefined }
    expect((await reply(agent, { root, log: silent })).text).toBe("I could not say")
    const messages = [
      { role: "user" as const, content: "Do it." },
      { role: "assistant" as const, content: "I could not say" },
      { role: "user" as const, content: "Reply again." },
    ]
    const again = await reply(agent, { root, log: silent, prompt: "Reply again.", messages })
    expect(again.text).toBe('{"n": 2}')
    expect(callsIn(home)[1]).toMatchObject({ input: "Reply again." })
    expect(callsIn(home)[1]?.args).toContain("--resume")
  })

  it("begins a new session, and says so, where the one to resume is unknown", async () => {
    const { log, rows, kept } = memoryLog({ id: "00000000-0000-4000-8000-000000000000", totals: { costUsd: 5 } })
    const { text, usage } = await reply(claude(""), { root, log })
    expect([text, usage?.costUsd]).toEqual(['{"n": 1}', 0.001])
    expect(kept.session?.id).not.toBe("00000000-0000-4000-8000-000000000000")
    expect(rows[0]).toMatchObject({ kind: "note", text: expect.stringContaining("does not know its session 00000000-") })
    expect(callsIn(home).map(({ input }) => input.endsWith("Do it."))).toEqual([true, true])
    expect(callsIn(home)[1]?.input).toBe("Do it.")
  })

  it("begins a new session where the one to resume has become too long", async () => {
    const { log, rows } = memoryLog()
    await reply(claude("too-long-resumed"), { root, log })
    expect((await reply(claude("too-long-resumed"), { root, log })).text).toBe('{"n": 1}')
    expect(rows.filter(({ kind }) => kind === "note").map(({ text }) => String(text))).toContainEqual(
      expect.stringContaining("A new conversation begins."),
    )
  })

  it("gives up a session that stays in use", async () => {
    expect(await failure(claude("in-use-always"), { root })).toMatchObject({ _tag: "AgentSessionInUse" })
    expect(callsIn(home)).toHaveLength(3)
  })

  it("goes on where it died in the middle", async () => {
    const { log } = memoryLog()
    expect(await failure(claude("die-once"), { root, log })).toMatchObject({ _tag: "AgentDied", signal: "SIGKILL" })
    expect((await reply(claude("die-once"), { root, log })).text).toBe('{"n": 2}')
  })

  it("gets the schema of the step, its instructions and its model", async () => {
    const schema = { type: "object", properties: { n: { type: "number" } }, required: ["n"] }
    const agent = claude("", { model: "opus", instructions: (input) => `You work on ${input.repo}.` })
    await reply(agent, { root, schema })
    const args = callsIn(home)[0]?.args ?? []
    const optionOf = (name: string) => args[args.indexOf(name) + 1]
    expect(JSON.parse(optionOf("--json-schema") ?? "")).toEqual(schema)
    expect([optionOf("--model"), optionOf("--append-system-prompt"), optionOf("--permission-prompts")]).toEqual([
      "opus",
      "You work on a.",
      "none",
    ])
  })
})

describe("an error of a command-line agent", () => {
  const kinds: ReadonlyArray<readonly [how: string, error: Record<string, unknown>]> = [
    ["success-with-error", { _tag: "AgentNotLoggedIn", login: "claude auth login" }],
    ["zero-on-401", { _tag: "AgentNotLoggedIn" }],
    ["limit", { _tag: "AgentLimitReached", resetAt: reset }],
    ["limit-event", { _tag: "AgentLimitReached", resetAt: reset }],
    ["rate", { _tag: "AgentRateLimited", retryAfterMs: 20_000 }],
    ["overloaded", { _tag: "AgentOverloaded", status: 529 }],
    ["too-long", { _tag: "AgentContextTooLong" }],
    ["turns", { _tag: "AgentStopped", reason: "turns" }],
    ["budget", { _tag: "AgentStopped", reason: "budget" }],
    ["bad-option", { _tag: "AgentRequestRefused" }],
    ["wants-trust", { _tag: "AgentFolderUntrusted" }],
    ["no-result", { _tag: "AgentBadOutput" }],
    ["huge-result", { _tag: "AgentBadOutput", problem: "it ended without a result, and 1 lines were too long" }],
    ["die", { _tag: "AgentDied", signal: "SIGKILL", tail: expect.stringContaining("panic: out of luck") }],
  ]
  it.each(kinds)("is told apart, whatever its exit code says: %s", async (how, expected) => {
    expect(await failure(claude(how), { root })).toMatchObject(expected)
  })

  it.each([
    ["codex-401", { _tag: "AgentNotLoggedIn", login: "codex login" }],
    ["codex-limit", { _tag: "AgentLimitReached", resetAt: expect.any(Number) }],
    ["codex-529", { _tag: "AgentOverloaded", status: 529 }],
    ["codex-context", { _tag: "AgentContextTooLong" }],
  ])("of Codex is told apart: %s", async (how, expected) => {
    expect(await failure(codex(how), { root })).toMatchObject(expected)
  })

  it.each([
    ["acp-login", { _tag: "AgentNotLoggedIn" }],
    ["acp-limit", { _tag: "AgentRateLimited", retryAfterMs: 30_000 }],
  ])("of an agent by the Agent Client Protocol is told apart: %s", async (how, expected) => {
    expect(await failure(acp(how), { root })).toMatchObject(expected)
  })

  it("of a program that is not there says what installs it, and another attempt would not help", async () => {
    const error = await failure(ClaudeCodeAgent({ env: { HOME: home, PATH: root } }), { root })
    expect(error).toMatchObject({ _tag: "AgentNotInstalled", program: "claude" })
    expect(error.message).toContain("npm install -g @anthropic-ai/claude-code")
    expect(await Effect.runPromise(ProviderError.read(error))).toMatchObject({ retryable: false })
  })

  it("of a limit dates the next attempt, and one of a login has none", async () => {
    const limit = await failure(claude("limit"), { root })
    expect(await Effect.runPromise(ProviderError.read(limit))).toMatchObject({ retryable: true, status: 429, resetAt: reset })
    const login = await failure(claude("zero-on-401"), { root })
    expect(await Effect.runPromise(ProviderError.read(login))).toMatchObject({ retryable: false, resetAt: undefined })
  })

  it("leaves a reply alone that is empty or no JSON: the step validates it", async () => {
    expect((await reply(claude("empty"), { root })).text).toBe("")
  })
})

describe("the time of a command-line agent", () => {
  it("without a word is bounded", async () => {
    const error = await failure(claude("hang", { idleTimeout: "300 millis" }), { root })
    expect(error).toMatchObject({ _tag: "AgentStalled", idleMs: 300 })
  })

  it.each([
    ["retrying", claude],
    ["codex-reconnecting", codex],
  ])("in which it says again and again that it waits is no progress: %s", async (how, agent) => {
    expect(await failure(agent(how, { idleTimeout: "700 millis" }), { root })).toMatchObject({ _tag: "AgentStalled" })
  })

  it("with progress is bounded as a whole only", async () => {
    expect((await reply(claude("slow-but-working", { idleTimeout: "900 millis" }), { root })).text).toBe('{"n": 1}')
    const error = await failure(claude("busy-for-ever", { idleTimeout: "5 seconds", timeout: "1 second" }), { root })
    expect(error).toMatchObject({ _tag: "AgentTimedOut", timeoutMs: 1000 })
  })

  it("after its result is short, and the result counts, also where it does not listen to the signal to end", async () => {
    expect((await reply(claude("linger", { linger: "200 millis" }), { root })).text).toBe('{"n": 1}')
    expect((await reply(claude("deaf-linger", { linger: "200 millis" }), { root })).text).toBe('{"n": 1}')
  })

  it("is checked when the agent is made", () => {
    expect(() => ClaudeCodeAgent({ timeout: 0 })).toThrow('The setting "timeout" is 0, and must be a duration longer than 0')
    expect(() => ClaudeCodeAgent(JSON.parse('{ "yolo": true }'))).toThrow('The setting "yolo"')
    expect(() => new GeminiAgent({ name: "" })).toThrow('The setting "name"')
  })
})

describe("the output of a command-line agent", () => {
  it("is read between lines that are none of it, and unknown messages are counted", async () => {
    const { log, rows } = memoryLog()
    expect((await reply(claude("noise"), { root, log })).text).toBe('{"n": 1}')
    expect(rows).toContainEqual({ kind: "note", text: "Messages of unknown types were left out: prompt_suggestion (2)" })
  })

  it("is read past a line that is too long", async () => {
    expect((await reply(claude("huge-line"), { root })).text).toBe('{"n": 1}')
  })
})

describe.each([
  ["bubblewrap", hasBubblewrap],
  ["none", true],
] as const)("under %s", (isolation, isHere) => {
  const here = it.skipIf(!isHere)
  const marked = () => `${isolation.length}73${Date.now() % 10_000_000}`

  here("no tool outlives its agent, whatever session it is in", async () => {
    const mark = marked()
    expect((await reply(claude("leaves-tool", { env: { STAND_IN_MARK: mark } }), { root, isolation })).text).toBe('{"n": 1}')
    expect(await left(mark)).toEqual([])
  })

  here("nothing is left of an agent that does not listen, and it was asked before it was killed", async () => {
    const mark = marked()
    const error = await failure(claude("deaf", { idleTimeout: "2 seconds", env: { STAND_IN_MARK: mark } }), { root, isolation })
    expect(error).toMatchObject({ _tag: "AgentStalled" })
    expect(readFileSync(join(home, ".stand-in", "terms"), "utf8")).toBe("TERM\n")
    expect(await left(mark)).toEqual([])
  })

  here("an interruption ends it with its tools", async () => {
    const mark = marked()
    const fiber = Effect.runFork(call(claude("tool-forever", { env: { STAND_IN_MARK: mark } }), { root, isolation }))
    await until(() => processesWith(mark).length > 0)
    await Effect.runPromise(Fiber.interrupt(fiber))
    expect(await left(mark)).toEqual([])
  })

  here("it has the variables that are listed, and none that mark the child of another agent", async () => {
    const before = { ...process.env }
    Object.assign(process.env, { CLAUDECODE: "1", CLAUDE_CODE_ENTRYPOINT: "cli", SECRET_OF_OURS: "x", ANTHROPIC_API_KEY: "key" })
    try {
      const agent = claude("environment", { env: { ...process.env, SECRET_OF_OURS: undefined, MINE: "1", HOME: home } })
      const env = JSON.parse((await reply(agent, { root, isolation })).text)
      expect(env).toMatchObject({ MINE: "1", ANTHROPIC_API_KEY: "key", CLAUDE_CODE_MAX_RETRIES: "0", HOME: home })
      expect(env).not.toHaveProperty("CLAUDECODE")
      expect(env).not.toHaveProperty("CLAUDE_CODE_ENTRYPOINT")
      const bare = JSON.parse((await reply(claude("environment"), { root, isolation })).text)
      expect(bare).not.toHaveProperty("SECRET_OF_OURS")
    } finally {
      for (const name of ["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "SECRET_OF_OURS", "ANTHROPIC_API_KEY"]) {
        if (before[name] === undefined) delete process.env[name]
        else process.env[name] = before[name]
      }
    }
  })
})

describe.skipIf(!hasBubblewrap)("the end of the runtime by SIGKILL (needs the Debian package bubblewrap)", () => {
  it.each(["bubblewrap", "none"])(
    "leaves nothing of an agent and its tools after a second, 100 times, under %s",
    { timeout: 600_000 },
    async (isolation) => {
      // Several at once, since most of the time is that of their starts.
      for (let time = 0; time < 25; time++) {
        const marks = [0, 1, 2, 3].map((index) => `6${time}${index}${Date.now() % 10_000_000}`)
        const runtimes = marks.map((mark) =>
          startRuntime({ ROOT: root, HOME: home, ISOLATION: isolation, STAND_IN: "tool-forever", STAND_IN_MARK: mark }),
        )
        for (const mark of marks) await until(() => processesWith(mark).length > 0)
        for (const runtime of runtimes) runtime.kill("SIGKILL")
        for (const mark of marks) expect(await left(mark)).toEqual([])
        expect(await left(standIn)).toEqual([])
      }
    },
  )
})

describe("the rights of a step", () => {
  it("hold a command-line agent, or it is not started", async () => {
    const refused = async (rights: ToolRights, settings: CommonSettings = {}) =>
      (await failure(claude("", settings), { root, rights })).message
    expect(await refused({ isReadOnly: true })).toContain('isolation "none" holds them to nothing')
    expect(await refused({ network: ["api.github.com"] })).toContain('isolation "none" holds them to nothing')
    expect(await refused({}, { network: ["api.github.com"] })).toContain('isolation "none" holds it to nothing')
    expect(await refused({ allowTools: ["read"] })).toContain("a command-line agent has tools of its own")
    expect(callsIn(home)).toEqual([])
  })

  it.skipIf(!hasBubblewrap)(
    "leave it its login and its root, and nothing else of the home (needs the Debian package bubblewrap)",
    async () => {
      writeFileSync(join(home, "secret"), "x")
      mkdirSync(join(home, ".claude"))
      writeFileSync(join(home, ".claude", "login"), "x")
      writeFileSync(join(root, ".env"), "KEY=x")
      const program = join(root, "look")
      const script = [
        ...['test ! -e "$HOME/secret" && test -e "$HOME/.claude/login" && test ! -s .env', "echo kept > $HOME/.claude/session"],
        ...[
          "echo made > made",
          "test ! -e /root/.bashrc && test ! -e /home/*/.bashrc",
          `echo '{ "type": "result", "subtype": "success", "result": "seen" }'`,
        ],
      ]
      writeFileSync(program, `#!/bin/sh\nset -e\n${script.join("\n")}\n`)
      chmodSync(program, 0o755)
      const agent = ClaudeCodeAgent({ command: program, env: { HOME: home } })
      expect((await reply(agent, { root, isolation: "bubblewrap" })).text).toBe("seen")
      expect(readFileSync(join(home, ".claude", "session"), "utf8")).toBe("kept\n")
      expect(readFileSync(join(root, "made"), "utf8")).toBe("made\n")
      const reading = await failure(agent, { root, isolation: "bubblewrap", rights: { isReadOnly: true } })
      expect(reading).toMatchObject({ _tag: "AgentDied", tail: expect.stringContaining("Read-only file system") })
    },
  )
})

describe("Codex", () => {
  it("begins by its own id, resumes by it, and counts what its totals have grown by", async () => {
    const { log, rows, kept } = memoryLog()
    const first = await reply(codex("codex"), { root, log })
    expect([first.text, first.usage]).toEqual(['{"n": 1}', { inputTokens: 10, outputTokens: 5, totalTokens: 15 }])
    expect(rows.slice(0, 4)).toEqual([
      { session: { id: "th-1" } },
      { started: "i1", tool: "shell", input: { command: "ls" } },
      { ended: "i1", status: "finished", output: "a.ts\n" },
      { kind: "reasoning", text: "hm" },
    ])
    const second = await reply(codex("codex"), { root, log })
    expect([second.text, second.usage]).toEqual(['{"n": 2}', { inputTokens: 10, outputTokens: 5, totalTokens: 15 }])
    expect(kept.session).toEqual({ id: "th-1", totals: { inputTokens: 20, outputTokens: 10 } })
    expect(callsIn(home)[1]?.args.slice(-2)).toEqual(["th-1", "-"])
  })

  it("keeps its sandbox when it is resumed, and has none of its own inside of another", async () => {
    const { log } = memoryLog()
    await reply(codex("codex"), { root, log })
    await reply(codex("codex"), { root, log })
    if (hasBubblewrap) await reply(codex("codex"), { root, isolation: "bubblewrap" })
    const modes = callsIn(home).map(({ args }) => args.find((arg) => arg.startsWith("sandbox_mode=")))
    expect(modes).toEqual([
      'sandbox_mode="workspace-write"',
      'sandbox_mode="workspace-write"',
      ...(hasBubblewrap ? ['sandbox_mode="danger-full-access"'] : []),
    ])
  })

  it("does not repeat requests by itself, with its own provider and with one of its configuration", async () => {
    await reply(codex("codex"), { root })
    mkdirSync(join(home, ".codex"), { recursive: true })
    writeFileSync(join(home, ".codex", "config.toml"), 'model_provider = "azure"\n')
    await reply(codex("codex"), { root })
    const [own, azure] = callsIn(home).map(({ args }) => args.join(" "))
    expect(own).toContain('model_provider="smithers"')
    expect(own).toContain('"request_max_retries"=0')
    expect(azure).not.toContain("smithers")
    expect(azure).toContain("model_providers.azure.request_max_retries=0")
  })

  it("gets a schema that its provider takes as a file, and another one not at all", async () => {
    const strict = { type: "object", properties: { n: { type: "number" } }, required: ["n"], additionalProperties: false }
    await reply(codex("codex"), { root, schema: strict })
    await reply(codex("codex"), { root, schema: { ...strict, required: [] } })
    const [first, second] = callsIn(home)
    const file = first?.args[first.args.indexOf("--output-schema") + 1] ?? ""
    expect(file).toMatch(/schema\.json$/)
    expect(existsSync(file)).toBe(false)
    expect(second?.args).not.toContain("--output-schema")
  })
})

describe("an agent by the Agent Client Protocol", () => {
  it("is asked, answers in parts, and its calls are stored", async () => {
    const { log, rows } = memoryLog()
    const said = await reply(acp("acp", { instructions: "Be brief." }), { root, log })
    expect([said.text, said.usage]).toEqual(['{"n": 1}', { inputTokens: 10, outputTokens: 5, totalTokens: 15 }])
    expect(rows.slice(0, 6)).toEqual([
      { session: { id: "s-1" } },
      { kind: "reasoning", text: "hm" },
      { kind: "text", text: "Let me look. " },
      { started: "c1", tool: "ls", input: { command: "ls" } },
      { ended: "c1", status: "finished", output: "a.ts" },
      { kind: "text", text: '{"n": 1}' },
    ])
    const sent = readFileSync(join(home, ".stand-in", "messages"), "utf8")
    expect(sent).toContain('"text":"Be brief.\\n\\nDo it."')
    expect(sent).toContain('"code":-32601')
  })

  it.each([
    ["Gemini", GeminiAgent, ["--acp", "--skip-trust"]],
    ["OpenCode", OpenCodeAgent, ["acp"]],
    ["Kimi", KimiAgent, ["acp"]],
  ] as const)("has a preset for %s, which starts it as it wants to be started", async (_, preset, args) => {
    expect((await reply(preset(given("acp")), { root })).text).toBe('{"n": 1}')
    expect(callsIn(home).map((one) => one.args)).toEqual([args])
  })

  it("loads its session again, whose history is no part of the answer", async () => {
    const { log } = memoryLog()
    await reply(acp("acp"), { root, log })
    expect((await reply(acp("acp"), { root, log })).text).toBe('{"n": 1}')
    expect(readFileSync(join(home, ".stand-in", "messages"), "utf8")).toContain("session/load")
  })

  it("begins a new session where it does not know the one to load, or cannot load any", async () => {
    for (const how of ["acp", "acp-no-load"]) {
      const { log, kept } = memoryLog({ id: "s-gone" })
      expect((await reply(acp(how), { root, log })).text).toBe('{"n": 1}')
      expect(kept.session?.id).toBe("s-1")
    }
  })

  it("is given the permission that its settings give, once", async () => {
    const agent = (permissions: "allow" | "deny" | undefined | ((asked: { kind: string | undefined }) => boolean)) =>
      AcpAgent({ ...given("acp-permission"), command: standIn, permissions })
    const { log, rows } = memoryLog()
    expect((await reply(agent("allow"), { root, log })).text).toBe('{"n": 1}')
    expect(rows).toContainEqual({ kind: "note", text: "Allowed the call: Write a.ts" })
    expect((await reply(agent("deny"), { root })).text).toBe('{"n": 0}')
    expect((await reply(agent(undefined), { root })).text).toBe('{"n": 0}')
    expect(
      (
        await reply(
          agent(({ kind }) => kind === "edit"),
          { root },
        )
      ).text,
    ).toBe('{"n": 1}')
    if (!hasBubblewrap) return
    const reading = { root, rights: { isReadOnly: true }, isolation: "bubblewrap" } as const
    expect((await reply(agent("allow"), reading)).text).toBe('{"n": 0}')
  })

  it("is asked to cancel before it is ended", async () => {
    const mark = `475${Date.now() % 10_000_000}`
    const fiber = Effect.runFork(call(acp("acp-hang", { env: { STAND_IN_MARK: mark } }), { root }))
    await until(() => processesWith(mark).length > 0)
    await Effect.runPromise(Fiber.interrupt(fiber))
    expect(existsSync(join(home, ".stand-in", "cancelled"))).toBe(true)
    expect(await left(mark)).toEqual([])
  })

  it("is given a mode and a model by the options of its session", async () => {
    await reply(AcpAgent({ ...given("acp"), command: standIn, mode: "plan", model: "m-1" }), { root })
    const sent = readFileSync(join(home, ".stand-in", "messages"), "utf8")
    expect(sent).toContain('"method":"session/set_mode","params":{"sessionId":"s-1","modeId":"plan"}')
    expect(sent).toContain('"method":"session/set_config_option","params":{"sessionId":"s-1","configId":"model","value":"m-1"}')
  })

  it("that lingers after its answer is ended", async () => {
    expect((await reply(acp("acp-linger", { linger: "200 millis" }), { root })).text).toBe('{"n": 1}')
  })
})

describe("a program of any kind", () => {
  const cli = (how: string, settings: object = {}) => CliAgent({ ...given(how), command: standIn, ...settings })

  it("answers with the text that it writes, also if that is JSON, and takes the prompt either way", async () => {
    expect(JSON.parse((await reply(cli("text"), { root })).text)).toEqual({ n: 5, heard: "Do it." })
    expect(JSON.parse((await reply(cli("text", { prompt: "argument" }), { root })).text)).toEqual({ n: 5, heard: "Do it." })
  })

  it("answers with the result among its JSON lines, by the usual form or one of its own", async () => {
    expect((await reply(cli("text-json-lines", { output: "json-lines" }), { root })).text).toBe("heard: Do it.")
    const onMessage = (message: { readonly [field: string]: unknown }) =>
      message.type === "step" ? { result: { text: String(message.name) } } : undefined
    expect((await reply(cli("text-json-lines", { output: "json-lines", onMessage }), { root })).text).toBe("thinking")
  })

  it("fails as its words say", async () => {
    expect(await failure(cli("text-401"), { root })).toMatchObject({ _tag: "AgentNotLoggedIn" })
    chmodSync(home, 0o755)
    expect(await ask(CliAgent({ command: "no-such-program" }), { root })).toMatchObject({ left: { _tag: "AgentNotInstalled" } })
  })
})
