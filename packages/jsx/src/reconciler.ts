/**
 * React's host config for plans: elements become {@link HostNode}s. Renders are never committed (see `render.ts`), so only the
 * functions that build nodes are ever called; the others exist since React requires them.
 *
 * The production build of the reconciler is imported explicitly. It is five to ten times faster than the development build, which
 * would be loaded unless `NODE_ENV` is set, and it works with either build of React.
 */
import { createRequire } from "node:module"
import { keptId } from "@smithers/core/Ids"
import * as React from "react"
import { type Fiber, type HostNode, type HostText, isText } from "./HostNode.ts"
import { hasElements } from "./internal/children.ts"
import { isLeaf, isLeftOut, isPart } from "./internal/elements.ts"
import { lookups, pendingReads } from "./internal/scope.ts"

/** State of one render. */
export interface Container {
  /** Started elements whose inner reads are recorded, with the pending reads made before. */
  readonly begun: Array<HostContext>
}

interface HostContext {
  readonly parent: HostContext | undefined
  readonly reads: number
  readonly lookups: number
  readonly begun: Array<HostContext>
}

type Props = HostNode["props"]

/** Encodes the id of a task, a wait or a scope. Loops and other boundaries encode theirs themselves. */
const withKeptId = (type: string, props: Props): Props => {
  const { id } = props
  const kept = (isLeaf(type) || type === "Scope") && typeof id === "string" ? keptId(id) : id
  return kept === id ? props : { ...props, id: kept }
}

/** Returns `true` if reads made while the children of an element render are recorded. */
const isListening = (type: string): boolean => listening.has(type) || isPart(type)

const listening: ReadonlySet<string> = new Set(["Task", "HumanTask", "Saga", "Scope"])

/** A render is synchronous, and so are its imports. */
const require = createRequire(import.meta.url)

/** React's default update priority (`DefaultEventPriority`). */
const priority = 32

/** React's tasks scheduled by the current render; `undefined` outside of a render. */
let due: Array<() => void> | undefined

/**
 * Runs one render, and then the tasks that React has deferred to the end of the turn, after which React drops the root. Otherwise
 * roots would accumulate, and every later render would walk them, until the run waits.
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

const noop = (): void => {}
const no = (): boolean => false
const returnNull = (): null => null

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

  // Also called for a portal, with its container.
  getRootHostContext: ({ begun }: Partial<Container>): HostContext => {
    if (begun === undefined) throw new TypeError("a portal leads out of the plan: render its children in place")
    return { parent: undefined, reads: 0, lookups: 0, begun }
  },
  // Called before the children of an element render, so reads made by then can be counted.
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
    if (isText(child) || !isLeftOut(child.type, child.props)) parent.children.push(child)
  },
  finalizeInitialChildren: no,
  // Children of a task are rendered only if they contain elements. Functions and values belong to the task. Those of a group that
  // is left out are not rendered either, so that nothing waits for what they would read.
  shouldSetTextContent: (type: string, props: Props): boolean =>
    (type === "Task" && !hasElements(props.children)) || isLeftOut(type, props),
  preparePortalMount: noop,

  getPublicInstance: (node: HostNode): HostNode => node,
  prepareForCommit: returnNull,
  resetAfterCommit: noop,
  clearContainer: noop,
  appendChildToContainer: noop,
  removeChildFromContainer: noop,
  detachDeletedInstance: noop,
  setCurrentUpdatePriority: noop,
  getCurrentUpdatePriority: (): number => priority,
  resolveUpdatePriority: (): number => priority,
  trackSchedulerEvent: noop,
  resolveEventType: returnNull,
  resolveEventTimeStamp: (): number => -1.1,
  shouldAttemptEagerTransition: no,
  requestPostPaintCallback: noop,
  maySuspendCommit: no,
  maySuspendCommitOnUpdate: no,
  maySuspendCommitInSyncRender: no,
  startSuspendingCommit: returnNull,
  suspendInstance: noop,
  suspendOnActiveViewTransition: noop,
  waitForCommitToBeReady: returnNull,
  resetFormInstance: noop,
  NotPendingTransition: null,
  HostTransitionContext: React.createContext(null),
  beforeActiveInstanceBlur: noop,
  afterActiveInstanceBlur: noop,
  getInstanceFromNode: returnNull,
  prepareScopeUpdate: noop,
  getInstanceFromScope: returnNull,
}

/** Records the number of reads as an element starts, and drops entries left by a component that threw. */
const contextAtBegin = (parent: HostContext): HostContext | undefined => {
  const { begun } = parent
  for (let context = begun.pop(); context !== undefined; context = begun.pop()) if (context.parent === parent) return context
  return undefined
}

/** The fields of a React root that are used. */
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

/** Returns the reconciler, loaded with the first render, so that programs which only build workflows do not load it. */
export const reconciler = (): PlanReconciler => {
  loaded ??= (require("react-reconciler/cjs/react-reconciler.production.js") as (config: typeof hostConfig) => PlanReconciler)(
    hostConfig,
  )
  return loaded
}
