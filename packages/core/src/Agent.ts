/**
 * What the runtime asks of an agent. The shape is that of the AI SDK's agents, so that a `ToolLoopAgent` can be used as it is;
 * nothing here depends on the SDK. An agent answers one call; asking it until what it says can be stored, and asking the next
 * one when it cannot be asked at all, is the business of an `AgentRunner`.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { JsonSchema } from "./Codec.ts"

/** One message of a conversation. */
export interface Message {
  readonly role: "system" | "user" | "assistant"
  readonly content: string
}

/** Where a call comes from, for agents that set `wantsContext`. */
export interface CallContext {
  /** The decoded input of the run. */
  readonly input: unknown
  readonly runId: string
  readonly stepId: string
  /** Pass of the innermost loop around the step, from 0. */
  readonly iteration: number
  /** Number of the attempt, from 1. */
  readonly attempt: number
  /** The same for all attempts at the step: give it to the outside world to deduplicate by. */
  readonly idempotencyKey: string
  /** JSON Schema of what is wanted; absent when any text will do. */
  readonly outputSchema: JsonSchema | undefined
}

/** A call. */
export interface AgentRequest extends CallOptions {
  /** What is to be answered: the task or, where a reply was refused, what to put right. */
  readonly prompt: string
  /** The conversation that ends with the prompt, where a reply is to be put right. */
  readonly messages?: Array<Message>
}

/** A call of an agent of the AI SDK, which takes a prompt or a conversation, and not both. */
export type SdkRequest = CallOptions &
  ({ readonly prompt: string; readonly messages?: never } | { readonly messages: Array<Message>; readonly prompt?: never })

interface CallOptions {
  /** Aborted when the attempt is interrupted. */
  readonly abortSignal?: AbortSignal
  readonly context?: CallContext
}

/** Tokens, as far as the provider counts them. */
export interface AgentUsage {
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly totalTokens?: number | undefined
}

/** What an agent answers. */
export interface AgentReply {
  readonly text: string
  /** The reply as a value, where the agent was asked for structured output. Reading it may throw. */
  readonly output?: unknown
  readonly usage?: AgentUsage | undefined
  readonly finishReason?: string | undefined
  readonly response?: { readonly modelId?: string | undefined } | undefined
}

interface Named {
  readonly id?: string | undefined
  readonly name?: string | undefined
  /** Whether calls carry a `context`. Agents of other libraries do not know it and are not given one. */
  readonly wantsContext?: boolean
}

/** Anything that answers a prompt. */
export interface Agent extends Named {
  readonly version?: undefined
  // A method, so that agents whose parameters are narrower than ours are agents too.
  /**
   * Answers by a promise or an Effect. An Effect asks for no services: an agent brings what it needs, by `Effect.provide` where it is made. It is interrupted
   * with its attempt.
   */
  generate(request: AgentRequest): PromiseLike<AgentReply> | Effect.Effect<AgentReply, unknown>
}

/** An agent of the AI SDK, such as its `ToolLoopAgent`: it names the version of its interface. */
export interface SdkAgent extends Named {
  readonly version: "agent-v1" | "agent-v2"
  generate(request: SdkRequest): PromiseLike<AgentReply>
}

/** Whoever can be asked. */
export type AnyAgent = Agent | SdkAgent

/** One call of an agent within an attempt, as it is kept. */
export const AgentTurn = Schema.Struct({
  /** Name of the agent that was asked. */
  agent: Schema.String,
  /** What was said to it: the whole prompt in the first turn of a conversation, the correction in a later one. */
  prompt: Schema.String,
  reply: Schema.optional(Schema.String),
  model: Schema.optional(Schema.String),
  finishReason: Schema.optional(Schema.String),
  inputTokens: Schema.optional(Schema.Number),
  outputTokens: Schema.optional(Schema.Number),
  totalTokens: Schema.optional(Schema.Number),
  /** Why the turn did not give an output: the issues of the reply, or what the provider said. */
  problem: Schema.optional(Schema.String),
})
export type AgentTurn = typeof AgentTurn.Type

/** What an agent is called in what is shown and kept of it. */
export const nameOf = (agent: AnyAgent): string => agent.name ?? agent.id ?? "agent"
