/**
 * The identity of a workspace: its root directory and, in a git work tree, the state of its files. A conversation is continued only
 * in the workspace it was about. Nothing of git's is written, and nothing runs that a repository names.
 */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { lstatSync, readFileSync, realpathSync } from "node:fs"
import * as fs from "node:fs/promises"
import { homedir, tmpdir } from "node:os"
import * as path from "node:path"
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

/** A work tree of git. */
interface WorkTree {
  readonly top: string
  /** The directory of git of this work tree. */
  readonly directory: string
  /** The directory with the objects and refs, which linked work trees share. */
  readonly shared: string
}

const textOf = (file: string): string => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

const realOrUndefined = (file: string): string | undefined => {
  try {
    return realpathSync(file)
  } catch {
    return undefined
  }
}

/** `true` if a directory of git says that this work tree is its own: a file `.git` that an agent has made could name any repository. */
const pointsBack = (directory: string, top: string): boolean => {
  const worktree = textOf(path.join(directory, "gitdir")).trim()
  if (worktree !== "") return realOrUndefined(path.dirname(path.resolve(directory, worktree))) === top
  const [, configured = ""] = /^\s*worktree\s*=\s*(.+?)\s*$/m.exec(textOf(path.join(directory, "config"))) ?? []
  return configured !== "" && realOrUndefined(path.resolve(directory, configured)) === top
}

/** The work tree with this top; `undefined` where there is none. */
const workTreeAt = (top: string): WorkTree | undefined => {
  const own = path.join(top, ".git")
  const isFile = lstatSync(own).isFile()
  const [, pointer] = /^gitdir: (.+?)\s*$/m.exec(isFile ? textOf(own) : "") ?? []
  // A sandbox belongs to no repository, which such a file says.
  if (isFile && pointer === undefined) return undefined
  const directory = realOrUndefined(pointer === undefined ? own : path.resolve(top, pointer))
  if (directory === undefined || (pointer !== undefined && !pointsBack(directory, top))) return undefined
  const shared = textOf(path.join(directory, "commondir")).trim()
  return { top, directory, shared: path.resolve(directory, shared) }
}

/** The work tree that a directory is in. */
const workTreeOf = (root: string): WorkTree | undefined => {
  for (let here = root; ; here = path.dirname(here)) {
    if (lstatSync(path.join(here, ".git"), { throwIfNoEntry: false }) !== undefined) return workTreeAt(here)
    if (here === path.dirname(here)) return undefined
  }
}

/** Runs git in a directory. Gives its output, or `undefined` if it fails. */
const git = (cwd: string, env: NodeJS.ProcessEnv, ...args: ReadonlyArray<string>): Promise<string | undefined> =>
  new Promise((resolve) => {
    const options = { cwd, timeout: gitTimeoutMs, maxBuffer: mostBytes, env: { ...basic(), ...env }, encoding: "utf8" } as const
    execFile("git", [...args], options, (error, stdout) => resolve(error === null ? stdout : undefined))
  })

/** Neither relative directories of the PATH, where an agent could put a program, nor variables that git obeys. */
const basic = (): NodeJS.ProcessEnv => ({
  PATH: (process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin")
    .split(":")
    .filter((part) => part.startsWith("/"))
    .join(":"),
  LC_ALL: "C",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_TERMINAL_PROMPT: "0",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_ATTR_NOSYSTEM: "1",
  // Objects that a partial clone lacks are never fetched: that runs programs which its settings name.
  GIT_NO_LAZY_FETCH: "1",
  GIT_ALLOW_PROTOCOL: "none",
})

/** Settings that decide which files count as changed, and run nothing, with the values they can have. */
const harmless: { readonly [key: string]: RegExp } = {
  "core.filemode": /^(?:true|false)$/i,
  "core.ignorecase": /^(?:true|false)$/i,
  "core.symlinks": /^(?:true|false)$/i,
  "core.precomposeunicode": /^(?:true|false)$/i,
  "core.trustctime": /^(?:true|false)$/i,
  "core.checkstat": /^(?:default|minimal)$/i,
  "core.autocrlf": /^(?:true|false|input)$/i,
  "core.eol": /^(?:lf|crlf|native)$/i,
  "extensions.objectformat": /^[a-z0-9]+$/i,
}

const home = (): string => process.env.HOME ?? homedir()

/** The file of the user's ignore patterns. Only the settings of the user are read, and they run nothing. */
const ignoreFile = (): Promise<string> => {
  const asked = git("/", { HOME: home() }, "config", "--global", "--type=path", "--get", "core.excludesFile")
  const configHome = process.env.XDG_CONFIG_HOME ?? path.join(home(), ".config")
  return asked.then((named) => named?.trim() || path.join(configHome, "git", "ignore"))
}

const quoted = (value: string): string => `"${value.replace(/[\\"]/g, "\\$&")}"`

/** The settings under which git looks at a work tree: none of a repository that names a program is among them. */
const settingsOf = (listed: string, ignored: string): string => {
  const entries = listed.split("\0").flatMap((entry) => {
    const [key = "", value = "true"] = entry.split("\n")
    return harmless[key]?.test(value) === true ? [[key, value] as const] : []
  })
  const isOther = entries.some(([key]) => key === "extensions.objectformat")
  return [
    `[core]\n\trepositoryformatversion = ${isOther ? 1 : 0}\n\tbare = false\n\tfsmonitor = false\n\tuntrackedCache = false`,
    `\thooksPath = /dev/null\n\tattributesFile = /dev/null\n\texcludesFile = ${quoted(ignored)}`,
    ...entries.map(([key, value]) => `[${key.split(".")[0]}]\n\t${key.split(".")[1]} = ${value}`),
    "",
  ].join("\n")
}

/**
 * Looks at a work tree with a directory of git made for this look: the index and the objects are those of the work tree, and neither its settings nor those of the
 * user are in force. So no hook, filter, monitor or helper runs that a repository names. Gives the commit and what `git status` says, or `undefined` where git fails.
 */
const look = async (root: string, tree: WorkTree): Promise<{ readonly head: string; readonly status: string } | undefined> => {
  const own = { GIT_DIR: tree.directory }
  const [head, listed = "", ignored] = await Promise.all([
    git("/", own, "rev-parse", "--verify", "-q", "HEAD"),
    git("/", { ...own, HOME: home() }, "config", "-z", "--get-regexp", "^(core|extensions)\\."),
    ignoreFile(),
  ])
  const temporary = await fs.mkdtemp(path.join(tmpdir(), "smithers-identity-"))
  try {
    await fs.mkdir(path.join(temporary, "refs"))
    await fs.mkdir(path.join(temporary, "info"))
    await fs.writeFile(path.join(temporary, "HEAD"), head ?? "ref: refs/heads/none\n")
    await fs.writeFile(path.join(temporary, "config"), settingsOf(listed, ignored))
    await fs.writeFile(path.join(temporary, "info", "exclude"), textOf(path.join(tree.shared, "info", "exclude")))
    // An index in two files has the name of the other in it.
    for (const name of await fs.readdir(tree.directory))
      if (name.startsWith("sharedindex.")) await fs.symlink(path.join(tree.directory, name), path.join(temporary, name))
    const env = {
      HOME: temporary,
      GIT_DIR: temporary,
      GIT_WORK_TREE: tree.top,
      GIT_INDEX_FILE: path.join(tree.directory, "index"),
      GIT_OBJECT_DIRECTORY: path.join(tree.shared, "objects"),
    }
    const options = ["--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=dirty"]
    const status = await git(root, env, "status", ...options, "--", ".")
    return status === undefined ? undefined : { head: head ?? "no commit", status }
  } finally {
    await fs.rm(temporary, { recursive: true, force: true })
  }
}

/** Reads the state of a workspace. Costs some processes of git, and the reading of changed files. */
export const read = async (root: string): Promise<WorkspaceState> => {
  const real = await fs.realpath(root)
  const { dev, ino, birthtimeMs } = await fs.stat(real)
  const directory = `${dev}:${ino}:${Math.round(birthtimeMs)}`
  const tree = workTreeOf(real)
  const found = tree === undefined ? undefined : await look(real, tree)
  if (tree === undefined || found === undefined) return { root: real, directory }
  const hash = createHash("sha256")
  hash.update(found.head)
  for (const entry of found.status.split("\0")) {
    if (entry === "") continue
    hash.update(`\0${entry}`)
    const name = changedPath(entry)
    if (name !== undefined) hash.update(`\0${await contentOf(path.join(tree.top, name))}`)
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
