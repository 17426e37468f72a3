/**
 * Conversations of agents on the connection of the engine. Each write checks the claim of the run and the attempt that writes.
 */
import type * as Journal from "@smithers/core/AgentJournal"
import { progressKinds } from "@smithers/core/AgentJournal"
import type * as Budget from "@smithers/core/Budget"
import * as Charges from "@smithers/core/Charges"
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
  /** Writes the rows with a reservation, or nothing. Call it like `record`. */
  readonly reserve: (write: Journal.ReserveWrite) => Either.Either<Budget.Reservation, RunFenced | StaleAttempt>
  readonly usage: (filter: Journal.UsageFilter) => ReadonlyArray<Charges.UsageRow>
  /** Changes a budget. Call it within a write transaction. */
  readonly adjustBudget: (change: Charges.BudgetChange) => Budget.Account | undefined
  readonly budgets: (runId: string) => ReadonlyArray<Budget.Account>
  readonly progress: (runId: string) => ReadonlyArray<Journal.AttemptName>
  readonly read: (filter: Journal.TranscriptFilter) => ReadonlyArray<Journal.RecordedConversation>
}

/** Selects a row if a claim of a run holds. */
export const selectClaimed = "SELECT 1 FROM smithers_runs WHERE run_id = ? AND epoch = ? AND owner IS NOT NULL"

/** Refuses writes of a claim that is lost, or of an attempt that is not the running one. Call the result within the write transaction. */
export const refusing = ({ prepare }: Pick<Connection, "prepare">) => {
  const selectClaim = prepare<[number]>(selectClaimed)
  const selectAttempt = prepare<[number]>(
    "SELECT 1 FROM smithers_nodes WHERE run_id = ? AND node_id = ? AND iteration = ? AND attempt = ? AND status = 'running'",
  )
  const selectScore = prepare<[number]>(
    `SELECT 1 FROM smithers_scores
     WHERE run_id = ? AND node_id = ? AND iteration = ? AND scorer = ? AND attempt = ? AND status = 'due' AND tries = ?`,
  )
  const isClaimed = ({ runId, nodeId, iteration, scorer, attempt, tries }: Journal.JudgedScore): boolean =>
    selectScore.values(runId, nodeId, iteration, scorer, attempt, tries).length > 0
  return ({
    runId,
    epoch,
    nodeId,
    iteration,
    attempt,
    score,
  }: Journal.AttemptOfClaim & Pick<Journal.JournalWrite, "score">): RunFenced | StaleAttempt | undefined => {
    if (score !== undefined) return isClaimed(score) ? undefined : new StaleAttempt({ runId, nodeId, iteration, attempt })
    if (selectClaim.values(runId, epoch).length === 0) return new RunFenced({ runId, epoch })
    return selectAttempt.values(runId, nodeId, iteration, attempt).length === 0
      ? new StaleAttempt({ runId, nodeId, iteration, attempt })
      : undefined
  }
}

/** Creates the conversations of a connection. */
export const make = ({ prepare }: Connection, texts: Texts): Conversations => {
  const put = ({ name, key, columns }: Table) => {
    const all = [...key, ...columns]
    return prepare(`INSERT OR REPLACE INTO ${name} (${all.join(", ")}) VALUES (${all.map(() => "?").join(", ")})`)
  }
  const [putConversation, putEntry, putCall] = [put(Rows.conversations), put(Rows.transcript), put(Rows.toolCalls)]
  const [putCharge, putAccount] = [put(Rows.charges), put(Rows.budgets)]
  const refusal = refusing({ prepare })
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
  const isCharge = Rows.charges.key.map((name) => `${name} = ?`).join(" AND ")
  const selectCharge = prepare<Rows.ChargeRow>(`SELECT ${columns(Rows.charges)} FROM smithers_charges WHERE ${isCharge}`)
  const accountColumns = [...Rows.budgets.key, ...Rows.budgets.columns].join(", ")
  const selectAccount = prepare<Rows.AccountRow>(`SELECT ${accountColumns} FROM smithers_budgets WHERE key = ?`)
  const selectAccounts = prepare<Rows.AccountRow>(`SELECT ${accountColumns} FROM smithers_budgets WHERE run_id = ? ORDER BY key`)
  const isModel = "c.kind = 'model'"
  const sums = ["input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens", "cost"]
  // Each run with those below it.
  const selectUsage = prepare<UsageValues>(
    `WITH RECURSIVE family (run_id) AS (
       SELECT value FROM json_each(?1)
       UNION SELECT r.run_id FROM family f CROSS JOIN smithers_runs r ON r.parent_run_id = f.run_id)
     , used AS (
       SELECT run_id, node_id, agent, name, kind, status, started_at, ${sums.join(", ")}
         FROM smithers_charges WHERE kind = 'model'
       UNION ALL SELECT t.run_id, t.node_id, c.agent, t.tool, 'tool', t.status, t.started_at, ${sums.map(() => "NULL").join(", ")}
         FROM smithers_tool_calls t JOIN smithers_conversations c USING (run_id, node_id, iteration, conversation)
         WHERE t.status NOT IN ${inList(Charges.notMade)})
     SELECT c.run_id, r.workflow, c.node_id, c.agent, c.name, c.kind, count(*),
       ${sums.map((sum) => `total(c.${sum})`).join(", ")},
       sum(${isModel} AND c.status = 'settled' AND c.cost IS NULL), sum(${isModel} AND c.status = 'reserved')
     FROM used c JOIN smithers_runs r ON r.run_id = c.run_id
     WHERE (?1 IS NULL OR c.run_id IN (SELECT run_id FROM family)) AND c.started_at >= ?2
     GROUP BY c.run_id, c.node_id, c.agent, c.kind, c.name
     ORDER BY min(c.started_at), c.run_id, c.node_id, c.kind, c.agent, c.name`,
  )
  const accounts: Charges.Accounts = {
    find: (key) => selectAccount.values(key).map(Rows.readAccount)[0],
    put: (account) => void putAccount.run(...Rows.accountRow(account)),
  }
  const write = ({ runId, conversations = [], entries = [], calls = [], charges = [] }: Journal.JournalWrite): void => {
    for (const conversation of conversations) putConversation.run(runId, ...Rows.conversationRow(conversation))
    for (const entry of entries) putEntry.run(runId, ...Rows.entryRow(entry, texts))
    for (const call of calls) putCall.run(runId, ...Rows.callRow(call, texts))
    for (const charge of charges) {
      const key = [charge.nodeId, charge.iteration, charge.conversation, charge.attempt, charge.ordinal, charge.index] as const
      const before = selectCharge.values(runId, ...key)[0]
      const settled = Charges.settle(accounts, before && Rows.readCharge(before), charge)
      if (settled !== undefined) putCharge.run(runId, ...Rows.chargeRow(settled))
    }
  }
  return {
    progress: (runId) => selectProgress.values(runId).map(([nodeId, iteration, attempt]) => ({ nodeId, iteration, attempt })),
    record: (entries) => {
      const refused = refusal(entries)
      if (refused !== undefined) return Either.left(refused)
      return Either.right(write(entries))
    },
    reserve: (request) => {
      const refused = refusal(request)
      if (refused !== undefined) return Either.left(refused)
      const { runId, charge, budgets, now, isFinal = false, extension } = request
      const reservation = Charges.reserve(accounts, charge, budgets, { now, isFinal, extension })
      if (reservation._tag === "Reached") return Either.right(reservation)
      write(request)
      putCharge.run(runId, ...Rows.chargeRow(charge))
      return Either.right(reservation)
    },
    usage: ({ runIds, since = 0 }) => selectUsage.values(runIds === undefined ? null : JSON.stringify(runIds), since).map(usageOf),
    adjustBudget: (change) => Charges.adjust(accounts, change),
    budgets: (runId) => selectAccounts.values(runId).map(Rows.readAccount),
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

type UsageValues = [
  runId: string,
  workflow: string,
  nodeId: string,
  agent: string,
  name: string | null,
  kind: Charges.Charge["kind"],
  calls: number,
  inputTokens: number,
  outputTokens: number,
  cachedInputTokens: number,
  cacheWriteTokens: number,
  reasoningTokens: number,
  cost: number,
  unpriced: number,
  unknown: number,
]

const usageOf = ([runId, workflow, nodeId, agent, name, kind, calls, ...counts]: UsageValues): Charges.UsageRow => {
  const [inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens, reasoningTokens, cost, unpriced, unknown] = counts
  return {
    ...{ runId, workflow, nodeId, agent, name, kind, calls },
    ...{ inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens, reasoningTokens, cost, unpriced, unknown },
  }
}
