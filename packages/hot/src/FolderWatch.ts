/**
 * Watches the folders of files. Folders, not files: an editor that renames a new file over the old one ends the watch of a file.
 * What the system reports is a hint only. Beside it the files are looked at in intervals, which finds what was not reported, and is
 * all there is where the system has no watch left.
 */
import { type FSWatcher, statSync, watch } from "node:fs"
import { dirname, join } from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

/** Pause between two looks at the files: beside a watch, and without one. A look costs a few microseconds per file. */
const lookInterval = Duration.seconds(1)
const pollInterval = Duration.millis(200)

export interface FolderWatch {
  /** Sets the files to watch. */
  readonly follow: (files: Iterable<string>) => void
  /** Completes once something may have changed since the last call. */
  readonly hint: Effect.Effect<void>
  /** `true` if there is something to look at already. */
  readonly isHinted: () => boolean
  /** `true` if a folder cannot be watched, so that its files are polled. */
  readonly isPolling: () => boolean
}

interface Watched {
  readonly watcher: FSWatcher
  /** The folder that is watched; another one may take its name. */
  readonly inode: number
}

const inodeOf = (folder: string): number | undefined => statSync(folder, { throwIfNoEntry: false })?.ino

/** What tells one state of a file from another without reading it. */
const signatureOf = (file: string): string => {
  try {
    const found = statSync(file, { throwIfNoEntry: false })
    return found === undefined ? "" : `${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}`
  } catch {
    return ""
  }
}

/** The folders of files, and those between them and the folder that holds all. */
export const foldersOf = (files: Iterable<string>): ReadonlySet<string> => {
  const own = [...new Set([...files].map((file) => dirname(file)))]
  let common = own[0] ?? "/"
  for (const folder of own)
    while (folder !== common && !folder.startsWith(common === "/" ? "/" : `${common}/`)) common = dirname(common)
  const found = new Set(own)
  // A folder that is made again shows in the one above.
  for (const folder of own) for (let up = folder; up !== common && up !== "/"; up = dirname(up)) found.add(dirname(up))
  return found
}

/** Starts to watch, for as long as the scope is open. `open` watches one folder; it throws where the system cannot. */
export const make = (open: typeof watch = watch): Effect.Effect<FolderWatch, never, Scope.Scope> =>
  Effect.gen(function* () {
    const watched = new Map<string, Watched>()
    let files: ReadonlyArray<string> = []
    /** The files, and the folders that they are in: databases beside them are written all the time. */
    let wanted: ReadonlySet<string> = new Set()
    let signatures = new Map<string, string>()
    let isHinted = false
    let isPolling = false
    let wake: (() => void) | undefined
    const note = (): void => {
      isHinted = true
      wake?.()
    }
    const heard =
      (folder: string) =>
      (_: string, name: string | null): void => {
        if (name === null || wanted.has(join(folder, name))) note()
      }
    const close = (folder: string): void => {
      watched.get(folder)?.watcher.close()
      watched.delete(folder)
    }
    const watchAll = (): void => {
      const folders = foldersOf(files)
      for (const folder of [...watched.keys()]) if (!folders.has(folder)) close(folder)
      isPolling = false
      for (const folder of folders) {
        const inode = inodeOf(folder)
        if (watched.get(folder)?.inode === inode) continue
        close(folder)
        if (inode === undefined) continue
        try {
          const watcher = open(folder, { persistent: false }, heard(folder))
          watcher.on("error", () => close(folder))
          watched.set(folder, { watcher, inode })
        } catch {
          isPolling = true
        }
      }
    }
    const look = Effect.sync(() => {
      watchAll()
      const before = signatures
      signatures = new Map(files.map((file) => [file, signatureOf(file)]))
      if (files.some((file) => before.get(file) !== signatures.get(file))) note()
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => [...watched.keys()].forEach(close)))
    yield* Effect.forkScoped(
      Effect.repeat(
        Effect.flatMap(
          Effect.suspend(() => Effect.sleep(isPolling ? pollInterval : lookInterval)),
          () => look,
        ),
        Schedule.forever,
      ),
    )
    return {
      follow: (next) => {
        files = [...new Set(next)]
        const all = new Set(files)
        for (const file of files) for (let up = dirname(file); up !== "/" && !all.has(up); up = dirname(up)) all.add(up)
        wanted = all
        signatures = new Map(files.map((file) => [file, signatureOf(file)]))
        watchAll()
      },
      hint: Effect.async<void>((resume) => {
        const done = (): void => {
          isHinted = false
          wake = undefined
          watchAll()
          resume(Effect.void)
        }
        if (isHinted) return done()
        wake = done
        return Effect.sync(() => {
          wake = undefined
        })
      }),
      isHinted: () => isHinted,
      isPolling: () => isPolling,
    }
  })
