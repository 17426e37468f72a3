/**
 * Slots of limits in memory.
 */
import * as Either from "effect/Either"
import { RunFenced, UnknownLimit } from "../Errors.ts"
import * as Limits from "../Limits.ts"
import type { Millis } from "../Millis.ts"
import type { Place, Polled, SlotRequest, SlotWait, StoredLimit } from "../Slots.ts"

interface Row extends Omit<SlotRequest, "now" | "place"> {
  readonly place: number
  readonly since: number
  status: "waiting" | "held" | "spent"
  grantedAt: number | undefined
  offeredAt: number | undefined
}

interface Configured {
  limit: Limits.Limit
  configuredAt: number
  /** The last place that was given. */
  places: number
}

export interface MemorySlots {
  readonly configure: (limits: Limits.LimitSettings, now: Millis) => void
  readonly limits: () => ReadonlyArray<StoredLimit>
  readonly request: (
    request: SlotRequest,
  ) => Either.Either<{ readonly place: number; readonly isGranted: boolean }, UnknownLimit | RunFenced>
  /** Returns whether another place got a slot. */
  readonly leave: (places: ReadonlyArray<Place>, isUsed: boolean, now: number) => boolean
  readonly poll: (places: ReadonlyArray<Place>, now: number) => Polled
  readonly waits: (runId: string, now: number) => ReadonlyArray<SlotWait>
  /** Keeps the places of a run that rests on them, and drops those of its earlier claims. */
  readonly rest: (runId: string, epoch: number) => void
  /** Runs that rest and could get a slot now, and when the next rate window opens for one (epoch ms). */
  readonly due: (now: number) => { readonly runIds: ReadonlyArray<string>; readonly opensAt: number | undefined }
}

/** Makes the slots of a store. `claimOf` tells what became of a claim. */
export const make = (claimOf: (runId: string, epoch: number, now: number) => Limits.Claim): MemorySlots => {
  const configured = new Map<string, Configured>()
  let rows: Array<Row> = []
  const isOf =
    ({ name, key }: Limits.Queue) =>
    (row: Row): boolean =>
      row.name === name && row.key === key
  const claim = ({ runId, epoch, isOfProcess }: Omit<SlotRequest, "now" | "place">, now: number): Limits.Claim =>
    isOfProcess === true ? "current" : claimOf(runId, epoch, now)
  const isOver = (row: Row, now: number): boolean => claim(row, now) === "over"
  const find = ({ name, place }: Place): Row | undefined => rows.find((row) => row.name === name && row.place === place)
  const free = (row: Row, isUsed: boolean): void => {
    const { limit } = configured.get(row.name) ?? { limit: {} }
    if (row.status === "held" && isUsed && Limits.hasRate(limit)) row.status = "spent"
    else rows = rows.filter((other) => other !== row)
  }
  const roomIn = (queue: Limits.Queue, now: number): ReturnType<typeof Limits.roomOf> => {
    const of = rows.filter(isOf(queue))
    // The clock was set back since.
    for (const row of of) if (row.grantedAt !== undefined) row.grantedAt = Math.min(row.grantedAt, now)
    const grantsSince = (after: number, most: number): ReadonlyArray<number> =>
      of
        .flatMap(({ grantedAt }) => (grantedAt !== undefined && grantedAt > after ? [grantedAt] : []))
        .sort((left, right) => right - left)
        .slice(0, most)
    const held = of.filter(({ status }) => status === "held").length
    return Limits.roomOf(configured.get(queue.name)?.limit ?? {}, { held, grantsSince }, now)
  }
  /** What becomes of a queue now. Changes nothing but what is over. */
  const look = (queue: Limits.Queue, now: number): Limits.Assigned => {
    rows = rows.filter(({ status, grantedAt }) => status !== "spent" || (grantedAt ?? 0) > now - Limits.longestWindowMs)
    const of = rows.filter(isOf(queue))
    for (const row of of) if (row.status === "held" && claim(row, now) !== "current") free(row, true)
    const { room, opensAt } = roomIn(queue, now)
    if (room === 0) return { granted: [], offered: [], over: [], opensAt }
    const waiting = of.filter(({ status }) => status === "waiting").sort((one, other) => one.place - other.place)
    return Limits.assign(
      waiting.map((row) => ({ place: row.place, offeredAt: row.offeredAt, claim: claim(row, now) })),
      room,
      now,
    )
  }
  /** Gives the slots that are left to those who wait, in order. */
  const grant = (queue: Limits.Queue, now: number): { readonly isAny: boolean } => {
    const { granted, offered, over } = look(queue, now)
    rows = rows.filter((row) => !isOf(queue)(row) || row.status !== "waiting" || !over.includes(row.place))
    for (const row of rows.filter((row) => isOf(queue)(row) && row.status === "waiting")) {
      if (offered.includes(row.place)) row.offeredAt = now
      if (!granted.includes(row.place)) continue
      row.status = "held"
      row.grantedAt = now
    }
    return { isAny: granted.length + offered.length > 0 }
  }
  const queuesOf = (places: ReadonlyArray<Place>): ReadonlyArray<Limits.Queue> => {
    const found = places.flatMap((place) => find(place) ?? [])
    return [...new Map(found.map(({ name, key }) => [JSON.stringify([name, key]), { name, key }])).values()]
  }
  return {
    configure: (limits, now) => {
      for (const [name, limit] of Object.entries(limits)) {
        const places = configured.get(name)?.places ?? 0
        configured.set(name, { limit, configuredAt: now, places })
      }
    },
    limits: () =>
      [...configured]
        .map(([name, { limit, configuredAt }]) => {
          const count = (wanted: Row["status"]) =>
            rows.filter((row) => row.name === name && row.status === wanted && !isOver(row, 0)).length
          return { name, limit, configuredAt, held: count("held"), waiting: count("waiting") }
        })
        .sort((one, other) => (one.name < other.name ? -1 : 1)),
    request: ({ now, place: before, ...request }) => {
      const limit = configured.get(request.name)
      if (limit === undefined) return Either.left(new UnknownLimit({ limit: request.name, known: [...configured.keys()].sort() }))
      const { runId, epoch } = request
      if (claim(request, now) !== "current") return Either.left(new RunFenced({ runId, epoch }))
      const isOfNode = (row: Row): boolean =>
        isOf(request)(row) && row.nodeId === request.nodeId && row.iteration === request.iteration && row.runId === runId
      const kept = rows
        .filter((row) => before === undefined && row.status === "waiting" && row.epoch < epoch && isOfNode(row))
        .sort((one, other) => one.place - other.place)[0]
      const place = before ?? kept?.place ?? ++limit.places
      const since = kept?.since ?? now
      const row: Row = { ...request, place, since, status: "waiting", grantedAt: undefined, offeredAt: undefined }
      rows = [...rows.filter((other) => other.name !== row.name || other.place !== place), row]
      grant(request, now)
      return Either.right({ place, isGranted: row.status === "held" })
    },
    leave: (places, isUsed, now) => {
      const queues = queuesOf(places)
      for (const place of places) {
        const row = find(place)
        // Another claim may have asked for it again.
        if (row !== undefined && (place.epoch ?? row.epoch) === row.epoch) free(row, isUsed)
      }
      return queues.filter((queue) => grant(queue, now).isAny).length > 0
    },
    poll: (places, now) => {
      let opensAt: number | undefined
      for (const queue of queuesOf(places)) {
        grant(queue, now)
        const opens = look(queue, now).opensAt
        if (opens !== undefined) opensAt = Math.min(opensAt ?? opens, opens)
      }
      return {
        granted: places.filter((place) => find(place)?.status === "held"),
        lost: places.filter((place) => find(place)?.status !== "held" && find(place)?.status !== "waiting"),
        opensAt,
      }
    },
    waits: (runId, now) =>
      rows
        .filter((row) => row.runId === runId && row.status === "waiting" && ["current", "released"].includes(claim(row, now)))
        .map(({ name, key, nodeId, iteration, attempt, since, place }) => {
          const isBefore = (row: Row): boolean =>
            isOf({ name, key })(row) && row.status === "waiting" && row.place < place && !isOver(row, now)
          const before = rows.filter(isBefore).length
          return { name, key, nodeId, iteration, attempt, since, before }
        }),
    rest: (runId, epoch) => {
      rows = rows.filter(
        (row) => row.runId !== runId || row.status !== "waiting" || row.epoch === epoch || row.isOfProcess === true,
      )
      for (const row of rows) {
        if (row.runId !== runId || row.epoch !== epoch || row.status !== "held") continue
        row.status = "waiting"
        row.grantedAt = undefined
      }
    },
    due: (now) => {
      const runIds = new Set<string>()
      let opensAt: number | undefined
      const resting = rows.filter((row) => row.status === "waiting" && claim(row, now) === "released")
      for (const queue of queuesOf(resting)) {
        const found = look(queue, now)
        for (const row of resting.filter(isOf(queue)))
          if (row.offeredAt !== undefined || found.offered.includes(row.place)) runIds.add(row.runId)
        if (found.opensAt !== undefined) opensAt = Math.min(opensAt ?? found.opensAt, found.opensAt)
      }
      return { runIds: [...runIds], opensAt }
    },
  }
}
