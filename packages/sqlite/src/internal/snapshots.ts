/**
 * Snapshots of workspaces on the connection of the engine. Each write checks the claim of the run and the attempt that writes.
 */
import { RunFenced } from "@smithers/core/Errors"
import * as Snapshots from "@smithers/core/Snapshots"
import type { StaleAttempt } from "@smithers/core/Transaction"
import * as Either from "effect/Either"
import type { Connection } from "./connection.ts"
import { refusing, selectClaimed } from "./conversations.ts"

/** The table of snapshots, part of layout 24. */
export const sql = `
-- Pointers to commits of workspaces, which the ref of the run keeps.
CREATE TABLE smithers_snapshots (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  moment TEXT NOT NULL, -- before or after the attempt
  root TEXT NOT NULL, -- the directory that it is of
  commit_id TEXT, -- NULL if it could not be taken
  tree TEXT,
  at_ms INTEGER NOT NULL,
  skipped TEXT, -- JSON: files that it does not hold
  shared_with TEXT, -- JSON: attempts that worked in the same tree meanwhile
  failure TEXT,
  is_open INTEGER, -- 1 until its attempt has a snapshot after it, or begins again
  PRIMARY KEY (run_id, node_id, iteration, attempt, moment)
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_snapshots_open ON smithers_snapshots (is_open) WHERE is_open = 1;

-- Reverts. The row is written before any file is changed, so that a crash in the middle is completed, or taken back.
CREATE TABLE smithers_reverts (
  run_id TEXT NOT NULL,
  number INTEGER NOT NULL, -- from 1 in its run
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  root TEXT, -- the directory of the files; NULL where they are left alone
  target TEXT, -- the commit that they are restored to
  safety TEXT, -- the commit of the files before
  frame INTEGER NOT NULL, -- that completes it
  state TEXT NOT NULL, -- planned, done, taken-back
  undoes INTEGER, -- the number of the revert that it undoes
  by TEXT,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (run_id, number)
) STRICT, WITHOUT ROWID;
`

export interface SnapshotRows {
  /** Writes a snapshot. Call it within a write transaction. */
  readonly record: (write: Snapshots.SnapshotWrite) => Either.Either<void, RunFenced | StaleAttempt>
  readonly find: (filter: Snapshots.SnapshotFilter) => ReadonlyArray<Snapshots.Snapshot>
  /** Writes a revert. Call it within a write transaction. */
  readonly putRevert: (write: Snapshots.StoredRevert & { readonly epoch: number }) => Either.Either<void, RunFenced>
  readonly reverts: (runId: string) => ReadonlyArray<Snapshots.StoredRevert>
}

type RevertRow = [
  number: number,
  nodeId: string,
  iteration: number,
  attempt: number,
  root: string | null,
  target: string | null,
  safety: string | null,
  frame: number,
  state: Snapshots.StoredRevert["state"],
  undoes: number | null,
  by: string | null,
  at: number,
]

const revertFields = "number, node_id, iteration, attempt, root, target, safety, frame, state, undoes, by, at_ms"

type SnapshotRow = [
  nodeId: string,
  iteration: number,
  attempt: number,
  moment: Snapshots.SnapshotMoment,
  root: string,
  commit: string | null,
  tree: string | null,
  at: number,
  skipped: string | null,
  sharedWith: string | null,
  failure: string | null,
]

const fields = "node_id, iteration, attempt, moment, root, commit_id, tree, at_ms, skipped, shared_with, failure"

const read =
  (runId: string) =>
  ([
    nodeId,
    iteration,
    attempt,
    moment,
    root,
    commit,
    tree,
    at,
    skipped,
    sharedWith,
    failure,
  ]: SnapshotRow): Snapshots.Snapshot => ({
    ...{ runId, nodeId, iteration, attempt, moment, root, commit, tree, at, failure },
    skipped: skipped === null ? [] : JSON.parse(skipped),
    sharedWith: sharedWith === null ? [] : JSON.parse(sharedWith),
  })

const listed = (values: ReadonlyArray<unknown>): string | null => (values.length === 0 ? null : JSON.stringify(values))

/** Creates the snapshots of a connection. */
export const make = ({ prepare }: Pick<Connection, "prepare">): SnapshotRows => {
  const refusal = refusing({ prepare })
  const put = prepare(`INSERT OR REPLACE INTO smithers_snapshots (run_id, ${fields}, is_open) VALUES (${"?, ".repeat(12)}?)`)
  // Attempts at work, of runs that a process has claimed.
  const selectOpen = prepare<[runId: string, ...SnapshotRow]>(
    `SELECT s.run_id, ${fields.replaceAll(/[a-z_]+/g, "s.$&")} FROM smithers_snapshots s
       JOIN smithers_runs r ON r.run_id = s.run_id
       JOIN smithers_nodes n ON n.run_id = s.run_id AND n.node_id = s.node_id AND n.iteration = s.iteration
     WHERE s.is_open = 1 AND r.owner IS NOT NULL AND n.attempt = s.attempt AND n.status = 'running'`,
  )
  const share = prepare(
    `UPDATE smithers_snapshots SET shared_with = ?
     WHERE run_id = ? AND node_id = ? AND iteration = ? AND attempt = ? AND moment = 'before'`,
  )
  const close = prepare(
    "UPDATE smithers_snapshots SET is_open = NULL WHERE run_id = ? AND node_id = ? AND iteration = ? AND is_open = 1",
  )
  const select = prepare<SnapshotRow>(
    `SELECT ${fields} FROM smithers_snapshots
     WHERE run_id = ?1 AND (?2 IS NULL OR node_id = ?2) AND (?3 IS NULL OR iteration = ?3) AND (?4 IS NULL OR attempt = ?4)
     ORDER BY at_ms, node_id, iteration, attempt, moment DESC`,
  )
  const selectThese = prepare<SnapshotRow>(
    `SELECT ${fields.replaceAll(/[a-z_]+/g, "s.$&")} FROM json_each(?5) a CROSS JOIN smithers_snapshots s
     WHERE s.run_id = ?1 AND s.node_id = a.value ->> 0 AND s.iteration = a.value ->> 1 AND s.attempt = a.value ->> 2
       AND (?2 IS NULL OR s.node_id = ?2) AND (?3 IS NULL OR s.iteration = ?3) AND (?4 IS NULL OR s.attempt = ?4)
     GROUP BY s.node_id, s.iteration, s.attempt, s.moment
     ORDER BY s.at_ms, s.node_id, s.iteration, s.attempt, s.moment DESC`,
  )
  const selectClaim = prepare<[number]>(selectClaimed)
  const putRevert = prepare(`INSERT OR REPLACE INTO smithers_reverts (run_id, ${revertFields}) VALUES (${"?, ".repeat(12)}?)`)
  const selectReverts = prepare<RevertRow>(`SELECT ${revertFields} FROM smithers_reverts WHERE run_id = ? ORDER BY number`)
  return {
    putRevert: ({ runId, epoch, number, nodeId, iteration, attempt, root, target, safety, frame, state, undoes, by, at }) => {
      if (selectClaim.values(runId, epoch).length === 0) return Either.left(new RunFenced({ runId, epoch }))
      putRevert.run(runId, number, nodeId, iteration, attempt, root, target, safety, frame, state, undoes, by, at)
      return Either.right(undefined)
    },
    reverts: (runId) =>
      selectReverts
        .values(runId)
        .map(([number, nodeId, iteration, attempt, root, target, safety, frame, state, undoes, by, at]) => ({
          ...{ runId, number, nodeId, iteration, attempt, root, target, safety, frame, state, undoes, by, at },
        })),
    record: (write) => {
      const refused = refusal(write)
      if (refused !== undefined) return Either.left(refused)
      const { runId, nodeId, iteration, attempt, moment, root, commit, tree, at, skipped, failure } = write
      const open = selectOpen.values().map(([of, ...row]) => read(of)(row))
      const { sharedWith, others } = Snapshots.sharing(write, open)
      for (const { runId: of, nodeId: node, ...other } of others)
        share.run(listed(other.sharedWith), of, node, other.iteration, other.attempt)
      close.run(runId, nodeId, iteration)
      const ids = [runId, nodeId, iteration, attempt, moment, root, commit, tree, at] as const
      put.run(...ids, listed(skipped), listed(sharedWith), failure, moment === "before" ? 1 : null)
      return Either.right(undefined)
    },
    find: ({ runId, nodeId = null, iteration = null, attempt = null, attempts }) => {
      const which = [runId, nodeId, iteration, attempt] as const
      if (attempts === undefined) return select.values(...which).map(read(runId))
      const names = attempts.map((one) => [one.nodeId, one.iteration, one.attempt])
      return selectThese.values(...which, JSON.stringify(names)).map(read(runId))
    },
  }
}
