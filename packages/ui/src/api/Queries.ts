/** What the page asks the server for, as queries that are kept and asked again when something has happened. */
import { QueryClient, queryOptions } from "@tanstack/react-query"
import type * as Answers from "./Answers.ts"
import { get, path, type Query, Refused } from "./Client.ts"
import type { Note } from "./Live.ts"

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

/** What changes by the mere passing of time, such as a run whose process has died, is asked for now and then. */
const looked = { refetchInterval: 5_000 } as const

/** What is so as of a frame never changes. */
const fixed = { staleTime: Number.POSITIVE_INFINITY, gcTime: 120_000 }

export const runs = (filter: Query) => ({
  queryKey: ["runs", filter] as const,
  queryFn: ({ pageParam, signal }: { readonly pageParam: string | undefined; readonly signal: AbortSignal }) =>
    get<Answers.RunPage>("/runs", { ...filter, before: pageParam, limit: 100 }, signal),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: ({ next }: Answers.RunPage) => next ?? undefined,
  ...looked,
})

export const counts = queryOptions({
  queryKey: ["counts"],
  queryFn: ({ signal }) => get<Answers.Counts>("/counts", {}, signal),
  ...looked,
})

export const run = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "overview"],
    queryFn: ({ signal }) => get<Answers.Overview>(path("runs", id), {}, signal),
    ...looked,
  })

export const details = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "details"],
    queryFn: ({ signal }) => get<Answers.Details>(`${path("runs", id)}/details`, {}, signal),
  })

export const why = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "why"],
    queryFn: ({ signal }) => get<Answers.Why>(`${path("runs", id)}/why`, {}, signal),
    ...looked,
  })

export const plan = (id: string, frame: number | undefined) =>
  queryOptions({
    queryKey: frame === undefined ? ["run", id, "plan"] : ["frame", id, frame, "plan"],
    queryFn: ({ signal }) => get<Answers.Plan>(`${path("runs", id)}/plan`, { frame }, signal),
    ...(frame === undefined ? {} : fixed),
  })

/** A child run now, or as of a time, which is that of a frame of its parent. Of one that goes on as others it is the latest. */
export const childPlan = (id: string, at: number | undefined) =>
  queryOptions({
    queryKey: at === undefined ? ["run", id, "latest plan"] : ["frame", id, `at ${at}`, "plan"],
    queryFn: ({ signal }) => get<Answers.Plan>(`${path("runs", id)}/plan`, { at, latest: "true" }, signal),
    // News of the later ones concerns them, not the first.
    ...(at === undefined
      ? {
          refetchInterval: ({ state }: Kept) =>
            state.data === undefined || state.data.runId === id ? false : looked.refetchInterval,
        }
      : fixed),
  })

interface Kept {
  readonly state: { readonly data: Answers.Plan | undefined }
}

export const stateAt = (id: string, at: number) =>
  queryOptions({
    queryKey: ["frame", id, `at ${at}`, "state"],
    queryFn: ({ signal }) => get<Answers.State>(`${path("runs", id)}/state`, { at }, signal),
    ...fixed,
  })

export const state = (id: string, frame: number) =>
  queryOptions({
    queryKey: ["frame", id, frame, "state"],
    queryFn: ({ signal }) => get<Answers.State>(`${path("runs", id)}/state`, { frame }, signal),
    ...fixed,
  })

export const frames = (id: string, after: number, signal?: AbortSignal) =>
  get<Answers.FramePage>(`${path("runs", id)}/timeline`, { after, limit: 1_000 }, signal)

export const events = (id: string) => ({
  queryKey: ["run", id, "events"] as const,
  queryFn: ({ pageParam, signal }: { readonly pageParam: number; readonly signal: AbortSignal }) =>
    get<Answers.EventPage>(`${path("runs", id)}/events`, { after: pageParam, limit: 500 }, signal),
  initialPageParam: 0,
  getNextPageParam: ({ next }: Answers.EventPage) => next ?? undefined,
})

export const node = (id: string, nodeId: string, iteration: number | undefined, frame: number | undefined) =>
  queryOptions({
    queryKey: frame === undefined ? ["run", id, "node", nodeId, iteration] : ["frame", id, frame, "node", nodeId, iteration],
    queryFn: ({ signal }) => get<Answers.Node>(path("runs", id, "nodes", nodeId), { iteration, frame }, signal),
    ...(frame === undefined ? {} : fixed),
  })

export const transcript = (id: string, nodeId: string, iteration: number, attempt: number) =>
  queryOptions({
    queryKey: ["run", id, "transcript", nodeId, iteration, attempt],
    queryFn: ({ signal }) =>
      get<Answers.Transcript>(`${path("runs", id, "nodes", nodeId, "attempts", attempt)}/transcript`, { iteration }, signal),
  })

export const attemptDiff = (id: string, nodeId: string, iteration: number, a: number, b: number) =>
  queryOptions({
    queryKey: ["run", id, "attempts", nodeId, iteration, a, b],
    queryFn: ({ signal }) => get<Answers.NodeDifference>(`${path("runs", id, "nodes", nodeId)}/diff`, { iteration, a, b }, signal),
  })

export const diff = (a: string, b: string) =>
  queryOptions({ queryKey: ["diff", a, b], queryFn: ({ signal }) => get<Answers.Comparison>("/diff", { a, b }, signal) })

export const waits = (id: string) =>
  queryOptions({
    queryKey: ["run", id, "waits"],
    queryFn: async ({ signal }) => (await get<Answers.Waits>(`${path("runs", id)}/waits`, { all: true }, signal)).waits,
  })

export const inbox = queryOptions({
  queryKey: ["inbox"],
  queryFn: ({ signal }) => get<Answers.Inbox>("/inbox", { limit: 200 }, signal),
})

/** Any other page of the server, by its path. */
export const at = <A>(path: string, query: Query = {}, key: string = path) =>
  queryOptions({ queryKey: [key, path, query], queryFn: ({ signal }) => get<A>(path, query, signal) })

/** Parts that are told first of what has happened. */
export const listeners = new Set<(note: Note) => void>()

/**
 * Asks again for what something has happened to: at once at first, and while much happens only as often as the server keeps up with.
 */
export const makeRefresher = (client: QueryClient) => {
  const waiting = new Set<string>()
  let [isEverything, isInbox, isBusy] = [false, false, false]
  const work = async (): Promise<void> => {
    if (isBusy) return
    isBusy = true
    while (isEverything || isInbox || waiting.size > 0) {
      const begin = performance.now()
      const runs = new Set(waiting)
      const [all, inbox] = [isEverything, isInbox]
      waiting.clear()
      isEverything = false
      isInbox = false
      await client.invalidateQueries({
        predicate: ({ queryKey: [kind, id] }) => {
          if (kind === "frame") return false
          if (all) return true
          if (kind === "run") return runs.has(String(id))
          return kind === "inbox" ? inbox : kind === "runs" || kind === "counts"
        },
      })
      // As long again as the answers took, so that half of the time is left for people.
      await new Promise((resolve) => setTimeout(resolve, Math.min(2_000, Math.max(25, performance.now() - begin))))
    }
    isBusy = false
  }
  return (note: Note): void => {
    for (const listener of listeners) listener(note)
    if ("reset" in note) isEverything = true
    else if ("inbox" in note) isInbox = true
    else for (const run of note.runs) waiting.add(run)
    void work()
  }
}
