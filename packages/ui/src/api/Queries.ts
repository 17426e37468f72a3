/** What the page asks the server for, as queries that are kept and asked again when something has happened. */
import type { Comparison, NodeDifference } from "@smithers/core/Comparison"
import type { RunAt } from "@smithers/core/RunAt"
import type { LoggedEvent, RunDetails, RunOverview, RunSummary, WaitSummary } from "@smithers/core/RunReader"
import type { TimelineFrame } from "@smithers/core/Timeline"
import { QueryClient, queryOptions } from "@tanstack/react-query"
import type { PlanNode } from "../plan/Outline.ts"
import { get, path, Refused } from "./Client.ts"
import type { Note } from "./Live.ts"

export type Listed = RunSummary & { readonly sentence?: string; readonly cost?: number }

export interface Action {
  readonly kind: string
  readonly nodeId?: string
  readonly [field: string]: unknown
}

export interface Why {
  readonly reason: string
  readonly sentence: string
  readonly commands: ReadonlyArray<string>
  readonly requests: ReadonlyArray<WaitSummary>
  readonly actions: ReadonlyArray<Action>
}

export type Overview = RunOverview & {
  readonly input?: unknown
  readonly output?: unknown
  readonly failure?: { readonly _tag?: string; readonly message?: string } | null
  readonly lineage?: {
    readonly parent?: RunSummary["parent"]
    readonly children: ReadonlyArray<RunSummary>
    readonly forks: ReadonlyArray<RunSummary>
  }
}

export interface Plan {
  readonly frame: number
  readonly seq: number
  readonly nodes: ReadonlyArray<PlanNode>
}

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      gcTime: 60_000,
      refetchOnWindowFocus: false,
      // The stream brings everything back once the server answers again; what it refuses it would refuse again.
      retry: (count, error) => !(error instanceof Refused) && count < 2,
      retryDelay: 400,
    },
  },
})

/** What is so as of a frame never changes. */
const fixed = { staleTime: Number.POSITIVE_INFINITY, gcTime: 120_000 }

export type Filter = { readonly [name: string]: string | number | boolean | undefined }

export const runs = (filter: Filter) => ({
  queryKey: ["runs", filter] as const,
  queryFn: ({ pageParam, signal }: { readonly pageParam: string | undefined; readonly signal: AbortSignal }) =>
    get<{ readonly runs: ReadonlyArray<Listed>; readonly next: string | null }>(
      "/runs",
      { ...filter, before: pageParam, limit: 100 },
      signal,
    ),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (last: { readonly next: string | null }) => last.next ?? undefined,
})

export const counts = queryOptions({
  queryKey: ["counts"],
  queryFn: ({ signal }) =>
    get<{ readonly byStatus: { readonly [status: string]: number }; readonly byWorkflow: { readonly [name: string]: unknown } }>(
      "/counts",
      {},
      signal,
    ),
})

export const run = (id: string) =>
  queryOptions({ queryKey: ["run", id, "overview"], queryFn: ({ signal }) => get<Overview>(path("runs", id), {}, signal) })

export const details = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "details"],
    queryFn: ({ signal }) => get<RunDetails>(`${path("runs", id)}/details`, {}, signal),
  })

export const why = (id: string) =>
  queryOptions({ queryKey: ["run", id, "why"], queryFn: ({ signal }) => get<Why>(`${path("runs", id)}/why`, {}, signal) })

export const plan = (id: string, frame: number | undefined) =>
  queryOptions({
    queryKey: frame === undefined ? ["run", id, "plan"] : ["frame", id, frame, "plan"],
    queryFn: ({ signal }) => get<Plan>(`${path("runs", id)}/plan`, { frame }, signal),
    ...(frame === undefined ? {} : fixed),
  })

export const state = (id: string, frame: number) =>
  queryOptions({
    queryKey: ["frame", id, frame, "state"],
    queryFn: ({ signal }) => get<RunAt>(`${path("runs", id)}/state`, { frame }, signal),
    ...fixed,
  })

export const frames = (id: string, after: number, signal?: AbortSignal) =>
  get<{ readonly frames: ReadonlyArray<TimelineFrame & { readonly texts?: ReadonlyArray<string> }>; readonly next: number | null }>(
    `${path("runs", id)}/timeline`,
    { after, limit: 1_000 },
    signal,
  )

export const events = (id: string) => ({
  queryKey: ["run", id, "events"] as const,
  queryFn: ({ pageParam, signal }: { readonly pageParam: number; readonly signal: AbortSignal }) =>
    get<{ readonly events: ReadonlyArray<LoggedEvent & { readonly text?: string }>; readonly next: number | null }>(
      `${path("runs", id)}/events`,
      { after: pageParam, limit: 500 },
      signal,
    ),
  initialPageParam: 0,
  getNextPageParam: (last: { readonly next: number | null }) => last.next ?? undefined,
})

export const node = (id: string, nodeId: string, iteration: number | undefined, frame: number | undefined) =>
  queryOptions({
    queryKey: frame === undefined ? ["run", id, "node", nodeId, iteration] : ["frame", id, frame, "node", nodeId, iteration],
    queryFn: ({ signal }) => get<unknown>(`${path("runs", id, "nodes", nodeId)}`, { iteration, frame }, signal),
    ...(frame === undefined ? {} : fixed),
  })

export const transcript = (id: string, nodeId: string, iteration: number, attempt: number) =>
  queryOptions({
    queryKey: ["run", id, "transcript", nodeId, iteration, attempt],
    queryFn: ({ signal }) =>
      get<unknown>(`${path("runs", id, "nodes", nodeId, "attempts", attempt)}/transcript`, { iteration }, signal),
  })

export const attemptDiff = (id: string, nodeId: string, iteration: number, a: number, b: number) =>
  queryOptions({
    queryKey: ["run", id, "attempts", nodeId, iteration, a, b],
    queryFn: ({ signal }) => get<NodeDifference>(`${path("runs", id, "nodes", nodeId)}/diff`, { iteration, a, b }, signal),
  })

export const diff = (a: string, b: string) =>
  queryOptions({ queryKey: ["diff", a, b], queryFn: ({ signal }) => get<Comparison>("/diff", { a, b }, signal) })

export const waits = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "waits"],
    queryFn: ({ signal }) =>
      get<ReadonlyArray<WaitSummary> | { readonly waits: ReadonlyArray<WaitSummary> }>(
        `${path("runs", id)}/waits`,
        { all: true },
        signal,
      ),
  })

export const inbox = queryOptions({
  queryKey: ["inbox"],
  queryFn: async ({ signal }) => {
    const found = await get<ReadonlyArray<WaitSummary> | { readonly waits: ReadonlyArray<WaitSummary> }>(
      "/inbox",
      { limit: 200 },
      signal,
    )
    return "waits" in found ? found.waits : found
  },
})

/** Any other page of the server, by its path. */
export const at = <A>(path: string, query: Filter = {}, key: string = path) =>
  queryOptions({ queryKey: [key, path, query], queryFn: ({ signal }) => get<A>(path, query, signal) })

/**
 * Asks again for what something has happened to: at once at first, and while much happens only as often as the server keeps up with.
 */
export const makeRefresher = (client: QueryClient) => {
  const waiting = new Set<string>()
  let [isEverything, isBusy] = [false, false]
  const work = async (): Promise<void> => {
    if (isBusy) return
    isBusy = true
    while (isEverything || waiting.size > 0) {
      const begin = performance.now()
      const runs = new Set(waiting)
      const all = isEverything
      waiting.clear()
      isEverything = false
      await client.invalidateQueries({
        predicate: ({ queryKey: [kind, id] }) => {
          if (kind === "frame") return false
          return all || (kind === "run" ? runs.has(String(id)) : kind === "runs" || kind === "inbox" || kind === "counts")
        },
      })
      // As long again as the answers took, so that half of the time is left for people.
      await new Promise((resolve) => setTimeout(resolve, Math.min(2_000, Math.max(25, performance.now() - begin))))
    }
    isBusy = false
  }
  return (note: Note): void => {
    if ("reset" in note) isEverything = true
    else for (const run of note.runs) waiting.add(run)
    void work()
  }
}
