/**
 * Describes a render for comparison: the props and content of each node, and the results of its functions of ctx. A render, and
 * each function that is called repeatedly, must return the same for the same ctx.
 */

import type * as Plan from "@smithers/core/Plan"
import type { Node, PredicateContext } from "@smithers/core/Plan"
import type { RunState } from "@smithers/core/RunState"
import * as Effect from "effect/Effect"
import type { HostNode } from "../HostNode.ts"
import type { Lowered } from "../lower.ts"
import { isPending } from "../Pending.ts"
import { isLeaf, isPart, isRegion, keptIdOf, propsOf, whereOf } from "./elements.ts"
import * as Prompt from "./prompt.ts"

/** A fact about a render: its subject and its value. */
export interface Saying {
  readonly subject: string
  readonly what: string
  readonly value: string
}

/** A function of ctx, by the name of its prop. */
export interface Question {
  readonly node: HostNode
  readonly name: string
  readonly ask: (state: RunState) => unknown
}

/** Props that are not compared: agents, outputs and children. */
const silent: ReadonlySet<string> = new Set([
  ...[
    "agent",
    "output",
    "deps",
    "children",
    "of",
    "then",
    "else",
    "try",
    "catch",
    "finally",
    "workflow",
    "loop",
    "boundary",
    "content",
  ],
])

/** Names a node at the beginning of a sentence. */
export const subjectOf = (node: HostNode): string => {
  const { id } = propsOf(node)
  const name = node.type.toLowerCase()
  return `${typeof id === "string" ? `${name} "${id}"` : `a ${name}`} (at ${whereOf(node)})`
}

/** Returns the facts of a render itself. */
export const saidIn = (lowered: Lowered): ReadonlyArray<Saying> => {
  const contents = new Map(lowered.tasks().map(({ node, content }) => [node, content] as const))
  return lowered.nodes().flatMap((node) => {
    if (isPart(node.type)) return []
    const subject = subjectOf(node)
    const found: Array<Saying> = []
    if (isLeaf(node.type)) {
      const content = contents.get(node)?.()
      const value = shown(Prompt.isWritten(content) ? Prompt.write(content) : content)
      found.push({ subject, what: "is there", value: "" })
      if (value !== undefined) found.push({ subject, what: "has the content", value })
    }
    for (const [name, prop] of Object.entries(propsOf(node))) {
      const value = silent.has(name) ? undefined : shown(prop)
      if (value !== undefined) found.push({ subject, what: `has "${name}"`, value })
    }
    return found
  })
}

/** Returns the functions of ctx in a render that must be pure. The work of a task is excluded, since it runs once. */
export const questionsOf = (
  plan: Plan.Plan,
  lowered: Lowered,
  contextOf: (position: number) => PredicateContext,
): ReadonlyArray<Question> => {
  const nodes = new Map(lowered.nodes().flatMap((node) => nodeIdsOf(node).map((id) => [id, node] as const)))
  return plan.nodes.slice(0, plan.size).flatMap((planned, position) => {
    const node = "id" in planned ? nodes.get(planned.id) : undefined
    if (node === undefined) return []
    const context = contextOf(position)
    return functionsOf(planned, node).map(([name, call]) => ({ node, name, ask: (state: RunState) => call(context, state) }))
  })
}

/** Returns the answer of a function; `undefined` if it is pending or asynchronous. */
export const answerTo = ({ node, name, ask }: Question, state: RunState): Saying | undefined => {
  const result = ask(state)
  if (Effect.isEffect(result) || (typeof result === "object" && result !== null && "then" in result)) return undefined
  const value = shown(result)
  return value === undefined ? undefined : { subject: subjectOf(node), what: `evaluates "${name}" to`, value }
}

const nodeIdsOf = (node: HostNode): ReadonlyArray<string> => {
  const { type } = node
  const id = type === "Loop" || isRegion(type) || isLeaf(type) ? keptIdOf(node) : undefined
  return typeof id === "string" ? [id] : []
}

type Call = (context: PredicateContext, state: RunState) => unknown

const unnoted = (): void => {}

/** An async function would start its work when called. */
const isAsked = (value: unknown): boolean =>
  typeof value === "function" && !isPending(value) && value.constructor.name === "Function"

const functionsOf = (planned: Node, node: HostNode): ReadonlyArray<readonly [name: string, call: Call]> => {
  const props = propsOf(node)
  const found: Array<readonly [string, Call]> = []
  const add = (
    name: string,
    value: unknown,
    call: ((context: PredicateContext, state: RunState, noteRead: Plan.NoteRead) => unknown) | undefined,
  ) => {
    if (call !== undefined && isAsked(value)) found.push([name, (context, state) => call(context, state, unnoted)])
  }
  if (planned._tag === "Loop") add("until", props.until, planned.until)
  if (planned._tag === "Scope") {
    const { body } = planned
    add("until", props.until, planned.completeWhen)
    add("cancelWhen", props.cancelWhen, planned.cancelWhen)
    if (body._tag === "ForEach" && body.until !== undefined) {
      const { until } = body
      const progress = { done: 0, failed: 0, open: body.children.length, values: [] }
      add("until", props.until, (context, state, noteRead) => until({ ...context, ...progress }, state, noteRead))
    }
  }
  if (planned._tag === "Step") {
    const { needsApproval, cache } = props as { readonly [name: string]: { readonly [name: string]: unknown } | undefined }
    add("skipIf", props.skipIf, planned.skipIf)
    add("cache.key", cache?.key, planned.cache?.key)
    if (planned.gate?.target.kind === "approval") add("needsApproval.request", needsApproval?.request, planned.gate.target.request)
    if (planned.agentSpec !== undefined) add("prompt", props.children, planned.run as typeof planned.skipIf)
  }
  if (planned._tag === "Wait") {
    const { target } = planned
    add("skipIf", props.skipIf, planned.skipIf)
    if (target.kind === "approval") add("request", props.request, target.request)
    if (target.kind === "human") add("prompt", props.prompt, target.prompt)
    if (target.kind === "signal") add("correlation", props.correlation, target.correlation)
    if (target.kind === "subflow" || target.kind === "continuation") add("input", props.input, target.input)
    if (target.kind === "timer" && typeof target.due === "function") add("until", props.until, target.due)
  }
  return found
}

/** Formats a value for comparison; `undefined` if there is nothing to compare. */
const shown = (value: unknown): string | undefined => {
  if (typeof value === "function" || isPending(value)) return undefined
  try {
    return JSON.stringify(value, (_, inner: unknown) => {
      if (typeof inner === "bigint") return String(inner)
      if (typeof inner === "object" && inner !== null && "$$typeof" in inner) return undefined
      if (inner instanceof Map || inner instanceof Set) return [...inner]
      return inner
    })
  } catch {
    return undefined
  }
}

/** Maximum length of a shown value. */
const longest = 80

/** Returns two values from their first difference on. */
export const difference = (before: string, after: string): readonly [before: string, after: string] => {
  let from = 0
  while (from < before.length && before[from] === after[from]) from++
  const start = before.length <= longest && after.length <= longest ? 0 : Math.max(0, from - 20)
  const cut = (text: string): string =>
    `${start > 0 ? "…" : ""}${text.slice(start, start + longest)}${text.length > start + longest ? "…" : ""}`
  return [cut(before), cut(after)]
}
