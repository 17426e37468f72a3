/**
 * A server of a folder, as a process, and requests to it.
 */
import { readFileSync } from "node:fs"
import type { Folder } from "../cli/Fixture.ts"
import { until } from "../cli/Fixture.ts"

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // Tests look into it by matchers.
  // biome-ignore lint/suspicious/noExplicitAny: a test reads fields that the schema test holds against the API
  readonly body: any
}

export interface Served {
  readonly url: string
  readonly token: string
  readonly pid: number
  /** Sends a request: GET, or POST with a body. */
  readonly ask: (path: string, body?: unknown, init?: RequestInit & { readonly token?: string }) => Promise<Answer>
  /** Reads messages of a stream until `isEnough`, and closes it. */
  readonly follow: (
    query: string,
    isEnough: (messages: ReadonlyArray<Message>) => boolean,
    lastEventId?: string,
  ) => Promise<ReadonlyArray<Message>>
  readonly stop: () => Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>
}

interface Message {
  readonly event: string
  readonly id: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly data: any
}

const messageOf = (block: string): ReadonlyArray<Message> => {
  const fields = new Map(
    block.split("\n").map((line): [string, string] => [line.split(": ", 1)[0] ?? "", line.replace(/^\w+: /, "")]),
  )
  const data = fields.get("data")
  return data === undefined ? [] : [{ event: fields.get("event") ?? "", id: fields.get("id"), data: JSON.parse(data) }]
}

/** Starts a server in a folder. */
export const serve = async (folder: Folder, ...options: ReadonlyArray<string>): Promise<Served> => {
  const child = folder.start(["serve", "--port", "0", "--json", ...options])
  await until(
    () => child.said().stdout.includes("\n"),
    () => `the server listens; it said ${JSON.stringify(child.said())}`,
  )
  const { url, tokenFile } = JSON.parse(child.said().stdout.split("\n")[0] ?? "") as {
    readonly url: string
    readonly tokenFile: string
  }
  const token = readFileSync(tokenFile, "utf8").trim()
  const ask: Served["ask"] = async (path, body, { token: own = token, ...init } = {}) => {
    const response = await fetch(`${url}${path.startsWith("/") ? path : `/api/v1/${path}`}`, {
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      ...init,
      headers: {
        ...(own === "" ? {} : { authorization: `Bearer ${own}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...init.headers,
      },
    })
    const text = await response.text()
    const isJson = response.headers.get("content-type")?.includes("json") === true
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined }
  }
  const follow: Served["follow"] = async (query, isEnough, lastEventId) => {
    const cut = new AbortController()
    const timer = setTimeout(() => cut.abort(new Error("the stream gave too little")), 20_000)
    const response = await fetch(`${url}/api/v1/events?${query}`, {
      headers: { authorization: `Bearer ${token}`, ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }) },
      signal: cut.signal,
    })
    const found: Array<Message> = []
    const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream() as never).getReader()
    for (let held = ""; !isEnough(found); ) {
      const { done, value } = await reader.read()
      if (done) break
      const blocks = `${held}${value}`.split("\n\n")
      held = blocks.pop() ?? ""
      found.push(...blocks.flatMap(messageOf))
    }
    clearTimeout(timer)
    cut.abort()
    return found
  }
  const stop = () => {
    child.kill("SIGTERM")
    return child.result
  }
  return { url, token, pid: child.pid, ask, follow, stop }
}
