/**
 * The layer of `Worktrees` by plain git: `git worktree` of the user's repository, without its hooks. What was left half made by a process that was killed is made again.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join, resolve } from "node:path"
import type { NoGit } from "@smithers/core/Workspaces"
import { type Removal, WorktreeFailed, type WorktreeRequest, Worktrees, type WorktreesShape } from "@smithers/core/Worktrees"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Git from "./internal/git.ts"
import { withLock } from "./internal/lock.ts"
import * as Place from "./internal/place.ts"
import { basicEnv } from "./internal/repository.ts"

/** Milliseconds to wait for others that make worktrees of the same repository. */
const patienceMs = 120_000

/** Neither hooks nor helpers of the repository run. */
const careful = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "advice.detachedHead=false"]

/** A worktree as git lists it. */
interface Listed {
  readonly path: string
  /** `undefined` where no branch is checked out. */
  readonly branch: string | undefined
  /** The reason that its lock names. */
  readonly locked: string | undefined
}

/** Git gives this reason to a worktree that it has not made whole yet. */
const initializing = "initializing"

const listedOf = (text: string): ReadonlyArray<Listed> =>
  text.split("\n\n").flatMap((block) => {
    const lines = new Map(
      block.split("\n").map((line) => {
        const end = line.indexOf(" ")
        return end === -1 ? [line, ""] : [line.slice(0, end), line.slice(end + 1)]
      }),
    )
    const path = lines.get("worktree")
    if (path === undefined) return []
    return [{ path, branch: lines.get("branch")?.replace(/^refs\/heads\//, ""), locked: lines.get("locked") }]
  })

/** A path with the links of the directories resolved that exist. */
const realOf = (path: string): string => {
  if (existsSync(path)) return realpathSync(path)
  const above = dirname(path)
  return above === path ? path : join(realOf(above), path.slice(above.length))
}

const isEmpty = (path: string): boolean => lstatSync(path).isDirectory() && readdirSync(path).length === 0

/** Git in a directory, with the user's own settings: what they have set for conversions holds for files of worktrees as for others. */
const gitIn =
  (cwd: string) =>
  (args: ReadonlyArray<string>, codes: ReadonlyArray<number> = []): Effect.Effect<string, Git.GitFailed | NoGit> => {
    const { HOME = homedir(), XDG_CONFIG_HOME } = process.env
    const own = XDG_CONFIG_HOME === undefined ? { HOME } : { HOME, XDG_CONFIG_HOME }
    const { GIT_ALLOW_PROTOCOL: _, ...env } = basicEnv()
    return Effect.map(Git.run({ args: [...careful, ...args], env: { ...env, ...own }, cwd, codes }), (output) =>
      output.toString("utf8"),
    )
  }

/** The repository of a runtime, and the directory of one of its worktrees. */
interface Found {
  readonly place: Place.Place
  readonly path: string
  readonly git: ReturnType<typeof gitIn>
  readonly fail: (problem: string, isTransient?: boolean) => WorktreeFailed
}

const find = ({ root, path }: Pick<WorktreeRequest, "root" | "path">): Effect.Effect<Found, WorktreeFailed> =>
  Effect.suspend(() => {
    const fail = (problem: string, isTransient = false) => new WorktreeFailed({ path: resolve(root, path), problem, isTransient })
    if (!existsSync(root)) return Effect.fail(fail(`the root of the runtime does not exist: ${resolve(root)}.`))
    const real = realpathSync(root)
    const place = Place.find(real)
    if (place === undefined)
      return Effect.fail(fail(`${real} is in no repository of git. Run git init there, commit, and resume the run.`))
    return Effect.succeed({ place, path: realOf(resolve(real, path)), git: gitIn(place.top), fail })
  })

/** Uses a repository while no other process makes or removes worktrees of it. */
const locked = <A>(
  found: Found,
  use: Effect.Effect<A, WorktreeFailed | Git.GitFailed | NoGit>,
): Effect.Effect<A, WorktreeFailed> => {
  const options = {
    directory: join(found.place.store, "smithers", "worktrees"),
    patienceMs,
    busy: (pid: string) =>
      found.fail(`process ${pid} has been making worktrees of this repository for ${patienceMs / 1000} s.`, true),
    failed: (problem: string) => found.fail(`${problem}.`, true),
  }
  return Effect.catchAll(
    withLock(options, () => use),
    (error) => Effect.fail(error._tag === "WorktreeFailed" ? error : found.fail(`${error.message}.`, error._tag === "GitFailed")),
  )
}

/** Hides the directory of worktrees that have no path of their own from `git status` of the tree around it. */
const ignore = ({ place, path }: Found): void => {
  const directory = join(place.root, ".smithers", "worktrees")
  if (!path.startsWith(`${directory}/`)) return
  mkdirSync(directory, { recursive: true })
  const file = join(directory, ".gitignore")
  if (!existsSync(file)) writeFileSync(file, "*\n")
}

const open: WorktreesShape["open"] = (request) =>
  Effect.flatMap(find(request), (found) => {
    const { path, git, fail } = found
    const { branch, base = "HEAD" } = request
    const opening = Effect.gen(function* () {
      const listed = listedOf(yield* git(["worktree", "list", "--porcelain"]))
      let own = listed.find((one) => realOf(one.path) === path)
      const elsewhere = listed.find((one) => one.branch === branch && one !== own)
      if (own?.locked === initializing) {
        yield* git(["worktree", "remove", "--force", "--force", "--", path])
        own = undefined
      }
      const isThere = existsSync(path)
      if (own !== undefined && isThere) {
        if (own.branch === branch) return path
        const has = own.branch === undefined ? "no branch" : `the branch ${own.branch}`
        return yield* fail(`it has ${has} checked out, and is to have ${branch}. Check that out there, or name another path.`)
      }
      if (elsewhere !== undefined)
        return yield* fail(
          `the branch ${branch} is checked out in ${elsewhere.path}. Name another branch, or remove that worktree.`,
        )
      if (isThere && !isEmpty(path))
        return yield* fail("the path exists, and is no worktree of this repository. Name another path, or move it away.")
      const hasBranch = (yield* git(["for-each-ref", "--format=%(refname)", `refs/heads/${branch}`]))
        .split("\n")
        .includes(`refs/heads/${branch}`)
      if (!hasBranch) {
        yield* git(["check-ref-format", "--branch", branch]).pipe(
          Effect.catchTag("GitFailed", () => Effect.fail(fail(`${JSON.stringify(branch)} is no name of a branch.`))),
        )
        const commit = (yield* git(["rev-parse", "--verify", "--quiet", "--end-of-options", `${base}^{commit}`], [1, 128])).trim()
        if (commit === "")
          return yield* fail(
            base === "HEAD" ? "the repository has no commit yet. Commit, and resume the run." : `there is no commit ${base}.`,
          )
        yield* git(["branch", "--no-track", "--", branch, commit])
      }
      ignore(found)
      // Forced where git still lists a directory that is gone.
      yield* git(["worktree", "add", ...(own === undefined ? [] : ["--force"]), "--", path, branch])
      return realpathSync(path)
    })
    return locked(found, opening)
  })

const remove: WorktreesShape["remove"] = (request) =>
  Effect.flatMap(find(request), (found) => {
    const { path, git } = found
    const { branch } = request
    const removing = Effect.gen(function* () {
      const own = listedOf(yield* git(["worktree", "list", "--porcelain"])).find((one) => realOf(one.path) === path)
      const kept = (reason: string): Removal => ({ removed: false, path, branch, reason })
      if (own === undefined)
        return existsSync(path) ? kept("it is no worktree of this repository") : { removed: true, path, branch }
      if (own.locked !== undefined && own.locked !== initializing)
        return kept(`it is locked${own.locked === "" ? "" : `: ${own.locked}`}`)
      if (own.branch === undefined) return kept("it has no branch checked out, and its commits may be reached from nowhere else")
      if (existsSync(path) && own.locked === undefined) {
        // Git would ask each submodule, by whatever configuration that has.
        if (/^160000 /m.test(yield* gitIn(path)(["ls-files", "--stage"]))) return kept("it has submodules")
        const left = yield* gitIn(path)(["status", "--porcelain", "--untracked-files=all", "--ignore-submodules=all"])
        const files = left.split("\n").filter((line) => line !== "")
        if (files.length > 0) return kept(`${files.length === 1 ? "a file is" : `${files.length} files are`} not committed`)
      }
      yield* git(["worktree", "remove", "--force", ...(own.locked === undefined ? [] : ["--force"]), "--", path])
      return { removed: true, path, branch }
    })
    return locked(found, removing)
  })

/** Makes worktrees by git. */
export const layer: Layer.Layer<Worktrees> = Layer.succeed(Worktrees, { open, remove })
