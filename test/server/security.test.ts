/**
 * What others have been attacked by, tried on a server: foreign hosts and pages, forms, filters, paths, sizes, streams, tokens, deliveries.
 */
import { mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import * as HttpApi from "@effect/platform/HttpApi"
import * as Commands from "@smithers/core/Commands"
import { Api } from "@smithers/server/http/Api"
import * as Deliveries from "@smithers/server/http/Deliveries"
import * as Hooks from "@smithers/server/http/Hooks"
import { listen } from "@smithers/server/http/Listen"
import * as Tokens from "@smithers/server/http/Tokens"
import * as Effect from "effect/Effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import ship, { pay } from "../cli/fixtures/workflows.ts"
import * as Local from "./Local.ts"

interface Endpoint {
  readonly method: string
  readonly path: string
}

const endpoints: ReadonlyArray<Endpoint> = (() => {
  const found: Array<Endpoint> = []
  HttpApi.reflect(Api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint: { method, path } }) =>
      void found.push({
        method,
        path: `${path.replace(":id", "r").replace(":node", "ok").replace(":attempt", "1").replace(":name", "none")}${path.endsWith("/diff") ? "?a=1&b=1" : ""}`,
      }),
  })
  return found
})()
const reads = endpoints.filter(({ method }) => method === "GET")
const writes = endpoints.filter(({ method }) => method !== "GET")

const bounds = { bodyBytes: 2000, bodyMs: 100 }
const streams = { streamsOfCaller: 3, waitingBytes: 20_000, keepAliveMs: 50 }

describe("a server", () => {
  let local: Local.Local
  let hooks: ReadonlyArray<Hooks.Hook> = []
  let named: () => ReadonlyArray<Tokens.Token> = () => []
  beforeAll(async () => {
    local = await Local.make({ bounds, streams, hooks: () => hooks, tokens: () => [...Local.tokens, ...named()] })
    await local.run(Effect.zipRight(ship.run({ spec: "x" }, { runId: "r", tags: ["t"] }), pay.run({ order: "o" }, { runId: "p" })))
  })
  afterAll(() => local.close())
  const state = () => local.run(Effect.flatMap(Effect.succeed(local.storage), (store) => store.events("r")))

  it("answers no request for another host, on any path, so that no name that leads here serves a page of others", async () => {
    const paths = [
      ...endpoints.map(({ path }) => path),
      "/",
      "/healthz",
      "/readyz",
      "/metrics",
      "/mcp",
      "/hooks/a/b",
      "/api/v1/events",
    ]
    for (const path of paths)
      for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:4280", ""])
        expect([path, (await local.ask(path, { headers: { host } })).status]).toEqual([path, 421])
  })

  it("answers no request of a page of another origin, on any path", async () => {
    for (const path of [...endpoints.map(({ path }) => path), "/metrics", "/api/v1/events", "/"])
      for (const origin of ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
        expect([path, (await local.ask(path, { headers: { origin } })).status]).toEqual([path, 403])
    expect((await local.ask("/api/v1/runs", { headers: { "sec-fetch-site": "cross-site" } })).status).toBe(403)
    expect((await local.ask("/api/v1/runs", { headers: { origin: `http://${Local.host}` } })).status).toBe(200)
    expect((await local.ask("/api/v1/runs")).headers.get("access-control-allow-origin")).toBeNull()
  })

  it("takes no form and no plain text, with which pages of others send requests without asking", async () => {
    const before = await state()
    for (const { path } of writes)
      for (const type of [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain;application/json",
        "",
      ])
        expect([path, (await local.ask(path, { body: "{}", headers: { "content-type": type } })).status]).toEqual([path, 415])
    expect(await state()).toEqual(before)
  })

  it("changes nothing by a request that reads", async () => {
    const before = await state()
    for (const { path } of writes.filter(({ path }) => !reads.some((read) => read.path === path)))
      for (const method of ["GET", "HEAD"]) {
        const { status, headers } = await local.ask(path, { method })
        // One could also be the name of a workflow, and there is none of that name.
        const isName = path === "/api/v1/workflows/check"
        expect([path, status, headers.get("allow")]).toEqual(isName ? [path, 404, null] : [path, 405, "POST"])
      }
    for (const { path } of reads) await local.ask(path)
    expect(await state()).toEqual(before)
    for (const { path } of writes)
      for (const method of ["PUT", "PATCH", "DELETE"])
        expect((await local.ask(path, { method, headers: { "content-type": "application/json" } })).status).toBe(405)
  })

  it("asks every path of the API for a token, and says nothing of what was given", async () => {
    for (const { method, path } of endpoints)
      for (const token of ["", "wrong", "ADMIN", "admi", "adminn"]) {
        const { status, text, headers } = await local.ask(path, { token, method, ...(method === "GET" ? {} : { body: {} }) })
        expect([path, token, status]).toEqual([path, token, 401])
        expect(headers.get("www-authenticate")).toContain("Bearer")
        if (token !== "") expect(text).not.toContain(token)
      }
    for (const path of ["/metrics", "/api/v1/events", "/api/v1/openapi.json"])
      expect((await local.ask(path, { token: "" })).status).toBe(401)
    expect((await local.ask("/api/v1/runs?token=admin", { token: "" })).status).toBe(401)
  })

  it("lets a token do what its scope holds, and no more", async () => {
    const allowed = async (token: string) => {
      const found = new Set<string>()
      for (const { method, path } of endpoints) {
        const body = method === "GET" ? {} : { body: bodyOf(path) }
        const { tag, status } = await local.ask(path.replace("/r/", "/none/"), { token, ...body })
        expect([path, tag]).not.toEqual([path, "InvalidRequest"])
        if (tag !== "Forbidden") found.add(`${method} ${path.replace("/api/v1", "")}`)
        else expect(status).toBe(403)
      }
      return found
    }
    const [none, read, decide, operate, admin] = await Promise.all(["metrics", "read", "decide", "operate", "admin"].map(allowed))
    expect(none?.size).toBe(0)
    const lookups = reads.filter(({ path }) => !path.startsWith("/api/v1/workflows/"))
    expect([...(read ?? [])].sort()).toEqual(lookups.map(({ path }) => `GET ${path.replace("/api/v1", "")}`).sort())
    const more = (one?: Set<string>, other?: Set<string>) => [...(other?.difference(one ?? new Set()) ?? [])].sort()
    expect(more(read, decide)).toEqual(["POST /runs/r/answer", "POST /runs/r/approve", "POST /runs/r/deny"])
    expect(more(operate, admin)).toEqual(["POST /runs/r/revert"])
    expect(admin?.size).toBe(endpoints.length)
    expect((await local.ask("/metrics", { token: "metrics" })).status).toBe(200)
    expect((await local.ask("/api/v1/events?all=1", { token: "metrics" })).status).toBe(403)
  })
  const bodyOf = (path: string): object => {
    const last = path.split("/").at(-1)
    const decision = { node: "ok", requestId: "1-a", digest: "a" }
    if (last === "approve" || last === "deny") return decision
    if (last === "answer") return { ...decision, value: 1 }
    if (last === "publish") return { name: "a", id: "1" }
    if (last === "signal") return { name: "a", id: "1" }
    if (last === "retry") return { node: "ok" }
    if (last === "leave") return { node: "ok", outcome: "completed" }
    if (last === "schedules") return { workflow: "none", id: "s", cron: "0 0 * * *" }
    return last === "check" || last === "runs" ? { workflow: "none" } : {}
  }

  it("refuses fields that it does not know, and takes none for a part of a query", async () => {
    for (const { path } of reads)
      for (const query of ["nope=1", "status[$ne]=x", "tag%20OR%201=1", "constructor[prototype]=1"])
        expect([path, (await local.ask(`${path}${path.includes("?") ? "&" : "?"}${query}`)).status]).toEqual([path, 400])
    for (const { path } of writes)
      expect([path, (await local.ask(path, { body: { ...bodyOf(path), nope: 1 } })).tag]).toEqual([path, "InvalidRequest"])
    const listed = async (query: string) =>
      (JSON.parse((await local.ask(`/api/v1/runs?${query}`)).text) as { runs: unknown[] }).runs.length
    expect(await listed("tag=t")).toBe(1)
    for (const text of ["' OR 1=1 --", "%", "_", "*", "t\u0000", '"]}', "t' UNION SELECT 1 --"])
      for (const name of ["tag", "workflow", "parent", "forkedFrom", "q"])
        expect([name, text, await listed(`${name}=${encodeURIComponent(text)}`)]).toEqual([name, text, 0])
    expect((await local.ask(`/api/v1/runs/${encodeURIComponent("r' OR '1'='1")}`)).tag).toBe("RunNotFound")
    expect((await local.ask("/api/v1/runs?limit=100000")).status).toBe(400)
    expect((await local.ask(`/api/v1/runs/r/outputs?table=${encodeURIComponent('ship_ok"; DROP TABLE smithers_runs')}`)).text).toBe(
      '{"rows":[]}',
    )
    const polluted = await local.ask("/api/v1/runs/r/signal", { body: '{"name":"a","id":"1","__proto__":{"x":1}}' })
    expect(polluted.status).toBe(400)
    expect(({} as { readonly x?: number }).x).toBeUndefined()
  })

  it("loads no file outside of its folder, by whatever path", async () => {
    const outside = join(local.folder, "..", `outside-${process.pid}.ts`)
    writeFileSync(outside, "throw new Error('loaded')\n")
    mkdirSync(join(local.folder, "in"))
    symlinkSync(outside, join(local.folder, "link.ts"))
    symlinkSync("/etc", join(local.folder, "etc"))
    const name = outside.split("/").at(-1)
    for (const workflow of [
      outside,
      `../${name}`,
      `in/../../${name}`,
      `./in/.././../${name}#x`,
      "link.ts",
      "etc/hostname",
      "/etc/passwd",
      "..",
      "/",
    ]) {
      for (const path of ["/api/v1/runs", "/api/v1/workflows/check"])
        expect([workflow, (await local.ask(path, { body: { workflow } })).tag]).toEqual([workflow, "OutsideRoot"])
      // It is another path.
      if (workflow === "..") continue
      expect([workflow, (await local.ask(`/api/v1/workflows/${encodeURIComponent(workflow)}`)).tag]).toEqual([
        workflow,
        "OutsideRoot",
      ])
    }
    for (const workflow of ["--db=/tmp/x", "", "a\u0000b.ts", "%2e%2e/x"])
      expect(["NoSuchWorkflow", "OutsideRoot", "InvalidWorkflowFile"]).toContain(
        (await local.ask("/api/v1/runs", { body: { workflow } })).tag,
      )
  })

  it("bounds bodies, addresses and requests in a second", async () => {
    const post = (body: string) => local.ask("/api/v1/runs/r/pause", { body })
    expect((await post(JSON.stringify("x".repeat(3000)))).tag).toBe("BodyTooLarge")
    expect((await post(`${"[".repeat(100)}${"]".repeat(100)}`)).tag).toBe("BodyTooDeep")
    expect((await post("{")).tag).toBe("InvalidRequest")
    expect((await local.ask(`/api/v1/runs?q=${"x".repeat(9000)}`)).status).toBe(414)
    const other = await Local.make({ bounds: { perSecond: 5 } })
    const statuses = await Promise.all(Array.from({ length: 30 }, () => other.ask("/healthz", { token: "" })))
    expect(statuses.filter(({ status }) => status === 429).length).toBeGreaterThan(10)
    expect(statuses.find(({ status }) => status === 429)?.headers.get("retry-after")).toBe("1")
    // Each token has its own count.
    expect((await other.ask("/healthz", { token: "read" })).status).toBe(200)
    await other.close()
  })

  it("ends a request whose body comes too slowly or never stops, over a real connection", async () => {
    const { port } = await local.within(listen(local.app, { host: "127.0.0.1", port: 0 }))
    const said = (head: ReadonlyArray<string>, parts: ReadonlyArray<string>, apartMs = 0) =>
      new Promise<string>((resolve) => {
        let text = ""
        const socket = connect(port, "127.0.0.1", async () => {
          socket.write(
            `POST /api/v1/runs/r/pause HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer admin\r\ncontent-type: application/json\r\n${head.join("\r\n")}\r\n\r\n`,
          )
          for (const part of parts) {
            socket.write(part)
            await Bun.sleep(apartMs)
          }
        })
        socket.on("error", () => {})
        socket.on("data", (data) => {
          text += String(data)
          socket.destroy()
        })
        socket.on("close", () => resolve(text))
      })
    expect(
      await said(
        ["content-length: 100"],
        Array.from({ length: 20 }, () => " "),
        20,
      ),
    ).toContain("408")
    expect(await said(["content-length: 100000"], ["{"])).toContain("413")
    expect(
      await said(
        ["transfer-encoding: chunked"],
        Array.from({ length: 5 }, () => `3e8\r\n${" ".repeat(1000)}\r\n`),
      ),
    ).toContain("413")
  })

  it("bounds the streams of a caller, and closes one whose client does not read or whose token is gone", async () => {
    const folder = join(local.folder, "smithers.db.tokens")
    const token = await Effect.runPromise(Tokens.add(folder, { name: "eve", scope: "read", createdAt: 0 }))
    expect(statSync(folder).mode & 0o777).toBe(0o600)
    named = Tokens.current({ name: "none", scope: "metrics", hash: Tokens.hashOf("none of them") }, folder)
    const open = (token: string, query = "runs=r") =>
      local.app(
        new Request(`http://${Local.host}/api/v1/events?${query}`, {
          headers: { host: Local.host, authorization: `Bearer ${token}` },
        }),
      )
    const mine = await Promise.all([open(token), open(token), open(token)])
    expect(mine.map(({ status }) => status)).toEqual([200, 200, 200])
    expect((await open(token)).status).toBe(429)
    const others = await open("read", "runs=p")
    expect(others.status).toBe(200)
    // Nobody reads it while it gets more than may wait.
    await local.run(
      Effect.zipRight(
        Effect.forEach(Array.from({ length: 400 }).keys(), (number) =>
          Commands.signal("p", "paid", { id: `flood-${number}`, correlation: "x".repeat(200) }),
        ),
        pay.run({ order: "o" }, { runId: "p" }),
      ),
    )
    // Time for its next comment, by which it is found not to read.
    await Bun.sleep(500)
    await Effect.runPromise(Tokens.remove(folder, "eve"))
    // Another token of that name opens nothing that was closed.
    const next = await Effect.runPromise(Tokens.add(folder, { name: "eve", scope: "read", createdAt: 1 }))
    expect((await local.ask("/api/v1/runs", { token: next })).status).toBe(200)
    expect((await local.ask("/api/v1/runs", { token })).status).toBe(401)
    const ended = async (response: Response) => {
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      for (let bytes = 0; ; ) {
        const { done, value } = await reader.read()
        if (done) return bytes
        bytes += value.length
      }
    }
    for (const response of mine) expect(await ended(response)).toBeGreaterThan(0)
    expect(await ended(others)).toBeGreaterThan(20_000)
  })

  it("has headers on every reply by which no page runs or frames what is not its own", async () => {
    for (const [path, token] of [
      ["/api/v1/runs", "read"],
      ["/api/v1/runs", ""],
      ["/", ""],
      ["/healthz", ""],
      ["/metrics", "read"],
      ["/x", "read"],
    ] as const) {
      const { headers } = await local.ask(path, { token })
      expect(headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'")
      expect(headers.get("content-security-policy")).not.toContain("unsafe")
      expect(headers.get("x-content-type-options")).toBe("nosniff")
      expect(headers.get("x-frame-options")).toBe("DENY")
      expect(headers.get("cache-control")).toBe("no-store")
    }
  })

  describe("takes a delivery", () => {
    const file = () => join(local.folder, "smithers.db.hooks")
    const now = () => Math.floor(Date.now() / 1000)
    const send = (
      secret: string,
      body: string,
      { id = "d-1", at = now(), path = "/hooks/pay/paid?correlation=o2", signature = Deliveries.sign(secret, id, at, body) } = {},
    ) =>
      local.ask(path, {
        token: "",
        body,
        headers: { "webhook-id": id, "webhook-timestamp": String(at), "webhook-signature": signature },
      })

    it("only if it is signed by the secret of its hook, lately, and whole", async () => {
      await local.run(pay.run({ order: "o2" }, { runId: "p2" }))
      const secret = await Effect.runPromise(Hooks.add(file(), { workflow: "pay", signal: "paid", createdAt: 0 }))
      const other = await Effect.runPromise(Hooks.add(file(), { workflow: "pay", signal: "other", createdAt: 0 }))
      expect(statSync(file()).mode & 0o777).toBe(0o600)
      hooks = await Effect.runPromise(Hooks.list(file()))
      const body = '{"amount":3}'
      const refused = async (reply: ReturnType<typeof send>) =>
        expect(await reply).toMatchObject({ status: 401, tag: "BadSignature" })
      await refused(send(other, body))
      await refused(send(secret, body, { signature: "" }))
      await refused(send(secret, body, { signature: Deliveries.sign(secret, "d-1", now(), '{"amount":4}') }))
      await refused(send(secret, body, { signature: Deliveries.sign(secret, "d-2", now(), body) }))
      await refused(send(secret, body, { at: now() - Deliveries.windowSeconds - 5 }))
      await refused(send(secret, body, { at: now() + Deliveries.windowSeconds + 5 }))
      await refused(send(secret, body, { path: "/hooks/pay/none" }))
      await refused(send(secret, body, { path: "/hooks/pay/paid/more" }))
      await refused(send(secret, body, { path: "/hooks/%zz/paid" }))
      expect((await local.ask("/hooks/pay/paid", { token: "" })).status).toBe(404)
      expect((await local.storage.waits({ runIds: ["p2"] }).pipe(Effect.runPromise))[0]?.isAnswered).toBe(false)
    })

    it("once by its id, to the runs that waited when it came first", async () => {
      const { secret } = hooks.find(({ signal }) => signal === "paid") as Hooks.Hook
      const body = '{"amount":3}'
      expect(await send(secret, body)).toMatchObject({ status: 200, text: '{"runs":["p2"]}' })
      expect(await local.run(Effect.map(pay.resume("p2"), (result) => result))).toMatchObject({ amount: 3 })
      await local.run(pay.run({ order: "o2" }, { runId: "p3" }))
      expect(await send(secret, body, { at: now() - 1 })).toMatchObject({ status: 200, text: '{"runs":["p2"]}' })
      expect(await send(secret, '{"amount":5}')).toMatchObject({ status: 409, tag: "DeliveryTaken" })
      expect((await Effect.runPromise(local.storage.waits({ runIds: ["p3"] })))[0]?.isAnswered).toBe(false)
      const nobody = { id: "d-2", path: "/hooks/pay/paid?correlation=none" }
      expect(await send(secret, body, nobody)).toMatchObject({ status: 404, tag: "NoReceiver" })
      expect(await send(secret, body, { id: "d-3", path: "/hooks/pay/paid?run=r" })).toMatchObject({
        status: 404,
        tag: "NoReceiver",
      })
      expect(await send(secret, body, { id: "d-4", path: "/hooks/pay/paid?run=p3&correlation=o2" })).toMatchObject({ status: 200 })
      expect(await send(secret, "{", { id: "d-5" })).toMatchObject({ status: 400 })
      const event = await Effect.runPromise(Hooks.add(file(), { workflow: null, signal: "paid", createdAt: 1 }))
      hooks = await Effect.runPromise(Hooks.list(file()))
      const late = { id: "d-7", path: "/hooks/paid?correlation=o7" }
      // Nobody waits yet: the event is kept, and the first that comes takes it.
      expect(await send(event, body, late)).toMatchObject({ status: 200, text: expect.stringContaining('"runs":[]') })
      expect(await local.run(pay.execute({ order: "o7" }, { runId: "p7" }))).toMatchObject({ amount: 3 })
      expect(await send(event, body, late)).toMatchObject({ status: 200, text: expect.stringContaining('"runs":["p7"]') })
      expect(await send(event, '{"amount":4}', late)).toMatchObject({ status: 409, tag: "EventIdTaken" })
      expect(await send(secret, body, late)).toMatchObject({ status: 401 })
      expect(await send(event, body, { id: "d-8", path: "/hooks/paid?run=p7" })).toMatchObject({ status: 400 })
      await Effect.runPromise(Hooks.remove(file(), { workflow: "pay", signal: "paid" }))
      hooks = await Effect.runPromise(Hooks.list(file()))
      expect((await send(secret, body, { id: "d-6" })).status).toBe(401)
    })
  })
})
