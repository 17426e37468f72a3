/**
 * The database of a store through `@effect/sql`: output tables, read with the types of the steps that wrote them, and transactions of steps. It is what
 * users import as `smithers-orchestrator/sql`; nothing of the engine loads it.
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

/** Makes transactions of steps. */
interface Transaction {
  /** One of several transactions of a step, whose value is not the output of the step. Gives the decoded value. */
  <S extends Codec.AnySchema, E, R>(
    step: StepLike,
    effect: Effect.Effect<Codec.Input<S>, E, R>,
    options: NamedOptions<S>,
  ): Effect.Effect<Codec.Output<S>, E | Failure, Rest<R> | Codec.Services<S>>
  /** The transaction of a step, whose value is the output of the step. */
  <A, E, R>(
    step: StepLike,
    effect: Effect.Effect<A, E, R>,
    options?: TransactionOptions & { readonly name?: never; readonly output?: never },
  ): Effect.Effect<A, E | Failure, Rest<R>>
}

/**
 * Runs code of a step in one transaction of the engine's database, with a `SqlClient` to read and write the user's tables. In the same transaction
 * the value is stored under the idempotency key of the step: an attempt after a crash, a timeout or a failure is given it, and runs nothing again.
 *
 * The value has to be what the output schema of the step accepts. It is given back as later steps receive it, the first time as after a crash; the step
 * should return it as it is. Transactions whose values are something else have a `name`, and an `output` schema.
 *
 * The code must not wait: `NotSynchronous`. Where it fails all is undone, and it fails with its own error. `withTransaction` inside undoes a part.
 * Statements that end the transaction, change the connection or write a table of the engine are refused (`StatementRefused`), and undo all of it too.
 * It fails with `StaleAttempt` or `RunFenced` where the attempt is over or the run is claimed by another process, with `TransactionTooLong` past its
 * limit, with `TransactionTaken` the second time in one attempt, and with `NoSqlStore` on a store in memory.
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
      const wanted = 'a text together with a schema as "output": a transaction that has neither gives the output of its step'
      return yield* new InvalidSetting({ setting: "name", given: JSON.stringify(name) ?? "undefined", wanted })
    }
    // Services of schemas are among those of the step: they are in the type of its workflow.
    const services = (yield* Effect.context<never>()) as Context.Context<unknown>
    const codec = output === undefined ? attempt.codec : Codec.makeUnknown(output)
    const kept = Transactions.kept(codec, attempt.nodeId, services)
    const of = { attempt, name: name ?? "" }
    const done = yield* Transactions.make(attempt.transact, of, effect, options, kept.accept)
    const stored = done._tag === "Made" ? done.value : yield* kept.restore(done.output)
    if (name === undefined) attempt.settle(stored)
    // It was decoded with the schema that the type of the overload comes from.
    return stored.given as never
  })

/**
 * Runs code in one transaction of the engine's database, outside of any step: to make tables, or to look at a store in memory. Nothing is stored with it,
 * so that it is made again where it is run again. Otherwise as {@link transaction}.
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
