/**
 * The port that saves and restores the files of tasks. A snapshot is a commit of git that no branch, index or hook of the user takes part in; `packages/workspace`
 * has the layer. Paths in results are relative to the root of the task, with `/` between their parts.
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Later from "./Later.ts"

/**
 * The reason why a path is not saved: its name is one of secrets (`.env*`, keys); an untracked file is too large; a repository below the root, or a submodule; a
 * SQLite database in use, with the files beside it; neither a file nor a symbolic link; a file that this user may not read.
 */
export const SkipReason = Schema.Literal("secret", "large", "repository", "database", "special", "unreadable")
export type SkipReason = typeof SkipReason.Type

/** A path that a snapshot does not hold. A restore does not touch it. */
export const Skipped = Schema.Struct({ path: Schema.String, reason: SkipReason })
export type Skipped = typeof Skipped.Type

/** A saved state of the files below a root. */
export const Snapshot = Schema.Struct({
  /** The id of the commit: what a restore is given. */
  commit: Schema.String,
  /** The id of the tree. Snapshots of equal files have the same. */
  tree: Schema.String,
  /** `false` where the files equal those of the last snapshot of the run, which is then given again. */
  isNew: Schema.Boolean,
  /** `true` where the root is in no work tree of git, and `.smithers/snapshots.git` below it holds the snapshot. */
  isShadow: Schema.Boolean,
  /** Paths that are not saved. Files that git ignores, and the runtime's own, are not saved either, and not listed. */
  skipped: Schema.Array(Skipped),
})
export interface Snapshot extends Schema.Schema.Type<typeof Snapshot> {}

/** A path that a restore changes. */
export const Change = Schema.Struct({ path: Schema.String, change: Schema.Literal("create", "replace", "remove") })
export type Change = typeof Change.Type

/** A file that differs between two snapshots. */
export const ChangedFile = Schema.Struct({
  path: Schema.String,
  change: Schema.Literal("added", "changed", "removed", "renamed"),
  /** The earlier path of a renamed file. */
  previousPath: Schema.optional(Schema.String),
  /** Lines that were added. Absent of binary files. */
  added: Schema.optional(Schema.Number),
  /** Lines that were removed. Absent of binary files. */
  removed: Schema.optional(Schema.Number),
})
export type ChangedFile = typeof ChangedFile.Type

/** Files that differ between two snapshots. */
export interface Diff {
  readonly files: ReadonlyArray<ChangedFile>
  /** The differences as a unified patch, as `git diff` prints it. */
  readonly patch: string
  /** `true` where the patch was cut at its bound. */
  readonly isTruncated: boolean
}

/** Where the files of a root are saved. */
export interface Identity {
  /** The root, with symbolic links resolved. */
  readonly root: string
  /** `true` in a work tree of git. */
  readonly isGit: boolean
  /** The top of that work tree, or the root itself. */
  readonly top: string
  /** The directory of git that holds the snapshots: of the user's repository, or the shadow repository, which may not exist yet. */
  readonly store: string
}

/** A run whose snapshots a repository keeps. */
export interface Kept {
  readonly runId: string
  /** Its last snapshot, from which the earlier ones are reached. */
  readonly commit: string
}

/** Git is missing, or too old. Nothing was changed. */
export class NoGit extends Later.TaggedError<NoGit>()("NoGit", { problem: Schema.String }) {
  override get message(): string {
    return `Files of tasks cannot be saved: ${this.problem}. Install git 2.30 or later, or switch snapshots off with snapshots: false.`
  }
}

/** An operation on saved files that failed. No file of the task was changed. */
export class WorkspaceFailed extends Later.TaggedError<WorkspaceFailed>()("WorkspaceFailed", {
  operation: Schema.Literal("identify", "snapshot", "preview", "restore", "diff", "forget", "list"),
  /** The directory of the task. */
  root: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `Files below ${this.root}: ${this.operation} failed, and no file was changed. ${this.problem}`
  }
}

/** The repository does not hold this snapshot (any more): it was pruned, or belongs to another repository. Nothing was changed. */
export class SnapshotMissing extends Later.TaggedError<SnapshotMissing>()("SnapshotMissing", {
  /** The directory of the task. */
  root: Schema.String,
  /** The id of the snapshot. */
  snapshot: Schema.String,
}) {
  override get message(): string {
    return `The repository of ${this.root} holds no snapshot ${this.snapshot}: it was pruned, or is one of another repository. Choose another snapshot.`
  }
}

const listed = (paths: ReadonlyArray<string>): string =>
  paths.length <= 10 ? paths.join(", ") : `${paths.slice(0, 10).join(", ")} and ${paths.length - 10} more`

/** A restore would replace files that no snapshot can bring back, because git ignores them or a rule leaves them out. Nothing was changed. */
export class RestoreRefused extends Later.TaggedError<RestoreRefused>()("RestoreRefused", {
  /** The directory of the task. */
  root: Schema.String,
  /** The id of the snapshot to restore. */
  target: Schema.String,
  /** The files that would be replaced. */
  overwrites: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return `Restoring ${this.target.slice(0, 12)} would replace files below ${this.root} that are not saved: ${listed(this.overwrites)}. Move them away, or force the restore.`
  }
}

/**
 * A restore that left files unlike its target: the disk was full, a file could not be written, or another process changed files meanwhile. `safety` holds the
 * files as they were before. The same restore can be repeated.
 */
export class RestoreIncomplete extends Later.TaggedError<RestoreIncomplete>()("RestoreIncomplete", {
  /** The directory of the task. */
  root: Schema.String,
  /** The id of the snapshot to restore. */
  target: Schema.String,
  /** The snapshot of the files before the restore. */
  safety: Schema.String,
  /** Paths that differ from the target. */
  differing: Schema.Array(Schema.String),
  problem: Schema.String,
}) {
  override get message(): string {
    const differing = this.differing.length === 0 ? "" : ` Differing: ${listed(this.differing)}.`
    return `Restoring ${this.target.slice(0, 12)} below ${this.root} did not complete: ${this.problem}.${differing} Restore it again, or restore ${this.safety.slice(0, 12)} for the files as they were before.`
  }
}

export interface SnapshotRequest {
  /** The directory of the task, which may be below the top of its work tree. Only files below it are saved. */
  readonly root: string
  /** The run whose chain of snapshots it joins. */
  readonly runId: string
  /**
   * The identity of the store that the run is in: the path of a database. Runs of the same id in two stores have a chain each. Default: none, a
   * chain for all stores that name none.
   */
  readonly store?: string | undefined
  /** A line for people, such as `before build, attempt 1`. It is the subject of the commit. */
  readonly label: string
}

export interface RestoreRequest {
  readonly root: string
  /** The run that keeps the safety snapshot. */
  readonly runId: string
  /** As in {@link SnapshotRequest}. */
  readonly store?: string | undefined
  /** The commit of the snapshot. */
  readonly target: string
  /** Replaces files that no snapshot holds, too; the safety snapshot then holds them. Default: `false`. */
  readonly isForced?: boolean | undefined
}

/** A restore that was carried out and compared with its target. */
export interface Restored {
  /** The files as they were before. Restoring it takes the restore back. */
  readonly safety: Snapshot
  readonly changes: ReadonlyArray<Change>
}

/** What a restore would do. */
export interface Preview {
  readonly changes: ReadonlyArray<Change>
  /** Files among them that no snapshot can bring back. A restore with any is refused, except by force. */
  readonly overwrites: ReadonlyArray<string>
}

/** Saves and restores the files of tasks. */
export interface WorkspacesShape {
  /** Says where the files of a root are saved. Nothing is written. */
  readonly identify: (root: string) => Effect.Effect<Identity, NoGit | WorkspaceFailed>
  /**
   * Saves the files below a root. After a crash at any moment the files are untouched, and the snapshot is either there or not. Snapshots of one root and run
   * wait for one another, across processes.
   */
  readonly snapshot: (request: SnapshotRequest) => Effect.Effect<Snapshot, NoGit | WorkspaceFailed>
  /** Tells what a restore would change. Nothing is written. */
  readonly preview: (
    request: Pick<RestoreRequest, "root" | "runId" | "store" | "target">,
  ) => Effect.Effect<Preview, NoGit | WorkspaceFailed | SnapshotMissing>
  /**
   * Makes the files below a root those of a snapshot. The files are saved first, and afterwards compared with the target. A crash leaves files of both; the same
   * restore completes it, and restoring the safety snapshot takes it back.
   */
  readonly restore: (
    request: RestoreRequest,
  ) => Effect.Effect<Restored, NoGit | WorkspaceFailed | SnapshotMissing | RestoreRefused | RestoreIncomplete>
  /** Compares two snapshots. `path` narrows it to a file or a directory. `patchBytes` bounds the patch. Default: 1 MiB. */
  readonly diff: (request: {
    readonly root: string
    readonly from: string
    readonly to: string
    readonly path?: string | undefined
    readonly patchBytes?: number | undefined
  }) => Effect.Effect<Diff, NoGit | WorkspaceFailed | SnapshotMissing>
  /** Gives up the snapshots of runs, which git then collects. Runs without snapshots are left out. */
  readonly forget: (request: {
    readonly root: string
    readonly runIds: ReadonlyArray<string>
    /** As in {@link SnapshotRequest}. */
    readonly store?: string | undefined
  }) => Effect.Effect<void, NoGit | WorkspaceFailed>
  /** Lists the runs whose snapshots the repository of a root keeps. */
  readonly kept: (root: string) => Effect.Effect<ReadonlyArray<Kept>, NoGit | WorkspaceFailed>
}

/** Saves and restores the files of tasks. A runtime without it takes no snapshots. */
export class Workspaces extends Context.Tag("@smithers/core/Workspaces")<Workspaces, WorkspacesShape>() {}

/** Saves and restores the files of tasks by code that is loaded with the first use. */
export const lazy = (load: () => Promise<Layer.Layer<Workspaces>>): Layer.Layer<Workspaces> =>
  Layer.effect(
    Workspaces,
    Effect.map(Effect.cached(Effect.flatMap(Effect.promise(load), (layer) => Effect.provide(Workspaces, layer))), (loaded) => ({
      identify: (root) => Effect.flatMap(loaded, ({ identify }) => identify(root)),
      snapshot: (request) => Effect.flatMap(loaded, ({ snapshot }) => snapshot(request)),
      preview: (request) => Effect.flatMap(loaded, ({ preview }) => preview(request)),
      restore: (request) => Effect.flatMap(loaded, ({ restore }) => restore(request)),
      diff: (request) => Effect.flatMap(loaded, ({ diff }) => diff(request)),
      forget: (request) => Effect.flatMap(loaded, ({ forget }) => forget(request)),
      kept: (root) => Effect.flatMap(loaded, ({ kept }) => kept(root)),
    })),
  )
