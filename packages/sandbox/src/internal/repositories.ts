/**
 * Repositories of git below a root. Whoever runs git in one runs what its settings and hooks name, so no command may change them: neither those of the
 * root nor those of a submodule, a worktree or a clone below it. The look is made when a command starts; what a command creates itself is its own until it ends.
 */
import { closeSync, constants, type Dirent, fstatSync, lstatSync, openSync, readdirSync, readlinkSync } from "node:fs"
import { InvalidPolicy } from "@smithers/core/Isolation"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** A directory as it was last listed. */
interface Listing {
  /** Identifies the state of the directory: no program can set the time of its last change. */
  readonly ctimeMs: number
  readonly ino: number
  readonly subdirectories: ReadonlyArray<string>
  /** Names in it that stand for a repository. */
  readonly repositories: ReadonlyArray<string>
  /** `true` for what is protected whole: a repository without a work tree, and a directory that cannot be looked through. */
  readonly isWhole: boolean
}

/** Listings of a root, by paths from it; `""` is the root. */
type Listings = Map<string, Listing>

/** Listings of the roots that commands were last started in. */
const known = new Map<string, Listings>()
const mostRoots = 8

/** Directories below one root. Beyond, the looks would take seconds. */
const mostDirectories = 500_000

/** Mounts that protect repositories, of one command. */
const mostMounts = 500

/** Bytes of a path from the root. The kernel takes 4,096 of a whole path; a directory below longer ones is protected whole. */
const longestPath = 3000

/** Milliseconds for which the event loop may be held. */
const sliceMs = 8

/** Milliseconds after a change in which another one may have the same time. */
const racyMs = 2000

/** `true` of `.git`, also where a file system ignores case. */
const isGit = (name: string): boolean => name.toLowerCase() === ".git"

/** Names that git itself takes for a directory of its own. */
const parts = ["HEAD", "objects", "refs"]

/** A name that may not be UTF-8 comes with this character, and leads nowhere. */
const unreadable = "\ufffd"

const isDirectory = (directory: string, entry: Dirent): boolean => {
  if (entry.isDirectory()) return true
  if (entry.isFile() || entry.isSymbolicLink()) return false
  // Not each file system says what an entry is.
  return lstatSync(`${directory}/${entry.name}`, { throwIfNoEntry: false })?.isDirectory() === true
}

/** Directories below one whose name is not UTF-8 that are looked through, since that holds the event loop. One with more is protected. */
const mostOdd = 2000

/** `true` if a directory whose name is not UTF-8 holds a repository, or cannot be looked through. */
const holdsRepository = (directory: Buffer, looks = { left: mostOdd }): boolean => {
  if (looks.left-- === 0) return true
  try {
    const names = readdirSync(directory, { encoding: "buffer" })
    const texts = names.map((name) => name.toString("latin1"))
    if (texts.some(isGit) || parts.every((part) => texts.includes(part))) return true
    return names.some((name) => {
      const path = Buffer.concat([directory, Buffer.from("/"), name])
      return lstatSync(path).isDirectory() && holdsRepository(path, looks)
    })
  } catch {
    return true
  }
}

const isGone = (thrown: unknown): boolean =>
  thrown instanceof Error && "code" in thrown && (thrown.code === "ENOENT" || thrown.code === "ENOTDIR")

const whole = { subdirectories: [], repositories: [], isWhole: true } as const

/** Lists a directory. `undefined` for one that is gone. */
const list = (directory: string): Pick<Listing, "subdirectories" | "repositories" | "isWhole"> | undefined => {
  try {
    const entries = readdirSync(directory, { withFileTypes: true })
    // Names can be listed where nothing that they stand for can be reached.
    lstatSync(`${directory}/.`)
    const names = new Set(entries.map(({ name }) => name))
    if (parts.every((part) => names.has(part))) return whole
    const repositories = entries.filter(({ name }) => isGit(name)).map(({ name }) => name)
    const subdirectories = entries
      .filter((entry) => !isGit(entry.name) && !entry.name.includes(unreadable) && isDirectory(directory, entry))
      .map(({ name }) => name)
    const odd = entries.some(({ name }) => name.includes(unreadable))
      ? readdirSync(Buffer.from(directory), { encoding: "buffer" }).filter((name) => name.toString().includes(unreadable))
      : []
    const isOpaque = odd.some((name) => {
      const path = Buffer.concat([Buffer.from(`${directory}/`), name])
      return lstatSync(path).isDirectory() && holdsRepository(path)
    })
    return isOpaque ? whole : { subdirectories, repositories, isWhole: false }
  } catch (thrown) {
    return isGone(thrown) ? undefined : whole
  }
}

/** Looks at a directory, or takes what is known of it where it has not changed. */
const look = (root: string, path: string, before: Listings | undefined): Listing | undefined => {
  const directory = path === "" ? root : `${root}/${path}`
  const now = Date.now()
  try {
    const { ctimeMs, ino } = lstatSync(directory)
    const earlier = before?.get(path)
    if (earlier !== undefined && earlier.ctimeMs === ctimeMs && earlier.ino === ino) return earlier
    const listed = Buffer.byteLength(path) > longestPath ? whole : list(directory)
    return listed && { ...listed, ctimeMs: Math.abs(now - ctimeMs) < racyMs ? Number.NaN : ctimeMs, ino }
  } catch (thrown) {
    return isGone(thrown) ? undefined : { ...whole, ctimeMs: Number.NaN, ino: 0 }
  }
}

const refuse = (problem: string) => new InvalidPolicy({ field: "root", problem })

/**
 * Finds the paths below a root that no command may change, from the root: directories and files `.git`, repositories without a work tree, and directories that
 * cannot be looked through. A directory is read again only after it has changed.
 */
export const find = (root: string): Effect.Effect<ReadonlyArray<string>, InvalidPolicy> =>
  Effect.flatMap(
    Effect.promise(async () => {
      const before = known.get(root)
      const listings: Listings = new Map()
      const found: Array<string> = []
      const left = [""]
      let since = performance.now()
      for (let path = left.pop(); path !== undefined; path = left.pop()) {
        if (performance.now() - since > sliceMs) {
          await new Promise<void>((resolve) => setImmediate(resolve))
          since = performance.now()
        }
        const listing = look(root, path, before)
        if (listing === undefined) continue
        listings.set(path, listing)
        if (listings.size > mostDirectories) return refuse(`has more than ${mostDirectories} directories: name one of them`)
        const prefix = path === "" ? "" : `${path}/`
        if (listing.isWhole) found.push(path)
        for (const name of listing.repositories) found.push(prefix + name)
        for (const name of listing.subdirectories) left.push(prefix + name)
      }
      known.delete(root)
      known.set(root, listings)
      for (const [oldest] of known) if (known.size > mostRoots) known.delete(oldest)
      return found.sort()
    }),
    (found) =>
      found instanceof InvalidPolicy
        ? found
        : found.includes("")
          ? refuse(
              "is a git repository without a work tree, or holds a directory that cannot be looked through beside a name that is not UTF-8: name another directory",
            )
          : Effect.succeed(found),
  )

/** A path that is open, and how it is mounted. */
export interface Held {
  readonly path: string
  readonly fd: number
  /** `true` for a path that no command may change; `false` for the root and for a directory above such a path, which no command may move. */
  readonly isProtected: boolean
}

/** Opens a file without reading it. Node does not name the flag. */
const pathOnly = 0o10000000

const openFlags = pathOnly | constants.O_NOFOLLOW

/** Opens what a path stands for; `undefined` where it is gone or has become a link. */
const open = (path: string): number | undefined => {
  try {
    const fd = openSync(path, openFlags)
    if (!fstatSync(fd).isSymbolicLink()) return fd
    closeSync(fd)
    return undefined
  } catch (thrown) {
    if (isGone(thrown)) return undefined
    throw thrown
  }
}

/** Opens the root and what was found below it. Throws where something is there and cannot be opened. */
const openAll = (root: string, found: ReadonlyArray<string>, held: Map<string, Held>): void => {
  const top = open(root)
  if (top === undefined) return
  held.set("", { path: root, fd: top, isProtected: false })
  for (const path of found) {
    const names = path.split("/")
    for (const at of names.keys()) {
      const here = names.slice(0, at + 1).join("/")
      if (held.has(here)) continue
      const above = held.get(names.slice(0, at).join("/"))
      const fd = above === undefined ? undefined : open(`/proc/self/fd/${above.fd}/${names[at]}`)
      if (fd === undefined) break
      held.set(here, { path: `${root}/${here}`, fd, isProtected: here === path })
      if (held.size > mostMounts) return
    }
  }
}

/**
 * Opens the root and what was found below it, name by name, until the scope closes. A command that runs meanwhile may replace what it has made by a link to anywhere:
 * what is mounted by its descriptor is what was found. Directories above come before what is in them.
 */
export const hold = (root: string, found: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Held>, InvalidPolicy, Scope.Scope> =>
  Effect.gen(function* () {
    const held = yield* Effect.acquireRelease(
      Effect.sync(() => new Map<string, Held>()),
      (opened) =>
        Effect.sync(() => {
          for (const { fd } of opened.values()) closeSync(fd)
        }),
    )
    yield* Effect.try({
      try: () => openAll(root, found, held),
      catch: (thrown) => refuse(`holds a directory that was closed while the command was started: ${String(thrown)}`),
    })
    const top = held.get("")
    if (top === undefined || readlinkSync(`/proc/self/fd/${top.fd}`) !== root) return yield* refuse(`was replaced: ${root}`)
    if (held.size > mostMounts)
      return yield* refuse(`holds more than ${mostMounts} git repositories and directories above them: name one of them`)
    return [...held.values()]
  })
