/**
 * Limits that the runs of a store share, such as the calls of a provider. A limit has a name; a step, an agent or a tool names it, and
 * begins once it holds a slot. With a key each customer, account or host has slots of its own.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { InvalidSetting } from "./Errors.ts"
import * as Millis from "./Millis.ts"
import * as Names from "./Names.ts"
import * as Secrets from "./Secrets.ts"
import * as Thrown from "./Thrown.ts"

/** A limit: most slots held at the same time, and most slots given in any second, minute or hour. */
export const Limit = Schema.Struct({
  concurrency: Schema.optional(Schema.Number),
  perSecond: Schema.optional(Schema.Number),
  perMinute: Schema.optional(Schema.Number),
  perHour: Schema.optional(Schema.Number),
})
export interface Limit extends Schema.Schema.Type<typeof Limit> {}

/** Limits by name. */
export interface LimitSettings {
  readonly [name: string]: Limit
}

/** A limit by its name, and the key of its slots. */
export interface Keyed {
  readonly name: string
  /** Whose slots: each key has as many as the limit says. Default: one key for all. */
  readonly key?: string | undefined
}

/** The limit that a step, an agent or a tool names, as its author gives it. */
export type LimitName = string | Keyed

/** The queue that a limit and a key stand for. */
export interface Queue {
  readonly name: string
  readonly key: string
}

const fields = ["concurrency", "perSecond", "perMinute", "perHour"] as const

/** Windows of the rates, in milliseconds. */
export const windows = [
  ["perSecond", 1000],
  ["perMinute", 60_000],
  ["perHour", 3_600_000],
] as const

/** The longest window: slots given before it do not count. */
export const longestWindowMs = 3_600_000

/** Reads `limits` of a runtime. Each needs a name that is not empty, and one number at least. */
export const read = (value: unknown): Either.Either<LimitSettings, InvalidSetting> => {
  if (value === undefined) return Either.right({})
  const refuse = (setting: string, received: unknown, expected: string) =>
    Either.left(new InvalidSetting({ setting, received: Millis.show(received), expected }))
  if (!isPlain(value)) return refuse("limits", value, `an object such as { anthropic: { concurrency: 4, perMinute: 50 } }`)
  const limits: Record<string, Limit> = {}
  for (const [name, limit] of Object.entries(value)) {
    const setting = `limits.${name}`
    if (name === "" || name.includes("\0")) return refuse("limits", name, "names of limits that are not empty")
    if (!isPlain(limit)) return refuse(setting, limit, "an object such as { concurrency: 4, perMinute: 50 }")
    const unknown = Names.problemOf(limit, fields)
    if (unknown !== undefined) return refuse(setting, limit, `${fields.join(", ")}: it ${unknown}`)
    const stated = fields.filter((field) => limit[field] !== undefined)
    if (stated.length === 0) return refuse(setting, limit, `one of ${fields.join(", ")}`)
    for (const field of stated) {
      const count = limit[field]
      if (!Number.isSafeInteger(count) || Number(count) < 1)
        return refuse(`${setting}.${field}`, count, "a whole number of at least 1")
    }
    limits[name] = Object.fromEntries(stated.map((field) => [field, Number(limit[field])]))
  }
  return Either.right(limits)
}

const isPlain = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Reads what an author gives as `limit`: a name, or `{ name, key }`. `Left` is the problem, to append to "limit". */
export const queueOf = (value: unknown): Either.Either<Queue, string> => {
  const [name, key] = typeof value === "string" ? [value, ""] : [Thrown.get(value, "name"), Thrown.get(value, "key")]
  if (typeof name !== "string" || name === "") return Either.left(`must be the name of a limit, or { name, key }`)
  if (key !== undefined && typeof key !== "string") return Either.left("has a key that is no text")
  const strange = isPlain(value) ? Names.problemOf(value, ["name", "key"]) : undefined
  if (strange !== undefined) return Either.left(strange)
  // Its name would stand for it, and make all keys share one queue.
  const found = key === undefined ? undefined : Secrets.problemIn(key)
  return found === undefined
    ? Either.right({ name, key: key ?? "" })
    : Either.left(`has a key that is or holds the secret ${found.secret.name}: give what names its owner instead`)
}

/** The state of a queue, as far as it decides about the next slot. */
export interface Use {
  /** Slots that are held. */
  readonly held: number
  /** Slots given after this time (epoch ms), at most as many as are asked for; the latest first. */
  readonly grantsSince: (after: number, most: number) => ReadonlyArray<number>
}

/** Computes how many slots a limit has left, and when the next rate window opens if one is closed (epoch ms). */
export const roomOf = (limit: Limit, use: Use, now: number): { readonly room: number; readonly opensAt: number | undefined } => {
  let room = Math.max(0, (limit.concurrency ?? Number.POSITIVE_INFINITY) - use.held)
  let opensAt: number | undefined
  for (const [field, windowMs] of windows) {
    const most = limit[field]
    if (most === undefined) continue
    const grants = use.grantsSince(now - windowMs, most)
    room = Math.min(room, most - grants.length)
    // The oldest of the last `most` leaves the window first.
    const oldest = grants.at(-1)
    if (grants.length >= most && oldest !== undefined) opensAt = Math.max(opensAt ?? 0, oldest + windowMs)
  }
  return { room: Math.max(0, room), opensAt }
}

/** Longest time (ms) that a slot is kept for a run that was released while it waited. Then it goes to the next in the queue. */
export const offerMs = 10_000

/**
 * What became of the claim that took a place:
 * - `current`: its process works on the run, and gets the slot.
 * - `released`: the run rests until there is a slot, which is offered to whoever resumes it.
 * - `lost`: its process died or stopped. The place is passed over, and kept for when the run is resumed.
 * - `over`: the run has ended.
 */
export type Claim = "current" | "released" | "lost" | "over"

/** A place that waits. */
export interface Waiter {
  readonly place: number
  readonly claim: Claim
  /** When a slot was offered to a run that rests (epoch ms). */
  readonly offeredAt: number | undefined
}

/** What becomes of the places of a queue. */
export interface Assigned {
  readonly granted: ReadonlyArray<number>
  /** Places of runs that rest, which are due now. */
  readonly offered: ReadonlyArray<number>
  readonly over: ReadonlyArray<number>
  /** When the first slot that is kept for a run goes to the next (epoch ms). */
  readonly opensAt: number | undefined
}

/**
 * Assigns the slots that a queue has left to those who wait, in order. Once an offer is over and was not accepted, nothing resumes
 * such runs: none is kept for others then.
 */
export const assign = (waiting: Iterable<Waiter>, room: number, now: number): Assigned => {
  const [granted, offered, over]: [Array<number>, Array<number>, Array<number>] = [[], [], []]
  let [left, isIgnored, opensAt]: [number, boolean, number | undefined] = [room, false, undefined]
  for (const { place, claim, offeredAt } of waiting) {
    if (left === 0) break
    if (claim === "over") over.push(place)
    if (claim === "current") granted.push(place)
    const keptMs = offeredAt === undefined || offeredAt > now ? 0 : offeredAt + offerMs - now
    const isKept = claim === "released" && keptMs > 0
    const isNew = claim === "released" && offeredAt === undefined && !isIgnored
    if (isNew) offered.push(place)
    if (isKept) opensAt = Math.min(opensAt ?? Number.POSITIVE_INFINITY, now + keptMs)
    if (claim === "released" && !isNew && !isKept) isIgnored = true
    if (claim === "current" || isNew || isKept) left--
  }
  return { granted, offered, over, opensAt }
}

/** Tells whether a limit has a rate, so that slots which were given back still count. */
export const hasRate = (limit: Limit): boolean => windows.some(([field]) => limit[field] !== undefined)

/** A queue in words: `anthropic`, or `anthropic (acme)`. */
export const nameOf = ({ name, key }: Queue): string => (key === "" ? name : `${name} (${key})`)
