/**
 * Published events on the connection of the engine. An event, its signals and the rows of who took it are written in one transaction.
 */
import { compositeKey } from "@smithers/core/Ids"
import type { Millis } from "@smithers/core/Millis"
import * as Published from "@smithers/core/Published"
import * as Either from "effect/Either"
import type { Claims } from "./claims.ts"
import type { Connection } from "./connection.ts"

/** The tables of events, part of the step in which they came. */
export const sql = `
CREATE TABLE smithers_published (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  correlation TEXT,
  payload TEXT, -- JSON; NULL if it has none
  at_ms INTEGER NOT NULL,
  kept_until INTEGER NOT NULL, -- time until which a wait that opens takes it, if no run has taken it
  is_taken INTEGER -- 1 once a run has taken it
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_published_kept ON smithers_published (kept_until) WHERE is_taken IS NULL;

-- The runs that took an event.
CREATE TABLE smithers_published_runs (
  id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (id, run_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_waits_signals ON smithers_waits (name, correlation, since) WHERE status = 'open' AND kind = 'signal';
`

export interface PublishedRows {
  /** Call it within a write transaction. */
  readonly publish: (event: Published.NewEvent) => Published.PublishedEvent
  /** Tells whether {@link PublishedRows.deliver} has something to do. */
  readonly isDue: (now: number) => boolean
  /** Call it within a write transaction. */
  readonly deliver: (now: Millis) => number
  readonly find: (filter: Published.PublishedFilter) => ReadonlyArray<Published.PublishedEvent>
}

type EventRow = [id: string, name: string, correlation: string | null, payload: string | null, at: Millis, keptUntil: Millis]

const columns = "p.id, p.name, p.correlation, p.payload, p.at_ms, p.kept_until"

const isMeant = "w.status = 'open' AND w.kind = 'signal' AND w.name = p.name AND w.correlation IS p.correlation"

export const make = (connection: Connection, claims: Pick<Claims, "deliver">): PublishedRows => {
  // Prepared when they are first used: most processes publish nothing.
  const selectDue = connection.prepare<EventRow>(
    `SELECT ${columns} FROM smithers_published p INDEXED BY smithers_published_kept
     WHERE p.is_taken IS NULL AND p.kept_until > ?1 AND EXISTS (SELECT 1 FROM smithers_waits w WHERE ${isMeant}) LIMIT ?2`,
  )
  const takersOf = (id: string) =>
    connection
      .prepare<[runId: string, at: Millis]>("SELECT run_id, at_ms FROM smithers_published_runs WHERE id = ? ORDER BY at_ms, run_id")
      .values(id)
      .map(([runId, at]) => ({ runId, at }))
  const eventOf = ([id, name, correlation, payload, at, keptUntil]: EventRow): Published.PublishedEvent => ({
    ...{ id, name, correlation, at, keptUntil, takenBy: takersOf(id) },
    ...(payload === null ? {} : { payload: JSON.parse(payload) as unknown }),
  })
  const select = (id: string) =>
    connection.prepare<EventRow>(`SELECT ${columns} FROM smithers_published p WHERE p.id = ?`).values(id).map(eventOf)[0]
  /** Runs with an open wait for an event, that with the oldest wait first. */
  const awaiting = ({ id }: Published.PublishedEvent): ReadonlyArray<string> =>
    connection
      .prepare<[runId: string]>(
        `SELECT w.run_id FROM smithers_published p JOIN smithers_waits w ON ${isMeant} WHERE p.id = ? GROUP BY w.run_id ORDER BY min(w.since), w.run_id`,
      )
      .values(id)
      .map(([runId]) => runId)
  /** Delivers an event to runs, and notes it. A run that has ended meanwhile takes nothing. */
  const hand = (event: Published.PublishedEvent, runIds: ReadonlyArray<string>, at: Millis): number => {
    const command = Published.signalOf(event)
    const taken = runIds.filter((runId) =>
      Either.isRight(claims.deliver({ id: compositeKey("signal", event.id), runId, at, command })),
    )
    const note = connection.prepare("INSERT OR IGNORE INTO smithers_published_runs (id, run_id, at_ms) VALUES (?, ?, ?)")
    for (const runId of taken) note.run(event.id, runId, at)
    if (taken.length > 0) connection.prepare("UPDATE smithers_published SET is_taken = 1 WHERE id = ?").run(event.id)
    return taken.length
  }
  return {
    publish: ({ id, name, correlation = null, payload, at, keptUntil }) => {
      const longAgo = at - Published.knownForMs
      connection
        .prepare("DELETE FROM smithers_published_runs WHERE id IN (SELECT id FROM smithers_published WHERE kept_until < ?)")
        .run(longAgo)
      connection.prepare("DELETE FROM smithers_published WHERE kept_until < ?").run(longAgo)
      const known = select(id)
      if (known !== undefined) return known
      connection
        .prepare("INSERT INTO smithers_published (id, name, correlation, payload, at_ms, kept_until) VALUES (?, ?, ?, ?, ?, ?)")
        .run(id, name, correlation, payload === undefined ? null : JSON.stringify(payload), at, keptUntil)
      const event = eventOf([id, name, correlation, payload === undefined ? null : JSON.stringify(payload), at, keptUntil])
      hand(event, awaiting(event), at)
      return { ...event, takenBy: takersOf(id) }
    },
    isDue: (now) => selectDue.values(now, 1).length > 0,
    deliver: (now) => {
      let count = 0
      for (const event of selectDue.values(now, 1000).map(eventOf)) {
        // The next one takes it where a run ends at this moment.
        if (awaiting(event).some((runId) => hand(event, [runId], now) > 0)) count++
      }
      return count
    },
    find: ({ id, limit = 100 }) =>
      connection
        .prepare<EventRow>(
          `SELECT ${columns} FROM smithers_published p WHERE ?1 IS NULL OR p.id = ?1 ORDER BY p.at_ms DESC, p.id LIMIT ?2`,
        )
        .values(id ?? null, limit)
        .map(eventOf),
  }
}
