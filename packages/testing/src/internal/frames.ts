/** Counts the frames that a store accepts, and announces the next. */
import * as Effect from "effect/Effect"

export interface Frames {
  readonly count: () => void
  readonly counted: () => number
  /** Completes once the count exceeds `seen`. */
  readonly after: (seen: number) => Effect.Effect<void>
}

/** Creates a counter at zero. */
export const make = (): Frames => {
  let counted = 0
  const waiting = new Set<() => void>()
  return {
    count: () => {
      counted++
      for (const wake of [...waiting]) wake()
    },
    counted: () => counted,
    after: (seen) =>
      Effect.async((resume) => {
        if (counted > seen) return resume(Effect.void)
        const wake = (): void => {
          waiting.delete(wake)
          resume(Effect.void)
        }
        waiting.add(wake)
        return Effect.sync(() => waiting.delete(wake))
      }),
  }
}
