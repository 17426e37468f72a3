/**
 * A provider of models on 127.0.0.1, for tests without a network. It speaks the Anthropic Messages API (`POST /v1/messages`) and the
 * OpenAI Responses API (`POST /v1/responses`), plain and streaming. Answers are chosen by the content of a request, never by its
 * position: clients ask for titles, repeat themselves, and run in parallel.
 *
 * ```ts
 * const provider = yield* FakeProvider.serve([
 *   { when: { user: /weather/, results: false }, answer: calls({ name: "weather", input: { city: "Oslo" } }) },
 *   { when: { results: /rain/ }, answer: says("Take an umbrella.") },
 *   { when: { user: /busy/, seen: 0 }, answer: refuses(429, { headers: { "retry-after": "7" } }) },
 *   { when: { user: /busy/ }, answer: says("Now I have time.") },
 * ])
 * ```
 *
 * It listens until the scope closes. Clients:
 * - `createAnthropic({ baseURL: provider.v1, apiKey: "test" })`, `createOpenAI({ baseURL: provider.v1, apiKey: "test" })`;
 * - `AnthropicClient.layer({ apiUrl: provider.url })`, `OpenAiClient.layer({ apiUrl: provider.v1 })`;
 * - Claude Code: `ANTHROPIC_BASE_URL=provider.url ANTHROPIC_API_KEY=test`;
 * - Codex: `-c model_provider=fake -c 'model_providers.fake={name="fake",base_url="<provider.v1>",wire_api="responses",env_key="KEY"}'`
 *   with `KEY=test`. Its newest model runs commands by scripts: `calls({ name: "exec", input:
 *   "text((await tools.exec_command({ cmd: 'ls' })).output)" })`.
 *
 * `requests` lists what was asked, parsed, with the status of the answer; `unmatched` the requests that no rule answers, which get a
 * 400. Conversations are validated as the providers do: a call of a tool without its result is refused. Every other path is answered
 * with 404 and JSON.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Anthropic from "./anthropic.ts"
import * as OpenAi from "./openai.ts"
import type { Answer, Asked, Call, Protocol, ProviderRequest, Refusal, Reply } from "./Protocol.ts"

/** An entry of the log. */
interface Logged extends ProviderRequest {
  /** `undefined` until the answer begins. */
  status: number | undefined
  /** The end of the answer: `complete`, `faulty` as scripted, or `left` by the client. `undefined` until then. */
  ending: "complete" | "faulty" | "left" | undefined
}

/** Conditions of a rule; all of them hold. A text is found anywhere, ignoring nothing. */
interface Condition {
  readonly protocol?: "anthropic" | "openai"
  readonly model?: string | RegExp
  readonly system?: string | RegExp
  /** The last text of a user. */
  readonly user?: string | RegExp
  /** A result since the model's last message; `false`: there is none, `true`: there is any. */
  readonly results?: string | RegExp | boolean
  /** Name of a tool that is offered; `false`: none is. */
  readonly tool?: string | false
  readonly isStreaming?: boolean
  /** Number of earlier requests with the same conversation. */
  readonly seen?: number
}

interface Rule {
  readonly when?: Condition | ((request: ProviderRequest) => boolean)
  readonly answer: Answer | ((request: ProviderRequest) => Answer | Promise<Answer>)
}

/** Rules, of which the first that holds answers, or a function; `undefined`: no answer is known. */
export type Script = ReadonlyArray<Rule> | ((request: ProviderRequest) => Answer | undefined | Promise<Answer | undefined>)

type Settings = Omit<Reply, "blocks">

/** Answers with a text. */
export const says = (text: string, settings: Settings = {}): Reply => ({ blocks: [{ kind: "text", text }], ...settings })

/** Answers with calls of tools. */
export const calls = (...made: ReadonlyArray<Call>): Reply => ({ blocks: made.map((call) => ({ kind: "call", ...call })) })

/** Refuses with a status. */
export const refuses = (status: number, settings: Omit<Refusal, "status"> = {}): Refusal => ({ status, ...settings })

export interface FakeProvider {
  /** Address without a path. */
  readonly url: string
  /** Address with `/v1`. */
  readonly v1: string
  readonly requests: ReadonlyArray<Logged>
  /** Requests for which the script has no answer. */
  readonly unmatched: ReadonlyArray<Logged>
  /** Paths that were asked for besides, with their methods. */
  readonly strays: ReadonlyArray<string>
  /** Cuts open connections and stops listening. */
  readonly stop: () => Promise<void>
}

const protocols: ReadonlyMap<string, Protocol> = new Map([
  ["/v1/messages", Anthropic.protocol],
  ["/v1/responses", OpenAi.protocol],
])

const isRefusal = (answer: Answer): answer is Refusal => "status" in answer

const fits = (text: string, wanted: string | RegExp | undefined): boolean =>
  wanted === undefined || (typeof wanted === "string" ? text.includes(wanted) : wanted.test(text))

const holds = (condition: Condition, request: ProviderRequest): boolean => {
  const { protocol, model, system, user, results, tool, isStreaming, seen } = condition
  const isResult =
    typeof results === "boolean"
      ? request.results.length > 0 === results
      : results === undefined || request.results.some(({ text }) => fits(text, results))
  const isTool = tool === undefined || (tool === false ? request.tools.length === 0 : request.tools.includes(tool))
  return (
    (protocol === undefined || protocol === request.protocol) &&
    fits(request.model, model) &&
    fits(request.system, system) &&
    fits(request.user, user) &&
    isResult &&
    isTool &&
    (isStreaming === undefined || isStreaming === request.isStreaming) &&
    (seen === undefined || seen === request.seen)
  )
}

const answerOf = async (script: Script, request: ProviderRequest): Promise<Answer | undefined> => {
  if (typeof script === "function") return await script(request)
  const rule = script.find(({ when = {} }) => (typeof when === "function" ? when(request) : holds(when, request)))
  return typeof rule?.answer === "function" ? await rule.answer(request) : rule?.answer
}

const readBody = async (incoming: IncomingMessage): Promise<string> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of incoming) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString("utf8")
}

const json = (outgoing: ServerResponse, status: number, body: unknown, headers: { readonly [name: string]: string } = {}): void => {
  outgoing.writeHead(status, { "content-type": "application/json", ...headers })
  outgoing.end(typeof body === "string" ? body : JSON.stringify(body))
}

/** Waits, or until the client has gone. */
const pause = (ms: number, outgoing: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    if (ms <= 0 || outgoing.destroyed) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(done, ms)
    outgoing.once("close", done)
  })

const cut = (outgoing: ServerResponse): void => {
  outgoing.socket?.destroy()
}

/** Answers a request that was read. */
const answer = async (protocol: Protocol, answer: Answer, entry: Logged, outgoing: ServerResponse): Promise<void> => {
  await pause(answer.delayMs ?? 0, outgoing)
  if (outgoing.destroyed) return
  if (isRefusal(answer)) {
    entry.status = answer.status
    const { type, message = `refused with ${answer.status}` } = answer
    return json(outgoing, answer.status, answer.body ?? protocol.refusal(answer.status, type, message), answer.headers)
  }
  entry.status = 200
  const { fault, eventDelayMs = 0 } = answer
  if (fault !== undefined) entry.ending = "faulty"
  if (!entry.isStreaming) return await plain(protocol, answer, entry, outgoing)
  outgoing.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" })
  const send = (type: string, data: string): void => {
    outgoing.write(`event: ${type}\ndata: ${data}\n\n`)
  }
  for (const [index, event] of protocol.stream(entry, answer).entries()) {
    if (index > 0) await pause(eventDelayMs, outgoing)
    if (outgoing.destroyed) return
    if (fault?.after === index) {
      // What was sent before is to arrive before the accident.
      if (fault.kind !== "malformed") await pause(20, outgoing)
      if (fault.kind === "drop") return cut(outgoing)
      if (fault.kind === "stall") return await pause(600_000, outgoing)
      if (fault.kind === "error") send(protocol.overloaded.type, JSON.stringify(protocol.overloaded))
      if (fault.kind === "malformed") send(event.type, `{"type":"${event.type}",`)
      else break
    }
    send(event.type, JSON.stringify(event))
  }
  outgoing.end()
}

const plain = async (protocol: Protocol, reply: Reply, entry: Logged, outgoing: ServerResponse): Promise<void> => {
  const { kind } = reply.fault ?? {}
  const text = JSON.stringify(protocol.plain(entry, reply))
  if (kind === undefined) return json(outgoing, 200, text)
  if (kind === "error") return json(outgoing, 200, protocol.overloaded)
  const half = text.slice(0, Math.floor(text.length / 2))
  if (kind === "malformed" || kind === "end") return json(outgoing, 200, half)
  outgoing.writeHead(200, { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) })
  outgoing.write(half)
  await pause(kind === "drop" ? 20 : 600_000, outgoing)
  cut(outgoing)
}

/** Starts a provider on a free port. */
const start = async (script: Script): Promise<FakeProvider> => {
  const [requests, unmatched, strays]: [Array<Logged>, Array<Logged>, Array<string>] = [[], [], []]
  const counts = new Map<string, number>()
  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const [path = "/"] = (incoming.url ?? "/").split("?")
    const text = await readBody(incoming)
    const protocol = incoming.method === "POST" ? protocols.get(path) : undefined
    if (protocol === undefined) {
      strays.push(`${incoming.method} ${path}`)
      return json(outgoing, 404, { type: "error", error: { type: "not_found_error", message: `no such path: ${path}` } })
    }
    let body: unknown
    let asked: Asked
    try {
      body = JSON.parse(text)
      asked = protocol.read(body)
    } catch (problem) {
      return json(outgoing, 400, protocol.refusal(400, undefined, problem instanceof Error ? problem.message : String(problem)))
    }
    const key = JSON.stringify([path, protocol.conversation(body)])
    const seen = counts.get(key) ?? 0
    counts.set(key, seen + 1)
    const entry: Logged = {
      ...asked,
      ...{ protocol: protocol.name, seen, headers: incoming.headers, body, status: undefined, ending: undefined },
    }
    requests.push(entry)
    outgoing.on("close", () => {
      entry.ending ??= outgoing.writableFinished ? "complete" : "left"
    })
    const chosen = await answerOf(script, entry)
    if (chosen === undefined) unmatched.push(entry)
    await answer(protocol, chosen ?? refuses(400, { message: "the script of the fake has no answer to this" }), entry, outgoing)
  }
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch((problem: unknown) => {
      if (outgoing.headersSent || outgoing.destroyed) return cut(outgoing)
      json(outgoing, 500, { type: "error", error: { type: "api_error", message: `the script of the fake threw: ${problem}` } })
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(0, "127.0.0.1", resolve)
  })
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { url, v1: `${url}/v1`, requests, unmatched, strays, stop }
}

/** A provider that lives until the scope closes. */
export const serve = (script: Script): Effect.Effect<FakeProvider, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => start(script)),
    (provider) => Effect.promise(provider.stop),
  )
