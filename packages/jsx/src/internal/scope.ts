/**
 * Records which outputs a component had read when it created an element. JavaScript's order of evaluation makes this exact: an
 * element created before a read cannot depend on it.
 *
 * Our `jsx` function stamps the props of each element with the rendering component and its pending reads so far. A component starts
 * or ends when React changes its hook dispatcher, the only sign there is. The watch lasts for one synchronous render.
 */
import type { PendingRead } from "@smithers/core/Plan"
import * as React from "react"
import type { Read } from "./reads.ts"

/** One rendering of a component: its pending reads and all its reads, in order, and the number of uses of pending values. */
interface Scope {
  readonly reads: Array<PendingRead>
  readonly lookups: Array<Read>
  uses: number
}

/** Maker of an element, and its number of reads and of uses of pending values at that time. */
export interface Stamp {
  readonly scope: Scope
  readonly count: number
  readonly lookups: number
  readonly uses: number
  /** Numbers at the time of the previous element; `undefined` before the first. */
  readonly before: Pick<Stamp, "count" | "uses"> | undefined
  /** Props of the first element with this stamp. Reads since the previous element may be for this one. */
  first: object | undefined
}

/** Stamps by the props of elements, which React passes on unchanged. A clone has other props and no stamp. */
const stamps = new WeakMap<object, Stamp>()

/** Returns the stamp of an element, by its props. */
export const stampOf = (props: unknown): Stamp | undefined =>
  typeof props === "object" && props !== null ? stamps.get(props) : undefined

/** Stamps a new element. */
export const stampProps = (props: object): void => {
  const made = stamp()
  // Elements created outside of a render share a stamp, which must not retain them.
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

const noReads: ReadonlyArray<PendingRead> = []

/** Stamp of elements created outside of a render, such as constants of a module. */
const outside: Stamp = {
  scope: { reads: [], lookups: [], uses: 0 },
  count: 0,
  lookups: 0,
  uses: 0,
  before: undefined,
  first: undefined,
}

/** Pending reads of the current render, in order. */
let reads: Array<PendingRead> | undefined
/** All reads of the current render, in order. */
let looked: Array<Read> = []
/** Stamp of the next elements; replaced for the first element of a component. */
let current: Stamp | undefined

/** Returns the stamp for a new element. */
export const stamp = (): Stamp => {
  if (reads === undefined) return outside
  current ??= { scope: { reads: [], lookups: [], uses: 0 }, count: 0, lookups: 0, uses: 0, before: undefined, first: undefined }
  return current
}

/** Replaces the stamp after a read or a use, for the elements that follow. */
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

/** Records a read of a missing output. */
export const notePending = (read: PendingRead): void => {
  if (reads === undefined) return
  reads.push(read)
  goOn((scope) => scope.reads.push(read))
}

/** Records any read. */
export const noteLookup = (read: Read): void => {
  if (reads === undefined) return
  looked.push(read)
  goOn((scope) => scope.lookups.push(read))
}

/** Records a use of a pending value. */
export const noteUse = (): void => {
  if (reads === undefined) return
  goOn((scope) => {
    scope.uses++
  })
}

/** Returns the pending reads of the render so far. */
export const pendingReads = (): ReadonlyArray<PendingRead> => reads ?? noReads

/** Returns all reads of the render so far. */
export const lookups = (): ReadonlyArray<Read> => looked

/** Returns `true` during a render. */
export const isRendering = (): boolean => reads !== undefined

/** Reads of one render. */
export interface Watched {
  readonly pendingReads: ReadonlyArray<PendingRead>
  readonly lookups: ReadonlyArray<Read>
}

/** Runs a render and records the reads of its components. */
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
      // React's development build requires it, and the production reconciler lacks it.
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
