/** Tools of servers of the Model Context Protocol: a real server in a process of its own, and a model on the loopback. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createAnthropic } from "@ai-sdk/anthropic"
import { describe, expect, it } from "@effect/vitest"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { createAgent } from "@smithers/agents/createAgent"
import { defineTool } from "@smithers/agents/defineTool"
import { type CommandServer, type McpServer, mcpServer } from "@smithers/agents/McpServer"
import * as Codec from "@smithers/core/Codec"
import * as Runner from "@smithers/sandbox/Runner"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as FakeProvider from "../providers/FakeProvider.ts"
import { calls, says } from "../providers/FakeProvider.ts"
import * as Journals from "./Journals.ts"

const script = join(import.meta.dirname, "fixtures", "mcpServer.ts")

const probe = Bun.spawnSync(["bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "true"])
const isolations = [...(probe.exitCode === 0 ? (["bubblewrap"] as const) : []), "none" as const]

const context = { input: {}, runId: "r", stepId: "s", iteration: 0, attempt: 1, idempotencyKey: "r:s:0" }

interface Setting {
  readonly isolation?: Runner.IsolationName
  readonly isReadOnly?: boolean
  readonly servers?: (server: (options?: Partial<CommandServer>) => McpServer) => ReadonlyArray<McpServer>
  readonly provider: FakeProvider.Script
}

/** Asks an agent whose servers run in a folder of their own. */
const asking = ({ isolation = "none", isReadOnly = false, servers = (server) => [server()], provider }: Setting) =>
  Effect.gen(function* () {
    const root = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
    )
    const pids = join(root, "pids")
    const fake = yield* FakeProvider.serve(provider)
    const server = ({ env = {}, ...options }: Partial<CommandServer> = {}): McpServer =>
      mcpServer({ name: "first", command: process.execPath, args: [script], ...options, env: { PIDS: pids, ...env } })
    const agent = createAgent({
      ...{ name: "a", model: createAnthropic({ baseURL: fake.v1, apiKey: "k" })("claude-sonnet-4-5"), mcp: servers(server) },
      tools: { own: defineTool({ description: "Its own.", input: Schema.Struct({}), execute: () => "own" }) },
    })
    const controller = new AbortController()
    const readable = [dirname(script), dirname(process.execPath), dirname(dirname(process.execPath))]
    const answer = AgentProgram.run(
      {
        ...{ agents: [agent], prompt: "go", output: Codec.make(Schema.String), isText: true, context, journal: Journals.make() },
        ...{ signal: controller.signal, feedback: [], corrections: 0, onTurn: () => undefined, graceMs: 500 },
      },
      { rights: { root, isReadOnly, readable }, commands: Runner.make(isolation) },
    )
    const processes = () => (existsSync(pids) ? readFileSync(pids, "utf8").trim().split("\n").map(Number) : [])
    return { answer, fake, controller, root, processes, pids }
  })

const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

/** Processes of this machine that run the server of a test, by its file of processes. */
const left = (pids: string): ReadonlyArray<number> => {
  const found = Bun.spawnSync([
    "grep",
    "-lsa",
    pids,
    ...[...new Bun.Glob("[0-9]*").scanSync({ cwd: "/proc", onlyFiles: false })].map((pid) => `/proc/${pid}/environ`),
  ])
  return found.stdout
    .toString()
    .split("\n")
    .flatMap((file) => /^\/proc\/(\d+)\//.exec(file)?.[1] ?? [])
    .map(Number)
    .filter(isAlive)
}

const until = (holds: () => boolean) =>
  Effect.gen(function* () {
    for (let waited = 0; !holds(); waited += 20) {
      if (waited > 20_000) throw new Error("it did not come to pass in 20 seconds")
      yield* Effect.sleep(20)
    }
  })

/** Calls a tool, and answers with what came of it. */
const once =
  (name: string, input: unknown = {}): FakeProvider.Script =>
  ({ allResults }) =>
    allResults.length === 0
      ? calls({ name, input })
      : says(`${allResults[0]?.isError === true ? "error" : "result"}: ${allResults[0]?.text}`)

describe.each(isolations)("a server of tools with isolation %s", (isolation) => {
  it.scopedLive("is started for the attempt, answers calls, and ends with it", () =>
    Effect.gen(function* () {
      const { answer, fake, pids } = yield* asking({ isolation, provider: once("echo", { text: "hello" }) })
      expect(left(pids)).toEqual([])
      expect(yield* answer).toBe("result: first: hello")
      expect(fake.requests[0]?.tools).toEqual([
        ...["own", "echo", "long", "fail", "write", "see", "environment", "picture", "dotted_name", "die", "hang"],
      ])
      yield* until(() => left(pids).length === 0)
    }),
  )

  it.scopedLive("ends also where the agent fails, and where it does not listen", () =>
    Effect.gen(function* () {
      for (const BEHAVIOUR of ["", "deaf"]) {
        const { answer, pids } = yield* asking({
          ...{ isolation, servers: (server) => [server({ env: { BEHAVIOUR } })] },
          provider: ({ allResults }) => (allResults.length === 0 ? calls({ name: "echo", input: {} }) : FakeProvider.refuses(401)),
        })
        expect(yield* Effect.flip(answer)).toMatchObject({ status: 401 })
        yield* until(() => left(pids).length === 0)
      }
    }),
  )

  it.scopedLive("ends with an attempt that is stopped in the middle of a call, with all its processes", () =>
    Effect.gen(function* () {
      const { answer, controller, fake, pids } = yield* asking({
        ...{ isolation, servers: (server) => [server({ env: { BEHAVIOUR: "deaf" } })], provider: once("hang") },
      })
      const fiber = yield* Effect.fork(answer)
      yield* until(() => fake.requests.length === 1 && left(pids).length >= 2)
      controller.abort()
      expect(Exit.isInterrupted(yield* Fiber.await(fiber))).toBe(true)
      yield* until(() => left(pids).length === 0)
    }),
  )

  it.scopedLive("has the environment of its step and no other", () =>
    Effect.gen(function* () {
      process.env.SECRET_OF_THE_RUNTIME = "1"
      const { answer } = yield* asking({ isolation, provider: once("environment") })
      const said = yield* answer
      delete process.env.SECRET_OF_THE_RUNTIME
      expect(said).toContain("PIDS")
      expect(said).not.toContain("SECRET_OF_THE_RUNTIME")
    }),
  )
})

describe.skipIf(!isolations.includes("bubblewrap"))("a server of tools in isolation", () => {
  it.scopedLive("is held to the rights of the step", () =>
    Effect.gen(function* () {
      // What is outside is private to the server, or not writable.
      const outside = join(dirname(tmpdir()), "opt", "written-by-a-server")
      const writes: FakeProvider.Script = ({ allResults }) =>
        allResults.length === 0
          ? calls({ name: "write", input: { path: "inside" } }, { name: "write", input: { path: outside } })
          : says(allResults.map(({ isError }) => (isError ? "refused" : "written")).join())
      const may = yield* asking({ isolation: "bubblewrap", provider: writes })
      expect(yield* may.answer).toBe("written,refused")
      expect([existsSync(join(may.root, "inside")), existsSync(outside)]).toEqual([true, false])
      // Its file of processes cannot be written either.
      const reads = yield* asking({
        ...{
          isolation: "bubblewrap",
          isReadOnly: true,
          servers: (server) => [server({ env: { PIDS: "/tmp/pids" } })],
          provider: writes,
        },
      })
      expect(yield* reads.answer).toBe("refused,refused")
      expect(existsSync(join(reads.root, "inside"))).toBe(false)
    }),
  )
})

describe("the tools of a server", () => {
  it.scopedLive.each<[what: string, name: string, input: unknown, result: unknown]>([
    ["fails for the model where the tool fails", "fail", {}, expect.stringMatching(/^error: (Error: )?it cannot be done$/)],
    [
      "is cut where it is too long",
      "long",
      { times: 10_000 },
      expect.stringMatching(/^result: (0123456789){3900}[\s\S]{0,1200}more (bytes|characters)[\s\S]{0,100}$/),
    ],
    ["names what is no text", "picture", {}, "result: [image: 3 bytes that are no text]"],
    ["is the structure where there is no text", "dotted_name", {}, 'result: {"dotted":true}'],
    ["is an error where the server dies", "die", {}, expect.stringMatching(/^error: /)],
  ])("give a result that %s", ([, name, input, result]) =>
    Effect.gen(function* () {
      const { answer } = yield* asking({ provider: once(name, input) })
      expect(yield* answer).toEqual(result)
    }),
  )

  it.scopedLive("are those that are listed, and have the name of their server where others have theirs", () =>
    Effect.gen(function* () {
      const { answer, fake } = yield* asking({
        servers: (server) => [
          server({ tools: ["echo", "see"] }),
          server({ name: "second", tools: ["echo"], env: { SERVER: "two" } }),
        ],
        provider: once("second_echo", { text: "hi" }),
      })
      expect(yield* answer).toBe("result: two: hi")
      expect(fake.requests[0]?.tools).toEqual(["own", "first_echo", "see", "second_echo"])
    }),
  )

  it.scopedLive("time out each, and the server goes on", () =>
    Effect.gen(function* () {
      const { answer } = yield* asking({
        servers: (server) => [server({ timeout: "300 millis" })],
        provider: ({ allResults: [first, second] }) =>
          first === undefined
            ? calls({ name: "hang", input: {} })
            : second === undefined
              ? calls({ name: "echo", input: { text: "still here" } })
              : says(`${first.isError} ${second.text}`),
      })
      expect(yield* answer).toBe("true first: still here")
    }),
  )

  it.scopedLive("are found between lines that are no messages", () =>
    Effect.gen(function* () {
      const { answer } = yield* asking({
        servers: (server) => [server({ env: { BEHAVIOUR: "garbage" } })],
        provider: once("echo", { text: "clear" }),
      })
      expect(yield* answer).toBe("result: first: clear")
    }),
  )
})

describe("a server that cannot be had", () => {
  it.scopedLive.each<[what: string, options: Partial<CommandServer>, expected: object]>([
    [
      "its end and its words, where it ends",
      { env: { BEHAVIOUR: "fails" } },
      { retryable: true, reason: 'MCP server "first" ended with exit code 3. It said: the database of the server is gone' },
    ],
    [
      "its time, where it does not answer",
      { env: { BEHAVIOUR: "silent" }, startTimeout: "500 millis" },
      { retryable: true, reason: expect.stringMatching(/^MCP server "first" did not start/) },
    ],
    [
      "its program, where there is none",
      { command: "/no/such/program" },
      { retryable: false, reason: expect.stringContaining("/no/such/program") },
    ],
    [
      "its tools, where it has not that one",
      { tools: ["paint"] },
      { retryable: false, reason: expect.stringMatching(/has no tool "paint"\. It has: echo, long/) },
    ],
  ])("fails the attempt with %s", ([, options, expected]) =>
    Effect.gen(function* () {
      const { answer, fake, pids } = yield* asking({ servers: (server) => [server(options)], provider: once("echo") })
      expect(yield* Effect.flip(answer)).toMatchObject({ _tag: "AgentFailed", ...expected })
      expect(fake.requests).toEqual([])
      yield* until(() => left(pids).length === 0)
    }),
  )

  it("is refused for its name or address", () => {
    expect(() => mcpServer({ name: "a b", command: "x" })).toThrow(/"mcp.name" is a b, and must be a letter/)
    expect(() => mcpServer({ name: "a", url: "ftp://x" })).toThrow(/"mcp.url" is ftp:\/\/x/)
  })
})
