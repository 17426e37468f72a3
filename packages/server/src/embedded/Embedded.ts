/**
 * The server in a program of its users: its workflows are values, and it listens by the `HttpServer` of that program.
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { Engine } from "@smithers/core/Engine"
import { InvalidSetting } from "@smithers/core/Errors"
import * as Secrets from "@smithers/core/Secrets"
import * as Settings from "@smithers/core/Settings"
import { type Ports, Storage, type StorageShape } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as App from "../http/App.ts"
import { type Bounds, refuse } from "../http/Guard.ts"
import type { Hook } from "../http/Hooks.ts"
import type { Page } from "../http/Static.ts"
import { hashOf } from "../http/Tokens.ts"
import * as McpHttp from "../mcp/Http.ts"
import { type CallerShape, scopes } from "../operations/Caller.ts"
import { CommandFailed } from "../operations/Errors.ts"
import { type Draw, filesOf, processesOf, type ServicesOf, type Value } from "./Values.ts"

/** A token, and whom it stands for. */
export interface TokenOptions extends CallerShape {
  /** At least 20 characters of `A-Z a-z 0-9 _ -`. */
  readonly token: string | Redacted.Redacted<string>
}

/** Options of the server. */
export interface ServerOptions<out W extends Value<unknown> = Value<never>> {
  /** Workflows that can be started and resumed. Runs of others are shown. */
  readonly workflows: ReadonlyArray<W>
  /** Tokens that are let in, each with a name of its own. */
  readonly tokens: ReadonlyArray<TokenOptions>
  /** Names of hosts that the server answers for, without ports, beside those of this machine. Default: none. */
  readonly allowHosts?: ReadonlyArray<string>
  /** Path before all paths, such as `"/smithers"`. Default: none. */
  readonly prefix?: string
  /** `true` also serves the page on all paths that are not of the program. Not with a prefix. Default: false. */
  readonly page?: boolean
  /** Hooks by which other services send signals and events. Default: none. */
  readonly hooks?: ReadonlyArray<Omit<Hook, "createdAt">>
  /** Bounds of requests. Default: those of `smithers serve`. */
  readonly bounds?: Partial<Bounds>
}

const names: Settings.Names<ServerOptions> = {
  workflows: true,
  tokens: true,
  allowHosts: true,
  prefix: true,
  page: true,
  hooks: true,
  bounds: true,
}

/** What the facade puts in. */
export interface Parts {
  readonly draw: Draw
  readonly page: () => Page
  /** A second handle on a store, which notices the commits of the first. */
  readonly tail: (storage: StorageShape) => Effect.Effect<StorageShape, InvalidSetting, Scope.Scope>
}

/** Time between comments on a silent stream, in milliseconds: servers of programs may close a silent connection after 10 seconds. */
const keepAliveMs = 4000

const invalid = (setting: string, received: unknown, expected: string) =>
  new InvalidSetting({ setting, received: Secrets.text(JSON.stringify(received) ?? "undefined"), expected })

/** Reads tokens: their names are who has decided something. They are in no log afterwards. */
const tokensOf = (tokens: ReadonlyArray<TokenOptions>) =>
  Effect.gen(function* () {
    if (!Array.isArray(tokens) || tokens.length === 0) return yield* invalid("tokens", tokens, "a list of at least one token")
    for (const [index, { name, scope, token }] of tokens.entries()) {
      const of = `tokens.${index}`
      if (typeof name !== "string" || name.trim() === "" || tokens.findIndex((other) => other.name === name) !== index)
        return yield* invalid(`${of}.name`, name, "a name that no other token has")
      if (!scopes.includes(scope)) return yield* invalid(`${of}.scope`, scope, scopes.join(", "))
      const plain = Redacted.isRedacted(token) ? Redacted.value(token) : token
      if (typeof plain !== "string" || !/^[\w-]{20,200}$/.test(plain))
        return yield* invalid(`${of}.token`, "another text", "20 to 200 characters of A-Z a-z 0-9 _ -")
      Secrets.add("SMITHERS_TOKEN", plain)
    }
    return tokens.map(({ token, ...caller }) => ({
      ...caller,
      hash: hashOf(Redacted.isRedacted(token) ? Redacted.value(token) : token),
    }))
  })

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

/** Makes the server on a store and an engine. Fails with `InvalidSetting` for an invalid option. */
export const make = <W extends Value<unknown>>(
  parts: Parts,
  options: ServerOptions<W>,
): Effect.Effect<
  { readonly app: HttpApp; readonly prefix: string },
  InvalidSetting,
  Engine | Ports | ServicesOf<W> | Scope.Scope
> =>
  Effect.gen(function* () {
    yield* Settings.only("Server", options, names)
    const prefix = options.prefix ?? ""
    if (typeof prefix !== "string" || !/^(\/[\w.~-]+)*$/.test(prefix))
      return yield* invalid("prefix", prefix, 'a path such as "/smithers"')
    const hasPage = yield* Settings.flag("page", options.page, false)
    if (hasPage && prefix !== "")
      return yield* invalid("page", true, "left out where there is a prefix: the page stands at the root")
    const tokens = yield* tokensOf(options.tokens)
    const allowHosts = yield* Settings.texts("allowHosts", options.allowHosts ?? [])
    const storage = yield* Storage
    yield* Engine
    const tail = yield* parts.tail(storage)
    const services = yield* Effect.context<Engine | Ports | ServicesOf<W>>()
    // Each needs services of its own, and these are all of them.
    const workflows = options.workflows as ReadonlyArray<Value<ServicesOf<W>>>
    const values = { workflows, reader: storage, services, draw: parts.draw }
    const ports = { storage, processes: processesOf(values), files: filesOf(values) }
    const runtime = yield* Effect.runtime()
    const { bounds } = options
    const hooks = (options.hooks ?? []).map((hook): Hook => ({ ...hook, createdAt: 0 }))
    const answer = yield* App.make({
      ...{ ...ports, tail, allowHosts, tokens: () => tokens, hooks: () => hooks, streams: { keepAliveMs } },
      ...defined({ bounds, page: hasPage ? parts.page() : undefined }),
      check: new CommandFailed({
        ...{ command: "db check", tag: "NotHere" },
        problem: 'A program does not examine its own database, which takes long. Run "smithers db check".',
      }),
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
    return { app, prefix }
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
      const { app, prefix } = yield* make(parts, options)
      const all = options.page === true ? ([...paths, "/*"] as const) : paths
      for (const path of all) yield* router.add("*", `/${`${prefix}${path}`.slice(1)}`, app)
    }),
  )
