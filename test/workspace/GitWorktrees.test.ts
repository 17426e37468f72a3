/** Worktrees of real repositories: made, found again, refused and removed. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Worktrees } from "@smithers/core/Worktrees"
import { GitWorktrees } from "@smithers/workspace"
import * as Effect from "effect/Effect"
import { folder, git, repository, write } from "./fixtures/trees.ts"

const open = (root: string, path: string, branch: string, base?: string) =>
  Effect.flatMap(Worktrees, (worktrees) => worktrees.open({ root, path, branch, base })).pipe(Effect.provide(GitWorktrees.layer))
const remove = (root: string, path: string, branch: string) =>
  Effect.flatMap(Worktrees, (worktrees) => worktrees.remove({ root, path, branch })).pipe(Effect.provide(GitWorktrees.layer))
const branchOf = (directory: string): string => git(directory, "branch", "--show-current").trim()
const refused = (problem: string | RegExp) => ({
  _tag: "WorktreeFailed",
  isTransient: false,
  problem: typeof problem === "string" ? expect.stringContaining(problem) : expect.stringMatching(problem),
})

describe("a worktree", () => {
  it.scopedLive("is made with a branch of its own, and found again with what was changed in it", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      const path = yield* open(root, "trees/one", "feature/one")
      expect(path).toBe(join(root, "trees/one"))
      expect([branchOf(path), readFileSync(join(path, "a.txt"), "utf8")]).toEqual(["feature/one", "a\n"])
      write(path, { "a.txt": "changed\n" })
      expect(yield* open(root, join(root, "trees/one"), "feature/one")).toBe(path)
      expect(readFileSync(join(path, "a.txt"), "utf8")).toBe("changed\n")
      expect(readFileSync(join(root, "a.txt"), "utf8")).toBe("a\n")
    }),
  )

  it.scopedLive("begins at its base, and goes on with the branch that there is where its directory is gone", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      git(root, "tag", "first")
      write(root, { "a.txt": "b\n" })
      git(root, "commit", "-qam", "second")
      const path = yield* open(root, "one", "one", "first")
      expect(readFileSync(join(path, "a.txt"), "utf8")).toBe("a\n")
      write(path, { "c.txt": "c\n" })
      git(path, "add", "-A")
      git(path, "commit", "-qm", "work")
      rmSync(path, { recursive: true })
      expect(yield* open(root, "one", "one", "first")).toBe(path)
      expect(readFileSync(join(path, "c.txt"), "utf8")).toBe("c\n")
    }),
  )

  it.scopedLive("that a killed git has left half made is made again", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      const path = yield* open(root, "one", "one")
      writeFileSync(join(root, ".git/worktrees/one/locked"), "initializing")
      rmSync(join(path, "a.txt"))
      expect(yield* open(root, "one", "one")).toBe(path)
      expect(existsSync(join(path, "a.txt"))).toBe(true)
      expect(existsSync(join(root, ".git/worktrees/one/locked"))).toBe(false)
    }),
  )

  it.scopedLive("without a path of its own is no change of the tree around it", () =>
    Effect.gen(function* () {
      const root = yield* repository()
      yield* open(root, ".smithers/worktrees/r/fix", "smithers/r/fix")
      expect(git(root, "status", "--porcelain", "--untracked-files=all")).toBe("")
    }),
  )

  it.scopedLive("is one of many that are opened at once", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      const names = Array.from({ length: 6 }, (_, index) => `t${index}`)
      const paths = yield* Effect.all(
        [...names, ...names].map((name) => open(root, name, name)),
        { concurrency: "unbounded" },
      )
      expect(new Set(paths).size).toBe(6)
      expect(names.map((name) => branchOf(join(root, name)))).toEqual(names)
    }),
  )

  it.scopedLive("runs no hook of the repository", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      const hook = join(root, ".git/hooks/post-checkout")
      mkdirSync(join(root, ".git/hooks"), { recursive: true })
      writeFileSync(hook, `#!/bin/sh\ntouch ${root}/was-run\n`, { mode: 0o755 })
      git(root, "branch", "by-hand")
      git(root, "worktree", "add", "-q", "by-hand", "by-hand")
      expect(existsSync(join(root, "was-run"))).toBe(true)
      rmSync(join(root, "was-run"))
      yield* open(root, "one", "one")
      expect(existsSync(join(root, "was-run"))).toBe(false)
    }),
  )

  it.scopedLive("is refused with the reason, and nothing is changed", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      const failed = (...args: Parameters<typeof open>) => Effect.flip(open(...args))
      write(root, { "taken/file.txt": "mine\n" })
      expect(yield* failed(root, "taken", "one")).toMatchObject(refused("is no worktree of this repository"))
      expect(readFileSync(join(root, "taken/file.txt"), "utf8")).toBe("mine\n")
      yield* open(root, "one", "one")
      expect(yield* failed(root, "two", "one")).toMatchObject(refused(/checked out in .*one\./))
      expect(yield* failed(root, "one", "two")).toMatchObject(refused("has the branch one checked out, and is to have two"))
      expect(yield* failed(root, "three", "three", "nowhere")).toMatchObject(refused("there is no commit nowhere"))
      expect(yield* failed(root, "three", "a..b")).toMatchObject(refused("is no name of a branch"))
      expect([existsSync(join(root, "two")), existsSync(join(root, "three"))]).toEqual([false, false])
      const outside = yield* folder
      expect(yield* failed(outside, "one", "one")).toMatchObject(refused("Run git init"))
      git(outside, "init", "-q")
      expect(yield* failed(outside, "one", "one")).toMatchObject(refused("has no commit yet"))
    }),
  )
})

describe("a worktree that is removed", () => {
  it.scopedLive("leaves its branch, and counts as removed where it is gone", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      const path = yield* open(root, "one", "one")
      write(path, { "b.txt": "b\n" })
      git(path, "add", "-A")
      git(path, "commit", "-qm", "work")
      expect(yield* remove(root, "one", "one")).toEqual({ removed: true, path, branch: "one" })
      expect([existsSync(path), git(root, "show", "one:b.txt")]).toEqual([false, "b\n"])
      expect(yield* remove(root, "one", "one")).toMatchObject({ removed: true })
    }),
  )

  it.scopedLive("is kept where a file is not committed, it is locked, or has submodules, and the reason is told", () =>
    Effect.gen(function* () {
      const root = yield* repository({ "a.txt": "a\n" })
      const path = yield* open(root, "one", "one")
      write(path, { "new.txt": "new\n", "a.txt": "changed\n" })
      expect(yield* remove(root, "one", "one")).toEqual({
        removed: false,
        path,
        branch: "one",
        reason: "2 files are not committed",
      })
      const locked = yield* open(root, "locked", "locked")
      git(root, "worktree", "lock", "--reason", "on a stick", locked)
      expect(yield* remove(root, "locked", "locked")).toMatchObject({ removed: false, reason: "it is locked: on a stick" })
      const linked = yield* open(root, "linked", "linked")
      git(linked, "update-index", "--add", "--cacheinfo", `160000,${git(root, "rev-parse", "HEAD").trim()},sub`)
      git(linked, "commit", "-qm", "a link")
      // What a submodule configures is not asked: it would be run.
      mkdirSync(join(linked, "sub"))
      git(join(linked, "sub"), "init", "-q")
      git(join(linked, "sub"), "config", "core.fsmonitor", `touch ${root}/was-run; false`)
      expect(yield* remove(root, "linked", "linked")).toMatchObject({ removed: false, reason: "it has submodules" })
      expect([path, locked, linked].map((each) => existsSync(each))).toEqual([true, true, true])
      expect(existsSync(join(root, "was-run"))).toBe(false)
    }),
  )
})
