/**
 * The layout of the generations of the code of runs.
 */

/** Part of layout 24. */
export const sql = `
-- The code of a run whose code is watched: 0 is the one that it began with.
CREATE TABLE smithers_generations (
  run_id TEXT NOT NULL,
  generation INTEGER NOT NULL,
  hash TEXT, -- SHA-256 of its files; NULL for code that was not watched
  files TEXT, -- JSON, paths
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (run_id, generation)
) STRICT, WITHOUT ROWID;
ALTER TABLE smithers_attempts ADD COLUMN code_generation INTEGER; -- NULL for the code that the run began with
`
