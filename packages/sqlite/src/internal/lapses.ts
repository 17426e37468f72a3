/**
 * Leases that are over while their owner lives on this machine. It may be only the clock that has jumped ahead: then the owner renews it within
 * seconds, and must not lose its run before. So such a lease counts as over once it has not been renewed for a while that no clock measures.
 */
import * as Owner from "./owner.ts"

/** A process notices a jump of the clock within two seconds, and renews its leases then; half as much again is for a busy machine. */
export const graceMs = 3000

/** A lease as it stands in the row of its run. */
interface Lease {
  readonly runId: string
  readonly epoch: number
  readonly owner: string
  readonly until: number
}

export interface Lapses {
  /** How long to wait before a lease that is over by the clock counts as over (ms): 0 where it does. It is seen from the first time asked. */
  readonly leftOf: (lease: Lease, graceMs: number) => number
  readonly forget: (runId: string) => void
}

/** The lapses that a store has seen, none so far. */
export const make = (): Lapses => {
  const seen = new Map<string, { readonly epoch: number; readonly until: number; readonly since: number }>()
  return {
    leftOf: ({ runId, epoch, owner, until }, graceMs) => {
      const known = seen.get(runId)
      const since = known?.epoch === epoch && known.until === until ? known.since : undefined
      if (since === undefined && !Owner.isSeen(owner)) return 0
      if (since === undefined) seen.set(runId, { epoch, until, since: performance.now() })
      return Math.max(0, Math.ceil((since ?? performance.now()) + graceMs - performance.now()))
    },
    forget: (runId) => {
      seen.delete(runId)
    },
  }
}
