/**
 * The whole server as one function from requests to replies, for Bun, for an app's own server and for tests.
 */
import * as Secrets from "@smithers/core/Secrets"
import type { StorageShape } from "@smithers/core/Storage"
import * as Thrown from "@smithers/core/Thrown"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Events from "../events/Stream.ts"
import type * as Mcp from "../mcp/Http.ts"
import * as Exposition from "../metrics/Exposition.ts"
import * as Prometheus from "../metrics/Prometheus.ts"
import { includes } from "../operations/Caller.ts"
import * as Guard from "./Guard.ts"
import type { Hook } from "./Hooks.ts"
import type { Page } from "./Static.ts"
import { find } from "./Tokens.ts"
import type { Services, Web } from "./Web.ts"

export interface AppOptions extends Guard.GuardOptions {
  readonly storage: StorageShape
  /** Loads what the operations work with, with the first request to the API: a server listens before. */
  readonly services: () => Promise<Omit<Services, "storage">>
  /** A second handle on the same store, from which events are read. */
  readonly tail: StorageShape
  /** Returns the hooks that count now. Default: none. */
  readonly hooks?: () => ReadonlyArray<Hook>
  readonly streams?: Partial<Events.StreamBounds>
  /** Is told of what the server itself has failed with. Default: nobody is. */
  readonly report?: (problem: string) => void
  /** Answers requests on `/mcp`. Default: nothing is there. */
  readonly mcp?: Mcp.Handler
  /** Answers on all paths that are not of the API. Default: nothing is there. */
  readonly page?: Page
}

/** A web handler. */
export type App = (request: Request) => Promise<Response>

const withHeaders = (response: Response): Response => {
  for (const [name, value] of Object.entries(Guard.headers)) if (!response.headers.has(name)) response.headers.set(name, value)
  if (!response.headers.has("cache-control")) response.headers.set("cache-control", "no-store")
  return response
}

const json = (body: unknown, status: number): Response => Response.json(Secrets.value(body), { status })

/** An issue of a request that does not match its schema. */
interface Issue {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
}

const placeOf = ({ path }: Issue): string => path.map(String).join(".") || "the body"

/** A field that may be left out is said to be nothing otherwise. What is wrong with the value that was given is enough. */
const isNoise = (issue: Issue, all: ReadonlyArray<Issue>): boolean =>
  issue.message.startsWith("Expected undefined, actual") &&
  all.some((other) => other !== issue && issue.path.every((step, depth) => other.path[depth] === step))

/** Issues, one for each place: a value that is none of those that are allowed there is said once. */
const readable = (issues: ReadonlyArray<Issue>): ReadonlyArray<string> => {
  const told = issues.filter((issue) => !isNoise(issue, issues))
  return [...Map.groupBy(told, placeOf)].flatMap(([place, all]) => {
    const literals = all.map(({ message }) => /^Expected (".*"), actual (.*)$/s.exec(message))
    const others = all.filter((_, index) => literals[index] === null).map(({ message }) => message)
    const allowed = literals.flatMap((found) => found?.[1] ?? [])
    const given = literals.find((found) => found !== null)?.[2]
    const choice = allowed.length > 1 ? `one of ${allowed.join(", ")}` : allowed[0]
    return [...others, ...(choice === undefined ? [] : [`Expected ${choice}, actual ${given}`])].map(
      (message) => `${place}: ${message}`,
    )
  })
}

/** Makes replies of the API library look like all others. No secret is in them. */
const inOurForm = async (response: Response): Promise<Response> => {
  const text = await response.text()
  const body = JSON.parse(text === "" ? "{}" : text) as { readonly error?: unknown; readonly issues?: ReadonlyArray<Issue> }
  if (response.status < 400) return json(body, response.status)
  // The class of a reply tells its status, which the client has already.
  if (body.error !== undefined) return json({ error: body.error }, response.status)
  if (response.status === 404)
    return Guard.refuse(404, "NoSuchPath", "There is nothing on this path. The API is described in /api/v1/openapi.json.")
  if (response.status !== 400) return Guard.refuse(500, "Defect", "The server could not answer. Its log says more.")
  const issues = body.issues === undefined ? undefined : readable(body.issues)
  const problem = issues?.join("; ") ?? "its body is no JSON"
  const message = `The request does not match the API: ${problem}.`
  return json({ error: { tag: "InvalidRequest", message, ...(issues === undefined ? {} : { issues }) } }, 400)
}

const forbidden = (operation: string, scope: string): Response =>
  Guard.refuse(403, "Forbidden", `"${operation}" needs the scope ${scope}. Use a token with that scope.`)

/** Reads the query of a stream; `undefined` if it has a field that streams do not have. */
const streamOf = (query: URLSearchParams) => {
  const flag = (name: string): boolean => query.get(name) === "1" || query.get(name) === "true"
  if ([...query.keys()].some((name) => !["run", "runs", "all", "inbox"].includes(name))) return undefined
  // Ids may have commas in them: those are named one by one.
  const runs = [...query.getAll("run"), ...(query.get("runs") ?? "").split(",")].filter((runId) => runId !== "")
  return { runs: [...new Set(runs)], all: flag("all"), inbox: flag("inbox") }
}

/** Makes the server. */
export const make = (options: AppOptions): Effect.Effect<App, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { tail, services, mcp, page, hooks = () => [], report = () => {} } = options
    const admit = Guard.make(options)
    const events = yield* Events.make(tail, options.streams)
    const statistics = yield* Effect.cachedWithTTL(options.storage.statistics, Exposition.cacheFor)
    const storage = { ...options.storage, statistics }
    const metrics = yield* Exposition.make(storage)
    const tracer = yield* Effect.tracer
    let loaded: Promise<Web> | undefined
    const web = (): Promise<Web> => {
      loaded ??= Promise.all([import("./Web.ts"), services()]).then(([{ make }, given]) => make({ storage, ...given }, tracer))
      return loaded
    }
    let delivering: Promise<App> | undefined
    const deliver: App = async (request) => {
      delivering ??= import("./Deliveries.ts").then(({ make }) => make(options.storage, hooks))
      return (await delivering)(request)
    }
    yield* Effect.addFinalizer(() => Effect.promise(async () => (await loaded)?.dispose()))
    const answer = async (given: Request): Promise<Response> => {
      const admitted = await admit(given)
      if (admitted instanceof Response) return admitted
      const { request, caller } = admitted
      const { pathname, searchParams } = new URL(request.url)
      if (pathname === "/healthz") return Response.json({ status: "ok" })
      if (pathname === "/readyz") {
        const isReady = await Effect.runPromise(Effect.isSuccess(storage.runs({ limit: 1 })))
        return isReady ? Response.json({ status: "ok" }) : Guard.refuse(503, "StoreUnavailable", "The store cannot be read now.")
      }
      if (pathname === "/api/v1/openapi.json") {
        return new Response((await web()).description(), { headers: { "content-type": "application/json" } })
      }
      if (pathname === "/api/v1/events" && request.method === "GET") {
        if (caller === undefined || !includes(caller.scope, "read")) return forbidden("events", "read")
        const wanted = streamOf(searchParams)
        if (wanted === undefined) return Guard.refuse(400, "InvalidRequest", "A stream has the fields run, runs, all and inbox.")
        if (wanted.runs.length > Events.mostRuns)
          return Guard.refuse(400, "InvalidRequest", `A stream has at most ${Events.mostRuns} runs.`)
        // Another token of the same name may have taken the place of this one.
        const token = Guard.tokenOf(request) ?? ""
        const isAllowed = () => includes(find(options.tokens(), token)?.scope ?? "metrics", "read")
        const lastId = request.headers.get("last-event-id")
        const opened = await Effect.runPromise(Effect.either(events.open({ ...wanted, lastId, caller: caller.name, isAllowed })))
        if (opened._tag === "Left") return Guard.refuse(503, "StoreUnavailable", "The store cannot be read now.")
        return (
          opened.right ??
          Guard.refuse(429, "TooManyStreams", "Too many streams are open. Follow several runs in one.", { "retry-after": "5" })
        )
      }
      if (pathname === "/metrics") {
        if (caller === undefined || !includes(caller.scope, "metrics")) return forbidden("metrics", "metrics")
        const text = await Effect.runPromise(Effect.option(metrics))
        if (text._tag === "None") return Guard.refuse(503, "StoreUnavailable", "The store cannot be read now.")
        return new Response(Secrets.text(text.value), { headers: { "content-type": Prometheus.contentType } })
      }
      if (pathname.startsWith("/api/")) {
        const { handle, methodsOf } = await web()
        const response = await inOurForm(await handle(request, caller))
        const methods = response.status === 404 ? methodsOf(pathname) : []
        if (methods.length === 0 || methods.includes(request.method === "HEAD" ? "GET" : request.method)) return response
        return Guard.refuse(405, "WrongMethod", `This path takes ${methods.join(" and ")}, and not ${request.method}.`, {
          allow: methods.join(", "),
        })
      }
      if (pathname.startsWith("/hooks/") && request.method === "POST") return deliver(request)
      if (pathname === "/mcp" && mcp !== undefined && caller !== undefined) return mcp(request, caller)
      return page?.(request) ?? Guard.refuse(404, "NoSuchPath", "There is nothing on this path.")
    }
    return (request) =>
      answer(request).then(withHeaders, (thrown: unknown) => {
        report(Secrets.text(`${request.method} ${new URL(request.url).pathname}: ${Thrown.describe(thrown).message}`))
        return withHeaders(Guard.refuse(500, "Defect", "The server could not answer. Its log says more."))
      })
  })
