/**
 * The tables of a new database, which is made at once: all steps of the migrations, one after another, would take several times as
 * long. Written by `test/sqlite/fixtures/newLayout.ts`.
 */

/** Layout of a new database. */
export const layout = 29

export const sql = `
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
  crashes INTEGER NOT NULL DEFAULT 0, -- claims in a row that were not given back, and of which nothing came
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
  input_digest TEXT, -- digest of what the caller gave as the input, where that is JSON
  cancel TEXT, -- JSON {"reason"?}, once cancellation was asked for
  failure TEXT, -- JSON
  stuck TEXT, -- JSON {"since", "tries", "again", "error"}: why it could not be resumed
  input TEXT, -- JSON
  output TEXT, -- JSON
  ending TEXT -- JSON {"from"?, "strayReads"?}: the rows that gave the output, and what was read in vain
, is_final INTEGER, budgets TEXT, depth INTEGER, deadline INTEGER, forked_from TEXT, forked_frame INTEGER, forked_seq INTEGER, fork TEXT, continued_as TEXT, chain TEXT, chain_generation INTEGER, start_at INTEGER) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_runs_created ON smithers_runs (created_at, run_id, workflow, status, tags, parent_run_id);
CREATE INDEX smithers_runs_owned ON smithers_runs (owner, lease_until) WHERE owner IS NOT NULL;
CREATE INDEX smithers_runs_free ON smithers_runs (workflow) WHERE owner IS NULL AND status IN ('suspended', 'running');
CREATE INDEX smithers_runs_children ON smithers_runs (parent_run_id) WHERE parent_run_id IS NOT NULL;
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
CREATE INDEX smithers_nodes_pending ON smithers_nodes (run_id) WHERE status IN ('waiting', 'retrying');
CREATE INDEX smithers_nodes_retrying ON smithers_nodes (retry_at) WHERE status = 'retrying';
CREATE TABLE "smithers_attempt_rows" (
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
  turns TEXT, cached_from TEXT, code_generation INTEGER, -- JSON: all turns, where the columns above do not say it all
  PRIMARY KEY (run_id, node_id, iteration, attempt)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE smithers_texts (
  hash TEXT PRIMARY KEY, -- SHA-256 of the text
  content TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE smithers_waits (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  kind TEXT NOT NULL, -- approval, human, signal, timer, subflow
  status TEXT NOT NULL, -- open, finished, skipped, failed, withdrawn
  since INTEGER NOT NULL,
  request_seq INTEGER NOT NULL, -- number of the event that asked
  request_count INTEGER NOT NULL,
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
  is_kept INTEGER, is_of_attempt INTEGER, selected TEXT, -- 1 where it goes on when the run is resumed that it was given up with
  PRIMARY KEY (run_id, node_id, iteration)
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_waits_open ON smithers_waits (kind, since) WHERE status = 'open';
CREATE INDEX smithers_waits_due ON smithers_waits (deadline) WHERE status = 'open' AND deadline IS NOT NULL;
CREATE TABLE smithers_wait_history (
  run_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  seq INTEGER NOT NULL, -- of the event that replaced it
  wait TEXT NOT NULL, -- JSON
  PRIMARY KEY (run_id, node_id, iteration, seq)
) STRICT, WITHOUT ROWID;
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
  refused_by TEXT, at_ms INTEGER, -- JSON: the waits that it does not fit, as {"key": "node/iteration", "issues"}
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE smithers_reads (
  run_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  reads TEXT NOT NULL, -- JSON: rows of other nodes, as ["0node/iteration"]; the first character is how many the one before has in common with it (0-9 a-z A-Z)
  PRIMARY KEY (run_id, seq)
) STRICT;
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
CREATE TABLE smithers_limits (
  name TEXT PRIMARY KEY,
  settings TEXT NOT NULL, -- JSON {"concurrency"?, "perSecond"?, "perMinute"?, "perHour"?}
  configured_at INTEGER NOT NULL,
  last_place INTEGER NOT NULL DEFAULT 0 -- the last place that was given
) STRICT, WITHOUT ROWID;
CREATE TABLE smithers_slots (
  name TEXT NOT NULL,
  place INTEGER NOT NULL,
  key TEXT NOT NULL, -- whose slots; empty where all share them
  status TEXT NOT NULL, -- waiting, held, spent
  run_id TEXT NOT NULL,
  epoch INTEGER NOT NULL, -- of the claim that it belongs to
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  since INTEGER NOT NULL,
  granted_at INTEGER, offered_at INTEGER, owner TEXT,
  PRIMARY KEY (name, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_slots_queue ON smithers_slots (name, key, status, place);
CREATE INDEX smithers_slots_granted ON smithers_slots (name, key, granted_at) WHERE granted_at IS NOT NULL;
CREATE INDEX smithers_slots_spent ON smithers_slots (granted_at) WHERE status = 'spent';
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
CREATE INDEX smithers_runs_deadline ON smithers_runs (deadline) WHERE deadline IS NOT NULL AND status IN ('waiting', 'paused');
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
CREATE INDEX smithers_runs_forks ON smithers_runs (forked_from) WHERE forked_from IS NOT NULL;
CREATE TABLE smithers_generations (
  run_id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  hash TEXT, -- SHA-256 of its files; NULL for code that was not watched
  files TEXT, -- JSON, paths
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (run_id, generation)
) STRICT, WITHOUT ROWID;
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
CREATE INDEX smithers_slots_run ON smithers_slots (run_id) WHERE status <> 'spent';
CREATE TABLE smithers_schedules (
  schedule_id TEXT PRIMARY KEY,
  workflow TEXT NOT NULL,
  source TEXT, -- where the code of its runs is
  input TEXT, -- JSON
  tags TEXT NOT NULL, -- JSON
  cron TEXT NOT NULL,
  tz TEXT NOT NULL,
  overlap TEXT NOT NULL, -- skip, queue, cancel-other
  catch_up_ms INTEGER NOT NULL,
  jitter_ms INTEGER NOT NULL,
  is_paused INTEGER, -- 1 while it is paused
  created_at INTEGER NOT NULL,
  revision INTEGER NOT NULL, -- counts writes
  tick_at INTEGER, -- the next tick; NULL while it is paused
  due_at INTEGER, -- the same with its jitter
  decided_at INTEGER NOT NULL, -- time of the last write
  last_run TEXT, -- the run of the last tick
  queued TEXT, -- JSON: ticks that wait for the end of that run; NULL if there are none
  error TEXT -- JSON {"at", "name", "message"}: why the last tick failed
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_schedules_due ON smithers_schedules (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX smithers_schedules_decided ON smithers_schedules (decided_at) WHERE due_at IS NOT NULL;
CREATE INDEX smithers_schedules_queued ON smithers_schedules (last_run) WHERE queued IS NOT NULL;
CREATE TABLE smithers_schedule_ticks (
  schedule_id TEXT NOT NULL,
  tick_at INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  outcome TEXT NOT NULL, -- started, queued, skipped, missed, refused
  started_run TEXT,
  detail TEXT,
  PRIMARY KEY (schedule_id, tick_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_runs_chain ON smithers_runs (chain, chain_generation) WHERE chain IS NOT NULL;
CREATE TABLE smithers_published (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  correlation TEXT,
  payload TEXT, -- JSON; NULL if it has none
  at_ms INTEGER NOT NULL,
  kept_until INTEGER NOT NULL, -- time until which a wait that opens takes it, if no run has taken it
  is_taken INTEGER -- 1 once a run has taken it
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_published_kept ON smithers_published (kept_until) WHERE is_taken IS NULL;
CREATE TABLE smithers_published_runs (
  id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (id, run_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_waits_signals ON smithers_waits (name, correlation, since) WHERE status = 'open' AND kind = 'signal';
CREATE VIEW smithers_attempts AS
  SELECT run_id, node_id, iteration, attempt, status, started_at, finished_at, retry_at, reason, is_cached, error, prompt_hash, reply_hash, model, finish_reason, input_tokens, output_tokens, turns, cached_from, code_generation FROM smithers_attempt_rows
  UNION ALL
  SELECT n.run_id, n.node_id, n.iteration, n.attempt, 'succeeded', CAST(coalesce(n.attempted_at, n.started_at) AS INTEGER), n.finished_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
  FROM smithers_nodes n WHERE n.kind = 'step' AND n.status = 'finished' AND n.attempt > 0
    AND n.started_at IS NOT NULL AND n.finished_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM smithers_attempt_rows a WHERE a.run_id = n.run_id AND a.node_id = n.node_id
      AND a.iteration = n.iteration AND a.attempt = n.attempt);
CREATE TRIGGER smithers_nodes_keep_attempt AFTER UPDATE ON smithers_nodes
WHEN OLD.kind = 'step' AND OLD.status = 'finished' AND OLD.attempt > 0
    AND OLD.started_at IS NOT NULL AND OLD.finished_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM smithers_attempt_rows a WHERE a.run_id = OLD.run_id AND a.node_id = OLD.node_id
      AND a.iteration = OLD.iteration AND a.attempt = OLD.attempt)
  AND (NEW.status, NEW.attempt, coalesce(NEW.attempted_at, NEW.started_at), NEW.finished_at)
    IS NOT (OLD.status, OLD.attempt, coalesce(OLD.attempted_at, OLD.started_at), OLD.finished_at)
BEGIN
  INSERT INTO smithers_attempt_rows (run_id, node_id, iteration, attempt, status, started_at, finished_at) VALUES (OLD.run_id, OLD.node_id, OLD.iteration, OLD.attempt, 'succeeded', CAST(coalesce(OLD.attempted_at, OLD.started_at) AS INTEGER), OLD.finished_at);
END;
CREATE VIEW smithers_turns AS
  SELECT a.run_id, a.node_id, a.iteration, a.attempt, a.status, a.model, a.finish_reason, a.input_tokens, a.output_tokens,
    (SELECT content FROM smithers_texts WHERE hash = a.prompt_hash) AS prompt,
    (SELECT content FROM smithers_texts WHERE hash = a.reply_hash) AS reply
  FROM smithers_attempt_rows a WHERE a.turns IS NOT NULL;
`
