/** Requests and answers as the fake provider sees them, alike for all protocols. */
import type { IncomingHttpHeaders } from "node:http"

/** A call of a tool by the model. */
export interface Call {
  readonly name: string
  readonly input: unknown
  /** Default: an id that no other call has. */
  readonly id?: string | undefined
  /** Text in place of the JSON of `input`. */
  readonly rawInput?: string | undefined
}

export type Block =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "thinking"; readonly text: string }
  | ({ readonly kind: "call" } & Call)

export interface Usage {
  readonly input: number
  readonly output: number
  readonly cacheRead?: number | undefined
  readonly cacheWrite?: number | undefined
  readonly reasoning?: number | undefined
}

/** An accident in a stream, once so many events are sent; in a plain answer, in the middle of its text. */
interface Fault {
  /**
   * `drop`: the connection is cut. `malformed`: an event that is no JSON, and then the rest. `error`: an event that says that the
   * provider is overloaded, as the last one. `stall`: nothing more comes, until the client gives up. `end`: the stream ends in order,
   * without its last events.
   */
  readonly kind: "drop" | "malformed" | "error" | "stall" | "end"
  readonly after: number
}

export interface Reply {
  readonly blocks: ReadonlyArray<Block>
  /** Default: `calls` where there is a call, otherwise `stop`. */
  readonly finish?: "stop" | "calls" | "length" | "refusal" | undefined
  /** Default: 10 tokens in, 5 out. */
  readonly usage?: Usage | undefined
  /** Milliseconds before the first byte. */
  readonly delayMs?: number | undefined
  /** Milliseconds before each further event of a stream. */
  readonly eventDelayMs?: number | undefined
  readonly fault?: Fault | undefined
}

export interface Refusal {
  readonly status: number
  /** Default: what the provider names such an error. */
  readonly type?: string | undefined
  readonly message?: string | undefined
  readonly headers?: { readonly [name: string]: string } | undefined
  readonly delayMs?: number | undefined
  /** Text in place of the provider's JSON. */
  readonly body?: string | undefined
}

export type Answer = Reply | Refusal

/** A result of a tool in a conversation. */
export interface Result {
  readonly id: string
  /** Name of the tool, by the call with this id. */
  readonly tool: string
  readonly text: string
  readonly isError: boolean
}

/** A request, read alike for both protocols. */
export interface Asked {
  readonly model: string
  /** Text of the system prompts. */
  readonly system: string
  /** Text of the last message of a user that has text. */
  readonly user: string
  /** Results of tools since the last message of the model. */
  readonly results: ReadonlyArray<Result>
  /** All results of tools of the conversation. */
  readonly allResults: ReadonlyArray<Result>
  /** Names of the tools that are offered. */
  readonly tools: ReadonlyArray<string>
  readonly isStreaming: boolean
  /** JSON Schema that the answer is to have. */
  readonly schema: unknown
}

export interface ProviderRequest extends Asked {
  readonly protocol: "anthropic" | "openai"
  /** Number of earlier requests with the same conversation. */
  readonly seen: number
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

/** An event of a stream. */
export interface Event {
  readonly type: string
  readonly [field: string]: unknown
}

/** A protocol: how its requests are read and its answers written. */
export interface Protocol {
  readonly name: ProviderRequest["protocol"]
  /** Reads a body. Throws an `Invalid` with what the provider would say. */
  readonly read: (body: unknown) => Asked
  readonly plain: (request: ProviderRequest, reply: Reply) => unknown
  readonly stream: (request: ProviderRequest, reply: Reply) => ReadonlyArray<Event>
  readonly overloaded: Event
  readonly refusal: (status: number, type: string | undefined, message: string) => unknown
  /** Part of the body by which requests are the same. */
  readonly conversation: (body: unknown) => unknown
}

/** Refuses a request for its form, in the words of the provider. */
export class Invalid extends Error {}

/** Splits a text into pieces, as a stream carries it. No character is cut in two. */
export const pieces = (text: string, length = 24): ReadonlyArray<string> => {
  const characters = [...text]
  const count = Math.max(1, Math.ceil(characters.length / length))
  return Array.from({ length: count }, (_, index) => characters.slice(index * length, (index + 1) * length).join(""))
}

let made = 0

/** An id that no other has. */
export const id = (prefix: string): string => `${prefix}_${String(++made).padStart(6, "0")}`
