/**
 * Which outputs a component had read when it made an element: those that were not there yet, and all. JavaScript's order of evaluation makes
 * this exact: an element that existed before a read cannot depend on what was read.
 *
 * Elements are made by our `jsx` function, which stamps each one's props with the component that is rendering and with the pending
 * reads it has made so far. That a component begins or ends is seen by React itself changing its dispatcher of hooks; there is no
 * other sign of it. The watch is on for the length of one synchronous render.
 */
import type { PendingRead } from "@smithers/core/Plan"
import * as React from "react"
import type { Read } from "./reading.ts"

/** One rendering of a component: the reads it has made that were pending, and all, each in order; and how often it made something of a pending value. */
interface Scope {
  readonly reads: Array<PendingRead>
  readonly lookups: Array<Read>
  uses: number
}

/** Who made an element, and what it had done by then: how many reads, and how many uses of pending values. */
export interface Stamp {
  readonly scope: Scope
  readonly count: number
  readonly lookups: number
  readonly uses: number
  /** What it had done when it made the element before; `undefined` before its first. */
  readonly before: Pick<Stamp, "count" | "uses"> | undefined
  /** Props of the first element with this stamp: what was done since the one before may be for this one. */
  first: object | undefined
}

/** By the props of elements, which React hands on as they are; a clone of an element has props of its own and no stamp. */
const stamps = new WeakMap<object, Stamp>()

/** The stamp of an element, by its props. */
export const stampOf = (props: unknown): Stamp | undefined =>
  typeof props === "object" && props !== null ? stamps.get(props) : undefined

/** Stamps an element that is being made. */
export const stampProps = (props: object): void => {
  const made = stamp()
  // Elements that are made while nothing renders share a stamp, which is not to keep any of them.
  if (made !== outside) made.first ??= props
  stamps.set(props, made)
}

interface Internals {
  H: unknown
  A: { getOwner?: () => null } | null
}

const { __CLIENT_INTERNALS_DO_NOT_USE_OR_WARN_USERS_THEY_CANNOT_UPGRADE: internals } = React as unknown as {
  readonly __CLIENT_INTERNALS_DO_NOT_USE_OR_WARN_USERS_THEY_CANNOT_UPGRADE: Internals
}

const none: ReadonlyArray<PendingRead> = []

/** Of elements that are made while nothing renders, such as constants of a module. */
const outside: Stamp = {
  scope: { reads: [], lookups: [], uses: 0 },
  count: 0,
  lookups: 0,
  uses: 0,
  before: undefined,
  first: undefined,
}

/** Pending reads of the render that is going on, in the order in which they were made. */
let reads: Array<PendingRead> | undefined
/** All reads of the render that is going on, in the order in which they were made. */
let looked: Array<Read> = []
/** The stamp of elements made now; made anew for the first element of a component. */
let current: Stamp | undefined

/** The stamp for an element that is being made. */
export const stamp = (): Stamp => {
  if (reads === undefined) return outside
  current ??= { scope: { reads: [], lookups: [], uses: 0 }, count: 0, lookups: 0, uses: 0, before: undefined, first: undefined }
  return current
}

/** What is made from now on, the component that renders has made after one thing more. */
const goOn = (done: (scope: Scope) => void): void => {
  const made = stamp()
  const { scope } = made
  done(scope)
  current = {
    scope,
    count: scope.reads.length,
    lookups: scope.lookups.length,
    uses: scope.uses,
    before: made.first === undefined ? made.before : { count: made.count, uses: made.uses },
    first: undefined,
  }
}

/** Notes that an output was read that is not there. */
export const notePending = (read: PendingRead): void => {
  if (reads === undefined) return
  reads.push(read)
  goOn((scope) => scope.reads.push(read))
}

/** Notes a read, whatever it has found. */
export const noteLookup = (read: Read): void => {
  if (reads === undefined) return
  looked.push(read)
  goOn((scope) => scope.lookups.push(read))
}

/** Notes that something was made of a pending value. */
export const noteUse = (): void => {
  if (reads === undefined) return
  goOn((scope) => {
    scope.uses++
  })
}

/** Pending reads of the render so far. */
export const pendingReads = (): ReadonlyArray<PendingRead> => reads ?? none

/** All reads of the render so far. */
export const lookups = (): ReadonlyArray<Read> => looked

/** Whether a render is going on. */
export const isRendering = (): boolean => reads !== undefined

/** What one render has read. */
export interface Watched {
  readonly pendingReads: ReadonlyArray<PendingRead>
  readonly lookups: ReadonlyArray<Read>
}

/** Runs one render with its components watched. */
export const watch = (render: () => void): Watched => {
  const outer = { reads, looked, current }
  const pendingReads: Array<PendingRead> = []
  const lookups: Array<Read> = []
  reads = pendingReads
  looked = lookups
  current = undefined
  let dispatcher = internals.H
  Object.defineProperty(internals, "H", {
    configurable: true,
    enumerable: true,
    get: () => dispatcher,
    set: (next: unknown) => {
      dispatcher = next
      current = undefined
      // React's development build asks for it, which the production reconciler does not provide.
      if (internals.A !== null) internals.A.getOwner ??= () => null
    },
  })
  try {
    render()
  } finally {
    Object.defineProperty(internals, "H", { configurable: true, enumerable: true, writable: true, value: dispatcher })
    reads = outer.reads
    looked = outer.looked
    current = outer.current
  }
  return { pendingReads, lookups }
}
