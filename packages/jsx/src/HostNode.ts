/**
 * What a render leaves behind: a tree of plain objects, without React in it except for the fiber each one came from, which tells
 * the components around it. The tree is lowered to a plan and let go.
 */
import type { PendingRead } from "@smithers/core/Plan"
import type { Read } from "./internal/reading.ts"

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
  /** Pending reads that were made while its own children were rendered: of tasks, people's tasks, sagas, scopes and parts. */
  readonly readsInside: ReadonlyArray<PendingRead>
  /** All reads that were made meanwhile. */
  readonly lookupsInside: ReadonlyArray<Read>
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
    const displayName = "displayName" in type ? type.displayName : undefined
    return typeof displayName === "string" ? displayName : type.name === "" ? "Anonymous" : type.name
  }
  if (typeof type !== "object" || type === null) return undefined
  if ("displayName" in type && typeof type.displayName === "string") return type.displayName
  return nameOf(("type" in type ? type.type : undefined) ?? ("render" in type ? type.render : undefined))
}
