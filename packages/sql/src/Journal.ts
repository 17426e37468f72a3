/**
 * Rows of conversations, their entries, their tool calls, and what those cost. Long texts are stored once each, by their hash.
 */
import type * as Journal from "@smithers/core/AgentJournal"
import type * as Budget from "@smithers/core/Budget"
import type * as Charges from "@smithers/core/Charges"
import type { Json } from "@smithers/core/Codec"
import type * as Status from "@smithers/core/Status"
import { write } from "./Json.ts"
import type { Table } from "./Tables.ts"
import type { Texts } from "./Turns.ts"

const conversation = ["run_id", "node_id", "iteration", "conversation"] as const

/** Conversations: {@link conversationRow}. */
export const conversations: Table = {
  name: "smithers_conversations",
  key: conversation,
  columns: ["attempt", "agent", "status", "request_digest", "workspace", "session", "failure", "started_at", "ended_at"],
}

/** Entries of transcripts: {@link entryRow}. */
export const transcript: Table = {
  name: "smithers_transcript",
  key: [...conversation, "seq"],
  columns: ["attempt", "at_ms", "kind", "text_hash", "tool", "call_id", "model", "input_tokens", "output_tokens"],
}

/** Tool calls: {@link callRow}. */
export const toolCalls: Table = {
  name: "smithers_tool_calls",
  key: [...conversation, "ordinal", "call_index"],
  columns: [
    ...["call_id", "tool", "is_read_only", "attempt", "status", "input_hash", "digest", "output_hash"],
    ...["snapshot", "seen", "decided_by", "note", "started_at", "ended_at"],
  ],
}

const read = <A>(text: string): A => JSON.parse(text)

type Text = string | null
type Time = number | null
type ConversationKey = [nodeId: string, iteration: number, conversation: number]

export type ConversationRow = [
  ...ConversationKey,
  attempt: number,
  agent: string,
  status: Status.ConversationStatus,
  requestDigest: string,
  workspace: Text,
  session: Text,
  failure: Text,
  startedAt: number,
  endedAt: Time,
]

const optional = (value: unknown): Text => (value === undefined ? null : write(value as Json))

/** Encodes a conversation, without the id of its run. */
export const conversationRow = (from: Journal.Conversation): ConversationRow => [
  from.nodeId,
  from.iteration,
  from.conversation,
  from.attempt,
  from.agent,
  from.status,
  from.requestDigest,
  optional(from.workspace),
  optional(from.session),
  optional(from.failure),
  from.startedAt,
  from.endedAt ?? null,
]

/** Decodes a conversation. */
export const readConversation = (row: ConversationRow): Journal.Conversation => {
  const [nodeId, iteration, conversation, attempt, agent, status, requestDigest, workspace, session, failure, startedAt, endedAt] =
    row
  return {
    nodeId,
    iteration,
    conversation,
    attempt,
    agent,
    status,
    requestDigest,
    ...(workspace === null ? {} : { workspace: read<unknown>(workspace) }),
    ...(session === null ? {} : { session: read<Journal.AgentSession>(session) }),
    ...(failure === null ? {} : { failure: read<unknown>(failure) }),
    startedAt,
    ...(endedAt === null ? {} : { endedAt }),
  }
}

export type EntryRow = [
  ...ConversationKey,
  seq: number,
  attempt: number,
  at: number,
  kind: Journal.EntryKind,
  text: string,
  tool: Text,
  callId: Text,
  model: Text,
  inputTokens: number | null,
  outputTokens: number | null,
]

/** Encodes an entry, without the id of its run. */
export const entryRow = (from: Journal.TranscriptEntry, texts: Texts): EntryRow => [
  from.nodeId,
  from.iteration,
  from.conversation,
  from.seq,
  from.attempt,
  from.at,
  from.kind,
  texts.keep(from.text),
  from.tool ?? null,
  from.callId ?? null,
  from.model ?? null,
  from.inputTokens ?? null,
  from.outputTokens ?? null,
]

/** Decodes an entry. */
export const readEntry = (row: EntryRow, texts: Texts): Journal.TranscriptEntry => {
  const [nodeId, iteration, conversation, seq, attempt, at, kind, text, tool, callId, model, inputTokens, outputTokens] = row
  return {
    nodeId,
    iteration,
    conversation,
    seq,
    attempt,
    at,
    kind,
    text: texts.read(text),
    ...(tool === null ? {} : { tool }),
    ...(callId === null ? {} : { callId }),
    ...(model === null ? {} : { model }),
    ...(inputTokens === null ? {} : { inputTokens }),
    ...(outputTokens === null ? {} : { outputTokens }),
  }
}

export type CallRow = [
  ...ConversationKey,
  ordinal: number,
  index: number,
  callId: string,
  tool: string,
  isReadOnly: number,
  attempt: number,
  status: Status.ToolCallStatus,
  input: string,
  digest: string,
  output: Text,
  snapshot: Text,
  seen: Text,
  by: Text,
  note: Text,
  startedAt: number,
  endedAt: Time,
]

/** Encodes a tool call, without the id of its run. */
export const callRow = (from: Journal.ToolCallRecord, texts: Texts): CallRow => [
  from.nodeId,
  from.iteration,
  from.conversation,
  from.ordinal,
  from.index,
  from.callId,
  from.tool,
  from.isReadOnly ? 1 : 0,
  from.attempt,
  from.status,
  texts.keep(from.input),
  from.digest,
  from.output === undefined ? null : texts.keep(from.output),
  optional(from.snapshot),
  optional(from.seen),
  from.by ?? null,
  from.note ?? null,
  from.startedAt,
  from.endedAt ?? null,
]

/** Decodes a tool call. */
export const readCall = (row: CallRow, texts: Texts): Journal.ToolCallRecord => {
  const [nodeId, iteration, conversation, ordinal, index, callId, tool, isReadOnly, attempt, status, input, ...rest] = row
  const [digest, output, snapshot, seen, by, note, startedAt, endedAt] = rest
  return {
    nodeId,
    iteration,
    conversation,
    ordinal,
    index,
    callId,
    tool,
    isReadOnly: isReadOnly === 1,
    attempt,
    status,
    input: texts.read(input),
    digest,
    ...(output === null ? {} : { output: texts.read(output) }),
    ...(snapshot === null ? {} : { snapshot: read<unknown>(snapshot) }),
    ...(seen === null ? {} : { seen: read<Record<string, string>>(seen) }),
    ...(by === null ? {} : { by }),
    ...(note === null ? {} : { note }),
    startedAt,
    ...(endedAt === null ? {} : { endedAt }),
  }
}

/** Charges: {@link chargeRow}. */
export const charges: Table = {
  name: "smithers_charges",
  key: ["run_id", "node_id", "iteration", "conversation", "attempt", "ordinal", "call_index"],
  columns: [
    ...["kind", "status", "agent", "name", "started_at", "ended_at", "input_tokens", "output_tokens", "cached_input_tokens"],
    ...["cache_write_tokens", "reasoning_tokens", "cost", "estimate", "budgets"],
  ],
}

/** Accounts of budgets: {@link accountRow}. */
export const budgets: Table = {
  name: "smithers_budgets",
  key: ["key"],
  columns: ["name", "run_id", "limits", "started_at", "spent", "reserved", "unpriced", "extensions"],
}

type Count = number | null

export type ChargeRow = [
  ...ConversationKey,
  attempt: number,
  ordinal: number,
  index: number,
  kind: Charges.Charge["kind"],
  status: Charges.ChargeStatus,
  agent: string,
  name: Text,
  startedAt: number,
  endedAt: Time,
  inputTokens: Count,
  outputTokens: Count,
  cachedInputTokens: Count,
  cacheWriteTokens: Count,
  reasoningTokens: Count,
  cost: Count,
  estimate: string,
  budgets: string,
]

/** Encodes a charge, without the id of its run. */
export const chargeRow = (from: Charges.Charge): ChargeRow => [
  from.nodeId,
  from.iteration,
  from.conversation,
  from.attempt,
  from.ordinal,
  from.index,
  from.kind,
  from.status,
  from.agent,
  from.name ?? null,
  from.startedAt,
  from.endedAt ?? null,
  from.inputTokens ?? null,
  from.outputTokens ?? null,
  from.cachedInputTokens ?? null,
  from.cacheWriteTokens ?? null,
  from.reasoningTokens ?? null,
  from.cost ?? null,
  JSON.stringify(from.estimate),
  JSON.stringify(from.budgets),
]

/** Decodes a charge. */
export const readCharge = (row: ChargeRow): Charges.Charge => {
  const [nodeId, iteration, conversation, attempt, ordinal, index, kind, status, agent, name, startedAt, endedAt, ...used] = row
  const [inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens, reasoningTokens, cost, estimate, budgets] = used
  const counts = { inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens, reasoningTokens, cost }
  const known = Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== null))
  return {
    ...{ nodeId, iteration, conversation, attempt, ordinal, index, kind, status, agent, startedAt },
    ...(name === null ? {} : { name }),
    ...(endedAt === null ? {} : { endedAt }),
    ...known,
    estimate: read<Budget.Amounts>(estimate),
    budgets: read<ReadonlyArray<string>>(budgets),
  }
}

export type AccountRow = [
  key: string,
  name: string,
  runId: Text,
  limits: string,
  startedAt: number,
  spent: string,
  reserved: string,
  unpriced: number,
  extensions: string,
]

/** Encodes an account. */
export const accountRow = (from: Budget.Account): AccountRow => [
  from.key,
  from.name,
  from.runId,
  JSON.stringify(from.limits),
  from.startedAt,
  JSON.stringify(from.spent),
  JSON.stringify(from.reserved),
  from.unpriced,
  JSON.stringify(from.extensions),
]

/** Decodes an account. */
export const readAccount = ([
  key,
  name,
  runId,
  limits,
  startedAt,
  spent,
  reserved,
  unpriced,
  extensions,
]: AccountRow): Budget.Account => ({
  ...{ key, name, runId, startedAt, unpriced },
  limits: read<Budget.Limits>(limits),
  spent: read<Budget.Amounts>(spent),
  reserved: read<Budget.Amounts>(reserved),
  extensions: read<Budget.Account["extensions"]>(extensions),
})
