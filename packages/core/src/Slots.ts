/**
 * The port for slots of limits: a durable queue for each limit and key. Each call is a small transaction of its own, beside frames.
 * A slot belongs to the claim of a run and lapses with it, so that a process which dies holds none. A place in a queue is passed over
 * while no process works on the run, and is kept for the next claim. A run that is released as `waiting` is due once it could get a slot.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RunFenced, StoreError, UnknownLimit } from "./Errors.ts"
import { Limit, type LimitSettings, type Queue } from "./Limits.ts"
import type { Millis } from "./Millis.ts"

/** A place in the queue of a limit. `place` is unique for its limit; the lowest is first. */
export interface Place {
  readonly name: string
  readonly place: number
  /** Epoch of the claim that it belongs to. Default: any. */
  readonly epoch?: number
}

/** A request for a slot. */
export interface SlotRequest extends Queue {
  readonly runId: string
  /** Epoch of the claim that asks. */
  readonly epoch: number
  readonly nodeId: string
  readonly iteration: number
  readonly attempt: number
  readonly now: Millis
  /** The slot belongs to this process, and not to a claim of the run: that of a judge, which works beside runs. */
  readonly isOfProcess?: true
  /** The place that it had before it left the queue. Default: that of an earlier claim for this node, or the last one. */
  readonly place?: number
}

/** An attempt that waits for a slot. */
export const SlotWait = Schema.Struct({
  /** The limit. */
  name: Schema.String,
  /** Empty if all share its slots. */
  key: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.Number,
  attempt: Schema.Number,
  /** Places before it. */
  before: Schema.Number,
  /** Epoch milliseconds. */
  since: Schema.Number,
})
export interface SlotWait extends Schema.Schema.Type<typeof SlotWait> {}

/** A limit as the store has it. */
export const StoredLimit = Schema.Struct({
  name: Schema.String,
  limit: Limit,
  /** Slots that are held, and places that wait, of all keys. */
  held: Schema.Number,
  waiting: Schema.Number,
  /** When it was configured, in epoch milliseconds. */
  configuredAt: Schema.Number,
})
export interface StoredLimit extends Schema.Schema.Type<typeof StoredLimit> {}

/** The answer to a look at places. */
export interface Polled {
  /** Places that hold a slot now. */
  readonly granted: ReadonlyArray<Place>
  /** Places that are gone. */
  readonly lost: ReadonlyArray<Place>
  /** When the next rate window opens that one of them waits for, or a slot that is kept for a run goes to the next (epoch ms). */
  readonly opensAt: number | undefined
}

export interface SlotsShape {
  /** Identifies the store: the same for all of its ports. */
  readonly storeId: string
  /**
   * Stores limits. The last one to configure a limit decides for all processes, at once: slots in use are kept, and new ones are
   * given once there are fewer than the limit.
   */
  readonly configureLimits: (limits: LimitSettings, now: Millis) => Effect.Effect<void, StoreError>
  /** Reads the limits of the store, by name. */
  readonly limits: Effect.Effect<ReadonlyArray<StoredLimit>, StoreError>
  /**
   * Takes a place in a queue, and a slot if the place is the first and there is one. Fails with `UnknownLimit` if no process has
   * configured the limit, and with `RunFenced` if the claim is lost.
   */
  readonly requestSlot: (
    request: SlotRequest,
  ) => Effect.Effect<{ readonly place: number; readonly isGranted: boolean }, StoreError | UnknownLimit | RunFenced>
  /**
   * Gives slots back, and leaves queues. Those next in the queue get the slots. `isUsed` is `false` for a slot under which nothing
   * has begun: rates do not count it.
   */
  readonly leaveSlots: (places: ReadonlyArray<Place>, isUsed: boolean, now: Millis) => Effect.Effect<void, StoreError>
  /** Looks which places hold a slot now. Before that, gives the slots of lost claims and of rate windows that have opened. */
  readonly pollSlots: (places: ReadonlyArray<Place>, now: Millis) => Effect.Effect<Polled, StoreError>
  /** Reads the places of a run that wait, while a process works on it or it was released to wait for them. */
  readonly slotWaits: (runId: string) => Effect.Effect<ReadonlyArray<SlotWait>, StoreError>
}

/** The port for slots of limits. */
export class Slots extends Context.Tag("@smithers/core/Slots")<Slots, SlotsShape>() {}
