/**
 * Conversations of agents on the connection of the engine. Each write checks the claim of the run and the attempt that writes.
 */
import type * as Journal from "@smithers/core/AgentJournal"
import { progressKinds } from "@smithers/core/AgentJournal"
import { RunFenced } from "@smithers/core/Errors"
import { StaleAttempt } from "@smithers/core/Transaction"
import * as Rows from "@smithers/sql/Journal"
import { inList } from "@smithers/sql/Lists"
import type { Table } from "@smithers/sql/Tables"
import type { Texts } from "@smithers/sql/Turns"
import * as Either from "effect/Either"
import type { Connection } from "./connection.ts"

export interface Conversations {
  /** Writes the rows. Call it within a write transaction, which the caller rolls back if this refuses. */
  readonly record: (write: Journal.JournalWrite) => Either.Either<void, RunFenced | StaleAttempt>
  readonly progress: (runId: string) => ReadonlyArray<Journal.AttemptName>
  readonly read: (filter: Journal.TranscriptFilter) => ReadonlyArray<Journal.RecordedConversation>
}

/** Creates the conversations of a connection. */
export const make = ({ prepare }: Connection, texts: Texts): Conversations => {
  const put = ({ name, key, columns }: Table) => {
    const all = [...key, ...columns]
    return prepare(`INSERT OR REPLACE INTO ${name} (${all.join(", ")}) VALUES (${all.map(() => "?").join(", ")})`)
  }
  const [putConversation, putEntry, putCall] = [put(Rows.conversations), put(Rows.transcript), put(Rows.toolCalls)]
  const selectClaim = prepare<[number]>("SELECT 1 FROM smithers_runs WHERE run_id = ? AND epoch = ? AND owner IS NOT NULL")
  const selectAttempt = prepare<[number]>(
    "SELECT 1 FROM smithers_nodes WHERE run_id = ? AND node_id = ? AND iteration = ? AND attempt = ? AND status = 'running'",
  )
  const of = "run_id = ?1 AND (?2 IS NULL OR node_id = ?2) AND (?3 IS NULL OR iteration = ?3)"
  const columns = ({ key, columns }: Table): string => [...key.slice(1), ...columns].join(", ")
  // An attempt that ended otherwise than by an interruption is not continued.
  const ended = `SELECT 1 FROM smithers_attempts a WHERE a.run_id = c.run_id AND a.node_id = c.node_id AND a.iteration = c.iteration
    AND a.attempt >= c.attempt AND (a.status <> 'interrupted' OR a.reason = 'reset')`
  const selectConversations = prepare<[...Rows.ConversationRow, isEnded: number]>(
    `SELECT ${columns(Rows.conversations)}, EXISTS (${ended}) FROM smithers_conversations c WHERE ${of}
     ORDER BY started_at, node_id, iteration, conversation`,
  )
  const selectEntries = prepare<Rows.EntryRow>(
    `SELECT ${columns(Rows.transcript)} FROM smithers_transcript WHERE ${of} ORDER BY node_id, iteration, conversation, seq`,
  )
  const selectCalls = prepare<Rows.CallRow>(
    `SELECT ${columns(Rows.toolCalls)} FROM smithers_tool_calls WHERE ${of}
     ORDER BY node_id, iteration, conversation, ordinal, call_index`,
  )
  const selectProgress = prepare<[nodeId: string, iteration: number, attempt: number]>(
    `SELECT DISTINCT node_id, iteration, attempt FROM smithers_transcript WHERE run_id = ? AND kind IN ${inList(progressKinds)}`,
  )
  return {
    progress: (runId) => selectProgress.values(runId).map(([nodeId, iteration, attempt]) => ({ nodeId, iteration, attempt })),
    record: ({ runId, epoch, nodeId, iteration, attempt, conversations = [], entries = [], calls = [] }) => {
      if (selectClaim.values(runId, epoch).length === 0) return Either.left(new RunFenced({ runId, epoch }))
      if (selectAttempt.values(runId, nodeId, iteration, attempt).length === 0)
        return Either.left(new StaleAttempt({ runId, nodeId, iteration, attempt }))
      for (const conversation of conversations) putConversation.run(runId, ...Rows.conversationRow(conversation))
      for (const entry of entries) putEntry.run(runId, ...Rows.entryRow(entry, texts))
      for (const call of calls) putCall.run(runId, ...Rows.callRow(call, texts))
      return Either.right(undefined)
    },
    read: ({ runId, nodeId = null, iteration = null }) => {
      const found = selectConversations.values(runId, nodeId, iteration)
      if (found.length === 0) return []
      const key = (row: readonly [nodeId: string, iteration: number, conversation: number, ...unknown[]]): string =>
        JSON.stringify(row.slice(0, 3))
      const entries = Map.groupBy(selectEntries.values(runId, nodeId, iteration), key)
      const calls = Map.groupBy(selectCalls.values(runId, nodeId, iteration), key)
      return found.map(([...row]) => {
        const isEnded = row.pop() === 1
        const at = key(row as unknown as Rows.ConversationRow)
        return {
          ...Rows.readConversation(row as unknown as Rows.ConversationRow),
          entries: (entries.get(at) ?? []).map((entry) => Rows.readEntry(entry, texts)),
          calls: (calls.get(at) ?? []).map((call) => Rows.readCall(call, texts)),
          isCurrent: !isEnded,
        }
      })
    },
  }
}
