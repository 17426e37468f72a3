/**
 * Which pending reads an element was made after.
 */
import type { PendingRead } from "@smithers/core/Plan"
import { type Fiber, type HostNode, stampOf } from "../HostNode.ts"
import { propsOf } from "./place.ts"
import { type Stamp, stampKey } from "./scope.ts"

/** Kinds of fibers that run an author's code: functions, classes, consumers of contexts, and their memoized and forwarded forms. */
const componentTags: ReadonlySet<number> = new Set([0, 1, 9, 11, 14, 15])

/**
 * The pending reads an element was made after: those of the component that made it, up to then; those that this component's own
 * element was made after, and so on outwards; those of components that were handed the element and put it into something they
 * made after a read; and for a task those made by the components of its prompt.
 */
export const readsBehind = (node: HostNode, all: ReadonlyArray<PendingRead>): ReadonlyArray<PendingRead> => {
  const own = stampOf(propsOf(node), stampKey)
  // Made by other means than our jsx, so that nobody knows when: then everything counts.
  if (own === undefined) return all
  const around = fibersAround(node.fiber)
  const found = [...own.reads, ...node.readsInside]
  let { scope } = own
  for (let index = 0; index < around.length; index++) {
    // Out to the component that made the element: the next one beyond all that was made together with it. What is in between and
    // was made by others, they have put around it.
    const outermost = around.findLastIndex(({ stamp }) => stamp?.scope === scope)
    let isMaker = false
    for (; index < around.length && !isMaker; index++) {
      const { stamp, isComponent } = around[index] as (typeof around)[number]
      if (stamp !== undefined && stamp.scope !== scope) found.push(...stamp.reads)
      isMaker = isComponent && index > outermost
      if (isMaker) scope = stamp?.scope ?? scope
    }
    index--
  }
  return found
}

const fibersAround = (fiber: Fiber) => {
  const found: Array<{ readonly stamp: Stamp | undefined; readonly isComponent: boolean }> = []
  for (let here = fiber.return; here !== null; here = here.return) {
    found.push({ stamp: stampOf(here.pendingProps, stampKey), isComponent: componentTags.has(here.tag) })
  }
  return found
}
