/**
 * Numbers about a whole store, for metrics.
 */
import { statSync } from "node:fs"
import type { StoreError } from "@smithers/core/Errors"
import type { StoreStatistics } from "@smithers/core/RunReader"
import type * as Status from "@smithers/core/Status"
import * as Effect from "effect/Effect"
import type { Claims } from "./claims.ts"
import type { Connection } from "./connection.ts"
import type { Queries } from "./queries.ts"

/** Returns the size of a database in bytes, including its log. */
export const sizeOf = (filename: string): number =>
  [filename, `${filename}-wal`].reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0)

/** Number of runs whose statuses are derived at once: a few milliseconds. */
const slice = 250

/** Lets timers and connections have their turn. */
const turn: Effect.Effect<void> = Effect.async((done) => {
  const waiting = setImmediate(() => done(Effect.void))
  return Effect.sync(() => clearImmediate(waiting))
})

/** Parts of a store that are counted. */
interface Counted {
  readonly connection: Pick<Connection, "file">
  readonly queries: Pick<Queries, "openRuns" | "endedCounts" | "statuses" | "waitCounts" | "pendingCount">
  readonly claims: Pick<Claims, "countDue">
}

/** Reads of a store, each of one state of it. */
type Read = <A>(body: (counted: Counted) => A) => Effect.Effect<A, StoreError>

/**
 * Counts what a store holds. Reads it in slices, so that thousands of open runs do not hold up the process. Each run is counted
 * once, with its status at the time of its slice.
 */
export const read = (look: Read, now: number): Effect.Effect<StoreStatistics, StoreError> =>
  Effect.gen(function* () {
    const [open, ended] = yield* look(({ queries }) => [new Map(queries.openRuns()), queries.endedCounts()] as const)
    const counts = new Map<string, StoreStatistics["runs"][number]>()
    const add = (workflow: string, status: Status.ShownStatus, count: number): void => {
      const key = JSON.stringify([workflow, status])
      counts.set(key, { workflow, status, count: count + (counts.get(key)?.count ?? 0) })
    }
    for (const { workflow, status, count } of ended) add(workflow, status, count)
    const runIds = [...open.keys()]
    for (let from = 0; from < runIds.length; from += slice) {
      yield* turn
      const these = runIds.slice(from, from + slice)
      const shown = yield* look(({ queries }) => queries.statuses(these, now))
      for (const [runId, status] of shown) add(open.get(runId) ?? "", status, 1)
    }
    yield* turn
    const waits = yield* look(({ queries }) => ({ waits: queries.waitCounts(), ...queries.pendingCount() }))
    yield* turn
    const due = yield* look(({ claims }) => claims.countDue(now))
    const bytes = yield* look(({ connection: { file } }) => (file === undefined ? null : sizeOf(file)))
    return { at: now, runs: [...counts.values()], ...waits, due, bytes }
  })
