/**
 * Worktrees of tests: empty directories, one for each branch, which are removed with the runtime. No repository takes part.
 */
import { mkdirSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { WorktreesShape } from "@smithers/core/Worktrees"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** Numbers of the runtimes of this process that have directories. */
const inUse = new Set<number>()

/**
 * Makes the worktrees of a runtime. Nothing is written before the first is opened. Runtimes that follow one another have the same directories, so that outputs
 * which hold their paths are equal.
 */
export const make: Effect.Effect<WorktreesShape, never, Scope.Scope> = Effect.gen(function* () {
  const number = yield* Effect.acquireRelease(
    Effect.sync(() => {
      let free = 0
      while (inUse.has(free)) free++
      inUse.add(free)
      return free
    }),
    (taken) =>
      Effect.sync(() => {
        rmSync(directory(taken), { recursive: true, force: true })
        inUse.delete(taken)
      }),
  )
  const pathOf = (branch: string): string => join(directory(number), encodeURIComponent(branch))
  return {
    open: ({ branch }) =>
      Effect.sync(() => {
        mkdirSync(pathOf(branch), { recursive: true })
        return pathOf(branch)
      }),
    remove: ({ branch }) =>
      Effect.sync(() => {
        rmSync(pathOf(branch), { recursive: true, force: true })
        return { removed: true, path: pathOf(branch), branch }
      }),
  }
})

const directory = (number: number): string => join(realpathSync(tmpdir()), `smithers-worktrees-${process.pid}-${number}`)
