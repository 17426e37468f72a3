/**
 * What waits, as the plan has it: approvals, people's tasks, signals, timers and child runs. Their functions of ctx are called when the wait is
 * reached and each time the plan is made anew, so they must be pure.
 */

import * as Codec from "@smithers/core/Codec"
import * as Decision from "@smithers/core/Decision"
import type { NodeId } from "@smithers/core/Ids"
import * as NodeOptions from "@smithers/core/NodeOptions"
import type { Awaited, Need, Wait } from "@smithers/core/Plan"
import * as Schema from "effect/Schema"
import type { HostNode } from "../HostNode.ts"
import { type ComesAfter, skipped } from "./condition.ts"
import { checkPrompt } from "./content.ts"
import { given, requestOf } from "./given.ts"
import { type Lowering, untypedTable } from "./lowering.ts"
import { after, dependsOn } from "./needs.ts"
import { hasFunction, idOf, orRefuse, type Props, refuse, words } from "./place.ts"
import * as Prompt from "./prompt.ts"
import type { Layout } from "./reading.ts"

const anything = Codec.makeUnknown(Schema.Unknown)
const decision = Codec.makeUnknown(Decision.Decision)

const kinds: { readonly [type: string]: Awaited["kind"] } = {
  Approval: "approval",
  HumanTask: "human",
  Subflow: "subflow",
  Timer: "timer",
}

/** A node that waits. Throws `Misplaced`. */
export const wait = (
  node: HostNode,
  loop: NodeId | undefined,
  layout: Layout,
  lowering: Lowering,
  comesAfter: ComesAfter,
): Wait => {
  const { output } = node.props
  const kind = kinds[node.type] ?? "signal"
  const options = optionsOf(node, kind, (value) => given(value, loop, lowering))
  if (output === undefined && kind === "human") refuse(node, `it has no "output": the schema of the answer`)
  const table = lowering.tableOf(output) ?? untypedTable
  const untyped = kind === "approval" ? decision : anything
  const codec = output === undefined ? untyped : lowering.codecOf(table)
  const id = idOf(node)
  const needs = dependsOn(node).flatMap(
    (target): ReadonlyArray<Need> => (layout.tasks.has(target) ? after(layout, id, target) : []),
  )
  const leaf = { id, needs, codec, table, skipIf: skipped(node, loop, lowering, comesAfter) }
  const made = orRefuse(node, NodeOptions.wait(kind, leaf, options, words))
  if (made.on.kind === "approval" && output !== undefined) checkTaken(node, codec, made.on.onDeny === "continue")
  return made
}

/** Codecs that take what can be decided, by whether that may be a denial. */
const taking = { approvals: new WeakSet<object>(), both: new WeakSet<object>() }

/** Refuses an approval whose output has no place for what people decide: they would decide for nothing. */
const checkTaken = (node: HostNode, codec: Codec.Codec<unknown, unknown>, canBeDenied: boolean): void => {
  const known = canBeDenied ? taking.both : taking.approvals
  if (known.has(codec)) return
  const refused = Decision.refusedBy(codec, canBeDenied)
  if (refused !== undefined) {
    const row = "{ approved: boolean, note: string | null, decidedBy: string | null, decidedAt: string | null, timedOut: boolean }"
    refuse(
      node,
      `its output cannot take a decision, which is ${row}; ${JSON.stringify(refused.row)} is refused: ${refused.issues.join("; ")}`,
    )
  }
  known.add(codec)
}

/** The props of a node that waits, with functions as the plan calls them. */
const optionsOf = (node: HostNode, kind: Awaited["kind"], give: (value: unknown) => unknown): Props => {
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
      return { ...props, input: give(props.input) }
  }
}

/** What a person is asked: a prop, or what is written as children. */
const promptOf = (node: HostNode, give: (value: unknown) => unknown): unknown => {
  const { prompt, children } = node.props
  const hasChildren = children !== undefined && children !== null && typeof children !== "boolean"
  if (prompt === undefined && !hasChildren) refuse(node, `it asks nothing: give it a "prompt", or children`)
  if (prompt !== undefined && hasChildren) refuse(node, `it has a "prompt" and children: they say the same`)
  if (typeof prompt === "object" && prompt !== null && "$$typeof" in prompt)
    refuse(node, `"prompt" is an element: a question made of elements is children`)
  if (hasFunction(children)) refuse(node, `a function stands in it, which nobody calls: give it as "prompt"`)
  checkPrompt(node, "It holds what a person is asked")
  const written = Prompt.written(node.children)
  return prompt === undefined ? () => Prompt.write(written) : give(prompt)
}

/** Stands for a workflow that is not known yet, and is never started. */
export const unknownWorkflow = { name: "?", execute: undefined, definition: { version: undefined, input: anything } }
