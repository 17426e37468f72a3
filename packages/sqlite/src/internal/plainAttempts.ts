/**
 * Attempts that the row of their node says: the latest of a finished step, if it has nothing of its own to tell, as most have not. Only
 * other attempts have rows. The view `smithers_attempts` shows both, and a trigger keeps an attempt before the row of its node stops
 * saying it.
 */

const node = ["run_id", "node_id", "iteration", "attempt"]
const times = ["status", "started_at", "finished_at"]
const others = [
  ...["retry_at", "reason", "is_cached", "error", "prompt_hash", "reply_hash", "model", "finish_reason", "input_tokens"],
  ...["output_tokens", "turns", "cached_from", "code_generation"],
]

/** Conditions on the row `of` of a node that says its latest attempt. */
const says = (of: string): string =>
  `${of}.kind = 'step' AND ${of}.status = 'finished' AND ${of}.attempt > 0
    AND ${of}.started_at IS NOT NULL AND ${of}.finished_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM smithers_attempt_rows a WHERE a.run_id = ${of}.run_id AND a.node_id = ${of}.node_id
      AND a.iteration = ${of}.iteration AND a.attempt = ${of}.attempt)`

/** The columns {@link node} and {@link times} of that attempt. */
const said = (of: string): string =>
  `${node.map((column) => `${of}.${column}`).join(", ")}, 'succeeded', CAST(coalesce(${of}.attempted_at, ${of}.started_at) AS INTEGER), ${of}.finished_at`

/** The step in which those rows went. Rows that are there already stay. */
export const sql = `
DROP VIEW smithers_turns;
ALTER TABLE smithers_attempts RENAME TO smithers_attempt_rows;

-- All attempts that have ended.
CREATE VIEW smithers_attempts AS
  SELECT ${[...node, ...times, ...others].join(", ")} FROM smithers_attempt_rows
  UNION ALL
  SELECT ${said("n")}, ${others.map(() => "NULL").join(", ")}
  FROM smithers_nodes n WHERE ${says("n")};

CREATE TRIGGER smithers_nodes_keep_attempt AFTER UPDATE ON smithers_nodes
WHEN ${says("OLD")}
  AND (NEW.status, NEW.attempt, coalesce(NEW.attempted_at, NEW.started_at), NEW.finished_at)
    IS NOT (OLD.status, OLD.attempt, coalesce(OLD.attempted_at, OLD.started_at), OLD.finished_at)
BEGIN
  INSERT INTO smithers_attempt_rows (${[...node, ...times].join(", ")}) VALUES (${said("OLD")});
END;

CREATE VIEW smithers_turns AS
  SELECT a.run_id, a.node_id, a.iteration, a.attempt, a.status, a.model, a.finish_reason, a.input_tokens, a.output_tokens,
    (SELECT content FROM smithers_texts WHERE hash = a.prompt_hash) AS prompt,
    (SELECT content FROM smithers_texts WHERE hash = a.reply_hash) AS reply
  FROM smithers_attempt_rows a WHERE a.turns IS NOT NULL;
`
