/**
 * Transactional steps: SQL statements of a step in the database of its run, in one transaction with a row that records it. The
 * port is {@link Transact}, a part of `RunStore`; its SQL is built outside core.
 */
import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Codec, Json, SharedValue } from "./Codec.ts"
import { InvalidSetting, RunFenced, type StoreError } from "./Errors.ts"
import * as Later from "./Later.ts"

/** The attempt of a step that makes a transaction. */
export interface Attempt {
  readonly runId: string
  readonly nodeId: string
  /** Counted over the whole run. */
  readonly iteration: number
  readonly attempt: number
  /** Epoch of the claim that drives the run. */
  readonly epoch: number
  /** The same for all attempts of the step. */
  readonly idempotencyKey: string
  /** Codec of the step's output. */
  readonly codec: Codec<unknown, unknown>
  /** Tells whether its code has ended or was interrupted. A promise of it may still be running. */
  readonly isOver: () => boolean
  readonly transact: Transact
  /** Records the output that a transaction stored. It is the step's output if its code returns this value. */
  readonly settle: (settled: Settled) => void
}

/** An output that was stored with a transaction. */
export interface Settled {
  /** The value that the code of the step received. */
  readonly returned: unknown
  readonly output: Json | undefined
  readonly value: SharedValue
}

/** The key of the attempt in the context of a step. */
export const attemptKey: unique symbol = Symbol.for("@smithers/core/Transaction/attempt")

/** The context of a step, as far as transactions need it. */
export interface StepLike {
  readonly [attemptKey]?: Attempt | undefined
}

/** A row by column name. */
export interface NamedRow {
  readonly [column: string]: unknown
}

/** A prepared statement. With `isSafe` integers are bigints, otherwise numbers. */
export interface Query {
  readonly named: (values: ReadonlyArray<unknown>, isSafe: boolean) => ReadonlyArray<NamedRow>
  readonly listed: (values: ReadonlyArray<unknown>, isSafe: boolean) => ReadonlyArray<ReadonlyArray<unknown>>
}

/** An open transaction. Its methods throw the error of a statement. */
export interface Session {
  /** Prepares a statement. Throws if it is refused, which also rolls back the transaction. */
  readonly query: (sql: string) => Query
  /** Prepares a statement that sets a savepoint or rolls back to one. */
  readonly savepoint: (sql: string) => Query
}

/** The request of a transaction. */
export interface Request<A, E> {
  /** The step and the name of the transaction in it, recorded in a row; undefined outside of steps. */
  readonly of: { readonly attempt: Attempt; readonly name: string } | undefined
  /** Longest time the writer may be held, in milliseconds. */
  readonly limitMs: number
  /** Called exactly once, synchronously. Returns its value with the encoded form. */
  readonly body: (session: Session) => Either.Either<Done<A>, E>
}

/** The result of the code of a transaction. */
export interface Done<A> {
  readonly value: A
  readonly output: Json | undefined
}

/** The result of a transaction: made now, or stored by an earlier attempt. */
export type Transacted<A> =
  | { readonly _tag: "Made"; readonly value: A; readonly heldMs: number }
  | { readonly _tag: "Stored"; readonly output: Json | undefined }

/**
 * Runs code in a transaction of the store's only writer, which blocks all other writes meanwhile. The transaction and its row
 * are committed together. All of it is rolled back if the code fails, a statement is refused, or it exceeds the limit.
 */
export type Transact = <A, E>(request: Request<A, E>) => Effect.Effect<Transacted<A>, E | TransactionError | StoreError>

const stepFields = { runId: Schema.String, nodeId: Schema.String, iteration: Schema.Number }

/** The store has no SQL database. */
export class NoSqlStore extends Later.TaggedError<NoSqlStore>()("NoSqlStore", {}) {
  override get message(): string {
    return `The runs are kept in memory, without a database for a transaction. Provide Smithers.sqlite({ filename }), or in tests Smithers.sqlite({ filename: ":memory:" }), in place of Smithers.memory.`
  }
}

/** The argument is not the context of a step. */
export class NotInStep extends Later.TaggedError<NotInStep>()("NotInStep", {}) {
  override get message(): string {
    return "Sql.transaction was called without the context of a step: pass it the context of the step's code. Outside of steps use Sql.atomic."
  }
}

/** The code of a transaction is asynchronous, which would block the only writer of the database. All of it was rolled back. */
export class NotSynchronous extends Later.TaggedError<NotSynchronous>()("NotSynchronous", {}) {
  override get message(): string {
    return "The code of a transaction is asynchronous, which would block the only writer of the database: all of it was rolled back. Do slow work (promises, sleeps, requests) before it or in an earlier step, and pass it the result."
  }
}

/** A statement that is not allowed in a transaction. All of it was rolled back, even if its code continued. */
export class StatementRefused extends Later.TaggedError<StatementRefused>()("StatementRefused", {
  statement: Schema.String,
  reason: Schema.String,
}) {
  override get message(): string {
    return `This statement is not allowed in a transaction: ${this.reason}. All of the transaction was rolled back. (${this.statement})`
  }
}

/** The code of a transaction held the writer for too long. All of it was rolled back. */
export class TransactionTooLong extends Later.TaggedError<TransactionTooLong>()("TransactionTooLong", {
  heldMs: Schema.Number,
  limitMs: Schema.Number,
}) {
  override get message(): string {
    return `A transaction held the only writer of the database for ${Math.round(this.heldMs)} ms, and its limit is ${this.limitMs} ms: all of it was rolled back. Make it smaller, for example in several steps, or give it a longer "limit".`
  }
}

/** The database rolled back the transaction by itself, as `INSERT OR ROLLBACK`, `RAISE(ROLLBACK)` and some disk failures do. */
export class TransactionBroken extends Later.TaggedError<TransactionBroken>()("TransactionBroken", { detail: Schema.String }) {
  override get message(): string {
    return `A statement ended the transaction, and all of it was rolled back: ${this.detail}`
  }
}

/** The attempt has ended, or another one has replaced it. Nothing was written. */
export class StaleAttempt extends Later.TaggedError<StaleAttempt>()("StaleAttempt", { ...stepFields, attempt: Schema.Number }) {
  override get message(): string {
    return `Attempt ${this.attempt} of step "${this.nodeId}" of run "${this.runId}" has ended, by a timeout, an interruption or another attempt: its transaction was not made.`
  }
}

/** The attempt has made this transaction already. The second one did nothing. */
export class TransactionTaken extends Later.TaggedError<TransactionTaken>()("TransactionTaken", {
  ...stepFields,
  name: Schema.optional(Schema.String),
}) {
  override get message(): string {
    const which = this.name === undefined ? "its transaction" : `the transaction "${this.name}"`
    return `Step "${this.nodeId}" of run "${this.runId}" has made ${which} already in this attempt. Give each transaction of a step a "name" and an "output" of its own.`
  }
}

/** The errors of a transaction other than those of its code and of the store. */
export const TransactionError = Later.schema(() =>
  Schema.Union(
    NoSqlStore,
    NotInStep,
    NotSynchronous,
    StatementRefused,
    TransactionTooLong,
    TransactionBroken,
    StaleAttempt,
    TransactionTaken,
    RunFenced,
  ),
)
export type TransactionError = typeof TransactionError.Type

const Slip = Later.schema(() =>
  Schema.Union(NoSqlStore, NotInStep, NotSynchronous, StatementRefused, TransactionTaken, InvalidSetting),
)

/**
 * Tells whether an error is a mistake in the code of a transaction, or in the layers provided to it, which another attempt
 * would repeat.
 */
export const isOfCode = (error: unknown): boolean => Schema.is(Slip)(error)
