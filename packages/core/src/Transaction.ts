/**
 * Transactional steps: what a step does in the database of its run, in one transaction with a row that says that it was done. The port is
 * {@link Transact}, a part of `RunStore`; who makes statements of it stands outside of core.
 */
import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Codec, Json, Kept } from "./Codec.ts"
import { InvalidSetting, RunFenced, type StoreError } from "./Errors.ts"

/** The attempt of a step that makes a transaction. */
export interface Attempt {
  readonly runId: string
  readonly nodeId: string
  /** Counted over the whole run. */
  readonly iteration: number
  readonly attempt: number
  /** Of the claim that the run is driven under. */
  readonly epoch: number
  /** The same for all attempts of the step. */
  readonly idempotencyKey: string
  /** Of the output of the step. */
  readonly codec: Codec<unknown, unknown>
  /** Whether its code has ended or is interrupted: it may still be there, as a promise. */
  readonly isOver: () => boolean
  readonly transact: Transact
  /** Takes note of the output that a transaction has stored: that is the step's, where its code gives this value. */
  readonly settle: (settled: Settled) => void
}

/** An output that is stored with a transaction. */
export interface Settled {
  /** What the code of the step was given of it. */
  readonly given: unknown
  readonly output: Json | undefined
  readonly value: Kept
}

/** The key under which the context of a step has its attempt. */
export const attemptKey: unique symbol = Symbol.for("@smithers/core/Transaction/attempt")

/** What a step is called with, as far as transactions need it. */
export interface StepLike {
  readonly [attemptKey]?: Attempt | undefined
}

/** A row by the names of its columns. */
export interface NamedRow {
  readonly [column: string]: unknown
}

/** A prepared statement. Integers are bigints where `isSafe`, and otherwise numbers. */
export interface Query {
  readonly named: (values: ReadonlyArray<unknown>, isSafe: boolean) => ReadonlyArray<NamedRow>
  readonly listed: (values: ReadonlyArray<unknown>, isSafe: boolean) => ReadonlyArray<ReadonlyArray<unknown>>
}

/** A transaction while it is open. What its methods throw is the error of a statement. */
export interface Session {
  /** Prepares a statement. Throws where it is refused, which also dooms the transaction. */
  readonly query: (sql: string) => Query
  /** Prepares a statement that makes a savepoint or goes back to one. */
  readonly savepoint: (sql: string) => Query
}

/** What is done in a transaction. */
export interface Request<A, E> {
  /** The step and the name of the transaction in it, which a row is kept of; none outside of steps. */
  readonly of: { readonly attempt: Attempt; readonly name: string } | undefined
  /** How long the writer may be held, in milliseconds. */
  readonly limitMs: number
  /** Called once, at once. Gives what came of it with its stored form. */
  readonly body: (session: Session) => Either.Either<Done<A>, E>
}

/** What came of the code of a transaction. */
export interface Done<A> {
  readonly value: A
  readonly output: Json | undefined
}

/** What came of a transaction: it was made, or was made by an attempt before, with this output. */
export type Transacted<A> =
  | { readonly _tag: "Made"; readonly value: A; readonly heldMs: number }
  | { readonly _tag: "Stored"; readonly output: Json | undefined }

/**
 * Calls code in a transaction of the store's only writer, which holds all other writes up for as long. All of it is kept, with its row, or nothing:
 * where the code fails, statements are refused, or the transaction takes longer than it may, all is undone.
 */
export type Transact = <A, E>(request: Request<A, E>) => Effect.Effect<Transacted<A>, E | TransactionError | StoreError>

const stepFields = { runId: Schema.String, nodeId: Schema.String, iteration: Schema.Number }

/** The store has no database that statements could be made in. */
export class NoSqlStore extends Schema.TaggedError<NoSqlStore>()("NoSqlStore", {}) {
  override get message(): string {
    return `There is no database to make a transaction in: the runs are kept in the memory of the process. Provide Smithers.sqlite({ filename }), or in tests Smithers.sqlite({ filename: ":memory:" }), in place of Smithers.memory.`
  }
}

/** It was called with something that is not the context of a step. */
export class NotInStep extends Schema.TaggedError<NotInStep>()("NotInStep", {}) {
  override get message(): string {
    return "Sql.transaction was called without the context of a step: give it what the step's code was called with. Outside of steps use Sql.atomic."
  }
}

/** The code of a transaction waits for something, while it holds the only writer of the database. All of it was undone. */
export class NotSynchronous extends Schema.TaggedError<NotSynchronous>()("NotSynchronous", {}) {
  override get message(): string {
    return "The code of a transaction waits, and it would hold the only writer of the database as long: all of it was undone. Do before it, or in a step before, what takes time (promises, sleeps, requests), and give it the result."
  }
}

/** A statement that a transaction may not make. All of it was undone, also where its code went on. */
export class StatementRefused extends Schema.TaggedError<StatementRefused>()("StatementRefused", {
  statement: Schema.String,
  reason: Schema.String,
}) {
  override get message(): string {
    return `A transaction may not make this statement: ${this.reason}. All of the transaction was undone. (${this.statement})`
  }
}

/** The code of a transaction held the writer for longer than it may. All of it was undone. */
export class TransactionTooLong extends Schema.TaggedError<TransactionTooLong>()("TransactionTooLong", {
  heldMs: Schema.Number,
  limitMs: Schema.Number,
}) {
  override get message(): string {
    return `A transaction held the only writer of the database for ${Math.round(this.heldMs)} ms, and may for ${this.limitMs}: all of it was undone. Make it smaller, for example in several steps, or give it a longer "limit".`
  }
}

/** The database has undone the transaction by itself, as `INSERT OR ROLLBACK`, `RAISE(ROLLBACK)` and some failures of the disk do. */
export class TransactionBroken extends Schema.TaggedError<TransactionBroken>()("TransactionBroken", { detail: Schema.String }) {
  override get message(): string {
    return `A statement has ended the transaction, and all of it was undone: ${this.detail}`
  }
}

/** The attempt is over, or another one has taken its place. Nothing was done. */
export class StaleAttempt extends Schema.TaggedError<StaleAttempt>()("StaleAttempt", { ...stepFields, attempt: Schema.Number }) {
  override get message(): string {
    return `Attempt ${this.attempt} of step "${this.nodeId}" of run "${this.runId}" is over, by a timeout, an interruption or another attempt: its transaction was not made.`
  }
}

/** The attempt has made this transaction already. Nothing was done the second time. */
export class TransactionTaken extends Schema.TaggedError<TransactionTaken>()("TransactionTaken", {
  ...stepFields,
  name: Schema.optional(Schema.String),
}) {
  override get message(): string {
    const which = this.name === undefined ? "its transaction" : `the transaction "${this.name}"`
    return `Step "${this.nodeId}" of run "${this.runId}" has made ${which} already in this attempt. Give each transaction of a step a "name" and an "output" of its own.`
  }
}

/** Why a transaction was not made, other than by its own code or by the store. */
export const TransactionError = Schema.Union(
  NoSqlStore,
  NotInStep,
  NotSynchronous,
  StatementRefused,
  TransactionTooLong,
  TransactionBroken,
  StaleAttempt,
  TransactionTaken,
  RunFenced,
)
export type TransactionError = typeof TransactionError.Type

const isSlip = Schema.is(Schema.Union(NoSqlStore, NotInStep, NotSynchronous, StatementRefused, TransactionTaken, InvalidSetting))

/** Whether an error is a slip of the code that made a transaction, or of the layers that it was run with: another attempt would fail alike. */
export const isOfCode = (error: unknown): boolean => isSlip(error)
