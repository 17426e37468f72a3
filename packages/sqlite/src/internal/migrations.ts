/**
 * The tables of the engine, as numbered, append-only steps. They run when a store is opened for writing, under the write lock of
 * the database, so a second process waits and then finds the work done. A step either expands the layout, so that processes of the
 * previous version continue, or raises the protocol, which shuts them out: each of their transactions reads it.
 *
 * The steps do not use the `Migrator` of `@effect/sql`, which takes tens of milliseconds to load at every start, and whose lock
 * fails where this one waits. The current layout is in a table of its own, since `user_version` belongs to the application that may
 * share the database.
 *
 * Related rows are adjacent: tables without row ids, ordered by run. Nothing is indexed twice, and a step without output costs less
 * than 500 bytes. All times are epoch milliseconds; columns with JSON are marked.
 */
import * as fs from "node:fs"
import { StoreInUse, StoreMissing, StoreTooNew, StoreTooOld } from "@smithers/core/Errors"
import * as Either from "effect/Either"
import type { Access, Connection } from "./connection.ts"
import { Superseded } from "./failures.ts"
import * as Generations from "./generations.ts"
import * as Layout21 from "./layout21.ts"
import * as Layout24 from "./layout24.ts"
import * as NewLayout from "./newLayout.ts"
import * as Owner from "./owner.ts"
import * as PlainAttempts from "./plainAttempts.ts"
import * as Published from "./published.ts"
import * as Schedules from "./schedules.ts"
import * as Scores from "./scores.ts"
import * as Slots from "./slots.ts"
import * as Snapshots from "./snapshots.ts"

const initial = `
-- The layout of this database, and the protocol of the processes that may write it.
CREATE TABLE smithers_store (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  layout INTEGER NOT NULL,
  protocol INTEGER NOT NULL
) STRICT;
CREATE TABLE smithers_migrations (
  id INTEGER PRIMARY KEY, -- the layout that was reached
  at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE smithers_runs (
  run_id TEXT PRIMARY KEY,
  workflow TEXT NOT NULL,
  version TEXT,
  status TEXT NOT NULL,
  epoch INTEGER NOT NULL, -- claims so far
  owner TEXT, -- host:pid:process:store, while it is claimed
  lease_until INTEGER,
  deaths INTEGER NOT NULL DEFAULT 0, -- claims in a row that were not given back, and of which nothing came
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL, -- when this row changed; events have times of their own
  finished_at INTEGER,
  paused_at INTEGER, -- where someone paused it
  tags TEXT NOT NULL, -- JSON
  source TEXT, -- where its code is, as its starter said it
  parent_run_id TEXT, -- the node that started it
  parent_node_id TEXT,
  parent_iteration INTEGER,
  is_attached INTEGER, -- the parent waits for it
  given TEXT, -- digest of what the caller gave as the input, where that is JSON
  cancel TEXT, -- JSON {"reason"?}, once cancellation was asked for
  failure TEXT, -- JSON
  stuck TEXT, -- JSON {"since", "tries", "again", "error"}: why it could not be resumed
  input TEXT, -- JSON
  output TEXT, -- JSON
  ending TEXT -- JSON {"from"?, "strayReads"?}: the rows that gave the output, and what was read in vain
) STRICT, WITHOUT ROWID;
-- The list, newest first, with all that it is filtered by: rows that are passed over need not be looked up.
CREATE INDEX smithers_runs_created ON smithers_runs (created_at, run_id, workflow, status, tags, parent_run_id);
-- Runs that someone works on, and runs that someone should work on.
CREATE INDEX smithers_runs_owned ON smithers_runs (owner, lease_until) WHERE owner IS NOT NULL;
CREATE INDEX smithers_runs_free ON smithers_runs (workflow) WHERE owner IS NULL AND status IN ('suspended', 'running');
CREATE INDEX smithers_runs_children ON smithers_runs (parent_run_id) WHERE parent_run_id IS NOT NULL;

-- One row for each step, wait, loop and boundary in each iteration: its record after the last frame that changed it.
CREATE TABLE smithers_nodes (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  kind TEXT NOT NULL, -- step, loop, boundary
  status TEXT NOT NULL,
  attempt INTEGER NOT NULL, -- the latest; 0 when it never ran
  started_at INTEGER, -- when it first began
  attempted_at INTEGER, -- when its latest attempt or wait began, where that is another time
  finished_at INTEGER,
  output_table TEXT, -- as named in smithers_outputs
  finished_seq INTEGER, -- number of the event with which a step finished
  budget_after INTEGER NOT NULL DEFAULT 0, -- failed attempts up to this number do not count against retries
  interruptions INTEGER NOT NULL DEFAULT 0, -- crashes in a row while it ran
  retry_at INTEGER,
  generation INTEGER NOT NULL DEFAULT 0, -- how often it was reset after it had finished
  is_soft INTEGER, -- the failure is tolerated
  base INTEGER, -- loops: iteration of the first pass
  passes INTEGER, -- loops: passes begun
  is_exhausted INTEGER, -- loops: 1 where it made all its passes without its until holding
  reads_seq INTEGER, -- the row of smithers_reads with what it has read
  error TEXT, -- JSON: of a failure without an attempt; any other stands with its attempt
  detail TEXT, -- JSON: what few records have
  PRIMARY KEY (run_id, node_id, iteration)
) STRICT, WITHOUT ROWID;
-- What a run that ends still waits for.
CREATE INDEX smithers_nodes_pending ON smithers_nodes (run_id) WHERE status IN ('waiting', 'retrying');
-- Steps that are tried again later, by when.
CREATE INDEX smithers_nodes_retrying ON smithers_nodes (retry_at) WHERE status = 'retrying';

-- Attempts that have ended. The one at work is in the row of its node.
CREATE TABLE smithers_attempts (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  status TEXT NOT NULL, -- succeeded, failed, interrupted
  started_at INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  retry_at INTEGER, -- when the next attempt is due
  reason TEXT, -- of an interruption: crash, shutdown, fail-fast, cancelled
  is_cached INTEGER, -- the output was taken over from an earlier run
  error TEXT, -- JSON
  prompt_hash TEXT, -- what the last agent of the attempt was asked, in smithers_texts
  reply_hash TEXT, -- its last reply, in smithers_texts
  model TEXT,
  finish_reason TEXT,
  input_tokens INTEGER, -- of all turns
  output_tokens INTEGER,
  turns TEXT, -- JSON: all turns, where the columns above do not say it all
  PRIMARY KEY (run_id, node_id, iteration, attempt)
) STRICT, WITHOUT ROWID;

-- Details of heartbeats, written beside frames. The last row of an attempt is its latest.
CREATE TABLE smithers_heartbeats (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  seq INTEGER NOT NULL, -- of the event that it came before
  at_ms INTEGER NOT NULL,
  details TEXT NOT NULL, -- JSON
  PRIMARY KEY (run_id, node_id, iteration, attempt, seq)
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

-- Frames that changed the plan, and those without events.
CREATE TABLE smithers_frames (
  run_id TEXT NOT NULL,
  frame INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  plan_hash TEXT, -- where the plan changed
  PRIMARY KEY (run_id, frame)
) STRICT, WITHOUT ROWID;

CREATE TABLE smithers_plans (
  hash TEXT PRIMARY KEY, -- SHA-256 of the plan
  content TEXT NOT NULL,
  base TEXT, -- hash of the plan that content is inserted into, otherwise content is the plan
  prefix INTEGER NOT NULL DEFAULT 0, -- characters of it before content
  suffix INTEGER NOT NULL DEFAULT 0, -- and after
  depth INTEGER NOT NULL DEFAULT 0, -- plans to read before this one
  is_moved INTEGER -- 1 where content says which lines of the base stand where: "from count", "+line"
) STRICT, WITHOUT ROWID;

-- Prompts and replies, once each.
CREATE TABLE smithers_texts (
  hash TEXT PRIMARY KEY, -- SHA-256 of the text
  content TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The latest wait of each node.
CREATE TABLE smithers_waits (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  kind TEXT NOT NULL, -- approval, human, signal, timer, subflow
  status TEXT NOT NULL, -- open, finished, skipped, failed, withdrawn
  since INTEGER NOT NULL,
  asked INTEGER NOT NULL, -- number of the event that asked
  times_asked INTEGER NOT NULL,
  deadline INTEGER, -- when a timer fires, or a wait is over otherwise
  name TEXT, -- of a signal; of a subflow the id of its run
  correlation TEXT,
  digest TEXT, -- of the request
  request TEXT, -- JSON: what people are shown
  approved INTEGER,
  note TEXT,
  decided_by TEXT,
  decided_at INTEGER,
  answers TEXT, -- JSON: given and not checked yet
  child TEXT, -- JSON: how the child run ended
  refusals INTEGER, -- answers to this asking that did not match
  refused TEXT, -- JSON: the issues of the last of them
  ended_at INTEGER,
  reason TEXT, -- why it was withdrawn: left-plan, given-up, superseded, reset
  is_kept INTEGER, -- 1 where it goes on when the run is resumed that it was given up with
  PRIMARY KEY (run_id, node_id, iteration)
) STRICT, WITHOUT ROWID;
-- What waits, for a person's list and for whoever wakes runs: only what is open.
CREATE INDEX smithers_waits_open ON smithers_waits (kind, since) WHERE status = 'open';
CREATE INDEX smithers_waits_due ON smithers_waits (deadline) WHERE status = 'open' AND deadline IS NOT NULL;

-- Waits that another wait of the same node has replaced.
CREATE TABLE smithers_wait_history (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  seq INTEGER NOT NULL, -- of the event that replaced it
  wait TEXT NOT NULL, -- JSON
  PRIMARY KEY (run_id, node_id, iteration, seq)
) STRICT, WITHOUT ROWID;

-- Outputs of steps that were reset after they had finished.
CREATE TABLE smithers_output_history (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  seq INTEGER NOT NULL, -- of the event that gave it
  generation INTEGER NOT NULL,
  output_table TEXT NOT NULL, -- as named in smithers_outputs
  output TEXT, -- JSON
  PRIMARY KEY (run_id, node_id, iteration, seq)
) STRICT, WITHOUT ROWID;

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
  refused_by TEXT, -- JSON: the waits that it does not fit, as {"key": "node/iteration", "issues"}
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- Rows of other nodes that a node has read, by the event that names them. A table with row ids, whose rows fill pages.
CREATE TABLE smithers_reads (
  run_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  reads TEXT NOT NULL, -- JSON: rows of other nodes, as ["0node/iteration"]; the first character is how many the one before has in common with it (0-9 a-z A-Z)
  PRIMARY KEY (run_id, seq)
) STRICT;

-- The id of a command is unique in its run: ids are texts that senders choose, and two runs may be sent the same.
CREATE TABLE smithers_inbox (
  seq INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL,
  id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  command TEXT NOT NULL, -- JSON
  frame INTEGER, -- that took care of it
  UNIQUE (run_id, id)
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
  view_name TEXT, -- of the rows that runs of this workflow have in a table that several nodes write
  PRIMARY KEY (workflow, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE smithers_tables (
  name TEXT PRIMARY KEY,
  workflow TEXT NOT NULL,
  is_shared INTEGER NOT NULL, -- holds the outputs of several steps
  layout TEXT NOT NULL -- JSON: what its columns hold
) STRICT, WITHOUT ROWID;

-- What agents were asked and replied, with the texts.
CREATE VIEW smithers_turns AS
  SELECT a.run_id, a.node_id, a.iteration, a.attempt, a.status, a.model, a.finish_reason, a.input_tokens, a.output_tokens,
    (SELECT content FROM smithers_texts WHERE hash = a.prompt_hash) AS prompt,
    (SELECT content FROM smithers_texts WHERE hash = a.reply_hash) AS reply
  FROM smithers_attempts a WHERE a.turns IS NOT NULL;
`

const transactions = `
-- Transactions that steps have made in this database, each by its idempotency key and its name in the step: they are not made again.
CREATE TABLE smithers_transactions (
  run_id TEXT NOT NULL,
  key TEXT NOT NULL,
  name TEXT NOT NULL, -- '' where its value is the output of the step
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  attempt INTEGER NOT NULL, -- that has made it
  at_ms INTEGER NOT NULL,
  output TEXT, -- JSON
  PRIMARY KEY (run_id, key, name)
) STRICT, WITHOUT ROWID;
`

const timeOfSignals = `
-- When a signal was sent. Of one that is older than this column it is not known, and it counts as sent before anything else.
ALTER TABLE smithers_signals ADD COLUMN at_ms INTEGER;
`

const conversations = `
-- Calls of agents by steps, each with all replies of its model.
CREATE TABLE smithers_conversations (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  conversation INTEGER NOT NULL, -- from 1 in each iteration of the step
  attempt INTEGER NOT NULL, -- that began it
  agent TEXT NOT NULL,
  status TEXT NOT NULL, -- open, finished, failed, superseded
  request_digest TEXT NOT NULL, -- of prompt, instructions, model and tools
  workspace TEXT, -- JSON: state of the workspace after the last write
  session TEXT, -- JSON {"id", "totals"?}: of an agent that keeps its conversation elsewhere
  failure TEXT, -- JSON
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  PRIMARY KEY (run_id, node_id, iteration, conversation)
) STRICT, WITHOUT ROWID;

-- Prompts, replies and results of conversations, in order.
CREATE TABLE smithers_transcript (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  attempt INTEGER NOT NULL, -- that wrote it
  at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL, -- prompt, reply, text, reasoning, tool-call, tool-result, error, note
  text_hash TEXT NOT NULL, -- in smithers_texts
  tool TEXT,
  call_id TEXT,
  model TEXT,
  input_tokens INTEGER,
  output_tokens INTEGER,
  PRIMARY KEY (run_id, node_id, iteration, conversation, seq)
) STRICT, WITHOUT ROWID;

-- The effect ledger: calls of tools, stored before they are made and once their outcome is known.
CREATE TABLE smithers_tool_calls (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  conversation INTEGER NOT NULL,
  ordinal INTEGER NOT NULL, -- of the reply that made it
  call_index INTEGER NOT NULL, -- among the calls of that reply
  call_id TEXT NOT NULL, -- as the provider gave it
  tool TEXT NOT NULL,
  is_read_only INTEGER NOT NULL,
  attempt INTEGER NOT NULL, -- that wrote it last
  status TEXT NOT NULL, -- started, finished, failed, unknown, asked, refused
  input_hash TEXT NOT NULL, -- in smithers_texts
  digest TEXT NOT NULL, -- of tool and arguments, to which an approval is bound
  output_hash TEXT, -- in smithers_texts
  snapshot TEXT, -- JSON: what the tool noted before the call
  seen TEXT, -- JSON: hashes of the files that the call has seen, by path
  decided_by TEXT,
  note TEXT,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  PRIMARY KEY (run_id, node_id, iteration, conversation, ordinal, call_index)
) STRICT, WITHOUT ROWID;

-- A wait that an attempt of the step asked for, and not its plan.
ALTER TABLE smithers_waits ADD COLUMN is_of_attempt INTEGER;
`

const charges = `
-- Use and cost of the calls of agents: of models and of tools.
CREATE TABLE smithers_charges (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  conversation INTEGER NOT NULL,
  attempt INTEGER NOT NULL, -- that made the call
  ordinal INTEGER NOT NULL, -- of the reply
  call_index INTEGER NOT NULL, -- of a tool call among those of the reply; -1 for a call of a model
  kind TEXT NOT NULL, -- model, tool
  status TEXT NOT NULL, -- reserved (in flight, or cut off), settled, failed
  agent TEXT NOT NULL,
  name TEXT, -- of the model or the tool
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  input_tokens INTEGER, -- with those of caches
  output_tokens INTEGER, -- with those of reasoning
  cached_input_tokens INTEGER,
  cache_write_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost REAL, -- in US dollars; NULL if the price is not known
  estimate TEXT NOT NULL, -- JSON: what was reserved
  budgets TEXT NOT NULL, -- JSON: keys of the budgets that it draws on
  PRIMARY KEY (run_id, node_id, iteration, conversation, attempt, ordinal, call_index)
) STRICT, WITHOUT ROWID;

-- Accounts of budgets. What is reserved belongs to calls in flight, or to calls that were cut off.
CREATE TABLE smithers_budgets (
  key TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  run_id TEXT, -- NULL for a budget of the store
  limits TEXT NOT NULL, -- JSON
  started_at INTEGER NOT NULL,
  spent TEXT NOT NULL, -- JSON
  reserved TEXT NOT NULL, -- JSON
  unpriced INTEGER NOT NULL, -- calls whose price is not known
  extensions TEXT NOT NULL -- JSON: what approvals allowed beyond the limits, by the digest of the request
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_budgets_run ON smithers_budgets (run_id) WHERE run_id IS NOT NULL;

-- Budgets that the calls of a run draw on besides those of its plan, as JSON.
ALTER TABLE smithers_runs ADD COLUMN budgets TEXT;
-- Number of runs above a run; NULL of one that is older than this column, and counts as 0.
ALTER TABLE smithers_runs ADD COLUMN depth INTEGER;
`

const deadlines = `
-- Time at which the run ends as failed unless it has finished before.
ALTER TABLE smithers_runs ADD COLUMN deadline INTEGER;
CREATE INDEX smithers_runs_deadline ON smithers_runs (deadline) WHERE deadline IS NOT NULL AND status IN ('waiting', 'paused');
`

/** A step from one layout to the next. Released steps never change. */
export interface Migration {
  /** Layout that it leads to. */
  readonly layout: number
  /**
   * Protocol of the rows. An expanding step keeps it: processes of the previous version continue. A contracting step, after which
   * they would read or write wrongly, raises it and shuts them out.
   */
  readonly protocol: number
  readonly sql: string
  /** Changes rows after that, in a database that has any. */
  readonly rewrite?: (connection: Connection) => void
}

/** All steps. Layouts before the first are unsupported. */
/** The run that an output was taken over from, and the cache of outputs for all steps of a store. */
const sharedCache = `
ALTER TABLE smithers_attempts ADD COLUMN cached_from TEXT; -- the run whose output was taken over
CREATE TABLE smithers_shared_cache (
  key_hash TEXT PRIMARY KEY, -- SHA-256 of the key
  workflow TEXT NOT NULL,
  node_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  output_table TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_shared_cache_run ON smithers_shared_cache (run_id, node_id, iteration);
`

/** Facts that outlive runs. Their full-text index is made with the first of them. */
const memory = `
CREATE TABLE smithers_memory (
  id INTEGER PRIMARY KEY, -- the row of the index
  namespace TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL, -- JSON
  version INTEGER NOT NULL, -- the number of writes
  at_ms INTEGER NOT NULL,
  expires_at INTEGER,
  written_by TEXT, -- the run that wrote it last
  node_id TEXT,
  run_id TEXT, -- the run that it is deleted with
  UNIQUE (namespace, key)
) STRICT;
CREATE INDEX smithers_memory_run ON smithers_memory (run_id) WHERE run_id IS NOT NULL;
`

/** Runs that go on as others, with a history of their own. */
const chains = `
ALTER TABLE smithers_runs ADD COLUMN continued_as TEXT; -- the run that it goes on as
ALTER TABLE smithers_runs ADD COLUMN chain TEXT; -- the first of those runs
ALTER TABLE smithers_runs ADD COLUMN chain_generation INTEGER; -- number of the run among them, from 1; NULL for the first
CREATE INDEX smithers_runs_chain ON smithers_runs (chain, chain_generation) WHERE chain IS NOT NULL;
`

const starts = "ALTER TABLE smithers_runs ADD COLUMN start_at INTEGER; -- time before which nothing of it begins"

export const migrations: ReadonlyArray<Migration> = [
  { layout: 17, protocol: 1, sql: initial },
  // A child run in a `finally` of its parent, which the cancellation of the parent does not cancel.
  { layout: 18, protocol: 1, sql: "ALTER TABLE smithers_runs ADD COLUMN is_final INTEGER" },
  { layout: 19, protocol: 1, sql: transactions },
  { layout: 20, protocol: 1, sql: timeOfSignals },
  // Columns and fields of JSON have other names, which processes of the version before do not know.
  { layout: 21, protocol: 2, sql: Layout21.sql, rewrite: Layout21.run },
  // Waits of a kind, and of an origin, that processes of the version before do not know.
  { layout: 22, protocol: 3, sql: conversations },
  { layout: 23, protocol: 3, sql: [sharedCache, charges, Slots.sql, memory, deadlines, Scores.sql].join("\n") },
  // Events that processes of the version before do not know, and records that they would compensate.
  {
    layout: 24,
    protocol: 4,
    sql: [Layout24.sql, Generations.sql, Snapshots.sql, Slots.rests].join("\n"),
    rewrite: Layout24.run,
  },
  { layout: 25, protocol: 4, sql: Schedules.sql },
  // An event and a status that processes of the version before do not know.
  { layout: 26, protocol: 5, sql: chains },
  // A column that no process of a released version knows, as those are of an older protocol.
  { layout: 27, protocol: 5, sql: starts },
  { layout: 28, protocol: 5, sql: Published.sql },
  // Attempts without rows, which processes of the version before do not see.
  { layout: 29, protocol: 6, sql: PlainAttempts.sql },
]

/** Layout and protocol of a database. */
interface Found {
  /** 0 if the database has no tables of the engine. */
  readonly layout: number
  readonly protocol: number
}

const hasTable = (connection: Connection, name: string): boolean =>
  connection.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").values(name).length > 0

const reached = (connection: Connection): Found => {
  if (hasTable(connection, "smithers_store")) {
    const [layout = 0, protocol = 0] =
      connection.prepare<[number, number]>("SELECT layout, protocol FROM smithers_store").values()[0] ?? []
    return { layout, protocol }
  }
  if (!hasTable(connection, "smithers_migrations")) return { layout: 0, protocol: 0 }
  // A layout that was never released.
  return {
    layout: connection.prepare<[number]>("SELECT coalesce(max(id), 0) FROM smithers_migrations").values()[0]?.[0] ?? 0,
    protocol: 0,
  }
}

const last = (steps: ReadonlyArray<Migration>): Found => steps.at(-1) ?? { layout: 0, protocol: 0 }

/**
 * Rejects a database that this version cannot use. For reading, also rejects one that still needs a migration; one without tables
 * of the engine is rejected unless it may be created. A newer layout with the same protocol is used as it is. Writes nothing.
 */
export const check = (
  connection: Connection,
  filename: string,
  access: Access,
  steps: ReadonlyArray<Migration> = migrations,
): Either.Either<void, StoreTooNew | StoreTooOld | StoreMissing> => {
  const [found, ours] = [reached(connection), last(steps)]
  const versions = { found: found.layout, supported: ours.layout }
  if (found.protocol > ours.protocol) return Either.left(new StoreTooNew(versions))
  if (found.layout === 0) {
    if (access === "create") return Either.right(undefined)
    const isEmpty = connection.prepare("SELECT 1 FROM sqlite_master LIMIT 1").values().length === 0
    return Either.left(new StoreMissing({ operation: access, detail: filename, isEmpty }))
  }
  const canMigrate = found.layout >= (steps[0]?.layout ?? 0)
  if (!canMigrate || (access === "read" && found.layout < ours.layout))
    return Either.left(new StoreTooOld({ ...versions, canMigrate }))
  return Either.right(undefined)
}

/** Returns the owners of active runs, each with its runs. */
const livingOwners = (
  connection: Connection,
  now: number,
): ReadonlyArray<{ readonly owner: string; readonly runIds: ReadonlyArray<string> }> => {
  const rows = connection
    .prepare<[runId: string, owner: string, leaseUntil: number | null]>(
      "SELECT run_id, owner, lease_until FROM smithers_runs WHERE owner IS NOT NULL ORDER BY run_id",
    )
    .values()
  const living = rows.filter(([, owner, leaseUntil]) => Owner.isWorking({ owner, leaseUntil }, now))
  return [...Map.groupBy(living, ([, owner]) => owner)].map(([owner, of]) => ({ owner, runIds: of.map(([runId]) => runId) }))
}

/** Copies a database beside itself before a migration. Returns the path of the copy. */
const backUp = (connection: Connection, layout: number): string | undefined => {
  const { file } = connection
  if (file === undefined) return undefined
  for (let count = 1; ; count++) {
    const copy = `${file}.layout-${layout}${count === 1 ? "" : `-${count}`}.bak`
    if (fs.existsSync(copy)) continue
    // Readable by its owner only, like the database. SQLite accepts an empty file.
    fs.closeSync(fs.openSync(copy, "wx", 0o600))
    connection.prepare("VACUUM INTO ?").run(copy)
    return copy
  }
}

/**
 * Migrates a database to the current layout. A database with runs is first copied to `<file>.layout-<number>.bak`. If the protocol
 * changes while processes of an older version work on runs, fails with `StoreInUse` and changes nothing. `now` is in epoch
 * milliseconds.
 */
export const run = (
  connection: Connection,
  now: number,
  steps: ReadonlyArray<Migration> = migrations,
): Either.Either<void, StoreInUse> => {
  const ours = last(steps)
  for (;;) {
    const found = reached(connection)
    if (found.layout >= ours.layout) return Either.right(undefined)
    const version = connection.dataVersion()
    const copy = found.layout === 0 ? undefined : backUp(connection, found.layout)
    const outcome = migrate(connection, now, steps, found, version)
    if (outcome !== "done" && copy !== undefined) fs.rmSync(copy)
    if (outcome === "done") return Either.right(undefined)
    if (outcome !== "changed") return Either.left(outcome)
  }
}

/** Applies the steps in one transaction. `changed`: another process has written since the copy. */
const migrate = (
  connection: Connection,
  now: number,
  steps: ReadonlyArray<Migration>,
  found: Found,
  version: number,
): "done" | "changed" | StoreInUse => {
  const ours = last(steps)
  let outcome: "done" | "changed" | StoreInUse = "done"
  // Of a new database nothing can be lost: it is made again.
  connection.transact(found.layout === 0 ? "normal" : "full", () => {
    if (connection.dataVersion() !== version || reached(connection).layout !== found.layout) {
      outcome = "changed"
      return
    }
    const owners = found.layout > 0 && found.protocol < ours.protocol ? livingOwners(connection, now) : []
    if (owners.length > 0) {
      outcome = new StoreInUse({ found: found.layout, supported: ours.layout, owners })
      return
    }
    // A new database gets at once what these steps would make of it.
    const isMade = found.layout === 0 && steps.some(({ layout }) => layout === NewLayout.layout)
    if (isMade) connection.execute(NewLayout.sql)
    for (const { layout, protocol, sql, rewrite } of steps) {
      if (layout <= found.layout) continue
      if (!isMade || layout > NewLayout.layout) connection.execute(sql)
      if (found.layout > 0) rewrite?.(connection)
      connection.prepare("INSERT OR REPLACE INTO smithers_store (id, layout, protocol) VALUES (1, ?, ?)").run(layout, protocol)
      connection.prepare("INSERT INTO smithers_migrations (id, at_ms) VALUES (?, ?)").run(layout, now)
    }
  })
  return outcome
}

/** Prevents writes to a database whose protocol a newer version has raised. */
export interface Guard {
  /** Protocol of this process. */
  readonly protocol: number
  /** Throws if the database now has another protocol, which would make any write wrong. */
  readonly check: () => void
}

export const makeGuard = (connection: Connection, steps: ReadonlyArray<Migration> = migrations): Guard => {
  const select = connection.prepare<[protocol: number, layout: number]>("SELECT protocol, layout FROM smithers_store")
  const ours = last(steps)
  const check = (): void => {
    const [protocol = 0, layout = 0] = select.values()[0] ?? []
    if (protocol !== ours.protocol) throw new Superseded(layout, ours.layout)
  }
  return { protocol: ours.protocol, check }
}
