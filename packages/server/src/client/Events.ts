/**
 * Follows events of runs over HTTP, in browsers and elsewhere. After a lost connection it goes on behind the last event it has
 * given.
 */

export interface FollowOptions {
  /** Address of the server, such as `http://127.0.0.1:4280`. */
  readonly baseUrl: string
  readonly token: string
  readonly runs?: ReadonlyArray<string>
  /** Also tells when any run has changed, and when the requests to people have. */
  readonly all?: boolean
  readonly inbox?: boolean
  readonly signal?: AbortSignal
  /** Position to go on behind. Default: the beginning of each run. */
  readonly lastEventId?: string
  /** Milliseconds before it connects again. Default: 500. */
  readonly retryMs?: number
}

export interface Message {
  /** `run`, `changed`, `inbox` or `reset`. After `reset` everything has to be read again. */
  readonly event: string
  readonly data: unknown
  /** Position of an event, for `lastEventId`. */
  readonly id: string | undefined
}

const parse = (block: string): Message | undefined => {
  let event = "message"
  let data = ""
  let id: string | undefined
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice(7)
    else if (line.startsWith("data: ")) data += line.slice(6)
    else if (line.startsWith("id: ")) id = line.slice(4)
  }
  return data === "" ? undefined : { event, data: JSON.parse(data) as unknown, id }
}

/** Follows events until `signal` is aborted. Throws if the server refuses the stream. */
export async function* followEvents(options: FollowOptions): AsyncGenerator<Message> {
  const { baseUrl, token, runs = [], all = false, inbox = false, signal, retryMs = 500 } = options
  let last = options.lastEventId
  const address = new URL("/api/v1/events", baseUrl)
  if (runs.length > 0) address.searchParams.set("runs", runs.join(","))
  if (all) address.searchParams.set("all", "1")
  if (inbox) address.searchParams.set("inbox", "1")
  const isOver = (): boolean => signal?.aborted === true
  while (!isOver()) {
    try {
      const headers = { authorization: `Bearer ${token}`, ...(last === undefined ? {} : { "last-event-id": last }) }
      const response = await fetch(address, { headers, ...(signal === undefined ? {} : { signal }) })
      if (response.status >= 400 && response.status < 500 && response.status !== 429)
        throw new Refusal(`the server refused the stream (${response.status}): ${await response.text()}`)
      const reader = response.ok ? response.body?.pipeThrough(new TextDecoderStream()).getReader() : undefined
      for (let held = ""; reader !== undefined; ) {
        const { done, value } = await reader.read()
        if (done) break
        const blocks = (held + value).split("\n\n")
        held = blocks.pop() ?? ""
        for (const block of blocks) {
          const message = parse(block)
          if (message === undefined) continue
          last = message.id ?? last
          yield message
        }
      }
    } catch (thrown) {
      if (thrown instanceof Refusal) throw thrown
      // The connection was lost.
    }
    if (!isOver()) await new Promise((resolve) => setTimeout(resolve, retryMs))
  }
}

class Refusal extends Error {}
