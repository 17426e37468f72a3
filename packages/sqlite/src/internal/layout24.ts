/**
 * The step to layout 24, in which runs can be forked, and approvals select: where runs come from, a mark on outputs that they have inherited, and the option that was selected.
 */
import { inheritedColumn } from "@smithers/sql/Columns"
import type { Connection } from "./connection.ts"
import { quote } from "./tables.ts"

export const sql = `
-- The run that a run was forked from, and the cut: its last frame and event that are history of the fork too.
ALTER TABLE smithers_runs ADD COLUMN forked_from TEXT;
ALTER TABLE smithers_runs ADD COLUMN forked_frame INTEGER;
ALTER TABLE smithers_runs ADD COLUMN forked_seq INTEGER;
ALTER TABLE smithers_runs ADD COLUMN fork TEXT; -- JSON {"at", "lineage", "ownsEffects"?}
-- The key of the option that an approval has selected.
ALTER TABLE smithers_waits ADD COLUMN selected TEXT;
CREATE INDEX smithers_runs_forks ON smithers_runs (forked_from) WHERE forked_from IS NOT NULL;
`

/** Adds the mark to tables of outputs that exist already. */
export const run = (connection: Connection): void => {
  for (const [name] of connection.prepare<[name: string]>("SELECT name FROM smithers_tables").values())
    connection.execute(`ALTER TABLE ${quote(name)} ADD COLUMN ${inheritedColumn} TEXT`)
}
