/**
 * Pi, by the JSON lines of `pi -p --mode json`.
 */
import { defined } from "@smithers/core/Struct"
import * as Either from "effect/Either"
import type { Message } from "./CliProcess.ts"
import type { AgentEvent, Dialect, Taken } from "./Dialect.ts"
import { at, list, number, shown, sum, text } from "./Json.ts"
import * as Verdict from "./Verdict.ts"

/** Settings of Pi alone. */
export interface PiOptions {
  readonly provider?: string | undefined
  readonly model?: string | undefined
  /** The tools that there are. Default: the program's own; those that read, for a step that may not change files. */
  readonly tools?: ReadonlyArray<string> | undefined
  /** Further arguments. */
  readonly args?: ReadonlyArray<string> | undefined
}

const readingTools = ["read", "grep", "find", "ls"]

/** Messages that tell nothing that is stored. */
const quiet: ReadonlySet<unknown> = new Set([
  ...["agent_start", "turn_start", "turn_end", "message_start", "message_update", "tool_execution_update"],
  ...["compaction_start", "compaction_end", "auto_retry_end", "queue_update"],
])

/** Makes the dialect of Pi. */
export const make = (options: PiOptions = {}): Dialect => ({
  ...{ name: "pi", product: "Pi", program: "pi" },
  install: "npm install -g @mariozechner/pi-coding-agent",
  login: "pi, and then /login",
  loginCheck: { kind: "files", files: ["~/.pi/agent/auth.json"] },
  keys: ["ANTHROPIC_API_KEY", "ANTHROPIC_OAUTH_TOKEN", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"],
  abilities: { schema: false, resume: true, budget: false, usage: true },
  choosesSession: false,
  takesInstructions: true,
  variables: [
    ...["ANTHROPIC_API_KEY", "ANTHROPIC_OAUTH_TOKEN", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "GROQ_API_KEY"],
    ...["MISTRAL_API_KEY", "XAI_API_KEY", "CEREBRAS_API_KEY", "ZAI_API_KEY", "PI_CODING_AGENT_DIR"],
  ],
  state: (home, env) => [env.PI_CODING_AGENT_DIR ?? `${home}/.pi`],
  hosts: ["api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com", "openrouter.ai"],
  begin: (turn) => {
    const { facts, session } = turn
    const tools = turn.isReadOnly ? readingTools : options.tools
    let [answer, model, stopReason] = ["", undefined as string | undefined, undefined as string | undefined]
    let problem: string | undefined
    let isOver = false
    let [inputTokens, outputTokens, costUsd]: Array<number | undefined> = []

    /** Takes a whole message of the model. */
    const said = (message: unknown): ReadonlyArray<AgentEvent> => {
      if (at(message, "role") !== "assistant") return []
      model = text(at(message, "model")) ?? model
      stopReason = text(at(message, "stopReason"))
      problem = stopReason === "error" || stopReason === "aborted" ? (text(at(message, "errorMessage")) ?? stopReason) : undefined
      const used = (name: string) => number(at(message, "usage", name))
      inputTokens = sum(inputTokens, used("input"), used("cacheRead"), used("cacheWrite"))
      outputTokens = sum(outputTokens, used("output"))
      costUsd = sum(costUsd, number(at(message, "usage", "cost", "total")))
      const events = list(at(message, "content")).flatMap((block): ReadonlyArray<AgentEvent> => {
        const [words, thought] = [text(at(block, "text")), text(at(block, "thinking"))]
        if (at(block, "type") === "text" && words !== undefined && words !== "") return [{ type: "text", text: words }]
        return thought !== undefined && thought !== "" ? [{ type: "reasoning", text: thought }] : []
      })
      const words = events.flatMap((event) => (event.type === "text" ? [event.text] : []))
      if (words.length > 0) answer = words.join("\n")
      return events
    }

    const onMessage = (message: Message): Taken => {
      const [callId, tool] = [text(message.toolCallId) ?? "", text(message.toolName) ?? "tool"]
      switch (message.type) {
        case "session": {
          const id = text(message.id)
          return { events: id === undefined ? [] : [{ type: "session", id }] }
        }
        case "message_end":
          return { events: said(message.message) }
        case "tool_execution_start":
          return { events: [{ type: "toolUse", callId, tool, input: message.args }] }
        case "tool_execution_end": {
          const outcome = message.isError === true ? "failed" : "finished"
          return {
            events: [{ type: "toolResult", callId, output: shown(at(message.result, "content") ?? message.result), outcome }],
          }
        }
        case "auto_retry_start":
          return { events: [{ type: "waiting", reason: text(message.errorMessage) ?? "a retry" }] }
        case "agent_end":
          isOver = true
          // It goes on after an error that it repeats by itself, and ends after the last.
          return { events: problem === undefined ? [{ type: "result" }] : [] }
        default:
          return { events: quiet.has(message.type) ? [] : [{ type: "unknown", of: String(message.type) }] }
      }
    }

    return {
      args: [
        ...["-p", "--mode", "json"],
        ...(session === undefined ? [] : ["--session", session.id]),
        ...(options.provider === undefined ? [] : ["--provider", options.provider]),
        ...(options.model === undefined ? [] : ["--model", options.model]),
        ...(turn.instructions === undefined ? [] : ["--append-system-prompt", turn.instructions]),
        ...(tools === undefined ? [] : ["--tools", tools.join(",")]),
        ...(options.args ?? []),
      ],
      stdin: turn.prompt,
      onMessage,
      verdict: (ended) => {
        const about = defined({ session: session?.id })
        if (problem !== undefined) {
          const [, status] = /^(\d{3})\b/.exec(problem) ?? []
          return Verdict.failure(facts, { ...about, text: problem, ...(status === undefined ? {} : { status: Number(status) }) })
        }
        if (!isOver) return Verdict.withoutResult(facts, ended, about)
        return Either.right({
          text: answer,
          usage: defined({ inputTokens, outputTokens, totalTokens: sum(inputTokens, outputTokens), costUsd }),
          ...defined({ model, finishReason: stopReason === "length" ? "length" : undefined }),
        })
      },
    }
  },
})
