/**
 * The server in a program of its users: its workflows are values, and it listens by the `HttpServer` of that program.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Engine } from "@smithers/core/Engine"
import type { InvalidSetting } from "@smithers/core/Errors"
import { type Ports, Storage, type StorageShape } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { Workspaces } from "@smithers/core/Workspaces"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as App from "../http/App.ts"
import { refuse } from "../http/Guard.ts"
import type { Page } from "../http/Static.ts"
import * as McpHttp from "../mcp/Http.ts"
import { CommandFailed } from "../operations/Errors.ts"
import { read, type ServerOptions } from "./Options.ts"
import { type Draw, filesOf, processesOf, type ServicesOf, type Value } from "./Values.ts"

/** What the facade puts in. */
export interface Parts {
  readonly draw: Draw
  readonly page: () => Page
  readonly workspaces: Layer.Layer<Workspaces>
  /** A second handle on a store, which notices the commits of the first. */
  readonly tail: (storage: StorageShape) => Effect.Effect<StorageShape, InvalidSetting, Scope.Scope>
}

/** Time between comments on a silent stream, in milliseconds: servers of programs may close a silent connection after 10 seconds. */
const keepAliveMs = 4000

/** The path of a request behind the prefix. Routers may have taken it off already. */
const behind = (prefix: string, request: Request): Request => {
  const url = new URL(request.url)
  if (prefix === "" || !(url.pathname === prefix || url.pathname.startsWith(`${prefix}/`))) return request
  url.pathname = url.pathname.slice(prefix.length) || "/"
  return new Request(url, request)
}

/** The router of a program. */
export type Router = HttpLayerRouter.HttpRouter

/** An application of `@effect/platform` that answers all requests, refusals included. */
export type HttpApp = Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>

/** A server, and where it stands. */
interface Mounted {
  readonly app: HttpApp
  readonly prefix: string
  readonly hasPage: boolean
}

/** Makes the server on a store and an engine. Fails with `InvalidSetting` for an invalid option. */
export const make = <W extends Value<unknown>>(
  parts: Parts,
  options: ServerOptions<W>,
): Effect.Effect<Mounted, InvalidSetting, Engine | Ports | ServicesOf<W> | Scope.Scope> =>
  Effect.gen(function* () {
    const { prefix, hasPage, tokens, hooks, allowHosts, bounds } = yield* read(options)
    const storage = yield* Storage
    yield* Engine
    const tail = yield* parts.tail(storage)
    const services = yield* Effect.context<Engine | Ports | ServicesOf<W>>()
    // Each needs services of its own, and these are all of them.
    const workflows = options.workflows as ReadonlyArray<Value<ServicesOf<W>>>
    const values = { workflows, reader: storage, services, draw: parts.draw }
    const workspaces = yield* Effect.provide(Workspaces, parts.workspaces)
    const ports = { storage, workspaces, processes: processesOf(values), files: filesOf(values) }
    const runtime = yield* Effect.runtime()
    const check = new CommandFailed({
      ...{ command: "db check", tag: "NotHere" },
      problem: 'A program does not examine its own database, which takes long. Run "smithers db check".',
    })
    const answer = yield* App.make({
      ...{ storage, tail, allowHosts, bounds, tokens: () => tokens, hooks: () => hooks, streams: { keepAliveMs } },
      ...defined({ page: hasPage ? parts.page() : undefined }),
      services: () => Promise.resolve({ ...ports, check }),
      mcp: McpHttp.make({ ...ports, pages: [] }),
      report: (problem) => void Effect.runFork(Effect.provide(Effect.logError(problem), runtime)),
    })
    const app: HttpApp = Effect.gen(function* () {
      const request = yield* HttpServerRequest.toWeb(yield* HttpServerRequest.HttpServerRequest)
      return HttpServerResponse.fromWeb(yield* Effect.promise(() => answer(behind(prefix, request))))
    }).pipe(
      Effect.catchAll(() =>
        Effect.succeed(HttpServerResponse.fromWeb(refuse(400, "InvalidRequest", "The address of the request cannot be read."))),
      ),
    )
    return { app, prefix, hasPage }
  })

/** Paths of the server, without those of its page. */
const paths = ["/api/*", "/hooks/*", "/mcp", "/metrics", "/healthz", "/readyz"] as const

/** Adds the paths of the server to a router. Paths of the program that are more exact come first. */
export const layer = <W extends Value<unknown>>(
  parts: Parts,
  options: ServerOptions<W>,
): Layer.Layer<never, InvalidSetting, Router | Exclude<Engine | Ports | ServicesOf<W>, Scope.Scope>> =>
  HttpLayerRouter.use((router) =>
    Effect.gen(function* () {
      const { app, prefix, hasPage } = yield* make(parts, options)
      const all = hasPage ? ([...paths, "/*"] as const) : paths
      for (const path of all) yield* router.add("*", `/${`${prefix}${path}`.slice(1)}`, app)
    }),
  )
