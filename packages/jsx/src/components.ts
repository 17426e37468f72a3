/**
 * Components of workflows. Most are element names that the reconciler knows, typed as components: no code of theirs runs while
 * rendering. Lowering the tree to a plan gives their props a meaning.
 */

import type { Caught } from "@smithers/core/Builder"
import { abbreviated, keptId } from "@smithers/core/Ids"
import { defined } from "@smithers/core/Struct"
import * as Thrown from "@smithers/core/Thrown"
import * as React from "react"
import * as Compatibility from "./Compatibility.ts"
import type { Ctx, Undeclared } from "./Ctx.ts"
import type { Fiber } from "./HostNode.ts"
import { isPieces, mark } from "./internal/children.ts"
import { type Frame, frameContext, loopContext } from "./internal/frame.ts"
import { isRendering, stampOf } from "./internal/scope.ts"
import { jsx } from "./jsx-runtime.ts"
import { isPending } from "./Pending.ts"
import type * as Props from "./Props.ts"

/** Types the name of a host element as a component. */
const host = <C>(name: string): C => name as unknown as C

/** Root of a workflow. Runs its children in sequence. Its output is that of the last child that has one. */
export const Workflow = host<Props.Component<Props.WorkflowProps, "Workflow">>("Workflow")

/** Runs its children in sequence. */
export const Sequence = host<Props.Component<Props.SequenceProps, "Sequence">>("Sequence")

/** Runs its children in sequence, as a region with a budget. */
export const Budget = host<Props.Component<Props.BudgetProps, "Budget">>("Budget")

/** Alias of {@link Budget}. */
export const Aspects = Budget as typeof Budget

/** Runs its children in sequence, in a work tree of git of their own. */
export const Worktree = host<Props.Component<Props.WorktreeProps, "Worktree">>("Worktree")

/** Runs its children in sequence, in a sandbox, and applies their work to the root of the runtime. */
export const Sandbox = host<Props.Component<Props.SandboxProps, "Sandbox">>("Sandbox")

/** Runs its children concurrently. */
export const Parallel = host<Props.Component<Props.ParallelProps, "Parallel">>("Parallel")

/** Renders one of two branches by a condition. */
export const Branch: Props.Component<Props.BranchProps, "Branch"> = (props) => {
  const { if: condition, then, else: otherwise = null } = props
  return jsx("Branch", { of: props, children: condition ? then : otherwise })
}

/** Runs an agent or a function, or provides a value. */
export const Task = host<Props.TaskComponent<Undeclared>>("Task")

/** Waits for an approval or a denial. Outputs `{ approved, note, decidedBy, decidedAt, timedOut }`. */
export const Approval = host<Props.ApprovalComponent<Undeclared>>("Approval")

/** Waits for an approval where `when` holds, and is approved at once elsewhere. */
const ApprovalGateElement = ({ when, ...props }: Props.ApprovalGateProps): React.ReactNode => {
  const ctx = useCtx()
  const needed: unknown = typeof when === "function" && !isPending(when) ? when(ctx) : when
  // Until the condition is known, the wait is drawn, and held back by what it reads.
  if (isPending(needed) || needed) return jsx("Approval", props)
  const { id, output, skipIf, dependsOn, label, meta, options } = props
  const row = options === undefined ? notNeeded : { ...notNeeded, selected: null }
  return jsx("Task", { ...defined({ id, output, skipIf, dependsOn, label, meta }), children: row })
}
ApprovalGateElement.displayName = "ApprovalGate"

const notNeeded = { approved: true, note: "no approval was needed", decidedBy: null, decidedAt: null, timedOut: false }

/** Waits for an approval where `when` holds, and is approved at once elsewhere. */
export const ApprovalGate = ApprovalGateElement as unknown as Props.ApprovalGateComponent<Undeclared>

/** Waits for a person's answer that matches `output`. */
export const HumanTask = host<Props.HumanTaskComponent<Undeclared>>("HumanTask")

/** Waits for a signal and outputs its payload. */
export const Signal = host<Props.SignalComponent<Undeclared>>("Signal")

/** Alias of {@link Signal}. */
export const WaitForEvent = host<Props.SignalComponent<Undeclared>>("WaitForEvent")

/** Waits until a time, across restarts. */
export const Timer = host<Props.TimerComponent<Undeclared>>("Timer")

/**
 * Ends the run, which goes on as a new one of the same workflow with `input`, under an id and a history of its own. Everything in flight is
 * cancelled first; nothing after it runs. Not inside of scopes, races, lists, sagas and tries.
 */
export const ContinueAsNew = host<Props.ContinueAsNewComponent<Undeclared>>("ContinueAsNew")

/** Runs a workflow as a child run, with its own id and history, and outputs its output. */
export const Subflow = host<Props.SubflowComponent<Undeclared>>("Subflow")

/** Repeats its children until a condition holds. A class, since React reveals the place among siblings only to classes. */
class LoopElement extends React.Component<Props.LoopProps> {
  static displayName = "Loop"
  static override contextType = frameContext
  override render(): React.ReactNode {
    const { id, children } = this.props
    const { name: loop, ...placed } = named("loop", this, id)
    return jsx(loopContext.Provider, { value: loop, children: jsx("Loop", { of: this.props, loop, ...placed, children }) })
  }
}

/** Repeats its children until `until` holds. */
export const Loop = Compatibility.register("Loop", LoopElement) as unknown as Props.LoopComponent<Undeclared>

/** Alias of {@link Loop}. */
export const Ralph = LoopElement as unknown as typeof Loop

/** A class for the same reason as loops. */
class SagaElement extends React.Component<Props.SagaProps> {
  static displayName = "Saga"
  static Step = Compatibility.sagaStep
  static override contextType = frameContext
  override render(): React.ReactNode {
    const { id, children } = this.props
    const { name: boundary, ...placed } = named("saga", this, id)
    return jsx("Saga", { of: this.props, boundary, ...placed, children })
  }
}

/**
 * Runs its children in sequence. When a failure or a cancellation leaves the saga, its finished tasks are undone by their
 * `compensate`, in reverse order of completion.
 */
export const Saga = SagaElement as unknown as Props.Component<Props.SagaProps, "Saga">

/**
 * Runs its children in sequence, as a region that can be left early without a failure: when `until` or `cancelWhen` holds, at its
 * timeout, or by a command.
 */
export const Scope = host<Props.ScopeComponent<Undeclared>>("Scope")

/** Runs its children concurrently until enough of them have won. The others are left, or continue beside what follows. */
const RaceElement = (props: Props.RaceProps): React.ReactNode =>
  jsx("Race", { of: props, boundary: givenId(props.id), children: branchesOf(props, props.children) })
RaceElement.displayName = "Race"

/** Runs its children concurrently until one of them, or `count` of them, have won. */
export const Race = RaceElement as unknown as Props.Component<Props.RaceProps, "Race">

/** Wraps each element as a branch, at its place and with its key. Other values are kept for React and for the lowering. */
const branchesOf = (of: object, value: unknown): unknown => {
  if (isPending(value)) return null
  if (React.isValidElement(value)) return jsx("RaceBranch", { of, name: value.key, children: value }, value.key ?? undefined)
  const list = listOf(value)
  if (list === undefined) return value
  const branches = list.map((one) => branchesOf(of, one))
  if (isPieces(value)) mark(branches)
  return branches
}

/** Returns the values of a list; `undefined` for any other value. */
const listOf = (value: unknown): ReadonlyArray<unknown> | undefined =>
  typeof value === "object" && value !== null && Symbol.iterator in value ? [...(value as Iterable<unknown>)] : undefined

/** Renders items by key, each with elements of its own. */
const ForEachElement = (props: Props.ForEachProps): React.ReactNode => {
  const { items, by, children: draw } = props
  const list = isPending(items) || typeof draw !== "function" ? undefined : listOf(items)
  const parts = list?.map((item, index) => {
    const key: unknown = typeof by === "function" ? by(item, index) : item
    // The key is known once the pending output exists.
    if (isPending(key)) return null
    return jsx("ForEachItem", { of: props, name: key, children: jsx(Item, { of: props, draw, item, index }) }, key)
  })
  return jsx("ForEach", { of: props, boundary: givenId(props.id), children: parts })
}
ForEachElement.displayName = "ForEach"

/** Runs a part of the plan for each item of a list, by key. */
export const ForEach = ForEachElement as unknown as Props.ForEachComponent<Undeclared>

/** Runs a part of the plan for each item of a list, by key, one item at a time, in order. */
const MergeQueueElement = (props: Props.MergeQueueProps): React.ReactNode => jsx(ForEachElement, { ...props, maxConcurrency: 1 })
MergeQueueElement.displayName = "MergeQueue"

/** Runs a part of the plan for each item of a list, by key, one item at a time, in order. */
export const MergeQueue = Compatibility.register(
  "MergeQueue",
  MergeQueueElement,
) as unknown as Props.MergeQueueComponent<Undeclared>

/** Renders an item, as a component of its own, so that its reads hold back no other item. */
const Item = ({
  of,
  draw,
  item,
  index,
}: {
  readonly of: object
  readonly draw: (item: unknown, index: number) => unknown
  readonly item: unknown
  readonly index: number
}): React.ReactNode => {
  const drawn = draw(item, index)
  return areElements(drawn) ? drawn : jsx("ForEachItem", { of, content: drawn })
}

/** A class for the same reason as loops. Its parts are elements, so that the lowering can tell them apart. */
class TryElement extends React.Component<Props.TryCatchFinallyProps> {
  static displayName = "TryCatchFinally"
  static override contextType = frameContext
  override render(): React.ReactNode {
    const of = this.props
    const { id, try: tried, children, catch: caught, finally: last } = of
    const { name: boundary, ...placed } = named("try", this, id)
    const handler = typeof caught === "function" && !isPending(caught) ? caught : undefined
    const parts = [
      tried === undefined ? jsx("Try", { of, children }, "try") : partOf("Try", of, tried),
      handler === undefined
        ? partOf("Catch", of, caught)
        : jsx("Catch", { of, children: jsx(Catching, { of, boundary, handler }) }, "catch"),
      partOf("Finally", of, last),
    ]
    return jsx("TryCatchFinally", { of, boundary, ...placed, children: parts })
  }
}

/** Runs elements with handlers for failure and completion. */
export const TryCatchFinally = TryElement as unknown as Props.TryCatchFinallyComponent<Undeclared>

/** Wraps a part that a condition may omit. Values that are no elements are kept for the lowering to reject. */
const partOf = (type: "Try" | "Catch" | "Finally", of: object, value: unknown): React.ReactNode => {
  if (isNothing(value) && !isPending(value)) return null
  return jsx(type, areElements(value) ? { of, children: value } : { of, content: value }, type.toLowerCase())
}

/** Renders the handler of a caught failure, as a component of its own. Renders nothing until a failure is caught. */
const Catching = ({
  of,
  boundary,
  handler,
}: {
  readonly of: object
  readonly boundary: string
  readonly handler: (error: Caught, ctx: Ctx) => unknown
}): React.ReactNode => {
  const frame = React.useContext(frameContext)
  const loop = React.useContext(loopContext)
  const error = frame?.caught(boundary, loop)
  if (frame === undefined || error === undefined) return null
  const drawn = handler(error, frame.ctx(loop))
  return areElements(drawn) ? drawn : jsx("Catch", { of, content: drawn })
}

/** Returns `true` for values that React renders as nothing. */
const isNothing = (value: unknown): boolean =>
  value === undefined || value === null || typeof value === "boolean" || isPending(value)

const areElements = (value: unknown): value is React.ReactNode =>
  isNothing(value) || React.isValidElement(value) || (Array.isArray(value) && value.every(areElements))

/** Encodes the id that an author gave. Values that are no text are kept for the lowering to reject. */
const givenId = (id: string | undefined): string | undefined => (typeof id === "string" ? keptId(id) : id)

/** Returns the identity of a component: its id, its name from the previous render, or its place. */
const named = (kind: "loop" | "saga" | "try", component: React.Component, id: string | undefined) => {
  const value = givenId(id)
  if (value !== undefined) return { name: value }
  const { path, isListItem } = pathOf(kind, component)
  const frame = component.context as Frame | undefined
  return { name: frame?.nameOf(path) ?? path, path, isListItem }
}

/**
 * Returns a name for a place in the tree, stable for as long as React would keep an element's state there. It consists of the keys
 * and the positions other than the first on the way from the root, each with its depth, and the depth itself.
 */
const pathOf = (kind: "loop" | "saga" | "try", component: React.Component) => {
  const { _reactInternals: fiber } = component as unknown as { readonly _reactInternals: Fiber }
  const steps: Array<Pick<Fiber, "key" | "index">> = []
  let isListItem = false
  for (let here: Fiber | null = fiber; here !== null; here = here.return) {
    steps.push(here)
    isListItem ||= here.key === null && isInList(here.return)
  }
  steps.reverse()
  const names = steps.flatMap(({ key, index }, depth) => {
    if (key !== null)
      return [`${depth}-${key.replaceAll(/[^A-Za-z0-9_-]/g, (character) => `.${character.codePointAt(0)?.toString(36)}.`)}`]
    return index === 0 ? [] : [`${depth}-${index}`]
  })
  return { path: abbreviated(`${kind}:${[...names, steps.length].join(":")}`, 200), isListItem }
}

const [hostTag, fragmentTag, providerTag] = [5, 7, 10]

/** Returns `true` for children of a computed list, such as the result of `map`, rather than children written in sequence. */
const isInList = (parent: Fiber | null): boolean => {
  if (parent === null) return false
  const { tag, pendingProps: props } = parent
  if (tag === fragmentTag && Array.isArray(props)) return !isPieces(props)
  // The result of a component is unknown, and so is the source form of elements made without our JSX runtime.
  if ((tag !== hostTag && tag !== fragmentTag && tag !== providerTag) || stampOf(props) === undefined) return false
  const children = Thrown.get(props, "children")
  return Array.isArray(children) && !isPieces(children)
}

/** Returns the `ctx` of the rendering workflow, as seen from this component: inside a loop, of that loop. */
export const useCtx = (): Ctx => {
  // Outside of a render, React's own error would not help.
  if (!isRendering()) throw outside()
  const frame = React.useContext(frameContext)
  const loop = React.useContext(loopContext)
  if (frame === undefined) throw outside()
  return frame.ctx(loop)
}

const outside = (): TypeError =>
  new TypeError(
    "useCtx() was called outside of a workflow. It works in components that smithers() renders. A function in a task gets the ctx as a parameter",
  )
