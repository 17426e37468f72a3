/**
 * Looks after the process that works on a run. One that lives and has not renewed its lease does not get to its event loop any more, as when
 * a step never returns: it would hold its place for good.
 */
import * as Millis from "@smithers/core/Millis"
import type { StorageShape } from "@smithers/core/Storage"
import * as Effect from "effect/Effect"
import { owners } from "./Stores.ts"
import { span } from "./Text.ts"

/** How often to look, in milliseconds. */
const lookMs = 2000

/** How long a process may take to claim its run, in milliseconds: the largest workflows take seconds to load. */
const beginMs = 120_000

/** How long a lease may have been over while the store could be written, in milliseconds: more than the time between two renewals. */
const overdueMs = 12_000

/** How long a process may take to end that has let go of its run, in milliseconds. */
const endMs = 30_000

/** How long a process may stay that only follows the work of another one, in milliseconds. */
const followMs = 5000

/** The wall clock has jumped where it went so much further than time did, in milliseconds: the machine slept, or its clock was set. */
const jumpMs = 2000

/** A process that works on a run. */
export interface Watched {
  readonly pid: number
}

/**
 * Completes once the process holds neither the run nor one that it belongs to (`runIds`), and should have: with the reason for which it is to be ended.
 * Times are measured as they pass here, and a lease that is over counts only while the store can be written.
 */
export const hold = (storage: StorageShape, runIds: ReadonlyArray<string>, { pid }: Watched): Effect.Effect<string> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    // Goes on as time does, whatever the wall clock is set to.
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
        return `its process was killed: it had not renewed its lease for ${span(silentMs)} after that was over, as when a step never returns to the event loop`
      if (state === "elsewhere" && silentMs >= followMs) return "its process was killed: another one works on the run"
      if (state === "free" && silentMs >= (hasBegun ? endMs : beginMs))
        return hasBegun
          ? "its process was killed: it had let go of the run, and did not end"
          : `its process was killed: it had not begun to work on the run after ${span(silentMs)}`
    }
  })

/** Whether a process holds one of the runs, one whose lease is over, or none, as another has it. Fails where the store cannot be written. */
const look = (storage: StorageShape, runIds: ReadonlyArray<string>, pid: number, now: Millis.Millis) =>
  Effect.gen(function* () {
    const runs = yield* storage.runs({ runIds })
    const mine = runs.filter(({ owner }) => owner !== null && owners.pidOf(owner) === pid)
    if (mine.some(({ leaseUntil }) => leaseUntil !== null && leaseUntil > now)) return "held"
    if (mine.length === 0) {
      const first = runs.find(({ runId }) => runId === runIds[0])
      return first !== undefined && owners.isAlive(first, now) ? "elsewhere" : "free"
    }
    // It may have been kept from renewing it as the store was locked. Nobody has this claim, so that nothing is written.
    yield* storage.release("", 0, now)
    return "overdue"
  })
