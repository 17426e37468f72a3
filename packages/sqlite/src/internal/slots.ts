/**
 * Slots of limits on the connection of the engine. A slot belongs to the claim of a run: it is free once another claim has followed,
 * its process is known to be dead, or its lease has ended and its process is not seen on this machine. A place that waits stays until
 * the run has ended, is released without it, or asks for it again.
 */
import { RunFenced, UnknownLimit } from "@smithers/core/Errors"
import * as Later from "@smithers/core/Later"
import * as Limits from "@smithers/core/Limits"
import type { Place, Polled, SlotRequest, SlotWait, StoredLimit } from "@smithers/core/Slots"
import * as Status from "@smithers/core/Status"
import { inList } from "@smithers/sql/Lists"
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

/** Places of runs that were released while they waited, part of layout 24. */
export const rests = `
ALTER TABLE smithers_slots ADD COLUMN offered_at INTEGER; -- when a slot was kept for a run that rests
ALTER TABLE smithers_slots ADD COLUMN owner TEXT; -- the process that it belongs to, where it is no claim of the run
DROP INDEX smithers_slots_waiting;
CREATE INDEX smithers_slots_run ON smithers_slots (run_id) WHERE status <> 'spent';
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
  /** Keeps the places of a run that rests on them, and drops those of its earlier claims. Call it within a write transaction. */
  readonly rest: (runId: string, epoch: number) => void
  /** Runs that rest and could get a slot now, and when the next rate window opens for one (epoch ms). */
  readonly due: (now: number) => { readonly runIds: ReadonlyArray<string>; readonly opensAt: number | undefined }
}

/** Adds the slots that a run waits for to what is shown of it. */
export const shownIn = <A extends object>(details: A, slots: ReadonlyArray<SlotWait>): A & { slots?: ReadonlyArray<SlotWait> } =>
  slots.length === 0 ? details : { ...details, slots }

/** Most places that are read at once: a queue may be long, and few of it get a slot. */
const mostAtOnce = 32

type Claim = [
  process: string | null,
  epoch: number,
  runEpoch: number | null,
  owner: string | null,
  leaseUntil: number | null,
  status: string | null,
]

const ended = inList(Status.endedStatuses)

const LimitText = Later.schema(() => Schema.parseJson(Limits.Limit))

const readLimit = (settings: string) => Schema.decodeUnknownSync(LimitText)(settings)

/** Creates the slots of a connection. `me` is the owner that the claims of this connection name. */
export const make = ({ prepare }: Connection, me: string): Slots => {
  const selectLimit = prepare<[settings: string]>("SELECT settings FROM smithers_limits WHERE name = ?")
  const selectNames = prepare<[name: string]>("SELECT name FROM smithers_limits ORDER BY name")
  const selectLimits = prepare<[name: string, settings: string, at: number, held: number, waiting: number]>(
    `SELECT name, settings, configured_at,
       (SELECT count(*) FROM smithers_slots s WHERE s.name = l.name AND s.status = 'held'),
       (SELECT count(*) FROM smithers_slots s JOIN smithers_runs r ON r.run_id = s.run_id
        WHERE s.name = l.name AND s.status = 'waiting' AND (r.status NOT IN ${ended} OR r.owner IS NOT NULL))
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
    `INSERT OR REPLACE INTO smithers_slots (name, place, key, status, run_id, epoch, node_id, iteration, attempt, since, owner)
     VALUES (?, ?, ?, 'waiting', ?, ?, ?, ?, ?, ?, ?)`,
  )
  const selectRow = prepare<[key: string, status: string, epoch: number]>(
    "SELECT key, status, epoch FROM smithers_slots WHERE name = ? AND place = ?",
  )
  const selectKept = prepare<[place: number, since: number]>(
    `SELECT place, since FROM smithers_slots
     WHERE run_id = ?1 AND status <> 'spent' AND status = 'waiting' AND epoch < ?2 AND name = ?3 AND key = ?4 AND node_id = ?5
       AND iteration = ?6 ORDER BY place LIMIT 1`,
  )
  // What the processes before have held counts for rates only.
  const spendLost = prepare(
    "UPDATE smithers_slots SET status = 'spent' WHERE run_id = ? AND status <> 'spent' AND status = 'held' AND epoch < ? AND owner IS NULL",
  )
  const putBack = prepare(
    `UPDATE smithers_slots SET status = 'waiting', granted_at = NULL
     WHERE run_id = ? AND status <> 'spent' AND status = 'held' AND epoch = ?`,
  )
  const dropLost = prepare(
    "DELETE FROM smithers_slots WHERE run_id = ? AND status <> 'spent' AND status = 'waiting' AND epoch < ? AND owner IS NULL",
  )
  const selectResting = prepare<[name: string, key: string]>(
    `SELECT DISTINCT s.name, s.key FROM smithers_slots s INDEXED BY smithers_slots_run CROSS JOIN smithers_runs r ON r.run_id = s.run_id
     WHERE s.status <> 'spent' AND s.status = 'waiting' AND s.owner IS NULL AND r.owner IS NULL AND r.status = 'waiting'`,
  )
  const selectRun = prepare<[runId: string]>("SELECT run_id FROM smithers_slots WHERE name = ? AND place = ?")
  const selectOffered = prepare<[place: number]>(
    "SELECT place FROM smithers_slots WHERE name = ? AND key = ? AND status = 'waiting' AND offered_at IS NOT NULL",
  )
  const offer = prepare("UPDATE smithers_slots SET offered_at = ? WHERE name = ? AND place = ?")
  const selectClaim = prepare<[owner: string | null]>("SELECT owner FROM smithers_runs WHERE run_id = ? AND epoch = ?")
  const ofQueue = `SELECT s.place, s.offered_at, s.owner, s.epoch, r.epoch, r.owner, r.lease_until, r.status FROM smithers_slots s
     LEFT JOIN smithers_runs r ON r.run_id = s.run_id WHERE s.name = ? AND s.key = ? AND s.status =`
  type QueueRow = [place: number, offeredAt: number | null, ...Claim]
  const selectHeld = prepare<QueueRow>(`${ofQueue} 'held'`)
  const selectWaiting = prepare<QueueRow>(`${ofQueue} 'waiting' AND s.place > ? ORDER BY s.place LIMIT ${mostAtOnce}`)
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
       (SELECT count(*) FROM smithers_slots o JOIN smithers_runs p ON p.run_id = o.run_id
        WHERE o.name = s.name AND o.key = s.key AND o.status = 'waiting' AND o.place < s.place
          AND (p.owner IS NOT NULL OR p.status NOT IN ${ended}))
     FROM smithers_slots s JOIN smithers_runs r ON r.run_id = s.run_id
       AND iif(r.owner IS NULL, r.status = 'waiting', r.epoch = s.epoch)
     WHERE s.run_id = ? AND s.status <> 'spent' AND s.status = 'waiting' ORDER BY s.since, s.place`,
  )

  const limitOf = (name: string): Limits.Limit | undefined => {
    const row = selectLimit.values(name)[0]
    return row === undefined ? undefined : readLimit(row[0])
  }
  /** What became of the claim of a row. Owners are looked at once in a transaction. */
  const claimsAt = (now: number): ((...claim: Claim) => Limits.Claim) => {
    const known = new Map<string, readonly [isDead: boolean, isSeen: boolean]>()
    const lookAt = (owner: string): readonly [isDead: boolean, isSeen: boolean] => {
      const found = known.get(owner) ?? ([Owner.isDead(owner), Owner.isSeen(owner)] as const)
      known.set(owner, found)
      return found
    }
    return (process, epoch, runEpoch, owner, leaseUntil, status) => {
      // Nobody takes over what a process does beside runs.
      if (process !== null) return process === me || (!lookAt(process)[0] && lookAt(process)[1]) ? "current" : "over"
      if (status === null || (owner === null && Status.isEnded(status))) return "over"
      if (owner === null && status === "waiting") return "released"
      if (runEpoch !== epoch || owner === null || leaseUntil === null) return "lost"
      if (owner === me) return "current"
      const [isDead, isSeen] = lookAt(owner)
      return isDead || (leaseUntil <= now && !isSeen) ? "lost" : "current"
    }
  }
  const free = (name: string, place: number, isSpent: boolean): void => {
    if (isSpent) spend.run(name, place)
    else drop.run(name, place)
  }
  const roomIn = ({ name, key }: Limits.Queue, limit: Limits.Limit, held: number, now: number) =>
    Limits.roomOf(limit, { held, grantsSince: (after, most) => selectGrants.values(name, key, after, most).map(([at]) => at) }, now)
  const heldIn = ({ name, key }: Limits.Queue): number => countHeld.values(name, key)[0]?.[0] ?? 0

  /** The places that wait, in order, read as far as they are asked for. */
  function* waitingIn({ name, key }: Limits.Queue, claimOf: (...claim: Claim) => Limits.Claim): Iterable<Limits.Waiter> {
    for (let last: number | undefined = Number.MIN_SAFE_INTEGER; last !== undefined; ) {
      const rows: ReadonlyArray<QueueRow> = selectWaiting.values(name, key, last)
      for (const [place, offeredAt, ...claim] of rows) yield { place, claim: claimOf(...claim), offeredAt: offeredAt ?? undefined }
      last = rows.length < mostAtOnce ? undefined : rows.at(-1)?.[0]
    }
  }
  /** What becomes of a queue now. Changes nothing. */
  const look = (queue: Limits.Queue, now: number) => {
    const { name, key } = queue
    const limit = limitOf(name) ?? {}
    const claimOf = claimsAt(now)
    const held = heldIn(queue)
    const isFull = limit.concurrency !== undefined && held >= limit.concurrency
    const lost = isFull
      ? selectHeld.values(name, key).flatMap(([place, , ...claim]) => (claimOf(...claim) === "current" ? [] : [place]))
      : []
    const { room, opensAt } = roomIn(queue, limit, held - lost.length, now)
    if (room === 0) return { limit, lost, granted: [], offered: [], over: [], opensAt }
    return { limit, lost, ...Limits.assign(waitingIn(queue, claimOf), room, now) }
  }

  const grant = (queue: Limits.Queue, now: number): boolean => {
    const { name, key } = queue
    if (selectWaiting.values(name, key, Number.MIN_SAFE_INTEGER).length === 0) return false
    // The clock was set back since.
    setBack.run(name, key, now)
    const { limit, lost, granted, offered, over } = look(queue, now)
    for (const place of lost) free(name, place, Limits.hasRate(limit))
    for (const place of over) drop.run(name, place)
    for (const place of granted) hold.run(now, name, place)
    for (const place of offered) offer.run(now, name, place)
    if (granted.length > 0 && Limits.hasRate(limit)) prune.run(now - Limits.longestWindowMs)
    return granted.length + offered.length > 0
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
    request: ({ name, key, runId, epoch, nodeId, iteration, attempt, now, place: before, isOfProcess = false }) => {
      if (limitOf(name) === undefined)
        return Either.left(new UnknownLimit({ limit: name, known: selectNames.values().map(([known]) => known) }))
      const owner = selectClaim.values(runId, epoch)[0]?.[0]
      if (!isOfProcess && (owner === undefined || owner === null)) return Either.left(new RunFenced({ runId, epoch }))
      spendLost.run(runId, epoch)
      const [kept, since = now] =
        before === undefined ? (selectKept.values(runId, epoch, name, key, nodeId, iteration)[0] ?? []) : []
      const place = before ?? kept ?? takePlace.values(name)[0]?.[0] ?? 0
      insert.run(name, place, key, runId, epoch, nodeId, iteration, attempt, since, isOfProcess ? me : null)
      grant({ name, key }, now)
      return Either.right({ place, isGranted: selectRow.values(name, place)[0]?.[1] === "held" })
    },
    leave: (places, isUsed, now) => {
      const queues = queuesOf(places)
      for (const { name, place, epoch } of places) {
        // Another claim may have asked for it again.
        if (epoch !== undefined && selectRow.values(name, place)[0]?.[2] !== epoch) continue
        const isSpent = isUsed && selectRow.values(name, place)[0]?.[1] === "held" && Limits.hasRate(limitOf(name) ?? {})
        free(name, place, isSpent)
      }
      return queues.filter((queue) => grant(queue, now)).length > 0
    },
    isDue: (places, now) =>
      queuesOf(places).some((queue) => {
        const { granted, offered } = look(queue, now)
        return granted.length + offered.length > 0
      }),
    grantAll: (places, now) => {
      for (const queue of queuesOf(places)) grant(queue, now)
    },
    poll: (places, now) => {
      const statuses = places.map(({ name, place }) => selectRow.values(name, place)[0]?.[1])
      const waiting = places.filter((_, index) => statuses[index] === "waiting")
      const opens = queuesOf(waiting).flatMap((queue) => look(queue, now).opensAt ?? [])
      return {
        granted: places.filter((_, index) => statuses[index] === "held"),
        lost: places.filter((_, index) => statuses[index] !== "held" && statuses[index] !== "waiting"),
        opensAt: opens.length === 0 ? undefined : Math.min(...opens),
      }
    },
    rest: (runId, epoch) => {
      putBack.run(runId, epoch)
      dropLost.run(runId, epoch)
    },
    due: (now) => {
      const runIds = new Set<string>()
      let opensAt: number | undefined
      for (const [name, key] of selectResting.values()) {
        const found = look({ name, key }, now)
        const places = [...selectOffered.values(name, key).map(([place]) => place), ...found.offered]
        for (const place of places) for (const [runId] of selectRun.values(name, place)) runIds.add(runId)
        if (found.opensAt !== undefined) opensAt = Math.min(opensAt ?? found.opensAt, found.opensAt)
      }
      return { runIds: [...runIds], opensAt }
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
