/**
 * Delays of retries and limits of waits in one process. The store keeps their ends by the wall clock, so that they survive the
 * process. Within the process they are measured by the monotonic clock. An interval ends when either clock says so: setting the
 * wall clock back does not prolong it, and sleep of the machine counts.
 */
import type * as Clock from "effect/Clock"
import type { NodeKey } from "../Ids.ts"
import * as Millis from "../Millis.ts"

export interface Intervals {
  /** The end of an interval that is stored to end `at`, by the wall clock as of the last {@link look}. */
  readonly endOf: (key: NodeKey, at: Millis.Millis) => number
  readonly forget: (key: NodeKey) => void
  /** Reads both clocks. Returns whether the wall clock has jumped since the last look, which moves the ends of intervals. */
  readonly look: () => boolean
}

/** Largest difference between two looks that is no jump (ms): rounding, and the time between reading two clocks. */
export const toleranceMs = 50

/** The intervals of a process, none at first. */
export const make = (clock: Clock.Clock): Intervals => {
  /** Lead of the monotonic clock over the wall clock. */
  const lead = (): number => Millis.unsafeSteady(clock) - Millis.unsafeNow(clock)
  let known = lead()
  const ends = new Map<NodeKey, { readonly at: Millis.Millis; readonly steady: number }>()
  return {
    endOf: (key, at) => {
      const end = ends.get(key)
      if (end?.at === at) return Math.min(at, end.steady - known)
      // The interval begins now, or is seen here for the first time. A tolerated difference between two looks is no jump, and
      // must not shorten it.
      const found = lead()
      ends.set(key, { at, steady: at + (Math.abs(found - known) <= toleranceMs ? known : found) })
      return at
    },
    forget: (key) => {
      ends.delete(key)
    },
    look: () => {
      const found = lead()
      if (Math.abs(found - known) <= toleranceMs) return false
      known = found
      return true
    },
  }
}
