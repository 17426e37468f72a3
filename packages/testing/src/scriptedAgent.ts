/**
 * Stand-in agents that reply by a script. They ask no model and know no tools.
 */
import type { Agent, AgentReply, AgentRequest } from "@smithers/core/Agent"
import { NonRetryable } from "@smithers/core/Errors"
import * as Schema from "effect/Schema"

/**
 * A reply of a script: a text as it is, an `Error` to fail with, a function of the request that gives either, or any other value, which is given as
 * JSON.
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
  /** The name of the agent, in plans and errors. Default: `scripted`. */
  readonly name?: string
}

/** The script of an agent has replies that were not asked for. */
export class ScriptLeftOver extends Schema.TaggedError<ScriptLeftOver>()("ScriptLeftOver", {
  agent: Schema.String,
  calls: Schema.Number,
  left: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const { agent, calls, left } = this
    const count = left.length === 1 ? "1 reply is" : `${left.length} replies are`
    return `The script of agent "${agent}" is not used up: ${count} left after ${calls === 1 ? "1 call" : `${calls} calls`}. The first is ${left[0] ?? ""}.`
  }
}

/** An agent that replies by a script. */
export interface ScriptedAgent extends Agent {
  readonly name: string
  /** What it was asked so far, oldest first. */
  readonly calls: ReadonlyArray<AgentRequest>
  /** How many replies are left. */
  readonly left: () => number
  /** Throws {@link ScriptLeftOver} where replies are left. */
  readonly assertUsedUp: () => void
  /** Begins the script again, with no calls so far. */
  readonly reset: () => void
}

const shown = (reply: ScriptedReply): string => {
  const text = typeof reply === "function" ? "a function" : reply instanceof Error ? String(reply) : JSON.stringify(reply)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

/**
 * Makes an agent that gives these replies in order, one per call; corrections of a reply that was refused are calls, too. When the script is used up the
 * call fails with `NonRetryable`, which says so, and the step fails at once.
 *
 * @example
 * ```ts
 * const analyst = scriptedAgent(["not JSON", { risk: "low" }, new Error("overloaded"), ({ prompt }) => ({ risk: prompt.length > 80 ? "high" : "low" })])
 * ```
 */
export const scriptedAgent = (
  replies: ReadonlyArray<ScriptedReply>,
  { name = "scripted" }: ScriptedOptions = {},
): ScriptedAgent => {
  const calls: Array<AgentRequest> = []
  let next = 0
  const reply = async (request: AgentRequest): Promise<AgentReply> => {
    calls.push(request)
    if (next >= replies.length) {
      const [first = ""] = request.prompt.split("\n")
      const count = replies.length === 1 ? "1 reply" : `${replies.length} replies`
      throw new NonRetryable({
        message: `the script of agent "${name}" is used up: it has ${count}, and was asked once more: ${shown(first)}`,
      })
    }
    const scripted = replies[next++]
    const given = typeof scripted === "function" ? await scripted(request) : scripted
    if (given instanceof Error) throw given
    return { text: typeof given === "string" ? given : (JSON.stringify(given) ?? "") }
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
