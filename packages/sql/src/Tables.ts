/**
 * The tables that a frame writes, as data: their keys and columns, in the order of the rows of `Rows`. Adapters build their own
 * statements from them.
 */
import * as Rows from "./Rows.ts"
import * as Turns from "./Turns.ts"

/** A table whose rows replace those with the same key. */
export interface Table {
  readonly name: string
  readonly key: ReadonlyArray<string>
  /** Columns after those of the key. */
  readonly columns: ReadonlyArray<string>
}

const node = ["run_id", "node_id", "iteration"] as const
const withoutKey = (columns: ReadonlyArray<string>, key: ReadonlyArray<string>): ReadonlyArray<string> =>
  columns.filter((column) => !key.includes(column))

/** Steps, waits, loops and boundaries: `Rows.nodeRow`. */
export const nodes: Table = { name: "smithers_nodes", key: node, columns: withoutKey(Rows.nodeColumns, node) }

/** Ended attempts of which the row of their node does not say all: `Rows.attemptRow`, then `Turns.row`. */
export const attempts: Table = {
  name: "smithers_attempt_rows",
  key: [...node, "attempt"],
  columns: [...Rows.attemptColumns, ...Turns.columns],
}

/** Heartbeats, written outside of frames. */
export const heartbeats: Table = {
  name: "smithers_heartbeats",
  key: [...node, "attempt", "seq"],
  columns: ["at_ms", "details"],
}

/** Latest waits: `Rows.waitRow`. */
export const waits: Table = { name: "smithers_waits", key: node, columns: Rows.waitColumns }

/** Replaced waits, as JSON. */
export const waitHistory: Table = { name: "smithers_wait_history", key: [...node, "seq"], columns: ["wait"] }

/** Replaced outputs, as JSON. */
export const outputHistory: Table = {
  name: "smithers_output_history",
  key: [...node, "seq"],
  columns: ["generation", "output_table", "output"],
}

/** Reads of nodes: `Reads.write`. */
export const reads: Table = { name: "smithers_reads", key: ["run_id", "seq"], columns: ["reads"] }

/** Generations of the code of a run. `files` is JSON. */
export const generations: Table = {
  name: "smithers_generations",
  key: ["run_id", "generation"],
  columns: ["hash", "files", "at_ms"],
}

/** Signals: `Rows.signalRow`. */
export const signals: Table = { name: "smithers_signals", key: ["run_id", "seq"], columns: withoutKey(Rows.signalColumns, ["seq"]) }

/** Columns of a typical finished step. */
export const finishedColumns = [
  ...["kind", "status", "attempt", "started_at", "attempted_at", "finished_at", "output_table", "finished_seq", "budget_after"],
]

/** Values of the other columns of a typical finished step. */
export const finishedOtherwise: ReadonlyArray<readonly [column: string, value: 0 | null]> = nodes.columns
  .filter((column) => !finishedColumns.includes(column))
  .map((column) => [column, column === "interruptions" || column === "generation" ? 0 : null])
