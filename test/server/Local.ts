/**
 * A server in the process of a test, on a database with real runs.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { servicesOf } from "@smithers/cli/actions/serve"
import { onStorage } from "@smithers/core/Smithers"
import { ports, type StorageShape } from "@smithers/core/Storage"
import * as App from "@smithers/server/http/App"
import { hashOf } from "@smithers/server/http/Tokens"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

export const host = "127.0.0.1:4280"

/** A token for each scope: its name. */
export const tokens = (["metrics", "read", "decide", "operate", "admin"] as const).map((scope) => ({
  ...{ name: scope, scope },
  hash: hashOf(scope),
}))

export interface Local {
  readonly folder: string
  readonly storage: StorageShape
  readonly app: App.App
  /** Sends a request with a token: GET, or POST with a body. */
  readonly ask: (
    path: string,
    options?: {
      readonly token?: string
      readonly body?: unknown
      readonly headers?: Record<string, string>
      readonly method?: string
    },
  ) => Promise<{ readonly status: number; readonly tag: string | undefined; readonly text: string; readonly headers: Headers }>
  /** Runs an effect on the database. */
  readonly run: <A, E>(effect: Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof onStorage>>>) => Promise<A>
  readonly within: <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Promise<A>
  readonly close: () => Promise<void>
}

/** Makes a server, on a database of its own. */
export const make = async (options: Partial<App.AppOptions> = {}): Promise<Local> => {
  const folder = mkdtempSync(join(tmpdir(), "smithers-server-"))
  const filename = join(folder, "smithers.db")
  const scope = Effect.runSync(Scope.make())
  const within = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.runPromise(Scope.extend(effect, scope))
  const storage = await within(SqliteStorage.make({ filename }))
  const tail = await within(SqliteStorage.make({ filename, access: "read" }))
  const place = { self: [], file: filename, root: folder }
  const services = { storage, tail, services: servicesOf(place, storage) }
  const app = await within(App.make({ ...services, tokens: () => tokens, ...options }))
  return {
    ...{ folder, storage, app, within },
    ask: async (path, { token = "admin", body, headers = {}, method = body === undefined ? "GET" : "POST" } = {}) => {
      const response = await app(
        new Request(`http://${host}${path}`, {
          method,
          headers: {
            host,
            ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
            ...(body === undefined ? {} : { "content-type": "application/json" }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
        }),
      )
      const text = response.headers.get("content-type") === "text/event-stream" ? "" : await response.text()
      const isError = text.startsWith('{"error":')
      const tag = isError ? (JSON.parse(text) as { readonly error: { readonly tag: string } }).error.tag : undefined
      return { status: response.status, headers: response.headers, text, tag }
    },
    run: (effect) => Effect.runPromise(Effect.provide(effect, onStorage(Layer.succeedContext(ports(storage))))),
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
