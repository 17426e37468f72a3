/**
 * Follows events of runs over HTTP, in browsers and elsewhere. After a lost connection it goes on behind the last event it has
 * given.
 */
import type { RunEvent } from "@smithers/core/RunEvent"
import { RequestFailed, refusalOf } from "./Failures.ts"

export interface FollowOptions {
  /** Address of the server, such as `http://127.0.0.1:4280`. */
  readonly baseUrl: string
  readonly token: string
  /** Runs whose events are given. At most 100. */
  readonly runs?: ReadonlyArray<string>
  /** Also tells which runs have changed, of all of the database. */
  readonly all?: boolean
  /** Also tells when the requests to people have changed. */
  readonly inbox?: boolean
  readonly signal?: AbortSignal
  /** Position to go on behind, for the same `runs` in the same order. Default: the beginning of each run. */
  readonly lastEventId?: string
  /** Milliseconds before it connects again. Default: 500, doubled after each failure up to ten seconds. */
  readonly retryMs?: number
  /** Milliseconds of silence after which a connection counts as lost. The server sends a comment every 15 s. Default: 40,000. */
  readonly silenceMs?: number
  /** Default: that of the runtime. */
  readonly fetch?: (input: string, init: RequestInit) => Promise<Response>
}

/** An event of a run, as it is logged. */
export interface FollowedEvent {
  readonly runId: string
  readonly seq: number
  readonly frame: number
  /** Epoch milliseconds. */
  readonly at: number
  readonly event: RunEvent
  /** The event in words. */
  readonly text: string
}

/** What a stream tells. After `reset` everything has to be read again. Only `run` has an id: its position, for `lastEventId`. */
export type Followed =
  | { readonly event: "run"; readonly data: FollowedEvent; readonly id: string }
  | { readonly event: "changed"; readonly data: { readonly runId: string } }
  | { readonly event: "inbox"; readonly data: { readonly count: number } }
  | { readonly event: "reset"; readonly data: object }

/** Longest pause between two tries to connect, in milliseconds. */
const longestPauseMs = 10_000

const parse = (block: string): Followed | undefined => {
  let event = "message"
  let data = ""
  let id: string | undefined
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice(7)
    else if (line.startsWith("data: ")) data += line.slice(6)
    else if (line.startsWith("id: ")) id = line.slice(4)
  }
  if (data === "") return undefined
  // The server sends nothing else.
  return { event, data: JSON.parse(data) as unknown, ...(id === undefined ? {} : { id }) } as Followed
}

const pause = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener("abort", end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener("abort", end)
  })

/** Follows events until `signal` is aborted. Fails with `RequestFailed` if the server refuses the stream. */
export async function* followEvents(options: FollowOptions): AsyncGenerator<Followed> {
  const { token, runs = [], all = false, inbox = false, signal, retryMs = 500, silenceMs = 40_000 } = options
  const { fetch = globalThis.fetch } = options
  let last = options.lastEventId
  const address = new URL(`${options.baseUrl.replace(/\/+$/, "")}/api/v1/events`)
  for (const runId of runs) address.searchParams.append("run", runId)
  if (all) address.searchParams.set("all", "1")
  if (inbox) address.searchParams.set("inbox", "1")
  const isOver = (): boolean => signal?.aborted === true
  for (let delay = retryMs; !isOver(); delay = Math.min(delay * 2, Math.max(retryMs, longestPauseMs))) {
    const cut = new AbortController()
    const end = () => cut.abort()
    signal?.addEventListener("abort", end)
    let watch = setTimeout(end, silenceMs)
    try {
      const headers = { authorization: `Bearer ${token}`, ...(last === undefined ? {} : { "last-event-id": last }) }
      const response = await fetch(address.href, { headers, signal: cut.signal })
      if (response.status >= 400 && response.status < 500 && response.status !== 429)
        throw refusalOf(response.status, await response.text())
      const decoder = new TextDecoder()
      const reader = response.ok ? response.body?.getReader() : undefined
      for (let held = ""; reader !== undefined; ) {
        const { done, value } = await reader.read()
        if (done) break
        clearTimeout(watch)
        watch = setTimeout(end, silenceMs)
        const blocks = (held + decoder.decode(value, { stream: true })).split("\n\n")
        held = blocks.pop() ?? ""
        for (const block of blocks) {
          const message = parse(block)
          if (message === undefined) continue
          if (message.event === "run") last = message.id
          delay = retryMs
          yield message
        }
      }
    } catch (thrown) {
      if (thrown instanceof RequestFailed) throw thrown
      // The connection was lost.
    } finally {
      clearTimeout(watch)
      signal?.removeEventListener("abort", end)
      cut.abort()
    }
    if (!isOver()) await pause(delay, signal)
  }
}
