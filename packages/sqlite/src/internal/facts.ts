/**
 * Facts of a database, and their full-text index. The index is made with the first fact; a runtime whose SQLite has no FTS5 searches
 * without it.
 */
import * as Memory from "@smithers/core/Memory"
import type { Connection } from "./connection.ts"

export interface Facts {
  readonly put: (write: Memory.FactWrite & { readonly at: number }) => Memory.Fact
  readonly find: (filter: Memory.FactFilter & { readonly now: number }) => ReadonlyArray<Memory.Fact>
  readonly remove: (of: { readonly namespace: string; readonly key?: string }) => number
}

type FactRow = [
  namespace: string,
  key: string,
  value: string,
  version: number,
  at: number,
  expiresAt: number | null,
  runId: string | null,
  nodeId: string | null,
]

const columns = ["namespace", "key", "value", "version", "at_ms", "expires_at", "written_by", "node_id"]
  .map((column) => `m.${column}`)
  .join(", ")

const factOf = ([namespace, key, value, version, at, expiresAt, runId, nodeId]: FactRow): Memory.Fact => ({
  ...{ namespace, key, value: JSON.parse(value) },
  ...{ version, at, expiresAt, runId, nodeId },
})

const index = "smithers_memory_index"

/** `?1` is a namespace, `?2` keys as JSON, `?3` the time, `?4` the limit. */
const selected = `(?1 IS NULL OR m.namespace = ?1) AND (?2 IS NULL OR m.key IN (SELECT value FROM json_each(?2)))
  AND (m.expires_at IS NULL OR m.expires_at > ?3)`

export const make = (connection: Connection): Facts => {
  const hasIndex = (): boolean => connection.prepare("SELECT 1 FROM sqlite_master WHERE name = ?").values(index).length > 0
  /** Makes the index, within the transaction of the first fact. */
  const ensureIndex = (): boolean => {
    if (hasIndex()) return true
    try {
      connection.execute(`CREATE VIRTUAL TABLE ${index} USING fts5(key, value, tokenize = 'unicode61 remove_diacritics 2')`)
      return true
    } catch {
      return false
    }
  }
  const unindex = (ids: ReadonlyArray<readonly [id: number]>): void => {
    if (ids.length === 0 || !hasIndex()) return
    const statement = connection.prepare(`DELETE FROM ${index} WHERE rowid = ?`)
    for (const [id] of ids) statement.run(id)
  }

  return {
    put: ({ namespace, key, value, ttlMs, isOfRun, runId, nodeId, at }) => {
      const expired = connection
        .prepare<[id: number]>("DELETE FROM smithers_memory WHERE namespace = ? AND expires_at <= ? RETURNING id")
        .values(namespace, at)
      unindex(expired)
      const [stored] = connection
        .prepare<[id: number, ...row: FactRow]>(
          `INSERT INTO smithers_memory AS m (namespace, key, value, version, at_ms, expires_at, written_by, node_id, run_id)
           VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?)
           ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, version = m.version + 1, at_ms = excluded.at_ms,
             expires_at = excluded.expires_at, written_by = excluded.written_by, node_id = excluded.node_id, run_id = excluded.run_id
           RETURNING id, namespace, key, value, version, at_ms, expires_at, written_by, node_id`,
        )
        .values(
          ...[namespace, key, JSON.stringify(value), at, ttlMs === undefined ? null : at + ttlMs],
          ...[runId ?? null, nodeId ?? null, isOfRun === true ? (runId ?? null) : null],
        )
      if (stored === undefined) throw new Error("a fact was not stored")
      const [id, ...row] = stored
      if (ensureIndex()) {
        unindex([[id]])
        connection.prepare(`INSERT INTO ${index} (rowid, key, value) VALUES (?, ?, ?)`).run(id, key, Memory.textOf(value))
      }
      return factOf(row)
    },
    find: ({ namespace, keys, query, limit = Memory.defaultLimit, now }) => {
      const [within, named] = [namespace ?? null, keys === undefined ? null : JSON.stringify(keys)]
      const all = (most: number) =>
        connection
          .prepare<FactRow>(
            `SELECT ${columns} FROM smithers_memory m WHERE ${selected} ORDER BY m.at_ms DESC, m.namespace, m.key LIMIT ?4`,
          )
          .values(within, named, now, most)
          .map(factOf)
      if (query === undefined) return all(limit)
      if (!hasIndex()) return Memory.search(all(-1), query).slice(0, limit)
      const words = Memory.queryWords(query)
      if (words.length === 0) return []
      const wanted = words.map((word) => `"${word}"*`).join(" OR ")
      return connection
        .prepare<FactRow>(
          `SELECT ${columns} FROM ${index} i JOIN smithers_memory m ON m.id = i.rowid
           WHERE ${index} MATCH ?5 AND ${selected} ORDER BY bm25(${index}), m.at_ms DESC, m.namespace, m.key LIMIT ?4`,
        )
        .values(within, named, now, limit, wanted)
        .map(factOf)
    },
    remove: ({ namespace, key }) => {
      const ids = connection
        .prepare<[id: number]>("DELETE FROM smithers_memory WHERE namespace = ?1 AND (?2 IS NULL OR key = ?2) RETURNING id")
        .values(namespace, key ?? null)
      unindex(ids)
      return ids.length
    },
  }
}
