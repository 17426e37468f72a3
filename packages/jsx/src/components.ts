/**
 * The components a workflow is written with. Most are names that the reconciler knows, typed as components: nothing runs for
 * them while rendering. What their props mean is decided where the tree is lowered to a plan.
 */

import type { Caught } from "@smithers/core/Builder"
import { abbreviated, keptId } from "@smithers/core/Ids"
import * as Raised from "@smithers/core/Raised"
import * as React from "react"
import type { Ctx, Undeclared } from "./Ctx.ts"
import type { Fiber } from "./HostNode.ts"
import { isPieces, mark } from "./internal/children.ts"
import { type Frame, frameContext, loopContext } from "./internal/frame.ts"
import { isRendering, stampOf } from "./internal/scope.ts"
import { jsx } from "./jsx-runtime.ts"
import { isPending } from "./Pending.ts"
import type * as Props from "./Props.ts"

/** An element that the reconciler knows by its name. */
const host = <C>(name: string): C => name as unknown as C

/** The root of a workflow. Runs its children one after another; its output is that of the last child that has one. */
export const Workflow = host<Props.Component<Props.WorkflowProps, "Workflow">>("Workflow")

/** Children one after another. */
export const Sequence = host<Props.Component<Props.ChildrenProps, "Sequence">>("Sequence")

/** Children at the same time. */
export const Parallel = host<Props.Component<Props.ParallelProps, "Parallel">>("Parallel")

/** One of two ways. Only the one that is taken is rendered. */
export const Branch: Props.Component<Props.BranchProps, "Branch"> = (props) => {
  const { if: condition, then, else: otherwise = null } = props
  return jsx("Branch", { of: props, children: condition ? then : otherwise })
}

/** A unit of work: an agent's, a function's, or a value. */
export const Task = host<Props.TaskComponent<Undeclared>>("Task")

/** Waits until someone approves or denies. Gives `{ approved, note, decidedBy, decidedAt, timedOut }`. */
export const Approval = host<Props.ApprovalComponent<Undeclared>>("Approval")

/** Waits until a person has answered with what matches `output`. */
export const HumanTask = host<Props.HumanTaskComponent<Undeclared>>("HumanTask")

/** Waits for a signal, and gives what it carries. */
export const Signal = host<Props.SignalComponent<Undeclared>>("Signal")

/** The same as {@link Signal}. */
export const WaitForEvent = host<Props.SignalComponent<Undeclared>>("WaitForEvent")

/** Waits until a time, across restarts. */
export const Timer = host<Props.TimerComponent<Undeclared>>("Timer")

/** Runs a workflow as a child run, with an id and a history of its own, and gives its output. */
export const Subflow = host<Props.SubflowComponent<Undeclared>>("Subflow")

/** Passes of its children until a condition holds. A class, because its place among its siblings is only told to classes. */
class LoopPlace extends React.Component<Props.LoopProps> {
  static displayName = "Loop"
  static override contextType = frameContext
  override render(): React.ReactNode {
    const { id, children } = this.props
    const { name: loop, ...placed } = named("loop", this, id)
    return jsx(loopContext.Provider, { value: loop, children: jsx("Loop", { of: this.props, loop, ...placed, children }) })
  }
}

/** Passes of its children until `until` holds. */
export const Loop = LoopPlace as unknown as Props.LoopComponent<Undeclared>

/** Another name for {@link Loop}. */
export const Ralph = LoopPlace as unknown as typeof Loop

/** A class for the same reason as loops. */
class SagaPlace extends React.Component<Props.SagaProps> {
  static displayName = "Saga"
  static override contextType = frameContext
  override render(): React.ReactNode {
    const { id, children } = this.props
    const { name: boundary, ...placed } = named("saga", this, id)
    return jsx("Saga", { of: this.props, boundary, ...placed, children })
  }
}

/**
 * Children one after another. When the saga is left by a failure or a cancellation, the tasks inside that have finished are undone by
 * their `compensate`, in reverse order of completion.
 */
export const Saga = SagaPlace as unknown as Props.Component<Props.SagaProps, "Saga">

/**
 * Children one after another, as a region that can be left before it is over, and without a failure: when `until` or `cancelWhen` holds, when its
 * time is over, or from outside.
 */
export const Scope = host<Props.ScopeComponent<Undeclared>>("Scope")

/** Children at the same time, of which the first in time win; the others are left, or go on beside what follows. */
const RacePlace = (props: Props.RaceProps): React.ReactNode =>
  jsx("Race", { of: props, boundary: givenId(props.id), children: branchesOf(props, props.children) })
RacePlace.displayName = "Race"

/** Children at the same time, of which the first in time win. */
export const Race = RacePlace as unknown as Props.Component<Props.RaceProps, "Race">

/** Each element as a branch, in its place and with its key. What is none is kept, for React and for the lowering. */
const branchesOf = (of: object, given: unknown): unknown => {
  if (isPending(given)) return null
  if (React.isValidElement(given)) return jsx("RaceBranch", { of, name: given.key, children: given }, given.key ?? undefined)
  const list = listOf(given)
  if (list === undefined) return given
  const branches = list.map((one) => branchesOf(of, one))
  if (isPieces(given)) mark(branches)
  return branches
}

/** The values of a list; `undefined` where it is none. */
const listOf = (given: unknown): ReadonlyArray<unknown> | undefined =>
  typeof given === "object" && given !== null && Symbol.iterator in given ? [...(given as Iterable<unknown>)] : undefined

/** Items by key, each with elements of its own. */
const ForEachPlace = (props: Props.ForEachProps): React.ReactNode => {
  const { items, by, children: draw } = props
  const list = isPending(items) || typeof draw !== "function" ? undefined : listOf(items)
  const parts = list?.map((item, index) => {
    const key: unknown = typeof by === "function" ? by(item, index) : item
    // Which item it is will be known when the plan is drawn with what is pending.
    if (isPending(key)) return null
    return jsx("ForEachItem", { of: props, name: key, children: jsx(Item, { of: props, draw, item, index }) }, key)
  })
  return jsx("ForEach", { of: props, boundary: givenId(props.id), children: parts })
}
ForEachPlace.displayName = "ForEach"

/** Items by key, each with a part of the plan of its own. */
export const ForEach = ForEachPlace as unknown as Props.ForEachComponent<Undeclared>

/** What a function draws of an item: a component, so that what it reads holds back no other item. */
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
  const given = draw(item, index)
  return areElements(given) ? given : jsx("ForEachItem", { of, given })
}

/** A class for the same reason as loops. Its parts are elements of their own, so that it is known which is which. */
class TryPlace extends React.Component<Props.TryCatchFinallyProps> {
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

/** What is done where something fails, and what is done in any case. */
export const TryCatchFinally = TryPlace as unknown as Props.TryCatchFinallyComponent<Undeclared>

/** A part that may be left out by a condition. What is no elements is kept, for the lowering to refuse. */
const partOf = (type: "Try" | "Catch" | "Finally", of: object, given: unknown): React.ReactNode => {
  if (isNothing(given) && !isPending(given)) return null
  return jsx(type, areElements(given) ? { of, children: given } : { of, given }, type.toLowerCase())
}

/** What a function draws of what was caught: a component, so that what it reads is its own. Nothing as long as nothing was caught. */
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
  const given = handler(error, frame.ctx(loop))
  return areElements(given) ? given : jsx("Catch", { of, given })
}

/** What React shows nothing for. */
const isNothing = (given: unknown): boolean =>
  given === undefined || given === null || typeof given === "boolean" || isPending(given)

const areElements = (given: unknown): given is React.ReactNode =>
  isNothing(given) || React.isValidElement(given) || (Array.isArray(given) && given.every(areElements))

/** The id that an author gave. What is no text is kept, for the lowering to refuse. */
const givenId = (id: string | undefined): string | undefined => (typeof id === "string" ? keptId(id) : id)

/** What one is called: by its id, or else by what it was called before, or by its place. */
const named = (kind: "loop" | "saga" | "try", component: React.Component, id: string | undefined) => {
  const given = givenId(id)
  if (given !== undefined) return { name: given }
  const { place, isListItem } = placeOf(kind, component)
  const frame = component.context as Frame | undefined
  return { name: frame?.nameOf(place) ?? place, place, isListItem }
}

/**
 * A name for a place in the tree that stays the same for as long as React would keep an element's state there: the keys and the
 * positions other than the first on the way from the root, each with its depth, and the depth itself.
 */
const placeOf = (kind: "loop" | "saga" | "try", component: React.Component) => {
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
  return { place: abbreviated(`${kind}:${[...names, steps.length].join(":")}`, 200), isListItem }
}

const [hostTag, fragmentTag, providerTag] = [5, 7, 10]

/** Whether children stand in a list that was put together, such as by `map`, and not one after another as they were written. */
const isInList = (parent: Fiber | null): boolean => {
  if (parent === null) return false
  const { tag, pendingProps: props } = parent
  if (tag === fragmentTag && Array.isArray(props)) return !isPieces(props)
  // What a component gives cannot be seen; and of elements that were made by other means it is not known how they were written.
  if ((tag !== hostTag && tag !== fragmentTag && tag !== providerTag) || stampOf(props) === undefined) return false
  const children = Raised.get(props, "children")
  return Array.isArray(children) && !isPieces(children)
}

/** The `ctx` of the workflow that is rendering, as seen from this component: inside a loop, of that loop. */
export const useCtx = (): Ctx => {
  // Where nothing renders, React's own error would not say what to do.
  if (!isRendering()) throw outside()
  const frame = React.useContext(frameContext)
  const loop = React.useContext(loopContext)
  if (frame === undefined) throw outside()
  return frame.ctx(loop)
}

const outside = (): TypeError =>
  new TypeError(
    "useCtx() was called outside a workflow: it works in components that smithers() renders. A function in a task is given the ctx",
  )
