import * as Effect from "effect/Effect"

/** What happened since it was last looked at. One reader; any number of writers, from inside and outside of fibers. */
export interface Mailbox<A> {
  readonly push: (item: A) => void
  /** Everything pushed so far. */
  readonly drain: () => ReadonlyArray<A>
  /** Completes once something is there. */
  readonly filled: Effect.Effect<void>
}

/** Makes an empty mailbox. */
export const make = <A>(): Mailbox<A> => {
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
