/**
 * The input queue of a driver. Not `effect/Mailbox`: waiting on that takes the item, so a driver whose wait loses a race or is
 * interrupted would lose it. It also costs several microseconds more per frame.
 */
import * as Effect from "effect/Effect"

/** Collects items since the last read. One reader; any number of writers, inside and outside of fibers. */
export interface Intake<A> {
  readonly push: (item: A) => void
  /** Takes all items. */
  readonly drain: () => ReadonlyArray<A>
  /** `true` if there is an item. */
  readonly isFilled: () => boolean
  /** Completes once there is an item, without taking it. */
  readonly filled: Effect.Effect<void>
}

/** Makes an empty intake. */
export const make = <A>(): Intake<A> => {
  let items: Array<A> = []
  let wake: (() => void) | undefined
  return {
    push: (item) => {
      items.push(item)
      wake?.()
    },
    drain: () => {
      const drained = items
      items = []
      return drained
    },
    isFilled: () => items.length > 0,
    filled: Effect.async<void>((resume) => {
      if (items.length > 0) return resume(Effect.void)
      // A call after an interruption does nothing. A canceller would cost more than the wait.
      wake = () => {
        wake = undefined
        resume(Effect.void)
      }
    }),
  }
}
