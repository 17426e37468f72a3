/**
 * A store of runs: one value with all that can be asked of it, and the narrow ports that are derived from it, each for who uses it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Inbox, type InboxShape } from "./Inbox.ts"
import { RunOwnership, type RunOwnershipShape } from "./RunOwnership.ts"
import { RunReader, type RunReaderShape } from "./RunReader.ts"
import { RunStore, type RunStoreShape } from "./RunStore.ts"

/** All that a store does. Times are epoch milliseconds. */
export interface StorageShape extends RunStoreShape, RunOwnershipShape, InboxShape, RunReaderShape {
  /** Names the place of the runs: the same for every store in this process that holds them, such as the real path of a file. */
  readonly place: string
}

/** The store of runs. */
export class Storage extends Context.Tag("@smithers/core/Storage")<Storage, StorageShape>() {}

/** The ports that are for a part of what a store does. */
export type NarrowPorts = RunStore | RunOwnership | Inbox | RunReader

/** A store and its ports. */
export type Ports = Storage | NarrowPorts

/** The ports of one store: no two of them can be of different ones. */
export const ports = (storage: StorageShape): Context.Context<Ports> =>
  Context.make(Storage, storage).pipe(
    Context.add(RunStore, storage),
    Context.add(RunOwnership, storage),
    Context.add(Inbox, storage),
    Context.add(RunReader, storage),
  )

/** A store as a layer of all its ports, for as long as the scope. */
export const layer = <E, R>(make: Effect.Effect<StorageShape, E, R>) => Layer.scopedContext(Effect.map(make, ports))

/** The ports that driving runs takes. */
export interface RunPorts {
  readonly store: RunStoreShape
  readonly ownership: RunOwnershipShape
  readonly inbox: InboxShape
  readonly reader: RunReaderShape
}

/** The ports by name. Dies where somebody has put ports of different stores together: a run would be kept in one, and claimed in another. */
export const runPorts: Effect.Effect<RunPorts, never, NarrowPorts> = Effect.flatMap(
  Effect.all({ store: RunStore, ownership: RunOwnership, inbox: Inbox, reader: RunReader }),
  (found) => {
    const places = new Set(Object.values(found).map(({ place }) => place))
    return places.size === 1
      ? Effect.succeed(found)
      : Effect.dieMessage(`the ports are of different stores (${[...places].join(", ")}); provide one store's layer`)
  },
)
