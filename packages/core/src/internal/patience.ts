/**
 * Retries operations of a store that cannot do them now. A lock, a full disk or a disk that does not answer is no fault of the run: what
 * is finished stays in memory, nothing new starts, and the operation is made again until the store can do it, the claim is lost, or the
 * work is interrupted.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { isTransient, type StoreBusy, type StoreError, type StoreFailed, type StoreFull, type StoreReadOnly } from "../Errors.ts"

/** A store that cannot be written now. */
export interface Outage {
  /** Epoch ms of the first refusal. */
  readonly since: number
  /** The latest refusal. */
  readonly error: StoreBusy | StoreFull | StoreReadOnly | StoreFailed
}

/** Takes note of an outage when it begins, and of its end with `undefined`. */
export type OnOutage = (outage: Outage | undefined) => Effect.Effect<void>

/** The pause after the first refusal, and the longest (ms). A store that waits for locks itself has waited before it refuses. */
const firstPauseMs = 50
const longestPauseMs = 1000

/** Makes an operation again for as long as the store fails with an error that passes. Can be interrupted between two tries. */
export const patiently = <A, E, R>(operation: Effect.Effect<A, E | StoreError, R>, onOutage: OnOutage) => {
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
