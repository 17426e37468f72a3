import { describe, expect, it } from "@effect/vitest"
import { servicesOf } from "@smithers/cli/actions/serve"
import { StoreRemoved } from "@smithers/core/Errors"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import { Storage } from "@smithers/core/Storage"
import * as App from "@smithers/server/http/App"
import { hashOf } from "@smithers/server/http/Tokens"
import * as Effect from "effect/Effect"

const served = Effect.gen(function* () {
  const kept = yield* Storage
  const isGone = { now: false }
  const gone = new StoreRemoved({ operation: "read", detail: "the file is not there" })
  const storage: typeof kept = {
    ...kept,
    runs: (filter) => (isGone.now ? Effect.fail(gone) : kept.runs(filter)),
    statistics: Effect.suspend(() => (isGone.now ? Effect.fail(gone) : kept.statistics)),
  }
  const tokens = [
    { name: "ada", scope: "admin" as const, hash: hashOf("owner") },
    { name: "eve", scope: "read" as const, hash: hashOf("reader") },
  ]
  const processes = { isWorking: () => false, begin: () => Effect.void }
  const place = { self: [], file: "none.db", root: import.meta.dirname }
  const services = servicesOf(place, storage)
  const app = yield* App.make({
    storage,
    tail: storage,
    services: async () => ({ ...(await services()), processes }),
    tokens: () => tokens,
    bounds: { bodyBytes: 2000, bodyMs: 50 },
    allowHosts: ["CI.example.com"],
  })
  const ask = (path: string, init: RequestInit & { readonly token?: string } = {}) => {
    const { token = "owner", ...rest } = init
    const headers = {
      host: "127.0.0.1:4280",
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
      ...(init.headers ?? {}),
    }
    return Effect.promise(async () => {
      const response = await app(new Request(`http://127.0.0.1:4280${path}`, { ...rest, headers }))
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: text === "" ? undefined : (JSON.parse(text) as unknown) }
    })
  }
  return Object.assign(ask, { isGone })
}).pipe(Effect.provide(MemoryStorage.layer))

const json = { "content-type": "application/json" }
const tagged = (tag: string) => ({ error: expect.objectContaining({ tag }) })

describe("the HTTP API", () => {
  it.scoped("answers with runs, and with the errors of the command", () =>
    Effect.gen(function* () {
      const ask = yield* served
      expect(yield* ask("/api/v1/runs")).toMatchObject({ status: 200, body: { runs: [], next: null } })
      expect(yield* ask("/api/v1/runs/nope/why")).toMatchObject({ status: 404, body: tagged("RunNotFound") })
      expect(yield* ask("/api/v1/runs?before=nope")).toMatchObject({ status: 404, body: tagged("RunNotFound") })
      expect(yield* ask("/api/v1/runs?limit=x")).toMatchObject({ status: 400, body: tagged("InvalidRequest") })
      expect(yield* ask("/api/v1/runs?statuss=failed")).toMatchObject({ status: 400, body: tagged("InvalidRequest") })
      expect(yield* ask("/api/v1/counts?x=1")).toMatchObject({ status: 400, body: tagged("InvalidRequest") })
      expect(yield* ask("/api/v1/nothing")).toMatchObject({ status: 404, body: tagged("NoSuchPath") })
      expect((yield* ask("/api/v1/openapi.json")).status).toBe(200)
      expect((yield* ask("/healthz", { token: "" })).status).toBe(200)
    }),
  )

  it.scoped("is alive and not ready while its store cannot be read, and is ready again afterwards", () =>
    Effect.gen(function* () {
      const ask = yield* served
      const status = (path: string) =>
        Effect.map(ask(path, { token: path.startsWith("/api") ? "owner" : "" }), ({ status }) => status)
      expect([yield* status("/healthz"), yield* status("/readyz")]).toEqual([200, 200])
      ask.isGone.now = true
      expect([yield* status("/healthz"), yield* status("/readyz")]).toEqual([200, 503])
      expect(yield* ask("/readyz", { token: "" })).toMatchObject({ body: tagged("StoreUnavailable") })
      expect(yield* ask("/metrics")).toMatchObject({ status: 503, body: tagged("StoreUnavailable") })
      expect(yield* ask("/api/v1/runs")).toMatchObject({ status: 503, body: tagged("StoreRemoved") })
      ask.isGone.now = false
      expect(yield* status("/readyz")).toBe(200)
    }),
  )

  it.scoped("says once what is wrong with a field, and which methods a path takes", () =>
    Effect.gen(function* () {
      const ask = yield* served
      const { body } = yield* ask("/api/v1/runs/r/plan?frame=x")
      expect(body).toMatchObject({ error: { tag: "InvalidRequest", issues: ['frame: Unable to decode "x" into a number'] } })
      expect(
        yield* ask("/api/v1/runs/r/leave", { method: "POST", headers: json, body: '{"node":"a","outcome":"skipped"}' }),
      ).toMatchObject({
        status: 400,
        body: { error: { issues: ['outcome: Expected one of "completed", "cancelled", actual "skipped"'] } },
      })
      const { body: listed } = yield* ask("/api/v1/runs?status=bogus")
      expect(listed).toMatchObject({
        error: {
          issues: [expect.stringMatching(/^status\.0: Expected one of "running", .*, actual "bogus"$/)],
        },
      })
      const wrong = yield* ask("/api/v1/runs/r/pause")
      expect(wrong).toMatchObject({ status: 405, body: tagged("WrongMethod") })
      expect(wrong.headers.get("allow")).toBe("POST")
      expect(JSON.stringify(wrong.body)).toContain("This path takes POST, and not GET.")
      expect((yield* ask("/api/v1/runs", { method: "PUT", headers: json, body: "{}" })).headers.get("allow")).toBe("GET, POST")
      // What is not there is not a question of the method.
      expect(yield* ask("/api/v1/runs/nope/why", { method: "HEAD" })).toMatchObject({ status: 404 })
    }),
  )

  it.scoped("answers for the host of its proxy, and for its page there, but for none that only looks like it", () =>
    Effect.gen(function* () {
      const ask = yield* served
      const status = (host: string, origin?: string) =>
        Effect.map(
          ask("/api/v1/runs", { headers: { host, ...(origin === undefined ? {} : { origin }) } }),
          (answer) => answer.status,
        )
      for (const host of ["ci.example.com", "ci.example.com:443", "CI.Example.com:8080"]) expect(yield* status(host)).toBe(200)
      expect(yield* status("ci.example.com", "https://ci.example.com")).toBe(200)
      expect(yield* status("ci.example.com:8443", "https://ci.example.com:8443")).toBe(200)
      for (const host of ["evil.ci.example.com", "ci.example.com.evil.example", "ci.example.com@evil.example", "ci.example.co", ""])
        expect([host, yield* status(host)]).toEqual([host, 421])
      for (const origin of ["https://evil.example", "https://ci.example.com.evil.example", "https://ci.example.com:8443", "null"])
        expect([origin, yield* status("ci.example.com", origin)]).toEqual([origin, 403])
    }),
  )

  it.scoped("refuses foreign hosts and origins, missing tokens, forms and bodies beyond its bounds", () =>
    Effect.gen(function* () {
      const ask = yield* served
      const post = (headers: Record<string, string>, body: string, token = "owner") =>
        ask("/api/v1/runs/r/pause", { method: "POST", headers, body, token })
      expect(yield* ask("/api/v1/runs", { headers: { host: "evil.example" } })).toMatchObject({ status: 421 })
      expect(yield* ask("/api/v1/events", { headers: { origin: "http://evil.example" } })).toMatchObject({ status: 403 })
      expect(yield* ask("/api/v1/runs", { token: "" })).toMatchObject({ status: 401, body: tagged("NoToken") })
      expect(yield* ask("/api/v1/runs", { token: "wrong" })).toMatchObject({ status: 401 })
      expect(yield* post({ "content-type": "text/plain" }, "{}")).toMatchObject({ status: 415 })
      expect(yield* post({ "content-type": "application/x-www-form-urlencoded" }, "a=1")).toMatchObject({ status: 415 })
      expect(yield* post(json, JSON.stringify("x".repeat(3000)))).toMatchObject({ status: 413, body: tagged("BodyTooLarge") })
      expect(yield* post(json, "[".repeat(100))).toMatchObject({ status: 413, body: tagged("BodyTooDeep") })
      expect(yield* post(json, "{}", "reader")).toMatchObject({ status: 403, body: tagged("Forbidden") })
      expect(yield* post(json, "{}")).toMatchObject({ status: 404, body: tagged("RunNotFound") })
    }),
  )
})
