/**
 * A store as seen by one process: from the process's fault on, no call completes. The underlying store lives on for the views of
 * other processes.
 */
import type { Frame } from "@smithers/core/RunStore"
import type { StorageShape } from "@smithers/core/Storage"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"

/**
 * End of a process: it dies before or after a commit reaches the store, or stalls there until it is woken. `shutdown` is for
 * callers that stop the process in order, and has no effect here.
 */
export interface Fault {
  readonly edge: "before" | "after" | "paused" | "shutdown"
  /** Number of the commit, from 1 (0 is before the first), or a predicate for the first match. */
  readonly commit: number | ((frame: Frame) => boolean)
  /** Number of the write of an agent's journal, from 1, instead of a commit. */
  readonly write?: number
}

export interface MortalStorage {
  readonly storage: StorageShape
  /** Returns `true` once no call completes. */
  readonly isGone: () => boolean
  /** Completes once no call completes any more. */
  readonly gone: Effect.Effect<void>
  /** Returns the number of commits that reached the store through this view. */
  readonly commits: () => number
  /** Returns the number of writes of agents' journals that were made through this view. */
  readonly writes: () => number
  /** Ends a pause: held calls continue. Has no effect on a dead process. */
  readonly wake: Effect.Effect<void>
}

/** Creates the view. `onCommit` receives the frames that the store accepts. */
export const make = (disk: StorageShape, fault: Fault | undefined, onCommit: (frame: Frame) => void = () => {}): MortalStorage => {
  const awake = Deferred.unsafeMake<void>(FiberId.none)
  const dead = Deferred.unsafeMake<void>(FiberId.none)
  let isGone = false
  let commits = 0
  const go = (): void => {
    isGone = true
    Deferred.unsafeDone(dead, Effect.void)
  }
  const held = fault?.edge === "paused" ? Deferred.await(awake) : Effect.never
  /** Makes a call, during which the process may die. */
  const at = <A, E>(call: Effect.Effect<A, E>, isHere: () => boolean = () => false): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const isFatal = fault !== undefined && fault.edge !== "shutdown" && !isGone && isHere()
      if (isFatal && fault.edge !== "after") go()
      if (isGone) return Effect.zipRight(held, call)
      return isFatal ? Effect.zipRight(Effect.zipRight(call, Effect.sync(go)), Effect.never) : call
    })
  const of =
    <Args extends ReadonlyArray<unknown>, A, E>(method: (...args: Args) => Effect.Effect<A, E>) =>
    (...args: Args): Effect.Effect<A, E> =>
      at(Effect.suspend(() => method(...args)))
  const isNumber = (number: number): boolean => fault?.write === undefined && fault?.commit === number
  let writes = 0
  /** A write of an agent's journal, each a transaction of its own. */
  const journaled =
    <Write, A, E>(method: (write: Write) => Effect.Effect<A, E>) =>
    (write: Write): Effect.Effect<A, E> =>
      Effect.suspend(() => {
        const number = ++writes
        return at(method(write), () => fault?.write === number)
      })
  const storage: StorageShape = {
    storeId: disk.storeId,
    load: of(disk.load),
    history: of(disk.history),
    commit: (frame) =>
      Effect.suspend(() => {
        const number = commits + 1
        const taken = Effect.map(disk.commit(frame), () => {
          commits = number
          onCommit(frame)
        })
        return at(taken, () =>
          fault?.write === undefined && typeof fault?.commit === "function" ? fault.commit(frame) : isNumber(number),
        )
      }),
    heartbeat: of(disk.heartbeat),
    prepareOutputs: (...args) => at(disk.prepareOutputs(...args), () => isNumber(0)),
    cached: of(disk.cached),
    fork: (request) =>
      Effect.suspend(() => {
        const number = commits + 1
        const taken = Effect.map(disk.fork(request), () => {
          commits = number
          onCommit(request.frame)
        })
        return at(taken, () =>
          fault?.write === undefined && typeof fault?.commit === "function" ? fault.commit(request.frame) : isNumber(number),
        )
      }),
    transact: of(disk.transact),
    record: journaled(disk.record),
    reserve: journaled(disk.reserve),
    usage: of(disk.usage),
    adjustBudget: of(disk.adjustBudget),
    budgets: of(disk.budgets),
    progress: of(disk.progress),
    conversations: of(disk.conversations),
    configureLimits: of(disk.configureLimits),
    limits: at(disk.limits),
    requestSlot: of(disk.requestSlot),
    leaveSlots: of(disk.leaveSlots),
    pollSlots: of(disk.pollSlots),
    slotWaits: of(disk.slotWaits),
    scores: of(disk.scores),
    claimScore: of(disk.claimScore),
    endScore: of(disk.endScore),
    releaseScore: of(disk.releaseScore),
    recordSnapshot: journaled(disk.recordSnapshot),
    snapshots: of(disk.snapshots),
    putRevert: journaled(disk.putRevert),
    reverts: of(disk.reverts),
    facts: of(disk.facts),
    putFact: of(disk.putFact),
    deleteFacts: of(disk.deleteFacts),
    schedules: of(disk.schedules),
    dueSchedules: of(disk.dueSchedules),
    writeSchedule: journaled(disk.writeSchedule),
    deleteSchedule: of(disk.deleteSchedule),
    scheduleTicks: of(disk.scheduleTicks),
    newest: of(disk.newest),
    open: of(disk.open),
    renew: of(disk.renew),
    release: of(disk.release),
    noteStuck: of(disk.noteStuck),
    runnable: of(disk.runnable),
    publish: of(disk.publish),
    deliverPublished: of(disk.deliverPublished),
    published: of(disk.published),
    deliver: of(disk.deliver),
    deliverOrCreate: of(disk.deliverOrCreate),
    deliverResponse: of(disk.deliverResponse),
    pending: at(disk.pending),
    changes: of(disk.changes),
    origin: of(disk.origin),
    find: of(disk.find),
    run: of(disk.run),
    wait: of(disk.wait),
    runs: of(disk.runs),
    waits: of(disk.waits),
    statistics: at(disk.statistics),
    plan: of(disk.plan),
    inspect: of(disk.inspect),
    generations: of(disk.generations),
    events: of(disk.events),
  }
  return {
    storage,
    isGone: () => isGone,
    gone: Deferred.await(dead),
    commits: () => commits,
    writes: () => writes,
    wake: Effect.asVoid(Deferred.succeed(awake, undefined)),
  }
}
