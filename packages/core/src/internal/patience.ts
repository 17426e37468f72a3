/**
 * Retries operations of a store that is unavailable. A lock, a full disk or a disk that does not respond is no fault of the
 * run. Finished work stays in memory, nothing new starts, and the operation is retried until it succeeds, the claim is lost, or
 * the work is interrupted.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { isTransient, type StoreBusy, type StoreError, type StoreFailed, type StoreFull, type StoreReadOnly } from "../Errors.ts"

/** A period in which the store cannot be written. */
export interface Outage {
  /** Epoch ms of the first failure. */
  readonly since: number
  /** The latest failure. */
  readonly error: StoreBusy | StoreFull | StoreReadOnly | StoreFailed
}

/** Receives an outage when it begins, and `undefined` when it ends. */
export type OnOutage = (outage: Outage | undefined) => Effect.Effect<void>

/** Pause after the first failure, and the longest (ms). A store that waits for locks itself has waited before it fails. */
const firstPauseMs = 50
const longestPauseMs = 1000

/** Retries an operation while the store fails with a transient error. Can be interrupted between two tries. */
export const retryWhileBusy = <A, E, R>(operation: Effect.Effect<A, E | StoreError, R>, onOutage: OnOutage) => {
  const attempt = (pauseMs: number, since: number | undefined): Effect.Effect<A, E | StoreError, R> =>
    Effect.catchAll(since === undefined ? operation : Effect.zipLeft(operation, onOutage(undefined)), (error) => {
      if (!isTransient(error)) return Effect.fail(error)
      return Effect.gen(function* () {
        const began = since ?? (yield* Clock.currentTimeMillis)
        yield* onOutage({ since: began, error })
        yield* Effect.interruptible(Effect.sleep(pauseMs))
        return yield* attempt(Math.min(pauseMs * 2, longestPauseMs), began)
      })
    })
  return attempt(firstPauseMs, undefined)
}
