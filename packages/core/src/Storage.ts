/**
 * A store of runs: one value with all operations, and the narrow ports derived from it, one per kind of user.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AgentJournal, type AgentJournalShape } from "./AgentJournal.ts"
import { Inbox, type InboxShape } from "./Inbox.ts"
import { Memory, type MemoryShape } from "./Memory.ts"
import { RunOwnership, type RunOwnershipShape } from "./RunOwnership.ts"
import { RunReader, type RunReaderShape } from "./RunReader.ts"
import { RunStore, type RunStoreShape } from "./RunStore.ts"
import { Schedules, type SchedulesShape } from "./Schedules.ts"
import { Scores, type ScoresShape } from "./Scores.ts"
import { Slots, type SlotsShape } from "./Slots.ts"
import { Snapshots, type SnapshotsShape } from "./Snapshots.ts"

/** All operations of a store. Times are epoch milliseconds. */
export interface StorageShape
  extends RunStoreShape,
    RunOwnershipShape,
    InboxShape,
    RunReaderShape,
    AgentJournalShape,
    SlotsShape,
    MemoryShape,
    ScoresShape,
    SnapshotsShape,
    SchedulesShape {
  /** Identifies the store, such as by the real path of a file: the same for every handle on it in this process. */
  readonly storeId: string
}

/** The store of runs. */
export class Storage extends Context.Tag("@smithers/core/Storage")<Storage, StorageShape>() {}

/** The ports for one part of a store each. */
export type NarrowPorts =
  | RunStore
  | RunOwnership
  | Inbox
  | RunReader
  | AgentJournal
  | Slots
  | Memory
  | Scores
  | Snapshots
  | Schedules

/** A store and its ports. */
export type Ports = Storage | NarrowPorts

/** The ports of one store. Built together, so that they never mix stores. */
export const ports = (storage: StorageShape): Context.Context<Ports> =>
  Context.make(Storage, storage).pipe(
    Context.add(RunStore, storage),
    Context.add(RunOwnership, storage),
    Context.add(Inbox, storage),
    Context.add(RunReader, storage),
    Context.add(AgentJournal, storage),
    Context.add(Slots, storage),
    Context.add(Memory, storage),
    Context.add(Scores, storage),
    Context.add(Snapshots, storage),
    Context.add(Schedules, storage),
  )

/** A scoped layer of a store and all its ports. */
export const layer = <E, R>(make: Effect.Effect<StorageShape, E, R>) => Layer.scopedContext(Effect.map(make, ports))

/** The ports needed to drive runs. */
export interface RunPorts {
  readonly store: RunStoreShape
  readonly ownership: RunOwnershipShape
  readonly inbox: InboxShape
  readonly reader: RunReaderShape
  readonly journal: AgentJournalShape
  readonly slots: SlotsShape
  readonly memory: MemoryShape
  readonly scores: ScoresShape
  readonly snapshots: SnapshotsShape
  readonly schedules: SchedulesShape
}

/** The ports by name. Dies if they belong to different stores: a run would be stored in one and claimed in another. */
export const runPorts: Effect.Effect<RunPorts, never, NarrowPorts> = Effect.flatMap(
  Effect.all({
    ...{ store: RunStore, ownership: RunOwnership, inbox: Inbox, reader: RunReader, journal: AgentJournal },
    ...{ slots: Slots, memory: Memory, scores: Scores, snapshots: Snapshots, schedules: Schedules },
  }),
  (found) => {
    const storeIds = new Set(Object.values(found).map(({ storeId }) => storeId))
    return storeIds.size === 1
      ? Effect.succeed(found)
      : Effect.dieMessage(`the ports are of different stores (${[...storeIds].join(", ")}); provide one store's layer`)
  },
)
