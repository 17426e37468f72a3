/**
 * Resolves the database and the run that a command means.
 */
import { existsSync, lstatSync, statSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import type { RunNotFound, StoreError } from "@smithers/core/Errors"
import type { RunReaderShape } from "@smithers/core/RunReader"
import type { StorageShape } from "@smithers/core/Storage"
import { withRun } from "@smithers/server/views/CommandLine"
import { realPath } from "@smithers/sqlite/Location"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { AmbiguousRun, ForeignDatabase, type Interrupted, NoDatabase, NoSuchRun, type UnknownStore } from "./Errors.ts"
import { leading } from "./Launch.ts"
import { Screen } from "./Screen.ts"
import * as Stores from "./Stores.ts"

/** File name of the database of a folder and its subfolders. */
export const filename = "smithers.db"

/** Time that a command waits for a locked database. Longer than any write of ours takes, and short enough for a person. */
const patience = "5 seconds"

/** Returns the nearest database from a folder upward, by the path it was found under. */
const nearestName = (folder: string): string | undefined => {
  for (let here = realPath(folder); ; here = dirname(here)) {
    const file = join(here, filename)
    if (existsSync(file)) return file
    if (here === dirname(here)) return undefined
  }
}

/**
 * Returns the nearest database from a folder upward, by its real path. Fails with `ForeignDatabase` if another user owns it, since
 * its contents decide which code is run.
 */
export const nearest = (folder: string): Effect.Effect<string | undefined, ForeignDatabase> =>
  Effect.suspend(() => {
    const name = nearestName(folder)
    if (name === undefined) return Effect.succeed(undefined)
    const owner = [lstatSync(name).uid, statSync(name).uid].find((uid) => uid !== process.getuid?.())
    if (owner === undefined || process.getuid === undefined) return Effect.succeed(realPath(name))
    return new ForeignDatabase({ path: name, owner, user: process.getuid() })
  })

/** Returns the name given by option or by `SMITHERS_DB`. */
const nameOf = (db: string | undefined): string | undefined => {
  const name = db ?? process.env.SMITHERS_DB
  return name === "" ? undefined : name
}

/** Resolves the name given by option or by `SMITHERS_DB` to a location. */
export const named = (db: string | undefined): Effect.Effect<string | undefined, UnknownStore> => {
  const name = nameOf(db)
  return name === undefined ? Effect.succeed(undefined) : Effect.suspend(() => Stores.locationOf(name))
}

/**
 * Returns the `--db` value with which a command typed in a folder finds a database; `undefined` if it needs none. The database may
 * not exist yet.
 */
export const nameFor = (file: string, db: string | undefined, folder: string): string | undefined => {
  if (nameOf(db) !== undefined) return db
  for (let here = realPath(folder); ; here = dirname(here)) {
    const near = join(here, filename)
    if (realPath(near) === file) return undefined
    if (existsSync(near) || here === dirname(here)) return relative(folder, file)
  }
}

/** Locates the database of a command. Fails with `NoDatabase` if there is none. */
export const locate = (db: string | undefined): Effect.Effect<string, NoDatabase | ForeignDatabase | UnknownStore> =>
  Effect.gen(function* () {
    const location = yield* named(db)
    if (location !== undefined) return existsSync(location) ? location : yield* new NoDatabase({ path: location, isNamed: true })
    return (yield* nearest(process.cwd())) ?? (yield* new NoDatabase({ path: process.cwd(), isNamed: false }))
  })

/** Access of a command to a database: create the file, write to an existing one, or read only. */
export type Access = "create" | "write" | "read"

/**
 * Opens the store in a file. Fails with `NoDatabase` if the file holds none and the command creates none. Commands that run
 * workflows wait longer for locks than queries.
 */
export const open = (
  file: string,
  access: Access,
  busyTimeout: Duration.DurationInput = patience,
): Effect.Effect<StorageShape, StoreError | NoDatabase, Scope.Scope> =>
  Stores.open(file, { access, busyTimeout }).pipe(
    Effect.catchTag("StoreMissing", ({ isEmpty }) =>
      Effect.fail(new NoDatabase({ path: file, isNamed: true, holds: isEmpty ? "nothing" : "others" })),
    ),
    // These settings are ours, so an error in them is a defect.
    Effect.catchTags({ InvalidSetting: Effect.die, UnknownStore: Effect.die }),
  )

/** An open database. */
export interface Database {
  readonly file: string
  readonly storage: StorageShape
}

/** Locates the database of a command and opens it. */
export const connect = (
  db: string | undefined,
  access: Exclude<Access, "create">,
): Effect.Effect<Database, StoreError | NoDatabase | ForeignDatabase | UnknownStore, Scope.Scope> =>
  Effect.gen(function* () {
    const file = yield* locate(db)
    return { file, storage: yield* open(file, access) }
  })

/** Maximum number of candidates shown for an ambiguous or unknown id. */
const shownCandidates = 5

/** Returns the id of the run with this prefix. Commands that change a run use {@link wholeRun}. */
export const findRun = (
  { file, storage }: Database,
  prefix: string,
): Effect.Effect<string, StoreError | NoSuchRun | AmbiguousRun> =>
  Effect.gen(function* () {
    const [first, ...others] = yield* storage.find(prefix, shownCandidates)
    if (first === undefined || prefix === "") return yield* new NoSuchRun({ runId: prefix, db: file })
    // Sorted, so that an exact match comes first.
    if (first === prefix || others.length === 0) return first
    return yield* new AmbiguousRun({ runId: prefix, candidates: [first, ...others] })
  })

/**
 * Returns the id of a run if it exists as given, since a command that changes a run must not hit another one with the same prefix.
 * If only one run matches the prefix, asks in a terminal; otherwise the error lists the commands to type.
 */
export const wholeRun = (
  { file, storage }: Database,
  runId: string,
): Effect.Effect<string, StoreError | NoSuchRun | Interrupted, Screen> =>
  Effect.gen(function* () {
    const [first, ...others] = runId === "" ? [] : yield* storage.find(runId, shownCandidates)
    if (first === runId) return runId
    if (first === undefined) return yield* new NoSuchRun({ runId: runId, db: file })
    const screen = yield* Screen
    if (screen.canAsk && others.length === 0) {
      const [run] = yield* storage.runs({ runIds: [first] })
      const { confirm } = yield* Effect.promise(() => import("./Ask.ts"))
      const about = run === undefined ? "" : ` (workflow ${run.workflow}, ${run.status})`
      if (yield* confirm(`There is no run "${runId}". Is ${first}${about} meant?`)) return first
    }
    const [, words] = leading(process.argv.slice(2))
    const candidates = [first, ...others]
    return yield* new NoSuchRun({ runId: runId, db: file, candidates, commands: candidates.map((id) => withRun(words, runId, id)) })
  })

/**
 * Returns the source of a run's code as its starter stored it, relative to the folder of the database. A child run has the source
 * of its parent.
 */
export const sourceOf = (reader: RunReaderShape, runId: string): Effect.Effect<string | undefined, StoreError | RunNotFound> =>
  Effect.gen(function* () {
    const { run } = yield* reader.run(runId)
    if (run.source !== null) return run.source
    return run.parent === null ? undefined : yield* sourceOf(reader, run.parent.runId)
  })

/** Returns a run, its parent, and so on. */
export const lineageOf = (reader: RunReaderShape, runId: string): Effect.Effect<ReadonlyArray<string>, StoreError | RunNotFound> =>
  Effect.gen(function* () {
    const { parent } = (yield* reader.run(runId)).run
    return parent === null ? [runId] : [runId, ...(yield* lineageOf(reader, parent.runId))]
  })

/** Returns the run to resume for another one to continue: that run, or the topmost parent that waits for it. */
export const topmost = (reader: RunReaderShape, runId: string): Effect.Effect<string, StoreError | RunNotFound> =>
  Effect.gen(function* () {
    const { parent } = (yield* reader.run(runId)).run
    if (parent?.isAttached !== true) return runId
    const above = (yield* reader.run(parent.runId)).run
    return above.finishedAt === null ? yield* topmost(reader, parent.runId) : runId
  })

/** An open database and a run in it. */
export interface FoundRun extends Database {
  readonly runId: string
}

/** Locates the database and the run of a command that only reads. */
export const connectRun = (db: string | undefined, run: string) =>
  Effect.gen(function* () {
    const database = yield* connect(db, "read")
    return { ...database, runId: yield* findRun(database, run) } satisfies FoundRun
  })

/** Locates the database of a command and the run that it changes: the newest, of one that goes on as others. */
export const connectNewestRun = (db: string | undefined, run: string) =>
  Effect.gen(function* () {
    const found = yield* connectWholeRun(db, run)
    return { ...found, runId: yield* found.storage.newest(found.runId) } satisfies FoundRun
  })

/** Locates the database of a command and the run that it changes. */
export const connectWholeRun = (db: string | undefined, run: string) =>
  Effect.gen(function* () {
    const database = yield* connect(db, "write")
    return { ...database, runId: yield* wholeRun(database, run) } satisfies FoundRun
  })
