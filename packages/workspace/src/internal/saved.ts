/**
 * Brings an index in step with the files below a root. What is saved: files that the user's git tracks, and files that it does not ignore; without secrets,
 * large files, repositories below the root, databases in use and what is no file.
 */
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
} from "node:fs"
import { dirname, join } from "node:path"
import { isSecretFile } from "@smithers/core/SecretFiles"
import type { NoGit, SkipReason } from "@smithers/core/Workspaces"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Git from "./git.ts"
import { fileOf, type Repository, textOfFile } from "./repository.ts"
import * as Rules from "./rules.ts"
import * as SecretContent from "./secretContent.ts"

/** Bounds of what is saved. */
export interface Limits {
  /** Bytes above which a file is left out, except where the user's git tracks it. Default: 50 MB. */
  readonly largeFileBytes: number
  /** New files of one snapshot, beyond which it fails: a folder such as `node_modules` is missing in `.gitignore`. Default: 20,000. */
  readonly newFiles: number
  /** Bytes of new files of one snapshot. Default: 2 GB. */
  readonly newBytes: number
}

export const defaultLimits: Limits = { largeFileBytes: 50_000_000, newFiles: 20_000, newBytes: 2_000_000_000 }

/** More new files than a snapshot takes. */
export class TooMuch extends Data.TaggedError("TooMuch")<{ readonly problem: string }> {}

/** A path that is left out, one character per byte, from the top. */
export interface Left {
  readonly path: string
  readonly reason: SkipReason
}

type Failure = Git.GitFailed | NoGit | TooMuch

/** Pathspec of the root. */
const below = (repository: Repository): ReadonlyArray<string> =>
  repository.place.prefix === "" ? [] : ["--", Git.textOf(repository.place.prefix)]

/** A part of a path beyond which the loop of the process takes a turn. */
const partOf = 500

const inParts = <A>(items: ReadonlyArray<A>, each: (item: A) => void): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let at = 0; at < items.length; at += partOf) {
      for (const item of items.slice(at, at + partOf)) each(item)
      if (at + partOf < items.length) yield* Effect.yieldNow()
    }
  })

/** An entry of the user's index. */
interface Entry {
  readonly tag: string
  readonly mode: string
  readonly object: string
  readonly path: string
}

const userIndexOf = (repository: Repository): string => join(repository.place.gitDirectory, "index")

const hasUserIndex = (repository: Repository): boolean =>
  !repository.place.isShadow && statSync(userIndexOf(repository), { throwIfNoEntry: false })?.isFile() === true

/** A split index stands in two files, of which one has a name that git looks for in its own directory. */
const linkSharedIndexes = (repository: Repository): void => {
  for (const name of readdirSync(repository.place.gitDirectory)) {
    const link = join(repository.temporary, name)
    if (name.startsWith("sharedindex.") && !existsSync(link)) symlinkSync(join(repository.place.gitDirectory, name), link)
  }
}

/** Reads the user's index. Of one that git cannot read nothing is known. */
const readUserIndex = (repository: Repository, args: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, NoGit> => {
  if (!hasUserIndex(repository)) return Effect.succeed([])
  const listed = repository.git(["ls-files", "-z", ...args, ...below(repository)], { index: userIndexOf(repository) })
  return listed.pipe(
    Effect.catchTag("GitFailed", () =>
      Effect.zipRight(
        Effect.sync(() => linkSharedIndexes(repository)),
        listed,
      ),
    ),
    Effect.map(Git.partsOf),
    Effect.catchTag("GitFailed", () => Effect.succeed([])),
  )
}

const entriesOf = (repository: Repository): Effect.Effect<ReadonlyArray<Entry>, NoGit> =>
  Effect.map(readUserIndex(repository, ["-v", "-s"]), (lines) =>
    lines.map((line) => {
      const [tag = "", mode = "", object = ""] = line.split(" ", 3)
      return { tag, mode, object, path: line.slice(line.indexOf("\t") + 1) }
    }),
  )

/** Attributes by which git stores other bytes than a file has. */
const conversion = /(?:^|\s)[-!]?(?:text|crlf|eol|filter|ident|working-tree-encoding)\b/m

const converts = (repository: Repository, entries: ReadonlyArray<Entry>): boolean =>
  repository.convertsAll ||
  [
    ...repository.attributeFiles,
    ...entries.filter(({ path }) => /(?:^|\/)\.gitattributes$/.test(path)).map(({ path }) => fileOf(repository, path)),
  ].some((file) => conversion.test(textOfFile(file)))

/** Copies an index with its time, since git compares the times of files with it: what was written in the same tick is looked into. */
const copyIndex = (from: string, to: string): void => {
  const { mtimeNs } = statSync(from, { bigint: true })
  copyFileSync(from, to)
  // Never later than it was.
  const seconds = (Number(mtimeNs / 1000n) - 1) / 1e6
  utimesSync(to, seconds, seconds)
}

/**
 * Starts an index. A copy knows which files are unchanged, so that they are not read: of another run of this root, or of the user's where that holds the bytes
 * of the files. Where neither is so, the first snapshot reads all files.
 */
export const start = (repository: Repository, index: string, another: string | undefined): Effect.Effect<void, Failure> =>
  Effect.gen(function* () {
    if (another !== undefined) {
      const isCopied = yield* Effect.sync(() => {
        try {
          copyIndex(another, index)
          return true
        } catch {
          // It is in use, or gone.
          return false
        }
      })
      if (isCopied) return
    }
    const entries = yield* entriesOf(repository)
    // Git is told of some entries not to look at their files, or they stand for whole directories that are not there.
    if (entries.length === 0 || entries.some(({ tag }) => tag !== "H" && tag !== "M") || converts(repository, entries)) return
    const isSplit = readdirSync(repository.place.gitDirectory).some((name) => name.startsWith("sharedindex."))
    if (isSplit) return
    yield* Effect.try({
      try: () => copyIndex(userIndexOf(repository), index),
      catch: (thrown) => new Git.GitFailed({ command: "add", problem: String(thrown) }),
    })
    const all = repository.place.prefix === "" ? entries : undefined
    const listed =
      all ?? Git.partsOf(yield* repository.git(["ls-files", "-z"], { index })).map((path) => ({ tag: "H", mode: "", path }))
    const { prefix } = repository.place
    const links = new Set(entries.filter(({ mode, tag }) => mode === "160000" || tag === "M").map(({ path }) => path))
    const foreign = listed
      .map(({ path }) => path)
      .filter((path) => !path.startsWith(prefix) || links.has(path) || isSecretFile(path) || Rules.isOfRuntime(path))
    yield* remove(repository, index, [...new Set(foreign)])
  })

const remove = (repository: Repository, index: string, paths: ReadonlyArray<string>): Effect.Effect<void, Git.GitFailed | NoGit> =>
  paths.length === 0
    ? Effect.void
    : Effect.asVoid(repository.git(["update-index", "-z", "--force-remove", "--stdin"], { index, stdin: Git.asInput(paths) }))

/** Adds or renews entries. A path that is gone loses its entry. */
const add = (
  repository: Repository,
  index: string,
  paths: ReadonlyArray<string>,
): Effect.Effect<ReadonlyArray<Left>, Git.GitFailed | NoGit> =>
  Effect.gen(function* () {
    if (paths.length === 0) return []
    const args = ["update-index", "-z", "--add", "--replace", "--remove", "--stdin"]
    return yield* repository.git(args, { index, stdin: Git.asInput(paths) }).pipe(
      Effect.as<ReadonlyArray<Left>>([]),
      Effect.catchTag("GitFailed", (failed) => {
        const left = paths.filter((path) => !isReadable(fileOf(repository, path)))
        if (left.length === 0) return Effect.fail(failed)
        const others = new Set(left)
        const input = Git.asInput(paths.filter((path) => !others.has(path)))
        return Effect.zipRight(remove(repository, index, left), repository.git(args, { index, stdin: input })).pipe(
          Effect.as(left.map((path): Left => ({ path, reason: "unreadable" }))),
        )
      }),
    )
  })

const isReadable = (file: Buffer): boolean => {
  try {
    if (lstatSync(file).isFile()) accessSync(file, constants.R_OK)
    return true
  } catch (thrown) {
    return !(thrown instanceof Error && "code" in thrown && thrown.code === "EACCES")
  }
}

/** `true` if the directory of a file is where its path says, and no link leads away from it. */
const isInPlace = (repository: Repository, path: string): boolean => {
  try {
    const directory = dirname(path)
    const expected = directory === "." ? Buffer.from(repository.place.top) : fileOf(repository, directory)
    return Buffer.compare(realpathSync(expected, { encoding: "buffer" }), expected) === 0
  } catch {
    return false
  }
}

interface Found {
  /** Entries whose files are gone. */
  readonly gone: ReadonlyArray<string>
  /** Entries whose files differ, or have been touched. */
  readonly changed: ReadonlyArray<string>
  /** Files without an entry, that git does not ignore; with `/` at the end repositories. */
  readonly others: ReadonlyArray<string>
  /** Entries that git ignores. */
  readonly ignored: ReadonlyArray<string>
  /** Files that git ignores and the user's index has all the same. */
  readonly tracked: ReadonlyArray<string>
}

/** Compares an index with the files. */
const look = (repository: Repository, index: string): Effect.Effect<Found, Git.GitFailed | NoGit> =>
  Effect.gen(function* () {
    const patterns = Rules.runtimePatterns.flatMap((pattern) => ["-x", pattern])
    const [differing, others, ignored, tracked] = yield* Effect.all(
      [
        repository.git(["diff-files", "-z", "--raw"], { index }),
        repository.git(["ls-files", "-z", "-o", "--exclude-standard", ...patterns, ...below(repository)], { index }),
        repository.git(["ls-files", "-z", "-c", "-i", "--exclude-standard"], { index }),
        readUserIndex(repository, ["-c", "-i", "--exclude-standard"]),
      ],
      { concurrency: "unbounded" },
    )
    const parts = Git.partsOf(differing)
    const gone: Array<string> = []
    const changed = new Set<string>()
    for (let at = 0; at + 1 < parts.length; at += 2) {
      const path = parts[at + 1] ?? ""
      if (parts[at]?.endsWith(" D") === true) gone.push(path)
      else changed.add(path)
    }
    return {
      gone: gone.filter((path) => !changed.has(path)),
      changed: [...changed],
      others: Git.partsOf(others),
      ignored: Git.partsOf(ignored),
      tracked,
    }
  })

/** Bytes of the largest pointer by which a filter stands for the content of a file. */
const pointerBytes = 1024

/** What the user's git tracks, read where it matters. */
const trackedBy = (repository: Repository) =>
  Effect.cached(Effect.map(entriesOf(repository), (entries) => new Map(entries.map(({ path, object }) => [path, object]))))

/** What a comparison means for an index. */
interface Decided {
  readonly removed: ReadonlyArray<string>
  readonly added: ReadonlyArray<string>
  readonly left: ReadonlyArray<Left>
}

const decide = (
  repository: Repository,
  found: Found,
  { limits, keepsIgnored = false, written = new Set(), without = () => Effect.succeed(new Set()) }: Options,
): Effect.Effect<Decided, Failure> =>
  Effect.gen(function* () {
    const tracked = yield* trackedBy(repository)
    const isTracked = new Set(found.tracked)
    const hasEntry = new Set(found.ignored)
    const removed = new Set(found.gone)
    if (!keepsIgnored) for (const path of found.ignored) if (!isTracked.has(path)) removed.add(path)
    const added: Array<string> = []
    const left = new Map<string, SkipReason>()
    const sizes = new Map<string, number>()
    const all = [...found.others, ...found.tracked.filter((path) => !hasEntry.has(path) && isInPlace(repository, path))]
    const ignored = all.length === 0 ? new Set<string>() : yield* without(all)
    const news = all.filter((path) => !ignored.has(path))
    // A database in use is torn where its file is copied, and broken where it is replaced.
    const databases = new Set<string>()
    for (const path of [...news, ...found.changed]) {
      const database = Rules.databaseOf(path)
      if (database !== undefined && existsSync(fileOf(repository, database))) databases.add(database).add(path)
    }
    const isInUse = (path: string): boolean =>
      databases.has(path) ||
      (Rules.isDatabaseName(path) && Rules.besideDatabase(path).some((one) => existsSync(fileOf(repository, one))))
    const weigh = (path: string, isNew: boolean): void => {
      if (removed.has(path) || Rules.isOfRuntime(path)) return
      const leave = (reason: SkipReason): void => {
        left.set(path.replace(/\/$/, ""), reason)
        if (!isNew) removed.add(path)
      }
      if (path.endsWith("/")) return leave("repository")
      if (isSecretFile(path)) return leave("secret")
      if (isInUse(path)) return leave("database")
      const stat = lstatSync(fileOf(repository, path), { throwIfNoEntry: false })
      if (stat === undefined || stat.isDirectory()) {
        if (!isNew) removed.add(path)
        return
      }
      if (!stat.isFile() && !stat.isSymbolicLink()) return leave("special")
      sizes.set(path, stat.size)
      added.push(path)
    }
    yield* inParts(news, (path) => weigh(path, true))
    const newOnes = added.length
    yield* inParts(found.changed, (path) => weigh(path, false))
    for (const path of databases) {
      left.set(path, "database")
      if (!news.includes(path)) removed.add(path)
    }

    const large = added.filter((path) => (sizes.get(path) ?? 0) > limits.largeFileBytes)
    const tooLarge = new Set<string>()
    if (large.length > 0) {
      const known = yield* tracked
      const objects = large.flatMap((path) => known.get(path) ?? [])
      const checked = yield* repository.git(["cat-file", "--batch-check=%(objectname) %(objectsize)"], {
        stdin: objects.map((object) => `${object}\n`).join(""),
      })
      const pointers = new Set(
        Git.bytesOf(checked)
          .split("\n")
          .map((line) => line.split(" "))
          .filter(([, size]) => Number(size) <= pointerBytes)
          .map(([object]) => object),
      )
      for (const path of large) {
        const object = known.get(path)
        if (object !== undefined && !pointers.has(object)) continue
        tooLarge.add(path)
        left.set(path, "large")
        removed.add(path)
      }
    }
    const holders = yield* SecretContent.among(
      repository,
      added.filter((path) => !written.has(path)),
    )
    for (const path of holders) {
      left.set(path, "secret")
      removed.add(path)
    }
    const kept = added.filter((path) => !tooLarge.has(path) && !holders.has(path))
    const bytes = added.slice(0, newOnes).reduce((sum, path) => sum + (tooLarge.has(path) ? 0 : (sizes.get(path) ?? 0)), 0)
    if (newOnes > limits.newFiles || bytes > limits.newBytes) {
      const known = yield* tracked
      const fresh = added.slice(0, newOnes).filter((path) => !known.has(path) && !tooLarge.has(path))
      const freshBytes = fresh.reduce((sum, path) => sum + (sizes.get(path) ?? 0), 0)
      if (fresh.length > limits.newFiles || freshBytes > limits.newBytes)
        return yield* new TooMuch({ problem: tooMuch(fresh, freshBytes, limits) })
    }
    const doomed = [...removed]
    return {
      removed: doomed,
      added: kept.filter((path) => !removed.has(path)),
      left: [...left].map(([path, reason]) => ({ path, reason })),
    }
  })

/** The directory at the top that holds most of the new files, and what to do about it. */
const tooMuch = (fresh: ReadonlyArray<string>, bytes: number, limits: Limits): string => {
  const counts = new Map<string, number>()
  for (const path of fresh) {
    const folder = path.includes("/") ? `${path.slice(0, path.indexOf("/"))}/` : "."
    counts.set(folder, (counts.get(folder) ?? 0) + 1)
  }
  const [most = ".", number = 0] = [...counts].sort(([, left], [, right]) => right - left)[0] ?? []
  const bound =
    fresh.length > limits.newFiles
      ? `${fresh.length} new files are more than the ${limits.newFiles} of a snapshot`
      : `New files of ${bytes} bytes are more than the ${limits.newBytes} of a snapshot`
  return `${bound}; ${number} of them are below ${Git.textOf(most)}. Name in .gitignore what is not to be saved, or give the task a smaller root.`
}

export interface Saved {
  readonly tree: string
  readonly left: ReadonlyArray<Left>
}

export interface Options {
  readonly limits: Limits
  /** Keeps entries that git ignores: a restore wrote them. Default: `false`. */
  readonly keepsIgnored?: boolean
  /** Files that a restore wrote from a snapshot: they are saved, also if they hold a secret. Default: none. */
  readonly written?: ReadonlySet<string>
  /** Says which new files are not saved, besides those that git ignores. Default: none. */
  readonly without?: Ignores
  /** Further paths to save, whatever the rules say of them. */
  readonly also?: ReadonlyArray<string>
}

/** Says which of some paths are ignored. */
export type Ignores = (paths: ReadonlyArray<string>) => Effect.Effect<ReadonlySet<string>, Git.GitFailed | NoGit>

/** Brings an index in step with the files, and writes its tree. */
export const save = (repository: Repository, index: string, options: Options): Effect.Effect<Saved, Failure> =>
  Effect.gen(function* () {
    const found = yield* look(repository, index)
    const decided = yield* decide(repository, found, options)
    yield* remove(repository, index, decided.removed)
    const unreadable = yield* add(repository, index, decided.added)
    yield* add(repository, index, options.also ?? [])
    return { tree: yield* treeOf(repository, index), left: [...decided.left, ...unreadable] }
  })

/** Writes the tree of an index. */
const treeOf = (repository: Repository, index: string): Effect.Effect<string, Git.GitFailed | NoGit> =>
  Effect.map(repository.git(["write-tree"], { index }), (output) => Git.bytesOf(output).trim())

/** Takes entries out of an index, and writes its tree. */
export const drop = (
  repository: Repository,
  index: string,
  paths: ReadonlyArray<string>,
): Effect.Effect<string, Git.GitFailed | NoGit> => Effect.zipRight(remove(repository, index, paths), treeOf(repository, index))

/** Like `save`; an index that git cannot work with is started again, without a copy. */
export const saveAnew = (repository: Repository, index: string, options: Options): Effect.Effect<Saved, Failure> =>
  Effect.catchTag(save(repository, index, options), "GitFailed", () =>
    Effect.zipRight(
      Effect.sync(() => {
        rmSync(index, { force: true })
        rmSync(`${index}.lock`, { force: true })
      }),
      save(repository, index, options),
    ),
  )
