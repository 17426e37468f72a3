/**
 * The tables of the engine, as numbered steps that are only ever added to. They run when a new store is opened, under the write
 * lock of the database: a second process waits for it and then finds the work done. Their number is the layout. Until the layout is
 * settled a database of an older one is refused, since events and statuses in it may mean something else by now.
 *
 * They are run here and not by the `Migrator` of `@effect/sql` because that takes tens of milliseconds to load, which every
 * start of a process would pay, and because its lock fails where this one waits. The number reached is kept in a table of its
 * own: `user_version` belongs to the application whose database this may also be.
 *
 * Rows that belong together stand together: tables without row ids, ordered by run. Nothing is indexed twice; a step that does
 * nothing costs less than 500 bytes. All times are epoch milliseconds; columns that hold JSON say so.
 */
import { StoreMissing, StoreTooNew, StoreTooOld } from "@smithers/core/Errors"
import * as Either from "effect/Either"
import type { Access, Connection } from "./connection.ts"

const initial = `
CREATE TABLE smithers_runs (
  run_id TEXT PRIMARY KEY,
  workflow TEXT NOT NULL,
  version TEXT,
  status TEXT NOT NULL, -- running, suspended, waiting, paused, finished, failed, cancelled
  epoch INTEGER NOT NULL, -- claims so far
  owner TEXT, -- host:pid:process:store, while it is claimed
  lease_until INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL, -- when this row changed; frames have times of their own
  finished_at INTEGER,
  tags TEXT NOT NULL, -- JSON
  cancel TEXT, -- JSON {"reason"?}, once cancellation was asked for
  failure TEXT, -- JSON
  input TEXT, -- JSON
  output TEXT -- JSON
) STRICT, WITHOUT ROWID;
-- The list, newest first, with all that it is filtered by: rows that are passed over need not be looked up.
CREATE INDEX smithers_runs_created ON smithers_runs (created_at, run_id, workflow, status, tags);

CREATE TABLE smithers_nodes (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  kind TEXT NOT NULL, -- step, loop
  status TEXT NOT NULL, -- running, retrying, interrupted, waiting, finished, skipped, failed
  attempt INTEGER NOT NULL, -- the latest; 0 when it never ran
  started_at INTEGER, -- of the first attempt
  attempted_at INTEGER, -- of the latest attempt, from the second on
  finished_at INTEGER,
  output_table TEXT, -- as named in smithers_outputs
  budget_after INTEGER NOT NULL DEFAULT 0, -- failed attempts up to this number no longer count against retries
  interruptions INTEGER NOT NULL DEFAULT 0, -- crashes in a row while it ran
  retry_at INTEGER,
  is_soft INTEGER, -- the failure is tolerated
  base INTEGER, -- loops: iteration of the first pass
  passes INTEGER, -- loops: passes begun
  error TEXT, -- JSON: of a failure without an attempt; any other stands with its attempt
  heartbeat TEXT, -- JSON
  PRIMARY KEY (run_id, node_id, iteration)
) STRICT, WITHOUT ROWID;

CREATE TABLE smithers_attempts (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  status TEXT NOT NULL, -- running, succeeded, failed, interrupted
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  retry_at INTEGER, -- when the next attempt is due
  reason TEXT, -- of an interruption: crash, shutdown, fail-fast, cancelled
  is_cached INTEGER, -- the output was taken over from an earlier run
  heartbeat_at INTEGER,
  heartbeat TEXT, -- JSON
  error TEXT, -- JSON
  PRIMARY KEY (run_id, node_id, iteration, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE smithers_events (
  run_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  frame INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  type TEXT NOT NULL,
  node_id TEXT,
  iteration INTEGER,
  attempt INTEGER,
  payload TEXT, -- JSON: the fields that have no column
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE smithers_frames (
  run_id TEXT NOT NULL,
  frame INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  plan_hash TEXT, -- where the plan changed
  PRIMARY KEY (run_id, frame)
) STRICT, WITHOUT ROWID;

CREATE TABLE smithers_plans (
  hash TEXT PRIMARY KEY, -- SHA-256 of the content
  content TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE smithers_inbox (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  run_id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  command TEXT NOT NULL, -- JSON
  frame INTEGER -- that took care of it
) STRICT;
CREATE INDEX smithers_inbox_pending ON smithers_inbox (run_id) WHERE frame IS NULL;

CREATE TABLE smithers_cache (
  workflow TEXT NOT NULL,
  node_id TEXT NOT NULL,
  key_hash TEXT NOT NULL, -- SHA-256 of the key
  run_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  output_table TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (workflow, node_id, key_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE smithers_outputs (
  workflow TEXT NOT NULL,
  name TEXT NOT NULL, -- of the output, as the workflow says it
  table_name TEXT NOT NULL,
  node_id TEXT, -- the only step that writes it
  PRIMARY KEY (workflow, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE smithers_tables (
  name TEXT PRIMARY KEY,
  workflow TEXT NOT NULL,
  is_shared INTEGER NOT NULL, -- holds the outputs of several steps
  layout TEXT NOT NULL -- JSON: what its columns hold
) STRICT, WITHOUT ROWID;
`

const turnsAndDifferences = `
ALTER TABLE smithers_attempts ADD COLUMN prompt TEXT; -- what the last agent of the attempt was asked
ALTER TABLE smithers_attempts ADD COLUMN reply TEXT; -- its last reply
ALTER TABLE smithers_attempts ADD COLUMN model TEXT;
ALTER TABLE smithers_attempts ADD COLUMN finish_reason TEXT;
ALTER TABLE smithers_attempts ADD COLUMN input_tokens INTEGER; -- of all turns
ALTER TABLE smithers_attempts ADD COLUMN output_tokens INTEGER;
ALTER TABLE smithers_attempts ADD COLUMN turns TEXT; -- JSON: all turns, where the columns above do not say it all

ALTER TABLE smithers_plans ADD COLUMN base TEXT; -- hash of the plan that content is inserted into, otherwise content is the plan
ALTER TABLE smithers_plans ADD COLUMN prefix INTEGER NOT NULL DEFAULT 0; -- characters of it before content
ALTER TABLE smithers_plans ADD COLUMN suffix INTEGER NOT NULL DEFAULT 0; -- and after
ALTER TABLE smithers_plans ADD COLUMN depth INTEGER NOT NULL DEFAULT 0; -- plans to read before this one
`

const waits = `
CREATE TABLE smithers_waits (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  kind TEXT NOT NULL, -- approval, human, signal, timer
  status TEXT NOT NULL, -- open, finished, skipped, failed
  since INTEGER NOT NULL,
  deadline INTEGER, -- when a timer fires, or a wait is over otherwise
  name TEXT, -- of a signal
  correlation TEXT,
  digest TEXT, -- of the request
  request TEXT, -- JSON: what people are shown
  approved INTEGER,
  note TEXT,
  decided_by TEXT,
  decided_at INTEGER,
  answers TEXT, -- JSON: given and not checked yet
  ended_at INTEGER,
  PRIMARY KEY (run_id, node_id, iteration)
) STRICT, WITHOUT ROWID;
-- What waits, for a person's list and for whoever wakes runs: only what is open.
CREATE INDEX smithers_waits_open ON smithers_waits (kind, since) WHERE status = 'open';
CREATE INDEX smithers_waits_due ON smithers_waits (deadline) WHERE status = 'open' AND deadline IS NOT NULL;

-- Runs that someone works on, and runs that someone should work on.
CREATE INDEX smithers_runs_owned ON smithers_runs (owner, lease_until) WHERE owner IS NOT NULL;
CREATE INDEX smithers_runs_free ON smithers_runs (workflow) WHERE owner IS NULL AND status IN ('suspended', 'running');

CREATE TABLE smithers_signals (
  run_id TEXT NOT NULL,
  seq INTEGER NOT NULL, -- of the event that received it
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  correlation TEXT,
  payload TEXT, -- JSON
  status TEXT NOT NULL, -- kept, taken
  node_id TEXT, -- that took it
  iteration INTEGER,
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;
`

const boundariesAndChildren = `
ALTER TABLE smithers_runs ADD COLUMN source TEXT; -- where its code is, as its starter said it
ALTER TABLE smithers_runs ADD COLUMN paused_at INTEGER; -- where someone paused it
ALTER TABLE smithers_runs ADD COLUMN parent_run_id TEXT; -- the node that started it
ALTER TABLE smithers_runs ADD COLUMN parent_node_id TEXT;
ALTER TABLE smithers_runs ADD COLUMN parent_iteration INTEGER;
ALTER TABLE smithers_runs ADD COLUMN is_attached INTEGER; -- the parent waits for it
CREATE INDEX smithers_runs_children ON smithers_runs (parent_run_id) WHERE parent_run_id IS NOT NULL;

-- kind may be boundary (a saga, a try), and status then also halted, caught, compensated
ALTER TABLE smithers_nodes ADD COLUMN finished_seq INTEGER; -- number of the event with which a step finished
ALTER TABLE smithers_nodes ADD COLUMN approved TEXT; -- digest of what was approved, where a step needs that to begin
ALTER TABLE smithers_nodes ADD COLUMN generation INTEGER NOT NULL DEFAULT 0; -- how often it was begun anew after it had finished
ALTER TABLE smithers_nodes ADD COLUMN cause TEXT; -- JSON: what a boundary was halted by
ALTER TABLE smithers_nodes ADD COLUMN is_caught INTEGER; -- the cause ends there
ALTER TABLE smithers_nodes ADD COLUMN caught TEXT; -- JSON: what it caught, where its catch was then left by another cause

-- kind may be subflow, name is then the id of the child run
ALTER TABLE smithers_waits ADD COLUMN child TEXT; -- JSON: how the child run ended
`

const readsAndRefusals = `
ALTER TABLE smithers_nodes ADD COLUMN reads TEXT; -- JSON: rows of other nodes that it has read, as ["node/iteration"]
ALTER TABLE smithers_signals ADD COLUMN refused_by TEXT; -- JSON: the waits that it does not fit, as {"key": "node/iteration", "issues"}
`

const commandsPerRun = `
-- The id of a command is unique in its run: ids are texts that senders choose, and two runs may be sent the same.
CREATE TABLE smithers_commands (
  seq INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL,
  id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  command TEXT NOT NULL, -- JSON
  frame INTEGER, -- that took care of it
  UNIQUE (run_id, id)
) STRICT;
INSERT INTO smithers_commands SELECT seq, run_id, id, at_ms, command, frame FROM smithers_inbox;
DROP TABLE smithers_inbox;
ALTER TABLE smithers_commands RENAME TO smithers_inbox;
CREATE INDEX smithers_inbox_pending ON smithers_inbox (run_id) WHERE frame IS NULL;
`

const exhaustion = `
ALTER TABLE smithers_nodes ADD COLUMN is_exhausted INTEGER; -- loops: 1 where it made all its passes without its until holding
`

// status of nodes may be withdrawn and superseded, that of waits withdrawn
const withdrawals = `
ALTER TABLE smithers_nodes ADD COLUMN is_last INTEGER; -- 1 for a halted boundary whose finally was given up, too
ALTER TABLE smithers_waits ADD COLUMN reason TEXT; -- why it was withdrawn: left-plan, given-up, superseded, reset
ALTER TABLE smithers_waits ADD COLUMN is_kept INTEGER; -- 1 where it goes on when the run is resumed that it was given up with
ALTER TABLE smithers_waits ADD COLUMN due INTEGER; -- its deadline, of one that is kept
-- What a run that ends still waits for.
CREATE INDEX smithers_nodes_pending ON smithers_nodes (run_id) WHERE status IN ('waiting', 'retrying');
`

const mountings = `
ALTER TABLE smithers_nodes ADD COLUMN mounting TEXT; -- JSON: what the current pass of a loop consists of, where that has changed
`

const givenInputs = `
ALTER TABLE smithers_runs ADD COLUMN given TEXT; -- digest of what the caller gave as the input, where that is JSON
`

const leftovers = `
ALTER TABLE smithers_nodes ADD COLUMN uncompensated TEXT; -- JSON: what its child run, and those below, could not undo
`

const supervision = `
ALTER TABLE smithers_runs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0; -- claims in a row that were not given back, and of which nothing came
ALTER TABLE smithers_runs ADD COLUMN stuck TEXT; -- JSON {"since", "tries", "again", "error"}: why it could not be resumed
`

const askings = `
ALTER TABLE smithers_waits ADD COLUMN asked INTEGER NOT NULL DEFAULT 0; -- number of the event that asked last
ALTER TABLE smithers_waits ADD COLUMN times_asked INTEGER NOT NULL DEFAULT 1;
ALTER TABLE smithers_waits ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0; -- answers to this asking that did not match
ALTER TABLE smithers_waits ADD COLUMN refused TEXT; -- JSON: what was wrong with the last of them
`

const retries = `
-- Steps that are tried again later, by when.
CREATE INDEX smithers_nodes_retrying ON smithers_nodes (retry_at) WHERE status = 'retrying';
`

const views = `
ALTER TABLE smithers_outputs ADD COLUMN view_name TEXT; -- of the rows that runs of this workflow have in a table that several nodes write
-- With what tells runs that others have started.
DROP INDEX smithers_runs_created;
CREATE INDEX smithers_runs_created ON smithers_runs (created_at, run_id, workflow, status, tags, parent_run_id);
`

const readLists = `
-- What a node has read. In a table of its own, whose rows fill pages: in that of the nodes a list would be put on pages of its own, which it leaves mostly empty.
CREATE TABLE smithers_reads (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  reads TEXT NOT NULL, -- JSON: rows of other nodes, as ["0node/iteration"]; the first character is how many the one before has in common with it (0-9 a-z A-Z)
  PRIMARY KEY (run_id, node_id, iteration)
) STRICT;
ALTER TABLE smithers_nodes DROP COLUMN reads;

ALTER TABLE smithers_plans ADD COLUMN is_moved INTEGER; -- 1 where content says which lines of the base stand where: "from count", "+line"
`

const migrations: ReadonlyArray<string> = [
  initial,
  turnsAndDifferences,
  waits,
  boundariesAndChildren,
  readsAndRefusals,
  commandsPerRun,
  exhaustion,
  withdrawals,
  mountings,
  givenInputs,
  leftovers,
  supervision,
  askings,
  retries,
  views,
  readLists,
]

/** The number of migrations that a database has seen; 0 for one that holds nothing of ours. */
const reached = (connection: Connection): number => {
  const isOurs = connection.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'smithers_migrations'")
  if (isOurs.values().length === 0) return 0
  return connection.prepare<[number]>("SELECT coalesce(max(id), 0) FROM smithers_migrations").values()[0]?.[0] ?? 0
}

/** Refuses a database of another layout, newer or older, and one that holds nothing of ours, unless it may be made. Writes nothing. */
export const check = (
  connection: Connection,
  filename: string,
  access: Access,
): Either.Either<void, StoreTooNew | StoreTooOld | StoreMissing> => {
  const found = reached(connection)
  const supported = migrations.length
  if (found > supported) return Either.left(new StoreTooNew({ found, supported }))
  if (found === 0 && access !== "create") {
    const isEmpty = connection.prepare("SELECT 1 FROM sqlite_master LIMIT 1").values().length === 0
    return Either.left(new StoreMissing({ operation: access, detail: filename, isEmpty }))
  }
  return found > 0 && found < supported ? Either.left(new StoreTooOld({ found, supported })) : Either.right(undefined)
}

/** Brings a database up to date. `now` is epoch milliseconds. */
export const run = (connection: Connection, now: number): void => {
  if (reached(connection) === migrations.length) return
  connection.transact("full", () => {
    connection.execute("CREATE TABLE IF NOT EXISTS smithers_migrations (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT")
    const note = connection.prepare("INSERT INTO smithers_migrations (id, at_ms) VALUES (?, ?)")
    for (let id = reached(connection) + 1; id <= migrations.length; id++) {
      connection.execute(migrations[id - 1] as string)
      note.run(id, now)
    }
  })
}
