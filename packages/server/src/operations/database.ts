/**
 * Reads numbers about the store, and about the file that holds it.
 */
import { RunReader } from "@smithers/core/RunReader"
import * as Status from "@smithers/core/Status"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { CommandFailed } from "./Errors.ts"
import { define } from "./Operation.ts"

/** A database as its file has it now. */
export const DatabaseInfo = Schema.Struct({
  path: Schema.String,
  /** Version of its tables. */
  layout: Schema.Number,
  bytes: Schema.Number,
  /** Version of SQLite that reads it. */
  sqlite: Schema.String,
  runs: Schema.Number,
  /** Problems that SQLite or smithers has found; empty if there are none. */
  problems: Schema.Array(Schema.String),
})

/** Examines the database. The cost grows with its size. */
export class Database extends Context.Tag("@smithers/server/Database")<
  Database,
  { readonly check: Effect.Effect<typeof DatabaseInfo.Type, CommandFailed> }
>() {}

const Counts = Schema.Record({ key: Schema.String, value: Schema.Number })

export const countRuns = define({
  name: "count_runs",
  title: "Counts the runs by status and workflow, and the open requests to people.",
  scope: "read",
  input: Schema.Struct({}),
  output: Schema.Struct({
    /** Time of the counts, in epoch milliseconds. They are at most a second old. */
    at: Schema.Number,
    byStatus: Counts,
    byWorkflow: Schema.Record({ key: Schema.String, value: Counts }),
    waits: Counts,
    /** Runs that no process works on and that could continue now. */
    due: Schema.Number,
  }),
  run: () =>
    Effect.gen(function* () {
      const { at, runs, waits, due } = yield* (yield* RunReader).statistics
      const byStatus = Object.fromEntries(Status.ShownStatus.literals.map((status): [string, number] => [status, 0]))
      const byWorkflow = new Map<string, Record<string, number>>()
      for (const { workflow, status, count } of runs) {
        byStatus[status] = (byStatus[status] ?? 0) + count
        const own = byWorkflow.get(workflow) ?? {}
        own[status] = (own[status] ?? 0) + count
        byWorkflow.set(workflow, own)
      }
      return {
        ...{ at, byStatus, due },
        byWorkflow: Object.fromEntries(byWorkflow),
        waits: Object.fromEntries(waits.map(({ kind, count }) => [kind, count])),
      }
    }),
})

export const readDatabase = define({
  name: "read_database",
  title: "Examines the database: its file, layout and size, and what is wrong with it.",
  scope: "read",
  input: Schema.Struct({}),
  output: DatabaseInfo,
  run: () => Effect.flatMap(Database, ({ check }) => check),
})
