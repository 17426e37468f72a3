import * as Effect from "effect/Effect"

/** A version that counts up, with a way to wait for it. */
export interface VersionSignal {
  readonly bump: () => void
  /** Completes with the current version once it is above `version`. */
  readonly after: (version: number) => Effect.Effect<number>
  /** Bumps another signal with this one. Returns a function that stops that. */
  readonly link: (other: Pick<VersionSignal, "bump">) => () => void
}

/** Makes a signal at version 0. */
export const make = (): VersionSignal => {
  let current = 0
  const waiting = new Set<() => void>()
  const linked = new Set<Pick<VersionSignal, "bump">>()
  return {
    link: (other) => {
      linked.add(other)
      return () => linked.delete(other)
    },
    bump: () => {
      current++
      for (const wake of [...waiting]) wake()
      for (const other of linked) other.bump()
    },
    after: (version) =>
      Effect.async((resume) => {
        if (current > version) return resume(Effect.succeed(current))
        const wake = () => {
          waiting.delete(wake)
          resume(Effect.succeed(current))
        }
        waiting.add(wake)
        return Effect.sync(() => waiting.delete(wake))
      }),
  }
}
