/**
 * Which database a command means, and which run in it.
 */
import { existsSync, lstatSync, statSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import type { RunNotFound, StoreError } from "@smithers/core/Errors"
import type { RunReaderShape } from "@smithers/core/RunReader"
import type { StorageShape } from "@smithers/core/Storage"
import { realPath } from "@smithers/sqlite/Location"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { withRun } from "./CommandLine.ts"
import { AmbiguousRun, ForeignDatabase, type Interrupted, NoDatabase, NoSuchRun, type UnknownStore } from "./Errors.ts"
import { leading } from "./Launch.ts"
import { Screen } from "./Screen.ts"
import * as Stores from "./Stores.ts"

/** The file that holds the runs of a folder and of what is below it. */
export const filename = "smithers.db"

/** How long a command waits for a database that others have locked: longer than any of our own writes takes, and no tax on patience. */
const patience = "5 seconds"

/** The nearest database from a folder upward, by the path it was found under. */
const nearestName = (folder: string): string | undefined => {
  for (let here = realPath(folder); ; here = dirname(here)) {
    const file = join(here, filename)
    if (existsSync(file)) return file
    if (here === dirname(here)) return undefined
  }
}

/**
 * The nearest database from a folder upward, by its real path. Fails with `ForeignDatabase` where it is another user's: what it says is to be
 * run, and where, is then that user's word.
 */
export const nearest = (folder: string): Effect.Effect<string | undefined, ForeignDatabase> =>
  Effect.suspend(() => {
    const name = nearestName(folder)
    if (name === undefined) return Effect.succeed(undefined)
    const owner = [lstatSync(name).uid, statSync(name).uid].find((uid) => uid !== process.getuid?.())
    if (owner === undefined || process.getuid === undefined) return Effect.succeed(realPath(name))
    return new ForeignDatabase({ path: name, owner, user: process.getuid() })
  })

/** The name that was given, by option or by `SMITHERS_DB`. */
const given = (db: string | undefined): string | undefined => {
  const name = db ?? process.env.SMITHERS_DB
  return name === "" ? undefined : name
}

/** The database that was named, by option or by `SMITHERS_DB`, by its location. */
export const named = (db: string | undefined): Effect.Effect<string | undefined, UnknownStore> => {
  const name = given(db)
  return name === undefined ? Effect.succeed(undefined) : Effect.suspend(() => Stores.locationOf(name))
}

/** How a command that is typed in a folder names a database that is, or will be, there: not at all where it finds it by itself. */
export const nameFor = (file: string, db: string | undefined, folder: string): string | undefined => {
  if (given(db) !== undefined) return db
  for (let here = realPath(folder); ; here = dirname(here)) {
    const near = join(here, filename)
    if (realPath(near) === file) return undefined
    if (existsSync(near) || here === dirname(here)) return relative(folder, file)
  }
}

/** The database of a command. Fails with `NoDatabase` where there is none. */
export const locate = (db: string | undefined): Effect.Effect<string, NoDatabase | ForeignDatabase | UnknownStore> =>
  Effect.gen(function* () {
    const location = yield* named(db)
    if (location !== undefined) return existsSync(location) ? location : yield* new NoDatabase({ path: location, isNamed: true })
    return (yield* nearest(process.cwd())) ?? (yield* new NoDatabase({ path: process.cwd(), isNamed: false }))
  })

/** What a command does with a database: it may make it, write to one that is there, or only read it. */
export type Access = "create" | "write" | "read"

/**
 * The store in a file. Fails with `NoDatabase` where the file holds none and the command makes none. Who runs workflows waits longer for locks
 * than who asks a question.
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
    // What is set here is no mistake of whoever gives the command.
    Effect.catchTags({ InvalidSetting: Effect.die, UnknownStore: Effect.die }),
  )

/** A database that is open. */
export interface Database {
  readonly file: string
  readonly storage: StorageShape
}

/** Finds the database of a command and opens it. */
export const connect = (
  db: string | undefined,
  access: Exclude<Access, "create">,
): Effect.Effect<Database, StoreError | NoDatabase | ForeignDatabase | UnknownStore, Scope.Scope> =>
  Effect.gen(function* () {
    const file = yield* locate(db)
    return { file, storage: yield* open(file, access) }
  })

/** Candidates that are shown of an id that is not enough. */
const shownCandidates = 5

/** The id of the run that begins so. What changes a run takes {@link wholeRun}. */
export const findRun = (
  { file, storage }: Database,
  prefix: string,
): Effect.Effect<string, StoreError | NoSuchRun | AmbiguousRun> =>
  Effect.gen(function* () {
    const [first, ...others] = yield* storage.find(prefix, shownCandidates)
    if (first === undefined || prefix === "") return yield* new NoSuchRun({ runId: prefix, db: file })
    // In order, so that one which is the whole id comes first.
    if (first === prefix || others.length === 0) return first
    return yield* new AmbiguousRun({ runId: prefix, candidates: [first, ...others] })
  })

/**
 * The id of a run as it was given, where there is such a run. Who changes a run means that one, and not whichever happens to begin so: in a
 * terminal it is asked for where only one does, and otherwise the error names the commands to type.
 */
export const wholeRun = (
  { file, storage }: Database,
  given: string,
): Effect.Effect<string, StoreError | NoSuchRun | Interrupted, Screen> =>
  Effect.gen(function* () {
    const [first, ...others] = given === "" ? [] : yield* storage.find(given, shownCandidates)
    if (first === given) return given
    if (first === undefined) return yield* new NoSuchRun({ runId: given, db: file })
    const screen = yield* Screen
    if (screen.canAsk && others.length === 0) {
      const [run] = yield* storage.runs({ runIds: [first] })
      const { confirm } = yield* Effect.promise(() => import("./Ask.ts"))
      const about = run === undefined ? "" : ` (workflow ${run.workflow}, ${run.status})`
      if (yield* confirm(`There is no run "${given}". Is ${first}${about} meant?`)) return first
    }
    const [, words] = leading(process.argv.slice(2))
    const candidates = [first, ...others]
    return yield* new NoSuchRun({ runId: given, db: file, candidates, commands: candidates.map((id) => withRun(words, given, id)) })
  })

/**
 * Where the code of a run is, as its starter said it, from the folder of the database: its own source or, of a run that another run
 * started, that one's.
 */
export const sourceOf = (reader: RunReaderShape, runId: string): Effect.Effect<string | undefined, StoreError | RunNotFound> =>
  Effect.gen(function* () {
    const { run } = yield* reader.run(runId)
    if (run.source !== null) return run.source
    return run.parent === null ? undefined : yield* sourceOf(reader, run.parent.runId)
  })

/** A run, the one that started it, and so on. */
export const lineageOf = (reader: RunReaderShape, runId: string): Effect.Effect<ReadonlyArray<string>, StoreError | RunNotFound> =>
  Effect.gen(function* () {
    const { parent } = (yield* reader.run(runId)).run
    return parent === null ? [runId] : [runId, ...(yield* lineageOf(reader, parent.runId))]
  })

/** The run that has to be taken up for another to go on: that one or, where a run above it waits for it, the topmost of those. */
export const topmost = (reader: RunReaderShape, runId: string): Effect.Effect<string, StoreError | RunNotFound> =>
  Effect.gen(function* () {
    const { parent } = (yield* reader.run(runId)).run
    if (parent?.isAttached !== true) return runId
    const above = (yield* reader.run(parent.runId)).run
    return above.finishedAt === null ? yield* topmost(reader, parent.runId) : runId
  })

/** A run in a database that is open. */
export interface FoundRun extends Database {
  readonly runId: string
}

/** Finds the database and the run of a command that only reads. */
export const connectRun = (db: string | undefined, run: string) =>
  Effect.gen(function* () {
    const database = yield* connect(db, "read")
    return { ...database, runId: yield* findRun(database, run) } satisfies FoundRun
  })

/** Finds the database of a command, and the run that it changes. */
export const connectWholeRun = (db: string | undefined, run: string) =>
  Effect.gen(function* () {
    const database = yield* connect(db, "write")
    return { ...database, runId: yield* wholeRun(database, run) } satisfies FoundRun
  })
