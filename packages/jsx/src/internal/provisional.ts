/**
 * Which pending reads an element was made after: those of the component that made it, up to then; those that this component's own
 * element was made after, and so on outwards; those of components that were handed the element and put it into something they
 * made after a read; those behind a context that hands on what is pending; and for a task those made by the components of its prompt.
 */
import type { NodeKey } from "@smithers/core/Ids"
import type { PendingRead } from "@smithers/core/Plan"
import type { Fiber, HostNode } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import { isLeaf, propsOf } from "./place.ts"
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

/** The rows that a node was made after reading, and those that its prompt was. `all` are those of the render. */
export const madeAfter = (node: HostNode, all: ReadonlyArray<NodeKey>): ReadonlyArray<NodeKey> => {
  const own = stampOf(propsOf(node))
  if (own === undefined) return all
  const stamps = [own, ...stampsBehind(node, own)].filter(({ found }) => found > 0)
  const inside = isLeaf(node.type) ? node.foundInside : []
  return [...new Set([...inside, ...stamps.flatMap(({ scope, found }) => scope.found.slice(0, found))])]
}

/** The stamps of what a node was made by, and of what was put around it, from the inside out. */
function* stampsBehind(node: HostNode, own: Stamp): Generator<Stamp> {
  const around = fibersAround(node.fiber)
  let { scope } = own
  for (let index = 0; index < around.length; index++) {
    // Out to the component that made the element: the next one beyond all that was made together with it. What is in between and
    // was made by others, they have put around it.
    const outermost = around.findLastIndex(({ stamp }) => stamp?.scope === scope)
    let isMaker = false
    for (; index < around.length && !isMaker; index++) {
      const { stamp, isComponent, handsOn } = around[index] as (typeof around)[number]
      if (stamp !== undefined && (stamp.scope !== scope || handsOn)) yield stamp
      isMaker = isComponent && index > outermost
      if (isMaker) scope = stamp?.scope ?? scope
    }
    index--
  }
}

const lastOf = ({ scope, count }: Stamp, holds: (read: PendingRead) => boolean): PendingRead | undefined => {
  for (let index = count - 1; index >= 0; index--) {
    const read = scope.reads[index]
    if (read !== undefined && holds(read)) return read
  }
  return undefined
}

const fibersAround = (fiber: Fiber) => {
  const found: Array<{ readonly stamp: Stamp | undefined; readonly isComponent: boolean; readonly handsOn: boolean }> = []
  for (let here = fiber.return; here !== null; here = here.return) {
    const handsOn = here.tag === providerTag && mayBePending((here.pendingProps as { readonly value?: unknown } | null)?.value)
    found.push({ stamp: stampOf(here.pendingProps), isComponent: componentTags.has(here.tag), handsOn })
  }
  return found
}

/** Whether the value of a context is pending or may have been made of what is: text and numbers tell nothing of where they come from. */
const mayBePending = (value: unknown): boolean => {
  if (isPending(value)) return true
  if (typeof value !== "object" || value === null)
    return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
  return Object.values(value).some(isPending)
}
