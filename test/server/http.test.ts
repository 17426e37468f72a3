import { describe, expect, it } from "@effect/vitest"
import { servicesOf } from "@smithers/cli/actions/serve"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import { Storage } from "@smithers/core/Storage"
import * as App from "@smithers/server/http/App"
import { hashOf } from "@smithers/server/http/Tokens"
import * as Effect from "effect/Effect"

const served = Effect.gen(function* () {
  const storage = yield* Storage
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
  })
  return (path: string, init: RequestInit & { readonly token?: string } = {}) => {
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
}).pipe(Effect.provide(MemoryStorage.layer))

const json = { "content-type": "application/json" }
const tagged = (tag: string) => ({ error: expect.objectContaining({ tag }) })

describe("the HTTP API", () => {
  it.scoped("answers with runs, and with the errors of the command", () =>
    Effect.gen(function* () {
      const ask = yield* served
      expect(yield* ask("/api/v1/runs")).toMatchObject({ status: 200, body: { runs: [], next: null } })
      expect(yield* ask("/api/v1/runs/nope/why")).toMatchObject({ status: 404, body: tagged("RunNotFound") })
      expect(yield* ask("/api/v1/runs?limit=x")).toMatchObject({ status: 400, body: tagged("InvalidRequest") })
      expect(yield* ask("/api/v1/runs?statuss=failed")).toMatchObject({ status: 400, body: tagged("InvalidRequest") })
      expect(yield* ask("/api/v1/counts?x=1")).toMatchObject({ status: 400, body: tagged("InvalidRequest") })
      expect(yield* ask("/api/v1/nothing")).toMatchObject({ status: 404, body: tagged("NoSuchPath") })
      expect((yield* ask("/api/v1/openapi.json")).status).toBe(200)
      expect((yield* ask("/healthz", { token: "" })).status).toBe(200)
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
