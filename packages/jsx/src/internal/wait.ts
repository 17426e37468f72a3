/**
 * Lowers waits: approvals, human tasks, signals, timers and child runs. Their functions of ctx are called when the wait is reached
 * and whenever the plan is rendered, so they must be pure.
 */

import * as Codec from "@smithers/core/Codec"
import * as Decision from "@smithers/core/Decision"
import type { NodeId } from "@smithers/core/Ids"
import * as NodeOptions from "@smithers/core/NodeOptions"
import type { Need, Wait, WaitTarget } from "@smithers/core/Plan"
import * as Schema from "effect/Schema"
import * as Compatibility from "../Compatibility.ts"
import type { HostNode } from "../HostNode.ts"
import { functionOf, requestOf } from "./computed.ts"
import { type ComesAfter, skipped } from "./condition.ts"
import { checkPrompt } from "./content.ts"
import { hasFunction, idOf, orRefuse, type Props, refuse, words } from "./elements.ts"
import { type Lowering, untypedTable } from "./lowering.ts"
import { after, dependsOn } from "./needs.ts"
import * as Prompt from "./prompt.ts"
import type { TaskIndex } from "./reads.ts"

const anything = Codec.makeUnknown(Schema.Unknown)
const decision = Codec.makeUnknown(Decision.Decision)
const selection = Codec.makeUnknown(Decision.selectionOf(undefined))

const kinds: { readonly [type: string]: WaitTarget["kind"] } = {
  Approval: "approval",
  HumanTask: "human",
  ContinueAsNew: "continuation",
  Subflow: "subflow",
  Timer: "timer",
}

/** Lowers a wait. Throws `InvalidElement`. */
export const wait = (
  node: HostNode,
  loop: NodeId | undefined,
  layout: TaskIndex,
  lowering: Lowering,
  comesAfter: ComesAfter,
): Wait => {
  const { output } = node.props
  const kind = kinds[node.type] ?? "signal"
  const options = optionsOf(node, kind, (value) => functionOf(value, loop, lowering))
  if (output === undefined && kind === "human") refuse(node, `it has no "output": the schema of the answer`)
  const table = lowering.tableOf(output) ?? untypedTable
  const untyped = kind !== "approval" ? anything : node.props.options === undefined ? decision : selection
  const typed = output === undefined ? undefined : lowering.codecOf(table)
  const codec = typed === undefined ? untyped : node.props.options === undefined ? typed : selectingBy(typed)
  const id = idOf(node)
  const needs = dependsOn(node).flatMap(
    (target): ReadonlyArray<Need> => (layout.tasks.has(target) ? after(layout, id, target) : []),
  )
  const leaf = { id, needs, codec, table, skipIf: skipped(node, loop, lowering, comesAfter) }
  const made = orRefuse(node, NodeOptions.wait(kind, leaf, options, words))
  if (made.target.kind === "approval" && output !== undefined) checkTaken(node, codec, made.target)
  return made
}

const selectingBy = (codec: Codec.Codec<unknown, unknown>): Codec.Codec<unknown, unknown> => {
  const made = selections.get(codec) ?? Compatibility.selecting(codec)
  selections.set(codec, made)
  return made
}

const selections = new WeakMap<object, Codec.Codec<unknown, unknown>>()

/** Kinds of decisions that a codec was checked to accept. */
const taking = new WeakMap<object, Set<string>>()

/** Rejects an approval whose output cannot hold the decision, which would otherwise fail after the decision. */
const checkTaken = (
  node: HostNode,
  codec: Codec.Codec<unknown, unknown>,
  { onDeny, options }: Extract<WaitTarget, { readonly kind: "approval" }>,
): void => {
  const canBeDenied = onDeny === "continue"
  const keys = typeof options === "function" ? undefined : options?.map(({ key }) => key)
  const kind = JSON.stringify([canBeDenied, keys ?? null])
  const known = taking.get(codec) ?? new Set()
  taking.set(codec, known)
  if (known.has(kind)) return
  const refused = Decision.refusedBy(codec, canBeDenied, keys)
  if (refused !== undefined) {
    const selected = keys === undefined ? "" : "selected: string | null, "
    const row = `{ approved: boolean, ${selected}note: string | null, decidedBy: string | null, decidedAt: string | null, timedOut: boolean }`
    refuse(
      node,
      `its output cannot hold a decision, which is ${row}; it rejects ${JSON.stringify(refused.row)}: ${refused.issues.join("; ")}`,
    )
  }
  known.add(kind)
}

/** Returns the options of a wait, with functions in the form of the plan. */
const optionsOf = (node: HostNode, kind: WaitTarget["kind"], give: (value: unknown) => unknown): Props => {
  const { props } = node
  switch (kind) {
    case "approval":
      return { ...props, request: requestOf(props.request, give) }
    case "human":
      return { ...props, prompt: promptOf(node, give) }
    case "signal":
      return { ...props, correlation: give(props.correlation) }
    case "timer":
      return { ...props, until: give(props.until) }
    case "subflow":
    case "continuation":
      return { ...props, input: give(props.input) }
  }
}

/** Returns the question of a human task: a prop, or its children. */
const promptOf = (node: HostNode, give: (value: unknown) => unknown): unknown => {
  const { prompt, children } = node.props
  const hasChildren = children !== undefined && children !== null && typeof children !== "boolean"
  if (prompt === undefined && !hasChildren) refuse(node, `it has no question: give it a "prompt", or children`)
  if (prompt !== undefined && hasChildren) refuse(node, `it has both a "prompt" and children: remove one of them`)
  if (typeof prompt === "object" && prompt !== null && "$$typeof" in prompt)
    refuse(node, `"prompt" is an element: write a question made of elements as children`)
  if (hasFunction(children)) refuse(node, `it has a function as a child, which is never called: pass it as "prompt"`)
  checkPrompt(node, "It contains the question for a person")
  const written = Prompt.written(node.children)
  return prompt === undefined ? () => Prompt.write(written) : give(prompt)
}

/** Placeholder of a workflow that is not known yet. It is never started. */
export const unknownWorkflow = { name: "?", execute: undefined, definition: { version: undefined, input: anything } }
