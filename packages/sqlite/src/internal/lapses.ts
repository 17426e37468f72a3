/**
 * Leases that have expired while their owner lives on this machine. The clock may only have jumped ahead: the owner then renews
 * within seconds and must not lose its run before. Such a lease counts as expired only after a grace period on a monotonic clock.
 */
import * as Owner from "./owner.ts"

/** A process notices a jump of the clock within two seconds and renews its leases. Half as much again covers a busy machine. */
export const graceMs = 3000

/** The lease in the row of a run. */
interface Lease {
  readonly runId: string
  readonly epoch: number
  readonly owner: string
  readonly until: number
}

export interface Lapses {
  /**
   * Returns the time until an expired lease counts as expired, in milliseconds; 0 if it does. The grace period starts with the
   * first call.
   */
  readonly leftOf: (lease: Lease, graceMs: number) => number
  readonly forget: (runId: string) => void
}

/** Creates the lapses of a store. */
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
