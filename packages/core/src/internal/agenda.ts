/**
 * The work that a schedule has to do. Waits are checked first, in the order in which they were asked for, so that all that came in counts before
 * anything follows from it. Then the walk goes on, from a stack and not by recursion, so that no plan is too deep or too long: what is put on
 * last is done first, which makes it depth first. What is due later stands in one heap until its time.
 */
import type { NodeKey } from "../Ids.ts"
import type { Millis } from "../Millis.ts"
import * as Heap from "./heap.ts"
import type { Intervals } from "./intervals.ts"

export interface Item {
  readonly position: number
  readonly do: "begin" | "complete" | "checkWait" | "retry"
}

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
  readonly checkWait: (position: number) => void
  /** Puts something on the agenda once it is due. */
  readonly schedule: (due: Due) => void
  /** Takes the next thing to do; of the walk only with `mayWalk`. */
  readonly next: (mayWalk: boolean) => Item | undefined
  /** Puts the first of what is due on the agenda. Answers with whether there was any. */
  readonly takeDue: (now: Millis) => boolean
  /** Begins or completions are left. */
  readonly isWalking: () => boolean
  /** When the first of what is due later is due. */
  readonly nextDue: () => number | undefined
  /** Retries that are due later and are not out of date. */
  readonly retries: () => ReadonlyArray<Due>
}

/**
 * Makes an empty agenda. `timeOf` says which time of a node counts now, by its record: one that was scheduled for another time is out of date.
 */
export const make = (timeOf: (position: number) => Millis | undefined, intervals: Pick<Intervals, "forget">): Agenda => {
  const walk: Array<Item> = []
  let checks: Array<Item> = []
  /** Checks that are taken already. */
  let taken = 0
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
  const nextCheck = (): Item | undefined => {
    const check = checks[taken++]
    if (taken < checks.length) return check
    checks = []
    taken = 0
    return check
  }
  return {
    begin: (position) => {
      walk.push({ position, do: "begin" })
    },
    complete: (position) => {
      walk.push({ position, do: "complete" })
    },
    checkWait: (position) => {
      checks.push({ position, do: "checkWait" })
    },
    schedule: later.push,
    next: (mayWalk) => (checks.length > 0 ? nextCheck() : mayWalk ? walk.pop() : undefined),
    takeDue: (now) => {
      const due = first()
      if (due === undefined || due.due > now) return false
      later.pop()
      if (due.do === "retry") intervals.forget(due.key)
      checks.push({ position: due.position, do: due.do })
      return true
    },
    isWalking: () => walk.length > 0,
    nextDue: () => first()?.due,
    retries: () => later.items().filter((due) => due.do === "retry" && isCurrent(due)),
  }
}
