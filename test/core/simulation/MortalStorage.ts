/**
 * A store as one process sees it: from the process's fault on, no call of it completes any more. The store itself, which other
 * processes see through views of their own, lives on.
 */
import type { Frame } from "@smithers/core/RunStore"
import type { StorageShape } from "@smithers/core/Storage"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Fault } from "./Scenario.ts"

export interface MortalStorage {
  readonly storage: StorageShape
  /** No call completes now. */
  readonly isGone: () => boolean
  /** Commits that reached the store from here. */
  readonly commits: () => number
  /** Ends a pause: calls that were held go on to the store. Does nothing to the dead. */
  readonly wake: Effect.Effect<void>
}

/** Makes the view; `onCommit` hears of the frames that the store took. */
export const make = (disk: StorageShape, fault: Fault | undefined, onCommit: (frame: Frame) => void): MortalStorage => {
  const awake = Deferred.unsafeMake<void>(FiberId.none)
  let isGone = false
  let commits = 0
  const gone = fault?.edge === "paused" ? Deferred.await(awake) : Effect.never
  /** Makes a call at the named point of the process's life. */
  const at = <A, E>(call: Effect.Effect<A, E>, point?: { readonly commit: number }): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const isFatal = fault !== undefined && fault.edge !== "shutdown" && point?.commit === fault.commit && !isGone
      if (isFatal && fault.edge !== "after") isGone = true
      if (isGone) return Effect.zipRight(gone, call)
      if (!isFatal) return call
      return Effect.zipRight(
        call,
        Effect.suspend(() => {
          isGone = true
          return Effect.never
        }),
      )
    })
  const { commit, pending, changes, ...rest } = disk
  const storage: StorageShape = {
    ...(Object.fromEntries(
      Object.entries(rest).map(([name, method]) => [
        name,
        (...args: ReadonlyArray<never>) =>
          at((method as unknown as (...args: ReadonlyArray<never>) => Effect.Effect<unknown>)(...args)),
      ]),
    ) as unknown as Omit<StorageShape, "commit" | "pending" | "changes">),
    prepareOutputs: (...args) => at(disk.prepareOutputs(...args), { commit: 0 }),
    commit: (frame) =>
      Effect.suspend(() => {
        const number = commits + 1
        const taken = Effect.map(commit(frame), () => {
          commits = number
          onCommit(frame)
        })
        return at(taken, { commit: number })
      }),
    pending: at(pending),
    changes: (version) => at(changes(version)),
  }
  return { storage, isGone: () => isGone, commits: () => commits, wake: Effect.asVoid(Deferred.succeed(awake, undefined)) }
}
