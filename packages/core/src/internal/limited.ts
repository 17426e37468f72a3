/**
 * The slots of limits of one run. A step with a limit is ready and waits here, without an attempt, until it holds a slot; a call of
 * an attempt waits in its fiber. Whatever ends an attempt gives its slots back. A run that only waits for slots rests, and is released
 * with its places: attempts that do nothing but wait end then, and the next ones wait at the same places.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { SlotError } from "../AgentJournal.ts"
import { InvalidLimit } from "../Errors.ts"
import { compositeKey, type NodeKey, nodeKey, parseNodeKey } from "../Ids.ts"
import * as Limits from "../Limits.ts"
import type { Waiting } from "../RunResult.ts"
import * as Thrown from "../Thrown.ts"
import type { SlotQueue, Ticket, Wanted } from "./slotQueue.ts"
import type { Start } from "./starts.ts"

/** A step that is ready, or whose attempt is at work. */
interface Entry {
  readonly attempt: number
  readonly queue: Limits.Queue | undefined
  readonly problem: InvalidLimit | undefined
  ticket: Ticket | undefined
  hasBegun: boolean
  /** Slots of its calls, each with a look at whether the attempt does nothing but wait for slots. */
  readonly calls: Map<Ticket, () => boolean>
}

/** The waits for slots that a run rests on. */
export interface Rest {
  readonly waiting: ReadonlyArray<Waiting>
  /** Attempts that do nothing but wait. */
  readonly attempts: number
}

export interface Limited {
  /** Tells whether a step holds a slot; otherwise takes a place in the queue, unless it has as many there as it could start. */
  readonly grant: (start: Start, left: number) => boolean
  /** Begins a decision of the schedule. */
  readonly begin: () => void
  /** Ends it: steps that were not asked about are not ready any more, and leave the queues. */
  readonly sweep: () => void
  /** Marks that an attempt begins. Returns the reason it must fail, if it holds no slot. */
  readonly launch: (start: Start) => SlotError | undefined
  /** Takes a slot for a call of an attempt. Waits for it. The result gives it back. `isIdle` tells whether the attempt only waits for slots. */
  readonly call: (start: Start, queue: Limits.Queue, isIdle: () => boolean) => Effect.Effect<() => void, SlotError>
  /** The waits of the run, if its steps have waited for slots for long and none has one. */
  readonly rest: () => Rest | undefined
  /** When the waits of the run may have become long (epoch ms). */
  readonly restAt: () => number | undefined
  /** Waits no longer, and keeps the places for the next claim of the run. */
  readonly keep: () => void
  /** Gives back all slots of an attempt that has ended. */
  readonly end: (key: NodeKey) => void
  /** Gives back everything. */
  readonly close: () => void
}

export interface LimitedOptions {
  readonly slots: SlotQueue
  readonly runId: string
  readonly epoch: number
  /** Calls the function under `limit` of a step. */
  readonly compute: (start: Start) => unknown
  /** Wakes the run. */
  readonly wake: () => void
  readonly now: () => number
  /** Longest time that a run waits in place for a slot (ms). */
  readonly patienceMs: number
}

const keyOf = (queue: Limits.Queue): string => compositeKey(queue.name, queue.key)

/** Makes the slots of a run, none at first. */
export const make = ({ slots, runId, epoch, compute, wake, now, patienceMs }: LimitedOptions): Limited => {
  const entries = new Map<NodeKey, Entry>()
  /** Places that steps had and have left, to return to. */
  const places = new Map<string, number>()
  /** Steps in each queue that have not begun. */
  const outstanding = new Map<string, number>()
  let asked = new Set<NodeKey>()

  const count = (queue: Limits.Queue, change: number): void => {
    outstanding.set(keyOf(queue), (outstanding.get(keyOf(queue)) ?? 0) + change)
  }
  const wantedBy = ({ step, iteration, attempt }: Start, queue: Limits.Queue): Wanted => ({
    ...queue,
    ...{ runId, epoch, nodeId: step.id, iteration, attempt },
  })
  const resolve = (start: Start): Pick<Entry, "queue" | "problem"> => {
    const { limit, id } = start.step
    if (typeof limit !== "function") return { queue: limit, problem: undefined }
    const refuse = (problem: string) => ({ queue: undefined, problem: new InvalidLimit({ nodeId: id, problem }) })
    try {
      return Either.match(Limits.queueOf(compute(start)), {
        onLeft: (problem) => refuse(`returned what is no limit: it ${problem}.`),
        onRight: (queue) => ({ queue, problem: undefined }),
      })
    } catch (thrown) {
      return refuse(`threw: ${Thrown.describe(thrown).message}`)
    }
  }
  /** The places that an attempt waits at while it does nothing else. One that holds a slot keeps it. */
  const idlePlaces = ({ ticket, calls }: Entry): ReadonlyArray<Ticket> => {
    if (ticket !== undefined) return []
    for (const [call, isIdle] of calls) if (call.state() !== "waiting" || !isIdle()) return []
    return [...calls.keys()]
  }
  const waitOf = (key: NodeKey, { queue }: Ticket): Waiting => ({
    ...parseNodeKey(key),
    kind: "slot",
    deadline: undefined,
    limit: queue,
  })
  const leave = (key: NodeKey, entry: Entry): void => {
    const { ticket, queue } = entry
    if (ticket === undefined || queue === undefined) return
    entry.ticket = undefined
    count(queue, -1)
    const place = ticket.leave(false)
    if (place !== undefined) places.set(compositeKey(keyOf(queue), key, entry.attempt), place)
  }

  return {
    begin: () => {
      if (asked.size > 0) asked = new Set()
    },
    grant: (start, left) => {
      const key = nodeKey(start.step.id, start.iteration)
      asked.add(key)
      let entry = entries.get(key)
      if (entry === undefined || entry.attempt !== start.attempt) {
        entry = {
          attempt: start.attempt,
          ...resolve(start),
          ticket: undefined,
          hasBegun: false,
          calls: new Map(),
        }
        entries.set(key, entry)
      }
      const { queue } = entry
      if (queue === undefined) return left > 0
      if (entry.ticket === undefined) {
        if ((outstanding.get(keyOf(queue)) ?? 0) >= left) return false
        const place = places.get(compositeKey(keyOf(queue), key, entry.attempt))
        count(queue, 1)
        entry.ticket = slots.enter(wantedBy(start, queue), wake, place)
      }
      if (entry.ticket.state() === "waiting") return false
      // Others have taken the slots of the run: a slot that is not used is for those who wait.
      if (left === 0) leave(key, entry)
      return left > 0
    },
    sweep: () => {
      for (const [key, entry] of entries) {
        if (entry.hasBegun || asked.has(key)) continue
        leave(key, entry)
        entries.delete(key)
      }
    },
    launch: (start) => {
      const key = nodeKey(start.step.id, start.iteration)
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      entry.hasBegun = true
      if (entry.queue !== undefined) {
        count(entry.queue, -1)
        places.delete(compositeKey(keyOf(entry.queue), key, entry.attempt))
      }
      return entry.problem ?? entry.ticket?.refusal()
    },
    call: (start, queue, isIdle) =>
      Effect.async((resume) => {
        const key = nodeKey(start.step.id, start.iteration)
        let entry = entries.get(key)
        if (entry === undefined || entry.attempt !== start.attempt) {
          entry = {
            attempt: start.attempt,
            queue: undefined,
            problem: undefined,
            ticket: undefined,
            hasBegun: true,
            calls: new Map(),
          }
          entries.set(key, entry)
        }
        // The slot of the attempt is for all that it does.
        if (entry.queue !== undefined && keyOf(entry.queue) === keyOf(queue)) return resume(Effect.succeed(() => {}))
        const { calls } = entry
        const give = (ticket: Ticket, isUsed: boolean) => (): void => {
          calls.delete(ticket)
          ticket.leave(isUsed)
        }
        const told = (ticket: Ticket): void => {
          const refusal = ticket.refusal()
          if (refusal === undefined) return resume(Effect.succeed(give(ticket, true)))
          calls.delete(ticket)
          resume(Effect.fail(refusal))
        }
        const ticket = slots.enter(wantedBy(start, queue), told)
        calls.set(ticket, isIdle)
        // The run may come to rest.
        if (isIdle()) wake()
        return Effect.sync(give(ticket, false))
      }),
    end: (key) => {
      const entry = entries.get(key)
      if (entry?.hasBegun !== true) return
      entries.delete(key)
      entry.ticket?.leave(true)
      for (const ticket of entry.calls.keys()) ticket.leave(true)
    },
    rest: () => {
      const at = now() - patienceMs
      const isLong = (ticket: Ticket): boolean => ticket.state() === "waiting" && (ticket.since() ?? Number.POSITIVE_INFINITY) <= at
      const waiting: Array<Waiting> = []
      let attempts = 0
      for (const [key, entry] of entries) {
        const { hasBegun, ticket } = entry
        if (hasBegun) {
          const idle = idlePlaces(entry)
          if (idle.length === 0 || !idle.every(isLong)) continue
          attempts++
          const queues = new Map(idle.map((place) => [keyOf(place.queue), place]))
          for (const place of queues.values()) waiting.push(waitOf(key, place))
        } else if (asked.has(key)) {
          if (entry.queue === undefined) return undefined
          if (ticket === undefined) continue
          if (!isLong(ticket)) return undefined
          waiting.push(waitOf(key, ticket))
        }
      }
      return { waiting, attempts }
    },
    restAt: () => {
      let at: number | undefined
      for (const entry of entries.values()) {
        const places = entry.hasBegun ? idlePlaces(entry) : entry.ticket === undefined ? [] : [entry.ticket]
        for (const place of places) {
          if (place.state() !== "waiting") continue
          const long = (place.since() ?? now()) + patienceMs
          if (long > now()) at = Math.max(at ?? 0, long)
        }
      }
      return at
    },
    keep: () => {
      for (const { ticket, hasBegun, calls } of entries.values()) {
        if (!hasBegun) ticket?.keep()
        for (const call of calls.keys()) if (call.state() === "waiting") call.keep()
      }
    },
    close: () => {
      for (const { ticket, hasBegun, calls } of entries.values()) {
        ticket?.leave(hasBegun)
        for (const call of calls.keys()) call.leave(true)
      }
      entries.clear()
    },
  }
}
