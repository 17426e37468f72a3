/**
 * Files below one directory, for tools whose paths come from a model. A path is walked name by name, each opened below the descriptor of the directory
 * before it (`/proc/self/fd/N/name`), so that no link that is made meanwhile leads outside: comparing resolved texts and opening afterwards does. Links are
 * followed as long as they stay inside. Files are written beside their place and moved there, so that none is ever half written.
 *
 * Without `/proc` (macOS) the directory of a file is resolved, opened without following a link, and compared after; there the sandbox is the boundary.
 */

import {
  closeSync,
  constants,
  type Dirent,
  existsSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync,
} from "node:fs"
import { isAbsolute, join, resolve } from "node:path"
import * as Later from "@smithers/core/Later"
import * as Schema from "effect/Schema"

/** Reasons to refuse a path. */
const problems = {
  outside: "it leads outside the root",
  protected: "it belongs to git, which no tool changes",
  hidden: "the rights of this step hide it",
  "not-a-file": "it is no regular file",
  "not-a-directory": "a part of it is no directory",
  "too-many-links": "its links lead in a circle",
  invalid: "it holds a character that no path has, or nothing",
  missing: "it does not exist",
  "too-large": "it is larger than a tool reads",
} as const

/** A path that a tool does not use. Nothing was read or written. */
export class PathRefused extends Later.TaggedError<PathRefused>()("PathRefused", {
  path: Schema.String,
  reason: Schema.Literal(
    "outside",
    "protected",
    "hidden",
    "not-a-file",
    "not-a-directory",
    "too-many-links",
    "invalid",
    "missing",
    "too-large",
  ),
}) {
  override get message(): string {
    return `${this.path === "" ? "The path" : this.path} is refused: ${problems[this.reason]}.`
  }
}

/** Links that one path may have. The kernel follows as many. */
const mostLinks = 40

/** Bytes of a file that is read whole. */
export const mostBytes = 16 * 1024 * 1024

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
// A FIFO that nobody writes to would block an open without O_NONBLOCK.
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

const hasProc = existsSync("/proc/self/fd")

/** The content of a file, and what tells it from another content at the same path. */
export interface FileContent {
  readonly bytes: Buffer
  /** SHA-256 of the bytes, in hexadecimal. */
  readonly hash: string
  /** Permission bits. */
  readonly mode: number
}

/** A directory that is open, and the names that led to it from the root. */
interface Directory {
  readonly fd: number
  readonly names: ReadonlyArray<string>
}

/** The end of a walk: a directory, and a name in it. The name is `undefined` for the root itself. */
interface Target {
  readonly directory: Directory
  readonly name: string | undefined
}

const codeOf = (thrown: unknown): string | undefined =>
  typeof thrown === "object" && thrown !== null && "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined

/** `.git` as file systems that ignore case, invisible characters, or dots and spaces at the end read it. */
const isGit = (name: string): boolean =>
  name
    .replaceAll(/[\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g, "")
    .replace(/[. ]+$/, "")
    .toLowerCase() === ".git" || /^git~\d+$/i.test(name)

/** Files below a directory. */
export interface ConfinedFiles {
  /** The directory, absolute and without links. */
  readonly root: string
  /** The content of a regular file. */
  readonly read: (path: string) => FileContent
  /** The kind of a path: a regular file that can be read, or a directory. Refuses everything else. */
  readonly kindOf: (path: string) => "file" | "directory"
  /** The file names in a directory, with what they are, in order. */
  readonly list: (path: string) => ReadonlyArray<{ readonly name: string; readonly kind: "file" | "directory" | "link" | "other" }>
  /** Replaces or creates a file; missing directories are made. The permission bits of a replaced file are kept. */
  readonly write: (path: string, bytes: Uint8Array) => void
  /** Removes a regular file. */
  readonly remove: (path: string) => void
  /** The path from the root, as it is shown. Fails as the others do for a path that is refused. */
  readonly resolve: (path: string) => string
}

/** A path below a root as hidden paths are compared: some file systems ignore case. */
const folded = (names: ReadonlyArray<string>): string => names.join("/").toLowerCase()

/** Paths below a root that nothing is read from: a link and what it leads to. */
const hiddenBelow = (root: string, directory: string, hidden: ReadonlyArray<string>): ReadonlyArray<string> =>
  hidden.flatMap((path) => {
    const absolute = resolve(directory, path)
    const found = existsSync(absolute) ? realpathSync(absolute) : absolute
    return [absolute, found].flatMap((one) =>
      [root, resolve(directory)].flatMap((base) => (one.startsWith(`${base}/`) ? [one.slice(base.length + 1)] : [])),
    )
  })

/**
 * Opens files below a directory, except those that are `hidden`: paths from the directory, or absolute ones. Throws where it does not exist; its methods
 * throw `PathRefused`, and what the file system fails with.
 */
export const make = (directory: string, hidden: ReadonlyArray<string> = []): ConfinedFiles => {
  const root = realpathSync(directory)
  const paths = hiddenBelow(root, directory, hidden)
  const covered = paths.map((path) => folded([path]))
  const isHidden = (names: ReadonlyArray<string>): boolean => {
    const path = folded(names)
    return covered.some((one) => path === one || path.startsWith(`${one}/`))
  }
  /** `true` for another name of a hidden file. */
  const isHiddenFile = ({ dev, ino, nlink }: Stats): boolean =>
    nlink > 1 &&
    paths.some((path) => {
      const there = lstatSync(join(root, path), { throwIfNoEntry: false })
      return there !== undefined && there.dev === dev && there.ino === ino
    })

  /** A name below an open directory. */
  const below = ({ fd, names }: Directory, name: string): string =>
    hasProc ? `/proc/self/fd/${fd}/${name}` : join(root, ...names, name)

  /** `true` in a repository of git without a work tree. Its settings name programs, as those of a directory `.git` do. */
  const isRepository = (directory: Directory): boolean =>
    ["HEAD", "objects", "refs"].every((part) => existsSync(below(directory, part)))

  /** Walks a path, and hands over where it ends; every descriptor is closed after that. `isForWriting` makes missing directories. */
  const walk = <A>(path: string, isForWriting: boolean, use: (target: Target) => A): A => {
    const refuse = (reason: PathRefused["reason"]) => new PathRefused({ path, reason })
    if (path === "" || path.includes("\0")) throw refuse("invalid")
    const queue = namesOf(path, refuse)
    const stack: Array<Directory> = [{ fd: openSync(root, directoryFlags), names: [] }]
    const close = (): void => {
      for (const { fd } of stack.splice(0)) closeSync(fd)
    }
    let links = 0
    try {
      for (;;) {
        const here = stack.at(-1) as Directory
        const name = queue.shift()
        if (name === undefined) {
          const own = stack.length > 1 ? stack.pop() : undefined
          if (own === undefined) return use({ directory: here, name: undefined })
          closeSync(own.fd)
          return use({ directory: stack.at(-1) as Directory, name: own.names.at(-1) })
        }
        if (name === "" || name === ".") continue
        if (name === "..") {
          const own = stack.pop()
          if (own === undefined || stack.length === 0) {
            if (own !== undefined) closeSync(own.fd)
            throw refuse("outside")
          }
          closeSync(own.fd)
          continue
        }
        if (isForWriting && isGit(name)) throw refuse("protected")
        if (isHidden([...here.names, name])) throw refuse("hidden")
        const link = linkAt(below(here, name))
        if (link !== undefined) {
          if (++links > mostLinks) throw refuse("too-many-links")
          if (isAbsolute(link)) {
            const rest = namesOf(link, refuse)
            for (const { fd } of stack.splice(1)) closeSync(fd)
            queue.unshift(...rest)
          } else queue.unshift(...link.split("/"))
          continue
        }
        if (isForWriting && isRepository(here)) throw refuse("protected")
        const isLast = queue.every((rest) => rest === "" || rest === ".")
        if (isLast) {
          // A path that ends in a slash means a directory; what it is is looked at where it is used.
          return use({ directory: here, name })
        }
        stack.push({ fd: enter(here, name, isForWriting, refuse), names: [...here.names, name] })
      }
    } finally {
      close()
    }
  }

  /** The names of a path from the root: an absolute one has to begin with the root. */
  const namesOf = (path: string, refuse: (reason: PathRefused["reason"]) => PathRefused): Array<string> => {
    if (!isAbsolute(path)) return path.split("/")
    if (path !== root && !path.startsWith(`${root}/`)) throw refuse("outside")
    return path.slice(root.length + 1).split("/")
  }

  const enter = (
    here: Directory,
    name: string,
    isForWriting: boolean,
    refuse: (reason: PathRefused["reason"]) => PathRefused,
  ): number => {
    const target = below(here, name)
    const open = (): number => {
      try {
        const fd = openSync(target, directoryFlags)
        if (hasProc || isSame(fd, target)) return fd
        closeSync(fd)
      } catch (thrown) {
        const code = codeOf(thrown)
        if (code === "ENOENT") throw refuse("missing")
        // Either a file, or a link that was made after the check for links.
        if (code === "ENOTDIR") throw refuse(linkAt(target) === undefined ? "not-a-directory" : "outside")
        if (code !== "ELOOP") throw thrown
      }
      throw refuse("outside")
    }
    if (!isForWriting || lstatSync(target, { throwIfNoEntry: false }) !== undefined) return open()
    try {
      mkdirSync(target)
    } catch (made) {
      if (codeOf(made) !== "EEXIST") throw made
    }
    return open()
  }

  const openFile = (
    { directory: here, name }: Target,
    refuse: (reason: PathRefused["reason"]) => PathRefused,
  ): { readonly fd: number; readonly stat: Stats } => {
    if (name === undefined) throw refuse("not-a-file")
    const target = below(here, name)
    let fd: number
    try {
      fd = openSync(target, readFlags)
    } catch (thrown) {
      const code = codeOf(thrown)
      if (code === "ENOENT") throw refuse("missing")
      if (code === "ELOOP") throw refuse("outside")
      if (code === "ENXIO") throw refuse("not-a-file")
      throw thrown
    }
    const stat = fstatSync(fd)
    if (stat.isFile() && (hasProc || isSame(fd, target)) && !isHiddenFile(stat)) return { fd, stat }
    closeSync(fd)
    throw refuse(stat.isFile() && isHiddenFile(stat) ? "hidden" : "not-a-file")
  }

  const shownPath = ({ directory: { names }, name }: Target): string =>
    [...names, ...(name === undefined ? [] : [name])].join("/") || "."

  return {
    root,
    resolve: (path) => walk(path, false, shownPath),
    read: (path) =>
      walk(path, false, (target) => {
        const refuse = (reason: PathRefused["reason"]) => new PathRefused({ path, reason })
        const { fd, stat } = openFile(target, refuse)
        try {
          if (stat.size > mostBytes) throw refuse("too-large")
          const bytes = readAll(fd, refuse)
          return { bytes, hash: hashOf(bytes), mode: stat.mode & 0o777 }
        } finally {
          closeSync(fd)
        }
      }),
    kindOf: (path) =>
      walk(path, false, (target) => {
        const refuse = (reason: PathRefused["reason"]) => new PathRefused({ path, reason })
        const { directory: here, name } = target
        if (name === undefined) return "directory"
        const stat = lstatSync(below(here, name), { throwIfNoEntry: false })
        if (stat === undefined) throw refuse("missing")
        if (stat.isDirectory()) return "directory"
        const { fd } = openFile(target, refuse)
        closeSync(fd)
        if (stat.size > mostBytes) throw refuse("too-large")
        return "file"
      }),
    list: (path) =>
      walk(path, false, (target) => {
        const refuse = (reason: PathRefused["reason"]) => new PathRefused({ path, reason })
        const { directory: here, name } = target
        const fd = name === undefined ? undefined : enter(here, name, false, refuse)
        try {
          const entries = readdirSync(hasProc ? `/proc/self/fd/${fd ?? here.fd}` : join(root, ...here.names, name ?? ""), {
            withFileTypes: true,
          })
          return entries
            .map((entry) => ({ name: entry.name, kind: kindOf(entry) }))
            .sort((left, right) => (left.name < right.name ? -1 : left.name > right.name ? 1 : 0))
        } finally {
          if (fd !== undefined) closeSync(fd)
        }
      }),
    remove: (path) =>
      walk(path, true, (target) => {
        const { fd } = openFile(target, (reason) => new PathRefused({ path, reason }))
        closeSync(fd)
        if (target.name !== undefined) unlinkSync(below(target.directory, target.name))
      }),
    write: (path, bytes) =>
      walk(path, true, ({ directory: here, name }) => {
        const refuse = (reason: PathRefused["reason"]) => new PathRefused({ path, reason })
        if (name === undefined || path.endsWith("/")) throw refuse("not-a-file")
        const target = below(here, name)
        const before = lstatSync(target, { throwIfNoEntry: false })
        // A link would have been followed: one that is there now came meanwhile, and is replaced and not followed.
        if (before !== undefined && !before.isFile() && !before.isSymbolicLink()) throw refuse("not-a-file")
        const mode = before?.isFile() === true ? before.mode & 0o777 : 0o666
        const temporary = below(here, `.smithers-${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}.tmp`)
        const fd = openSync(temporary, createFlags, mode)
        let isMoved = false
        try {
          for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written)
          if (before?.isFile() === true) fchmodSync(fd, mode)
          renameSync(temporary, target)
          isMoved = true
        } finally {
          closeSync(fd)
          if (!isMoved) unlinkSync(temporary)
        }
      }),
  }
}

/** The target of a link; `undefined` if there is none at this path. */
const linkAt = (target: string): string | undefined => {
  try {
    return readlinkSync(target)
  } catch {
    return undefined
  }
}

const kindOf = (entry: Dirent): "file" | "directory" | "link" | "other" =>
  entry.isFile() ? "file" : entry.isDirectory() ? "directory" : entry.isSymbolicLink() ? "link" : "other"

/** `true` if what was opened is what stands at a path, and that is no link. */
const isSame = (fd: number, path: string): boolean => {
  const [opened, there] = [fstatSync(fd), lstatSync(path, { throwIfNoEntry: false })]
  return there !== undefined && opened.ino === there.ino && opened.dev === there.dev && !there.isSymbolicLink()
}

/** Reads to the end, also of a file that grows meanwhile, up to the bound. */
const readAll = (fd: number, refuse: (reason: PathRefused["reason"]) => PathRefused): Buffer => {
  const chunks: Array<Buffer> = []
  let total = 0
  for (;;) {
    const chunk = Buffer.allocUnsafe(256 * 1024)
    const count = readSync(fd, chunk, 0, chunk.length, null)
    if (count === 0) return Buffer.concat(chunks)
    total += count
    if (total > mostBytes) throw refuse("too-large")
    chunks.push(chunk.subarray(0, count))
  }
}

/** SHA-256 of bytes, in hexadecimal. */
export const hashOf = (bytes: Uint8Array): string =>
  // Loaded with the first file: most programs that import a tool use none.
  process.getBuiltinModule("node:crypto").createHash("sha256").update(bytes).digest("hex")
