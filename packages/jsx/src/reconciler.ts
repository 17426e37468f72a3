/**
 * React's host config for plans: elements become {@link HostNode}s. Renders are never committed (see `render.ts`), so that only the
 * half of a host config that builds is ever called; the rest is what React asks to be there.
 *
 * The production build of the reconciler is named outright. It is five to ten times faster than the one for development, which
 * is what would be loaded wherever `NODE_ENV` is not set, and it works with either build of React.
 */
import { createRequire } from "node:module"
import { keptId } from "@smithers/core/Ids"
import * as React from "react"
import type { Fiber, HostNode, HostText } from "./HostNode.ts"
import { hasElements } from "./internal/children.ts"
import { isLeaf, isPart } from "./internal/place.ts"
import { lookups, pendingReads } from "./internal/scope.ts"

/** What one render has of its own. */
export interface Container {
  /** Elements that have begun whose reads inside are wanted, with the pending reads made before. */
  readonly begun: Array<HostContext>
}

interface HostContext {
  readonly parent: HostContext | undefined
  readonly reads: number
  readonly lookups: number
  readonly begun: Array<HostContext>
}

type Props = HostNode["props"]

/** Keeps the id that the author gave a task, a wait or a scope. Loops and other boundaries come with theirs kept. */
const withKeptId = (type: string, props: Props): Props => {
  const { id } = props
  const kept = (isLeaf(type) || type === "Scope") && typeof id === "string" ? keptId(id) : id
  return kept === id ? props : { ...props, id: kept }
}

/** Whether it matters what is read while the children of an element are rendered. */
const isListening = (type: string): boolean => listening.has(type) || isPart(type)

const listening: ReadonlySet<string> = new Set(["Task", "HumanTask", "Saga", "Scope"])

/** A render is synchronous, and so is what it loads. */
const require = createRequire(import.meta.url)

/** Of React's kinds of updates the usual one (`DefaultEventPriority`). */
const priority = 32

/** Tasks of React's that follow the render that is going on; `undefined` where none is. */
let due: Array<() => void> | undefined

/**
 * Runs one render, and then the tasks that React has put off until the end of the turn: with them it lets go of the root. Left to the event
 * loop, roots would be kept, and walked by each later render, for as long as a run does not wait for anything.
 */
export const inOneGo = <A>(render: () => A): A => {
  const outer = due
  const tasks: Array<() => void> = []
  due = tasks
  try {
    return render()
  } finally {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) task()
    due = outer
  }
}

const nothing = (): void => {}
const no = (): boolean => false
const nobody = (): null => null

const hostConfig = {
  supportsMutation: true,
  supportsPersistence: false,
  supportsHydration: false,
  supportsMicrotasks: true,
  scheduleMicrotask: (task: () => void): void => {
    if (due === undefined) queueMicrotask(task)
    else due.push(task)
  },
  isPrimaryRenderer: false,
  noTimeout: -1,
  scheduleTimeout: setTimeout,
  cancelTimeout: clearTimeout,

  // Also called for a portal, with the container that it leads to.
  getRootHostContext: ({ begun }: Partial<Container>): HostContext => {
    if (begun === undefined) throw new TypeError("a portal leads out of the plan: render its children in place")
    return { parent: undefined, reads: 0, lookups: 0, begun }
  },
  // Called as an element begins, before its children: the place to see how many reads were made by then.
  getChildHostContext: (parent: HostContext, type: string): HostContext => {
    if (!isListening(type)) return parent
    const context = { parent, reads: pendingReads().length, lookups: lookups().length, begun: parent.begun }
    parent.begun.push(context)
    return context
  },
  createInstance: (type: string, props: Props, _: Container, context: HostContext, fiber: Fiber): HostNode => {
    const begun = isListening(type) ? contextAtBegin(context) : undefined
    const readsInside = begun === undefined ? [] : pendingReads().slice(begun.reads)
    const lookupsInside = begun === undefined ? [] : lookups().slice(begun.lookups)
    return { type, props: withKeptId(type, props), children: [], fiber, readsInside, lookupsInside }
  },
  createTextInstance: (text: string): HostText => ({ text }),
  appendInitialChild: (parent: HostNode, child: HostNode | HostText): void => {
    parent.children.push(child)
  },
  finalizeInitialChildren: no,
  // A task's children are rendered only where there is something to render: a function or a value is for the task itself.
  shouldSetTextContent: (type: string, { children }: Props): boolean => type === "Task" && !hasElements(children),
  preparePortalMount: nothing,

  getPublicInstance: (node: HostNode): HostNode => node,
  prepareForCommit: nobody,
  resetAfterCommit: nothing,
  clearContainer: nothing,
  appendChildToContainer: nothing,
  removeChildFromContainer: nothing,
  detachDeletedInstance: nothing,
  setCurrentUpdatePriority: nothing,
  getCurrentUpdatePriority: (): number => priority,
  resolveUpdatePriority: (): number => priority,
  trackSchedulerEvent: nothing,
  resolveEventType: nobody,
  resolveEventTimeStamp: (): number => -1.1,
  shouldAttemptEagerTransition: no,
  requestPostPaintCallback: nothing,
  maySuspendCommit: no,
  maySuspendCommitOnUpdate: no,
  maySuspendCommitInSyncRender: no,
  startSuspendingCommit: nobody,
  suspendInstance: nothing,
  suspendOnActiveViewTransition: nothing,
  waitForCommitToBeReady: nobody,
  resetFormInstance: nothing,
  NotPendingTransition: null,
  HostTransitionContext: React.createContext(null),
  beforeActiveInstanceBlur: nothing,
  afterActiveInstanceBlur: nothing,
  getInstanceFromNode: nobody,
  prepareScopeUpdate: nothing,
  getInstanceFromScope: nobody,
}

/** How many reads there were is noted as an element begins. What a component that threw and was caught has left above it goes too. */
const contextAtBegin = (parent: HostContext): HostContext | undefined => {
  const { begun } = parent
  for (let context = begun.pop(); context !== undefined; context = begun.pop()) if (context.parent === parent) return context
  return undefined
}

/** A React root, as far as it is used. */
export interface Root {
  readonly current: { readonly alternate: Fiber | null }
}

interface PlanReconciler {
  readonly createContainer: (
    container: Container,
    tag: number,
    hydration: null,
    isStrictMode: boolean,
    override: null,
    identifierPrefix: string,
    onUncaughtError: (error: unknown, info: { readonly componentStack?: string }) => void,
    onCaughtError: () => void,
    onRecoverableError: () => void,
    transitionCallbacks: null,
  ) => Root
  readonly updateContainerSync: (element: React.ReactNode, root: Root, parent: null, callback: null) => void
  readonly flushSyncWork: () => void
}

let loaded: PlanReconciler | undefined

/** The reconciler, loaded with the first render: programs that only build workflows share this package's entry, and have no use for it. */
export const reconciler = (): PlanReconciler => {
  loaded ??= (require("react-reconciler/cjs/react-reconciler.production.js") as (config: typeof hostConfig) => PlanReconciler)(
    hostConfig,
  )
  return loaded
}
