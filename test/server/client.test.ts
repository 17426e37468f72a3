/**
 * The client that users import, against a server of a store with real runs.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as HttpApi from "@effect/platform/HttpApi"
import { servicesOf } from "@smithers/cli/actions/serve"
import * as Commands from "@smithers/core/Commands"
import { onStorage } from "@smithers/core/Smithers"
import { ports, type StorageShape } from "@smithers/core/Storage"
import { routes } from "@smithers/server/client/Client"
import { Api } from "@smithers/server/http/Api"
import * as App from "@smithers/server/http/App"
import { listen } from "@smithers/server/http/Listen"
import { hashOf } from "@smithers/server/http/Tokens"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { type Client, connect, type Followed, RequestFailed, Unreachable } from "smithers-orchestrator/client"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import ship, { pay, triage } from "../cli/fixtures/workflows.ts"

describe("the client", () => {
  const folder = mkdtempSync(join(tmpdir(), "smithers-client-"))
  const filename = join(folder, "smithers.db")
  const scope = Effect.runSync(Scope.make())
  const within = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>, of = scope) => Effect.runPromise(Scope.extend(effect, of))
  let storage: StorageShape
  let server: Scope.CloseableScope
  let port = 0
  let client: Client

  /** Listens, on the same port as before. */
  const start = async () => {
    server = Effect.runSync(Scope.make())
    const place = { self: [], file: filename, root: folder }
    const other = await within(SqliteStorage.make({ filename, access: "write" }), server)
    const tail = await within(SqliteStorage.make({ filename, access: "read" }), server)
    const tokens = [{ name: "ann", scope: "admin" as const, hash: hashOf("anns") }]
    const options = { storage: other, tail, services: servicesOf(place, other) }
    const app = await within(App.make({ ...options, tokens: () => tokens }), server)
    const { port: given } = await within(listen(app, { host: "127.0.0.1", port }), server)
    port = given
  }
  const stop = () => Effect.runPromise(Scope.close(server, Exit.void))
  const run = <A, E>(effect: Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof onStorage>>>) =>
    Effect.runPromise(Effect.provide(effect, onStorage(Layer.succeedContext(ports(storage)))))

  beforeAll(async () => {
    storage = await within(SqliteStorage.make({ filename }))
    await run(
      Effect.all([
        ship.run({ spec: "a login" }, { runId: "a/b c%", tags: ["x"] }),
        triage.run({}, { runId: "t" }),
        pay.run({ order: "o" }, { runId: "p" }),
      ]),
    )
    await start()
    client = connect({ baseUrl: `http://127.0.0.1:${port}/`, token: "anns" })
  })
  afterAll(async () => {
    await stop()
    await Effect.runPromise(Scope.close(scope, Exit.void))
    rmSync(folder, { recursive: true, force: true })
  })

  it("has a method for every operation of the API", () => {
    const served = new Set<string>()
    HttpApi.reflect(Api, {
      onGroup: () => {},
      onEndpoint: ({ endpoint: { method, path } }) => void served.add(`${method} ${path.replaceAll(/:\w+/g, ":")}`),
    })
    const called = Object.values(routes).map(({ method, path }) => `${method} /api/v1${path.replaceAll(/:\w+/g, ":")}`)
    expect(called.toSorted()).toEqual([...served].toSorted())
  })

  it("bundles for browsers with nothing of a runtime or of Effect", async () => {
    const entry = Bun.resolveSync("smithers-orchestrator/client", import.meta.dirname)
    const { success, outputs } = await Bun.build({ entrypoints: [entry], target: "browser", minify: true })
    expect(success).toBe(true)
    const text = await (outputs[0] as Blob).text()
    expect(text).not.toMatch(/\brequire\(|node:|Bun\.|process\./)
    expect(text.length).toBeLessThan(8000)
  })

  it("reads runs, whatever their ids, with the types of the operations", async () => {
    const { runs, next } = await client.listRuns({ tag: "x", status: ["waiting-approval", "failed"], limit: 5 })
    expect(runs.map(({ runId, sentence }) => [runId, sentence])).toEqual([["a/b c%", "ok: approval: Ship this diff?"]])
    expect(next).toBeNull()
    const runId = "a/b c%"
    expect((await client.readRun({ runId })).input).toEqual({ spec: "a login" })
    expect((await client.readPlan({ runId, frame: 1 })).frame).toBe(1)
    expect((await client.readNode({ runId, nodeId: "implement" })).attempts).toHaveLength(1)
    expect((await client.compareRuns({ a: { runId, frame: 1 }, b: { runId } })).before.frame).toBe(1)
    expect((await client.countRuns()).byStatus["waiting-event"]).toBe(1)
    expect((await client.readWaits({ runId, all: false })).waits).toHaveLength(1)
  })

  it("decides, and fails with the error of the operation and its fields", async () => {
    const [wait] = (await client.readInbox({ kind: ["human"] })).waits
    const { requestId, digest } = wait as { readonly requestId: string; readonly digest: string }
    const answer = { runId: "t", node: "rate", requestId, value: { severity: "low", score: 1 } }
    const stale: unknown = await client.answer({ ...answer, digest: "0" }).catch((error: unknown) => error)
    expect(stale).toBeInstanceOf(RequestFailed)
    expect(stale).toMatchObject({ status: 409, tag: "StaleRequest", fields: { current: { digest } } })
    expect(await client.answer({ ...answer, digest })).toMatchObject({ by: "ann" })
    const late: unknown = await client.readRun({ runId: "none" }).catch((error: unknown) => error)
    expect(late).toMatchObject({ tag: "RunNotFound", status: 404 })
    const wrong = connect({ baseUrl: `http://127.0.0.1:${port}`, token: "wrong" })
    await expect(wrong.countRuns()).rejects.toMatchObject({ tag: "NoToken" })
    await expect(wrong.follow({ all: true }).next()).rejects.toMatchObject({ tag: "NoToken" })
    await expect(connect({ baseUrl: "http://127.0.0.1:1", token: "x" }).countRuns()).rejects.toBeInstanceOf(Unreachable)
  })

  it("follows runs by their ids, whatever is in them", async () => {
    const ids = ["one,two", "a b/c?d=e&f"]
    for (const runId of ids) await run(pay.run({ order: runId }, { runId }))
    const cut = new AbortController()
    const found = new Set<string>()
    for await (const message of client.follow({ runs: ids, signal: cut.signal })) {
      if (message.event === "run") found.add(message.data.runId)
      if (found.size === ids.length) cut.abort()
    }
    expect([...found].sort()).toEqual(ids.toSorted())
  })

  it("follows a run through the end of a server, without a gap and without an event twice", async () => {
    const cut = new AbortController()
    const found: Array<Followed> = []
    const following = (async () => {
      for await (const message of client.follow({ runs: ["p"], retryMs: 20, signal: cut.signal })) {
        found.push(message)
        if (message.event === "run" && message.data.event._tag === "RunFinished") cut.abort()
      }
    })()
    while (found.length < 2) await Bun.sleep(5)
    await stop()
    await run(Effect.zipRight(Commands.signal("p", "paid", { correlation: "o", payload: { amount: 1 }, id: "1" }), pay.resume("p")))
    await start()
    await following
    const seqs = found.map((message) => (message.event === "run" ? message.data.seq : 0))
    expect(seqs).toEqual(seqs.map((_, index) => index + 1))
    expect(found.length).toBeGreaterThan(3)
  })
})
