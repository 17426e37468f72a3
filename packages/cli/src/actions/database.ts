/**
 * Commands that maintain the database.
 */
import * as Millis from "@smithers/core/Millis"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { locate, open } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage } from "../Errors.ts"
import { Exit } from "../Exit.ts"
import * as Stores from "../Stores.ts"
import { plural } from "../Text.ts"

interface DatabaseOptions {
  readonly db: string | undefined
}

const maintenance = Effect.promise(Stores.maintenance)

/** Returns the database, after checking that it holds a store. */
const current = (given: DatabaseOptions, access: "read" | "write") =>
  Effect.gen(function* () {
    const db = yield* locate(given.db)
    yield* Effect.scoped(open(db, access))
    return db
  })

const size = (bytes: number): string => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`)

export const path = (given: DatabaseOptions) => Effect.map(locate(given.db), (db) => ({ value: { db }, text: db }))

export const check = (given: DatabaseOptions) =>
  Effect.gen(function* () {
    const db = yield* current(given, "read")
    const found = yield* (yield* maintenance).check(db)
    const state = found.problems.length === 0 ? "nothing wrong" : plural(found.problems.length, "problem")
    const text = [
      `${db}: ${plural(found.runs, "run")}, ${size(found.bytes)}, ${state} (SQLite ${found.sqlite}).`,
      ...found.problems.map((one) => `  ${one}`),
    ]
    const code = found.problems.length === 0 ? Exit.finished : Exit.failed
    return { value: { db, ...found }, text: text.join("\n"), code } satisfies Reply
  })

export const vacuum = (given: DatabaseOptions) =>
  Effect.gen(function* () {
    const db = yield* current(given, "write")
    const sizes = yield* (yield* maintenance).vacuum(db)
    return { value: { db, ...sizes }, text: `${db}: ${size(sizes.bytesBefore)} before, ${size(sizes.bytesAfter)} now.` }
  })

/** Maximum number of pruned ids that are shown. */
const shownIds = 10

export const prune = (given: DatabaseOptions & { readonly olderThan: string | undefined; readonly dryRun: boolean }) =>
  Effect.gen(function* () {
    const invalid = (problem: string) => new InvalidUsage({ problem, command: "db prune" })
    if (given.olderThan === undefined) return yield* invalid("Give the minimum age: --older-than 30d")
    const ago = yield* Either.mapLeft(Millis.parseDuration(given.olderThan, "s"), () =>
      invalid(`--older-than must be a time such as 12h or 30d, not "${given.olderThan}"`),
    )
    const db = yield* current(given, given.dryRun ? "read" : "write")
    const before = (yield* Clock.currentTimeMillis) - ago
    const { pruned, kept } = yield* (yield* maintenance).prune(db, before, given.dryRun)
    const did = given.dryRun ? "Would delete" : "Deleted"
    const shown = pruned.slice(0, shownIds).join(", ") + (pruned.length > shownIds ? ` and ${pruned.length - shownIds} more` : "")
    const lines = [
      `${did} ${plural(pruned.length, "run")}${pruned.length === 0 ? "." : `: ${shown}`}`,
      ...kept.map(({ runId, why }) => `Kept ${runId}: ${why}.`),
      ...(pruned.length === 0 || given.dryRun ? [] : [`Run "smithers db vacuum" to return their space to the disk.`]),
    ]
    return { value: { db, isDryRun: given.dryRun, before, pruned, kept }, text: lines.join("\n") }
  })
