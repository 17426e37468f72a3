/**
 * The work that a schedule has to do. The walk goes first, from a stack and not by recursion, so that no plan is too deep or too long: what is put
 * on last is done first, which makes it depth first. Then groups and scopes are settled, the innermost first: they may leave what the walk has
 * come to. Then one wait is checked, the one for which something came first in time, so that of what came in meanwhile the earlier counts, with
 * all that follows from it, however late a run is resumed. What is due later stands in one heap until its time.
 */
import type { NodeKey } from "../Ids.ts"
import type { Millis } from "../Millis.ts"
import * as Heap from "./heap.ts"
import type { Intervals } from "./intervals.ts"

export interface Item {
  readonly position: number
  readonly do: "begin" | "complete" | "settle" | "checkWait" | "retry"
}

/** The order of waits: by when the first of what came for one came, or its time was over (`Infinity` where nothing has), and by when it was asked. */
export interface Rank {
  readonly since: number
  readonly asked: number
}

interface Check extends Item, Rank {}

/** An attempt that is due, or a wait that is over, at some time. */
interface Due {
  readonly do: "checkWait" | "retry"
  readonly position: number
  readonly key: NodeKey
  /** As it is stored. */
  readonly at: Millis
  /** As the clock stands. */
  readonly due: number
}

export interface Agenda {
  readonly begin: (position: number) => void
  readonly complete: (position: number) => void
  /** Has a group, or the conditions of a scope, looked at after the walk. */
  readonly settle: (position: number) => void
  readonly checkWait: (position: number) => void
  /** Puts something on the agenda once it is due. */
  readonly schedule: (due: Due) => void
  /** Takes the next thing to do; only checks without `mayWalk`. */
  readonly next: (mayWalk: boolean) => Item | undefined
  /** Puts what is due on the agenda. Answers with whether there was any. */
  readonly takeDue: (now: Millis) => boolean
  /** Begins, completions or settlements are left. */
  readonly isWalking: () => boolean
  /** When the first of what is due later is due. */
  readonly nextDue: () => number | undefined
  /** Retries that are due later and are not out of date. */
  readonly retries: () => ReadonlyArray<Due>
}

/** What an agenda asks about nodes. */
export interface Times {
  /** The time of a node that counts now, by its record: one that was scheduled for another time is out of date. */
  readonly timeOf: (position: number) => Millis | undefined
  readonly rankOf: (position: number) => Rank
}

/** Makes an empty agenda. */
export const make = ({ timeOf, rankOf }: Times, intervals: Pick<Intervals, "forget">): Agenda => {
  const walk: Array<Item> = []
  const settles = new Set<number>()
  /** The one that counts first at the end. */
  const checks: Array<Check> = []
  const later = Heap.make<Due>(({ due }) => due)
  const isCurrent = ({ position, at }: Due): boolean => timeOf(position) === at
  /** The first that is not out of date. */
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
    schedule: later.push,
    next: (mayWalk) => {
      if (mayWalk && walk.length > 0) return walk.pop()
      if (mayWalk && settles.size > 0) return nextSettle()
      return mayWalk || walk.length + settles.size === 0 ? checks.pop() : undefined
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
