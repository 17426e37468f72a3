/**
 * The file of a store through `@effect/sql`: its output tables, read with the types of the steps that wrote them. It is what users import as
 * `smithers-orchestrator/sql`; nothing of the engine loads it.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { InvalidSetting, type StoreError } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import * as Settings from "@smithers/core/Settings"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { memory } from "./internal/connection.ts"
import * as Reader from "./internal/sqlReader.ts"

export { NoSuchOutput, type Row, type RowsOptions, row, rows, UnreadableRow } from "./internal/sqlRows.ts"

/** Which file is read. */
export interface ReaderConfig {
  /** Path of the file of a store. */
  readonly filename: string
  /** How long in total a statement waits for a database that others have locked; 0 does not wait. Default: 30 seconds. */
  readonly busyTimeout?: Duration.DurationInput
}

/**
 * A client that reads the file of a store, on a connection of its own: it never waits for the engine, nor the engine for it. It makes and changes
 * nothing; statements other than `SELECT`, `VALUES`, `WITH` and `EXPLAIN` fail with `SqlError`. Statements of `withTransaction` read one snapshot.
 * The layer fails with a `StoreError` where there is no store, or one that this version cannot read, and with `InvalidSetting` for `:memory:`, of
 * which there is one connection.
 */
export const reader = (config: ReaderConfig): Layer.Layer<SqlClient.SqlClient, StoreError | InvalidSetting> =>
  Layer.scoped(
    SqlClient.SqlClient,
    Effect.gen(function* () {
      const { filename } = config
      if (filename === memory) {
        const wanted = "the path of a file: a store in memory has one connection, the engine's"
        return yield* new InvalidSetting({ setting: "filename", given: JSON.stringify(filename), wanted })
      }
      const patienceMs = yield* Settings.duration("busyTimeout", config.busyTimeout, "30 seconds", Millis.zero)
      return yield* Reader.make({ filename, patienceMs })
    }),
  )
