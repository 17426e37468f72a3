/**
 * The files of tasks, saved and restored by git. The code for it is loaded with the first use.
 */
import { lazy } from "@smithers/core/Workspaces"

export const workspaces = lazy(async () => (await import("@smithers/workspace/GitWorkspaces")).layer())
