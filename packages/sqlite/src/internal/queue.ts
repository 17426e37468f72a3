/**
 * Group commit. Every write is a job: a function on the connection. Jobs submitted in one turn of the event loop share one
 * transaction, in order, and complete when it commits.
 *
 * A job may refuse with a `Left` before it writes, which affects no other job. An error that it throws rolls back the transaction;
 * the other jobs then run again, each in its own transaction. A job may therefore run more than once, and must have no effects
 * besides the database. While the database is locked, all submitted jobs wait.
 *
 * A job may require its own transaction. It then runs once, and its refusal rolls back its writes. The event loop turns before the
 * next job.
 */
import { StoreBusy, type StoreError } from "@smithers/core/Errors"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Connection, Synchronous } from "./connection.ts"
import { classOf, failure, firstPauseMs, nextPause, type Patience } from "./failures.ts"
import type { Flushing } from "./flushing.ts"

/** A write. */
interface Write<A, E> {
  readonly operation: string
  readonly run: () => Either.Either<A, E>
  /** Called with the result of `run` after the commit, before the caller continues and before the flush. Not called for a refusal. */
  readonly onCommit?: (result: A) => void
  /** Minimum durability of the write once the caller continues. */
  readonly synchronous?: Synchronous
  /** The job itself verifies that this process may write. */
  readonly isGuarded?: boolean
  /** The job has its own transaction, which its refusal rolls back. */
  readonly isAlone?: boolean
  /**
   * The one who submits jobs of this kind, one after another. An interruption waits for such a job. It runs at once if `by` also made the
   * last write: there is nobody to share a transaction with.
   */
  readonly by?: string
}

/** The queue of a connection. A write that is interrupted before its turn does not run. */
export interface Queue {
  readonly write: <A, E = never>(write: Write<A, E>) => Effect.Effect<A, E | StoreError>
  /** Tries pending writes once more, then closes. */
  readonly close: () => void
}

interface Job {
  readonly isGuarded: boolean
  readonly isAlone: boolean
  readonly by: string | undefined
  /** Returns `true` once the job must not run again. */
  readonly isDone: () => boolean
  readonly synchronous: Synchronous
  /** Time until which a locked database is waited for, on the clock of `performance.now`. */
  readonly deadline: number
  /** Runs the job. Returns `true` if it refuses. */
  readonly run: () => boolean
  /** Tells of the commit; its caller continues after the flush, if one is given. */
  readonly succeed: (flush?: Flushing["flush"]) => void
  readonly fail: (thrown: unknown) => void
}

interface Config extends Patience {
  readonly synchronous: Synchronous
  /** Throws if this process must no longer write the database. Called first in each transaction. */
  readonly guard: () => void
  /**
   * Flushes commits that are to be more durable than those of the store. Without it the commits themselves do so.
   */
  readonly flushing: Flushing | undefined
}

/** Thrown to roll back the writes of a job that refused. */
const undone = new Error("a write has refused")

/** Creates the queue of a connection. */
export const make = (connection: Connection, config: Config): Queue => {
  let waiting: Array<Job> = []
  let isScheduled = false
  let isClosed = false
  let retry: ReturnType<typeof setTimeout> | undefined
  let pauseMs = firstPauseMs
  /** `true` once SQLite has flushed a commit itself, and with it the folder, to which the log may be new. */
  let isLogThere = false
  /** Who made the last write, if that was one job. */
  let last: string | undefined

  /** Runs a batch. Returns the jobs that remain since the database is locked. */
  const settle = (batch: ReadonlyArray<Job>): ReadonlyArray<Job> => {
    last = batch.length === 1 ? batch[0]?.by : undefined
    const isFull = batch.some((job) => job.synchronous === "full")
    const { flushing } = config
    const mayFlush = isLogThere && config.synchronous === "normal" && flushing?.isPossible() === true
    const flush = isFull && mayFlush ? flushing.flush : undefined
    const synchronous = isFull && flush === undefined ? "full" : "normal"
    try {
      connection.transact(synchronous, () => {
        if (!batch.every(({ isGuarded }) => isGuarded)) config.guard()
        for (const job of batch) if (job.run() && job.isAlone) throw undone
      })
    } catch (thrown) {
      if (thrown === undone) {
        for (const job of batch) job.succeed()
        return []
      }
      if (classOf(thrown) === StoreBusy) return batch.filter((job) => !isOverdue(job, thrown))
      if (batch.length > 1) return settleEach(batch)
      for (const job of batch) job.fail(thrown)
      return []
    }
    if (synchronous === "full") isLogThere = true
    for (const job of batch) job.succeed(job.synchronous === "full" ? flush : undefined)
    return []
  }

  const settleEach = (batch: ReadonlyArray<Job>): ReadonlyArray<Job> => {
    const left: Array<Job> = []
    for (const job of batch) left.push(...(left.length > 0 ? [job] : settle([job])))
    return left
  }

  const isOverdue = (job: Job, thrown: unknown): boolean => {
    if (performance.now() < job.deadline && !isClosed && !job.isDone()) return false
    job.fail(thrown)
    return true
  }

  /** Takes the next batch: all jobs up to one with its own transaction, or that one. */
  const take = (): ReadonlyArray<Job> => {
    const batch = waiting
    const alone = batch.findIndex((job) => job.isAlone)
    if (alone === -1) {
      waiting = []
      return batch
    }
    const end = Math.max(1, alone)
    waiting = batch.slice(end)
    return batch.slice(0, end)
  }

  const flush = (): void => {
    isScheduled = true
    retry = undefined
    const batch = take()
    const isMore = waiting.length > 0
    const left = batch.length === 0 ? [] : settle(batch)
    waiting.unshift(...left)
    isScheduled = false
    if (left.length > 0) {
      retry = setTimeout(flush, pauseMs)
      pauseMs = nextPause(pauseMs)
      return
    }
    pauseMs = firstPauseMs
    if (waiting.length > 0) schedule(isMore ? setImmediate : queueMicrotask)
  }

  const schedule = (later: (run: () => void) => void): void => {
    isScheduled = true
    later(flush)
  }

  const submit = (job: Job): void => {
    waiting.push(job)
    if (!isScheduled && retry === undefined) schedule(queueMicrotask)
  }

  const isIdle = (): boolean => !isScheduled && !isClosed && retry === undefined && waiting.length === 0

  /** The job of a write, which gives its answer to `resume`. */
  const jobOf = <A, E>(
    { operation, run, onCommit, synchronous = config.synchronous, isGuarded = false, isAlone = false, by }: Write<A, E>,
    resume: (answer: Effect.Effect<A, E | StoreError>) => void,
  ): Job => {
    let result: Either.Either<A, E>
    let isRun = false
    return {
      isGuarded,
      isAlone,
      by,
      isDone: () => isAlone && isRun,
      synchronous,
      deadline: performance.now() + config.patienceMs,
      run: () => {
        isRun = true
        result = run()
        return Either.isLeft(result)
      },
      succeed: (flush) => {
        if (Either.isRight(result)) onCommit?.(result.right)
        if (flush === undefined || Either.isLeft(result)) return resume(result)
        flush((thrown) => resume(thrown === undefined ? result : failure(operation, config, thrown)))
      },
      fail: (thrown) => resume(failure(operation, config, thrown)),
    }
  }

  /** Writes with the other jobs of this turn. A way to take a job back costs more than the wait, so that of `by` is never taken back. */
  const later = <A, E>(write: Write<A, E>): Effect.Effect<A, E | StoreError> =>
    write.by === undefined ? cancellable(write) : Effect.uninterruptible(Effect.async((resume) => submit(jobOf(write, resume))))

  const cancellable = <A, E>(write: Write<A, E>): Effect.Effect<A, E | StoreError> =>
    Effect.async((resume) => {
      const job = jobOf(write, resume)
      submit(job)
      return Effect.sync(() => {
        waiting = waiting.filter((other) => other !== job)
      })
    })

  /** Writes at once. While the database is locked, the job waits like others. */
  const atOnce = <A, E>(write: Write<A, E>): Effect.Effect<A, E | StoreError> => {
    let answer: Effect.Effect<A, E | StoreError> | undefined
    let resume = (given: Effect.Effect<A, E | StoreError>): void => {
      answer = given
    }
    const left = settle([jobOf(write, (given) => resume(given))])
    if (answer !== undefined) return answer
    return Effect.uninterruptible(
      Effect.async((later) => {
        resume = later
        for (const job of left) submit(job)
      }),
    )
  }

  return {
    write: (write) =>
      write.by === undefined ? later(write) : Effect.suspend(() => (isIdle() && last === write.by ? atOnce(write) : later(write))),
    close: () => {
      isClosed = true
      clearTimeout(retry)
      do flush()
      while (waiting.length > 0)
      config.flushing?.close()
    },
  }
}
