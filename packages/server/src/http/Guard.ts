/**
 * Checks each request before anything else sees it: the host and origin it is for, its kind, its size, its time and its token.
 */
import type { CallerShape } from "../operations/Caller.ts"
import { find, type Token } from "./Tokens.ts"

/** Bounds of requests. */
export interface Bounds {
  /** Bytes of a body. Default: 1 MiB. */
  readonly bodyBytes: number
  /** Levels of a JSON body. Default: 64. */
  readonly depth: number
  /** Milliseconds in which a body must have arrived. Default: 10 s. */
  readonly bodyMs: number
  /** Characters of an address. Default: 8192. */
  readonly urlLength: number
  /** Requests of a caller in a second. Default: 500. */
  readonly perSecond: number
}

export const bounds: Bounds = { bodyBytes: 1 << 20, depth: 64, bodyMs: 10_000, urlLength: 8192, perSecond: 500 }

export interface GuardOptions {
  readonly tokens: () => ReadonlyArray<Token>
  /** Names of hosts beside those of this machine, without ports. */
  readonly allowHosts?: ReadonlyArray<string>
  readonly bounds?: Partial<Bounds>
}

const local: ReadonlyArray<string> = ["localhost", "127.0.0.1", "[::1]"]

/** Headers of every reply. */
export const headers = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
} as const

/** A reply with an error, as JSON. */
export const refuse = (status: number, tag: string, message: string, more: Readonly<Record<string, string>> = {}): Response =>
  Response.json({ error: { tag, message } }, { status, headers: { ...more, "cache-control": "no-store" } })

const nameOf = (host: string): string => host.replace(/:\d+$/, "").toLowerCase()

/** Depth of the brackets of a JSON text, without those in strings. */
const depthOf = (text: string): number => {
  let depth = 0
  let most = 0
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (character === '"') {
      for (index++; index < text.length && text[index] !== '"'; index++) if (text[index] === "\\") index++
    } else if (character === "{" || character === "[") most = Math.max(most, ++depth)
    else if (character === "}" || character === "]") depth--
  }
  return most
}

/** Reads a body within bounds. */
const read = async (request: Request, { bodyBytes, bodyMs }: Bounds): Promise<Uint8Array | "large" | "slow"> => {
  if (Number(request.headers.get("content-length") ?? 0) > bodyBytes) return "large"
  const reader = request.body?.getReader()
  if (reader === undefined) return new Uint8Array()
  const chunks: Array<Uint8Array> = []
  let size = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<"slow">((resolve) => {
    timer = setTimeout(() => resolve("slow"), bodyMs)
  })
  try {
    for (;;) {
      const next = await Promise.race([reader.read(), late])
      if (next === "slow") {
        await reader.cancel()
        return "slow"
      }
      if (next.done) break
      size += next.value.length
      if (size > bodyBytes) {
        await reader.cancel()
        return "large"
      }
      chunks.push(next.value)
    }
  } finally {
    clearTimeout(timer)
  }
  return Buffer.concat(chunks)
}

/** An admitted request. */
export interface Admitted {
  readonly request: Request
  /** Absent on paths that need no token. */
  readonly caller: CallerShape | undefined
}

/** Paths that need no token: they tell only that the server is there. */
const open: ReadonlySet<string> = new Set(["/healthz", "/readyz"])

/** The token that a request carries. */
export const tokenOf = (request: Request): string | undefined =>
  /^Bearer ([\w-]{1,200})$/.exec(request.headers.get("authorization") ?? "")?.[1]

/** Makes the guard. It returns the request to handle, with its body read, or the refusal. */
export const make = (options: GuardOptions): ((request: Request) => Promise<Admitted | Response>) => {
  const limits = { ...bounds, ...options.bounds }
  const hosts = new Set([...local, ...(options.allowHosts ?? [])].map((host) => host.toLowerCase()))
  const counts = new Map<string, { second: number; count: number }>()
  const isTooOften = (who: string): boolean => {
    const second = Math.floor(performance.now() / 1000)
    const known = counts.get(who)
    if (known === undefined || known.second !== second) {
      if (counts.size > 1000) counts.clear()
      counts.set(who, { second, count: 1 })
      return false
    }
    return ++known.count > limits.perSecond
  }
  return async (request) => {
    if (request.url.length > limits.urlLength)
      return refuse(414, "AddressTooLong", `An address has at most ${limits.urlLength} characters.`)
    const host = request.headers.get("host") ?? ""
    if (!hosts.has(nameOf(host)))
      return refuse(421, "UnknownHost", "This server does not answer for that host. Start it with --allow-host to name one more.")
    const origin = request.headers.get("origin")
    if (origin !== null && origin !== `http://${host}` && origin !== `https://${host}`)
      return refuse(403, "ForeignOrigin", "Pages of other origins may not send requests to this server.")
    if (request.headers.get("sec-fetch-site") === "cross-site")
      return refuse(403, "ForeignOrigin", "Pages of other origins may not send requests to this server.")
    const { pathname } = new URL(request.url)
    const isRead = request.method === "GET" || request.method === "HEAD"
    // Pages of other origins cannot send it, and it has no body.
    const isClosing = request.method === "DELETE" && pathname === "/mcp"
    const isApi = pathname.startsWith("/api/") || pathname === "/metrics" || pathname === "/mcp"
    const given = tokenOf(request)
    const caller = given === undefined ? undefined : find(options.tokens(), given)
    // Deliveries are signed instead; who floods one hook holds up no other.
    const isHook = request.method === "POST" && pathname.startsWith("/hooks/")
    if (isTooOften(isHook ? pathname : (caller?.name ?? "")))
      return refuse(429, "TooManyRequests", "Send fewer requests in a second.", { "retry-after": "1" })
    if (!isRead && !isClosing && /^application\/json\s*(;|$)/i.exec(request.headers.get("content-type") ?? "") === null)
      return refuse(415, "NotJson", "A request that changes something has the content type application/json.")
    if (caller === undefined && (isApi || !isRead) && !isHook && !open.has(pathname))
      return refuse(
        401,
        "NoToken",
        "Send the token of this server: Authorization: Bearer <token>. Its file stands beside the database.",
        {
          "www-authenticate": 'Bearer realm="smithers"',
        },
      )
    if (isRead || isClosing) return { request, caller }
    const body = await read(request, limits)
    if (body === "large") return refuse(413, "BodyTooLarge", `A body has at most ${limits.bodyBytes} bytes.`)
    if (body === "slow") return refuse(408, "BodyTooSlow", `A body arrives within ${limits.bodyMs} milliseconds.`)
    const text = new TextDecoder().decode(body)
    if (depthOf(text) > limits.depth) return refuse(413, "BodyTooDeep", `A body has at most ${limits.depth} levels.`)
    const { method, url } = request
    // Endpoints without a body take an empty one. A signature is about the body as it was sent.
    const whole = new Request(url, { method, headers: request.headers, body: text === "" && !isHook ? "{}" : text })
    return { request: whole, caller }
  }
}
