/**
 * Scores on the connection of the engine. A score is claimed by a process, and free again once that is dead or the claim has ended.
 */
import * as Scores from "@smithers/core/Scores"
import type { Connection } from "./connection.ts"
import * as Owner from "./owner.ts"

/** The table of scores, part of layout 23. */
export const sql = `
CREATE TABLE smithers_scores (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  scorer TEXT NOT NULL,
  attempt INTEGER NOT NULL, -- that gave the output
  status TEXT NOT NULL, -- due, finished, failed
  score REAL, -- from 0 to 1
  reason TEXT,
  error TEXT, -- JSON
  tries INTEGER NOT NULL DEFAULT 0, -- processes that have begun it
  due_at INTEGER NOT NULL,
  ended_at INTEGER,
  owner TEXT, -- the process that makes it
  lease_until INTEGER,
  PRIMARY KEY (run_id, node_id, iteration, scorer)
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_scores_due ON smithers_scores (due_at) WHERE status = 'due';
`

export interface ScoreRows {
  /** Stores that scores are due. Those of an output that was replaced are replaced. */
  readonly expect: (key: Scores.ScoreKey, at: number) => void
  readonly find: (filter: Scores.ScoreFilter) => ReadonlyArray<Scores.Score>
  readonly claim: (key: Scores.ScoreKey & { readonly now: number; readonly until: number }) => number | undefined
  readonly end: (key: Scores.ScoreKey & { readonly now: number; readonly end: Scores.ScoreEnd }) => void
  readonly release: (key: Scores.ScoreKey) => void
}

type ScoreRow = [
  runId: string,
  nodeId: string,
  iteration: number,
  attempt: number,
  scorer: string,
  status: Scores.ScoreStatus,
  score: number | null,
  reason: string | null,
  error: string | null,
  tries: number,
  dueAt: number,
  endedAt: number | null,
]

const scoreOf = ([runId, nodeId, iteration, attempt, scorer, status, score, reason, error, ...times]: ScoreRow): Scores.Score => ({
  ...{ runId, nodeId, iteration, attempt, scorer, status, score, reason },
  error: error === null ? null : JSON.parse(error),
  ...{ tries: times[0], dueAt: times[1], endedAt: times[2] },
})

const at = "run_id = ?1 AND node_id = ?2 AND iteration = ?3 AND scorer = ?4 AND attempt = ?5 AND status = 'due'"

const placeOf = ({ runId, nodeId, iteration, scorer, attempt }: Scores.ScoreKey) =>
  [runId, nodeId, iteration, scorer, attempt] as const

export const make = (connection: Connection, me: string): ScoreRows => ({
  expect: ({ runId, nodeId, iteration, scorer, attempt }, dueAt) => {
    connection
      .prepare(
        `INSERT OR REPLACE INTO smithers_scores (run_id, node_id, iteration, scorer, attempt, status, due_at)
         VALUES (?, ?, ?, ?, ?, 'due', ?)`,
      )
      .run(runId, nodeId, iteration, scorer, attempt, dueAt)
  },
  find: ({ runId, nodeId, status, limit = Scores.defaultLimit }) =>
    connection
      .prepare<ScoreRow>(
        `SELECT run_id, node_id, iteration, attempt, scorer, status, score, reason, error, tries, due_at, ended_at FROM smithers_scores
         WHERE ${runId === undefined ? "?1 IS NULL" : "run_id = ?1"} AND (?2 IS NULL OR node_id = ?2)
           AND ${status === "due" ? "status = 'due' AND ?3 IS NOT NULL" : "(?3 IS NULL OR status = ?3)"}
         ORDER BY due_at, run_id, node_id, iteration, scorer LIMIT ?4`,
      )
      .values(runId ?? null, nodeId ?? null, status ?? null, limit)
      .map(scoreOf),
  claim: ({ now, until, ...key }) => {
    const [found] = connection
      .prepare<[owner: string | null, leaseUntil: number | null]>(`SELECT owner, lease_until FROM smithers_scores WHERE ${at}`)
      .values(...placeOf(key))
    if (found === undefined) return undefined
    const [owner, leaseUntil] = found
    if (Owner.isWorking({ owner, leaseUntil }, now)) return undefined
    const [claimed] = connection
      .prepare<[tries: number]>(
        `UPDATE smithers_scores SET owner = ?6, lease_until = ?7, tries = tries + 1 WHERE ${at} RETURNING tries`,
      )
      .values(...placeOf(key), me, until)
    return claimed?.[0]
  },
  end: ({ now, end, ...key }) => {
    const [score, reason, error] =
      end.status === "finished" ? [end.score, end.reason, null] : [null, null, JSON.stringify(end.error)]
    connection
      .prepare(
        `UPDATE smithers_scores SET status = ?6, score = ?7, reason = ?8, error = ?9, ended_at = ?10, owner = NULL, lease_until = NULL
         WHERE ${at}`,
      )
      .run(...placeOf(key), end.status, score, reason, error, now)
  },
  release: (key) => {
    connection
      .prepare(`UPDATE smithers_scores SET owner = NULL, lease_until = NULL, tries = tries - 1 WHERE ${at} AND owner = ?6`)
      .run(...placeOf(key), me)
  },
})
