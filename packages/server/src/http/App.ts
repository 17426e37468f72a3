/**
 * The whole server as one function from requests to replies, for Bun, for an app's own server and for tests.
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServer from "@effect/platform/HttpServer"
import * as OpenApi from "@effect/platform/OpenApi"
import { ports, type StorageShape } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Events from "../events/Stream.ts"
import type * as Mcp from "../mcp/Http.ts"
import { Processes, type ProcessesShape } from "../operations/Processes.ts"
import { Api } from "./Api.ts"
import * as Guard from "./Guard.ts"
import * as Handlers from "./Handlers.ts"

export interface AppOptions extends Guard.GuardOptions {
  readonly storage: StorageShape
  /** A second handle on the same store, from which events are read. */
  readonly tail: StorageShape
  readonly processes: ProcessesShape
  /** Answers requests on `/mcp`. Default: nothing is there. */
  readonly mcp?: Mcp.Handler
  /** Answers on all paths that are not of the API. Default: nothing is there. */
  readonly page?: (request: Request) => Response | undefined
}

/** A web handler. */
export type App = (request: Request) => Promise<Response>

const withHeaders = (response: Response): Response => {
  for (const [name, value] of Object.entries(Guard.headers)) if (!response.headers.has(name)) response.headers.set(name, value)
  if (!response.headers.has("cache-control")) response.headers.set("cache-control", "no-store")
  return response
}

/** Makes replies of the API library look like all others. */
const inOurForm = async (response: Response): Promise<Response> => {
  if (response.status < 400) return response
  const text = await response.text()
  const body = JSON.parse(text === "" ? "{}" : text) as { readonly error?: unknown; readonly message?: string }
  // The class of a reply tells its status, which the client has already.
  if (body.error !== undefined) return Response.json({ error: body.error }, { status: response.status })
  if (response.status === 404)
    return Guard.refuse(404, "NoSuchPath", "There is nothing on this path. The API is described in /api/v1/openapi.json.")
  if (response.status !== 400) return Guard.refuse(500, "Defect", "The server could not answer. Its log says more.")
  return Guard.refuse(400, "InvalidRequest", `The request does not match the API: ${body.message ?? "its body is no JSON"}`)
}

/** Makes the server. */
export const make = (options: AppOptions): Effect.Effect<App, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { storage, tail, processes, mcp, page } = options
    const admit = Guard.make(options)
    const events = yield* Events.make(tail)
    const store = Layer.merge(Layer.succeedContext(ports(storage)), Layer.succeed(Processes, processes))
    const { handler, dispose } = HttpApiBuilder.toWebHandler(
      Layer.merge(Layer.provide(Handlers.layer, store), HttpServer.layerContext),
    )
    yield* Effect.addFinalizer(() => Effect.promise(dispose))
    let description: string | undefined
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
        description ??= JSON.stringify(OpenApi.fromApi(Api))
        return new Response(description, { headers: { "content-type": "application/json" } })
      }
      if (pathname === "/api/v1/events" && request.method === "GET") {
        const runs = (searchParams.get("runs") ?? "").split(",").filter((runId) => runId !== "")
        if (runs.length > Events.mostRuns)
          return Guard.refuse(400, "InvalidRequest", `A stream has at most ${Events.mostRuns} runs.`)
        const flags = { all: searchParams.get("all") === "1", inbox: searchParams.get("inbox") === "1" }
        const stream = events.open({ runs, ...flags, lastId: request.headers.get("last-event-id") })
        return (
          stream ??
          Guard.refuse(429, "TooManyStreams", "Too many streams are open. Follow several runs in one.", { "retry-after": "5" })
        )
      }
      if (pathname.startsWith("/api/")) {
        if (caller !== undefined) Handlers.admit(request, caller)
        return inOurForm(await handler(request))
      }
      if (pathname === "/mcp" && mcp !== undefined && caller !== undefined) return mcp(request, caller)
      return page?.(request) ?? Guard.refuse(404, "NoSuchPath", "There is nothing on this path.")
    }
    return (request) =>
      answer(request).then(withHeaders, () => withHeaders(Guard.refuse(500, "Defect", "The server could not answer.")))
  })
