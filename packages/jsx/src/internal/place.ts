/**
 * Where something stands in a tree, what its props may be, and how it is refused.
 */
import * as Millis from "@smithers/core/Millis"
import * as Plan from "@smithers/core/Plan"
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

const waiting = ["id", "output", "label", "meta", "skipIf", "dependsOn", "timeout", "timeoutMs", "onTimeout"]

/** The props of each element of a plan. */
export const known = {
  Workflow: new Set(["name", "children"]),
  Sequence: new Set(["children"]),
  Parallel: new Set(["children", "maxConcurrency", "failFast"]),
  Branch: new Set(["if", "then", "else"]),
  Loop: new Set(["id", "until", "maxIterations", "onMaxReached", "children"]),
  Saga: new Set(["id", "onCompensated", "children"]),
  TryCatchFinally: new Set(["id", "try", "catch", "finally", "children"]),
  Try: new Set(["of", "given", "children"]),
  Catch: new Set(["of", "given", "children"]),
  Finally: new Set(["of", "given", "children"]),
  Approval: new Set([...waiting, "request", "onDeny", "approvers"]),
  HumanTask: new Set([...waiting, "prompt", "children"]),
  Signal: new Set([...waiting, "name", "correlation"]),
  WaitForEvent: new Set([...waiting, "name", "correlation"]),
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

/** Whether an element is one of the parts that a try is made of. */
export const isPart = (type: string): boolean => type === "Try" || type === "Catch" || type === "Finally"

/** What is pending is a function as well, and as a child is nothing. */
export const hasFunction = (children: unknown): boolean =>
  Array.isArray(children) ? children.some(hasFunction) : typeof children === "function" && !isPending(children)

export const isKind = (type: string): type is Kind => Object.hasOwn(known, type)

/** The props as the author wrote them: some components hand theirs on. */
export const propsOf = (node: HostNode): Props => (handingOn.has(node.type) ? (node.props.of as Props) : node.props)

const handingOn: ReadonlySet<string> = new Set(["Branch", "Loop", "Saga", "TryCatchFinally"])

/** The way to where a node stands, as the core writes ways in a plan. */
export const whereOf = (node: HostNode): string => componentsAround(node.fiber.return).toReversed().join(" > ")

/** Throws {@link Misplaced} for a node. */
export const refuse = (node: HostNode, problem: string): never => {
  const { id } = isPart(node.type) ? (node.props.of as Props) : propsOf(node)
  const type = isPart(node.type) ? "TryCatchFinally" : node.type
  const name = typeof id === "string" || typeof id === "number" ? `${type} "${id}"` : `a ${type}`
  throw new Misplaced(`${name}: ${problem}`, whereOf(node))
}

/** A span of time, where it is given: as a duration under `name`, or in milliseconds under `<name>Ms`. `within` names what holds the two. */
export const span = (node: HostNode, name: string, props: Props = node.props, within = ""): Millis.Millis | undefined => {
  const { [name]: duration, [`${name}Ms`]: ms } = props
  const named = `"${within}${name}"`
  const namedMs = `"${within}${name}Ms"`
  if (duration !== undefined && ms !== undefined)
    refuse(node, `it has ${named} and ${namedMs}, which say the same: give one of them`)
  if (duration !== undefined) return durationOf(node, named, duration)
  if (ms === undefined) return undefined
  return Either.getOrElse(Millis.positiveSpan(typeof ms === "number" ? ms : undefined), ({ problem }) => {
    const longest = problem === "is longer than 8.64e15 ms" ? ", and at most 8.64e15" : ""
    const instead = typeof ms === "number" || Either.isLeft(Millis.positiveSpan(ms)) ? "" : `; a duration is given as ${named}`
    return refuse(node, `${namedMs} must be milliseconds, more than 0${longest}${instead}`)
  })
}

/** A duration, as text or otherwise. */
export const durationOf = (node: HostNode, named: string, value: unknown): Millis.Millis =>
  Either.getOrElse(Millis.positiveSpan(value), ({ given, problem }) => {
    const example = problem === "is not a duration" ? ` such as "30s" or "2 minutes"` : ""
    return refuse(node, `${named} ${given} ${problem}${example}`)
  })

/** One of a few words; the first where nothing is said. */
export const oneOf = <A extends string>(
  node: HostNode,
  props: Props,
  name: string,
  words: readonly [A, ...ReadonlyArray<A>],
): A => {
  const { [name]: chosen = words[0] } = props
  if (words.includes(chosen as A)) return chosen as A
  const [last, ...others] = words.map((word) => `"${word}"`).toReversed()
  return refuse(node, `"${name}" must be ${others.length === 0 ? last : `${others.toReversed().join(", ")} or ${last}`}`)
}

/** What is told to people and tools of a node. */
export const metaOf = (node: HostNode, meta: unknown): Plan.Step["meta"] => {
  const kept = Plan.metaOf(meta)
  return "problem" in kept ? refuse(node, kept.problem) : kept.meta
}

/** Whether something is set. */
export const flag = (node: HostNode, name: string): boolean => {
  const value = node.props[name]
  if (value === undefined || typeof value === "boolean") return value === true
  const instead = Plan.saysNo(value) ? "false" : "true"
  const hint = typeof value === "string" ? `, and not the text ${JSON.stringify(value)}: write ${name}={${instead}}` : ""
  return refuse(node, `"${name}" must be true or false${hint}`)
}
