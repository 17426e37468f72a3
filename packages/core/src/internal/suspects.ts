/**
 * Steps that were in flight at two or more crashes, any of which may kill its process. A process starts them one at a time,
 * across runs, so that a step that kills its process takes no other suspect with it. A step that ends is cleared. A guilty one
 * is alone in flight at each further crash, until it exceeds the limit.
 */
import type { NodeKey } from "../Ids.ts"
import type { StepRecord } from "../Records.ts"

/** Crashes in a row after which a step is suspected. One may be chance: a deploy, or a power loss. */
const suspectedAfter = 2

/** Tells whether a step is suspected of killing its process. */
export const isSuspect = (record: Pick<StepRecord, "interruptions"> | undefined): boolean =>
  record !== undefined && record.interruptions >= suspectedAfter

/** The single place for a suspect in a process. */
export interface Suspects {
  /** Gives the place to a step. Otherwise returns `false`, and wakes its run once the place is free. */
  readonly admit: (runId: string, key: NodeKey, wake: () => void) => boolean
  /** Frees the place, if the step has it. */
  readonly release: (runId: string, key: NodeKey) => void
  /** Frees the place, if a step of the run has it. */
  readonly releaseAll: (runId: string) => void
}

/**
 * Makes the place. A step of a run that the suspect itself waits for (`waitsFor`) is admitted beside it, since that would
 * deadlock otherwise.
 */
export const make = (waitsFor: (runId: string, other: string) => boolean): Suspects => {
  const admitted = new Map<string, Set<NodeKey>>()
  let sleeping = new Map<string, () => void>()
  const wakeAll = (): void => {
    if (admitted.size > 0 || sleeping.size === 0) return
    const woken = sleeping
    sleeping = new Map()
    for (const wake of woken.values()) wake()
  }
  return {
    admit: (runId, key, wake) => {
      if (admitted.get(runId)?.has(key) === true) return true
      const isFree = admitted.size === 0 || [...admitted.keys()].some((holder) => holder !== runId && waitsFor(holder, runId))
      if (!isFree) {
        sleeping.set(runId, wake)
        return false
      }
      const keys = admitted.get(runId) ?? new Set()
      admitted.set(runId, keys.add(key))
      return true
    },
    release: (runId, key) => {
      const keys = admitted.get(runId)
      if (keys?.delete(key) !== true || keys.size > 0) return
      admitted.delete(runId)
      wakeAll()
    },
    releaseAll: (runId) => {
      sleeping.delete(runId)
      if (admitted.delete(runId)) wakeAll()
    },
  }
}
