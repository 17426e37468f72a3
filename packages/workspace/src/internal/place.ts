/**
 * Where the files of a root are saved: the repository of the user whose work tree it is in, or a shadow repository below the root. Nothing here runs git,
 * so that nothing which a repository configures can run.
 */
import { createHash } from "node:crypto"
import { existsSync, lstatSync, readFileSync, realpathSync, statSync } from "node:fs"
import { dirname, join, relative, resolve, sep } from "node:path"

export interface Place {
  /** The root of the task, with symbolic links resolved. */
  readonly root: string
  /** The top of the work tree. */
  readonly top: string
  /** The root from the top, with `/` between and at the end; empty where they are the same. One character per byte. */
  readonly prefix: string
  readonly isShadow: boolean
  /** The directory of git that holds objects and refs. */
  readonly store: string
  /** The directory of git of this work tree, which a linked one has to itself. */
  readonly gitDirectory: string
  /** The directory of what is kept between snapshots of this root. */
  readonly slots: string
}

const text = (file: string): string => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

const realOrUndefined = (path: string): string | undefined => {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

const isRepository = (directory: string): boolean =>
  existsSync(join(directory, "HEAD")) && isDirectory(join(directory, "objects")) && isDirectory(join(directory, "refs"))

/** The directory that holds objects and refs, of the directory of git of a work tree. */
const commonOf = (directory: string): string | undefined => {
  const named = text(join(directory, "commondir")).trim()
  return named === "" ? directory : realOrUndefined(resolve(directory, named))
}

/**
 * `true` if the directory of git that a file `.git` names points back to its work tree. A command of an agent could otherwise have the files of a task saved in
 * any repository of the user.
 */
const pointsBack = (directory: string, top: string): boolean => {
  const worktree = text(join(directory, "gitdir")).trim()
  if (worktree !== "") return realOrUndefined(dirname(resolve(directory, worktree))) === top
  const [, configured = ""] = /^\s*worktree\s*=\s*(.+?)\s*$/m.exec(text(join(directory, "config"))) ?? []
  return configured !== "" && realOrUndefined(resolve(directory, configured)) === top
}

/** The directory of git of a work tree with this top, if it has one that can be trusted. */
const gitDirectoryOf = (top: string): string | undefined => {
  const own = join(top, ".git")
  const stat = lstatSync(own, { throwIfNoEntry: false })
  if (stat === undefined) return undefined
  if (stat.isDirectory()) return own
  if (!stat.isFile()) return undefined
  const [, pointer = ""] = /^gitdir: (.+?)\s*$/m.exec(text(own)) ?? []
  const directory = pointer === "" ? undefined : realOrUndefined(resolve(top, pointer))
  return directory !== undefined && pointsBack(directory, top) ? directory : undefined
}

const keyOf = (top: string, prefix: string): string => createHash("sha256").update(`${top}\0${prefix}`).digest("hex").slice(0, 16)

/** The place of a root without regard to a repository around it. */
export const shadow = (root: string): Place => {
  const store = join(root, ".smithers", "snapshots.git")
  return {
    root,
    top: root,
    prefix: "",
    isShadow: true,
    store,
    gitDirectory: store,
    slots: join(store, "smithers", keyOf(root, "")),
  }
}

/** Finds the work tree that a root is in: the nearest directory above, or itself, with a repository. */
export const find = (root: string): Place | undefined => {
  if (root.split(sep).includes(".git")) return undefined
  for (let top = root; ; top = dirname(top)) {
    const directory = gitDirectoryOf(top)
    const store = directory === undefined ? undefined : commonOf(directory)
    if (directory !== undefined && store !== undefined && isRepository(store)) {
      const below = relative(top, root)
      const prefix = below === "" ? "" : Buffer.from(`${below.split(sep).join("/")}/`, "utf8").toString("latin1")
      return {
        root,
        top,
        prefix,
        isShadow: false,
        store,
        gitDirectory: directory,
        slots: join(store, "smithers", keyOf(top, prefix)),
      }
    }
    if (top === dirname(top)) return undefined
  }
}
