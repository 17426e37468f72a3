/**
 * What happens, as it happens: one stream of events per browser. The tab that holds a lock reads it and tells the others. A hidden tab
 * gives the lock up. Whoever comes back or was cut off asks for everything again, so nothing is missed.
 */
import type { LoggedEvent } from "@smithers/core/RunReader"
import { address, headers } from "./Client.ts"
import { type Message, reader } from "./Sse.ts"

/** An event of a run that a tab looks at. */
export type LiveEvent = LoggedEvent & { readonly text: string }

/** Something happened to these runs, or to the requests to people; or anything may have happened (`reset`). */
export type Note =
  | { readonly runs: ReadonlyArray<string>; readonly events: ReadonlyArray<LiveEvent> }
  | { readonly inbox: true }
  | { readonly reset: true }
export type Link = "live" | "connecting" | "offline" | "hidden"

/** A run that a tab looks at, and the last event that it has. */
interface Watched {
  readonly runId: string
  readonly seq: number
}

interface Shared {
  readonly note?: Note
  readonly link?: Link
  /** What a tab looks at; `null` for nothing any more. */
  readonly watch?: { readonly tab: string; readonly run: Watched | null }
  /** A new leader asks every tab what it looks at. */
  readonly ask?: true
}

const tab = Math.random().toString(36).slice(2)

/** What each tab looks at, with this one. Runs among these are told of event by event, others within a tenth of a second. */
const watched = new Map<string, Watched>()
let onWatch: (run: Watched | undefined) => void = () => {}

/** Says which run this tab looks at. */
export const watch = (run: Watched | undefined): void => {
  if (run === undefined) watched.delete(tab)
  else watched.set(tab, run)
  onWatch(run)
}

const name = "smithers-events"

/** Milliseconds between tries to connect, the first and the most. */
const delays = { first: 250, most: 4_000 }

/** Milliseconds without any byte after which a stream counts as dead; the server sends a comment every 15 s. */
const silence = 40_000

/** Runs that one stream tells of event by event. */
const mostRuns = 50

/** Follows the events until it is stopped. Returns the way to stop. */
export const follow = (onNote: (note: Note) => void, onLink: (link: Link) => void): (() => void) => {
  const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(name)
  let stop: AbortController | undefined
  /** Ends the stream for one with other runs. */
  let turnStream: (() => void) | undefined
  let turning: ReturnType<typeof setTimeout> | undefined
  const runsNow = (): ReadonlyArray<Watched> =>
    [...new Map([...watched.values()].map((run) => [run.runId, run])).values()]
      .toSorted((left, right) => (left.runId < right.runId ? -1 : 1))
      .slice(0, mostRuns)
  const turnSoon = (): void => {
    clearTimeout(turning)
    turning = setTimeout(() => turnStream?.(), 30)
  }

  const tell = (shared: Shared): void => {
    if (shared.note !== undefined) onNote(shared.note)
    if (shared.link !== undefined) onLink(shared.link)
    channel?.postMessage(shared)
  }
  if (channel !== undefined) {
    channel.onmessage = ({ data }: MessageEvent<Shared>) => {
      if (data.note !== undefined) onNote(data.note)
      if (data.link !== undefined) onLink(data.link)
      if (data.ask === true) channel.postMessage({ watch: { tab, run: watched.get(tab) ?? null } } satisfies Shared)
      if (data.watch !== undefined) {
        if (data.watch.run === null) watched.delete(data.watch.tab)
        else watched.set(data.watch.tab, data.watch.run)
        turnSoon()
      }
    }
  }
  onWatch = (run) => {
    channel?.postMessage({ watch: { tab, run: run ?? null } } satisfies Shared)
    turnSoon()
  }
  const leave = (): void => channel?.postMessage({ watch: { tab, run: null } } satisfies Shared)

  const read = async (signal: AbortSignal): Promise<void> => {
    channel?.postMessage({ ask: true } satisfies Shared)
    let isTurned = false
    for (let delay = delays.first; !signal.aborted; ) {
      if (!isTurned) tell({ link: "connecting" })
      const began = Date.now()
      isTurned = false
      try {
        isTurned = await stream(signal)
      } catch {
        // Whatever cut it off, the cure is the same.
      }
      if (signal.aborted) return
      if (isTurned) continue
      tell({ link: "offline" })
      delay = Date.now() - began > 10_000 ? delays.first : Math.min(delays.most, delay * 2)
      await pause(delay, signal)
    }
  }

  /** Reads one stream to its end. Completes with `true` if it was ended for one with other runs. */
  const stream = async (signal: AbortSignal): Promise<boolean> => {
    const cut = new AbortController()
    const followed = runsNow()
    const names = namesOf(followed)
    let isTurned = false
    turnStream = () => {
      if (namesOf(runsNow()) === names) return
      isTurned = true
      cut.abort()
    }
    try {
      await pieces(followed, AbortSignal.any([signal, cut.signal]), cut)
    } catch (error) {
      if (!isTurned) throw error
    } finally {
      turnStream = undefined
    }
    return isTurned
  }

  const pieces = async (followed: ReadonlyArray<Watched>, both: AbortSignal, cut: AbortController): Promise<void> => {
    let watch = setTimeout(() => cut.abort(), silence)
    const response = await fetch(address("/events", { all: 1, inbox: 1, run: followed.map(({ runId }) => runId) }), {
      headers: headers({
        accept: "text/event-stream",
        // Events that the tabs have are not sent again.
        ...(followed.length === 0 ? {} : { "last-event-id": followed.map(({ seq }) => seq).join(".") }),
      }),
      signal: both,
    })
    if (!response.ok || response.body === null) throw new Error(`${response.status}`)
    tell({ link: "live", note: { reset: true } })
    const runs = new Set<string>()
    let events: Array<LiveEvent> = []
    let isDue = false
    const flush = (): void => {
      isDue = false
      if (runs.size > 0) tell({ note: { runs: [...runs], events } })
      runs.clear()
      events = []
    }
    const take = ({ event, data }: Message): void => {
      if (event === "reset") return tell({ note: { reset: true } })
      if (event === "inbox") return tell({ note: { inbox: true } })
      const said = saidIn(data)
      if (said === undefined) return
      const { runId, seq } = said
      if (event === "run") events.push(said as LiveEvent)
      // A stream that begins again goes on behind the last event.
      if (seq !== undefined)
        for (const [tab, run] of watched) if (run.runId === runId && run.seq < seq) watched.set(tab, { runId, seq })
      runs.add(runId)
      if (isDue) return
      isDue = true
      // What comes at once is told at once.
      setTimeout(flush, 8)
    }
    const feed = reader(take)
    const chunks = response.body.pipeThrough(new TextDecoderStream()).getReader()
    for (let chunk = await chunks.read(); !chunk.done; chunk = await chunks.read()) {
      clearTimeout(watch)
      watch = setTimeout(() => cut.abort(), silence)
      feed(chunk.value)
    }
    clearTimeout(watch)
  }

  const start = (): void => {
    if (stop !== undefined) return
    const mine = new AbortController()
    stop = mine
    // Locks are there in secure contexts only, to which the loopback belongs. Elsewhere each tab has its own stream.
    if (navigator.locks === undefined) void read(mine.signal)
    else navigator.locks.request(name, { signal: mine.signal }, () => read(mine.signal)).catch(() => undefined)
    // A tab that does not lead hears how it stands with the next word; until then it is as good as live.
    onLink("live")
  }
  const end = (): void => {
    stop?.abort()
    stop = undefined
  }
  const turn = (): void => {
    if (document.visibilityState === "hidden") {
      end()
      onLink("hidden")
    } else if (stop === undefined) {
      start()
      onNote({ reset: true })
    }
  }
  document.addEventListener("visibilitychange", turn)
  window.addEventListener("pagehide", leave)
  if (document.visibilityState === "visible") start()
  return () => {
    document.removeEventListener("visibilitychange", turn)
    window.removeEventListener("pagehide", leave)
    onWatch = () => {}
    leave()
    end()
    channel?.close()
  }
}

const namesOf = (runs: ReadonlyArray<Watched>): string => JSON.stringify(runs.map(({ runId }) => runId))

/** The run of a message, and the number of its event. */
const saidIn = (data: string): { readonly runId: string; readonly seq?: number } | undefined => {
  try {
    const value: unknown = JSON.parse(data)
    return typeof value === "object" && value !== null && "runId" in value ? (value as { readonly runId: string }) : undefined
  } catch {
    return undefined
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener("abort", () => {
      clearTimeout(timer)
      resolve()
    })
  })
