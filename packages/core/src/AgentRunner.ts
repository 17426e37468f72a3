/**
 * The port through which steps ask agents. The engine knows what an agent is and what a step wants of it; how agents are asked until
 * what they say can be stored is the business of the layer, which `packages/agents` gives and the facade and the command line provide.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { AgentTurn, AnyAgent, CallContext } from "./Agent.ts"
import type { Codec } from "./Codec.ts"
import type { AgentFailed, InvalidOutput } from "./Errors.ts"

/** A request of one attempt at a step. */
export interface AgentCall {
  /** Asked in this order, each until it gives a valid output or cannot; at least one. */
  readonly agents: ReadonlyArray<AnyAgent>
  readonly prompt: string
  /** The schema of the output. */
  readonly output: Pick<Codec, "accept" | "inputSchema">
  /** No schema was declared: the text of the reply is the output, nothing is said of its form, and nothing is parsed. */
  readonly isText: boolean
  readonly context: Omit<CallContext, "outputSchema">
  /** Aborted when the attempt is interrupted. Agents get it as `abortSignal`; once it is aborted no agent is asked any more. */
  readonly signal: AbortSignal
  /** Issues of the reply that failed the attempt before this one, maybe in another process. */
  readonly feedback: ReadonlyArray<string>
  /** How often an agent is asked to put a reply right, in the same conversation, before it is given up for this attempt. */
  readonly corrections: number
  /** Takes each turn as it finishes, failing ones too. */
  readonly onTurn: (turn: AgentTurn) => void
}

/**
 * The default of `corrections`. Most slips of form are gone after one; what two have not mended, a third of the same conversation
 * hardly does, and a fresh one is cheaper than a long one.
 */
export const defaultCorrections = 2

/** Asks agents for the output of a step, within one attempt. Retries are the step's. */
export interface AgentRunnerShape {
  /**
   * Succeeds with a value that `output.accept` takes. Fails with `InvalidOutput` when an agent kept giving what is not valid, otherwise
   * with `AgentFailed`. It is interrupted once `signal` is aborted. Nothing of it survives a crash but the turns that were taken.
   */
  readonly run: (call: AgentCall) => Effect.Effect<unknown, InvalidOutput | AgentFailed>
}

/** Asks agents. A run without one fails each step that has an agent (`NoAgentRunner`). */
export class AgentRunner extends Context.Tag("@smithers/core/AgentRunner")<AgentRunner, AgentRunnerShape>() {}
