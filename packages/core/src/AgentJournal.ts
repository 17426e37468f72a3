/**
 * The port through which attempts store the conversations of their agents as they happen: prompts, replies of models, tool calls.
 * Unlike frames, each write is a transaction of its own, durable before the conversation goes on. An attempt that continues one
 * which was cut short reads them back, so that a crash repeats neither a reply nor a tool call.
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Budget from "./Budget.ts"
import type { BudgetChange, Charge, UsageRow } from "./Charges.ts"
import type { InvalidLimit, RunFenced, StoreError, UnknownLimit } from "./Errors.ts"
import * as Later from "./Later.ts"
import type { Queue } from "./Limits.ts"
import type { ScoreKey } from "./Scores.ts"
import * as Status from "./Status.ts"
import type { StaleAttempt } from "./Transaction.ts"

/** JSON in a field. */
const Stored = Schema.Unknown

/** The key of a conversation. `conversation` counts those of the step in this iteration, from 1. */
const conversationKey = { nodeId: Schema.String, iteration: Schema.Number, conversation: Schema.Number }

/** The session of an agent that keeps its conversation elsewhere, such as a command-line agent. */
export const AgentSession = Schema.Struct({
  id: Schema.String,
  /** Cumulative counts of the session as of the last call, such as tokens and cost; calls are charged with the difference. */
  totals: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Number })),
})
export interface AgentSession extends Schema.Schema.Type<typeof AgentSession> {}

/** One call of an agent by a step, with all replies of its model. */
export const Conversation = Schema.Struct({
  ...conversationKey,
  /** The attempt that began it. */
  attempt: Schema.Number,
  agent: Schema.String,
  status: Status.ConversationStatus,
  /** Digest of what it depends on: prompt, instructions, model and tools. It is continued only while that is the same. */
  requestDigest: Schema.String,
  /** State of the workspace after the last write: it is continued only while the workspace is as it left it. */
  workspace: Schema.optional(Stored),
  session: Schema.optional(AgentSession),
  /** The failure that ended it, as data of the agents' package. */
  failure: Schema.optional(Stored),
  /** Epoch milliseconds. */
  startedAt: Schema.Number,
  endedAt: Schema.optional(Schema.Number),
})
export interface Conversation extends Schema.Schema.Type<typeof Conversation> {}

/**
 * Kinds of entries. `reply` is a reply of a model as JSON, by which it is repeated; `text`, `reasoning` and `tool-call` come from
 * agents that report them one by one. `note` is of the runtime, such as the reason a conversation began again.
 */
export const EntryKind = Schema.Literal("prompt", "reply", "text", "reasoning", "tool-call", "tool-result", "error", "note")
export type EntryKind = typeof EntryKind.Type

/** One entry of a transcript. */
export const TranscriptEntry = Schema.Struct({
  ...conversationKey,
  /** Position in the conversation, from 1. */
  seq: Schema.Number,
  /** The attempt that wrote it. */
  attempt: Schema.Number,
  at: Schema.Number,
  kind: EntryKind,
  /** The whole text, or JSON of a reply, an input or a result. */
  text: Schema.String,
  /** Of calls and results. */
  tool: Schema.optional(Schema.String),
  callId: Schema.optional(Schema.String),
  /** Of a reply. */
  model: Schema.optional(Schema.String),
  inputTokens: Schema.optional(Schema.Number),
  outputTokens: Schema.optional(Schema.Number),
})
export interface TranscriptEntry extends Schema.Schema.Type<typeof TranscriptEntry> {}

/** A row of the effect ledger: one call of a tool, its intent and its outcome. */
export const ToolCallRecord = Schema.Struct({
  ...conversationKey,
  /** Number of the reply that made it, from 1, and its index among the calls of that reply, from 0. */
  ordinal: Schema.Number,
  index: Schema.Number,
  /** The id that the provider gave it. It is not always unique. */
  callId: Schema.String,
  tool: Schema.String,
  /** `true` if the tool has no side effects. */
  isReadOnly: Schema.Boolean,
  /** The attempt that wrote it last. */
  attempt: Schema.Number,
  status: Status.ToolCallStatus,
  /** The exact arguments, as canonical JSON. */
  input: Schema.String,
  /** Digest of tool and arguments, to which an approval is bound. */
  digest: Schema.String,
  /** The outcome as the model gets it, as JSON; of a failure its message. */
  output: Schema.optional(Schema.String),
  /** What the tool noted before the call, to find out later whether it took place. */
  snapshot: Schema.optional(Stored),
  /** Hashes of the files that the call has seen, by path. */
  seen: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.String })),
  /** The person who decided about it, and the note. */
  by: Schema.optional(Schema.String),
  note: Schema.optional(Schema.String),
  startedAt: Schema.Number,
  endedAt: Schema.optional(Schema.Number),
})
export interface ToolCallRecord extends Schema.Schema.Type<typeof ToolCallRecord> {}

/** A conversation with its entries and calls, in order. */
export interface RecordedConversation extends Conversation {
  readonly entries: ReadonlyArray<TranscriptEntry>
  readonly calls: ReadonlyArray<ToolCallRecord>
  /** `true` if each later attempt was interrupted, so that the next one continues what this conversation began. */
  readonly isCurrent: boolean
}

/** The attempt that writes, under a claim of its run. */
export interface AttemptOfClaim extends AttemptName {
  readonly runId: string
  readonly epoch: number
}

/** The score that a judge makes, claimed for the `tries`-th time. */
export interface JudgedScore extends ScoreKey {
  readonly tries: number
}

/** One transaction of an attempt. Conversations and calls replace the rows of their keys; entries are appended. */
export interface JournalWrite extends AttemptOfClaim {
  /** Set for a judge, which works beside its run: its writes need the claim of the score, and none of the run. */
  readonly score?: JudgedScore
  readonly conversations?: ReadonlyArray<Conversation>
  readonly entries?: ReadonlyArray<TranscriptEntry>
  readonly calls?: ReadonlyArray<ToolCallRecord>
  /** Charges to settle: each replaces its reservation, if it has one. */
  readonly charges?: ReadonlyArray<Charge>
}

/** A reservation with the rows that belong to it. Nothing is written if a budget is used up. */
export interface ReserveWrite extends JournalWrite {
  readonly charge: Charge
  /** Budgets to draw on, from the innermost. */
  readonly budgets: ReadonlyArray<Budget.Claim>
  /** Epoch milliseconds. */
  readonly now: number
  /** `true` for the last call of an agent that may finish beyond a budget. */
  readonly isFinal?: boolean | undefined
  /** What an approval allows beyond the limits. */
  readonly extension?: Budget.Extension | undefined
}

/** Selects charges: of some runs with the runs below them, or of all since a time (epoch ms). */
export interface UsageFilter {
  readonly runIds?: ReadonlyArray<string>
  readonly since?: number
}

/** An attempt of a run. */
export interface AttemptName {
  readonly nodeId: string
  readonly iteration: number
  readonly attempt: number
}

/** Tells whether an entry is progress of its attempt. */
export const progressKinds = ["reply", "text", "tool-result"] as const satisfies ReadonlyArray<EntryKind>

/** Selects conversations. */
export interface TranscriptFilter {
  readonly runId: string
  readonly nodeId?: string
  readonly iteration?: number
}

/** Errors of a write. After `RunFenced` or `StaleAttempt` another process or attempt goes on, and nothing was written. */
export type JournalError = StoreError | RunFenced | StaleAttempt

export interface AgentJournalShape {
  /** Identifies the store: the same for all of its ports. */
  readonly storeId: string
  /** Writes durably. Fails with `RunFenced` if the claim is lost, and with `StaleAttempt` if the attempt is not the running one, or the score is claimed by another process. */
  readonly record: (write: JournalWrite) => Effect.Effect<void, JournalError>
  /** Reserves a call in all of its budgets, or in none. Fails like `record`. */
  readonly reserve: (write: ReserveWrite) => Effect.Effect<Budget.Reservation, JournalError>
  /** Reads what agents have used, by run, step and model. */
  readonly usage: (filter: UsageFilter) => Effect.Effect<ReadonlyArray<UsageRow>, StoreError>
  /** Changes a budget for all calls after this. Returns its account, or `undefined` if no call has drawn on it. */
  readonly adjustBudget: (change: BudgetChange) => Effect.Effect<Budget.Account | undefined, StoreError>
  /** Reads the budgets of a run that have been drawn on. */
  readonly budgets: (runId: string) => Effect.Effect<ReadonlyArray<Budget.Account>, StoreError>
  /** The attempts of a run that have stored replies or results: a process that died then was not stuck. */
  readonly progress: (runId: string) => Effect.Effect<ReadonlyArray<AttemptName>, StoreError>
  /** Reads conversations, in the order in which they began. Empty for a run that does not exist. */
  readonly conversations: (filter: TranscriptFilter) => Effect.Effect<ReadonlyArray<RecordedConversation>, StoreError>
}

/** The port through which attempts store the conversations of their agents. */
export class AgentJournal extends Context.Tag("@smithers/core/AgentJournal")<AgentJournal, AgentJournalShape>() {}

/** A decision about a request that an attempt made. */
export interface AttemptDecision {
  readonly digest: string
  readonly approved: boolean
  readonly note?: string
  readonly by?: string
  /** `true` if it is the default after a timeout. */
  readonly isTimeout: boolean
}

/** Errors of a call that needs a slot of a limit. Nothing was called. */
export type SlotError = UnknownLimit | InvalidLimit | StoreError

/** Rows of one write. */
type Rows = Pick<JournalWrite, "conversations" | "entries" | "calls" | "charges">

/** The journal as one attempt sees it. */
export interface AttemptJournal {
  /** The attempt. `iteration` counts over the whole run. */
  readonly attempt: AttemptName
  /** Writes durably, and waits for a store that is busy. */
  readonly record: (write: Rows) => Effect.Effect<void, JournalError>
  /** Budgets that its calls draw on, from the innermost. */
  readonly budgets: ReadonlyArray<Budget.Claim>
  /** Reserves a call in its budgets, with the rows that belong to it. */
  readonly reserve: (
    write: Rows & Pick<ReserveWrite, "charge" | "isFinal" | "extension">,
  ) => Effect.Effect<Budget.Reservation, JournalError>
  /** Reads the conversations of the step in this iteration. */
  readonly conversations: Effect.Effect<ReadonlyArray<RecordedConversation>, StoreError>
  /**
   * Takes a slot of a limit for one call, and waits for it; the result gives it back. The wait is no part of the timeout of the step.
   * An attempt that holds a slot of this queue itself needs no other. While `isIdle` says that the attempt does nothing but wait for
   * slots, it may be interrupted, and made again once there is one.
   */
  readonly slot: (queue: Queue, isIdle: () => boolean) => Effect.Effect<() => void, SlotError>
  /** Tells the run that the attempt has come to do nothing but wait for slots. */
  readonly onIdle: () => void
  /** The decision that let this attempt begin. */
  readonly decision: AttemptDecision | undefined
}

/** The request of an attempt that has to wait: for a person, or until a limit of its agent has passed. */
export type AttemptRequest =
  | {
      readonly kind: "approval"
      /** Content for people, with a `title`. */
      readonly request: { readonly title: string; readonly [field: string]: unknown }
      readonly digest: string
      /** Time to decide in, in milliseconds. Default: no limit. */
      readonly timeoutMs?: number
    }
  | {
      readonly kind: "quota"
      readonly request: { readonly agent: string; readonly message: string }
      /** Epoch milliseconds at which the limit has passed. */
      readonly until: number
    }

/**
 * Ends an attempt that has to wait, without a failure. The step waits durably, holds no slot and no process, and its next attempt
 * continues the conversation.
 */
export class AttemptSuspended extends Later.TaggedError<AttemptSuspended>()("AttemptSuspended", {
  request: Schema.Unknown as Schema.Schema<AttemptRequest>,
}) {
  override get message(): string {
    const { request } = this
    return request.kind === "approval"
      ? `waits for an approval: ${request.request.title}`
      : `waits for a limit: ${request.request.message}`
  }
}

/** The record of one call, for agents with `wantsContext` that keep a session or report what they do. */
export interface ConversationLog {
  /** The session that the last call of this agent at this step kept, also in another attempt or process. */
  readonly session: AgentSession | undefined
  /** Stores the session. Call it as soon as its id is known. */
  readonly keepSession: (session: AgentSession) => Effect.Effect<void, JournalError>
  /** Appends an entry to the transcript. */
  readonly append: (entry: LogEntry) => Effect.Effect<void, JournalError>
  /** Stores that a tool was called. */
  readonly callStarted: (call: {
    readonly callId: string
    readonly tool: string
    readonly input: unknown
  }) => Effect.Effect<void, JournalError>
  /** Stores the outcome of a call. */
  readonly callEnded: (call: {
    readonly callId: string
    readonly status: "finished" | "failed" | "refused"
    readonly output: string
  }) => Effect.Effect<void, JournalError>
  /** The decision about a request that an attempt before this one was suspended with. */
  readonly decision: AttemptDecision | undefined
}

/** An entry as an agent reports it. */
export type LogEntry = Pick<TranscriptEntry, "kind" | "text" | "model" | "inputTokens" | "outputTokens">

/** A log that keeps nothing, for calls outside of runs. */
export const noLog: ConversationLog = {
  session: undefined,
  keepSession: () => Effect.void,
  append: () => Effect.void,
  callStarted: () => Effect.void,
  callEnded: () => Effect.void,
  decision: undefined,
}
