/** Requests to the server, with the token of this tab, and their errors. */

/** An answer that is no success. `tag` is that of the error, as the command line prints it. */
export class Refused extends Error {
  readonly tag: string
  readonly status: number
  readonly fields: { readonly [name: string]: unknown }
  constructor(tag: string, message: string, status: number, fields: { readonly [name: string]: unknown }) {
    super(message)
    this.tag = tag
    this.status = status
    this.fields = fields
  }
}

/** The server did not answer at all. */
export class Unreachable extends Error {}

const key = "smithers-token"
const base = "/api/v1"

export const token = (): string | undefined => sessionStorage.getItem(key) ?? undefined
export const setToken = (value: string): void => sessionStorage.setItem(key, value)

export const headers = (more: { readonly [name: string]: string } = {}): Record<string, string> => {
  const known = token()
  return { ...more, ...(known === undefined ? {} : { authorization: `Bearer ${known}` }) }
}

/** The parts of a query; those that are `undefined` are left out, and lists are repeated. */
export type Query = { readonly [name: string]: string | number | boolean | ReadonlyArray<string> | undefined }

export const address = (path: string, query: Query = {}): string => {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one))
  }
  const text = search.toString()
  return `${base}${path}${text === "" ? "" : `?${text}`}`
}

/** A path with its parts encoded: `path("runs", id, "why")`. */
export const path = (...parts: ReadonlyArray<string | number>): string =>
  parts.map((part) => `/${encodeURIComponent(part)}`).join("")

const answer = async <A>(request: Promise<Response>): Promise<A> => {
  let response: Response
  try {
    response = await request
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause
    throw new Unreachable("The server does not answer.")
  }
  const text = await response.text()
  const body = parsed(text)
  if (response.ok) return body as A
  throw refusalOf(response.status, body)
}

const parsed = (text: string): unknown => {
  try {
    return text === "" ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

const refusalOf = (status: number, body: unknown): Refused => {
  const error = typeof body === "object" && body !== null && "error" in body ? body.error : undefined
  const { tag, message, ...fields } = (typeof error === "object" && error !== null ? error : {}) as {
    readonly [name: string]: unknown
  }
  return new Refused(
    typeof tag === "string" ? tag : `Http${status}`,
    typeof message === "string" ? message : `The server answered ${status}.`,
    status,
    fields,
  )
}

export const get = <A>(path: string, query?: Query, signal?: AbortSignal): Promise<A> =>
  answer<A>(fetch(address(path, query), { headers: headers(), ...(signal === undefined ? {} : { signal }) }))

export const post = <A>(path: string, body: unknown = {}): Promise<A> =>
  answer<A>(
    fetch(address(path), { method: "POST", headers: headers({ "content-type": "application/json" }), body: JSON.stringify(body) }),
  )

export const remove = <A>(path: string): Promise<A> =>
  answer<A>(fetch(address(path), { method: "DELETE", headers: headers({ "content-type": "application/json" }) }))
