/**
 * Where something stands in a tree, what its props may be, and how it is refused.
 */
import type { NodeId } from "@smithers/core/Ids"
import type * as NodeOptions from "@smithers/core/NodeOptions"
import * as Either from "effect/Either"
import { componentsAround, type HostNode } from "../HostNode.ts"
import { isPending } from "../Pending.ts"

/** What is wrong with a tree, and where. */
export class Misplaced extends TypeError {
  readonly where: string
  constructor(problem: string, where: string) {
    super(problem)
    this.where = where
  }
}

export type Props = { readonly [name: string]: unknown }

const waiting = ["id", "output", "label", "meta", "skipIf", "dependsOn", "timeout", "timeoutMs", "deadline", "onTimeout"]

const leaving = ["timeout", "timeoutMs", "onTimeout", "label"]

/** The props of each element of a plan. */
export const known = {
  Workflow: new Set(["name", "children"]),
  Sequence: new Set(["children"]),
  Parallel: new Set(["children", "maxConcurrency", "failFast"]),
  Branch: new Set(["if", "then", "else"]),
  Loop: new Set(["id", "until", "maxIterations", "onMaxReached", "children"]),
  Saga: new Set(["id", "onCompensated", "children"]),
  TryCatchFinally: new Set(["id", "try", "catch", "catchWhen", "finally", "children"]),
  Scope: new Set(["id", "until", "cancelWhen", ...leaving, "children"]),
  Race: new Set(["id", "count", "rest", "onFailure", ...leaving, "children"]),
  ForEach: new Set(["id", "items", "by", "concurrency", "until", "rest", "settled", "more", ...leaving, "children"]),
  RaceBranch: new Set(["of", "name", "children"]),
  ForEachItem: new Set(["of", "name", "given", "children"]),
  Try: new Set(["of", "given", "children"]),
  Catch: new Set(["of", "given", "children"]),
  Finally: new Set(["of", "given", "children"]),
  Approval: new Set([...waiting, "request", "onDeny", "approvers"]),
  HumanTask: new Set([...waiting, "prompt", "children"]),
  Signal: new Set([...waiting, "name", "correlation", "transient"]),
  WaitForEvent: new Set([...waiting, "name", "correlation", "transient"]),
  Subflow: new Set([...waiting, "workflow", "input", "attach", "onFail"]),
  Timer: new Set(["id", "label", "meta", "skipIf", "dependsOn", "duration", "durationMs", "until"]),
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
      "retryPolicy",
      "noRetry",
      "timeout",
      "timeoutMs",
    ],
    ...["heartbeatTimeout", "heartbeatTimeoutMs", "continueOnFail", "cache", "label", "meta", "compensate", "needsApproval"],
    "children",
  ]),
} as const

export type Kind = keyof typeof known

/** Whether an element is one that has an id and an output of its own. */
export const isLeaf = (type: string): boolean => type === "Task" || isWait(type)

/** Whether an element waits for the world. */
export const isWait = (type: string): boolean => waits.has(type)

const waits: ReadonlySet<string> = new Set(["Approval", "HumanTask", "Signal", "WaitForEvent", "Timer", "Subflow"])

/** The components that elements are parts of, by the parts. */
const wholes: ReadonlyMap<string, string> = new Map([
  ...["Try", "Catch", "Finally"].map((part) => [part, "TryCatchFinally"] as const),
  ["RaceBranch", "Race"],
  ["ForEachItem", "ForEach"],
])

/** Whether an element is one of the parts that a try, a race or a list is made of. */
export const isPart = (type: string): boolean => wholes.has(type)

/** Whether children of an element are begun at the same time. */
export const isGroup = (type: string): boolean => type === "Parallel" || type === "Race" || type === "ForEach"

/** Whether an element is a region that can be left early, with an id that its author gave. */
export const isRegion = (type: string): boolean => type === "Scope" || type === "Race" || type === "ForEach"

/** What is pending is a function as well, and as a child is nothing. */
export const hasFunction = (children: unknown): boolean =>
  Array.isArray(children) ? children.some(hasFunction) : typeof children === "function" && !isPending(children)

export const isKind = (type: string): type is Kind => Object.hasOwn(known, type)

/** Whether a value has fields. */
export const isProps = (value: unknown): value is Props => typeof value === "object" && value !== null

/** The props that a component of ours hands on with its own. */
export const handedOn = ({ props }: HostNode): Props => (isProps(props.of) ? props.of : props)

/** The props as the author wrote them: some components hand theirs on. */
export const propsOf = (node: HostNode): Props => (handingOn.has(node.type) ? handedOn(node) : node.props)

const handingOn: ReadonlySet<string> = new Set(["Branch", "Loop", "Saga", "TryCatchFinally", "Race", "ForEach"])

/** The way to where a node stands, as the core writes ways in a plan. */
export const whereOf = (node: HostNode): string => componentsAround(node.fiber.return).toReversed().join(" > ")

/** Throws {@link Misplaced} for a node. */
export const refuse = (node: HostNode, problem: string): never => {
  const { id } = isPart(node.type) ? handedOn(node) : propsOf(node)
  const type = wholes.get(node.type) ?? node.type
  const name = typeof id === "string" || typeof id === "number" ? `${type} "${id}"` : `a ${type}`
  throw new Misplaced(`${name}: ${problem}`, whereOf(node))
}

/** The id of whatever has one, as it is kept. */
export const keptIdOf = ({ type, props }: HostNode): unknown =>
  type === "Loop" ? props.loop : handingOn.has(type) ? props.boundary : props.id

/** The id of a task, a wait, a loop, or a boundary. */
export const idOf = (node: HostNode): NodeId => {
  const id = keptIdOf(node)
  return typeof id === "string" ? id : refuse(node, "its id is no text")
}

/** The way components speak to their authors. */
export const words: NodeOptions.Words = {
  fn: "a function of ctx",
  set: (option, value) => `${option}={${value}}`,
  hasMillis: true,
}

/** What was made of a node's props. Throws {@link Misplaced} where something is wrong with them. */
export const orRefuse = <A>(node: HostNode, made: Either.Either<A, NodeOptions.Problem>): A =>
  Either.getOrElse(made, (problem) => refuse(node, problem))
