/**
 * Worktrees of regions: their directories and branches, and the step that removes one behind its region.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { AgentRunner } from "../AgentRunner.ts"
import type { NodeId } from "../Ids.ts"
import type * as Plan from "../Plan.ts"
import { WorktreeFailed, Worktrees } from "../Worktrees.ts"
import { digest } from "./digest.ts"

/** Characters of an id that a name of a directory or a branch keeps at most. */
const mostCharacters = 60

/** Names a directory or a branch after an id. An id that is no such name has a digest behind it, so that different ids have different names. */
const nameOf = (id: string): string => {
  const slug = id
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]+/g, "-")
    .slice(0, mostCharacters)
    .replaceAll(/^-+|-+$/g, "")
  return slug === id ? slug : `${slug}-${digest(id).slice(0, 8)}`
}

/** The directory below which the worktrees of a run are, unless their paths are given. */
const ownDirectory = (runId: string): string => `.smithers/worktrees/${nameOf(runId)}`

/** The directory and the branch of a worktree in a run. */
const placeOf = ({ id, path, branch }: Plan.Worktree, runId: string): { readonly path: string; readonly branch: string } => ({
  path: path ?? `${ownDirectory(runId)}/${nameOf(id)}`,
  branch: branch ?? `smithers/${nameOf(runId)}/${nameOf(id)}`,
})

/** Tells whether a directory is in a worktree or a sandbox that a run has for itself: a fork of the run works in another one. */
export const isOwn = (runId: string, root: string): boolean =>
  [ownDirectory(runId), `.smithers/sandboxes/${nameOf(runId)}`].some((directory) => root.includes(`/${directory}/`))

/** The directory that the runtime works in. */
export const rootFor = (nodeId: NodeId) =>
  Effect.map(
    Effect.serviceOption(AgentRunner),
    (runner) => Option.getOrUndefined(runner)?.workspace?.({ nodeId, agents: [] })?.root ?? ".",
  )

const using = <A>(
  worktree: Plan.Worktree,
  runId: string,
  use: (
    worktrees: Worktrees["Type"],
    place: { readonly root: string; readonly path: string; readonly branch: string },
  ) => Effect.Effect<A, WorktreeFailed>,
): Effect.Effect<A, WorktreeFailed> =>
  Effect.gen(function* () {
    const place = placeOf(worktree, runId)
    const worktrees = yield* Effect.serviceOption(Worktrees)
    if (Option.isNone(worktrees)) {
      const problem = "this runtime makes no worktrees. Provide a layer of Worktrees, as those of smithers-orchestrator do."
      return yield* new WorktreeFailed({ path: place.path, problem, isTransient: false })
    }
    return yield* use(worktrees.value, { ...place, root: yield* rootFor(worktree.id) })
  })

/** Opens a worktree for an attempt, and returns its directory. */
export const open = (worktree: Plan.Worktree, runId: string): Effect.Effect<string, WorktreeFailed> =>
  using(worktree, runId, ({ open: opened }, place) => opened({ ...place, base: worktree.base }))

/** Removes a worktree whose region has ended. */
export const remove = (worktree: Plan.Worktree, runId: string) =>
  Effect.tap(
    using(worktree, runId, ({ remove: removed }, place) => removed(place)),
    ({ removed, path, reason }) => (removed ? Effect.void : Effect.logWarning(`worktree ${path} was kept: ${reason}`)),
  )
