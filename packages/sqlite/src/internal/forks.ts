/**
 * Makes forks of runs. Rows that are as they were at the cut are copied by SQL: those of steps that had finished by then and were not reset
 * since, with their waits and outputs, and all ended attempts, reads and heartbeats. Other rows are written from the records of the
 * original at the cut. Nothing of the original changes.
 */
import type * as Budget from "@smithers/core/Budget"
import * as Charges from "@smithers/core/Charges"
import { RunIdTaken, RunNotFound } from "@smithers/core/Errors"
import { type NodeKey, nodeKey } from "@smithers/core/Ids"
import type * as RunState from "@smithers/core/RunState"
import * as State from "@smithers/core/RunState"
import type { ForkRequest } from "@smithers/core/RunStore"
import * as Journal from "@smithers/sql/Journal"
import * as Rows from "@smithers/sql/Rows"
import * as Tables from "@smithers/sql/Tables"
import * as Either from "effect/Either"
import type { Claims } from "./claims.ts"
import type { Connection } from "./connection.ts"
import { type Frames, replace } from "./frames.ts"
import type { Outputs } from "./outputs.ts"
import type { SnapshotRows } from "./snapshots.ts"

/** Columns of a run with its origin as a fork: {@link ForkRow}. */
export const columns = "forked_from, forked_frame, forked_seq, fork"

export type ForkRow = [runId: string | null, frame: number | null, seq: number | null, rest: string | null]

/** Decodes the origin of a fork. */
export const read = ([runId, frame, seq, rest]: ForkRow): RunState.Fork | undefined =>
  runId === null || frame === null || seq === null || rest === null
    ? undefined
    : { runId, frame, seq, ...(JSON.parse(rest) as Pick<RunState.Fork, "at" | "lineage" | "ownsEffects">) }

export interface Forks {
  /** Makes a fork. Call it within a write transaction, which the caller rolls back if this refuses. */
  readonly make: (request: ForkRequest) => Either.Either<void, RunIdTaken | RunNotFound>
}

/** Returns the SQL that copies rows of a run to its fork, `?1`. */
const copied = ({ name, key, columns }: Tables.Table, which: string): string => {
  const others = [...key.filter((column) => column !== "run_id"), ...columns].map((column) => `t.${column}`)
  const into = ["run_id", ...key.filter((column) => column !== "run_id"), ...columns]
  return `INSERT INTO ${name} (${into.join(", ")}) SELECT ?1, ${others.join(", ")} FROM ${name} t ${which}`
}

/** Creates the maker of forks. */
export const make = (
  { prepare }: Connection,
  outputs: Outputs,
  claims: Pick<Claims, "spawn" | "deliver" | "open">,
  frames: Pick<Frames, "begun">,
  snapshots: Pick<SnapshotRows, "putRevert">,
): Forks => {
  const selectRun = prepare("SELECT 1 FROM smithers_runs WHERE run_id = ?")
  // The same rows that an earlier state is loaded from, instead of from the log.
  const copyFinished = prepare(
    copied(Tables.nodes, "WHERE t.run_id = ?2 AND t.kind = 'step' AND t.status = 'finished' AND t.finished_seq <= ?3"),
  )
  const ofCopied = "JOIN smithers_nodes n ON n.run_id = ?1 AND n.node_id = t.node_id AND n.iteration = t.iteration"
  const copyWaits = prepare(copied(Tables.waits, `${ofCopied} WHERE t.run_id = ?2`))
  const selectCopied = prepare<[nodeId: string, iteration: number]>(
    "SELECT node_id, iteration FROM smithers_nodes WHERE run_id = ?",
  )
  const selectTables = prepare<[table: string]>(
    "SELECT DISTINCT output_table FROM smithers_nodes WHERE run_id = ? AND output_table IS NOT NULL",
  )
  const putNode = prepare(replace(Tables.nodes))
  const putWait = prepare(replace(Tables.waits))
  const putSignal = prepare(replace(Tables.signals))
  // An attempt has ended by the cut if the record is of a later one, or of this one and not running.
  const copyAttempts = prepare(
    copied(
      Tables.attempts,
      `${ofCopied}
       WHERE t.run_id = ?2 AND (t.attempt < n.attempt OR (t.attempt = n.attempt AND n.status <> 'running'))`,
    ),
  )
  const copyReads = prepare(copied(Tables.reads, "WHERE t.run_id = ?2 AND t.seq <= ?3"))
  const copyBeats = prepare(copied(Tables.heartbeats, "WHERE t.run_id = ?2 AND t.seq <= ?3"))
  // What ran the inherited attempts.
  const copyGenerations = prepare(
    `INSERT INTO smithers_generations (run_id, generation, hash, files, at_ms)
     SELECT ?1, generation, hash, files, at_ms FROM smithers_generations WHERE run_id = ?2 AND at_ms <= ?3`,
  )
  const suspend = prepare("UPDATE smithers_runs SET status = 'suspended' WHERE run_id = ?")
  const accountColumns = [...Journal.budgets.key, ...Journal.budgets.columns].join(", ")
  const selectAccount = prepare<Journal.AccountRow>(`SELECT ${accountColumns} FROM smithers_budgets WHERE key = ?`)
  const putAccount = prepare(replace(Journal.budgets))
  const chargeColumns = [...Journal.charges.key.slice(1), ...Journal.charges.columns].join(", ")
  // The child runs of the original draw on its budgets, too.
  const selectLater = prepare<Journal.ChargeRow>(
    `WITH RECURSIVE family (run_id) AS (
       SELECT ?1 UNION SELECT r.run_id FROM family f CROSS JOIN smithers_runs r ON r.parent_run_id = f.run_id)
     SELECT ${chargeColumns} FROM smithers_charges WHERE run_id IN (SELECT run_id FROM family) AND ended_at > ?2`,
  )

  const open = ({ create: { fork }, accounts }: ForkRequest): void => {
    if (accounts.length === 0) return
    const later = selectLater.values(fork.runId, fork.at).map(Journal.readCharge)
    for (const { from, account } of accounts) {
      const stored = selectAccount.values(from).map(Journal.readAccount)[0]
      if (stored === undefined) continue
      const current: Budget.Account = { ...account, spent: stored.spent, unpriced: stored.unpriced }
      putAccount.run(...Journal.accountRow(Charges.without(current, from, later)))
    }
  }

  /** Copies the rows of steps that had finished by the cut and were not reset since. Returns their keys. */
  const copyUnchanged = (runId: string, { runId: from, seq }: RunState.Fork, workflow: string): ReadonlySet<NodeKey> => {
    copyFinished.run(runId, from, seq)
    copyWaits.run(runId, from)
    const tables = new Set(selectTables.values(runId).map(([name]) => outputs.table(workflow, name)))
    for (const table of tables) table.inheritAll(runId, from)
    return new Set(selectCopied.values(runId).map(([nodeId, iteration]) => nodeKey(nodeId, iteration)))
  }

  return {
    make: (request) => {
      const { runId, create, inherited, frame, messages, restores } = request
      const { fork, workflow } = create
      if (selectRun.values(runId).length > 0) return Either.left(new RunIdTaken({ runId }))
      if (selectRun.values(fork.runId).length === 0) return Either.left(new RunNotFound({ runId: fork.runId }))
      claims.spawn(runId, create, frame.at)
      const unchanged = copyUnchanged(runId, fork, workflow)
      for (const record of State.records(inherited)) {
        if (unchanged.has(nodeKey(record.nodeId, record.iteration))) continue
        putNode.run(...Rows.nodeRow(runId, record))
        if (record.kind !== "step") continue
        const { nodeId, iteration, table, output, wait } = record
        if (wait !== undefined) putWait.run(runId, nodeId, iteration, ...Rows.waitRow(wait))
        if (table !== undefined) outputs.table(workflow, table).inherit(runId, nodeId, iteration, output, fork.runId)
      }
      for (const signal of inherited.signals) putSignal.run(runId, ...Rows.signalRow({ ...signal, takenBy: undefined }))
      copyAttempts.run(runId, fork.runId)
      copyReads.run(runId, fork.runId, fork.seq)
      copyBeats.run(runId, fork.runId, fork.seq)
      copyGenerations.run(runId, fork.runId, fork.at)
      frames.begun(frame, workflow)
      suspend.run(runId)
      open(request)
      for (const message of messages) claims.deliver(message)
      if (restores.intents.length === 0) return Either.right(undefined)
      return Either.map(claims.open({ runId, create: undefined, reopen: [], leaseMs: restores.leaseMs, now: frame.at }), () => {
        for (const intent of restores.intents) snapshots.putRevert({ ...intent, epoch: 1 })
      })
    },
  }
}
