/**
 * Steps that were in flight when a process died, more than once: one of them may be what kills it. They are begun one at a time in a process,
 * of whichever run they are, so that a step that kills its process again takes no other suspect with it. An innocent one that ends is
 * suspected no longer; a guilty one is in flight alone with each further crash, until that is one too many.
 */
import type { NodeKey } from "../Ids.ts"
import type { StepRecord } from "../Records.ts"

/** Crashes in a row after which a step is suspected. One may be chance: a deploy, or a machine that was switched off. */
const suspectedAfter = 2

/** Whether a step is suspected of killing its process. */
export const isSuspect = (record: Pick<StepRecord, "interruptions"> | undefined): boolean =>
  record !== undefined && record.interruptions >= suspectedAfter

/** The one place for a suspect in a process. */
export interface Suspects {
  /** Gives the place to a step, or answers `false` and wakes its run once the place is free. */
  readonly admit: (runId: string, key: NodeKey, wake: () => void) => boolean
  /** Takes the place back from a step, if it has it. */
  readonly release: (runId: string, key: NodeKey) => void
  /** Takes the place back from whichever step of a run has it. */
  readonly releaseAll: (runId: string) => void
}

/** Makes the place. A step of a run that the suspect itself waits for (`waitsFor`) is admitted beside it: it would wait for ever otherwise. */
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
