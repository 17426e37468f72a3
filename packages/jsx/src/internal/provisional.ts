/**
 * Determines the pending reads that an element was made after:
 *
 * - those of its own component up to then, and of the components around it
 * - those of components that received the element and placed it after a read
 * - those behind a context with a pending value
 * - for a task, those of its prompt
 */

import type { PendingRead } from "@smithers/core/Plan"
import * as Thrown from "@smithers/core/Thrown"
import * as React from "react"
import type { Fiber, HostNode } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import { isLeaf, propsOf } from "./elements.ts"
import type { Read } from "./reads.ts"
import { type Stamp, stampOf } from "./scope.ts"

/**
 * Fiber tags of components with an author's code: functions, classes, context consumers, and their memoized and forwarded forms.
 */
const componentTags: ReadonlySet<number> = new Set([0, 1, 9, 11, 14, 15])
const providerTag = 10

/** Returns the last of the reads before a node that holds it back, if any. `all` are the pending reads of the render. */
export const heldBackBy = (
  node: HostNode,
  all: ReadonlyArray<PendingRead>,
  holds: (read: PendingRead) => boolean,
): PendingRead | undefined => {
  const own = stampOf(propsOf(node))
  // Made without our JSX runtime, so its time is unknown and every read counts.
  if (own === undefined) return all.findLast(holds)
  const found = lastOf(own, holds) ?? (isLeaf(node.type) ? node.readsInside.findLast(holds) : undefined)
  if (found !== undefined) return found
  for (const stamp of stampsBehind(node, own)) {
    const read = lastOf(stamp, holds)
    if (read !== undefined) return read
  }
  return undefined
}

/**
 * Returns `true` if a read holds a node back that does not depend on it. Its component, or that of an element around it, has then
 * read for another purpose. `isData` is `true` for a read of an object or a list, which can only be used by accessing it.
 */
export const isHeldByOther = (node: HostNode, read: PendingRead, isData: boolean): boolean => {
  const props = propsOf(node)
  const own = stampOf(props)
  if (own === undefined || node.readsInside.includes(read)) return false
  if (own.scope.reads.lastIndexOf(read, own.count - 1) >= 0 && own.count > 0) return !mayFollow(own, props, isData)
  for (let link = linkOf(node.fiber, own.scope); link !== undefined; link = link.next) {
    const { stamp, props: around, handsOn } = link
    if (stamp.count > 0 && stamp.scope.reads.lastIndexOf(read, stamp.count - 1) >= 0)
      return !handsOn && !mayFollow(stamp, around, isData)
  }
  return false
}

/** Returns `true` if an element, or one in its props, may depend on pending values that its component used just before. */
const mayFollow = (stamp: Stamp, props: object, isData: boolean): boolean => {
  // No pending value was used, so it depends on none.
  if (isData && stamp.uses === 0) return false
  const open: Array<object> = [props]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const made = stampOf(next)
    if (made?.scope === stamp.scope && made.first === next) {
      const { before = { count: 0, uses: 0 } } = made
      if (made.uses > before.uses || made.count > before.count) return true
    }
    for (const value of Object.values(next)) open.push(...elementsIn(value))
  }
  return false
}

/** Returns the props of the elements among children. */
const elementsIn = (value: unknown): ReadonlyArray<object> => {
  if (Array.isArray(value)) return value.flatMap(elementsIn)
  return React.isValidElement<object>(value) ? [value.props] : []
}

/** Returns the props of elements around a node, without their children. */
export const givenAround = (node: HostNode): ReadonlyArray<unknown> => {
  const own = stampOf(propsOf(node))
  const found: Array<unknown> = []
  for (let link = own && linkOf(node.fiber, own.scope); link !== undefined; link = link.next) {
    found.push(Object.fromEntries(Object.entries(link.props).filter(([name]) => name !== "children")))
  }
  return found
}

/** Returns `true` if the component of a node, or one around it, used pending values before making it. */
export const followsUse = (node: HostNode): boolean => {
  const own = stampOf(propsOf(node))
  if (own === undefined || own.uses > 0) return true
  for (let link = linkOf(node.fiber, own.scope); link !== undefined; link = link.next) if (link.stamp.uses > 0) return true
  return false
}

/** Returns the reads made before a node, and in its prompt. `all` are those of the render. */
export const madeAfter = (node: HostNode, all: ReadonlyArray<Read>): ReadonlyArray<Read> => {
  const own = stampOf(propsOf(node))
  if (own === undefined) return all
  const stamps = [own, ...stampsBehind(node, own)].filter(({ lookups }) => lookups > 0)
  const inside = isLeaf(node.type) ? node.lookupsInside : []
  return [...new Set([...inside, ...stamps.flatMap(({ scope, lookups }) => scope.lookups.slice(0, lookups))])]
}

/** Returns the stamps of a node and of the elements around it; `undefined` for unknown ones. */
export const stampsOf = (node: HostNode): ReadonlyArray<Stamp | undefined> => {
  const own = stampOf(propsOf(node))
  return own === undefined ? [undefined] : [own, ...stampsBehind(node, own)]
}

/** Yields the stamps of a node's makers and of the elements around it, from the inside out, as far as they have reads. */
function* stampsBehind(node: HostNode, own: Stamp): Generator<Stamp> {
  for (let link = linkOf(node.fiber, own.scope); link !== undefined; link = link.next) yield link.stamp
}

/** A stamp, linked to the next outer one. */
interface Link {
  readonly stamp: Stamp
  readonly props: object
  readonly handsOn: boolean
  readonly next: Link | undefined
}

/** Cached facts about a fiber. Nested nodes share their surroundings. */
interface Around {
  readonly stamp: Stamp | undefined
  readonly props: object
  readonly isComponent: boolean
  readonly handsOn: boolean
  readonly parent: Fiber | null
  /** Stamps from here outwards, by the scope that made the element in question. */
  readonly links: Map<Scope, Link | undefined>
  /** `true` if an outer element was made in a scope. */
  readonly outer: Map<Scope, boolean>
}

type Scope = Stamp["scope"]

const fibers = new WeakMap<Fiber, Around>()

const aroundOf = (fiber: Fiber): Around => {
  const known = fibers.get(fiber)
  if (known !== undefined) return known
  const { tag, pendingProps, return: parent } = fiber
  const handsOn = tag === providerTag && mayBePending(Thrown.get(pendingProps, "value"))
  const isComponent = componentTags.has(tag)
  const made = {
    stamp: stampOf(pendingProps),
    props: typeof pendingProps === "object" && pendingProps !== null ? pendingProps : {},
    isComponent,
    handsOn,
    parent,
    links: new Map(),
    outer: new Map(),
  }
  fibers.set(fiber, made)
  return made
}

/**
 * Finds the component that made an element: the next one outside of all elements made together with it. Elements of other makers in
 * between were put around it. Continues with that component's own element.
 */
const linkOf = (fiber: Fiber, made: Scope): Link | undefined => {
  const way: Array<readonly [around: Around, scope: Scope]> = []
  let link: Link | undefined
  let scope = made
  for (let here = fiber.return; here !== null; ) {
    const around = aroundOf(here)
    if (around.links.has(scope)) {
      link = around.links.get(scope)
      break
    }
    way.push([around, scope])
    const isMaker = around.isComponent && around.stamp?.scope !== scope && !isOutside(around, scope)
    if (isMaker) scope = around.stamp?.scope ?? scope
    here = around.parent
  }
  for (let last = way.pop(); last !== undefined; last = way.pop()) {
    const [{ stamp, props, handsOn, links }, by] = last
    const tells = stamp !== undefined && (stamp.count > 0 || stamp.lookups > 0) && (stamp.scope !== by || handsOn)
    if (tells) link = { stamp, props, handsOn, next: link }
    links.set(by, link)
  }
  return link
}

/** Returns `true` if an element around a fiber was made in a scope. */
const isOutside = (from: Around, scope: Scope): boolean => {
  const way: Array<Around> = []
  let found: boolean | undefined
  for (let around = from; found === undefined; ) {
    found = around.outer.get(scope)
    if (found !== undefined) break
    way.push(around)
    if (around.parent === null) found = false
    else {
      around = aroundOf(around.parent)
      if (around.stamp?.scope === scope) found = true
    }
  }
  for (const { outer } of way) outer.set(scope, found)
  return found
}

const lastOf = ({ scope, count }: Stamp, holds: (read: PendingRead) => boolean): PendingRead | undefined => {
  for (let index = count - 1; index >= 0; index--) {
    const read = scope.reads[index]
    if (read !== undefined && holds(read)) return read
  }
  return undefined
}

/** Returns `true` if a context value is pending or may be made of a pending value. Text and numbers do not show their origin. */
const mayBePending = (value: unknown): boolean => {
  if (isPending(value)) return true
  if (typeof value !== "object" || value === null)
    return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
  return Object.values(value).some(isPending)
}
