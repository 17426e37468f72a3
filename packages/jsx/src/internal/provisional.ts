/**
 * Which pending reads an element was made after: those of the component that made it, up to then; those that this component's own
 * element was made after, and so on outwards; those of components that were handed the element and put it into something they
 * made after a read; those behind a context that hands on what is pending; and for a task those made by the components of its prompt.
 */

import type { PendingRead } from "@smithers/core/Plan"
import * as Raised from "@smithers/core/Raised"
import * as React from "react"
import type { Fiber, HostNode } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import { isLeaf, propsOf } from "./place.ts"
import type { Read } from "./reading.ts"
import { type Stamp, stampOf } from "./scope.ts"

/** Kinds of fibers that run an author's code: functions, classes, consumers of contexts, and their memoized and forwarded forms. */
const componentTags: ReadonlySet<number> = new Set([0, 1, 9, 11, 14, 15])
const providerTag = 10

/** The last of the reads a node was made after that holds it back, if one does. `all` are the pending reads of the render. */
export const heldBackBy = (
  node: HostNode,
  all: ReadonlyArray<PendingRead>,
  holds: (read: PendingRead) => boolean,
): PendingRead | undefined => {
  const own = stampOf(propsOf(node))
  // Made by other means than our jsx, so that nobody knows when: then everything counts.
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
 * Whether a node is held back by a read though nothing shows that it is made of it: its component, or that of an element around it, has made
 * the read before, for something else. `isData` says of a read whether it gives an object or a list, of which nothing is known but by
 * looking into it.
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

/** Whether an element, or one in its props, may have been chosen by what its component did with pending values just before. */
const mayFollow = (stamp: Stamp, props: object, isData: boolean): boolean => {
  // Nothing was made of any pending value: what it is cannot follow from one.
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

/** Props of the elements among children. */
const elementsIn = (value: unknown): ReadonlyArray<object> => {
  if (Array.isArray(value)) return value.flatMap(elementsIn)
  return React.isValidElement<object>(value) ? [value.props] : []
}

/** What elements around a node were given, but for their children. */
export const givenAround = (node: HostNode): ReadonlyArray<unknown> => {
  const own = stampOf(propsOf(node))
  const found: Array<unknown> = []
  for (let link = own && linkOf(node.fiber, own.scope); link !== undefined; link = link.next) {
    found.push(Object.fromEntries(Object.entries(link.props).filter(([name]) => name !== "children")))
  }
  return found
}

/** Whether anything was made of pending values before a node was, by its component or those around it. */
export const followsUse = (node: HostNode): boolean => {
  const own = stampOf(propsOf(node))
  if (own === undefined || own.uses > 0) return true
  for (let link = linkOf(node.fiber, own.scope); link !== undefined; link = link.next) if (link.stamp.uses > 0) return true
  return false
}

/** The reads that were made before a node was, and in its prompt. `all` are those of the render. */
export const madeAfter = (node: HostNode, all: ReadonlyArray<Read>): ReadonlyArray<Read> => {
  const own = stampOf(propsOf(node))
  if (own === undefined) return all
  const stamps = [own, ...stampsBehind(node, own)].filter(({ lookups }) => lookups > 0)
  const inside = isLeaf(node.type) ? node.lookupsInside : []
  return [...new Set([...inside, ...stamps.flatMap(({ scope, lookups }) => scope.lookups.slice(0, lookups))])]
}

/** What a node and what is around it was made after; `undefined` where it is not known. */
export const stampsOf = (node: HostNode): ReadonlyArray<Stamp | undefined> => {
  const own = stampOf(propsOf(node))
  return own === undefined ? [undefined] : [own, ...stampsBehind(node, own)]
}

/** The stamps of what a node was made by, and of what was put around it, from the inside out; those of them that tell of a read. */
function* stampsBehind(node: HostNode, own: Stamp): Generator<Stamp> {
  for (let link = linkOf(node.fiber, own.scope); link !== undefined; link = link.next) yield link.stamp
}

/** A stamp, and those further out. */
interface Link {
  readonly stamp: Stamp
  readonly props: object
  readonly handsOn: boolean
  readonly next: Link | undefined
}

/** What is known of a fiber. Nodes that stand in each other share what is around them, so it is found out once. */
interface Around {
  readonly stamp: Stamp | undefined
  readonly props: object
  readonly isComponent: boolean
  readonly handsOn: boolean
  readonly parent: Fiber | null
  /** The stamps from here on outwards, by the scope that the element was made in which is looked at. */
  readonly links: Map<Scope, Link | undefined>
  /** Whether anything further out was made in a scope. */
  readonly outer: Map<Scope, boolean>
}

type Scope = Stamp["scope"]

const fibers = new WeakMap<Fiber, Around>()

const aroundOf = (fiber: Fiber): Around => {
  const known = fibers.get(fiber)
  if (known !== undefined) return known
  const { tag, pendingProps, return: parent } = fiber
  const handsOn = tag === providerTag && mayBePending(Raised.get(pendingProps, "value"))
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
 * Out to the component that made the element: the next one beyond all that was made together with it. What is in between and was made by
 * others, they have put around it. Then the same of that component's own element.
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

/** Whether anything around a fiber was made in a scope. */
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

/** Whether the value of a context is pending or may have been made of what is: text and numbers tell nothing of where they come from. */
const mayBePending = (value: unknown): boolean => {
  if (isPending(value)) return true
  if (typeof value !== "object" || value === null)
    return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
  return Object.values(value).some(isPending)
}
