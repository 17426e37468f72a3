/**
 * Access to the database of a store through `@effect/sql`: output tables, decoded with the types of their steps, and transactions
 * of steps. Users import it as `smithers-orchestrator/sql`; the engine does not load it.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Codec from "@smithers/core/Codec"
import { InvalidSetting, type StoreError } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import { RunStore } from "@smithers/core/RunStore"
import * as Settings from "@smithers/core/Settings"
import { attemptKey, NotInStep, type StepLike } from "@smithers/core/Transaction"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { memory } from "./internal/connection.ts"
import * as Reader from "./internal/sqlReader.ts"
import type { Failure, NamedOptions, Rest, TransactionOptions } from "./internal/sqlTransaction.ts"
import * as Transactions from "./internal/sqlTransaction.ts"

export {
  NoSqlStore,
  NotInStep,
  NotSynchronous,
  StaleAttempt,
  StatementRefused,
  TransactionBroken,
  TransactionError,
  TransactionTaken,
  TransactionTooLong,
} from "@smithers/core/Transaction"
export { NoSuchOutput, type Row, type RowsOptions, row, rows, UnreadableRow } from "./internal/sqlRows.ts"

/** Options of {@link reader}. */
export interface ReaderConfig {
  /** Path of the database file. */
  readonly filename: string
  /** Total time that a statement waits for a locked database; 0 does not wait. Default: 30 seconds. */
  readonly busyTimeout?: Duration.DurationInput
}

const readerNames: Settings.Names<ReaderConfig> = { filename: true, busyTimeout: true }

/**
 * Creates a client that reads the file of a store on a connection of its own, so that neither it nor the engine waits for the
 * other. It changes nothing: statements other than `SELECT`, `VALUES`, `WITH` and `EXPLAIN` fail with `SqlError`. Statements of one
 * `withTransaction` read one snapshot.
 *
 * The layer fails with a `StoreError` if there is no store or this version cannot read it, and with `InvalidSetting` for
 * `:memory:`, which has a single connection.
 */
export const reader = (config: ReaderConfig): Layer.Layer<SqlClient.SqlClient, StoreError | InvalidSetting> =>
  Layer.scoped(
    SqlClient.SqlClient,
    Effect.gen(function* () {
      yield* Settings.only("Sql.reader", config, readerNames)
      const expected = "the path of a file: a store in memory has only the engine's connection"
      const filename = yield* Settings.filled("filename", config?.filename, expected)
      if (filename === memory) {
        return yield* new InvalidSetting({ setting: "filename", received: JSON.stringify(filename), expected })
      }
      const patienceMs = yield* Settings.duration("busyTimeout", config.busyTimeout, "30 seconds", Millis.zero)
      return yield* Reader.make({ filename, patienceMs })
    }),
  )

/** Runs transactions of steps. */
interface Transaction {
  /** Runs one of several transactions of a step, whose value is not the output of the step. Returns the decoded value. */
  <S extends Codec.AnySchema, E, R>(
    step: StepLike,
    effect: Effect.Effect<Codec.Input<S>, E, R>,
    options: NamedOptions<S>,
  ): Effect.Effect<Codec.Output<S>, E | Failure, Rest<R> | Codec.Services<S>>
  /** Runs the transaction of a step, whose value is the output of the step. */
  <A, E, R>(
    step: StepLike,
    effect: Effect.Effect<A, E, R>,
    options?: TransactionOptions & { readonly name?: never; readonly output?: never },
  ): Effect.Effect<A, E | Failure, Rest<R>>
}

/**
 * Runs code of a step in one transaction of the engine's database, with a `SqlClient` to read and write the user's tables. The same
 * transaction stores the value under the idempotency key of the step. An attempt after a crash, a timeout or a failure returns the
 * stored value, and does not run the code again.
 *
 * The value must match the output schema of the step. It is returned decoded, as later steps receive it, and the step should return
 * it unchanged. Transactions with other values have a `name` and an `output` schema.
 *
 * The code must be synchronous, or it fails with `NotSynchronous`. A failure of the code rolls back the transaction, and is the error
 * of this effect. Use `withTransaction` inside to roll back a part. Statements that end the transaction, change the connection or
 * write a table of the engine fail with `StatementRefused`, and also roll back.
 *
 * Further errors: `StaleAttempt` if the attempt has ended, and `RunFenced` if another process has claimed the run.
 * `TransactionTooLong` past its limit, `TransactionTaken` for a second transaction in one attempt, and `NoSqlStore` on a store in
 * memory.
 *
 * @example
 * ```ts
 * $.step("pay", {
 *   output: Schema.Struct({ left: Schema.Number }),
 *   run: (step) =>
 *     Sql.transaction(
 *       step,
 *       Effect.gen(function* () {
 *         const sql = yield* SqlClient.SqlClient
 *         yield* sql`UPDATE accounts SET balance = balance - ${step.input.amount} WHERE id = ${step.input.from}`
 *         const [row] = yield* sql<{ readonly left: number }>`SELECT balance AS left FROM accounts WHERE id = ${step.input.from}`
 *         return { left: row?.left ?? 0 }
 *       }),
 *     ),
 * })
 * ```
 */
export const transaction: Transaction = <E, R>(
  step: StepLike,
  effect: Effect.Effect<unknown, E, R>,
  options: TransactionOptions & { readonly name?: string; readonly output?: Codec.AnySchema } = {},
) =>
  Effect.gen(function* () {
    const attempt = step?.[attemptKey]
    if (attempt === undefined) return yield* new NotInStep()
    const { name, output } = options
    if ((name === undefined) !== (output === undefined) || name === "") {
      const expected = 'a text together with a schema as "output": a transaction that has neither gives the output of its step'
      return yield* new InvalidSetting({ setting: "name", received: JSON.stringify(name) ?? "undefined", expected })
    }
    // Services of the schemas are requirements of the step, in the type of its workflow.
    const services = (yield* Effect.context<never>()) as Context.Context<unknown>
    const codec = output === undefined ? attempt.codec : Codec.makeUnknown(output)
    const kept = Transactions.kept(codec, attempt.nodeId, services)
    const of = { attempt, name: name ?? "" }
    const done = yield* Transactions.make(attempt.transact, of, effect, options, kept.accept)
    const stored = done._tag === "Made" ? done.value : yield* kept.restore(done.output)
    if (name === undefined) attempt.settle(stored)
    // It was decoded with the schema of the overload.
    return stored.returned as never
  })

/**
 * Runs code in one transaction of the engine's database, outside of any step: to create tables, or to read a store in memory. No
 * value is stored, so a repeated call runs the code again. Otherwise the same as {@link transaction}.
 */
export const atomic = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: TransactionOptions = {},
): Effect.Effect<A, E | Failure, Rest<R> | RunStore> =>
  Effect.gen(function* () {
    const { transact } = yield* RunStore
    const keep = (value: A) => Either.right({ value, output: undefined })
    const done = yield* Transactions.make<A, E, R, A>(transact, undefined, effect, options, keep)
    return done._tag === "Made" ? done.value : yield* Effect.dieMessage("a transaction outside of steps has no row")
  })
