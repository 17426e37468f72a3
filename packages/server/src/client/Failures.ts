/**
 * Errors of the client.
 */

/** A reply that is no success. `tag` and `fields` are those of the error, as the command line prints them with `--json`. */
export class RequestFailed extends Error {
  readonly status: number
  readonly tag: string
  readonly fields: { readonly [name: string]: unknown }

  constructor(status: number, tag: string, message: string, fields: { readonly [name: string]: unknown }) {
    super(message)
    this.name = "RequestFailed"
    this.status = status
    this.tag = tag
    this.fields = fields
  }
}

/** There was no reply. */
export class Unreachable extends Error {
  constructor(baseUrl: string, cause: unknown) {
    super(`The server at ${baseUrl} does not answer.`, { cause })
    this.name = "Unreachable"
  }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Reads the error in a reply. */
export const refusalOf = (status: number, text: string): RequestFailed => {
  const body = parsed(text)
  const error: unknown = typeof body === "object" && body !== null && "error" in body ? body.error : undefined
  const { tag, message, ...fields } = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>
  const isKnown = typeof tag === "string" && typeof message === "string"
  return isKnown
    ? new RequestFailed(status, tag, message, fields)
    : new RequestFailed(status, `Http${status}`, `The server answered ${status}.`, {})
}
