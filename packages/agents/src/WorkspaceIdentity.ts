/**
 * The identity of a workspace: its root directory and, in a git work tree, the state of its files. A conversation is continued only
 * in the workspace it was about. Nothing is written: neither the index nor objects of git.
 */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import type { CommandRunnerShape } from "@smithers/core/CommandRunner"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

/** The state of a workspace at one moment. */
export const WorkspaceState = Schema.Struct({
  root: Schema.String,
  /** Identifies the directory itself: another one of the same path has another. */
  directory: Schema.String,
  /** Digest of the commit and of all files that differ from it, without ignored ones; absent outside of git. */
  files: Schema.optional(Schema.String),
})
export interface WorkspaceState extends Schema.Schema.Type<typeof WorkspaceState> {}

/** Largest file whose content counts (bytes). Larger ones count by size and time. */
const largestRead = 4 * 1024 * 1024

/** Longest time that git may take (ms). */
const gitTimeoutMs = 20_000

/** Bytes that git may write. */
const mostBytes = 256 * 1024 * 1024

/** Neither hooks nor helpers of the repository run, as far as git can be told so. */
const careful = [
  "--no-optional-locks",
  ...["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.untrackedCache=false"],
]

/** Runs git in a workspace. Gives its output, or `undefined` if it fails. */
type Git = (root: string, ...args: ReadonlyArray<string>) => Promise<string | undefined>

const asIs: Git = (root, ...args) =>
  new Promise((resolve) => {
    const options = { cwd: root, timeout: gitTimeoutMs, maxBuffer: mostBytes, env: gitEnv(root), encoding: "utf8" } as const
    execFile("git", [...careful, ...args], options, (error, stdout) => resolve(error === null ? stdout : undefined))
  })

/**
 * Runs git as a command of the agent's is run: a repository that the agent has made names programs, such as filters, which git cannot be told to leave
 * alone.
 */
const isolated =
  (commands: CommandRunnerShape): Git =>
  async (root, ...args) => {
    const result = await Effect.runPromise(
      Effect.either(
        commands.run(["git", ...careful, "-c", "safe.directory=*", ...args], {
          policy: { root, isReadOnly: true, env: { GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0" } },
          timeout: gitTimeoutMs,
          keptBytes: mostBytes,
          outputBytes: mostBytes,
        }),
      ),
    )
    // Without isolation no command of an agent has run, and the repository is as it was found.
    if (Either.isLeft(result)) return result.left._tag === "IsolationUnavailable" ? await asIs(root, ...args) : undefined
    return result.right.exitCode === 0 ? result.right.stdout.text : undefined
  }

/** The repository around a directory that is no top of one: the directory itself may become one meanwhile, by a command of an agent. */
const around = (root: string): { readonly GIT_DIR?: string; readonly GIT_WORK_TREE?: string } => {
  if (existsSync(path.join(root, ".git"))) return {}
  for (let here = path.dirname(root); ; here = path.dirname(here)) {
    const directory = path.join(here, ".git")
    if (existsSync(directory)) return { GIT_DIR: directory, GIT_WORK_TREE: here }
    if (here === path.dirname(here)) return {}
  }
}

const gitEnv = (root: string): NodeJS.ProcessEnv => {
  const { GIT_DIR: _, GIT_WORK_TREE: __, GIT_INDEX_FILE: ___, ...env } = process.env
  return { ...env, ...around(root), GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0" }
}

/**
 * Reads the state of a workspace. Costs two processes of git, and the reading of changed files. Where commands are isolated, git is too, in a repository
 * that they can write.
 */
export const read = async (root: string, commands?: CommandRunnerShape): Promise<WorkspaceState> => {
  const real = await fs.realpath(root)
  const git = commands?.isBoundary === true && existsSync(path.join(real, ".git")) ? isolated(commands) : asIs
  const { dev, ino, birthtimeMs } = await fs.stat(real)
  const directory = `${dev}:${ino}:${Math.round(birthtimeMs)}`
  const [head, status] = await Promise.all([
    git(real, "rev-parse", "--verify", "-q", "HEAD"),
    git(real, "status", "--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=dirty", "--", "."),
  ])
  if (status === undefined) return { root: real, directory }
  const top = (await git(real, "rev-parse", "--show-toplevel"))?.trim() ?? real
  const hash = createHash("sha256")
  hash.update(head ?? "no commit")
  for (const entry of status.split("\0")) {
    if (entry === "") continue
    hash.update(`\0${entry}`)
    const name = changedPath(entry)
    if (name !== undefined) hash.update(`\0${await contentOf(path.join(top, name))}`)
  }
  return { root: real, directory, files: hash.digest("hex") }
}

/** The path of an entry of `git status --porcelain=v2 -z`, if it has one. */
const changedPath = (entry: string): string | undefined => {
  const fields = { "1": 8, "2": 9, u: 10, "?": 1 }[entry.charAt(0)]
  return fields === undefined ? undefined : entry.split(" ").slice(fields).join(" ")
}

const contentOf = async (file: string): Promise<string> => {
  try {
    const found = await fs.lstat(file)
    if (found.isSymbolicLink()) return `link ${await fs.readlink(file)}`
    if (!found.isFile()) return "other"
    const mode = found.mode & 0o111
    if (found.size > largestRead) return `${mode} ${found.size} ${found.mtimeMs}`
    return `${mode} ${createHash("sha256")
      .update(await fs.readFile(file))
      .digest("hex")}`
  } catch {
    return "absent"
  }
}
