/**
 * The Agent Client Protocol: JSON-RPC over standard streams, one message per line. One conversation at a time, over version 1 of the
 * protocol. Many agents speak it, so that one dialect serves them all.
 */
import { defined } from "@smithers/core/Struct"
import * as Either from "effect/Either"
import type { Ended, Message } from "./CliProcess.ts"
import type { AgentEvent, Dialect, Taken, Turn } from "./Dialect.ts"
import { at, list, number, shown, text } from "./Json.ts"
import * as Verdict from "./Verdict.ts"

/** A permission that an agent asks for. */
export interface PermissionRequest {
  readonly tool: string
  /** The kind of the call, such as `"edit"`, `"execute"`, `"read"` or `"fetch"`. */
  readonly kind: string | undefined
  readonly input: unknown
}

/** Settings of agents by this protocol. */
export interface AcpOptions {
  /** The mode of the session, such as `"plan"`, by the ids of the agent. Default: the agent's own. */
  readonly mode?: string | undefined
  /** The model, by the ids of the agent. Default: the agent's own. */
  readonly model?: string | undefined
  /**
   * Answers the permissions that the agent asks for. Default: `"allow"`, since the sandbox holds what it does; without a sandbox
   * `"deny"`. A step that may not change files allows what reads only.
   */
  readonly permissions?: "allow" | "deny" | ((request: PermissionRequest) => boolean) | undefined
  /** Servers of the Model Context Protocol that the agent gets, as the protocol writes them. */
  readonly mcpServers?: ReadonlyArray<{ readonly [field: string]: unknown }> | undefined
  /** Arguments of the program. */
  readonly args?: ReadonlyArray<string> | undefined
}

/** Facts of a program that speaks the protocol. */
export type AcpProgram = Omit<Dialect, "begin" | "abilities" | "choosesSession" | "takesInstructions">

/** Kinds of calls that change nothing. */
const readOnlyKinds: ReadonlySet<string | undefined> = new Set(["read", "search", "think"])

const request = (id: number, method: string, params: unknown): Message => ({ jsonrpc: "2.0", id, method, params })

/** The beginning of each talk. Files and commands are of the agent itself, within its sandbox. */
const introduction = {
  protocolVersion: 1,
  clientCapabilities: { fs: { readTextFile: false, writeTextFile: false }, terminal: false },
  clientInfo: { name: "smithers", version: "1" },
}

/**
 * Begins a session and asks for nothing, to see if the program is logged in. `isLoggedIn` is `undefined` until it has said so.
 */
export const handshake = (cwd: string) => {
  const found: { isLoggedIn: boolean | undefined; problem: string | undefined } = { isLoggedIn: undefined, problem: undefined }
  return {
    found,
    opening: [request(1, "initialize", introduction)],
    onMessage: (message: Message): { readonly send?: ReadonlyArray<Message>; readonly isDone?: boolean } => {
      if (message.error !== undefined) {
        const { text, status } = failureOf(message.error)
        found.problem = text
        if (status === 401) found.isLoggedIn = false
        return { isDone: true }
      }
      if (message.id === 1) return { send: [request(2, "session/new", { cwd, mcpServers: [] })] }
      if (message.id !== 2) return {}
      found.isLoggedIn = true
      return { isDone: true }
    },
  }
}

/** What has been asked of the agent, in this order. */
const steps = ["initialize", "session", "mode", "model", "prompt"] as const
type Step = (typeof steps)[number]

/** A call of a tool, as far as it was told. */
interface Call {
  readonly tool: string
  readonly input: unknown
  isBegun: boolean
  isOver: boolean
}

interface Failure {
  readonly text: string
  readonly status: number | undefined
}

/** Statuses of the kinds of errors that adapters tell. */
const kinds: { readonly [kind: string]: number } = { rate_limit: 429, overloaded: 529, authentication: 401 }

const failureOf = (error: unknown): Failure => {
  const data = at(error, "data")
  const details = [
    text(at(error, "message")),
    text(data),
    text(at(data, "message")),
    text(at(data, "details")),
    text(at(data, "error")),
  ]
  const code = number(at(error, "code"))
  const told = number(at(data, "statusCode")) ?? number(at(data, "status")) ?? kinds[String(at(data, "errorKind"))]
  // -32000 is the protocol's own for "authentication required". Some agents put the status of their provider in its place.
  const meant = code === -32000 ? 401 : code !== undefined && code >= 400 && code < 600 ? code : undefined
  const status = told ?? meant
  return { text: [...new Set(details.filter((part) => part !== undefined && part !== ""))].join(": "), status }
}

const usageOf = (usage: unknown) => {
  const of = (...names: ReadonlyArray<string>) => names.map((name) => number(at(usage, name))).find((count) => count !== undefined)
  return defined({
    inputTokens: of("inputTokens", "input_tokens"),
    outputTokens: of("outputTokens", "output_tokens"),
    totalTokens: of("totalTokens", "total_tokens"),
  })
}

const talk = (options: AcpOptions, turn: Turn) => {
  const { facts } = turn
  const ids = new Map<number, Step>()
  const started = new Map<string, Call>()
  const refused = new Set<string>()
  let next = 0
  let session: string | undefined
  let failure: Failure | undefined
  let isOver = false
  let stopReason: string | undefined
  let usage: unknown
  let costUsd: number | undefined
  // What it said after its last call, and before.
  let [answer, before] = ["", ""]
  let isAsked = false
  let configurable: ReadonlyArray<unknown> = []

  const ask = (step: Step, method: string, params: unknown): Message => {
    const id = ++next
    ids.set(id, step)
    return request(id, method, params)
  }
  const mcpServers = options.mcpServers ?? []
  const prompt = (): Message => {
    isAsked = true
    return ask("prompt", "session/prompt", { sessionId: session, prompt: [{ type: "text", text: turn.prompt }] })
  }
  /** Chooses a mode or a model: by an option of the session, where the agent has one for it, otherwise by the older method. */
  const choose = (step: "mode" | "model", value: string): Message => {
    const configId = configurable.find((one) => at(one, "category") === step || at(one, "id") === step)
    return configId === undefined
      ? ask(step, `session/set_${step}`, { sessionId: session, [`${step}Id`]: value })
      : ask(step, "session/set_config_option", { sessionId: session, configId: at(configId, "id"), value })
  }
  /** The next request after a step was done. */
  const after = (step: Step): Message => {
    if (step === "session" && options.mode !== undefined) return choose("mode", options.mode)
    if ((step === "session" || step === "mode") && options.model !== undefined) return choose("model", options.model)
    return prompt()
  }
  const fail = (found: Failure): Taken => {
    failure = found
    isOver = true
    return { events: [{ type: "result" }] }
  }

  const answered = (step: Step, message: Message): Taken => {
    if (message.error !== undefined) return fail(failureOf(message.error))
    const { result } = message
    switch (step) {
      case "initialize": {
        const about = { cwd: turn.cwd, mcpServers }
        if (turn.session === undefined) return { events: [], send: [ask("session", "session/new", about)] }
        if (at(result, "agentCapabilities", "loadSession") !== true)
          return fail({ text: "unknown session: the agent cannot load one", status: undefined })
        session = turn.session.id
        return { events: [], send: [ask("session", "session/load", { ...about, sessionId: session })] }
      }
      case "session": {
        session = text(at(result, "sessionId")) ?? session
        configurable = list(at(result, "configOptions"))
        if (session === undefined) return fail({ text: "the agent gave its session no id", status: undefined })
        return { events: [{ type: "session", id: session }], send: [after(step)] }
      }
      case "mode":
      case "model":
        return { events: [], send: [after(step)] }
      case "prompt":
        isOver = true
        stopReason = text(at(result, "stopReason"))
        usage = at(result, "usage") ?? at(result, "_meta", "quota", "token_count")
        return { events: [{ type: "result" }] }
    }
  }

  const callEvents = (update: unknown): ReadonlyArray<AgentEvent> => {
    const callId = text(at(update, "toolCallId")) ?? ""
    const known = started.get(callId)
    const tool = known?.tool ?? text(at(update, "title")) ?? text(at(update, "kind")) ?? "tool"
    const call = {
      tool,
      input: at(update, "rawInput") ?? known?.input ?? {},
      isBegun: known?.isBegun ?? false,
      isOver: known?.isOver ?? false,
    }
    started.set(callId, call)
    const status = at(update, "status")
    // A call that is pending has no complete input yet, and may wait for a permission.
    if (status === "pending" || call.isOver) return []
    const begun: ReadonlyArray<AgentEvent> = call.isBegun ? [] : [{ type: "toolUse", callId, tool, input: call.input }]
    call.isBegun = true
    if (status !== "completed" && status !== "failed") return begun
    call.isOver = true
    const output = shown(at(update, "content") ?? at(update, "rawOutput"))
    const outcome = status === "completed" ? "finished" : refused.has(callId) ? "refused" : "failed"
    return [...begun, { type: "toolResult", callId, output, outcome }]
  }

  const updated = (update: unknown): ReadonlyArray<AgentEvent> => {
    // A session that is loaded tells its whole history again.
    if (!isAsked) return []
    const said = text(at(update, "content", "text")) ?? ""
    switch (at(update, "sessionUpdate")) {
      case "agent_message_chunk":
        answer += said
        return said === "" ? [] : [{ type: "text", text: said, isPart: true }]
      case "agent_thought_chunk":
        return said === "" ? [] : [{ type: "reasoning", text: said, isPart: true }]
      case "tool_call":
      case "tool_call_update":
        if (answer.trim() !== "") [before, answer] = [`${before}${answer}\n`, ""]
        return callEvents(update)
      case "usage_update":
        costUsd = number(at(update, "cost", "amount")) ?? number(at(update, "cost")) ?? costUsd
        return []
      case "user_message_chunk":
      case "plan":
      case "available_commands_update":
      case "current_mode_update":
      case "config_option_update":
      case "session_info_update":
        return []
      default:
        return [{ type: "unknown", of: String(at(update, "sessionUpdate")) }]
    }
  }

  const permitted = (asked: PermissionRequest): boolean => {
    if (turn.isReadOnly && !readOnlyKinds.has(asked.kind)) return false
    const { permissions = turn.isSandboxed ? "allow" : "deny" } = options
    return typeof permissions === "function" ? permissions(asked) : permissions === "allow"
  }

  const permission = (message: Message): Taken => {
    const call = at(message, "params", "toolCall")
    const callId = text(at(call, "toolCallId")) ?? ""
    const tool = text(at(call, "title")) ?? started.get(callId)?.tool ?? "tool"
    const isGranted = permitted({ tool, kind: text(at(call, "kind")), input: at(call, "rawInput") })
    if (!isGranted) refused.add(callId)
    const choices = list(at(message, "params", "options"))
    const wanted = isGranted ? ["allow_once", "allow_always"] : ["reject_once", "reject_always"]
    const chosen = wanted.flatMap((kind) => choices.filter((choice) => at(choice, "kind") === kind))[0]
    const outcome = chosen === undefined ? { outcome: "cancelled" } : { outcome: "selected", optionId: at(chosen, "optionId") }
    return {
      events: [{ type: "permission", tool, isGranted: isGranted && chosen !== undefined }],
      send: [{ jsonrpc: "2.0", id: message.id, result: { outcome } }],
    }
  }

  const onMessage = (message: Message): Taken => {
    const method = text(message.method)
    if (method === undefined) {
      const step = typeof message.id === "number" ? ids.get(message.id) : undefined
      return step === undefined ? { events: [{ type: "unknown", of: "answer" }] } : answered(step, message)
    }
    if (method === "session/update") return { events: updated(at(message, "params", "update")) }
    if (method === "session/request_permission") return permission(message)
    const events: ReadonlyArray<AgentEvent> = [{ type: "unknown", of: method }]
    if (message.id === undefined) return { events }
    return { events, send: [{ jsonrpc: "2.0", id: message.id, error: { code: -32601, message: `no such method: ${method}` } }] }
  }

  return {
    opening: [ask("initialize", "initialize", introduction)],
    closing: (): ReadonlyArray<Message> =>
      session === undefined || isOver ? [] : [{ jsonrpc: "2.0", method: "session/cancel", params: { sessionId: session } }],
    onMessage,
    verdict: (ended: Ended) => {
      const about = defined({ session: turn.session?.id })
      if (failure !== undefined) {
        // An agent has no words of its own for a session that is gone.
        const isLoading = session !== undefined && !isAsked && turn.session !== undefined && failure.status === undefined
        return Verdict.failure(facts, {
          ...about,
          text: isLoading ? `unknown session: ${failure.text}` : failure.text,
          ...defined({ status: failure.status }),
        })
      }
      if (!isOver) return Verdict.withoutResult(facts, ended, about)
      const endings: { readonly [reason: string]: string } = {
        max_tokens: "length",
        refusal: "content-filter",
        max_turn_requests: "tool-calls",
      }
      return Either.right({
        text: answer.trim() === "" ? before : answer,
        ...defined({
          usage: usage === undefined ? undefined : usageOf(usage),
          finishReason: endings[String(stopReason)],
          model: options.model,
        }),
        ...(costUsd === undefined ? {} : { totals: { costUsd } }),
      })
    },
  }
}

/** Makes the dialect of a program that speaks the protocol. */
export const make = (program: AcpProgram, options: AcpOptions = {}): Dialect => ({
  ...program,
  abilities: { schema: false, resume: true, budget: false, usage: true },
  choosesSession: false,
  takesInstructions: false,
  begin: (turn) => ({ args: options.args ?? [], ...talk(options, turn) }),
})
