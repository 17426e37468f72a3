/**
 * Result of a render: a tree of plain objects, free of React except for the fiber of each, which leads to the components around it.
 * The tree is lowered to a plan and then dropped.
 */
import type { PendingRead } from "@smithers/core/Plan"
import type { Read } from "./internal/reads.ts"

/** The fields of React's fiber that are used. */
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
  /** The {@link HostNode} of an element of the plan. */
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
  /** Pending reads made while its children were rendered. Recorded for tasks, human tasks, sagas, scopes and parts. */
  readonly readsInside: ReadonlyArray<PendingRead>
  /** All reads made while its children were rendered. */
  readonly lookupsInside: ReadonlyArray<Read>
}

export const isText = (node: HostNode | HostText): node is HostText => "text" in node

/** Returns the names of the components around a fiber, innermost first. */
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
