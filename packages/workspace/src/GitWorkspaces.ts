/**
 * The layer of `Workspaces` by plain git. Snapshots are commits below `refs/smithers/` in the repository that the files are in, without a part of the user's HEAD,
 * index, branches, hooks, filters and configuration; outside of git, in `.smithers/snapshots.git` below the root. Files are saved and restored byte for byte.
 */
import { existsSync, lstatSync, mkdirSync, realpathSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import {
  type ChangedFile,
  type Diff,
  type Identity,
  NoGit,
  type Preview,
  type Restored,
  RestoreIncomplete,
  RestoreRefused,
  type RestoreRequest,
  type Skipped,
  type Snapshot,
  SnapshotMissing,
  type SnapshotRequest,
  WorkspaceFailed,
  Workspaces,
  type WorkspacesShape,
} from "@smithers/core/Workspaces"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Git from "./internal/git.ts"
import * as Ignored from "./internal/ignores.ts"
import { type Difference, differencesOf, overwrites } from "./internal/overwrites.ts"
import * as Place from "./internal/place.ts"
import * as Repositories from "./internal/repository.ts"
import * as Runs from "./internal/runs.ts"
import * as Saved from "./internal/saved.ts"
import * as Slots from "./internal/slots.ts"

type Repository = Repositories.Repository
type Operation = WorkspaceFailed["operation"]

/** Bounds of a snapshot. */
export type Limits = Saved.Limits

/** The oldest git that has all that is used here. */
const oldest = [2, 30] as const

/** Bytes of a patch. Default of `patchBytes`. */
const defaultPatchBytes = 1024 * 1024

/** Times that a restore begins again where files change under it. */
const restoreAttempts = 3

/** The path of a file from the root, for people. */
const fromRoot = (repository: Repository, path: string): string => Git.textOf(path.slice(repository.place.prefix.length))

/** The root with its links resolved, or why there is none. */
const rootOf = (operation: Operation, root: string): Effect.Effect<string, WorkspaceFailed> =>
  Effect.try({
    try: () => {
      const real = realpathSync(root)
      if (!statSync(real).isDirectory()) throw new Error("it is not a directory")
      return real
    },
    catch: (thrown) =>
      new WorkspaceFailed({
        operation,
        root,
        problem: `The root cannot be read: ${thrown instanceof Error ? thrown.message : thrown}.`,
      }),
  })

const failureOf =
  (operation: Operation, root: string) =>
  (failed: Git.GitFailed | Saved.TooMuch): WorkspaceFailed =>
    new WorkspaceFailed({ operation, root, problem: failed._tag === "TooMuch" ? failed.problem : `${failed.message}.` })

/** Makes the shadow repository of a root where it is missing or was left half made. */
const prepare = (repository: Repository): Effect.Effect<void, Git.GitFailed | NoGit> =>
  Effect.gen(function* () {
    const { isShadow, store } = repository.place
    if (!isShadow || ["HEAD", "config", "objects", "refs"].every((name) => existsSync(join(store, name)))) return
    yield* Effect.try({
      try: () => {
        mkdirSync(store, { recursive: true, mode: 0o700 })
        // Whoever makes a repository of the root later does not add it.
        const ignore = join(dirname(store), ".gitignore")
        if (!existsSync(ignore)) writeFileSync(ignore, "snapshots.git/\n")
      },
      catch: (thrown) => new Git.GitFailed({ command: "init", problem: String(thrown) }),
    })
    yield* repository.refs(["init", "--quiet", "--bare", "--template="])
  })

const hasShadow = (place: Place.Place): boolean => existsSync(join(place.store, "refs"))

/** A link in place of the shadow repository would have snapshots written to wherever it leads. */
const isOwn = (place: Place.Place): boolean =>
  [dirname(place.store), place.store].every((path) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true)

/** The places that may hold snapshots of a root, the one for new ones first. */
const placesOf = (root: string): Effect.Effect<ReadonlyArray<Place.Place>, Git.GitFailed | NoGit> =>
  Effect.gen(function* () {
    const found = Place.find(root)
    const shadow = Place.shadow(root)
    if (found === undefined) return isOwn(shadow) ? [shadow] : yield* linked(shadow)
    const older = hasShadow(shadow) && isOwn(shadow) ? [shadow] : []
    if (found.prefix === "") return [found, ...older]
    // Below a directory that git ignores nothing would be saved.
    const answer = yield* Effect.scoped(
      Effect.flatMap(Repositories.open(found), ({ git }) =>
        git(["check-ignore", "--verbose", "--non-matching", "--", `:(top)${Git.textOf(found.prefix)}`], {
          codes: [1],
          isLiteral: false,
        }),
      ),
    )
    const isIgnored = !Git.bytesOf(answer).startsWith("::")
    if (!isIgnored) return [found, ...older]
    return isOwn(shadow) ? [shadow, found] : yield* linked(shadow)
  })

const linked = (shadow: Place.Place): Effect.Effect<never, Git.GitFailed> =>
  Effect.fail(
    new Git.GitFailed({ command: "init", problem: `${shadow.store} or the directory above is a symbolic link: remove it` }),
  )

/** Opens the place of a run: a run stays with the repository that its snapshots are in. */
const openFor = (
  root: string,
  run: Runs.Run,
  options: { readonly isDry?: boolean } = {},
): Effect.Effect<Repository, Git.GitFailed | NoGit, Scope.Scope> =>
  Effect.gen(function* () {
    const [first, ...others] = yield* placesOf(root)
    for (const place of others) {
      const repository = yield* Repositories.open(place, options)
      if ((yield* Runs.lastOf(repository, run)) !== undefined) return repository
    }
    const repository = yield* Repositories.open(first as Place.Place, options)
    if (options.isDry !== true) yield* prepare(repository)
    return repository
  })

interface Commit {
  readonly tree: string
  readonly message: string
}

const commitOf = (repository: Repository, id: string): Effect.Effect<Commit | undefined, Git.GitFailed | NoGit> =>
  Effect.gen(function* () {
    if (!/^[0-9a-f]{40,64}$/.test(id)) return undefined
    if (repository.place.isShadow && !hasShadow(repository.place)) return undefined
    // One call tells a missing commit from a failure.
    const output = Git.bytesOf(yield* repository.git(["cat-file", "--batch"], { stdin: `${id}\n` }))
    const [, tree] = /^[0-9a-f]+ commit \d+\ntree ([0-9a-f]+)\n/.exec(output) ?? []
    return tree === undefined ? undefined : { tree, message: Git.textOf(output.slice(output.indexOf("\n\n") + 2)) }
  })

/** Opens the place that holds a commit. */
const openWith = (
  root: string,
  ids: ReadonlyArray<string>,
  options: { readonly isDry?: boolean } = {},
): Effect.Effect<
  { readonly repository: Repository; readonly commits: ReadonlyArray<Commit> },
  Git.GitFailed | NoGit | SnapshotMissing,
  Scope.Scope
> =>
  Effect.gen(function* () {
    let missing: string | undefined
    for (const place of yield* placesOf(root)) {
      const repository = yield* Repositories.open(place, options)
      const commits = yield* Effect.forEach(ids, (id) => commitOf(repository, id))
      const at = commits.indexOf(undefined)
      if (at === -1) return { repository, commits: commits.filter((one) => one !== undefined) }
      missing ??= ids[at]
    }
    return yield* new SnapshotMissing({ root, snapshot: missing ?? "" })
  })

/** A root has no use for the files of another one. */
const checkRoot = (repository: Repository, { message }: Commit): Effect.Effect<void, Git.GitFailed> => {
  const said = Runs.saidBy(message)
  if (said?.prefix === repository.place.prefix) return Effect.void
  const problem =
    said === undefined
      ? "the commit is no snapshot"
      : `the snapshot is of the directory ${said.prefix === "" ? "at the top" : Git.textOf(said.prefix)} of the repository, and not of this one`
  return Effect.fail(new Git.GitFailed({ command: "read-tree", problem }))
}

/** Adds a tree to the snapshots of a run, except where it is that of the last one. */
const record = (
  repository: Repository,
  run: Runs.Run,
  label: string,
  tree: string,
  last: Runs.Last | undefined,
): Effect.Effect<Runs.Last & { readonly isNew: boolean }, Git.GitFailed | NoGit> =>
  Effect.gen(function* () {
    // One that other stores may give up is saved again.
    if (last !== undefined && last.tree === tree && last.isShared !== true) return { ...last, isNew: false }
    const message = Runs.messageOf(label, { runId: run.runId, prefix: repository.place.prefix })
    const parents = last === undefined ? [] : ["-p", last.commit]
    const written = yield* repository.git(["commit-tree", tree, ...parents], { stdin: Git.bytesOfText(message) })
    const commit = Git.bytesOf(written).trim()
    yield* Runs.advance(repository, run, commit, last)
    return { commit, tree, isNew: true }
  })

const skippedOf = (repository: Repository, left: ReadonlyArray<Saved.Left>): ReadonlyArray<Skipped> =>
  left
    .map(({ path, reason }) => ({ path: fromRoot(repository, path), reason }))
    .sort((one, other) => (one.path < other.path ? -1 : one.path > other.path ? 1 : 0))

const snapshotOf = (
  repository: Repository,
  recorded: Runs.Last & { readonly isNew: boolean },
  left: ReadonlyArray<Saved.Left>,
): Snapshot => ({ ...recorded, isShadow: repository.place.isShadow, skipped: skippedOf(repository, left) })

const differences = (
  repository: Repository,
  from: string,
  to: string,
): Effect.Effect<ReadonlyArray<Difference>, Git.GitFailed | NoGit> =>
  Effect.map(repository.git(["diff-tree", "-r", "-z", "--raw", "--no-renames", from, to]), differencesOf)

const changesOf = (repository: Repository, found: ReadonlyArray<Difference>): Restored["changes"] =>
  found.map(({ path, change }) => ({ path: fromRoot(repository, path), change }))

/** What git says where it refuses a change before it begins with it. */
const isUntouched = (problem: string): boolean =>
  /not uptodate|would (?:lose|overwrite|be overwritten|be removed)|Cannot merge/.test(problem)

/** Writes the files of one tree in place of those of another, in a process that names itself in a file: it may outlive this one. */
const write = (repository: Repository, index: string, from: string, to: string): Effect.Effect<string | undefined, NoGit> => {
  const file = Slots.writerOf(index)
  return repository
    .git(["read-tree", "-m", "-u", from, to], {
      index,
      through: ["/bin/sh", "-c", 'echo "$$ $1" > "$0"; shift; exec "$@"', file, to],
    })
    .pipe(
      Effect.as(undefined),
      Effect.catchTag("GitFailed", ({ problem }) => Effect.succeed(problem)),
      Effect.ensuring(Effect.sync(() => rmSync(file, { force: true }))),
    )
}

const numberOf = (text: string | undefined): number | undefined =>
  text === undefined || text === "-" || text === "" ? undefined : Number(text)

const kinds: { readonly [letter: string]: ChangedFile["change"] } = { A: "added", D: "removed", R: "renamed" }

/** Reads the output of `git diff-tree -r -z -M --raw --numstat`. */
const changedFilesOf = (output: Buffer): ReadonlyArray<ChangedFile> => {
  const parts = Git.partsOf(output)
  const files = new Map<string, ChangedFile>()
  let at = 0
  while (parts[at]?.startsWith(":") === true) {
    const letter = parts[at]?.split(" ").at(-1)?.charAt(0) ?? ""
    const isRenamed = letter === "R"
    const path = Git.textOf(parts[at + (isRenamed ? 2 : 1)] ?? "")
    files.set(path, {
      path,
      change: kinds[letter] ?? "changed",
      ...(isRenamed ? { previousPath: Git.textOf(parts[at + 1] ?? "") } : {}),
    })
    at += isRenamed ? 3 : 2
  }
  while (at < parts.length) {
    const [added, removed, name = ""] = parts[at]?.split("\t") ?? []
    // Renamed files have both paths behind the numbers.
    const path = Git.textOf(name === "" ? (parts[at + 2] ?? "") : name)
    const file = files.get(path)
    const counts = [numberOf(added), numberOf(removed)] as const
    if (file !== undefined && counts[0] !== undefined && counts[1] !== undefined)
      files.set(path, { ...file, added: counts[0], removed: counts[1] })
    at += name === "" ? 3 : 1
  }
  return [...files.values()]
}

/** Fails where git is missing or too old. */
const checkGit: Effect.Effect<void, NoGit | Git.GitFailed> = Effect.gen(function* () {
  const said = Git.bytesOf(yield* Git.run({ args: ["--version"], env: Repositories.basicEnv(), cwd: "/" })).trim()
  const [, major = "0", minor = "0"] = /(\d+)\.(\d+)/.exec(said) ?? []
  const [leastMajor, leastMinor] = oldest
  const isNewer = Number(major) > leastMajor || (Number(major) === leastMajor && Number(minor) >= leastMinor)
  if (!isNewer) return yield* new NoGit({ problem: `this machine has ${said === "" ? "a git that tells no version" : said}` })
})

const identify = (root: string): Effect.Effect<Identity, NoGit | Git.GitFailed> =>
  Effect.map(placesOf(root), ([place]) => ({
    root,
    isGit: place?.isShadow === false,
    top: place?.top ?? root,
    store: place?.store ?? Place.shadow(root).store,
  }))

const snapshot = (root: string, { runId, store, label }: SnapshotRequest, limits: Limits) =>
  Effect.gen(function* () {
    const run = { runId, store }
    const repository = yield* openFor(root, run)
    return yield* Slots.withIndex(repository, run, (index, last) =>
      Effect.gen(function* () {
        const saved = yield* Saved.saveAnew(repository, index, { limits })
        return snapshotOf(repository, yield* record(repository, run, label, saved.tree, last), saved.left)
      }),
    )
  })

/** Says what differs from a target, and takes out of the index what the target ignores: that is not removed. */
const compare = (
  repository: Repository,
  index: string,
  now: string,
  goal: string,
  ignored: Saved.Ignores,
): Effect.Effect<{ readonly from: string; readonly found: ReadonlyArray<Difference> }, Git.GitFailed | NoGit> =>
  Effect.gen(function* () {
    const found = yield* differences(repository, now, goal)
    const kept = yield* ignored(found.filter(({ change }) => change === "remove").map(({ path }) => path))
    if (kept.size === 0) return { from: now, found }
    return { from: yield* Saved.drop(repository, index, [...kept]), found: found.filter(({ path }) => !kept.has(path)) }
  })

const preview = (root: string, { runId, store, target }: Pick<RestoreRequest, "runId" | "store" | "target">, limits: Limits) =>
  Effect.gen(function* () {
    const { repository, commits } = yield* openWith(root, [target], { isDry: true })
    const [goal] = commits
    if (goal === undefined) return yield* new SnapshotMissing({ root, snapshot: target })
    yield* checkRoot(repository, goal)
    return yield* Slots.withCopy(repository, { runId, store }, (index) =>
      Effect.gen(function* () {
        const ignored = yield* Ignored.of(repository, goal.tree)
        const saved = yield* Saved.saveAnew(repository, index, { limits, without: ignored })
        const { found } = yield* compare(repository, index, saved.tree, goal.tree, ignored)
        const lost = overwrites(repository, found).map((path) => fromRoot(repository, path))
        return { changes: changesOf(repository, found), overwrites: lost } satisfies Preview
      }),
    )
  })

const nameOfCommit = (commit: string): string => commit.slice(0, 12)

/** Compares the files with the target of a restore that has written them. */
const verify = (
  repository: Repository,
  index: string,
  limits: Limits,
  request: { readonly root: string; readonly target: string; readonly tree: string; readonly safety: string },
  found: ReadonlyArray<Difference>,
  problem: string | undefined,
): Effect.Effect<void, NoGit | RestoreIncomplete> =>
  Effect.gen(function* () {
    const { root, target, tree, safety } = request
    const removed = new Set(found.filter(({ change }) => change === "remove").map(({ path }) => path))
    // Under other rules files come to light that were ignored before. They are none of the restore's.
    const isRuled = found.some(({ path }) => Ignored.isRules(path))
    const without: Saved.Ignores = (paths) => Effect.succeed(new Set(isRuled ? paths.filter((path) => !removed.has(path)) : []))
    // A snapshot from before a secret was known may hold it.
    const written = new Set(found.filter(({ change }) => change !== "remove").map(({ path }) => path))
    const saved = yield* Saved.saveAnew(repository, index, { limits, keepsIgnored: true, written, without })
    if (saved.tree === tree) return
    const differing = (yield* differences(repository, saved.tree, tree)).map(({ path }) => fromRoot(repository, path))
    const reason = problem ?? "another process changed files meanwhile"
    return yield* new RestoreIncomplete({ root, target, safety, differing, problem: reason })
  }).pipe(
    Effect.catchTags({
      GitFailed: (failed) =>
        Effect.fail(
          new RestoreIncomplete({
            ...request,
            differing: [],
            problem: problem ?? `the files could not be compared: ${failed.message}`,
          }),
        ),
      TooMuch: (failed) => Effect.fail(new RestoreIncomplete({ ...request, differing: [], problem: failed.problem })),
    }),
  )

type RestoreFailure = NoGit | Git.GitFailed | Saved.TooMuch | RestoreIncomplete

/** Restores with the index of the run. What is refused is a value, since the index then stays as it is. */
const restoreBy = (
  repository: Repository,
  index: string,
  last: Runs.Last | undefined,
  goal: Commit,
  { root, runId, store, target, isForced }: RestoreRequest,
  limits: Limits,
): Effect.Effect<Effect.Effect<Restored, RestoreRefused | Git.GitFailed>, RestoreFailure> =>
  Effect.gen(function* () {
    const run = { runId, store }
    const label = `before restoring ${nameOfCommit(target)}`
    const ignored = yield* Ignored.of(repository, goal.tree)
    /** Saves the files, and compares them with the target. */
    const begin = (save: Effect.Effect<Saved.Saved, RestoreFailure>, before: Runs.Last | undefined) =>
      Effect.gen(function* () {
        const { tree, left } = yield* save
        const safety = yield* record(repository, run, label, tree, before)
        return { safety, left, ...(yield* compare(repository, index, tree, goal.tree, ignored)) }
      })
    let before = last
    for (let attempt = 1; ; attempt++) {
      let begun = yield* begin(Saved.saveAnew(repository, index, { limits, without: ignored }), before)
      const lost = overwrites(repository, begun.found)
      // What a repository holds is more than its files.
      if (lost.length > 0 && (isForced !== true || lost.some((path) => path.endsWith("/")))) {
        const names = lost.map((path) => fromRoot(repository, path))
        return Effect.fail(new RestoreRefused({ root, target, overwrites: names }))
      }
      if (lost.length > 0) {
        yield* Effect.sync(() => removeSpecial(repository, lost))
        const options = { limits, keepsIgnored: true, without: ignored, also: lost }
        begun = yield* begin(Saved.save(repository, index, options), begun.safety)
      }
      const { safety, left, from, found } = begun
      before = safety
      const done = { safety: snapshotOf(repository, safety, left), changes: changesOf(repository, found) }
      if (found.length === 0) return Effect.succeed(done)
      const problem = yield* write(repository, index, from, goal.tree)
      if (problem !== undefined && isUntouched(problem)) {
        if (attempt < restoreAttempts) continue
        return Effect.fail(new Git.GitFailed({ command: "read-tree", problem: `files change while they are restored: ${problem}` }))
      }
      yield* verify(repository, index, limits, { root, target, tree: goal.tree, safety: safety.commit }, found, problem)
      yield* record(repository, run, `restored ${nameOfCommit(target)}`, goal.tree, safety)
      return Effect.succeed(done)
    }
  })

/** Removes named pipes and the like, which git neither saves nor replaces. */
const removeSpecial = (repository: Repository, paths: ReadonlyArray<string>): void => {
  for (const path of paths) {
    const file = Repositories.fileOf(repository, path)
    const stat = lstatSync(file, { throwIfNoEntry: false })
    if (stat !== undefined && !stat.isFile() && !stat.isSymbolicLink()) unlinkSync(file)
  }
}

const restore = (root: string, request: RestoreRequest, limits: Limits) =>
  Effect.gen(function* () {
    const { repository, commits } = yield* openWith(root, [request.target])
    const [goal] = commits
    if (goal === undefined) return yield* new SnapshotMissing({ root, snapshot: request.target })
    yield* checkRoot(repository, goal)
    // Once files are written, the rest belongs to it.
    return yield* Effect.uninterruptible(
      Effect.flatten(
        Slots.withIndex(repository, request, (index, last) =>
          restoreBy(repository, index, last, goal, { ...request, root }, limits),
        ),
      ),
    )
  })

/** Cuts a text at the end of its last whole line within a number of bytes. */
const cut = (output: Buffer, bytes: number): { readonly patch: string; readonly isTruncated: boolean } => {
  if (output.length <= bytes) return { patch: output.toString("utf8"), isTruncated: false }
  const kept = output.subarray(0, output.subarray(0, bytes).lastIndexOf("\n") + 1)
  return { patch: kept.toString("utf8"), isTruncated: true }
}

const diff = (root: string, { from, to, path, patchBytes = defaultPatchBytes }: Parameters<WorkspacesShape["diff"]>[0]) =>
  Effect.gen(function* () {
    const { repository } = yield* openWith(root, [from, to])
    const { prefix } = repository.place
    const scope = [
      ...(prefix === "" ? [] : [`--relative=${Git.textOf(prefix)}`]),
      from,
      to,
      ...(path === undefined || path === "" || path === "." ? [] : ["--", `${Git.textOf(prefix)}${path}`]),
    ]
    const plain = ["--no-color", "--no-ext-diff", "--no-textconv"]
    const [files, patch] = yield* Effect.all(
      [
        repository.git(["diff-tree", "-r", "-z", "-M", "--raw", "--numstat", ...plain, ...scope]),
        repository.git(["diff-tree", "-r", "-M", "-p", ...plain, "--src-prefix=a/", "--dst-prefix=b/", ...scope], {
          stopAfter: patchBytes,
        }),
      ],
      { concurrency: "unbounded" },
    )
    return { files: changedFilesOf(files), ...cut(patch, patchBytes) } satisfies Diff
  })

/** Removes objects of a shadow repository that nothing refers to. In a repository of the user that is left to git. */
const prune = (repository: Repository): Effect.Effect<void, Git.GitFailed | NoGit> =>
  Effect.gen(function* () {
    const refs = yield* repository.refs(["for-each-ref", "--format=%(objectname) %(refname)"])
    yield* Effect.sync(() => writeFileSync(join(repository.temporary, "packed-refs"), refs))
    // Objects of an hour belong to snapshots that are being taken.
    yield* repository.git(["prune", "--expire=1.hour.ago"])
  })

const forget = (root: string, runIds: ReadonlyArray<string>, store: string | undefined) =>
  Effect.gen(function* () {
    const wanted = new Set(runIds)
    for (const place of yield* placesOf(root)) {
      if (place.isShadow && !hasShadow(place)) continue
      const repository = yield* Repositories.open(place)
      for (const runId of wanted) for (const run of [{ runId, store }, { runId }]) yield* Slots.remove(repository, run)
      const isAny = yield* Runs.forget(repository, wanted, store)
      if (place.isShadow && isAny) yield* prune(repository)
    }
  })

const kept = (root: string) =>
  Effect.gen(function* () {
    const found = yield* Effect.forEach(yield* placesOf(root), (place) =>
      place.isShadow && !hasShadow(place) ? Effect.succeed([]) : Effect.flatMap(Repositories.open(place), Runs.list),
    )
    return found.flat()
  })

/** Saves the files of tasks by git. Needs git 2.30 or later, which is looked for at the first operation. */
export const layer = (options: { readonly limits?: Partial<Limits> } = {}): Layer.Layer<Workspaces> =>
  Layer.effect(
    Workspaces,
    Effect.gen(function* () {
      const limits = { ...Saved.defaultLimits, ...options.limits }
      const ready = yield* Effect.cached(Effect.zipRight(Effect.sync(Repositories.sweep), checkGit))
      /** Runs an operation on a root whose links are resolved. */
      const on =
        <A, E>(operation: Operation, use: (root: string) => Effect.Effect<A, E | Git.GitFailed | Saved.TooMuch, Scope.Scope>) =>
        (given: string): Effect.Effect<A, E | NoGit | WorkspaceFailed> => {
          const told = (failed: Git.GitFailed | Saved.TooMuch) => failureOf(operation, given)(failed)
          return Effect.gen(function* () {
            yield* ready
            return yield* use(yield* rootOf(operation, given))
          }).pipe(
            Effect.scoped,
            Effect.catchAll((error) =>
              Effect.fail(error instanceof Git.GitFailed || error instanceof Saved.TooMuch ? told(error) : error),
            ),
          )
        }
      return {
        identify: (root) => on("identify", identify)(root),
        snapshot: (request) => on("snapshot", (root) => snapshot(root, request, limits))(request.root),
        preview: (request) => on("preview", (root) => preview(root, request, limits))(request.root),
        restore: (request) => on("restore", (root) => restore(root, request, limits))(request.root),
        diff: (request) => on("diff", (root) => diff(root, request))(request.root),
        forget: ({ root, runIds, store }) => on("forget", (real) => forget(real, runIds, store))(root),
        kept: (root) => on("list", kept)(root),
      }
    }),
  )
