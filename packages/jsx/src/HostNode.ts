/**
 * What a render leaves behind: a tree of plain objects, without React in it except for the fiber each one came from, which tells
 * the components around it. The tree is lowered to a plan and let go.
 */
import type { NodeKey } from "@smithers/core/Ids"
import type { PendingRead } from "@smithers/core/Plan"

/** What is used of React's internal record of an element: where it stands. */
export interface Fiber {
  readonly type: unknown
  readonly key: string | null
  readonly index: number
  readonly tag: number
  readonly flags: number
  readonly return: Fiber | null
  readonly child: Fiber | null
  readonly sibling: Fiber | null
  readonly memoizedState: unknown
  readonly pendingProps: unknown
  /** Of an element of the plan, its {@link HostNode}. */
  readonly stateNode: unknown
}

export interface HostText {
  readonly text: string
}

/** An element of the plan or, inside a task, of its prompt. */
export interface HostNode {
  readonly type: string
  readonly props: { readonly [name: string]: unknown }
  readonly children: Array<HostNode | HostText>
  readonly fiber: Fiber
  /** Pending reads that were made while its own children were rendered: of tasks, people's tasks, sagas and the parts of a try. */
  readonly readsInside: ReadonlyArray<PendingRead>
  /** Rows that were found meanwhile. */
  readonly foundInside: ReadonlyArray<NodeKey>
}

export const isText = (node: HostNode | HostText): node is HostText => "text" in node

/** The components around a fiber by name, innermost first. */
export const componentsAround = (fiber: Fiber | null): ReadonlyArray<string> => {
  const names: Array<string> = []
  for (let here = fiber; here !== null; here = here.return) {
    const name = nameOf(here.type)
    if (name !== undefined) names.push(name)
  }
  return names
}

const nameOf = (type: unknown): string | undefined => {
  if (typeof type === "string") return type
  if (typeof type === "function") {
    const { displayName, name } = type as { readonly displayName?: string; readonly name: string }
    return displayName ?? (name === "" ? "Anonymous" : name)
  }
  if (typeof type !== "object" || type === null) return undefined
  const { displayName, type: inner, render } = type as { readonly [key: string]: unknown }
  return typeof displayName === "string" ? displayName : nameOf(inner ?? render)
}
