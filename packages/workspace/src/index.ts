/** Snapshots of the files of tasks by plain git. */
export * as GitWorkspaces from "./GitWorkspaces.ts"
export * as GitWorktrees from "./GitWorktrees.ts"
