/**
 * The port through which steps call agents. The engine knows what an agent is and which output a step needs. Calling agents
 * until their reply is valid is the task of the layer, which `packages/agents` implements and the facade and the command line
 * provide.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { AgentTurn, AnyAgent, CallContext } from "./Agent.ts"
import type { AttemptJournal, AttemptSuspended, JournalError } from "./AgentJournal.ts"
import * as Bounds from "./Bounds.ts"
import type { Budget } from "./Budget.ts"
import type { Codec } from "./Codec.ts"
import type { CommandRunnerShape } from "./CommandRunner.ts"
import type { AgentFailed, BudgetExceeded, InvalidOutput, NonRetryable, ToolRightsExceeded } from "./Errors.ts"
import type { StepRights } from "./Isolation.ts"

/** The request of one attempt at a step. */
export interface AgentCall {
  /** Agents in order of preference, at least one. The next one is called if the previous gave no valid output. */
  readonly agents: ReadonlyArray<AnyAgent>
  readonly prompt: string
  /** The schema of the output. */
  readonly output: Pick<Codec, "encode" | "inputSchema">
  /** No schema was declared: the text of the reply is the output, and nothing is parsed. */
  readonly isText: boolean
  readonly context: Omit<CallContext, "outputSchema" | "log">
  /** Aborted when the attempt is interrupted. Agents get it as `abortSignal`; after that no further agent is called. */
  readonly signal: AbortSignal
  /** Milliseconds that an agent has to end in once `signal` is aborted. Default: 5,000. */
  readonly graceMs?: number | undefined
  /** Issues of the invalid reply that failed the previous attempt, possibly in another process. */
  readonly feedback: ReadonlyArray<string>
  /** Corrections to request of an agent, in the same conversation, before it counts as failed for this attempt. */
  readonly corrections: number
  /** Stores the conversation as it happens. */
  readonly journal: AttemptJournal
  /** Budget of the step, which `journal` holds, too. Its numbers of calls replace the defaults. */
  readonly budget?: Budget | undefined
  /** Rights of the tools of the step, within those of the runtime. Default: those of the runtime. */
  readonly rights?: StepRights | undefined
  /** Runs the commands of the tools of the step. Default: as the runtime does. */
  readonly commands?: CommandRunnerShape | undefined
  /** Receives each turn as it finishes, including failed ones. */
  readonly onTurn: (turn: AgentTurn) => void
}

/**
 * Default of `corrections`. One correction mends most mistakes of form. After two, a fresh conversation works better than a
 * third correction and costs less.
 */
export const defaultCorrections = Bounds.limitOf("corrections")

/** The input of the first prompt of a call. */
export interface Question extends Pick<AgentCall, "prompt" | "isText" | "feedback"> {
  readonly output: Pick<Codec, "inputSchema">
}

/** Calls agents for the output of a step, within one attempt. Retries are up to the step. */
export interface AgentRunnerShape {
  /** Returns the whole first prompt of a call, with the required form of the answer. Asks nobody. */
  readonly promptOf?: (call: Question) => string
  /**
   * Succeeds with a value that `output.encode` accepts. Fails with `InvalidOutput` if an agent kept giving invalid replies,
   * otherwise with `AgentFailed`, and with `AttemptSuspended` if a tool call needs an approval or a limit has to pass. Fails with
   * `BudgetExceeded` at a limit of a budget. Fails with
   * `ToolRightsExceeded`, before any agent is asked, if the step lists rights that the runtime does not have. Interrupted when
   * `signal` is aborted. A crash keeps what the journal holds, from which the next attempt continues.
   */
  readonly run: (
    call: AgentCall,
  ) => Effect.Effect<
    unknown,
    InvalidOutput | AgentFailed | BudgetExceeded | AttemptSuspended | NonRetryable | JournalError | ToolRightsExceeded
  >
  /**
   * Returns the directory that the tools of a step work in; for a step without agents that of the runtime. `undefined` if its rights
   * cannot be granted. Default: the working directory, in which nothing is written.
   */
  readonly workspace?: (step: {
    readonly nodeId: string
    readonly agents: ReadonlyArray<AnyAgent>
    readonly rights?: StepRights | undefined
  }) => AttemptWorkspace | undefined
}

/** The directory that an attempt works in. */
export interface AttemptWorkspace {
  readonly root: string
  /** `true` if an agent is known to be able to write there. */
  readonly isWritable: boolean
}

/** Calls agents. In a run without one each step with an agent fails with `NoAgentRunner`. */
export class AgentRunner extends Context.Tag("@smithers/core/AgentRunner")<AgentRunner, AgentRunnerShape>() {}
