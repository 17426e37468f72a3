/**
 * The tools of models, driven by the client of the SDK: over standard input and output, and over HTTP through the guard.
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js"
import { CallToolResultSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { servicesOf } from "@smithers/cli/actions/serve"
import * as App from "@smithers/server/http/App"
import { hashOf, type Token } from "@smithers/server/http/Tokens"
import * as McpHttp from "@smithers/server/mcp/Http"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import * as Canary from "../canary/Canary.ts"
import { type Folder, folder } from "./Fixture.ts"

let place: Folder
const closing: Array<() => Promise<unknown>> = []

beforeEach(() => {
  place = folder()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  place.remove()
})

/** Answers of the person behind a client. Without them, the client cannot ask. */
interface Person {
  readonly asked: Array<string>
  answer: boolean
}

interface Reply {
  readonly isError: boolean
  readonly value: { readonly [name: string]: unknown }
}

const connect = async (transport: Transport, person: Person | undefined) => {
  const client = new Client({ name: "scripted", version: "1" }, { capabilities: person === undefined ? {} : { elicitation: {} } })
  if (person !== undefined)
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      person.asked.push(params.message)
      return { action: "accept", content: { confirm: person.answer } }
    })
  await client.connect(transport)
  closing.push(() => client.close())
  // The client holds each reply against the output schema of its tool once it has listed them.
  const { tools } = await client.listTools()
  const call = async (name: string, args: { readonly [name: string]: unknown } = {}): Promise<Reply> => {
    const reply = CallToolResultSchema.parse(await client.callTool({ name, arguments: { ...args } }))
    const [content] = reply.content
    if (content?.type !== "text") throw new Error("a reply has text")
    const value = JSON.parse(content.text) as Reply["value"]
    if (reply.isError !== true) expect(reply.structuredContent).toEqual(value)
    return { isError: reply.isError === true, value }
  }
  const tell = async (name: string, args: { readonly [name: string]: unknown } = {}): Promise<Reply["value"]> => {
    const { isError, value } = await call(name, args)
    if (isError) throw new Error(`${name} failed: ${JSON.stringify(value)}`)
    return value
  }
  return { client, tools, call, tell }
}

const stdio = (args: ReadonlyArray<string> = [], person?: Person, env: { readonly [name: string]: string } = {}) =>
  connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [place.bin, "mcp", ...args],
      cwd: place.path,
      stderr: "inherit",
      env: { PATH: process.env.PATH ?? "", USER: "tester", ...env },
    }),
    person,
  )

const request = (value: Reply["value"]) => {
  const [wait] = value.waits as ReadonlyArray<{ readonly requestId: string; readonly digest: string }>
  if (wait === undefined) throw new Error("no request is open")
  return { requestId: wait.requestId, digest: wait.digest }
}

describe("the tools over standard input and output", () => {
  it("start, watch, explain and continue a run; a person confirms the approval, and the decision has the client's name", async () => {
    const person: Person = { asked: [], answer: false }
    const { tools, call, tell } = await stdio([], person)
    for (const { description, inputSchema, outputSchema, annotations } of tools) {
      expect(description).toMatch(/^[A-Z][a-z]+s .+\.$/)
      expect([inputSchema.type, outputSchema?.type]).toEqual(["object", "object"])
      expect(annotations).toBeDefined()
    }
    await tell("start_run", { workflow: "workflow.ts", input: { spec: "a login" }, runId: "r1", tags: ["mine"] })
    const watched = await tell("watch_run", { runId: "r1" })
    expect(watched).toMatchObject({ isTimeout: false, run: { status: "waiting-approval", tags: ["mine"] } })
    expect(await tell("why", { runId: "r1" })).toMatchObject({ status: "waiting-approval" })
    const open = request(await tell("list_inbox"))
    const stale = await call("approve", { runId: "r1", node: "ok", ...open, digest: "other" })
    expect(stale).toMatchObject({ isError: true, value: { error: { tag: "StaleRequest" } } })
    expect(person.asked).toEqual([])
    expect(await call("approve", { runId: "r1", node: "ok", ...open })).toMatchObject({
      value: { error: { tag: "PersonDeclined" } },
    })
    expect(person.asked.at(-1)).toContain("Ship this diff?")
    expect(person.asked.at(-1)).toContain("adds a login")
    person.answer = true
    expect(await tell("approve", { runId: "r1", node: "ok", ...open })).toMatchObject({ by: "mcp:scripted" })
    await tell("resume", { runId: "r1" })
    await tell("watch_run", { runId: "r1" })
    expect(await tell("get_run", { runId: "r1" })).toMatchObject({ run: { status: "finished" }, output: "shipped: adds a login" })
    for (const name of ["get_plan", "timeline", "events", "get_outputs", "get_costs"]) await tell(name, { runId: "r1" })
    await tell("get_node", { runId: "r1", nodeId: "deploy" })
    await tell("get_transcript", { runId: "r1", nodeId: "deploy", attempt: 1 })
    const preview = await tell("fork", { runId: "r1", before: "deploy", dryRun: true })
    expect(preview).toMatchObject({ isDryRun: true, rerun: [{ nodeId: "deploy" }] })
    await tell("diff", { a: { runId: "r1", frame: 1 }, b: { runId: "r1" } })
    expect(await tell("plan_diff", { workflow: "workflow.ts", runId: "r1" })).toMatchObject({ difference: { changed: [] } })
    expect((await tell("list_runs")).runs).toHaveLength(1)
  })

  it("refuse decisions where the client cannot ask, unless the operator allows them", async () => {
    await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "r1")
    const { tell, call } = await stdio()
    const open = request(await tell("list_inbox"))
    const refused = await call("deny", { runId: "r1", node: "ok", ...open })
    expect(refused).toMatchObject({ isError: true, value: { error: { tag: "PersonNeeded" } } })
    expect((await tell("list_inbox")).waits).toHaveLength(1)
    const trusted = await stdio(["--allow-approve"])
    expect(await trusted.tell("deny", { runId: "r1", node: "ok", ...open })).toMatchObject({ by: "mcp:scripted" })
  })

  it("never decide what the run asks that the client works in, nor its forks", async () => {
    await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "r1")
    await place.run("up", "workflow.ts", "--input", '{"spec":"y"}', "--run-id", "r2")
    const { tell, call } = await stdio(["--allow-approve", "--for-run", "r1"])
    await tell("fork", { runId: "r1", before: "ok", dryRun: false })
    const { runs } = (await tell("list_runs", { forkedFrom: "r1" })) as { readonly runs: ReadonlyArray<{ readonly runId: string }> }
    const fork = runs[0]?.runId ?? ""
    await tell("resume", { runId: fork })
    await tell("watch_run", { runId: fork })
    const { waits } = (await tell("list_inbox")) as {
      readonly waits: ReadonlyArray<{ readonly runId: string; readonly requestId: string; readonly digest: string }>
    }
    expect(waits.map(({ runId }) => runId).sort()).toEqual([fork, "r1", "r2"].sort())
    for (const { runId, requestId, digest } of waits) {
      const { isError, value } = await call("approve", { runId, node: "ok", requestId, digest })
      if (runId === "r2") expect(isError).toBe(false)
      else expect(value).toMatchObject({ error: { tag: "OwnRequest" } })
    }
  })

  it("offer only what reads with --read-only, refuse paths outside of the root, and name what is wrong with arguments", async () => {
    await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "r1")
    const reader = await stdio(["--read-only"])
    expect(reader.tools.every(({ annotations }) => annotations?.readOnlyHint)).toBe(true)
    await expect(reader.client.callTool({ name: "cancel", arguments: { runId: "r1" } })).rejects.toThrow(/no tool "cancel"/)
    const { call } = await stdio()
    const outside = await call("start_run", { workflow: "../../etc/passwd.ts" })
    expect(outside.value).toMatchObject({ error: { tag: "OutsideRoot" } })
    expect(JSON.stringify(outside.value)).toContain("is not within")
    const wrong = await call("get_run", { run: "r1" })
    expect(wrong.value).toMatchObject({ error: { tag: "InvalidArguments" } })
    expect(JSON.stringify(wrong.value)).toContain("runId")
    expect((await call("get_run", { runId: "none" })).value).toMatchObject({ error: { tag: "RunNotFound" } })
  })

  it("have resources of runs and of the documentation, and prompts", async () => {
    await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "r1")
    const { client } = await stdio()
    const { resources } = await client.listResources()
    const quickstart = resources.find(({ uri }) => uri === "smithers://docs/quickstart")
    expect(quickstart?.title).toBeDefined()
    const read = async (uri: string) => {
      const [content] = (await client.readResource({ uri })).contents
      return content !== undefined && "text" in content ? content.text : ""
    }
    expect(await read("smithers://docs/quickstart")).toMatch(/^# /)
    expect(JSON.parse(await read("smithers://runs/r1"))).toMatchObject({ run: { runId: "r1" } })
    expect(JSON.parse(await read("smithers://runs/r1/plan")).nodes.length).toBeGreaterThan(0)
    expect(JSON.parse(await read("smithers://runs/r1/events")).events.length).toBeGreaterThan(0)
    await expect(read("smithers://docs/../package")).rejects.toThrow(/no resource/)
    await expect(read("smithers://runs/none")).rejects.toThrow(/none/)
    const { messages } = await client.getPrompt({ name: "repair_run", arguments: { runId: "r1" } })
    expect(JSON.stringify(messages)).toContain("r1")
  })

  it("let an agent that has only them and the documentation write, run, debug and repair a workflow", async () => {
    mkdirSync(join(place.path, "workflows"))
    const { client, call, tell } = await stdio()
    const [page] = (await client.readResource({ uri: "smithers://docs/quickstart" })).contents
    expect(page !== undefined && "text" in page ? page.text : "").toContain("createWorkflow")
    const source = (divisor: string, broken = "") => `import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
${broken}
export default Smithers.createWorkflow({ name: "share", input: Schema.Struct({ cakes: Schema.Number, guests: Schema.Number }) }).build(($) => {
  const bake = $.step("bake", { output: Schema.Number, run: ({ input }) => { console.log("baking"); return input.cakes } })
  const cut = $.step("cut", { needs: { bake }, output: Schema.Number, run: ({ input, bake }) => {
    if (${divisor} === 0) throw new Smithers.NonRetryable({ message: "nobody comes: divided by 0" })
    return bake / (${divisor})
  } })
  return $.sequence(bake, cut)
})
`
    // Writes it with a slip, which the check names.
    await tell("write_workflow", { name: "share", source: source("input.guests", "export const = 1") })
    expect(JSON.stringify((await call("check_workflow", { workflow: "share" })).value)).toContain("cannot be parsed")
    expect((await call("write_workflow", { name: "share", source: "" })).isError).toBe(true)
    await tell("write_workflow", { name: "share", source: source("input.guests"), overwrite: true })
    expect(await tell("check_workflow", { workflow: "share" })).toMatchObject({ workflow: "share", steps: 2, problems: [] })
    expect((await tell("list_workflows")).workflows).toMatchObject([{ name: "share" }])
    // Runs it, and finds out why it fails.
    await tell("start_run", { workflow: "share", input: { cakes: 6, guests: 0 }, runId: "party" })
    expect(await tell("watch_run", { runId: "party" })).toMatchObject({ run: { status: "failed" } })
    expect(JSON.stringify(await tell("why", { runId: "party" }))).toContain("divided by 0")
    expect(JSON.stringify(await tell("get_node", { runId: "party", nodeId: "cut" }))).toContain("nobody comes")
    // Repairs it, and sees before it continues that the finished step is kept.
    const { source: now } = await tell("read_workflow", { name: "share" })
    const repaired = String(now).replaceAll("input.guests", "Math.max(input.guests, 1)")
    await tell("write_workflow", { name: "share", source: repaired, overwrite: true })
    const difference = await tell("plan_diff", { workflow: "share", runId: "party" })
    expect(difference).toMatchObject({ problems: [], difference: { kept: expect.arrayContaining(["bake"]), removed: [] } })
    await tell("retry", { runId: "party", node: "cut" })
    await tell("resume", { runId: "party" })
    await tell("watch_run", { runId: "party" })
    expect(await tell("get_run", { runId: "party" })).toMatchObject({ run: { status: "finished" }, output: 6 })
    const { attempts } = (await tell("get_node", { runId: "party", nodeId: "bake" })) as {
      readonly attempts: ReadonlyArray<unknown>
    }
    expect(attempts).toHaveLength(1)
  })

  it("let no secret out that older rows hold", async () => {
    const [canary] = Canary.make()
    if (canary === undefined) throw new Error("there is a canary")
    // Stored before anybody called it a secret.
    await place.run("up", "workflow.ts", "--input", JSON.stringify({ spec: canary.value }), "--run-id", "r1")
    const { client, tools, call } = await stdio([], undefined, { LEAKED_VALUE: canary.value, SMITHERS_SECRETS: "LEAKED_VALUE" })
    const args: { readonly [tool: string]: object } = {
      get_node: { runId: "r1", nodeId: "implement" },
      get_transcript: { runId: "r1", nodeId: "implement", attempt: 1 },
      diff: { a: { runId: "r1", frame: 1 }, b: { runId: "r1" } },
      list_runs: {},
      list_inbox: {},
    }
    const said: Array<string> = []
    for (const { name, annotations } of tools) {
      if (annotations?.readOnlyHint !== true || name === "list_workflows" || name === "diff_attempts") continue
      said.push(JSON.stringify(await call(name, { ...(args[name] ?? { runId: "r1" }) })))
    }
    said.push(JSON.stringify(await call("get_run", { runId: canary.value })))
    said.push(JSON.stringify((await client.readResource({ uri: "smithers://runs/r1" })).contents))
    expect(said.join("\n")).toContain("LEAKED_VALUE")
    expect(Canary.leaks([canary], said.join("\n"))).toEqual([])
  })

  it("are configured for each client by mcp add", async () => {
    const { value } = await place.json("mcp", "add", "--read-only")
    const { clients } = value as { readonly clients: ReadonlyArray<{ readonly client: string; readonly text: string }> }
    expect(clients.map(({ client }) => client)).toEqual(["claude", "codex", "cursor", "vscode"])
    for (const { text } of clients) expect(text).toContain("--read-only")
    const { text = "" } = clients.find(({ client }) => client === "cursor") ?? {}
    const { command, args } = JSON.parse(text).mcpServers.smithers as { readonly command: string; readonly args: Array<string> }
    const { tools } = await connect(
      new StdioClientTransport({ command, args, env: { PATH: process.env.PATH ?? "" } }),
      undefined,
    ).catch((thrown: unknown) => ({ tools: String(thrown) }))
    // The folder has no database yet, which --read-only does not create.
    expect(tools).toContain("closed")
    expect((await place.run("mcp", "add", "emacs")).code).toBe(4)
  })
})

describe("the tools over HTTP", () => {
  it("pass the guard, ask the person within the call, and keep the connections of tokens apart", async () => {
    await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "r1")
    const scope = await Effect.runPromise(Scope.make())
    closing.push(() => Effect.runPromise(Scope.close(scope, Exit.void)))
    const file = place.file("smithers.db")
    const opened = SqliteStorage.make({ filename: file, access: "write" })
    const storage = await Effect.runPromise(Scope.extend(opened, scope))
    const tail = await Effect.runPromise(Scope.extend(opened, scope))
    const where = { self: [process.execPath, place.bin], file, root: place.path }
    const agents = { name: "agent", scope: "decide" as const, runId: "r1", hash: hashOf("agents") }
    let tokens: ReadonlyArray<Token> = [{ name: "ann", scope: "operate", hash: hashOf("anns") }, agents]
    const services = servicesOf(where, storage)
    const mcp = McpHttp.make({ storage, ...(await services()), pages: [], allowApprove: true })
    const app = await Effect.runPromise(Scope.extend(App.make({ storage, tail, services, mcp, tokens: () => tokens }), scope))
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: app, idleTimeout: 0 })
    closing.push(() => server.stop(true))
    const url = new URL(`http://127.0.0.1:${server.port}/mcp`)
    const opening = (token: string) =>
      new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization: `Bearer ${token}` } } })
    const person: Person = { asked: [], answer: true }
    const transport = opening("anns")
    const ann = await connect(transport as Transport, person)
    expect(ann.tools.map(({ name }) => name)).not.toContain("write_workflow")
    const open = request(await ann.tell("list_inbox"))
    const agent = await connect(opening("agents") as Transport, undefined)
    const own = await agent.call("approve", { runId: "r1", node: "ok", ...open })
    expect(own.value).toMatchObject({ error: { tag: "OwnRequest" } })
    const post = (token: string, more: { readonly [name: string]: string } = {}) =>
      fetch(url, {
        method: "POST",
        headers: {
          ...{ authorization: `Bearer ${token}`, "content-type": "application/json" },
          ...{ accept: "application/json, text/event-stream", ...more },
        },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
      })
    expect((await post("wrong")).status).toBe(401)
    expect((await post("anns", { origin: "http://evil.example" })).status).toBe(403)
    expect((await post("agents", { "mcp-session-id": transport.sessionId ?? "" })).status).toBe(404)
    // The name of the token decides, whatever the client calls itself.
    expect(await ann.tell("approve", { runId: "r1", node: "ok", ...open })).toMatchObject({ by: "ann" })
    expect(person.asked).toHaveLength(1)
    await ann.tell("resume", { runId: "r1" })
    expect(await ann.tell("watch_run", { runId: "r1" })).toMatchObject({ run: { status: "finished" } })
    // Another token of her name, with other rights, does not go on with those of the first one.
    const before = tokens
    tokens = [{ name: "ann", scope: "read", hash: hashOf("anns-next") }, agents]
    expect((await post("anns", { "mcp-session-id": transport.sessionId ?? "" })).status).toBe(401)
    expect((await post("anns-next", { "mcp-session-id": transport.sessionId ?? "" })).status).toBe(404)
    tokens = before
    await transport.terminateSession()
    expect((await post("anns", { "mcp-session-id": transport.sessionId ?? "gone" })).status).toBe(404)
  })
})
