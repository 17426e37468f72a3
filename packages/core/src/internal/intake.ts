/**
 * The way by which news reaches a driver. It is not `effect/Mailbox`: that one can be waited for only by taking, so that a driver whose wait
 * is lost to a timer, or interrupted, would lose what it took; and it costs several microseconds more per frame.
 */
import * as Effect from "effect/Effect"

/** Collects what happened since it was last looked at. One reader; any number of writers, from inside and outside of fibers. */
export interface Intake<A> {
  readonly push: (item: A) => void
  /** Takes everything pushed so far. */
  readonly drain: () => ReadonlyArray<A>
  /** Completes once something is there, and takes nothing. */
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
    filled: Effect.async<void>((resume) => {
      if (items.length > 0) return resume(Effect.void)
      wake = () => {
        wake = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        wake = undefined
      })
    }),
  }
}
