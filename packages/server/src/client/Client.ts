/**
 * A typed client of the HTTP API, for browsers and every runtime with `fetch`. It has a method for each operation; types are all that it
 * shares with the server.
 */
import type * as Schema from "effect/Schema"
import type * as Comparing from "../operations/comparing.ts"
import type * as Control from "../operations/control.ts"
import type * as Costs from "../operations/costs.ts"
import type * as Database from "../operations/database.ts"
import type * as Nodes from "../operations/nodes.ts"
import type * as Runs from "../operations/runs.ts"
import type * as Schedules from "../operations/schedules.ts"
import type * as Travel from "../operations/travel.ts"
import type * as Waits from "../operations/waits.ts"
import type * as Workflows from "../operations/workflows.ts"
import { type Followed, type FollowOptions, followEvents } from "./Events.ts"
import { RequestFailed, refusalOf, Unreachable } from "./Failures.ts"

/** An operation, as its types. */
interface Described {
  readonly input: Schema.Schema.AnyNoContext
  readonly output: Schema.Schema.AnyNoContext
}

/** A request that an operation is called by. Fields of the input that its path names are put there; the others are query or body. */
interface Route<O extends Described> {
  readonly method: "GET" | "POST"
  readonly path: string
  /** Never there: carries the types of the operation. */
  readonly types?: O
}

const get = <O extends Described>(path: string): Route<O> => ({ method: "GET", path })
const post = <O extends Described>(path: string): Route<O> => ({ method: "POST", path })

/** The routes below `/api/v1`, by the name of their method. */
export const routes = {
  listRuns: get<typeof Runs.listRuns>("/runs"),
  countRuns: get<typeof Database.countRuns>("/counts"),
  readRun: get<typeof Runs.readRun>("/runs/:runId"),
  runDetails: get<typeof Runs.runDetails>("/runs/:runId/details"),
  explainRun: get<typeof Runs.explainRun>("/runs/:runId/why"),
  readPlan: get<typeof Travel.readPlan>("/runs/:runId/plan"),
  readState: get<typeof Travel.readState>("/runs/:runId/state"),
  readTimeline: get<typeof Travel.readTimeline>("/runs/:runId/timeline"),
  readEvents: get<typeof Travel.readEvents>("/runs/:runId/events"),
  readOutputs: get<typeof Nodes.readOutputs>("/runs/:runId/outputs"),
  readNode: get<typeof Nodes.readNode>("/runs/:runId/nodes/:nodeId"),
  readTranscript: get<typeof Nodes.readTranscript>("/runs/:runId/nodes/:nodeId/attempts/:attempt/transcript"),
  compareAttempts: get<typeof Comparing.compareAttempts>("/runs/:runId/nodes/:nodeId/diff"),
  compareRuns: get<typeof Comparing.compareRuns>("/diff"),
  readCosts: get<typeof Costs.readCosts>("/runs/:runId/costs"),
  readAllCosts: get<typeof Costs.readAllCosts>("/costs"),
  readWaits: get<typeof Waits.readWaits>("/runs/:runId/waits"),
  readInbox: get<typeof Waits.readInbox>("/inbox"),
  approve: post<typeof Waits.approve>("/runs/:runId/approve"),
  deny: post<typeof Waits.deny>("/runs/:runId/deny"),
  answer: post<typeof Waits.answer>("/runs/:runId/answer"),
  signal: post<typeof Waits.signal>("/runs/:runId/signal"),
  publish: post<typeof Waits.publish>("/publish"),
  listPublished: get<typeof Waits.listPublished>("/published"),
  resume: post<typeof Control.resume>("/runs/:runId/resume"),
  cancel: post<typeof Control.cancel>("/runs/:runId/cancel"),
  pause: post<typeof Control.pause>("/runs/:runId/pause"),
  unpause: post<typeof Control.unpause>("/runs/:runId/unpause"),
  retry: post<typeof Control.retry>("/runs/:runId/retry"),
  leave: post<typeof Control.leave>("/runs/:runId/leave"),
  startRun: post<typeof Workflows.startRun>("/runs"),
  forkRun: post<typeof Workflows.forkRun>("/runs/:runId/fork"),
  revertRun: post<typeof Workflows.revertRun>("/runs/:runId/revert"),
  listWorkflows: get<typeof Workflows.listWorkflows>("/workflows"),
  describeWorkflow: get<typeof Workflows.describeWorkflow>("/workflows/:workflow"),
  checkWorkflow: post<typeof Workflows.checkWorkflow>("/workflows/check"),
  listSchedules: get<typeof Schedules.listSchedules>("/schedules"),
  readSchedule: get<typeof Schedules.readSchedule>("/schedules/:scheduleId"),
  addSchedule: post<typeof Schedules.addSchedule>("/schedules"),
  pauseSchedule: post<typeof Schedules.pauseSchedule>("/schedules/:scheduleId/pause"),
  unpauseSchedule: post<typeof Schedules.unpauseSchedule>("/schedules/:scheduleId/unpause"),
  runScheduleNow: post<typeof Schedules.runScheduleNow>("/schedules/:scheduleId/run"),
  removeSchedule: post<typeof Schedules.removeSchedule>("/schedules/:scheduleId/remove"),
  readDatabase: get<typeof Database.readDatabase>("/database"),
} as const

type Routes = typeof routes
type Of<N extends keyof Routes> = Routes[N] extends Route<infer O> ? O : never
type Input<N extends keyof Routes> = Schema.Schema.Encoded<Of<N>["input"]>
type Output<N extends keyof Routes> = Schema.Schema.Encoded<Of<N>["output"]>
type IsEmpty<A> = Record<string, never> extends A ? true : false

/**
 * A method for each operation. The promises fail with {@link RequestFailed}, whose `tag` is that of the error of the operation, and with
 * {@link Unreachable} if there was no reply.
 */
export type Operations = {
  readonly [N in keyof Routes]: IsEmpty<Input<N>> extends true
    ? (input?: Input<N>) => Promise<Output<N>>
    : (input: Input<N>) => Promise<Output<N>>
}

export interface ConnectOptions {
  /** Address of the server, such as `http://127.0.0.1:4280`. */
  readonly baseUrl: string
  readonly token: string
  /** Default: that of the runtime. */
  readonly fetch?: (input: string, init: RequestInit) => Promise<Response>
  /** Aborts all requests. */
  readonly signal?: AbortSignal
}

export interface Client extends Operations {
  /** Follows events. After a lost connection it goes on behind the last one it has given. */
  readonly follow: (options?: Omit<FollowOptions, "baseUrl" | "token">) => AsyncGenerator<Followed>
}

/** A side of a comparison: `run`, or `run@frame`. */
const sideOf = (side: unknown): string => {
  const { runId, frame } = side as { readonly runId: string; readonly frame?: number }
  return frame === undefined ? runId : `${runId}@${frame}`
}

/** Texts of a field of a query. Lists repeat the field. */
const textsOf = (name: string, value: unknown): ReadonlyArray<readonly [string, string]> => {
  if (value === undefined) return []
  if (Array.isArray(value)) return value.flatMap((one: unknown) => textsOf(name, one))
  return [[name, typeof value === "object" ? sideOf(value) : String(value)]]
}

/** Puts the fields that a path names into it, and gives the others. */
const fill = (path: string, input: { readonly [name: string]: unknown }) => {
  const rest = { ...input }
  const filled = path.replaceAll(/:(\w+)/g, (_, name: string) => {
    delete rest[name]
    return encodeURIComponent(String(input[name]))
  })
  return { filled, rest }
}

/** Makes a client of a server. Sends nothing yet. */
export const connect = ({ baseUrl, token, fetch = globalThis.fetch, signal }: ConnectOptions): Client => {
  const base = `${baseUrl.replace(/\/+$/, "")}/api/v1`
  const request = async ({ method, path }: Route<Described>, input: { readonly [name: string]: unknown }): Promise<unknown> => {
    const { filled, rest } = fill(path, input)
    const authorization = `Bearer ${token}`
    const stop = signal === undefined ? {} : { signal }
    const query =
      method === "GET"
        ? new URLSearchParams(Object.entries(rest).flatMap(([name, value]) => textsOf(name, value).map((one) => [...one])))
        : ""
    const address = `${base}${filled}${String(query) === "" ? "" : `?${query}`}`
    const body = { method, headers: { authorization, "content-type": "application/json" }, body: JSON.stringify(rest), ...stop }
    let response: Response
    try {
      response = await fetch(address, method === "GET" ? { headers: { authorization }, ...stop } : body)
    } catch (cause) {
      if (signal?.aborted === true) throw cause
      throw new Unreachable(baseUrl, cause)
    }
    const text = await response.text()
    if (!response.ok) throw refusalOf(response.status, text)
    return JSON.parse(text) as unknown
  }
  const methods = Object.entries(routes).map(([name, route]) => [
    name,
    (input: { readonly [name: string]: unknown } = {}) => request(route, input),
  ])
  const follow: Client["follow"] = (options = {}) =>
    followEvents({ ...options, baseUrl, token, fetch, ...(signal === undefined ? {} : { signal: options.signal ?? signal }) })
  // Each method has the types of its route.
  return { ...(Object.fromEntries(methods) as Operations), follow }
}
