/**
 * Monitors the process that works on a run. A live process that stops renewing its lease has a blocked event loop, as with a step
 * that never returns. It would keep its place for ever.
 */
import * as Millis from "@smithers/core/Millis"
import type { StorageShape } from "@smithers/core/Storage"
import { span } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import { owners } from "./Stores.ts"

/** Polling interval, in milliseconds. */
const lookMs = 2000

/** Time for a process to claim its run, in milliseconds. The largest workflows take seconds to load. */
const beginMs = 120_000

/** Time that a lease may have been expired while the store was writable, in milliseconds. Longer than the renewal interval. */
const overdueMs = 12_000

/** Time for a process to exit after it has released its run, in milliseconds. */
const endMs = 30_000

/** Time that a process may stay which only follows a run of another process, in milliseconds. */
const followMs = 5000

/**
 * Difference between wall clock and monotonic clock that counts as a jump, in milliseconds: the machine slept, or its clock was
 * set.
 */
const jumpMs = 2000

export interface Watched {
  readonly pid: number
}

/**
 * Completes once the process should be killed, with the reason: it does not hold the run, nor one that the run belongs to
 * (`runIds`). Time is measured monotonically, and an expired lease counts only while the store is writable.
 */
export const hold = (storage: StorageShape, runIds: ReadonlyArray<string>, { pid }: Watched): Effect.Effect<string> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    // Monotonic, whatever the wall clock does.
    const passed = (): number => Number(clock.unsafeCurrentTimeNanos() / 1_000_000n)
    let hasBegun = false
    let since = passed()
    for (let before = { wall: Millis.unsafeNow(clock), time: since }; ; ) {
      yield* Effect.sleep(lookMs)
      const [wall, time] = [Millis.unsafeNow(clock), passed()]
      const hasJumped = Math.abs(wall - before.wall - (time - before.time)) > jumpMs
      before = { wall, time }
      const looked = yield* Effect.either(look(storage, runIds, pid, wall))
      const state = looked._tag === "Right" ? looked.right : "held"
      if (state === "held") hasBegun ||= looked._tag === "Right"
      if (state === "held" || hasJumped) since = time
      const silentMs = time - since
      if (state === "overdue" && silentMs >= overdueMs)
        return `its process was killed: its lease had been expired for ${span(silentMs)}, as when a step blocks the event loop`
      if (state === "elsewhere" && silentMs >= followMs) return "its process was killed: another process works on the run"
      if (state === "free" && silentMs >= (hasBegun ? endMs : beginMs))
        return hasBegun
          ? "its process was killed: it had released the run and did not exit"
          : `its process was killed: it had not claimed the run after ${span(silentMs)}`
    }
  })

/**
 * Returns the state of a process with respect to the runs. `held`: it has a valid lease on one. `overdue`: its lease has expired.
 * `elsewhere`: another process works on the first run. `free`: none does. Fails if the store is not writable.
 */
const look = (storage: StorageShape, runIds: ReadonlyArray<string>, pid: number, now: Millis.Millis) =>
  Effect.gen(function* () {
    const runs = yield* storage.runs({ runIds })
    const mine = runs.filter(({ owner }) => owner !== null && owners.pidOf(owner) === pid)
    if (mine.some(({ leaseUntil }) => leaseUntil !== null && leaseUntil > now)) return "held"
    if (mine.length === 0) {
      const first = runs.find(({ runId }) => runId === runIds[0])
      return first !== undefined && owners.isAlive(first, now) ? "elsewhere" : "free"
    }
    // A locked store may have prevented the renewal. This claim never exists, so nothing is written.
    yield* storage.release("", 0, now)
    return "overdue"
  })
