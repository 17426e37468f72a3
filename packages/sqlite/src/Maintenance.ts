/**
 * Maintenance of a database: checks its integrity, returns free space, and deletes old runs. Other processes may use the file at
 * the same time.
 */
import type { StoreError } from "@smithers/core/Errors"
import * as Status from "@smithers/core/Status"
import { inList } from "@smithers/sql/Lists"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Connection } from "./internal/connection.ts"
import * as Connections from "./internal/connection.ts"
import { retryWhileBusy } from "./internal/failures.ts"
import { sizeOf } from "./internal/statistics.ts"

/** Timeout for a locked database, in milliseconds. Short, since a person can retry. */
const patienceMs = 10_000

const withConnection = <A>(
  filename: string,
  operation: string,
  body: (connection: Connection) => A,
  access: Connections.Access = "write",
): Effect.Effect<A, StoreError> => {
  const config = { filename, patienceMs }
  const done = Effect.acquireUseRelease(
    retryWhileBusy("open", config, () => Either.right(Connections.open(filename, access))),
    (connection) =>
      retryWhileBusy(operation, config, () => {
        const found = body(connection)
        // A file that was written during the read is read again.
        return Either.right(connection.isStale() ? undefined : { found })
      }),
    (connection) => Effect.sync(connection.close),
  )
  return Effect.flatMap(done, (result) =>
    result === undefined ? withConnection(filename, operation, body, access) : Effect.succeed(result.found),
  )
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Result of a check. */
export interface Checked {
  readonly bytes: number
  /** Version of the tables. */
  readonly layout: number
  /** Version of SQLite in this process. */
  readonly sqlite: string
  readonly runs: number
  /** Problems, one line each. At most 100. */
  readonly problems: ReadonlyArray<string>
}

/** Returns the engine's tables with rows of runs, without the table of runs. */
const runTables = (connection: Connection): ReadonlyArray<string> =>
  connection
    .prepare<[name: string]>(
      `SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'run_id'
       WHERE m.type = 'table' AND m.name LIKE 'smithers\\_%' ESCAPE '\\' AND m.name <> 'smithers_runs' ORDER BY m.name`,
    )
    .values()
    .map(([name]) => name)

/** Returns the existing tables of outputs. */
const outputTables = (connection: Connection): ReadonlyArray<string> =>
  connection
    .prepare<[name: string]>(
      "SELECT name FROM smithers_tables WHERE name IN (SELECT name FROM sqlite_master WHERE type = 'table') ORDER BY name",
    )
    .values()
    .map(([name]) => name)

/** Checks the pages of a database, and the consistency of its tables. Reads the whole file and writes nothing. */
export const check = (filename: string): Effect.Effect<Checked, StoreError> =>
  Effect.map(withConnection(filename, "check", checkIn, "read"), (found) => ({ bytes: sizeOf(filename), ...found }))

const checkIn = (connection: Connection): Omit<Checked, "bytes"> =>
  connection.snapshot(() => {
    const [version] = connection.prepare<[version: string]>("SELECT sqlite_version()").values()
    const pages = connection.prepare<[text: string]>("PRAGMA integrity_check(100)").values()
    const problems = pages.map(([text]) => text).filter((text) => text !== "ok")
    const count = (sql: string): number => connection.prepare<[number]>(sql).values()[0]?.[0] ?? 0
    for (const table of runTables(connection)) {
      const orphans = count(
        `SELECT count(DISTINCT run_id) FROM ${quote(table)} WHERE run_id NOT IN (SELECT run_id FROM smithers_runs)`,
      )
      if (orphans > 0) problems.push(`${table} has rows of ${orphans} runs that do not exist`)
    }
    const first = hasColumn(connection, "forked_seq")
      ? "coalesce((SELECT forked_seq FROM smithers_runs r WHERE r.run_id = e.run_id), 0) + 1"
      : "1"
    const gaps = count(
      `SELECT count(*) FROM (SELECT run_id FROM smithers_events e GROUP BY run_id
         HAVING max(seq) - min(seq) + 1 <> count(*) OR min(seq) <> ${first})`,
    )
    if (gaps > 0) problems.push(`the log of ${gaps} runs has gaps`)
    const missing = count(
      `SELECT count(DISTINCT f.plan_hash) FROM smithers_frames f
         WHERE f.plan_hash IS NOT NULL AND f.plan_hash NOT IN (SELECT hash FROM smithers_plans)`,
    )
    if (missing > 0) problems.push(`${missing} plans are missing`)
    const runs = count("SELECT count(*) FROM smithers_runs")
    const layout = count("SELECT layout FROM smithers_store")
    return { runs, layout, sqlite: version?.[0] ?? "", problems: problems.slice(0, 100) }
  })

/** Rewrites the file without its free pages. Fails with `StoreBusy` while others use the database. */
export const vacuum = (
  filename: string,
): Effect.Effect<{ readonly bytesBefore: number; readonly bytesAfter: number }, StoreError> =>
  withConnection(filename, "vacuum", (connection) => {
    const bytesBefore = sizeOf(filename)
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return { bytesBefore, bytesAfter: sizeOf(filename) }
  })

/** An old run that is not deleted, and the reason. */
export interface Kept {
  readonly runId: string
  readonly why: string
}

/** Deleted runs and kept runs. */
export interface Pruned {
  readonly pruned: ReadonlyArray<string>
  readonly kept: ReadonlyArray<Kept>
}

/** Reads the directories of which there are snapshots, each with the runs that they are of. */
export const snapshotRoots = (filename: string): Effect.Effect<ReadonlyMap<string, ReadonlyArray<string>>, StoreError> =>
  withConnection(
    filename,
    "snapshotRoots",
    (connection) =>
      connection.snapshot(() => {
        const has = connection.prepare("SELECT 1 FROM sqlite_master WHERE name = 'smithers_snapshots'").values().length > 0
        const rows = has
          ? connection.prepare<[root: string, runId: string]>("SELECT DISTINCT root, run_id FROM smithers_snapshots").values()
          : []
        const roots = new Map<string, Array<string>>()
        for (const [root, runId] of rows) roots.set(root, [...(roots.get(root) ?? []), runId])
        return roots
      }),
    "read",
  )

/** Reads the directories of the sandboxes that runs have opened, as the outputs of the steps `<id>~open` hold them. */
export const sandboxDirectories = (filename: string): Effect.Effect<ReadonlyArray<string>, StoreError> =>
  withConnection(
    filename,
    "sandboxDirectories",
    (connection) =>
      connection.snapshot(() => {
        const columnsOf = connection.prepare<[name: string]>("SELECT name FROM pragma_table_info(?)")
        const isThere = (table: string, column: string): boolean => columnsOf.values(table).some(([name]) => name === column)
        // Older layouts have none of it.
        if (!isThere("smithers_nodes", "output_table") || !isThere("smithers_outputs", "table_name")) return []
        const tables = connection
          .prepare<[table: string]>(
            `SELECT DISTINCT o.table_name FROM smithers_nodes n JOIN smithers_runs r ON r.run_id = n.run_id
               JOIN smithers_outputs o ON o.workflow = r.workflow AND o.name = n.output_table
             WHERE n.node_id LIKE '%~open' AND n.status = 'finished'`,
          )
          .values()
        return tables.flatMap(([table]) => {
          const json = isThere(table, "value") ? "value ->> '$.directory'" : "NULL"
          const column = isThere(table, "directory") ? "directory" : json
          const rows = connection.prepare<[directory: string | null]>(
            `SELECT DISTINCT ${column} FROM ${quote(table)} WHERE node_id LIKE '%~open' AND ${column} IS NOT NULL`,
          )
          return rows.values().flatMap(([directory]) => directory ?? [])
        })
      }),
    "read",
  )

/** Number of runs deleted in one transaction. Other processes can write in between. */
const runsAtOnce = 50

/**
 * Deletes runs that ended before a time (epoch ms), with their events, attempts and outputs. Ignores runs that have not ended, or
 * that a process works on. A run is kept while any of its descendants has not ended, or a run that is kept was forked from it. Deleted runs can no longer be resumed. With
 * `isDryRun`, deletes nothing.
 */
export const prune = (filename: string, before: number, isDryRun: boolean): Effect.Effect<Pruned, StoreError> =>
  Effect.gen(function* () {
    const access = isDryRun ? "read" : "write"
    const plan = yield* withConnection(
      filename,
      "prune",
      (connection) => connection.snapshot(() => choose(connection, before)),
      access,
    )
    if (isDryRun) return plan
    const pruned: Array<string> = []
    for (let from = 0; from < plan.pruned.length; from += runsAtOnce) {
      const chunk = plan.pruned.slice(from, from + runsAtOnce)
      pruned.push(...(yield* withConnection(filename, "prune", (connection) => remove(connection, chunk, plan.pruned, before))))
    }
    yield* withConnection(filename, "prune", removeTexts)
    return { pruned, kept: plan.kept }
  })

/** Tells whether the runs of a database, which may be of an older layout, have a column. */
const hasColumn = (connection: Connection, name: string): boolean =>
  connection.prepare("SELECT 1 FROM pragma_table_info('smithers_runs') WHERE name = ?").values(name).length > 0

/** Ended runs without an owner that ended before `?1`. */
const isOld = `status IN ${inList(Status.endedStatuses)} AND owner IS NULL AND finished_at IS NOT NULL AND finished_at < ?1`

const choose = (connection: Connection, before: number): Pruned => {
  const old = connection.prepare<[runId: string]>(`SELECT run_id FROM smithers_runs WHERE ${isOld} ORDER BY finished_at, run_id`)
  const found = old.values(before).map(([runId]) => runId)
  if (!hasColumn(connection, "parent_run_id")) return { pruned: found, kept: [] }
  const parents = connection.prepare<[runId: string]>(
    `WITH RECURSIVE needed (run_id) AS (
       SELECT parent_run_id FROM smithers_runs
         WHERE parent_run_id IS NOT NULL AND (status NOT IN ${inList(Status.endedStatuses)} OR owner IS NOT NULL)
       UNION SELECT r.parent_run_id FROM smithers_runs r JOIN needed n ON n.run_id = r.run_id WHERE r.parent_run_id IS NOT NULL
     ) SELECT run_id FROM needed`,
  )
  const needed = new Map(parents.values().map(([runId]) => [runId, "one of its descendants has not ended"]))
  // Others are found by the first of them.
  if (hasColumn(connection, "chain")) {
    const chosen = new Set(found)
    const chains = connection.prepare<[first: string, runId: string]>(
      "SELECT chain, run_id FROM smithers_runs WHERE chain IS NOT NULL",
    )
    for (const [first, runId] of chains.values())
      if (!chosen.has(runId) || needed.has(runId)) needed.set(first, "a run that it goes on as is kept")
  }
  for (const runId of origins(connection, new Set(found.filter((runId) => !needed.has(runId)))))
    if (!needed.has(runId)) needed.set(runId, "a run that is kept was forked from it, and has its history")
  return {
    pruned: found.filter((runId) => !needed.has(runId)),
    kept: found.flatMap((runId) => {
      const why = needed.get(runId)
      return why === undefined ? [] : [{ runId, why }]
    }),
  }
}

/** Runs that a run is forked from which is not among those to delete. */
const origins = (connection: Connection, pruned: ReadonlySet<string>): ReadonlySet<string> => {
  const needed = new Set<string>()
  if (!hasColumn(connection, "forked_from")) return needed
  const forks = connection
    .prepare<[runId: string, from: string]>("SELECT run_id, forked_from FROM smithers_runs WHERE forked_from IS NOT NULL")
    .values()
  for (let count = -1; count !== needed.size; ) {
    count = needed.size
    for (const [runId, from] of forks) if (!pruned.has(runId) || needed.has(runId)) needed.add(from)
  }
  return needed
}

/** Deletes those of some runs that have not changed. */
const remove = (
  connection: Connection,
  runIds: ReadonlyArray<string>,
  chosen: ReadonlyArray<string>,
  before: number,
): ReadonlyArray<string> => {
  const removed: Array<string> = []
  // A run may have been forked meanwhile.
  const unforked = hasColumn(connection, "forked_from")
    ? "AND NOT EXISTS (SELECT 1 FROM smithers_runs f WHERE f.forked_from = ?2 AND f.run_id NOT IN (SELECT value FROM json_each(?3)))"
    : "AND ?3 IS NOT NULL"
  const isStillOld = connection.prepare(`SELECT 1 FROM smithers_runs WHERE ${isOld} AND run_id = ?2 ${unforked}`)
  const all = JSON.stringify(chosen)
  connection.transact("normal", () => {
    removed.length = 0
    const tables = [...runTables(connection), ...outputTables(connection), "smithers_runs"]
    removed.push(...runIds.filter((runId) => isStillOld.values(before, runId, all).length > 0))
    // Some tables have no index by run, so they are scanned once for all runs.
    const these = JSON.stringify(removed)
    for (const name of tables) {
      connection.prepare(`DELETE FROM ${quote(name)} WHERE run_id IN (SELECT value FROM json_each(?))`).run(these)
    }
  })
  return removed
}

/** Cached outputs: those of a workflow, a node, a run, and from before a time (epoch ms). Default: all. */
export interface CacheSelection {
  readonly workflow?: string
  readonly nodeId?: string
  readonly runId?: string
  readonly before?: number
}

/** A cached output. */
export interface CachedEntry {
  readonly workflow: string
  readonly nodeId: string
  readonly runId: string
  readonly iteration: number
  readonly at: number
  /** `true` if all steps of the store can take it over. */
  readonly isShared: boolean
}

const selected =
  "(?1 IS NULL OR workflow = ?1) AND (?2 IS NULL OR node_id = ?2) AND (?3 IS NULL OR run_id = ?3) AND (?4 IS NULL OR at_ms < ?4)"

const parametersOf = ({ workflow, nodeId, runId, before }: CacheSelection) =>
  [workflow ?? null, nodeId ?? null, runId ?? null, before ?? null] as const

/** Lists cached outputs, the latest first. */
export const cachedOutputs = (
  filename: string,
  selection: CacheSelection,
  limit: number,
): Effect.Effect<ReadonlyArray<CachedEntry>, StoreError> =>
  withConnection(
    filename,
    "cachedOutputs",
    (connection) =>
      connection
        .prepare<[workflow: string, nodeId: string, runId: string, iteration: number, at: number, isShared: number]>(
          `SELECT workflow, node_id, run_id, iteration, at_ms, 0 FROM smithers_cache WHERE ${selected}
           UNION ALL SELECT workflow, node_id, run_id, iteration, at_ms, 1 FROM smithers_shared_cache WHERE ${selected}
           ORDER BY 5 DESC, 3, 2, 4 LIMIT ?5`,
        )
        .values(...parametersOf(selection), limit)
        .map(([workflow, nodeId, runId, iteration, at, isShared]) => ({
          ...{ workflow, nodeId, runId, iteration, at },
          isShared: isShared === 1,
        })),
    "read",
  )

/** Deletes cached outputs from the cache, and returns their number. The outputs of the runs stay. */
export const clearCache = (filename: string, selection: CacheSelection): Effect.Effect<number, StoreError> =>
  withConnection(filename, "clearCache", (connection) => {
    let cleared = 0
    connection.transact("normal", () => {
      cleared = 0
      for (const name of ["smithers_cache", "smithers_shared_cache"])
        cleared += connection.prepare(`DELETE FROM ${name} WHERE ${selected}`).run(...parametersOf(selection)).changes
    })
    return cleared
  })

/** Deletes plans that no frame and no other plan refers to, and texts that no attempt and no conversation refers to. */
const removeTexts = (connection: Connection): void =>
  connection.transact("normal", () => {
    connection
      .prepare(
        `DELETE FROM smithers_texts WHERE hash NOT IN (
           SELECT prompt_hash FROM smithers_attempts WHERE prompt_hash IS NOT NULL
           UNION SELECT reply_hash FROM smithers_attempts WHERE reply_hash IS NOT NULL
           UNION SELECT text_hash FROM smithers_transcript
           UNION SELECT input_hash FROM smithers_tool_calls
           UNION SELECT output_hash FROM smithers_tool_calls WHERE output_hash IS NOT NULL
           UNION SELECT turn.value ->> '$.prompt' FROM smithers_attempts a, json_each(a.turns) turn WHERE turn.value ->> '$.prompt' IS NOT NULL
           UNION SELECT turn.value ->> '$.reply' FROM smithers_attempts a, json_each(a.turns) turn WHERE turn.value ->> '$.reply' IS NOT NULL)`,
      )
      .run()
    const unused = connection.prepare(
      `WITH RECURSIVE used (hash) AS (
         SELECT plan_hash FROM smithers_frames WHERE plan_hash IS NOT NULL
         UNION SELECT p.base FROM smithers_plans p JOIN used u ON u.hash = p.hash WHERE p.base IS NOT NULL
       ) DELETE FROM smithers_plans WHERE hash NOT IN (SELECT hash FROM used)`,
    )
    unused.run()
  })
