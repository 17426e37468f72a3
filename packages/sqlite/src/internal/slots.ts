/**
 * Slots of limits on the connection of the engine. A slot belongs to the claim of a run: it is free once another claim has followed,
 * its process is known to be dead, or its lease has ended and its process is not seen on this machine.
 */
import { RunFenced, UnknownLimit } from "@smithers/core/Errors"
import * as Limits from "@smithers/core/Limits"
import type { Place, Polled, SlotRequest, SlotWait, StoredLimit } from "@smithers/core/Slots"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Connection } from "./connection.ts"
import * as Owner from "./owner.ts"

/** Tables of limits and their slots, part of layout 23. */
export const sql = `
-- Limits that the runs of the store share. The last process that configured one decides.
CREATE TABLE smithers_limits (
  name TEXT PRIMARY KEY,
  settings TEXT NOT NULL, -- JSON {"concurrency"?, "perSecond"?, "perMinute"?, "perHour"?}
  configured_at INTEGER NOT NULL,
  last_place INTEGER NOT NULL DEFAULT 0 -- the last place that was given
) STRICT, WITHOUT ROWID;

-- Places in the queues of limits, and slots. Those that were given back stay where a rate counts them.
CREATE TABLE smithers_slots (
  name TEXT NOT NULL,
  place INTEGER NOT NULL,
  key TEXT NOT NULL, -- whose slots; empty where all share them
  status TEXT NOT NULL, -- waiting, held, spent
  run_id TEXT NOT NULL,
  epoch INTEGER NOT NULL, -- of the claim that it belongs to
  node_id TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  since INTEGER NOT NULL,
  granted_at INTEGER,
  PRIMARY KEY (name, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_slots_queue ON smithers_slots (name, key, status, place);
CREATE INDEX smithers_slots_granted ON smithers_slots (name, key, granted_at) WHERE granted_at IS NOT NULL;
CREATE INDEX smithers_slots_spent ON smithers_slots (granted_at) WHERE status = 'spent';
CREATE INDEX smithers_slots_waiting ON smithers_slots (run_id) WHERE status = 'waiting';
`

export interface Slots {
  /** Stores limits. Returns whether any of them is another than before. Call it within a write transaction. */
  readonly configure: (limits: Limits.LimitSettings, now: number) => boolean
  readonly limits: () => ReadonlyArray<StoredLimit>
  /** Takes a place. Call it within a write transaction. */
  readonly request: (
    request: SlotRequest,
  ) => Either.Either<{ readonly place: number; readonly isGranted: boolean }, UnknownLimit | RunFenced>
  /** Gives slots back. Returns whether another place got a slot. Call it within a write transaction. */
  readonly leave: (places: ReadonlyArray<Place>, isUsed: boolean, now: number) => boolean
  /** Returns whether a look at these places would give any of their queues a slot. */
  readonly isDue: (places: ReadonlyArray<Place>, now: number) => boolean
  /** Gives the slots that are free in the queues of these places. Call it within a write transaction. */
  readonly grantAll: (places: ReadonlyArray<Place>, now: number) => void
  readonly poll: (places: ReadonlyArray<Place>, now: number) => Polled
  readonly waits: (runId: string) => ReadonlyArray<SlotWait>
}

/** Adds the slots that a run waits for to what is shown of it. */
export const shownIn = <A extends object>(details: A, slots: ReadonlyArray<SlotWait>): A & { slots?: ReadonlyArray<SlotWait> } =>
  slots.length === 0 ? details : { ...details, slots }

/** Most places that are read at once: a queue may be long, and few of it get a slot. */
const mostAtOnce = 32

type Claim = [epoch: number, runEpoch: number | null, owner: string | null, leaseUntil: number | null]

const readLimit = Schema.decodeUnknownSync(Schema.parseJson(Limits.Limit))

/** Creates the slots of a connection. `me` is the owner that the claims of this connection name. */
export const make = ({ prepare }: Connection, me: string): Slots => {
  const selectLimit = prepare<[settings: string]>("SELECT settings FROM smithers_limits WHERE name = ?")
  const selectNames = prepare<[name: string]>("SELECT name FROM smithers_limits ORDER BY name")
  const selectLimits = prepare<[name: string, settings: string, at: number, held: number, waiting: number]>(
    `SELECT name, settings, configured_at,
       (SELECT count(*) FROM smithers_slots s WHERE s.name = l.name AND s.status = 'held'),
       (SELECT count(*) FROM smithers_slots s WHERE s.name = l.name AND s.status = 'waiting')
     FROM smithers_limits l ORDER BY name`,
  )
  const putLimit = prepare(
    `INSERT INTO smithers_limits (name, settings, configured_at) VALUES (?1, ?2, ?3)
     ON CONFLICT DO UPDATE SET settings = ?2, configured_at = ?3 WHERE settings <> ?2`,
  )
  const takePlace = prepare<[place: number]>(
    "UPDATE smithers_limits SET last_place = last_place + 1 WHERE name = ? RETURNING last_place",
  )
  const insert = prepare(
    `INSERT OR REPLACE INTO smithers_slots (name, place, key, status, run_id, epoch, node_id, iteration, attempt, since)
     VALUES (?, ?, ?, 'waiting', ?, ?, ?, ?, ?, ?)`,
  )
  const selectRow = prepare<[key: string, status: string]>("SELECT key, status FROM smithers_slots WHERE name = ? AND place = ?")
  const selectClaim = prepare<[owner: string | null]>("SELECT owner FROM smithers_runs WHERE run_id = ? AND epoch = ?")
  const ofQueue = `SELECT s.place, s.epoch, r.epoch, r.owner, r.lease_until FROM smithers_slots s
     LEFT JOIN smithers_runs r ON r.run_id = s.run_id WHERE s.name = ? AND s.key = ? AND s.status =`
  const selectHeld = prepare<[place: number, ...Claim]>(`${ofQueue} 'held'`)
  const selectWaiting = prepare<[place: number, ...Claim]>(`${ofQueue} 'waiting' ORDER BY s.place LIMIT ${mostAtOnce}`)
  const countHeld = prepare<[count: number]>("SELECT count(*) FROM smithers_slots WHERE name = ? AND key = ? AND status = 'held'")
  const selectGrants = prepare<[at: number]>(
    "SELECT granted_at FROM smithers_slots WHERE name = ? AND key = ? AND granted_at > ? ORDER BY granted_at DESC LIMIT ?",
  )
  const setBack = prepare("UPDATE smithers_slots SET granted_at = ?3 WHERE name = ?1 AND key = ?2 AND granted_at > ?3")
  const hold = prepare("UPDATE smithers_slots SET status = 'held', granted_at = ? WHERE name = ? AND place = ?")
  const spend = prepare("UPDATE smithers_slots SET status = 'spent' WHERE name = ? AND place = ?")
  const drop = prepare("DELETE FROM smithers_slots WHERE name = ? AND place = ?")
  const prune = prepare("DELETE FROM smithers_slots WHERE status = 'spent' AND granted_at <= ?")
  const selectWaits = prepare<
    [name: string, key: string, nodeId: string, iteration: number, attempt: number, since: number, before: number]
  >(
    `SELECT s.name, s.key, s.node_id, s.iteration, s.attempt, s.since,
       (SELECT count(*) FROM smithers_slots o WHERE o.name = s.name AND o.key = s.key AND o.status = 'waiting' AND o.place < s.place)
     FROM smithers_slots s JOIN smithers_runs r ON r.run_id = s.run_id AND r.epoch = s.epoch AND r.owner IS NOT NULL
     WHERE s.run_id = ? AND s.status = 'waiting' ORDER BY s.since, s.place`,
  )

  const limitOf = (name: string): Limits.Limit | undefined => {
    const row = selectLimit.values(name)[0]
    return row === undefined ? undefined : readLimit(row[0])
  }
  /** Tells whether the claim of a row is lost. Owners are looked at once in a transaction. */
  const lostClaims = (now: number): ((...claim: Claim) => boolean) => {
    const known = new Map<string, readonly [isDead: boolean, isSeen: boolean]>()
    const lookAt = (owner: string): readonly [isDead: boolean, isSeen: boolean] => {
      const found = known.get(owner) ?? ([Owner.isDead(owner), Owner.isSeen(owner)] as const)
      known.set(owner, found)
      return found
    }
    return (epoch, runEpoch, owner, leaseUntil) => {
      if (runEpoch !== epoch || owner === null || leaseUntil === null) return true
      if (owner === me) return false
      const [isDead, isSeen] = lookAt(owner)
      return isDead || (leaseUntil <= now && !isSeen)
    }
  }
  const free = (name: string, place: number, isSpent: boolean): void => {
    if (isSpent) spend.run(name, place)
    else drop.run(name, place)
  }
  const roomIn = ({ name, key }: Limits.Queue, limit: Limits.Limit, held: number, now: number) =>
    Limits.roomOf(limit, { held, grantsSince: (after, most) => selectGrants.values(name, key, after, most).map(([at]) => at) }, now)
  const heldIn = ({ name, key }: Limits.Queue): number => countHeld.values(name, key)[0]?.[0] ?? 0

  const grant = (queue: Limits.Queue, now: number): boolean => {
    const { name, key } = queue
    const limit = limitOf(name) ?? {}
    const isLost = lostClaims(now)
    let waiting = selectWaiting.values(name, key)
    if (waiting.length === 0) return false
    // The clock was set back since.
    setBack.run(name, key, now)
    let held = heldIn(queue)
    if (limit.concurrency !== undefined && held >= limit.concurrency) {
      for (const [place, ...claim] of selectHeld.values(name, key)) {
        if (!isLost(...claim)) continue
        free(name, place, Limits.hasRate(limit))
        held--
      }
    }
    let isAny = false
    for (let isFull = false; waiting.length > 0 && !isFull; waiting = selectWaiting.values(name, key)) {
      for (const [place, ...claim] of waiting) {
        if (isLost(...claim)) {
          drop.run(name, place)
          continue
        }
        isFull = roomIn(queue, limit, held, now).room === 0
        if (isFull) break
        hold.run(now, name, place)
        held++
        isAny = true
      }
    }
    if (isAny && Limits.hasRate(limit)) prune.run(now - Limits.longestWindowMs)
    return isAny
  }
  const queuesOf = (places: ReadonlyArray<Place>): ReadonlyArray<Limits.Queue> => {
    const queues = new Map<string, Limits.Queue>()
    for (const { name, place } of places) {
      const key = selectRow.values(name, place)[0]?.[0]
      if (key !== undefined) queues.set(JSON.stringify([name, key]), { name, key })
    }
    return [...queues.values()]
  }

  return {
    configure: (limits, now) =>
      Object.entries(limits).filter(([name, limit]) => putLimit.run(name, JSON.stringify(limit), now).changes > 0).length > 0,
    limits: () =>
      selectLimits.values().map(([name, settings, configuredAt, held, waiting]) => ({
        name,
        limit: readLimit(settings),
        configuredAt,
        held,
        waiting,
      })),
    request: ({ name, key, runId, epoch, nodeId, iteration, attempt, now, place: before }) => {
      if (limitOf(name) === undefined)
        return Either.left(new UnknownLimit({ limit: name, known: selectNames.values().map(([known]) => known) }))
      const owner = selectClaim.values(runId, epoch)[0]?.[0]
      if (owner === undefined || owner === null) return Either.left(new RunFenced({ runId, epoch }))
      const place = before ?? takePlace.values(name)[0]?.[0] ?? 0
      insert.run(name, place, key, runId, epoch, nodeId, iteration, attempt, now)
      grant({ name, key }, now)
      return Either.right({ place, isGranted: selectRow.values(name, place)[0]?.[1] === "held" })
    },
    leave: (places, isUsed, now) => {
      const queues = queuesOf(places)
      for (const { name, place } of places) {
        const isSpent = isUsed && selectRow.values(name, place)[0]?.[1] === "held" && Limits.hasRate(limitOf(name) ?? {})
        free(name, place, isSpent)
      }
      return queues.filter((queue) => grant(queue, now)).length > 0
    },
    isDue: (places, now) => {
      const isLost = lostClaims(now)
      return queuesOf(places).some((queue) => {
        const { name, key } = queue
        const limit = limitOf(name) ?? {}
        const isFull = limit.concurrency !== undefined && heldIn(queue) >= limit.concurrency
        if (isFull && selectHeld.values(name, key).every(([, ...claim]) => !isLost(...claim))) return false
        return roomIn(queue, limit, isFull ? 0 : heldIn(queue), now).room > 0
      })
    },
    grantAll: (places, now) => {
      for (const queue of queuesOf(places)) grant(queue, now)
    },
    poll: (places, now) => {
      const statuses = places.map(({ name, place }) => selectRow.values(name, place)[0]?.[1])
      const waiting = places.filter((_, index) => statuses[index] === "waiting")
      const opens = queuesOf(waiting).flatMap((queue) => roomIn(queue, limitOf(queue.name) ?? {}, 0, now).opensAt ?? [])
      return {
        granted: places.filter((_, index) => statuses[index] === "held"),
        lost: places.filter((_, index) => statuses[index] !== "held" && statuses[index] !== "waiting"),
        opensAt: opens.length === 0 ? undefined : Math.min(...opens),
      }
    },
    waits: (runId) =>
      selectWaits.values(runId).map(([name, key, nodeId, iteration, attempt, since, before]) => ({
        name,
        key,
        nodeId,
        iteration,
        attempt,
        since,
        before,
      })),
  }
}
