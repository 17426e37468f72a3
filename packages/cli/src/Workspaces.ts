/**
 * The files of tasks, saved and restored by git, and their worktrees. The code for it is loaded with the first use.
 */
import * as Snapshots from "@smithers/core/Workspaces"
import * as Worktrees from "@smithers/core/Worktrees"

export const workspaces = Snapshots.lazy(async () => (await import("@smithers/workspace/GitWorkspaces")).layer())

export const worktrees = Worktrees.lazy(async () => (await import("@smithers/workspace/GitWorktrees")).layer)
