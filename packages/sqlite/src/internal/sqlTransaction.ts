/**
 * Code with a client of `@effect/sql` in a transaction of the engine.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Codec from "@smithers/core/Codec"
import { InvalidOutput, InvalidSetting, type StoreError } from "@smithers/core/Errors"
import * as Millis from "@smithers/core/Millis"
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

/** How a transaction is made. */
export interface TransactionOptions {
  /**
   * How long it may hold the writer: where it has by its next statement, all of it is undone (`TransactionTooLong`). A single statement cannot be stopped.
   * Default: 1 second; at most 10 seconds, a third of the time after which another process takes a silent run over.
   */
  readonly limit?: Duration.DurationInput
}

/** A transaction whose value is not the output of its step. */
export interface NamedOptions<S extends Codec.AnySchema> extends TransactionOptions {
  /** Tells it from the other transactions of its step. */
  readonly name: string
  /** The schema of its value, a synchronous one. */
  readonly output: S
}

/** Why a transaction was not made, other than by its own code. */
export type Failure = Transaction.TransactionError | InvalidOutput | InvalidSetting | StoreError

const [defaultLimit, longestLimitMs] = ["1 second", 10_000] as const

/** A transaction that takes longer is worth a word in the log (ms): all runs of the process wait for it, and all writes to the file. */
const longMs = 100

/** How the code of a transaction ended otherwise than with a value. */
class Failed<E> {
  readonly cause: Cause.Cause<E>
  constructor(cause: Cause.Cause<E>) {
    this.cause = cause
  }
}

/** The one client of all transactions: what its statements are made on stands in the context of who makes them. */
let shared: SqlClient.SqlClient | undefined
const client: Effect.Effect<SqlClient.SqlClient> = Effect.suspend(() => {
  if (shared !== undefined) return Effect.succeed(shared)
  const outside = new SqlError({ message: "This client is of a transaction that is over: make its statements while its code runs" })
  return Effect.tap(Client.make(Effect.fail(outside)), (made) =>
    Effect.sync(() => {
      shared = made
    }),
  )
})

/** What a transaction leaves of the services that its code asks for. */
export type Rest<R> = Exclude<R, SqlClient.SqlClient | SqlClient.TransactionConnection>

/** What is done with a value before it is kept. */
type Keep<A, B> = (value: A) => Either.Either<Transaction.Done<B>, InvalidOutput>

const limitOf = ({ limit }: TransactionOptions): Either.Either<Millis.Millis, InvalidSetting> =>
  Either.filterOrLeft(
    Settings.duration("limit", limit, defaultLimit),
    (ms) => ms <= longestLimitMs,
    (ms) =>
      new InvalidSetting({
        setting: "limit",
        given: Millis.show(ms),
        wanted: `at most ${longestLimitMs} ms: nothing else is written meanwhile`,
      }),
  )

/** Makes a transaction on a store, or takes what one that was made before has left. */
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

/** What a transaction of a step keeps of its value, and how that is read back. */
export const kept = <A>(codec: Codec.Codec<A, unknown>, nodeId: string, services: Context.Context<unknown>) => {
  const refuse = (issues: Codec.Issues) =>
    new InvalidOutput({ nodeId, issues, ...(Codec.isUnstorable(issues) ? { isFinal: true } : {}) })
  const restore = (output: Codec.Json | undefined) =>
    Either.map(Codec.keepNow(codec, output, services), (value): Kept<A> => ({ value, given: value.give(), output }))
  return {
    accept: (value: unknown): Either.Either<Transaction.Done<Kept<A>>, InvalidOutput> =>
      Codec.acceptNow(codec, value, services).pipe(
        Either.flatMap(restore),
        Either.map((stored) => ({ value: stored, output: stored.output })),
        Either.mapLeft(refuse),
      ),
    restore: (output: Codec.Json | undefined) => Either.mapLeft(restore(output), refuse),
  }
}

/** A value that is stored, as it is given to the code of its step. */
export interface Kept<A> extends Transaction.Settled {
  readonly given: A
}
