/**
 * Runs code with a client of `@effect/sql` in a transaction of the engine.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Codec from "@smithers/core/Codec"
import { InvalidOutput, InvalidSetting, type StoreError } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
import * as Secrets from "@smithers/core/Secrets"
import * as Settings from "@smithers/core/Settings"
import * as Transaction from "@smithers/core/Transaction"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { runNow } from "./runNow.ts"
import * as Client from "./sqlClient.ts"

/** Options of a transaction. */
export interface TransactionOptions {
  /**
   * Maximum time to hold the write lock. If it is exceeded at the next statement, the transaction rolls back with
   * `TransactionTooLong`. A single statement cannot be stopped. Default: 1 second. Maximum: 10 seconds, a third of the time after
   * which another process takes over a silent run.
   */
  readonly limit?: Duration.DurationInput
}

/** Options of a transaction whose value is not the output of its step. */
export interface NamedOptions<S extends Codec.AnySchema> extends TransactionOptions {
  /** Name of the transaction, unique in its step. */
  readonly name: string
  /** Schema of its value. Must be synchronous. */
  readonly output: S
}

/** Errors of a transaction, apart from those of its code. */
export type Failure = Transaction.TransactionError | InvalidOutput | InvalidSetting | StoreError

const [defaultLimit, longestLimitMs] = ["1 second", 10_000] as const
/** Read once: each transaction without a limit of its own has it. */
const ordinaryLimit = Settings.duration("limit", undefined, defaultLimit)

/** Time in milliseconds after which a transaction is logged: all runs of the process and all writes to the file wait for it. */
const longMs = 100

/** Failure of a transaction's code. */
class Failed<E> {
  readonly cause: Cause.Cause<E>
  constructor(cause: Cause.Cause<E>) {
    this.cause = cause
  }
}

/** Client of all transactions. The connection of its statements is in the context of the caller. */
let shared: SqlClient.SqlClient | undefined
const client: Effect.Effect<SqlClient.SqlClient> = Effect.suspend(() => {
  if (shared !== undefined) return Effect.succeed(shared)
  const outside = new SqlError({ message: "The transaction of this client has ended: run statements only inside its code" })
  return Effect.tap(Client.make(Effect.fail(outside)), (made) =>
    Effect.sync(() => {
      shared = made
    }),
  )
})

/** Requirements of the code, without those that a transaction provides. */
export type Rest<R> = Exclude<R, SqlClient.SqlClient | SqlClient.TransactionConnection>

/** Encodes a value for storage. */
type Keep<A, B> = (value: A) => Either.Either<Transaction.Done<B>, InvalidOutput>

const limitOf = ({ limit }: TransactionOptions): Either.Either<Millis.Millis, InvalidSetting> =>
  limit === undefined
    ? ordinaryLimit
    : Either.filterOrLeft(
        Settings.duration("limit", limit, defaultLimit),
        (ms) => ms <= longestLimitMs,
        (ms) =>
          new InvalidSetting({
            setting: "limit",
            received: Millis.show(ms),
            expected: `at most ${longestLimitMs} ms, since it blocks all other writes`,
          }),
      )

/** Runs a transaction on a store, or returns the stored value of an earlier one. */
export const make = <A, E, R, B>(
  transact: Transaction.Transact,
  of: Transaction.Request<B, E>["of"],
  effect: Effect.Effect<A, E, R>,
  options: TransactionOptions,
  keep: Keep<A, B>,
): Effect.Effect<Transaction.Transacted<B>, E | Failure, Rest<R>> =>
  Effect.gen(function* () {
    const limitMs = yield* limitOf(options)
    const runtime = yield* Effect.runtime<Rest<R>>()
    const sql = yield* client
    const body = (session: Transaction.Session): Either.Either<Transaction.Done<B>, Failed<E> | Failure> => {
      const connection = Client.connection({ query: session.query, control: session.savepoint }, (run) =>
        Effect.suspend(() => {
          try {
            return Effect.succeed(run())
          } catch (thrown) {
            return Client.sqlError(thrown)
          }
        }),
      )
      const provided = Context.make(SqlClient.SqlClient, sql).pipe(Context.add(SqlClient.TransactionConnection, [connection, 0]))
      const since = performance.now()
      const heldMs = () => performance.now() - since
      const exit = runNow(runtime, Effect.provide(effect, provided), () => heldMs() > limitMs)
      if (exit === undefined) {
        const isLate = heldMs() > limitMs
        return Either.left(
          isLate ? new Transaction.TransactionTooLong({ heldMs: heldMs(), limitMs }) : new Transaction.NotSynchronous(),
        )
      }
      return Exit.isSuccess(exit) ? keep(exit.value) : Either.left(new Failed(exit.cause))
    }
    const done = yield* Effect.catchAll(
      transact({ of, limitMs, body }),
      (error): Effect.Effect<never, E | Failure> => (error instanceof Failed ? Effect.failCause(error.cause) : Effect.fail(error)),
    )
    if (done._tag === "Made" && done.heldMs > longMs) {
      const who = of === undefined ? "A transaction" : `A transaction of step "${of.attempt.nodeId}" of run "${of.attempt.runId}"`
      yield* Effect.logWarning(`${who} held the only writer of the database for ${Math.round(done.heldMs)} ms`)
    }
    return done
  })

/** Returns functions that encode the value of a step's transaction and decode it again. */
export const kept = <A>(codec: Codec.Codec<A, unknown>, nodeId: string, services: Context.Context<unknown>) => {
  const refuse = (issues: Codec.Issues) =>
    new InvalidOutput({ nodeId, issues, ...(Codec.isUnstorable(issues) ? { isFinal: true } : {}) })
  const restore = (output: Codec.Json | undefined) =>
    Either.map(Codec.decodeSharedNow(codec, output, services), (value): Kept<A> => ({ value, returned: value.give(), output }))
  return {
    accept: (value: unknown): Either.Either<Transaction.Done<Kept<A>>, InvalidOutput> =>
      Codec.encodeNow(codec, value, services).pipe(
        Either.mapLeft(refuse),
        Either.flatMap((output) => {
          const found = Secrets.problemIn(output)
          return found === undefined
            ? Either.mapLeft(restore(output), refuse)
            : Either.left(new InvalidOutput({ nodeId, issues: [found.problem], isFinal: true, secret: found.secret }))
        }),
        Either.map((stored) => ({ value: stored, output: stored.output })),
      ),
    restore: (output: Codec.Json | undefined) => Either.mapLeft(restore(output), refuse),
  }
}

/** A stored value, decoded for the code of its step. */
export interface Kept<A> extends Transaction.Settled {
  readonly returned: A
}
