/**
 * Fake agents with scripted replies. They call no model and no tools.
 */
import type { Agent, AgentReply, AgentRequest } from "@smithers/core/Agent"
import { NonRetryable } from "@smithers/core/Errors"
import * as Settings from "@smithers/core/Settings"
import * as Schema from "effect/Schema"

/**
 * A scripted reply: text, an `Error` to fail with, a function of the request that returns either, or any other value, which is sent
 * as JSON.
 */
export type ScriptedReply =
  | string
  | number
  | boolean
  | null
  | Error
  | { readonly [name: string]: unknown }
  | ReadonlyArray<unknown>
  | ((request: AgentRequest) => unknown)

export interface ScriptedOptions {
  /** Name of the agent in plans and errors. Default: `scripted`. */
  readonly name?: string
}

const optionNames: Settings.Names<ScriptedOptions> = { name: true }

/** The script of an agent has unused replies. */
export class ScriptLeftOver extends Schema.TaggedError<ScriptLeftOver>()("ScriptLeftOver", {
  agent: Schema.String,
  calls: Schema.Number,
  left: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const { agent, calls, left } = this
    const count = left.length === 1 ? "1 reply" : `${left.length} replies`
    return `The script of agent "${agent}" has ${count} left after ${calls === 1 ? "1 call" : `${calls} calls`}. The next is ${left[0] ?? ""}.`
  }
}

/** An agent with scripted replies. */
export interface ScriptedAgent extends Agent {
  readonly name: string
  /** Requests so far, oldest first. */
  readonly calls: ReadonlyArray<AgentRequest>
  /** Returns the number of unused replies. */
  readonly left: () => number
  /** Throws {@link ScriptLeftOver} if replies are unused. */
  readonly assertUsedUp: () => void
  /** Restarts the script, and clears `calls`. */
  readonly reset: () => void
}

const shown = (reply: ScriptedReply): string => {
  const text = typeof reply === "function" ? "a function" : reply instanceof Error ? String(reply) : JSON.stringify(reply)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

/**
 * Creates an agent that returns these replies in order, one per call. Corrections of a refused reply count as calls. Once the
 * script is exhausted, a call fails with `NonRetryable`, and the step fails at once.
 *
 * @example
 * ```ts
 * const analyst = scriptedAgent(["not JSON", { risk: "low" }, new Error("overloaded"), ({ prompt }) => ({ risk: prompt.length > 80 ? "high" : "low" })])
 * ```
 */
export const scriptedAgent = (replies: ReadonlyArray<ScriptedReply>, options: ScriptedOptions = {}): ScriptedAgent => {
  Settings.onlyOrThrow("scriptedAgent", options, optionNames)
  const { name = "scripted" } = options
  const calls: Array<AgentRequest> = []
  let next = 0
  const reply = async (request: AgentRequest): Promise<AgentReply> => {
    calls.push(request)
    if (next >= replies.length) {
      const [first = ""] = request.prompt.split("\n")
      const count = replies.length === 1 ? "1 reply" : `${replies.length} replies`
      throw new NonRetryable({
        message: `the script of agent "${name}" is exhausted: it has ${count}, and received another request: ${shown(first)}`,
      })
    }
    const scripted = replies[next++]
    const reply = typeof scripted === "function" ? await scripted(request) : scripted
    if (reply instanceof Error) throw reply
    return { text: typeof reply === "string" ? reply : (JSON.stringify(reply) ?? "") }
  }
  return {
    name,
    calls,
    wantsContext: true,
    generate: reply,
    left: () => replies.length - next,
    assertUsedUp: () => {
      const left = replies.slice(next)
      if (left.length > 0) throw new ScriptLeftOver({ agent: name, calls: calls.length, left: left.map(shown) })
    },
    reset: () => {
      calls.length = 0
      next = 0
    },
  }
}
