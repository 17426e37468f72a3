/**
 * Claude Code, by the JSON lines of `claude -p --output-format stream-json`. Amp and Cursor speak the same format.
 */
import { defined } from "@smithers/core/Struct"
import * as Either from "effect/Either"
import type { Message } from "./CliProcess.ts"
import type { AgentEvent, Dialect, Outcome, Taken, Turn } from "./Dialect.ts"
import * as Errors from "./Errors.ts"
import { at, list, number, shown, sum, text } from "./Json.ts"
import * as Verdict from "./Verdict.ts"

/** Ways in which Claude Code decides about permissions that nobody is there to give. */
export const permissionModes = ["acceptEdits", "auto", "bypassPermissions", "dontAsk", "plan"] as const
export type PermissionMode = (typeof permissionModes)[number]

/** Settings of Claude Code alone. */
export interface ClaudeOptions {
  readonly model?: string | undefined
  /**
   * Decides about tools that are not in `allowedTools`; what would ask a person is refused. Default: `"bypassPermissions"` inside of a
   * sandbox of the runtime, which holds what its tools do; otherwise `"acceptEdits"`. In a step that may not change files it is
   * `"dontAsk"`, and tools that change files are left out.
   */
  readonly permissionMode?: PermissionMode | undefined
  /** Tools that need no permission, such as `"Bash(git *)"`. */
  readonly allowedTools?: ReadonlyArray<string> | undefined
  readonly disallowedTools?: ReadonlyArray<string> | undefined
  /** The built-in tools that there are. Default: all. */
  readonly tools?: ReadonlyArray<string> | undefined
  readonly maxTurns?: number | undefined
  /** Dollars that one call may cost. */
  readonly maxBudgetUsd?: number | undefined
  readonly addDirs?: ReadonlyArray<string> | undefined
  /** Files or JSON of MCP servers. */
  readonly mcpConfig?: ReadonlyArray<string> | undefined
  /**
   * Sources of settings, hooks and instructions that are followed: those of the checkout are under the control of who writes to it.
   * Default: the program's own.
   */
  readonly settingSources?: ReadonlyArray<"user" | "project" | "local"> | undefined
  /** Passes the schema of the step to the program. Default: `true`. */
  readonly structuredOutput?: boolean | undefined
  /** Further arguments. */
  readonly args?: ReadonlyArray<string> | undefined
}

const option = (name: string, value: string | number | undefined): ReadonlyArray<string> =>
  value === undefined ? [] : [name, String(value)]

const listed = (name: string, values: ReadonlyArray<string> = []): ReadonlyArray<string> =>
  values.length === 0 ? [] : [name, ...values]

/** Tools that change files. */
const writing = ["Edit", "Write", "NotebookEdit"]

const argsOf = (options: ClaudeOptions, turn: Turn): ReadonlyArray<string> => {
  const { session, schema } = turn
  const usual = turn.isSandboxed ? "bypassPermissions" : "acceptEdits"
  const mode = turn.isReadOnly ? "dontAsk" : (options.permissionMode ?? usual)
  const forbidden = turn.isReadOnly ? [...writing, ...(turn.isSandboxed ? [] : ["Bash"])] : []
  return [
    ...["-p", "--output-format", "stream-json", "--verbose", "--permission-prompts", "none", "--permission-mode", mode],
    ...(session === undefined ? [] : [session.isNew ? "--session-id" : "--resume", session.id]),
    ...option("--model", options.model),
    ...option("--append-system-prompt", turn.instructions),
    ...(schema === undefined || options.structuredOutput === false ? [] : ["--json-schema", JSON.stringify(schema)]),
    ...option("--max-turns", options.maxTurns),
    ...option("--max-budget-usd", options.maxBudgetUsd),
    ...(options.tools === undefined ? [] : ["--tools", options.tools.join(",")]),
    ...listed("--allowedTools", options.allowedTools),
    ...listed("--disallowedTools", [...(options.disallowedTools ?? []), ...forbidden]),
    ...listed("--add-dir", options.addDirs),
    ...listed("--mcp-config", options.mcpConfig),
    ...option("--setting-sources", options.settingSources?.join(",")),
    ...(options.args ?? []),
  ]
}

/** Events of the blocks of a message. */
const blocksOf = (message: Message): ReadonlyArray<AgentEvent> =>
  list(at(message, "message", "content")).flatMap((block): ReadonlyArray<AgentEvent> => {
    const [type, said] = [at(block, "type"), text(at(block, "text")) ?? text(at(block, "thinking")) ?? ""]
    if (type === "text") return said === "" || message.type !== "assistant" ? [] : [{ type: "text", text: said }]
    if (type === "thinking") return said === "" ? [] : [{ type: "reasoning", text: said }]
    if (type === "tool_use") {
      const [callId, tool] = [text(at(block, "id")) ?? "", text(at(block, "name")) ?? "tool"]
      return [{ type: "toolUse", callId, tool, input: at(block, "input") }]
    }
    if (type === "tool_result") {
      const [callId, output] = [text(at(block, "tool_use_id")) ?? "", shown(at(block, "content"))]
      const denied = list(message.tool_result_meta).some(
        (one) => at(one, "id") === callId && at(one, "permission_decision", "decision") === "reject",
      )
      return [
        {
          type: "toolResult",
          callId,
          output,
          outcome: denied ? "refused" : at(block, "is_error") === true ? "failed" : "finished",
        },
      ]
    }
    return []
  })

/** Reads the messages of a program that speaks this format. */
export const listen = () => {
  let result: Message | undefined
  let lastText = ""
  let model: string | undefined
  let session: string | undefined
  let resetAt: number | undefined
  const onMessage = (message: Message): Taken => {
    const events: Array<AgentEvent> = []
    const id = text(message.session_id)
    if (id !== undefined && id !== session) {
      session = id
      events.push({ type: "session", id })
    }
    switch (message.type) {
      case "system":
        if (message.subtype === "init") model = text(message.model)
        if (message.subtype === "api_retry") {
          events.push({ type: "waiting", reason: text(message.error) ?? text(at(message, "error", "message")) ?? "a retry" })
        }
        break
      case "assistant":
      case "user": {
        const said = blocksOf(message)
        events.push(...said)
        if (message.type === "assistant" && message.parent_tool_use_id == null)
          for (const one of said) if (one.type === "text") lastText = one.text
        const named = text(at(message, "message", "model"))
        if (named !== undefined && !named.startsWith("<")) model = named
        break
      }
      case "rate_limit_event": {
        const seconds = number(at(message, "rate_limit_info", "resetsAt"))
        if (at(message, "rate_limit_info", "status") === "rejected" && seconds !== undefined) resetAt = seconds * 1000
        break
      }
      case "result":
        result = message
        events.push({ type: "result" })
        break
      default:
        events.push({ type: "unknown", of: String(message.type) })
    }
    return { events }
  }
  return {
    onMessage,
    read: () => ({ result, lastText, model, resetAt }),
  }
}

/** Tokens in the usage of a result; those that a cache held count as read. */
const usageOf = (usage: unknown) => {
  const of = (name: string) => number(at(usage, name))
  const inputTokens = sum(of("input_tokens"), of("cache_read_input_tokens"), of("cache_creation_input_tokens"))
  const outputTokens = of("output_tokens")
  return defined({ inputTokens, outputTokens, totalTokens: sum(inputTokens, outputTokens) })
}

/** The errors that a result names. */
const errorsOf = (result: Message): string => {
  const errors = list(result.errors).map(shown).join("; ")
  return errors === "" ? (text(result.result) ?? text(result.subtype) ?? "") : errors
}

/** Variables by which Claude Code is logged in and finds its provider. */
const variables = [
  ...["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL", "ANTHROPIC_CUSTOM_HEADERS"],
  ...[
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
  ],
  ...[
    "CLAUDE_CONFIG_DIR",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
  ],
  ...["AWS_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"],
  ...["CLOUD_ML_REGION", "ANTHROPIC_VERTEX_PROJECT_ID", "GOOGLE_APPLICATION_CREDENTIALS"],
]

/** Makes the dialect of Claude Code. */
export const make = (options: ClaudeOptions = {}): Dialect => ({
  ...{ name: "claude-code", product: "Claude Code", program: "claude" },
  install: "npm install -g @anthropic-ai/claude-code",
  login: "claude auth login",
  loginCheck: {
    kind: "command",
    args: ["auth", "status"],
    read: (_, text) => {
      const [, said] = /"loggedIn":\s*(true|false)/.exec(text) ?? []
      return said === undefined ? undefined : said === "true"
    },
  },
  keys: ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"],
  abilities: { schema: true, resume: true, budget: true, usage: true },
  choosesSession: true,
  takesInstructions: true,
  variables,
  env: {
    // Waiting is up to the step, where it is durable and seen.
    CLAUDE_CODE_MAX_RETRIES: "0",
    DISABLE_AUTOUPDATER: "1",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  },
  state: (home, env) =>
    env.CLAUDE_CONFIG_DIR === undefined ? [`${home}/.claude`, `${home}/.claude.json`] : [env.CLAUDE_CONFIG_DIR],
  hosts: ["api.anthropic.com", "platform.claude.com", "claude.ai"],
  begin: (turn) => {
    const heard = listen()
    const { facts, session } = turn
    return {
      args: argsOf(options, turn),
      // Root may skip permissions only where it says that it is in a sandbox.
      ...(turn.isSandboxed ? { env: { IS_SANDBOX: "1" } } : {}),
      stdin: turn.prompt,
      onMessage: heard.onMessage,
      verdict: (ended) =>
        Either.gen(function* () {
          const { result, lastText, model, resetAt } = heard.read()
          if (result === undefined) return yield* Verdict.withoutResult(facts, ended, { session: session?.id })
          const detail = errorsOf(result)
          const agent = facts.agent
          if (result.subtype === "error_max_turns")
            return yield* Either.left(new Errors.AgentStopped({ agent, reason: "turns", detail }))
          if (result.subtype === "error_max_budget_usd")
            return yield* Either.left(new Errors.AgentStopped({ agent, reason: "budget", detail }))
          const status = number(result.api_error_status)
          const isFailure = result.is_error === true || (status !== undefined && status >= 400) || result.subtype !== "success"
          if (isFailure) return yield* Verdict.failure(facts, { text: detail, status, resetAt, session: session?.id })
          const answer = text(result.result) ?? ""
          const costUsd = number(result.total_cost_usd)
          const outcome: Outcome = {
            text: answer === "" ? lastText : answer,
            usage: usageOf(result.usage),
            ...defined({ output: result.structured_output, model }),
            ...(costUsd === undefined ? {} : { totals: { costUsd } }),
            ...(result.stop_reason === "max_tokens" ? { finishReason: "length" } : {}),
          }
          return outcome
        }),
    }
  },
})
