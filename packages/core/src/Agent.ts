/**
 * The interface of agents. It is that of the AI SDK's agents, so a `ToolLoopAgent` works as it is; nothing here depends on the
 * SDK. An agent answers one call. Repeating a call until its reply is valid, and falling back to the next agent, is the task of
 * an `AgentRunner`.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ConversationLog } from "./AgentJournal.ts"
import * as Bounds from "./Bounds.ts"
import type { JsonSchema } from "./Codec.ts"
import * as Thrown from "./Thrown.ts"

/** One message of a conversation. */
export interface Message {
  readonly role: "system" | "user" | "assistant"
  readonly content: string
}

/** The origin of a call, for agents that set `wantsContext`. */
export interface CallContext {
  /** The decoded input of the run. */
  readonly input: unknown
  readonly runId: string
  readonly stepId: string
  /** Pass of the innermost loop around the step, from 0. */
  readonly iteration: number
  /** Number of the attempt, from 1. */
  readonly attempt: number
  /** The same for all attempts at the step. Pass it to external services to deduplicate by. */
  readonly idempotencyKey: string
  /** JSON Schema of the output; absent if any text will do. */
  readonly outputSchema: JsonSchema | undefined
  /** The stored record of this call. */
  readonly log: ConversationLog
}

/** A call. */
export interface AgentRequest extends CallOptions {
  /** The task, or the correction of an invalid reply. */
  readonly prompt: string
  /** The conversation, with the prompt as its last message; present in corrections. */
  readonly messages?: Array<Message>
}

/** A call of an agent of the AI SDK, which takes either a prompt or a conversation. */
export type SdkRequest = CallOptions & {
  /** The tools of this call, where the step allows only some of those of the agent. */
  readonly tools?: AgentTools
} & ({ readonly prompt: string; readonly messages?: never } | { readonly messages: Array<Message>; readonly prompt?: never })

interface CallOptions {
  /** Aborted when the attempt is interrupted. */
  readonly abortSignal?: AbortSignal
  readonly context?: CallContext
}

/** Tools by their names. */
export interface AgentTools {
  readonly [name: string]: object
}

/** Token counts, as far as the provider reports them. */
export interface AgentUsage {
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly totalTokens?: number | undefined
  /** Cost in dollars, as far as the agent itself tells it. */
  readonly costUsd?: number | undefined
}

/** The reply of an agent. */
export interface AgentReply {
  readonly text: string
  /** The structured output, if it was requested. The getter may throw. */
  readonly output?: unknown
  readonly usage?: AgentUsage | undefined
  readonly finishReason?: string | undefined
  readonly response?: { readonly modelId?: string | undefined } | undefined
}

interface Named {
  readonly id?: string | undefined
  readonly name?: string | undefined
  /** `true` to get a `context` with each call. Default: false, since agents of other libraries do not know it. */
  readonly wantsContext?: boolean
  /**
   * Returns what replies depend on besides the prompt, such as model, instructions and settings, for a run with this decoded input.
   * It is part of the key of a cache. Default: the fields `model`, `instructions`, `settings`, `options` and `tools` of the agent.
   */
  readonly identity?: (input: unknown) => unknown
}

/** Anything that answers a prompt. */
export interface Agent extends Named {
  readonly version?: undefined
  // A method, so that agents with narrower parameter types are assignable.
  /**
   * Answers with a promise or an Effect. The Effect needs no services: an agent provides its own where it is made
   * (`Effect.provide`). It is interrupted together with its attempt.
   */
  generate(request: AgentRequest): PromiseLike<AgentReply> | Effect.Effect<AgentReply, unknown>
}

/** An agent of the AI SDK, such as its `ToolLoopAgent`; `version` is that of its interface. */
export interface SdkAgent extends Named {
  readonly version: "agent-v1" | "agent-v2"
  readonly tools?: AgentTools | undefined
  generate(request: SdkRequest): PromiseLike<AgentReply>
}

/** A language model of a provider's package for the AI SDK. It is asked without instructions and tools. */
export interface ModelAgent {
  readonly specificationVersion: string
  readonly modelId: string
  readonly doGenerate: (...options: ReadonlyArray<never>) => PromiseLike<unknown>
  readonly version?: undefined
  readonly generate?: undefined
}

/** Agents that are called themselves. */
export type CallableAgent = Agent | SdkAgent

/** Anything that a step can ask. */
export type AnyAgent = CallableAgent | ModelAgent

/** Tells whether an agent is a plain model. */
export const isModel = (agent: AnyAgent): agent is ModelAgent => "doGenerate" in agent && !("generate" in agent)

/** One call of an agent within an attempt, as stored. */
export const AgentTurn = Schema.Struct({
  /** Name of the agent. */
  agent: Schema.String,
  /** The prompt: the whole one in the first turn of a conversation, the correction in later ones. */
  prompt: Schema.String,
  reply: Schema.optional(Schema.String),
  model: Schema.optional(Schema.String),
  finishReason: Schema.optional(Schema.String),
  inputTokens: Schema.optional(Schema.Number),
  outputTokens: Schema.optional(Schema.Number),
  totalTokens: Schema.optional(Schema.Number),
  /** The reason the turn gave no output: the issues of the reply, or the provider's error. */
  problem: Schema.optional(Schema.String),
})
export type AgentTurn = typeof AgentTurn.Type

/** The key under which an agent names the limits that it and its tools need, without those that a function computes. */
export const limitsKey: unique symbol = Symbol.for("@smithers/core/Limits")

/** The names of the limits that an agent shows. */
export const limitsOf = (agent: AnyAgent): ReadonlyArray<string> => {
  const names: unknown = limitsKey in agent ? agent[limitsKey] : undefined
  return Array.isArray(names) ? names.filter((name) => typeof name === "string") : []
}

/** The key under which an agent states the bounds of its calls. */
export const boundsKey: unique symbol = Symbol.for("@smithers/core/AgentBounds")

/** Bounds of the calls of an agent, by name. */
export type AgentBounds = { readonly [N in Bounds.Name]?: number }

/** The bounds that an agent states. */
export const boundsOf = (agent: AnyAgent): AgentBounds => {
  const stated: unknown = boundsKey in agent ? agent[boundsKey] : undefined
  return Object.fromEntries(
    Bounds.names.flatMap((name) => {
      const limit = Thrown.get(stated, name)
      return typeof limit === "number" ? [[name, limit] as const] : []
    }),
  )
}

/** The key under which an agent says that it changes files in the directory of its step by itself, without tools of the runtime. */
export const writesFilesKey: unique symbol = Symbol.for("@smithers/core/WritesFiles")

/** Tells whether an agent says that it changes files by itself. */
export const writesFiles = (agent: AnyAgent): boolean => writesFilesKey in agent && agent[writesFilesKey] === true

/** The display name of an agent. */
export const nameOf = (agent: AnyAgent): string => (isModel(agent) ? agent.modelId : (agent.name ?? agent.id ?? "agent"))
