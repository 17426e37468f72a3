/**
 * Which outputs a component had read when it made an element: those that were not there yet, and rows that were. JavaScript's order of evaluation makes
 * this exact: an element that existed before a read cannot depend on what was read.
 *
 * Elements are made by our `jsx` function, which stamps each one's props with the component that is rendering and with the pending
 * reads it has made so far. That a component begins or ends is seen by React itself changing its dispatcher of hooks; there is no
 * other sign of it. The watch is on for the length of one synchronous render.
 */
import type { NodeKey } from "@smithers/core/Ids"
import type { PendingRead } from "@smithers/core/Plan"
import * as React from "react"

/** One rendering of a component: the pending reads it has made, and the rows it has found, each in order. */
interface Scope {
  readonly reads: Array<PendingRead>
  readonly found: Array<NodeKey>
}

/** Who made an element, and how many reads it had made by then. */
export interface Stamp {
  readonly scope: Scope
  readonly count: number
  readonly found: number
}

/** By the props of elements, which React hands on as they are; a clone of an element has props of its own and no stamp. */
const stamps = new WeakMap<object, Stamp>()

/** The stamp of an element, by its props. */
export const stampOf = (props: unknown): Stamp | undefined =>
  typeof props === "object" && props !== null ? stamps.get(props) : undefined

/** Stamps an element that is being made. */
export const stampProps = (props: object): void => {
  stamps.set(props, stamp())
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
const outside: Stamp = { scope: { reads: [], found: [] }, count: 0, found: 0 }

/** Pending reads of the render that is going on, in the order in which they were made. */
let reads: Array<PendingRead> | undefined
/** Rows that were read in the render that is going on, in the order in which they were. */
let found: Array<NodeKey> = []
/** The stamp of elements made now; made anew for the first element of a component. */
let current: Stamp | undefined

/** The stamp for an element that is being made. */
export const stamp = (): Stamp => {
  if (reads === undefined) return outside
  current ??= { scope: { reads: [], found: [] }, count: 0, found: 0 }
  return current
}

/** Notes that an output was read that is not there. */
export const notePending = (read: PendingRead): void => {
  if (reads === undefined) return
  reads.push(read)
  const { scope } = stamp()
  current = { scope, count: scope.reads.push(read), found: scope.found.length }
}

/** Notes that an output was read that is there. */
export const noteFound = (row: NodeKey): void => {
  if (reads === undefined) return
  found.push(row)
  const { scope } = stamp()
  current = { scope, count: scope.reads.length, found: scope.found.push(row) }
}

/** Pending reads of the render so far. */
export const pendingReads = (): ReadonlyArray<PendingRead> => reads ?? none

/** Rows that the render has read so far. */
export const foundReads = (): ReadonlyArray<NodeKey> => found

/** Whether a render is going on. */
export const isRendering = (): boolean => reads !== undefined

/** What one render has read. */
export interface Watched {
  readonly pendingReads: ReadonlyArray<PendingRead>
  readonly foundReads: ReadonlyArray<NodeKey>
}

/** Runs one render with its components watched. */
export const watch = (render: () => void): Watched => {
  const outer = { reads, found, current }
  const made = { pendingReads: [] as PendingRead[], foundReads: [] as NodeKey[] }
  reads = made.pendingReads
  found = made.foundReads
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
    found = outer.found
    current = outer.current
  }
  return made
}
