/**
 * Which outputs a component had read before they were there when it made an element. JavaScript's order of evaluation makes
 * this exact: an element that existed before a read cannot depend on what was read.
 *
 * Elements are made by our `jsx` function, which stamps each one's props with the component that is rendering and with the pending
 * reads it has made so far. That a component begins or ends is seen by React itself changing its dispatcher of hooks; there is no
 * other sign of it. The watch is on for the length of one synchronous render.
 */
import type { PendingRead } from "@smithers/core/Plan"
import * as React from "react"

/** Who made an element, and what was pending for it. */
export interface Stamp {
  /** One object per rendering of a component. */
  readonly scope: object
  readonly reads: ReadonlyArray<PendingRead>
}

/** The property of an element's props that holds its stamp. */
export const stampKey: unique symbol = Symbol("smithers.stamp")

interface Internals {
  H: unknown
  A: { getOwner?: () => null } | null
}

const { __CLIENT_INTERNALS_DO_NOT_USE_OR_WARN_USERS_THEY_CANNOT_UPGRADE: internals } = React as unknown as {
  readonly __CLIENT_INTERNALS_DO_NOT_USE_OR_WARN_USERS_THEY_CANNOT_UPGRADE: Internals
}

const none: ReadonlyArray<PendingRead> = []

/** Of elements that are made while nothing renders, such as constants of a module. */
const outside: Stamp = { scope: {}, reads: none }

/** Pending reads of the render that is going on, in the order in which they were made. */
let reads: Array<PendingRead> | undefined
/** The stamp of elements made now; made anew for the first element of a component. */
let current: Stamp | undefined

/** The stamp for an element that is being made. */
export const stamp = (): Stamp => {
  if (reads === undefined) return outside
  current ??= { scope: {}, reads: none }
  return current
}

/** Notes that an output was read that is not there. */
export const notePending = (read: PendingRead): void => {
  if (reads === undefined) return
  reads.push(read)
  const before = stamp()
  current = { scope: before.scope, reads: [...before.reads, read] }
}

/** Pending reads of the render so far. */
export const pendingReads = (): ReadonlyArray<PendingRead> => reads ?? none

/** Whether a render is going on. */
export const isRendering = (): boolean => reads !== undefined

/** Runs one render with its components watched, and answers with the reads that were pending in it. */
export const watch = (render: () => void): ReadonlyArray<PendingRead> => {
  const outer = { reads, current }
  const made: Array<PendingRead> = []
  reads = made
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
    current = outer.current
  }
  return made
}
