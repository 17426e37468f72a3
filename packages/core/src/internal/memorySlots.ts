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
}

/** Makes the slots of a store. `isHeld` tells whether a claim is the current one of its run. */
export const make = (isHeld: (runId: string, epoch: number, now: number) => boolean): MemorySlots => {
  const configured = new Map<string, Configured>()
  let rows: Array<Row> = []
  const isOf =
    ({ name, key }: Limits.Queue) =>
    (row: Row): boolean =>
      row.name === name && row.key === key
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
  /** Gives the slots that are left to those who wait, in order. */
  const grant = (queue: Limits.Queue, now: number): { readonly isAny: boolean; readonly opensAt: number | undefined } => {
    rows = rows.filter(({ status, grantedAt }) => status !== "spent" || (grantedAt ?? 0) > now - Limits.longestWindowMs)
    for (const row of rows.filter(isOf(queue)))
      if (row.status !== "spent" && !isHeld(row.runId, row.epoch, now)) free(row, row.status === "held")
    let isAny = false
    const waiting = rows.filter((row) => isOf(queue)(row) && row.status === "waiting").sort((one, other) => one.place - other.place)
    for (const row of waiting) {
      const { room, opensAt } = roomIn(queue, now)
      if (room === 0) return { isAny, opensAt }
      row.status = "held"
      row.grantedAt = now
      isAny = true
    }
    return { isAny, opensAt: undefined }
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
          const count = (wanted: Row["status"]) => rows.filter((row) => row.name === name && row.status === wanted).length
          return { name, limit, configuredAt, held: count("held"), waiting: count("waiting") }
        })
        .sort((one, other) => (one.name < other.name ? -1 : 1)),
    request: ({ now, place: before, ...request }) => {
      const limit = configured.get(request.name)
      if (limit === undefined) return Either.left(new UnknownLimit({ limit: request.name, known: [...configured.keys()].sort() }))
      const { runId, epoch } = request
      if (!isHeld(runId, epoch, now)) return Either.left(new RunFenced({ runId, epoch }))
      const place = before ?? ++limit.places
      const row: Row = { ...request, place, since: now, status: "waiting", grantedAt: undefined }
      rows = [...rows.filter((other) => other.name !== row.name || other.place !== place), row]
      grant(request, now)
      return Either.right({ place, isGranted: row.status === "held" })
    },
    leave: (places, isUsed, now) => {
      const queues = queuesOf(places)
      for (const place of places) {
        const row = find(place)
        if (row !== undefined) free(row, isUsed)
      }
      return queues.filter((queue) => grant(queue, now).isAny).length > 0
    },
    poll: (places, now) => {
      let opensAt: number | undefined
      for (const queue of queuesOf(places)) {
        const opens = grant(queue, now).opensAt
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
        .filter((row) => row.runId === runId && row.status === "waiting" && isHeld(runId, row.epoch, now))
        .map(({ name, key, nodeId, iteration, attempt, since, place }) => {
          const before = rows.filter((row) => isOf({ name, key })(row) && row.status === "waiting" && row.place < place).length
          return { name, key, nodeId, iteration, attempt, since, before }
        }),
  }
}
