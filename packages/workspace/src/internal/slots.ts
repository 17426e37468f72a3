/**
 * The index of a root and run, kept between snapshots. It has its name only while it is whole and its files are those of the run's last snapshot: an operation
 * takes it away under another name and puts it back at its end. After a crash there is none, and a new one is started.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import type { NoGit } from "@smithers/core/Workspaces"
import * as Effect from "effect/Effect"
import * as Git from "./git.ts"
import { withLock } from "./lock.ts"
import { isRunning } from "./owner.ts"
import type { Repository } from "./repository.ts"
import * as Runs from "./runs.ts"
import * as Saved from "./saved.ts"

/** Milliseconds that an operation waits for another one on the same root and run. */
const patienceMs = 2 * 60_000

/** Milliseconds after which a process that a dead owner left behind is killed. */
const orphanMs = 60_000

const directoryOf = (repository: Repository, run: Runs.Run): string => join(repository.place.slots, Runs.nameOf(run))

const lockOf = (directory: string) => {
  const failed = (problem: string): Git.GitFailed => new Git.GitFailed({ command: "lock", problem })
  const busy = (pid: string): Git.GitFailed =>
    failed(`process ${pid} has been saving or restoring the files of this run for ${patienceMs / 60_000} minutes`)
  return { directory, patienceMs, busy, failed }
}

/** The file that names the process which writes the user's files. */
export const writerOf = (index: string): string => join(index, "..", "writer")

/** `true` if a process is the one that was started as a writer. Its id may since be another's. */
const isWriter = (pid: number, mark: string): boolean => {
  if (!isRunning(pid)) return false
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(mark)
  } catch {
    // Without /proc it may be another one, which would be waited for, too.
    return !existsSync("/proc/self")
  }
}

/** Waits for the process that a dead owner left writing files: two of them would leave files of both. */
const outlive = (directory: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    const file = join(directory, "writer")
    let text = ""
    try {
      text = readFileSync(file, "utf8")
    } catch {
      return resume(Effect.void)
    }
    const [pid = "", mark = ""] = text.trim().split(" ")
    const begun = performance.now()
    let timer: ReturnType<typeof setTimeout> | undefined
    const wait = (): void => {
      if (!/^\d+$/.test(pid) || mark === "" || !isWriter(Number(pid), mark)) {
        rmSync(file, { force: true })
        return resume(Effect.void)
      }
      if (performance.now() - begun > orphanMs) process.kill(Number(pid), "SIGKILL")
      timer = setTimeout(wait, 20)
    }
    wait()
    return Effect.sync(() => clearTimeout(timer))
  })

/** The index of another run of this root, whose objects its snapshots hold. The latest knows most. */
const anotherOf = (repository: Repository, run: Runs.Run): Effect.Effect<string | undefined, Git.GitFailed | NoGit> =>
  Effect.gen(function* () {
    const { slots } = repository.place
    const own = Runs.nameOf(run)
    const found = (existsSync(slots) ? readdirSync(slots) : []).flatMap((name) => {
      const index = join(slots, name, "index")
      const stat = name === own ? undefined : statSync(index, { throwIfNoEntry: false })
      return stat === undefined ? [] : [{ name, index, at: stat.mtimeMs }]
    })
    if (found.length === 0) return undefined
    const refs = new Set(
      Git.bytesOf(yield* repository.refs(["for-each-ref", "--format=%(refname:lstrip=2)", "refs/smithers/"])).split("\n"),
    )
    return found.filter(({ name }) => refs.has(name)).sort((left, right) => right.at - left.at)[0]?.index
  })

/** Uses a copy of the index of a root and run, which is thrown away. Waits for nobody. */
export const withCopy = <A, E, R>(
  repository: Repository,
  run: Runs.Run,
  use: (index: string) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | Git.GitFailed | NoGit | Saved.TooMuch, R> =>
  Effect.gen(function* () {
    const index = join(repository.temporary, "index")
    const own = join(directoryOf(repository, run), "index")
    const hasOwn = existsSync(own) && (yield* Runs.lastOf(repository, run)) !== undefined
    yield* Saved.start(repository, index, hasOwn ? own : yield* anotherOf(repository, run))
    return yield* use(index)
  })

/** Uses the index of a root and run, alone. */
export const withIndex = <A, E, R>(
  repository: Repository,
  run: Runs.Run,
  use: (index: string, last: Runs.Last | undefined) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | Git.GitFailed | NoGit | Saved.TooMuch, R> => {
  const directory = directoryOf(repository, run)
  return withLock(lockOf(directory), ({ token, isTakenOver }) =>
    Effect.gen(function* () {
      if (isTakenOver) yield* outlive(directory)
      const last = yield* Runs.lastOf(repository, run)
      const kept = join(directory, "index")
      const index = join(directory, `index.${token}`)
      const discard = (): void => {
        for (const name of readdirSync(directory))
          if (/^(?:index|draft)\./.test(name)) rmSync(join(directory, name), { force: true })
      }
      const another = yield* anotherOf(repository, run)
      yield* Effect.sync(() => {
        // Nobody else is here: whatever has another name was left by a process that has ended.
        discard()
        if (last === undefined) rmSync(kept, { force: true })
        if (existsSync(kept)) renameSync(kept, index)
      })
      return yield* Effect.gen(function* () {
        if (!existsSync(index)) yield* Saved.start(repository, index, another)
        const used = yield* use(index, last)
        yield* Effect.sync(() => {
          if (existsSync(index)) renameSync(index, kept)
        })
        return used
      }).pipe(Effect.onError(() => Effect.sync(discard)))
    }),
  )
}

/** Removes what is kept of a run, for all roots of the store. */
export const remove = (repository: Repository, run: Runs.Run): Effect.Effect<void, Git.GitFailed | NoGit> => {
  const all = join(repository.place.slots, "..")
  const directories = (existsSync(all) ? readdirSync(all) : [])
    .map((name) => join(all, name, Runs.nameOf(run)))
    .filter((directory) => existsSync(directory))
  return Effect.forEach(
    directories,
    (directory) => withLock(lockOf(directory), () => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))),
    { discard: true },
  )
}
