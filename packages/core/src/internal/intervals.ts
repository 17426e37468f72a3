/**
 * The delays of retries and the limits of waits in one process. The store keeps when they end by the wall clock, so that they survive the
 * process; within it they are measured by the time that nobody sets. Such an interval is over when either clock says so: a clock set back
 * makes it no longer, and one that went on while the machine slept ends it.
 */
import type * as Clock from "effect/Clock"
import type { NodeKey } from "../Ids.ts"
import * as Millis from "../Millis.ts"

export interface Intervals {
  /** When an interval that is stored to end `at` is over, by the wall clock as it stood at the last {@link look}. */
  readonly endOf: (key: NodeKey, at: Millis.Millis) => number
  readonly forget: (key: NodeKey) => void
  /** Looks at both clocks. Answers with whether the wall clock has jumped since the last look, so that intervals end at other times of it. */
  readonly look: () => boolean
}

/** Milliseconds by which two looks may differ without a jump: what rounding and the time between reading two clocks come to. */
export const toleranceMs = 50

/** The intervals of a process, none so far. */
export const make = (clock: Clock.Clock): Intervals => {
  /** By how much the time that nobody sets is ahead of the wall clock. */
  const lead = (): number => Millis.unsafeSteady(clock) - Millis.unsafeNow(clock)
  let known = lead()
  const ends = new Map<NodeKey, { readonly at: Millis.Millis; readonly steady: number }>()
  return {
    endOf: (key, at) => {
      const end = ends.get(key)
      if (end?.at === at) return Math.min(at, end.steady - known)
      // It begins now or, where another process began it, is known to this one from now on.
      // What two looks may differ by is no jump, and must not make it shorter.
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
