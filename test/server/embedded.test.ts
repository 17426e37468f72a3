/**
 * The server in a program with an `HttpServer` and routes of its own.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as BunHttpServer from "@effect/platform-bun/BunHttpServer"
import { Client as Mcp } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Smithers } from "smithers-orchestrator"
import { type Client, connect, RequestFailed } from "smithers-orchestrator/client"
import { Server } from "smithers-orchestrator/server"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import letter from "./fixtures/letter.tsx"

class Names extends Context.Tag("test/Names")<Names, { readonly of: (word: string) => string }>() {}

const Ship = Smithers.createWorkflow({ name: "ship", input: Schema.Struct({ spec: Schema.String }) }).build(($) => {
  const diff = $.step("implement", {
    output: Schema.String,
    run: ({ input }) => Effect.map(Names, ({ of }) => `adds ${of(input.spec)}`),
  })
  const decision = $.approval("ok", { needs: { diff }, request: ({ diff }) => ({ title: "Ship this diff?", summary: diff }) })
  const deploy = $.step("deploy", { needs: { diff, decision }, output: Schema.String, run: ({ diff }) => `shipped: ${diff}` })
  return $.sequence(diff, decision, deploy)
})

const secret = "a-token-of-more-than-twenty"
const tokens = [
  { name: "ann", scope: "admin", token: Redacted.make(secret) },
  { name: "viewer", scope: "read", token: "another-token-of-a-viewer" },
] as const

const own = HttpLayerRouter.add("GET", "/hello", HttpServerResponse.text("hello"))

/** Serves a program until the scope closes; gives its address. */
const program = async (options: { readonly prefix?: string; readonly page?: boolean }, filename: string) => {
  const scope = Effect.runSync(Scope.make())
  const routes = Server.layer({ workflows: [Ship, letter], tokens, ...options })
  const app = HttpLayerRouter.serve(Layer.mergeAll(own, routes), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(Layer.succeed(Names, { of: (word) => word.toUpperCase() })),
    Layer.provide(Smithers.sqlite({ filename })),
    Layer.provideMerge(BunHttpServer.layer({ hostname: "127.0.0.1", port: 0 })),
    Layer.provide(Logger.minimumLogLevel(LogLevel.None)),
  )
  const { address } = Context.get(await Effect.runPromise(Layer.buildWithScope(app, scope)), HttpServer.HttpServer)
  if (address._tag !== "TcpAddress") throw new Error("it listens on no port")
  return { url: `http://127.0.0.1:${address.port}`, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const folder = mkdtempSync(join(tmpdir(), "smithers-embedded-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("a program with the server beside routes of its own", () => {
  let served: Awaited<ReturnType<typeof program>>
  let client: Client
  beforeAll(async () => {
    served = await program({ page: true }, join(folder, "smithers.db"))
    client = connect({ baseUrl: served.url, token: secret })
  })
  afterAll(() => served.close())
  const ask = (path: string, init: RequestInit = {}) => fetch(`${served.url}${path}`, init)

  it("answers on its own routes, and serves the page on all other paths", async () => {
    expect(await (await ask("/hello")).text()).toBe("hello")
    expect(await (await ask("/healthz")).json()).toEqual({ status: "ok" })
    const page = await ask("/")
    expect([page.status, page.headers.get("content-security-policy")]).toEqual([200, expect.stringContaining("default-src 'none'")])
  })

  it("starts a workflow of its own, streams its events as they are committed, and goes on after the approval", async () => {
    const { runId } = await client.startRun({ workflow: "ship", input: { spec: "a login" }, runId: "s1" })
    const seen: Array<string> = []
    for await (const message of client.follow({ runs: [runId] })) {
      if (message.event !== "run") continue
      seen.push(message.data.event._tag)
      if (message.data.event._tag === "WaitStarted") {
        const wait = (await client.readInbox()).waits.find((one) => one.runId === runId)
        if (wait?.requestId == null || wait.digest === null) throw new Error("the request is not in the inbox")
        await client.approve({ runId, node: wait.nodeId, requestId: wait.requestId, digest: wait.digest })
        await client.resume({ runId })
      }
      if (message.data.event._tag === "RunFinished") break
    }
    expect(seen).toContain("WaitStarted")
    const { run, output } = await client.readRun({ runId })
    expect([run.status, output]).toEqual(["finished", "shipped: adds A LOGIN"])
    expect((await client.readTimeline({ runId, limit: 50 })).frames.length).toBeGreaterThan(2)
  })

  const tagOf = (request: Promise<unknown>) =>
    request.then(
      () => undefined,
      (error: unknown) => (error instanceof RequestFailed ? [error.status, error.tag] : error),
    )

  it("refuses a run id that is taken, a wrong input and a workflow that it does not have, by the errors of the command", async () => {
    expect(await tagOf(client.startRun({ workflow: "ship", input: { spec: "x" }, runId: "s1" }))).toEqual([409, "RunIdTaken"])
    expect(await tagOf(client.startRun({ workflow: "ship", input: { spec: 3 } }))).toEqual([400, "InvalidInput"])
    expect(await tagOf(client.startRun({ workflow: "none" }))).toEqual([404, "NoSuchWorkflow"])
    await client.startRun({ workflow: "letter", input: {}, runId: "later", startAt: Date.now() + 3_600_000 })
    expect((await client.readRun({ runId: "later" })).run.status).toBe("waiting-timer")
    await client.cancel({ runId: "later" })
    await expect.poll(async () => (await client.readRun({ runId: "later" })).run.status).toBe("cancelled")
    expect(await tagOf(client.resume({ runId: "later" }))).toEqual([409, "RunWasCancelled"])
    expect(await tagOf(client.readDatabase())).toEqual([400, "NotHere"])
  })

  it("describes, checks, schedules and forks its workflows, built ones and those of components", async () => {
    const { workflows } = await client.listWorkflows()
    expect(workflows.map(({ name }) => name)).toEqual(["ship", "letter"])
    const shown = await client.describeWorkflow({ workflow: "ship" })
    expect([shown.workflow, shown.problem, shown.plan?.length]).toEqual(["ship", null, 1])
    expect(shown.input).toMatchObject({ properties: { spec: { type: "string" } } })
    expect((await client.describeWorkflow({ workflow: "letter" })).problem).toBe(null)
    const checked = await client.checkWorkflow({ workflow: "letter", input: { to: "Bo" } })
    expect(checked).toMatchObject({ workflow: "letter", steps: 1, problems: [] })
    expect(await tagOf(client.checkWorkflow({ workflow: "ship", input: { spec: 1 } }))).toEqual([400, "InvalidInput"])
    expect(await client.checkWorkflow({ workflow: "ship", against: "s1" })).toMatchObject({
      difference: { kept: ["implement", "ok", "deploy"], added: [], removed: [], changed: [] },
    })
    const { schedule } = await client.addSchedule({ workflow: "letter", cron: "@daily", input: { to: "Bo" }, catchUp: "6h" })
    expect(schedule).toMatchObject({ scheduleId: "letter", catchUpMs: 6 * 3_600_000 })
    const forked = await client.forkRun({ runId: "s1", before: "deploy", newRunId: "s2" })
    expect(forked).toMatchObject({ runId: "s2", from: "s1", rerun: [{ nodeId: "deploy" }] })
    await client.resume({ runId: "s2" })
    for await (const message of client.follow({ runs: ["s2"] }))
      if (message.event === "run" && message.data.event._tag === "RunFinished") break
  })

  it("checks hosts, origins, tokens, scopes and bodies as the command does", async () => {
    const bearer = { authorization: `Bearer ${secret}` }
    const json = { ...bearer, "content-type": "application/json" }
    const start = { method: "POST", body: '{"workflow":"ship","input":{"spec":"x"}}' }
    const status = async (path: string, init: RequestInit = {}) => (await ask(path, init)).status
    expect(await status("/api/v1/runs")).toBe(401)
    expect(await status("/api/v1/runs", { headers: bearer })).toBe(200)
    expect(await status("/api/v1/runs", { headers: { ...bearer, host: "evil.example" } })).toBe(421)
    expect(await status("/api/v1/runs", { headers: { ...bearer, origin: "http://evil.example" } })).toBe(403)
    expect(await status("/api/v1/runs", { ...start, headers: { ...bearer, "content-type": "text/plain" } })).toBe(415)
    expect(await status("/api/v1/runs", { ...start, headers: { ...json, authorization: `Bearer ${tokens[1].token}` } })).toBe(403)
    expect(await status("/api/v1/runs", { method: "POST", headers: json, body: `"${"x".repeat(1 << 20)}"` })).toBe(413)
    expect(await status("/metrics", { headers: bearer })).toBe(200)
  })

  it("serves tools of models", async () => {
    const mcp = new Mcp({ name: "test", version: "1" })
    const headers = { authorization: `Bearer ${secret}` }
    await mcp.connect(new StreamableHTTPClientTransport(new URL(`${served.url}/mcp`), { requestInit: { headers } }) as Transport)
    const { structuredContent } = await mcp.callTool({ name: "get_run", arguments: { runId: "s1" } })
    expect(structuredContent).toMatchObject({ output: "shipped: adds A LOGIN" })
    await mcp.close()
  })
})

describe("a program with the server behind a prefix", () => {
  it("serves the API there, and nothing of it elsewhere", async () => {
    const served = await program({ prefix: "/smithers" }, join(folder, "prefixed.db"))
    const client = connect({ baseUrl: `${served.url}/smithers`, token: secret })
    const { runId } = await client.startRun({ workflow: "letter", input: { to: "Bo" } })
    for await (const message of client.follow({ runs: [runId] }))
      if (message.event === "run" && message.data.event._tag === "RunFinished") break
    expect((await client.readRun({ runId })).output).toEqual({ text: "Dear Bo" })
    expect((await fetch(`${served.url}/api/v1/runs`)).status).toBe(404)
    expect(await (await fetch(`${served.url}/hello`)).text()).toBe("hello")
    await served.close()
  })
})

it("an invalid option is refused by its name, and no token is in the error", async () => {
  const refused = (options: object) => {
    const routes = Server.httpApp({ workflows: [letter], tokens, ...options })
    return Effect.runPromise(Effect.flip(Effect.scoped(Effect.provide(routes, Smithers.memory))))
  }
  expect(await refused({ tokens: [] })).toMatchObject({ _tag: "InvalidSetting", setting: "tokens" })
  expect(await refused({ tokens: [{ name: "a", scope: "read", token: "short" }] })).toMatchObject({ setting: "tokens.0.token" })
  expect((await refused({ tokens: [{ name: "a", scope: "read", token: "short" }] })).message).not.toContain("short")
  expect(await refused({ tokens: [tokens[0], tokens[0]] })).toMatchObject({ setting: "tokens.1.name" })
  expect(await refused({ tokens: [{ ...tokens[0], scope: "all" }] })).toMatchObject({ setting: "tokens.0.scope" })
  expect(await refused({ prefix: "smithers" })).toMatchObject({ setting: "prefix" })
  expect(await refused({ prefix: "/a", page: true })).toMatchObject({ setting: "page" })
  expect((await refused({ worklfows: [] })).message).toContain("worklfows")
})
