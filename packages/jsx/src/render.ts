/**
 * One synchronous render of a workflow. It is a render and never a mount: the tree ends in an element that suspends for ever,
 * so that React builds everything and commits nothing. Hence no effect runs, no ref is set, and no state outlives the frame; that is
 * React's own behaviour for a tree that is not shown yet, and nothing of ours.
 */

import type { PendingRead } from "@smithers/core/Plan"
import * as Raised from "@smithers/core/Raised"
import * as React from "react"
import { componentsAround, type Fiber, type HostNode } from "./HostNode.ts"
import type { Read } from "./internal/reading.ts"
import { isRendering, watch } from "./internal/scope.ts"
import { type Container, inOneGo, type Root, reconciler } from "./reconciler.ts"

/** A finished render. */
export interface Rendered {
  /** The outermost elements. */
  readonly nodes: ReadonlyArray<HostNode>
  readonly pendingReads: ReadonlyArray<PendingRead>
  readonly lookups: ReadonlyArray<Read>
  /** Ways to components that have effects. */
  readonly effects: ReadonlyArray<string>
}

/** A component threw: with what, and the components around it. */
export class RenderError extends Error {
  override readonly name = "RenderError"
  readonly thrown: unknown
  readonly where: string | undefined
  /** Reads that were pending by then: what was thrown may come of one. */
  readonly pending: ReadonlyArray<PendingRead>
  constructor(thrown: unknown, where: string | undefined, pending: ReadonlyArray<PendingRead> = []) {
    super(said(thrown) + (where === undefined ? "" : `\n${where}`), { cause: thrown })
    this.thrown = thrown
    this.where = where
    this.pending = pending
  }
}

const said = (thrown: unknown): string => (thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown))

/** Concurrent root: the only kind that may suspend outside a boundary. */
const concurrent = 1
const hostTag = 5
const suspenseTag = 13
const lazyTag = 16
const offscreenTag = 22
/** Flags of a fiber that has effects to be run after it is shown. */
const [layout, passive] = [4, 2048]
const incomplete = 0x8000

/** Never settles, and so never asks React to come back. */
const forever = { then: (): void => {} }

/** Renders an element. Throws {@link RenderError}. */
export const render = (element: React.ReactNode): Rendered => inOneGo(() => renderOnce(element))

const renderOnce = (element: React.ReactNode): Rendered => {
  if (isRendering()) {
    // React does not begin one render within another.
    const problem = "it is rendered by a component of another workflow: take its name or its plan outside of components"
    throw new RenderError(new TypeError(problem), undefined)
  }
  const container: Container = { begun: [] }
  let isOver = false
  let failure: RenderError | undefined
  const End = (): never => {
    isOver = true
    throw forever
  }
  const root = reconciler().createContainer(
    container,
    concurrent,
    null,
    false,
    null,
    "",
    (thrown, { componentStack }) => {
      failure ??= new RenderError(readable(thrown), tidy(componentStack))
    },
    () => {},
    () => {},
    null,
  )
  const { pendingReads, lookups } = watch(() => {
    reconciler().updateContainerSync(React.createElement(React.Fragment, null, element, React.createElement(End)), root, null, null)
    reconciler().flushSyncWork()
  })
  const { behindSuspense, hidden, effects } = isOver ? surveyed(root) : nothingSeen
  const suspended = isOver ? behindSuspense : lastBegun(root)
  const nodes = outermost(root)
  // What a component has kept of this frame, such as a setter, or waits for, would have React draw it once more with nobody to take
  // the result: from here on there is nothing in this root to draw.
  reconciler().updateContainerSync(null, root, null, null)
  reconciler().flushSyncWork()
  if (failure !== undefined) throw new RenderError(failure.thrown, failure.where, pendingReads)
  if (!isOver || suspended !== undefined) {
    const problem = `${whatSuspends(suspended)}: a plan is rendered in one go, so components cannot be async, lazy or use() a promise. Do the waiting in a task`
    const where = componentsAround(suspended ?? null).map((name) => `at ${name}`)
    throw new RenderError(new TypeError(problem), where.length === 0 ? undefined : where.join("\n"))
  }
  if (hidden !== undefined) {
    const problem = `<Activity mode="hidden"> draws nothing of what is in it, and there is no later: leave it out by a condition, or draw it`
    throw new RenderError(
      new TypeError(problem),
      componentsAround(hidden)
        .map((name) => `at ${name}`)
        .join("\n"),
    )
  }
  return { nodes, pendingReads, lookups, effects }
}

/**
 * The outermost elements. They are taken from what React has kept, since it also makes elements that it then drops: those beside
 * a component that threw and was caught.
 */
const outermost = (root: Root): ReadonlyArray<HostNode> => {
  const found: Array<HostNode> = []
  visit(root, (fiber) => {
    if (fiber.tag !== hostTag) return true
    found.push(fiber.stateNode as HostNode)
    return false
  })
  return found
}

const whatSuspends = (fiber: Fiber | undefined): string => {
  if (fiber?.tag === lazyTag) return "a lazy component suspends"
  const [name = "a component"] = componentsAround(fiber ?? null)
  if (fiber?.tag === suspenseTag) return `what is inside the Suspense of ${name} suspends`
  return typeof fiber?.type === "string" ? `a child of ${name} is a promise` : `${name} suspends`
}

/** What suspended outside any boundary. */
const lastBegun = (root: Root): Fiber | undefined => {
  let found: Fiber | undefined
  visit(root, (fiber) => {
    if ((fiber.flags & incomplete) !== 0) found = fiber
    return true
  })
  return found
}

/** What a finished render holds that a plan has no place for. */
interface Seen {
  /** A `Suspense` boundary that shows its fallback: React would come back to it later, and there is no later. */
  readonly behindSuspense: Fiber | undefined
  /** What is in an `Activity` that is hidden: React would draw it later. */
  readonly hidden: Fiber | undefined
  /** Components that have effects, which are never run, by where they stand. */
  readonly effects: ReadonlyArray<string>
}

const nothingSeen: Seen = { behindSuspense: undefined, hidden: undefined, effects: [] }

/** Looks through a render once, as it is done for each frame. */
const surveyed = (root: Root): Seen => {
  let behindSuspense: Fiber | undefined
  let hidden: Fiber | undefined
  let effects: Array<string> | undefined
  visit(root, (fiber) => {
    const { tag, flags, type } = fiber
    if (tag === suspenseTag && fiber.memoizedState !== null) behindSuspense = fiber
    else if (tag === offscreenTag && Raised.get(fiber.pendingProps, "mode") === "hidden") hidden ??= fiber
    else if ((flags & (passive | layout)) !== 0 && typeof type === "function" && fiber.memoizedState !== null) {
      effects ??= []
      effects.push(componentsAround(fiber).toReversed().join(" > "))
    }
    return true
  })
  return behindSuspense === undefined && hidden === undefined && effects === undefined
    ? nothingSeen
    : { behindSuspense, hidden, effects: effects ?? [] }
}

/** Sees fibers in document order; what is inside one only where `see` says so. */
const visit = ({ current }: Root, see: (fiber: Fiber) => boolean): void => {
  const top = current.alternate
  for (let fiber: Fiber | null | undefined = top?.child; fiber; ) {
    if (see(fiber) && fiber.child !== null) {
      fiber = fiber.child
      continue
    }
    while (fiber.sibling === null) {
      if (fiber.return === null || fiber.return === top) return
      fiber = fiber.return
    }
    fiber = fiber.sibling
  }
}

const tidy = (stack: string | undefined): string | undefined => {
  const lines = stack?.split("\n").map((line) => line.trim())
  return lines?.filter((line) => line !== "" && !line.startsWith("at End ")).join("\n")
}

/** React's production build names its errors by number; those that a workflow can cause are given their words back. */
const readable = (thrown: unknown): unknown => {
  const [, code = "", argument = ""] =
    /^Minified React error #(\d+);[^?]*(?:\?args\[\]=([^&\s]*))?/.exec(String(Raised.get(thrown, "message"))) ?? []
  const words = {
    "31": `an object cannot be a child here (${decodeURIComponent(argument)}): a value is the only child of a Task, or is put into text`,
    "130": `an element's type is ${decodeURIComponent(argument)}: the component it names may not be exported where it is imported from`,
    "301": "a component sets its state each time it renders",
    "321": outsideComponents("a hook"),
    "525":
      "an element was made by another version of React than the one that draws: have react resolve to one copy (bun pm ls --all | grep react)",
    "482": "a component is async: a plan is rendered in one go. Do the waiting in a task",
  }[code]
  if (words !== undefined) return new TypeError(words)
  const hook = hookIn(thrown)
  return hook === undefined
    ? thrown
    : new TypeError(
        `${hook} was called of a copy of React that does not draw this: there are two, and hooks of the other find nothing. Have react resolve to one copy (bun pm ls --all | grep react), such as by a peer dependency of the library that has the hook`,
      )
}

const outsideComponents = (hook: string): string =>
  `${hook} was called outside a component, or there are two copies of React. A function in a task is no component: it is given the ctx, and what it needs is read there`

/** The hook that an error comes of, where React has thrown it since nothing renders: by its own check, or as what it looks into is not there. */
export const hookIn = (thrown: unknown): string | undefined => {
  if (!(thrown instanceof TypeError)) return undefined
  const [, name] = /(?:null|undefined).*?\b(use[A-Z]\w*)\b/.exec(thrown.message) ?? []
  return name
}

/** What a function has thrown that is no component, with its words for hooks. */
export const outsideRender = (thrown: unknown): unknown => {
  const hook = String(Raised.get(thrown, "message")).startsWith("Minified React error #321;") ? "a hook" : hookIn(thrown)
  return hook === undefined ? thrown : new TypeError(outsideComponents(hook))
}
