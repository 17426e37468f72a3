/**
 * The port that makes work trees of git for regions of a plan. Each is a directory with a branch of its own, of the repository that the runtime works in;
 * `packages/workspace` has the layer.
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Later from "./Later.ts"

/** A worktree to open. */
export interface WorktreeRequest {
  /** The directory that the runtime works in, somewhere in a work tree of git. */
  readonly root: string
  /** The directory of the worktree. A relative path begins at `root`. */
  readonly path: string
  /** The branch that it works on. */
  readonly branch: string
  /** The commit, branch or tag that a new branch begins at. Default: the commit that `root` has checked out. */
  readonly base?: string | undefined
}

/** The result of a removal. A worktree with work that no commit has is kept. */
export const Removal = Schema.Struct({
  /** `false` where it was kept. */
  removed: Schema.Boolean,
  /** The directory. */
  path: Schema.String,
  /** The branch, which is kept either way. */
  branch: Schema.String,
  /** The reason it was kept. */
  reason: Schema.optional(Schema.String),
})
export interface Removal extends Schema.Schema.Type<typeof Removal> {}

/**
 * A worktree that could not be opened or removed. No file of it was changed. If `isTransient`, the retry policy of the step applies. Otherwise the step fails at
 * once.
 */
export class WorktreeFailed extends Later.TaggedError<WorktreeFailed>()("WorktreeFailed", {
  /** The directory of the worktree. */
  path: Schema.String,
  problem: Schema.String,
  isTransient: Schema.Boolean,
}) {
  override get message(): string {
    return `Worktree ${this.path}: ${this.problem}`
  }
}

export interface WorktreesShape {
  /**
   * Makes a worktree, or finds the one that is there, and returns its directory with symbolic links resolved. After a crash the same call completes it. Calls for one
   * repository wait for one another, across processes. Files in it are left as they are. Fails if the path holds something else, or the branch is checked
   * out elsewhere.
   */
  readonly open: (request: WorktreeRequest) => Effect.Effect<string, WorktreeFailed>
  /**
   * Removes a worktree whose files are all committed, and keeps its branch. One with other files is kept, which the result says; so is one that other programs have
   * locked. A worktree that is gone counts as removed.
   */
  readonly remove: (request: Pick<WorktreeRequest, "root" | "path" | "branch">) => Effect.Effect<Removal, WorktreeFailed>
}

/** Makes worktrees. In a runtime without it each step in a worktree fails. */
export class Worktrees extends Context.Tag("@smithers/core/Worktrees")<Worktrees, WorktreesShape>() {}

/** Makes worktrees by code that is loaded with the first use. */
export const lazy = (load: () => Promise<Layer.Layer<Worktrees>>): Layer.Layer<Worktrees> =>
  Layer.effect(
    Worktrees,
    Effect.map(Effect.cached(Effect.flatMap(Effect.promise(load), (layer) => Effect.provide(Worktrees, layer))), (loaded) => ({
      open: (request) => Effect.flatMap(loaded, ({ open }) => open(request)),
      remove: (request) => Effect.flatMap(loaded, ({ remove }) => remove(request)),
    })),
  )
