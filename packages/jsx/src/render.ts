/**
 * Renders a workflow once, synchronously, without mounting it: the tree ends in an element that suspends for ever, so React builds
 * everything and commits nothing. No effect runs, no ref is set, and no state outlives the frame. This is React's documented
 * behaviour for a suspended tree.
 */

import * as EffectVersion from "@smithers/core/EffectVersion"
import type { PendingRead } from "@smithers/core/Plan"
import * as Thrown from "@smithers/core/Thrown"
import * as React from "react"
import { componentsAround, type Fiber, type HostNode } from "./HostNode.ts"
import type { Read } from "./internal/reads.ts"
import { isRendering, watch } from "./internal/scope.ts"
import { type Container, inOneGo, type Root, reconciler } from "./reconciler.ts"

/** Result of a render. */
export interface Rendered {
  /** Outermost elements. */
  readonly nodes: ReadonlyArray<HostNode>
  readonly pendingReads: ReadonlyArray<PendingRead>
  readonly lookups: ReadonlyArray<Read>
  /** Paths to components that have effects. */
  readonly effects: ReadonlyArray<string>
}

/** A component threw, with its error and the components around it. */
export class RenderError extends Error {
  override readonly name = "RenderError"
  readonly thrown: unknown
  readonly where: string | undefined
  /** Reads that were pending at that time, which may have caused the error. */
  readonly pending: ReadonlyArray<PendingRead>
  constructor(thrown: unknown, where: string | undefined, pending: ReadonlyArray<PendingRead> = []) {
    super(said(thrown) + (where === undefined ? "" : `\n${where}`), { cause: thrown })
    this.thrown = thrown
    this.where = where
    this.pending = pending
  }
}

const said = (thrown: unknown): string => (thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown))

/** Concurrent root: the only kind that may suspend outside of a boundary. */
const concurrent = 1
const hostTag = 5
const suspenseTag = 13
const lazyTag = 16
const offscreenTag = 22
/** Flags of fibers with effects. */
const [layout, passive] = [4, 2048]
const incomplete = 0x8000

/** A promise that never settles, so that React never retries. */
const forever = { then: (): void => {} }

/** Renders an element. Throws {@link RenderError}. */
export const render = (element: React.ReactNode): Rendered => inOneGo(() => renderOnce(element))

const renderOnce = (element: React.ReactNode): Rendered => {
  if (isRendering()) {
    // React cannot nest renders.
    const problem = "it is rendered inside a component of another workflow. Read its name or its plan outside of components"
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
  const { behindSuspense, hidden, effects } = isOver ? inspect(root) : nothingSeen
  const suspended = isOver ? behindSuspense : lastBegun(root)
  const nodes = outermost(root)
  // Clears the root: state setters and promises that a component has kept would otherwise schedule another render.
  reconciler().updateContainerSync(null, root, null, null)
  reconciler().flushSyncWork()
  if (failure !== undefined) throw new RenderError(failure.thrown, failure.where, pendingReads)
  if (!isOver || suspended !== undefined) {
    const problem = `${whatSuspends(suspended)}: a plan is rendered synchronously, so components cannot be async, lazy or use() a promise. Wait in a task instead`
    const where = componentsAround(suspended ?? null).map((name) => `at ${name}`)
    throw new RenderError(new TypeError(problem), where.length === 0 ? undefined : where.join("\n"))
  }
  if (hidden !== undefined) {
    const problem = `<Activity mode="hidden"> never renders its children here. Omit it with a condition, or render it`
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
 * Returns the outermost elements. Taken from the fibers that React has kept, since it also creates elements that it drops: siblings
 * of a component that threw and was caught.
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
  if (fiber?.tag === suspenseTag) return `a child of the Suspense of ${name} suspends`
  return typeof fiber?.type === "string" ? `a child of ${name} is a promise` : `${name} suspends`
}

/** Returns the fiber that suspended outside of any boundary. */
const lastBegun = (root: Root): Fiber | undefined => {
  let found: Fiber | undefined
  visit(root, (fiber) => {
    if ((fiber.flags & incomplete) !== 0) found = fiber
    return true
  })
  return found
}

/** Content of a render that a plan cannot represent. */
interface Seen {
  /** A `Suspense` boundary that shows its fallback: React would retry it later, and a plan has no later. */
  readonly behindSuspense: Fiber | undefined
  /** Content of a hidden `Activity`, which React would render later. */
  readonly hidden: Fiber | undefined
  /** Paths of components with effects, which never run. */
  readonly effects: ReadonlyArray<string>
}

const nothingSeen: Seen = { behindSuspense: undefined, hidden: undefined, effects: [] }

/** Examines a render, once per frame. */
const inspect = (root: Root): Seen => {
  let behindSuspense: Fiber | undefined
  let hidden: Fiber | undefined
  let effects: Array<string> | undefined
  visit(root, (fiber) => {
    const { tag, flags, type } = fiber
    if (tag === suspenseTag && fiber.memoizedState !== null) behindSuspense = fiber
    else if (tag === offscreenTag && Thrown.get(fiber.pendingProps, "mode") === "hidden") hidden ??= fiber
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

/** Visits fibers in document order. Descends only if `see` returns `true`. */
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

/** Restores the messages of React's production errors that a workflow can cause. */
const readable = (thrown: unknown): unknown => {
  const [, code = "", argument = ""] =
    /^Minified React error #(\d+);[^?]*(?:\?args\[\]=([^&\s]*))?/.exec(String(Thrown.get(thrown, "message"))) ?? []
  const words = {
    "31": `an object cannot be a child here (${decodeURIComponent(argument)}): make a value the only child of a Task, or part of a text`,
    "130": `an element's type is ${decodeURIComponent(argument)}: the imported module may not export this component`,
    "301": "a component sets its state in every render",
    "321": outsideComponents("a hook"),
    "525":
      "an element was made by another copy of React than the one that renders. Install one copy for both (npm ls react, or bun pm ls --all, lists them)",
    "482": "a component is async: a plan is rendered synchronously. Wait in a task instead",
  }[code]
  if (words !== undefined) return new TypeError(words)
  const hook = hookIn(thrown)
  return hook === undefined
    ? thrown
    : new TypeError(
        `${hook} was called on another copy of React than the one that renders${copies(thrown)}. Install one copy for both (npm ls react, or bun pm ls --all, lists them), such as by a peer dependency in the library that has the hook`,
      )
}

/** Returns where both copies of React are: the one that has thrown, and the one that renders. Empty if they are bundled. */
const copies = (thrown: unknown): string => {
  const other = EffectVersion.folderIn(thrown instanceof Error ? thrown.stack : undefined, "react")
  let stack: string | undefined
  React.Children.forEach(0, () => {
    stack = new Error().stack
  })
  const own = EffectVersion.folderIn(stack, "react")
  return other === undefined || own === undefined || other === own ? "" : ` (it is in ${other}, and ${own} renders)`
}

const outsideComponents = (hook: string): string =>
  `${hook} was called outside of a component, or there are two copies of React. A function in a task is not a component: use its ctx parameter instead`

/** Returns the hook that caused an error of React outside of a render: from its own check, or from a null dispatcher. */
export const hookIn = (thrown: unknown): string | undefined => {
  if (!(thrown instanceof TypeError)) return undefined
  const [, name] = /(?:null|undefined).*?\b(use[A-Z]\w*)\b/.exec(thrown.message) ?? []
  return name
}

/** Replaces React's error for a hook that a plain function has called. */
export const outsideRender = (thrown: unknown): unknown => {
  const hook = String(Thrown.get(thrown, "message")).startsWith("Minified React error #321;") ? "a hook" : hookIn(thrown)
  return hook === undefined ? thrown : new TypeError(outsideComponents(hook))
}
