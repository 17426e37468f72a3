/**
 * Commands that maintain the database.
 */
import { dirname } from "node:path"
import * as Millis from "@smithers/core/Millis"
import { Workspaces } from "@smithers/core/Workspaces"
import { plural } from "@smithers/server/views/Text"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { locate, open } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage } from "../Errors.ts"
import { Exit } from "../Exit.ts"
import { DatabaseChecked } from "../Output.ts"
import * as Stores from "../Stores.ts"
import { command, type Place } from "../WorkflowProcesses.ts"
import { collectSandboxes, workspaces } from "../Workspaces.ts"

interface DatabaseOptions {
  readonly db: string | undefined
}

const maintenance = Effect.promise(Stores.maintenance)

/** Returns the database, after checking that it holds a store. */
const current = (options: DatabaseOptions, access: "read" | "write") =>
  Effect.gen(function* () {
    const db = yield* locate(options.db)
    yield* Effect.scoped(open(db, access))
    return db
  })

const size = (bytes: number): string => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`)

export const path = (options: DatabaseOptions) => Effect.map(locate(options.db), (db) => ({ value: { db }, text: db }))

export const check = (options: DatabaseOptions) =>
  Effect.gen(function* () {
    const db = yield* current(options, "read")
    const found = yield* (yield* maintenance).check(db)
    const state = found.problems.length === 0 ? "nothing wrong" : plural(found.problems.length, "problem")
    const text = [
      `${db}: ${plural(found.runs, "run")}, ${size(found.bytes)}, ${state} (SQLite ${found.sqlite}).`,
      ...found.problems.map((one) => `  ${one}`),
    ]
    const code = found.problems.length === 0 ? Exit.finished : Exit.failed
    return { value: { db, ...found }, text: text.join("\n"), code } satisfies Reply
  })

/** Examines a database in a process of its own: it reads the whole file. */
export const examine = (place: Place) =>
  Effect.flatMap(command(place, "db check"), (found) =>
    Effect.map(Effect.orDie(Schema.decodeUnknown(DatabaseChecked)(found)), ({ db, ...rest }) => ({ path: db, ...rest })),
  )

export const vacuum = (options: DatabaseOptions) =>
  Effect.gen(function* () {
    const db = yield* current(options, "write")
    const sizes = yield* (yield* maintenance).vacuum(db)
    return { value: { db, ...sizes }, text: `${db}: ${size(sizes.bytesBefore)} before, ${size(sizes.bytesAfter)} now.` }
  })

/** Maximum number of pruned ids that are shown. */
const shownIds = 10

/** Removes the refs of snapshots of deleted runs. What cannot be removed is only some space in a repository. */
const forgetSnapshots = (db: string, roots: ReadonlyMap<string, ReadonlyArray<string>>, pruned: ReadonlySet<string>) =>
  Effect.forEach(
    roots,
    ([root, all]) => {
      const runIds = all.filter((runId) => pruned.has(runId))
      if (runIds.length === 0) return Effect.void
      const forgotten = Effect.flatMap(Workspaces, ({ forget }) => forget({ root, runIds, store: db }))
      return Effect.catchAll(Effect.provide(forgotten, workspaces), (error) =>
        Effect.logDebug(`snapshots of deleted runs below ${root} were not removed`, error),
      )
    },
    { discard: true },
  )

/** The root that a sandbox was made in. Those of other providers may be anywhere. */
const sandboxRootOf = (directory: string): ReadonlyArray<string> => {
  const end = directory.lastIndexOf("/.smithers/sandboxes/")
  return end < 0 ? [] : [directory.slice(0, end)]
}

export const prune = (options: DatabaseOptions & { readonly olderThan: string | undefined; readonly dryRun: boolean }) =>
  Effect.gen(function* () {
    const invalid = (problem: string) => new InvalidUsage({ problem, command: "db prune" })
    if (options.olderThan === undefined) return yield* invalid("Give the minimum age: --older-than 30d")
    const ago = yield* Either.mapLeft(Millis.parseDuration(options.olderThan, "s"), () =>
      invalid(`--older-than must be a time such as 12h or 30d, not "${options.olderThan}"`),
    )
    const db = yield* current(options, options.dryRun ? "read" : "write")
    const before = (yield* Clock.currentTimeMillis) - ago
    const { prune, sandboxDirectories, snapshotRoots } = yield* maintenance
    const roots = yield* snapshotRoots(db)
    const sandboxRoots = (yield* sandboxDirectories(db)).flatMap(sandboxRootOf)
    const { pruned, kept } = yield* prune(db, before, options.dryRun)
    if (!options.dryRun) yield* forgetSnapshots(db, roots, new Set(pruned))
    const given = { runIds: pruned, before, isDryRun: options.dryRun }
    const left = yield* Effect.forEach(new Set([dirname(db), process.cwd(), ...roots.keys(), ...sandboxRoots]), (root) =>
      Effect.catchAll(collectSandboxes({ root, ...given }), (error) =>
        Effect.as(Effect.logWarning(`sandboxes of deleted runs below ${root} were not removed: ${error.message}`), []),
      ),
    )
    const sandboxes = left.flat()
    const did = options.dryRun ? "Would delete" : "Deleted"
    const shown = pruned.slice(0, shownIds).join(", ") + (pruned.length > shownIds ? ` and ${pruned.length - shownIds} more` : "")
    const lines = [
      `${did} ${plural(pruned.length, "run")}${pruned.length === 0 ? "." : `: ${shown}`}`,
      ...(sandboxes.length === 0 ? [] : [`${did} ${plural(sandboxes.length, "sandbox", "sandboxes")} that they have left.`]),
      ...kept.map(({ runId, why }) => `Kept ${runId}: ${why}.`),
      ...(pruned.length === 0 || options.dryRun ? [] : [`Run "smithers db vacuum" to return their space to the disk.`]),
    ]
    return {
      value: {
        db,
        isDryRun: options.dryRun,
        before,
        pruned,
        sandboxes,
        kept: kept.map(({ runId, why }) => ({ runId, reason: why })),
      },
      text: lines.join("\n"),
    }
  })
