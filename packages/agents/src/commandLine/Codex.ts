/**
 * Codex, by the JSON lines of `codex exec --json`.
 */
import { existsSync, readFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import type { JsonSchema } from "@smithers/core/Codec"
import { defined } from "@smithers/core/Struct"
import { get } from "@smithers/core/Thrown"
import * as Either from "effect/Either"
import type { Message } from "./CliProcess.ts"
import type { AgentEvent, Dialect, Taken, Turn } from "./Dialect.ts"
import { at, list, number, shown, sum, text } from "./Json.ts"
import * as Verdict from "./Verdict.ts"

/** Sandboxes that Codex has of its own. */
export const codexSandboxes = ["read-only", "workspace-write", "danger-full-access"] as const
export type CodexSandbox = (typeof codexSandboxes)[number]

/** A value of the configuration, as JSON. */
export type ConfigValue = string | number | boolean | ReadonlyArray<ConfigValue> | { readonly [name: string]: ConfigValue }

/** Settings of Codex alone. */
export interface CodexOptions {
  readonly model?: string | undefined
  /**
   * The sandbox of Codex itself. Default: none inside of a sandbox of the runtime, which holds everything that Codex does, and cannot
   * hold a second one; otherwise `"workspace-write"`. A step that may not change files has `"read-only"`.
   */
  readonly sandbox?: CodexSandbox | undefined
  /** Entries of its configuration, such as `{ model_reasoning_effort: "high" }`. */
  readonly config?: { readonly [name: string]: ConfigValue } | undefined
  readonly addDirs?: ReadonlyArray<string> | undefined
  /** `true` ignores the configuration of the user and the rules of the checkout. Default: `false`. */
  readonly ignoreConfig?: boolean | undefined
  /** Passes the schema of the step to the program, if it is one that OpenAI takes. Default: `true`. */
  readonly structuredOutput?: boolean | undefined
  /** Further arguments. */
  readonly args?: ReadonlyArray<string> | undefined
}

/** Writes a value as TOML, whose texts, lists and numbers are those of JSON. */
const toml = (value: ConfigValue): string => {
  if (Array.isArray(value)) return `[${value.map(toml).join(",")}]`
  if (typeof value !== "object") return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([name, inner]) => `${JSON.stringify(name)}=${toml(inner)}`)
    .join(",")}}`
}

/** `true` for a schema that OpenAI takes: each object names all of its properties as required, and allows no others. */
export const isStrict = (schema: unknown): boolean => {
  if (Array.isArray(schema)) return schema.every(isStrict)
  if (typeof schema !== "object" || schema === null) return true
  const properties = get(schema, "properties")
  const names = typeof properties === "object" && properties !== null ? Object.keys(properties) : []
  const required = new Set(list(get(schema, "required")))
  const isObject = get(schema, "type") === "object" || names.length > 0
  if (isObject && (get(schema, "additionalProperties") !== false || names.some((name) => !required.has(name)))) return false
  return Object.entries(schema).every(([keyword, inner]) =>
    ["const", "enum", "default", "examples", "required"].includes(keyword)
      ? true
      : keyword === "properties" || keyword === "$defs" || keyword === "definitions"
        ? Object.values(typeof inner === "object" && inner !== null ? inner : {}).every(isStrict)
        : isStrict(inner),
  )
}

/** The provider that its configuration names; `undefined` for its own. `""` where it has settings that another provider would not get. */
const configuredProvider = (config: CodexOptions["config"], environment: Turn["env"]): string | undefined => {
  const own = config?.model_provider
  if (typeof own === "string") return own
  if (config?.openai_base_url !== undefined || config?.profile !== undefined) return ""
  const file = join(environment.CODEX_HOME ?? join(environment.HOME ?? homedir(), ".codex"), "config.toml")
  if (!existsSync(file)) return undefined
  const stored = readFileSync(file, "utf8")
  const [, named] = /^\s*model_provider\s*=\s*["']([^"']+)["']/m.exec(stored) ?? []
  if (named !== undefined) return named
  return /^\s*(?:openai_base_url|profile)\s*=/m.test(stored) ? "" : undefined
}

/** The name of the built-in provider with retries of none: the built-in one has retries that cannot be set. */
const ownProvider = "smithers"

/** Providers that are built in, and take no settings. */
const builtIn: ReadonlySet<string> = new Set(["", "openai", "oss", "ollama", "lmstudio", "amazon-bedrock"])

/** Settings by which the program does not repeat requests: waiting is up to the step, where it is durable and seen. */
const withoutRetries = (provider: string | undefined): { readonly [name: string]: ConfigValue } => {
  const none = { request_max_retries: 0, stream_max_retries: 0 }
  if (provider === undefined) {
    const openai = { name: "OpenAI", wire_api: "responses", requires_openai_auth: true, ...none }
    return { model_provider: ownProvider, [`model_providers.${ownProvider}`]: openai }
  }
  if (builtIn.has(provider)) return {}
  return Object.fromEntries(Object.entries(none).map(([name, value]) => [`model_providers.${provider}.${name}`, value]))
}

const argsOf = (options: CodexOptions, turn: Turn, schema: JsonSchema | undefined): ReadonlyArray<string> => {
  const { session } = turn
  const outside = turn.isSandboxed ? "danger-full-access" : "workspace-write"
  const sandbox = turn.isReadOnly ? (turn.isSandboxed ? outside : "read-only") : (options.sandbox ?? outside)
  const config: { readonly [name: string]: ConfigValue } = {
    // Not by its own option, which a resumed conversation does not have, and falls back to the default.
    sandbox_mode: sandbox,
    approval_policy: "never",
    ...(turn.instructions === undefined ? {} : { developer_instructions: turn.instructions }),
    ...options.config,
    ...withoutRetries(configuredProvider(options.config, turn.env)),
  }
  return [
    ...(session === undefined ? ["exec"] : ["exec", "resume"]),
    ...["--json", "--skip-git-repo-check"],
    ...(options.model === undefined ? [] : ["--model", options.model]),
    ...(options.ignoreConfig === true ? ["--ignore-user-config", "--ignore-rules"] : []),
    ...(schema === undefined ? [] : ["--output-schema", turn.file("schema.json", JSON.stringify(schema))]),
    ...Object.entries(config).flatMap(([name, value]) => ["-c", `${name}=${toml(value)}`]),
    ...(session === undefined ? (options.addDirs ?? []).flatMap((directory) => ["--add-dir", directory]) : []),
    ...(options.args ?? []),
    ...(session === undefined ? ["-"] : [session.id, "-"]),
  ]
}

/** The tool and the input of an item; `undefined` for items that are no call. */
const callOf = (item: unknown): { readonly tool: string; readonly input: unknown } | undefined => {
  switch (at(item, "type")) {
    case "command_execution":
      return { tool: "shell", input: { command: at(item, "command") } }
    case "file_change":
      return { tool: "apply_patch", input: { changes: at(item, "changes") } }
    case "mcp_tool_call":
      return { tool: `${shown(at(item, "server"))}.${shown(at(item, "tool"))}`, input: at(item, "arguments") ?? {} }
    case "web_search":
      return { tool: "web_search", input: { query: at(item, "query") } }
    default:
      return undefined
  }
}

const outcomes: { readonly [status: string]: "finished" | "failed" | "refused" } = { failed: "failed", declined: "refused" }

/** Types of items that are known and tell nothing that is stored. */
const quiet: ReadonlySet<unknown> = new Set(["todo_list", "error", "plan"])

const itemEvents = (type: unknown, item: unknown, started: Set<string>): ReadonlyArray<AgentEvent> => {
  const [id, said] = [text(at(item, "id")) ?? "", text(at(item, "text")) ?? ""]
  const isOver = type === "item.completed"
  const call = callOf(item)
  if (call !== undefined) {
    const begun: ReadonlyArray<AgentEvent> = started.has(id) ? [] : [{ type: "toolUse", callId: id, ...call }]
    started.add(id)
    if (!isOver) return begun
    const outcome = outcomes[String(at(item, "status"))] ?? "finished"
    const output = shown(
      at(item, "aggregated_output") ?? at(item, "error", "message") ?? at(item, "result", "content") ?? at(item, "changes"),
    )
    return [...begun, { type: "toolResult", callId: id, output, outcome }]
  }
  if (at(item, "type") === "agent_message") return isOver && said !== "" ? [{ type: "text", text: said }] : []
  if (at(item, "type") === "reasoning") return isOver && said !== "" ? [{ type: "reasoning", text: said }] : []
  return quiet.has(at(item, "type")) ? [] : [{ type: "unknown", of: `item ${String(at(item, "type"))}` }]
}

/** Makes the dialect of Codex. */
export const make = (options: CodexOptions = {}): Dialect => ({
  ...{ name: "codex", product: "Codex", program: "codex" },
  install: "npm install -g @openai/codex",
  login: "codex login",
  loginCheck: { kind: "command", args: ["login", "status"], read: (exitCode) => exitCode === 0 },
  keys: ["CODEX_API_KEY"],
  abilities: { schema: true, resume: true, budget: false, usage: true },
  choosesSession: false,
  takesInstructions: true,
  variables: [
    "OPENAI_API_KEY",
    "CODEX_API_KEY",
    "CODEX_HOME",
    "OPENAI_BASE_URL",
    "OPENAI_ORGANIZATION",
    "OPENAI_PROJECT",
    "AZURE_OPENAI_API_KEY",
  ],
  state: (home, env) => [env.CODEX_HOME ?? `${home}/.codex`],
  hosts: ["api.openai.com", "chatgpt.com", "auth.openai.com"],
  begin: (turn) => {
    const { facts, session } = turn
    const isHeld = turn.schema !== undefined && options.structuredOutput !== false && isStrict(turn.schema)
    const started = new Set<string>()
    let answer: string | undefined
    let problem: string | undefined
    let isFailed = false
    let usage: unknown
    let isOver = false
    const onMessage = (message: Message): Taken => {
      switch (message.type) {
        case "thread.started": {
          const id = text(message.thread_id)
          return { events: id === undefined ? [] : [{ type: "session", id }] }
        }
        case "turn.started":
          return { events: [] }
        case "item.started":
        case "item.updated":
        case "item.completed": {
          const { item } = message
          if (message.type === "item.completed" && at(item, "type") === "agent_message") answer = text(at(item, "text")) ?? answer
          return { events: itemEvents(message.type, item, started) }
        }
        case "error": {
          problem = text(message.message) ?? problem
          // It says so again and again, without end.
          const isWaiting = /^reconnecting|waiting for network/i.test(problem ?? "")
          return { events: isWaiting ? [{ type: "waiting", reason: problem ?? "" }] : [] }
        }
        case "turn.completed":
          ;[usage, isOver, isFailed] = [message.usage, true, false]
          return { events: [{ type: "result" }] }
        case "turn.failed":
          problem = text(at(message, "error", "message")) ?? problem
          ;[isOver, isFailed] = [true, true]
          return { events: [{ type: "result" }] }
        default:
          return { events: [{ type: "unknown", of: String(message.type) }] }
      }
    }
    return {
      args: argsOf(options, turn, isHeld ? turn.schema : undefined),
      stdin: turn.prompt,
      onMessage,
      verdict: (ended) => {
        const about = { ...defined({ text: problem }), ...defined({ session: session?.id }) }
        if (isFailed) return Verdict.failure(facts, { text: problem ?? "the turn failed", ...defined({ session: session?.id }) })
        if (!isOver) return Verdict.withoutResult(facts, ended, about)
        if (answer === undefined && problem !== undefined) return Verdict.failure(facts, { ...about, text: problem })
        const of = (name: string) => number(at(usage, name))
        const totals = defined({ inputTokens: of("input_tokens"), outputTokens: sum(of("output_tokens")) })
        return Either.right({
          text: answer ?? "",
          ...defined({ model: options.model }),
          totals: totals as { readonly [name: string]: number },
        })
      },
    }
  },
})
