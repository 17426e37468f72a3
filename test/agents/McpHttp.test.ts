/** Servers of tools over HTTP, by the SDK of the protocol on the loopback, and servers whose runtime is killed. */
import { randomUUID } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createAnthropic } from "@ai-sdk/anthropic"
import { describe, expect, it } from "@effect/vitest"
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import { createAgent } from "@smithers/agents/createAgent"
import { type HttpServer, mcpServer } from "@smithers/agents/McpServer"
import * as Codec from "@smithers/core/Codec"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { vi } from "vitest"
import { z } from "zod"
import * as FakeProvider from "../providers/FakeProvider.ts"
import { calls, says } from "../providers/FakeProvider.ts"
import { hasBubblewrap } from "../sandbox/fixtures/here.ts"
import * as Journals from "./Journals.ts"

const context = { input: {}, runId: "r", stepId: "s", iteration: 0, attempt: 1, idempotencyKey: "r:s:0" }
const text = (said: string) => ({ content: [{ type: "text" as const, text: said }] })

/** A server of the SDK, with the sessions that are open and the requests without the right key. */
const serve = Effect.acquireRelease(
  Effect.promise(async () => {
    const sessions = new Map<string, StreamableHTTPServerTransport>()
    const made: Array<string> = []
    let refused = 0
    const open = async (): Promise<StreamableHTTPServerTransport> => {
      const server = new McpServer({ name: "http-server", version: "1.0.0" })
      server.registerTool("echo", { description: "Echoes.", inputSchema: { text: z.string() } }, async ({ text: said }) => {
        made.push(said)
        return text(`http: ${said}`)
      })
      server.registerTool("fail", { description: "Fails." }, async () => ({ ...text("it cannot be done"), isError: true }))
      server.registerTool("hang", { description: "Hangs." }, () => new Promise(() => {}))
      const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => void sessions.set(id, transport),
        onsessionclosed: (id) => void sessions.delete(id),
      })
      await server.connect(transport)
      return transport
    }
    const http = createServer(async (request, response) => {
      if (request.headers.authorization !== "Bearer key") {
        refused++
        response.writeHead(401).end()
        return
      }
      const known = sessions.get(String(request.headers["mcp-session-id"]))
      await (known ?? (await open())).handleRequest(request, response)
    })
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve))
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`
    const stop = (): void => {
      http.closeAllConnections()
      http.close()
    }
    return { url, sessions, made, refused: () => refused, stop }
  }),
  ({ stop }) => Effect.sync(stop),
)

const asking = (server: Partial<HttpServer> & { readonly url: string }, provider: FakeProvider.Script, isReadOnly = false) =>
  Effect.gen(function* () {
    const fake = yield* FakeProvider.serve(provider)
    const mcp = [mcpServer({ name: "far", headers: { authorization: "Bearer key" }, ...server })]
    const model = createAnthropic({ baseURL: fake.v1, apiKey: "k" })("claude-sonnet-4-5")
    const answer = AgentProgram.run(
      {
        ...{
          agents: [createAgent({ name: "a", model, mcp })],
          prompt: "go",
          output: Codec.make(Schema.String),
          isText: true,
          context,
        },
        ...{
          journal: Journals.make(),
          signal: new AbortController().signal,
          feedback: [],
          corrections: 0,
          onTurn: () => undefined,
        },
      },
      { rights: { root: import.meta.dirname, isReadOnly } },
    )
    return { answer, fake }
  })

const once =
  (name: string, input: unknown = {}): FakeProvider.Script =>
  ({ allResults: [first] }) =>
    first === undefined ? calls({ name, input }) : says(`${first.isError ? "error" : "result"}: ${first.text}`)

describe("a server of tools over HTTP", () => {
  it.scopedLive("gives its tools to an agent by its address and key, and its session ends with the attempt", () =>
    Effect.gen(function* () {
      const server = yield* serve
      const { answer, fake } = yield* asking({ url: server.url }, once("echo", { text: "hello" }))
      expect(yield* answer).toBe("result: http: hello")
      expect([fake.requests[0]?.tools, server.made]).toEqual([["echo", "fail", "hang"], ["hello"]])
      yield* Effect.promise(() => vi.waitFor(() => expect(server.sessions.size).toBe(0), 5000))
    }),
  )

  it.scopedLive("tells the model of a tool that fails, does not answer in time, or whose server is gone", () =>
    Effect.gen(function* () {
      const server = yield* serve
      const failing = yield* asking({ url: server.url }, once("fail"))
      expect(yield* failing.answer).toMatch(/^error: (Error: )?it cannot be done$/)
      const hanging = yield* asking({ url: server.url, timeout: "300 millis" }, once("hang"))
      expect(yield* hanging.answer).toMatch(/^error: /)
      const leaving = yield* asking({ url: server.url }, (request) => {
        const [result] = request.allResults
        if (result !== undefined) return says(String(result.isError))
        server.stop()
        return calls({ name: "echo", input: { text: "x" } })
      })
      expect(yield* leaving.answer).toBe("true")
      expect(server.made).toEqual([])
    }),
  )

  it.scopedLive("fails the attempt where it cannot be reached, and for good where it refuses the key", () =>
    Effect.gen(function* () {
      const server = yield* serve
      const wrong = yield* asking({ url: server.url, headers: { authorization: "Bearer other" } }, once("echo"))
      const refused = yield* Effect.flip(wrong.answer)
      expect(refused).toMatchObject({ _tag: "AgentFailed", retryable: false })
      expect(refused.message).toMatch(/MCP server "far" did not start: .*401/s)
      expect([server.refused() > 0, wrong.fake.requests.length]).toEqual([true, 0])
      server.stop()
      const gone = yield* Effect.flip((yield* asking({ url: server.url }, once("echo"))).answer)
      expect(gone).toMatchObject({ _tag: "AgentFailed", retryable: true })
      expect(gone.message).toContain('MCP server "far" did not start')
    }),
  )

  it.scopedLive("is not offered where a step may only read, since nothing holds it to that", () =>
    Effect.gen(function* () {
      const server = yield* serve
      const { answer, fake } = yield* asking({ url: server.url }, once("echo", { text: "x" }), true)
      expect(yield* answer).toContain("unavailable tool")
      expect([fake.requests[0]?.tools, server.made]).toEqual([[], []])
    }),
  )
})

const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}/status`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))

describe.skipIf(!hasBubblewrap)("a server of tools whose runtime is killed (needs the Debian package bubblewrap)", () => {
  it.scopedLive("is gone within a second, with the processes that it had started, 5 times", () =>
    Effect.gen(function* () {
      const provider = yield* FakeProvider.serve([{ answer: calls({ name: "hang", input: {} }) }])
      const root = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
      )
      const left = (mark: string) => {
        const found = Bun.spawnSync(["bash", "-c", `grep -lsa '${mark}' /proc/[0-9]*/environ`]).stdout.toString()
        return [...found.matchAll(/\/proc\/(\d+)\//g)].map(([, pid]) => Number(pid)).filter(isAlive)
      }
      yield* Effect.promise(async () => {
        for (let time = 0; time < 5; time++) {
          const pids = join(root, `pids-${randomUUID()}`)
          const program = join(import.meta.dirname, "fixtures", "mcpRun.ts")
          const child = Bun.spawn([process.execPath, program, root, provider.v1, pids], { stdout: "ignore", stderr: "pipe" })
          await vi.waitFor(() => expect(provider.requests.length).toBe(time + 1), 20_000)
          // The server and the child that it leaves in a session of its own.
          await vi.waitFor(() => expect(left(pids).length).toBeGreaterThan(1), 5000)
          child.kill("SIGKILL")
          await child.exited
          await vi.waitFor(() => expect(left(pids)).toEqual([]), { timeout: 1000, interval: 20 })
        }
      })
    }),
  )
})
