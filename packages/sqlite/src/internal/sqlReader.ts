/**
 * A client of `@effect/sql` that reads the file of a store on a connection of its own.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { StoreError } from "@smithers/core/Errors"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Scope from "effect/Scope"
import * as Connection from "./connection.ts"
import * as Failures from "./failures.ts"
import * as Migrations from "./migrations.ts"
import * as Client from "./sqlClient.ts"
import * as Statements from "./statements.ts"

/** Statements by which `withTransaction` reads from one snapshot. */
const control = /^(BEGIN|COMMIT|ROLLBACK|(ROLLBACK TO )?SAVEPOINT effect_sql_\d+)$/

const open = (filename: string): Either.Either<Connection.Connection, StoreError> => {
  const connection = Connection.open(filename, "read")
  try {
    const checked = Migrations.check(connection, filename, "read")
    if (Either.isLeft(checked)) connection.close()
    return Either.map(checked, () => connection)
  } catch (thrown) {
    connection.close()
    throw thrown
  }
}

/** Opens a file for reading, in a scope. */
export const make = (patience: Failures.Patience): Effect.Effect<SqlClient.SqlClient, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { filename } = patience
    const held = yield* Effect.acquireRelease(
      Effect.map(
        Failures.retryWhileBusy("open", patience, () => open(filename)),
        (connection) => ({ connection }),
      ),
      ({ connection }) => Effect.sync(connection.close),
    )
    /** Returns the connection to the current file. */
    const current = (): Connection.Connection => {
      held.connection.ensureThere()
      if (held.connection.isStale() && !held.connection.isInTransaction()) {
        const opened = Either.getOrThrowWith(open(filename), (error) => error)
        held.connection.close()
        held.connection = opened
      }
      return held.connection
    }
    const statements: Client.Statements = {
      query: (sql) => {
        const statement = Statements.read(sql, "read")
        if (typeof statement === "string") throw new Error(statement)
        return statement.keyword === "EXPLAIN" ? current().queryOnce(sql) : current().query(sql)
      },
      control: (sql) => (control.test(sql) ? current().query(sql) : statements.query(sql)),
    }
    const attempt = <A>(body: () => A) => Failures.retried(patience.patienceMs, body, (thrown) => Client.sqlError(thrown))
    const connection = Client.connection(statements, attempt)
    // A transaction needs exclusive use of the connection.
    const turns = yield* Effect.makeSemaphore(1)
    const acquirer = turns.withPermits(1)(Effect.succeed(connection))
    const reserved = Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        yield* restore(turns.take(1))
        yield* Scope.addFinalizer(yield* Effect.scope, turns.release(1))
        return connection
      }),
    )
    return yield* Client.make(acquirer, reserved)
  })
