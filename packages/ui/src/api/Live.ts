/**
 * What happens, as it happens: one stream of events per browser. The tab that holds a lock reads it and tells the others. A hidden tab
 * gives the lock up. Whoever comes back or was cut off asks for everything again, so nothing is missed.
 */
import { address, headers } from "./Client.ts"
import { type Message, reader } from "./Sse.ts"

/** Something happened to these runs; or anything may have (`reset`). */
export type Note = { readonly runs: ReadonlyArray<string> } | { readonly reset: true }
export type Link = "live" | "connecting" | "offline" | "hidden"

interface Shared {
  readonly note?: Note
  readonly link?: Link
}

const name = "smithers-events"

/** Milliseconds between tries to connect, the first and the most. */
const delays = { first: 250, most: 4_000 }

/** Milliseconds without any byte after which a stream counts as dead; the server sends a comment every 15 s. */
const silence = 40_000

/** Follows the events until it is stopped. Returns the way to stop. */
export const follow = (onNote: (note: Note) => void, onLink: (link: Link) => void): (() => void) => {
  const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(name)
  let stop: AbortController | undefined
  let last: string | undefined

  const tell = (shared: Shared): void => {
    if (shared.note !== undefined) onNote(shared.note)
    if (shared.link !== undefined) onLink(shared.link)
    channel?.postMessage(shared)
  }
  if (channel !== undefined) {
    channel.onmessage = ({ data }: MessageEvent<Shared>) => {
      if (data.note !== undefined) onNote(data.note)
      if (data.link !== undefined) onLink(data.link)
    }
  }

  const read = async (signal: AbortSignal): Promise<void> => {
    for (let delay = delays.first; !signal.aborted; ) {
      tell({ link: "connecting" })
      const began = Date.now()
      try {
        await stream(signal)
      } catch {
        // Whatever cut it off, the cure is the same.
      }
      if (signal.aborted) return
      tell({ link: "offline" })
      delay = Date.now() - began > 10_000 ? delays.first : Math.min(delays.most, delay * 2)
      await pause(delay, signal)
    }
  }

  const stream = async (signal: AbortSignal): Promise<void> => {
    const cut = new AbortController()
    const both = AbortSignal.any([signal, cut.signal])
    let watch = setTimeout(() => cut.abort(), silence)
    const response = await fetch(address("/events", { all: 1, inbox: 1 }), {
      headers: headers({ accept: "text/event-stream", ...(last === undefined ? {} : { "last-event-id": last }) }),
      signal: both,
    })
    if (!response.ok || response.body === null) throw new Error(`${response.status}`)
    tell({ link: "live", note: { reset: true } })
    const runs = new Set<string>()
    let isDue = false
    const flush = (): void => {
      isDue = false
      if (runs.size > 0) tell({ note: { runs: [...runs] } })
      runs.clear()
    }
    const take = ({ event, data, id }: Message): void => {
      if (id !== undefined) last = id
      if (event === "reset") return tell({ note: { reset: true } })
      const runId = runIn(data)
      if (runId === undefined) return
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
  if (document.visibilityState === "visible") start()
  return () => {
    document.removeEventListener("visibilitychange", turn)
    end()
    channel?.close()
  }
}

const runIn = (data: string): string | undefined => {
  try {
    const value: unknown = JSON.parse(data)
    return typeof value === "object" && value !== null && "runId" in value ? String(value.runId) : undefined
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
