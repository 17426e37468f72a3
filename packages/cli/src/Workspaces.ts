/**
 * The files of tasks, saved and restored by git, their worktrees and their sandboxes. The code for it is loaded with the first use.
 */

import * as Sandboxes from "@smithers/core/Sandboxes"
import * as Snapshots from "@smithers/core/Workspaces"
import * as Worktrees from "@smithers/core/Worktrees"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export const workspaces = Snapshots.lazy(async () => (await import("@smithers/workspace/GitWorkspaces")).layer())

/** The port as a value, for a server. */
export const workspacesShape: Effect.Effect<Snapshots.WorkspacesShape> = Effect.provide(Snapshots.Workspaces, workspaces)

/** Removes the sandboxes that ended runs have left. */
export const collectSandboxes = (given: Parameters<typeof import("@smithers/sandbox/Sandboxes").collect>[0]) =>
  Effect.flatMap(Sandboxes.Sandboxes, ({ providers }) =>
    Effect.flatMap(
      Effect.promise(() => import("@smithers/sandbox/Sandboxes")),
      ({ collect }) => collect(given, providers),
    ),
  ).pipe(Effect.provide(worktrees))

/** Worktrees, and sandboxes. */
export const worktrees = Layer.provideMerge(
  Sandboxes.lazy(async (made) => (await import("@smithers/sandbox/Sandboxes")).sandboxes(made)),
  Worktrees.lazy(async () => (await import("@smithers/workspace/GitWorktrees")).layer),
)
