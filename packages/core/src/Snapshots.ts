/**
 * Snapshots of workspaces before and after attempts. A snapshot is a commit of its repository; the row is a pointer to it, written
 * once the commit can be found by its ref. A snapshot that could not be taken is a row with its failure, and no failure of the step.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { AttemptName, JournalError } from "./AgentJournal.ts"
import type { RunFenced, StoreError } from "./Errors.ts"

/** `before` the code of an attempt begins, or `after` it has ended. */
export const SnapshotMoment = Schema.Literal("before", "after")
export type SnapshotMoment = typeof SnapshotMoment.Type

/** A file that a snapshot does not hold. */
export const SkippedFile = Schema.Struct({ path: Schema.String, reason: Schema.String })
export interface SkippedFile extends Schema.Schema.Type<typeof SkippedFile> {}

/** An attempt that worked in the same tree at the same time. */
export const Sharer = Schema.Struct({
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.Number,
  attempt: Schema.Number,
})
export interface Sharer extends Schema.Schema.Type<typeof Sharer> {}

/** A snapshot of the workspace of an attempt. */
export const Snapshot = Schema.Struct({
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.Number,
  attempt: Schema.Number,
  moment: SnapshotMoment,
  /** The directory that it is of: its real path. */
  root: Schema.String,
  /** Ids of git; `null` if it could not be taken. */
  commit: Schema.NullOr(Schema.String),
  tree: Schema.NullOr(Schema.String),
  /** Epoch milliseconds. */
  at: Schema.Number,
  /** Files that it does not hold. */
  skipped: Schema.Array(SkippedFile),
  /** Attempts that worked in the same tree meanwhile: what differs between before and after may be theirs. */
  sharedWith: Schema.Array(Sharer),
  /** The reason it could not be taken. */
  failure: Schema.NullOr(Schema.String),
})
export interface Snapshot extends Schema.Schema.Type<typeof Snapshot> {}

/** A snapshot to store. `sharedWith` are sharers that its process knows of; the store adds those of its runs. */
export interface SnapshotWrite extends Snapshot {
  readonly epoch: number
}

/** Selects snapshots of a run. */
export interface SnapshotFilter {
  readonly runId: string
  readonly nodeId?: string
  readonly iteration?: number
  readonly attempt?: number
  /** Only those of these attempts. The cost does not grow with the run then. */
  readonly attempts?: ReadonlyArray<AttemptName>
}

/**
 * A revert as it is stored: the intent before any file is changed, with what takes it back. `planned` until its frame is committed;
 * `taken-back` if the files are as they were before. The restore of the files of a fork is stored as one, too: its frame is the first one
 * of the fork, with which it is written.
 */
export const StoredRevert = Schema.Struct({
  runId: Schema.String,
  /** Counted from 1 in its run. */
  number: Schema.Number,
  /** The attempt that the run is taken back to before. */
  nodeId: Schema.String,
  iteration: Schema.Number,
  attempt: Schema.Number,
  /** The directory whose files are restored; `null` where files are left alone. */
  root: Schema.NullOr(Schema.String),
  /** The commit that they are restored to. */
  target: Schema.NullOr(Schema.String),
  /** The commit of the files as they were before. */
  safety: Schema.NullOr(Schema.String),
  /** The frame that completes it. */
  frame: Schema.Number,
  state: Schema.Literal("planned", "done", "taken-back"),
  /** Number of the revert that this one undoes. */
  undoes: Schema.NullOr(Schema.Number),
  by: Schema.NullOr(Schema.String),
  at: Schema.Number,
})
export interface StoredRevert extends Schema.Schema.Type<typeof StoredRevert> {}

export interface SnapshotsShape {
  /** Identifies the store: the same for all of its ports. */
  readonly storeId: string
  /**
   * Stores a snapshot durably, and marks it and those of other attempts at work in the same tree as shared. Fails with `RunFenced` if
   * the claim is lost, and with `StaleAttempt` if the attempt is not the running one; nothing is written then.
   */
  readonly recordSnapshot: (write: SnapshotWrite) => Effect.Effect<void, JournalError>
  /** Reads snapshots of a run, in the order in which they were taken. Empty for a run that does not exist. */
  readonly snapshots: (filter: SnapshotFilter) => Effect.Effect<ReadonlyArray<Snapshot>, StoreError>
  /** Stores a revert durably, in the place of the one with its number. Fails with `RunFenced` if the claim is lost. */
  readonly putRevert: (write: StoredRevert & { readonly epoch: number }) => Effect.Effect<void, StoreError | RunFenced>
  /** Reads the reverts of a run, by number. */
  readonly reverts: (runId: string) => Effect.Effect<ReadonlyArray<StoredRevert>, StoreError>
}

/** The port through which snapshots of workspaces are stored and read. */
export class Snapshots extends Context.Tag("@smithers/core/Snapshots")<Snapshots, SnapshotsShape>() {}

/** The snapshots of a run as its details show them. */
export const shownOf = (snapshots: ReadonlyArray<Snapshot>): { readonly snapshots?: ReadonlyArray<Snapshot> } =>
  snapshots.length === 0 ? {} : { snapshots }

/** The attempt of a snapshot. */
export const sharerOf = ({ runId, nodeId, iteration, attempt }: Sharer): Sharer => ({ runId, nodeId, iteration, attempt })

/** Tells whether two names are of one attempt. */
export const isSameAttempt = (one: Sharer, other: Sharer): boolean => one.runId === other.runId && isSameName(one, other)

const isSameName = (one: AttemptName, other: AttemptName): boolean =>
  one.nodeId === other.nodeId && one.iteration === other.iteration && one.attempt === other.attempt

/** Tells whether one of two directories is the other, or lies in it. Both are real paths. */
export const isOverlapping = (one: string, other: string): boolean => isWithin(one, other) || isWithin(other, one)

/** Tells whether a directory is another, or lies in it. Both are real paths. */
export const isWithin = (inner: string, outer: string): boolean =>
  inner === outer || inner.startsWith(outer.endsWith("/") ? outer : `${outer}/`)

/** Sharers with others added, each once. */
export const withSharers = (known: ReadonlyArray<Sharer>, others: ReadonlyArray<Sharer>): ReadonlyArray<Sharer> => {
  const added = others.filter((other, index) => {
    const isKnown = known.some((one) => isSameAttempt(one, other))
    return !isKnown && others.findIndex((one) => isSameAttempt(one, other)) === index
  })
  return added.length === 0 ? known : [...known, ...added.map(sharerOf)]
}

/**
 * The sharers of a snapshot that is written, and the open snapshots of others that are shared with its attempt from now on. `open` are those
 * before attempts that are at work.
 */
export const sharing = (
  write: Snapshot,
  open: ReadonlyArray<Snapshot>,
): { readonly sharedWith: ReadonlyArray<Sharer>; readonly others: ReadonlyArray<Snapshot> } => {
  const own = open.find((one) => isSameAttempt(one, write))
  const overlapping = open
    .filter((one) => !isSameAttempt(one, write) && isOverlapping(one.root, write.root))
    .sort((left, right) => left.at - right.at)
  const known = own === undefined ? write.sharedWith : withSharers(own.sharedWith, write.sharedWith)
  return {
    sharedWith: withSharers(known, overlapping),
    others: overlapping.flatMap((one) => {
      const sharedWith = withSharers(one.sharedWith, [write])
      return sharedWith === one.sharedWith ? [] : [{ ...one, sharedWith }]
    }),
  }
}
