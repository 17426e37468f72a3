/**
 * Elements of a plan: their valid props, their locations, and their rejection.
 */
import * as Budget from "@smithers/core/Budget"
import { alwaysTrue } from "@smithers/core/Condition"
import type { NodeId } from "@smithers/core/Ids"
import * as NodeOptions from "@smithers/core/NodeOptions"
import * as Either from "effect/Either"
import { componentsAround, type HostNode } from "../HostNode.ts"
import { isPending } from "../Pending.ts"

/** A problem of a tree, and its place. */
export class InvalidElement extends TypeError {
  readonly where: string
  constructor(problem: string, where: string) {
    super(problem)
    this.where = where
  }
}

export type Props = { readonly [name: string]: unknown }

const waiting = ["id", "output", "label", "meta", "skipIf", "dependsOn", "timeout", "timeoutMs", "deadline", "onTimeout"]

const leaving = ["timeout", "timeoutMs", "onTimeout", "label"]

/** Props of each element of a plan. */
export const known = {
  Workflow: new Set(["name", "budget", "deadline", "snapshots", "children"]),
  Sequence: new Set(["sandbox", "skipIf", "children"]),
  Budget: new Set(["id", ...Budget.optionNames, "skipIf", "children"]),
  Worktree: new Set(["id", ...NodeOptions.worktreeOptions, "skipIf", "children"]),
  Sandbox: new Set(["id", "output", ...NodeOptions.sandboxOptions, "skipIf", "children"]),
  Parallel: new Set(["children", "maxConcurrency", "maxItems", "failFast", "sandbox", "skipIf"]),
  Branch: new Set(["if", "then", "else", "skipIf"]),
  Loop: new Set(["id", "until", "maxIterations", "onMaxReached", "skipIf", "children"]),
  Saga: new Set(["id", "onCompensated", "skipIf", "children"]),
  TryCatchFinally: new Set(["id", "try", "catch", "catchWhen", "finally", "skipIf", "children"]),
  Scope: new Set(["id", "until", "cancelWhen", ...leaving, "skipIf", "children"]),
  Race: new Set(["id", "count", "rest", "onFailure", ...leaving, "skipIf", "children"]),
  ForEach: new Set([
    ...["id", "items", "by", "maxConcurrency", "maxItems", "until", "rest", "settled", "more", ...leaving],
    ...["skipIf", "children"],
  ]),
  RaceBranch: new Set(["of", "name", "children"]),
  ForEachItem: new Set(["of", "name", "content", "children"]),
  Try: new Set(["of", "content", "children"]),
  Catch: new Set(["of", "content", "children"]),
  Finally: new Set(["of", "content", "children"]),
  Approval: new Set([...waiting, "request", "mode", "options", "onDeny", "approvers"]),
  HumanTask: new Set([...waiting, "prompt", "children"]),
  Signal: new Set([...waiting, "name", "correlation", "transient"]),
  WaitForEvent: new Set([...waiting, "name", "correlation", "transient"]),
  Subflow: new Set([...waiting, "workflow", "input", "attach", "onFail", "maxDepth", "sandbox"]),
  Timer: new Set(["id", "label", "meta", "skipIf", "dependsOn", "duration", "durationMs", "until"]),
  ContinueAsNew: new Set(["id", "label", "meta", "skipIf", "dependsOn", "input"]),
  Task: new Set([
    ...[
      "id",
      "output",
      "agent",
      "deps",
      "needs",
      "dependsOn",
      "skipIf",
      "retries",
      "corrections",
      "allowTools",
      "allowNetwork",
      "root",
      "readOnly",
      "budget",
      "retryPolicy",
      "noRetry",
      "timeout",
      "timeoutMs",
    ],
    ...[
      "heartbeatTimeout",
      "heartbeatTimeoutMs",
      "continueOnFail",
      "cache",
      "memory",
      "scorers",
      "snapshots",
      "sandbox",
      "label",
      "meta",
      "compensate",
      "needsApproval",
      "limit",
    ],
    "children",
  ]),
} as const

export type Kind = keyof typeof known

/** Returns `true` for elements with an id and an output of their own. */
export const isLeaf = (type: string): boolean => type === "Task" || isWait(type)

/** Returns `true` for waits. */
export const isWait = (type: string): boolean => waits.has(type)

const waits: ReadonlySet<string> = new Set(["Approval", "HumanTask", "Signal", "WaitForEvent", "Timer", "Subflow", "ContinueAsNew"])

/** Components that parts belong to. */
const wholes: ReadonlyMap<string, string> = new Map([
  ...["Try", "Catch", "Finally"].map((part) => [part, "TryCatchFinally"] as const),
  ["RaceBranch", "Race"],
  ["ForEachItem", "ForEach"],
])

/** Returns `true` for the parts of a try, a race or a list. */
export const isPart = (type: string): boolean => wholes.has(type)

/** Returns `true` if the children of an element run concurrently. */
export const isGroup = (type: string): boolean => type === "Parallel" || type === "Race" || type === "ForEach"

/** Returns `true` for regions that can be left early and have an author's id. */
export const isRegion = (type: string): boolean => type === "Scope" || type === "Race" || type === "ForEach"

/** Returns `true` for an element that groups others and whose `skipIf` holds. */
export const isLeftOut = (type: string, props: Props): boolean => {
  const { skipIf } = isProps(props.of) ? props.of : props
  if (skipIf === undefined || skipIf === null || skipIf === false) return false
  if (!isKind(type) || isLeaf(type) || isPart(type)) return false
  // The lowering refuses a value that is always true.
  return !isPending(skipIf) && alwaysTrue(skipIf) === undefined && Boolean(skipIf)
}

/** A pending value is a function too, and renders nothing as a child. */
export const hasFunction = (children: unknown): boolean =>
  Array.isArray(children) ? children.some(hasFunction) : typeof children === "function" && !isPending(children)

export const isKind = (type: string): type is Kind => Object.hasOwn(known, type)

/** Returns `true` for objects. */
export const isProps = (value: unknown): value is Props => typeof value === "object" && value !== null

/** Returns the props that a component of ours has passed on. */
export const forwardedProps = ({ props }: HostNode): Props => (isProps(props.of) ? props.of : props)

/** Returns the props as the author wrote them. Some components pass theirs on. */
export const propsOf = (node: HostNode): Props => (forwarding.has(node.type) ? forwardedProps(node) : node.props)

const forwarding: ReadonlySet<string> = new Set(["Branch", "Loop", "Saga", "TryCatchFinally", "Race", "ForEach"])

/** Returns the path of a node, in the format of the core. */
export const whereOf = (node: HostNode): string => componentsAround(node.fiber.return).toReversed().join(" > ")

/** Throws {@link InvalidElement} for a node. */
export const refuse = (node: HostNode, problem: string): never => {
  const { id } = isPart(node.type) ? forwardedProps(node) : propsOf(node)
  const type = wholes.get(node.type) ?? node.type
  const name = typeof id === "string" || typeof id === "number" ? `${type} "${id}"` : `a ${type}`
  throw new InvalidElement(`${name}: ${problem}`, whereOf(node))
}

/** Returns the encoded id of any node that has one. */
export const keptIdOf = ({ type, props }: HostNode): unknown => {
  if (type === "Worktree") return props.id ?? props.branch ?? props.path
  return type === "Loop" ? props.loop : forwarding.has(type) ? props.boundary : props.id
}

/** Returns the id of a task, a wait, a loop, or a boundary. */
export const idOf = (node: HostNode): NodeId => {
  const id = keptIdOf(node)
  return typeof id === "string" ? id : refuse(node, "its id must be text")
}

/** Terms for messages to authors of components. */
export const words: NodeOptions.Words = {
  fn: "a function of ctx",
  set: (option, value) => `${option}={${value}}`,
  hasMillis: true,
}

/** Returns the value made from a node's props. Throws {@link InvalidElement} for a problem. */
export const orRefuse = <A>(node: HostNode, made: Either.Either<A, NodeOptions.Problem>): A =>
  Either.getOrElse(made, (problem) => refuse(node, problem))
