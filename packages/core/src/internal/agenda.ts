/**
 * The work queue of a schedule, in three levels.
 *
 * - The walk, from a stack without recursion, so that a plan may be of any depth and length: last in, first out, which makes it depth first.
 * - Then groups and scopes are settled, the innermost first: they may leave nodes that the walk has reached.
 * - Then one wait is checked, with all its consequences: the one whose input came first in time. So earlier input counts first, however late a run is resumed.
 *
 * Items that are due later are in one heap until their time.
 */
import type { NodeKey } from "../Ids.ts"
import type { Millis } from "../Millis.ts"
import * as Heap from "./heap.ts"
import type { Intervals } from "./intervals.ts"

export interface Item {
  readonly position: number
  readonly do: "begin" | "complete" | "settle" | "checkWait" | "leave" | "retry"
}

/**
 * The order of waits: by the time of their first input or deadline (`Infinity` without either), then by the event of their
 * request.
 */
export interface Rank {
  readonly since: number
  readonly asked: number
}

interface Check extends Item, Rank {}

/** A retry or a deadline that is due at some time. */
interface Due {
  readonly do: "checkWait" | "retry"
  readonly position: number
  readonly key: NodeKey
  /** The stored time. */
  readonly at: Millis
  /** The time by the current clock. */
  readonly due: number
}

export interface Agenda {
  readonly begin: (position: number) => void
  readonly complete: (position: number) => void
  /** Queues a group, or the conditions of a scope, to be checked after the walk. */
  readonly settle: (position: number) => void
  readonly checkWait: (position: number) => void
  /** Queues the leaving of a scope that was requested at this time: after each wait whose input came before it. */
  readonly leave: (position: number, since: number) => void
  /** Queues an item once it is due. */
  readonly schedule: (due: Due) => void
  /** Takes the next item; only checks without `mayWalk`. */
  readonly next: (mayWalk: boolean) => Item | undefined
  /** Queues the items that are due. Returns whether there were any. */
  readonly takeDue: (now: Millis) => boolean
  /** Tells whether starts, completions or settlements are queued. */
  readonly isWalking: () => boolean
  /** The time of the next item that is due later. */
  readonly nextDue: () => number | undefined
  /** Current retries that are due later. */
  readonly retries: () => ReadonlyArray<Due>
}

/** Queries about nodes. */
export interface Times {
  /** The current time of a node, by its record. An item for another time is stale. */
  readonly timeOf: (position: number) => Millis | undefined
  readonly rankOf: (position: number) => Rank
}

/** Makes an empty agenda. */
export const make = ({ timeOf, rankOf }: Times, intervals: Pick<Intervals, "forget">): Agenda => {
  const walk: Array<Item> = []
  const settles = new Set<number>()
  /** The first one to count is last. */
  const checks: Array<Check> = []
  const later = Heap.make<Due>(({ due }) => due)
  const isCurrent = ({ position, at }: Due): boolean => timeOf(position) === at
  /** The first item that is not stale. */
  const first = (): Due | undefined => {
    let due = later.peek()
    while (due !== undefined && !isCurrent(due)) {
      later.pop()
      due = later.peek()
    }
    return due
  }
  const isAfter = (check: Check | undefined, other: Check): boolean =>
    check !== undefined && (check.since > other.since || (check.since === other.since && check.asked > other.asked))
  const check = (check: Check): void => {
    let [from, to] = [0, checks.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if (isAfter(checks[middle], check)) from = middle + 1
      else to = middle
    }
    checks.splice(from, 0, check)
  }
  /** The next check. One that counts later than when it was queued, since its first input was refused, is queued again. */
  const nextCheck = (): Item | undefined => {
    for (let next = checks.pop(); next !== undefined; next = checks.pop()) {
      const rank = next.do === "checkWait" ? rankOf(next.position) : next
      if (!isAfter({ ...next, ...rank }, next)) return next
      check({ ...next, ...rank })
    }
    return undefined
  }
  const nextSettle = (): Item => {
    let position = -1
    for (const one of settles) if (one > position) position = one
    settles.delete(position)
    return { position, do: "settle" }
  }
  return {
    begin: (position) => {
      walk.push({ position, do: "begin" })
    },
    complete: (position) => {
      walk.push({ position, do: "complete" })
    },
    settle: (position) => {
      settles.add(position)
    },
    checkWait: (position) => {
      check({ position, do: "checkWait", ...rankOf(position) })
    },
    leave: (position, since) => {
      check({ position, do: "leave", since, asked: Number.POSITIVE_INFINITY })
    },
    schedule: later.push,
    next: (mayWalk) => {
      if (mayWalk && walk.length > 0) return walk.pop()
      if (mayWalk && settles.size > 0) return nextSettle()
      return mayWalk || walk.length + settles.size === 0 ? nextCheck() : undefined
    },
    takeDue: (now) => {
      let isAny = false
      for (let due = first(); due !== undefined && due.due <= now; due = first()) {
        later.pop()
        if (due.do === "retry") intervals.forget(due.key)
        check({ position: due.position, do: due.do, ...rankOf(due.position), since: due.at })
        isAny = true
      }
      return isAny
    },
    isWalking: () => walk.length + settles.size > 0,
    nextDue: () => first()?.due,
    retries: () => later.items().filter((due) => due.do === "retry" && isCurrent(due)),
  }
}
