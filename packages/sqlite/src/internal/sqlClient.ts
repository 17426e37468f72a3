/**
 * A client of `@effect/sql` on a borrowed connection. Loaded only by the subpath that users import.
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlConnection from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as Sql from "@effect/sql/Statement"
import type { Query } from "@smithers/core/Transaction"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** Prepares statements on a connection. Errors it throws are those of the statement. */
export interface Statements {
  /** Prepares a statement, or rejects it. */
  readonly query: (sql: string) => Query
  /** Prepares a statement of `withTransaction`, or rejects it. */
  readonly control: (sql: string) => Query
}

/** Creates the error of a statement. */
export const sqlError = (cause: unknown): SqlError =>
  new SqlError({ cause, message: `Failed to execute statement: ${cause instanceof Error ? cause.message : String(cause)}` })

/** Rejects values that cannot be bound, and that `bun:sqlite` would bind as NULL or as several values. */
const check = (values: ReadonlyArray<unknown>): void => {
  for (const [index, value] of values.entries()) {
    const isPlain = typeof value !== "object" || value === null || ArrayBuffer.isView(value)
    if (isPlain && typeof value !== "function") continue
    const shown =
      value instanceof Date
        ? "a Date"
        : Array.isArray(value)
          ? "an array"
          : typeof value === "function"
            ? "a function"
            : "an object"
    throw new TypeError(`its value ${index + 1} is ${shown}: it must be text, a number, a bigint, a boolean, bytes or null`)
  }
}

/** Adapts a connection for clients. `attempt` runs a statement and fails with the error it throws. */
export const connection = (
  { query, control }: Statements,
  attempt: <A>(make: () => A) => Effect.Effect<A, SqlError>,
): SqlConnection.Connection => {
  const make = <A>(values: ReadonlyArray<unknown>, body: (isSafe: boolean) => A): Effect.Effect<A, SqlError> =>
    Effect.flatMap(SqlClient.SafeIntegers, (isSafe) =>
      attempt(() => {
        check(values)
        return body(isSafe)
      }),
    )
  const named = (prepare: typeof query, sql: string, values: ReadonlyArray<unknown>) =>
    make(values, (isSafe) => prepare(sql).named(values, isSafe))
  const execute: SqlConnection.Connection["execute"] = (sql, values, transform) => {
    const rows = named(query, sql, values)
    return transform === undefined ? rows : Effect.map(rows, transform)
  }
  return {
    execute,
    executeRaw: (sql, values) => named(query, sql, values),
    executeValues: (sql, values) => make(values, (isSafe) => query(sql).listed(values, isSafe)),
    executeUnprepared: (sql, values, transform) => {
      const rows = named(control, sql, values)
      return transform === undefined ? rows : Effect.map(rows, transform)
    },
    executeStream: (sql, values, transform) => Stream.fromIterableEffect(execute(sql, values, transform)),
  }
}

export const make = (
  acquirer: SqlConnection.Connection.Acquirer,
  transactionAcquirer: SqlConnection.Connection.Acquirer = acquirer,
): Effect.Effect<SqlClient.SqlClient> =>
  Effect.provide(
    SqlClient.make({
      acquirer,
      transactionAcquirer,
      compiler: Sql.makeCompilerSqlite(),
      spanAttributes: [["db.system.name", "sqlite"]],
    }),
    Reactivity.layer,
  )
