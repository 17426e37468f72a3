import * as Effect from "effect/Effect"

/** A counter that can be waited for. */
export interface Ticker {
  readonly tick: () => void
  /** Completes with the current count once it is above `count`. */
  readonly after: (count: number) => Effect.Effect<number>
  /** Has another one tick with this one, until the answer is called. */
  readonly link: (other: Ticker) => () => void
}

/** Makes a ticker at 0. */
export const make = (): Ticker => {
  let current = 0
  const waiting = new Set<() => void>()
  const linked = new Set<Ticker>()
  return {
    link: (other) => {
      linked.add(other)
      return () => linked.delete(other)
    },
    tick: () => {
      current++
      for (const wake of [...waiting]) wake()
      for (const other of linked) other.tick()
    },
    after: (count) =>
      Effect.async((resume) => {
        if (current > count) return resume(Effect.succeed(current))
        const wake = () => {
          waiting.delete(wake)
          resume(Effect.succeed(current))
        }
        waiting.add(wake)
        return Effect.sync(() => waiting.delete(wake))
      }),
  }
}
