/**
 * What waits, as the plan has it: approvals, people's tasks, signals, timers and child runs. Their functions of ctx are called when the wait is
 * reached and each time the plan is made anew, so they must be pure.
 */

import * as Codec from "@smithers/core/Codec"
import * as Decision from "@smithers/core/Decision"
import type { NodeId } from "@smithers/core/Ids"
import * as Millis from "@smithers/core/Millis"
import type { Awaited, Child, Need, Wait } from "@smithers/core/Plan"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { HostNode } from "../HostNode.ts"
import { approversOf, checkRequest, given } from "./gate.ts"
import { type Lowering, untypedTable } from "./lowering.ts"
import { after, dependsOn } from "./needs.ts"
import { flag, hasFunction, metaOf, oneOf, type Props, refuse, span } from "./place.ts"
import * as Prompt from "./prompt.ts"
import type { Layout } from "./reading.ts"
import { type ComesAfter, checkPrompt, condition } from "./task.ts"

const nothing = Codec.make(Schema.Void) as Codec.Codec<unknown, unknown>
const decision = Codec.make(Decision.Decision) as Codec.Codec<unknown, unknown>

/** A node that waits. Throws `Misplaced`. */
export const wait = (
  node: HostNode,
  loop: NodeId | undefined,
  layout: Layout,
  lowering: Lowering,
  comesAfter: ComesAfter,
): Wait => {
  const { id, output, label, meta, skipIf } = node.props
  if (label !== undefined && typeof label !== "string") refuse(node, `"label" must be text`)
  const on = awaited(node, loop, lowering)
  const onTimeout =
    on.kind === "approval"
      ? oneOf(node, node.props, "onTimeout", ["deny", "approve", "fail"])
      : oneOf(node, node.props, "onTimeout", ["fail", "continue"])
  if (output === undefined && on.kind === "human") refuse(node, `it has no "output": the schema of the answer`)
  const table = on.kind === "timer" ? undefined : output === undefined ? untypedTable : (lowering.tableOf(output) as string)
  const codecs = {
    timer: nothing,
    approval: decision,
    signal: Codec.make(Schema.Unknown),
    human: nothing,
    subflow: Codec.make(Schema.Unknown),
  }
  const codec = output === undefined ? (codecs[on.kind] as Codec.Codec<unknown, unknown>) : lowering.codecOf(table as string)
  if (on.kind === "approval" && output !== undefined) checkTaken(node, codec, on.onDeny === "continue")
  const needs = dependsOn(node).flatMap(
    (target): ReadonlyArray<Need> => (layout.tasks.has(target) ? after(layout, id as string, target) : []),
  )
  return {
    _tag: "Wait",
    id: id as string,
    label: label as string | undefined,
    meta: metaOf(node, meta),
    needs,
    codec,
    table,
    skipIf:
      skipIf === undefined || skipIf === null || skipIf === false
        ? undefined
        : condition(node, "skipIf", skipIf, loop, lowering, comesAfter),
    on,
    timeoutMs: on.kind === "timer" ? undefined : span(node, "timeout"),
    onTimeout,
  }
}

/** Codecs that take what can be decided, by whether that may be a denial. */
const taking = { approvals: new WeakSet<object>(), both: new WeakSet<object>() }

/** Refuses an approval whose output has no place for what people decide: they would decide for nothing. */
const checkTaken = (node: HostNode, codec: Codec.Codec<unknown, unknown>, canBeDenied: boolean): void => {
  const known = canBeDenied ? taking.both : taking.approvals
  if (known.has(codec)) return
  const refused = Decision.refusedBy(codec, canBeDenied)
  if (refused !== undefined) {
    const row = "{ approved: boolean, note: string | null, decidedBy: string | null, decidedAt: string | null }"
    refuse(
      node,
      `its output cannot take a decision, which is ${row}; ${JSON.stringify(refused.row)} is refused: ${refused.issues.join("; ")}`,
    )
  }
  known.add(codec)
}

const awaited = (node: HostNode, loop: NodeId | undefined, lowering: Lowering): Awaited => {
  const { props } = node
  const give = (value: unknown) => given(value, loop, lowering)
  switch (node.type) {
    case "Approval": {
      const { request } = props
      if (request === undefined || request === null)
        refuse(node, `it has no "request": an object with a title, or a function of ctx`)
      checkRequest(node, "request", request)
      const onDeny = oneOf(node, props, "onDeny", ["fail", "continue", "skip"])
      return { kind: "approval", request: give(request), onDeny, approvers: approversOf(node, props) }
    }
    case "HumanTask": {
      const { prompt, children } = props
      const hasChildren = children !== undefined && children !== null && typeof children !== "boolean"
      if (prompt === undefined && !hasChildren) refuse(node, `it asks nothing: give it a "prompt", or children`)
      if (prompt !== undefined && hasChildren) refuse(node, `it has a "prompt" and children: they say the same`)
      if (prompt !== undefined && typeof prompt !== "string" && typeof prompt !== "function")
        refuse(node, `"prompt" must be text, or a function of ctx; a question made of elements is children`)
      if (hasFunction(children)) refuse(node, `a function stands in it, which nobody calls: give it as "prompt"`)
      checkPrompt(node, "It holds what a person is asked")
      const written = Prompt.written(node.children)
      return { kind: "human", prompt: prompt === undefined ? () => Prompt.write(written) : give(prompt) }
    }
    case "Subflow": {
      const { workflow, input, attach } = props
      return {
        kind: "subflow",
        child: childOf(node, workflow),
        input: give(input),
        isAttached: attach === undefined || flag(node, "attach"),
        onFail: oneOf(node, props, "onFail", ["fail", "continue"]),
      }
    }
    case "Timer": {
      const { until } = props
      const duration = span(node, "duration")
      if ((duration === undefined) === (until === undefined)) refuse(node, `it needs either a "duration" or "until"`)
      if (until !== undefined && typeof until !== "function" && Either.isLeft(Millis.instant(until)))
        refuse(node, `"until" must be a Date, epoch milliseconds, or a function of ctx`)
      return { kind: "timer", due: duration ?? give(until) }
    }
    default: {
      const { name, correlation } = props as Props
      if (typeof name !== "string" || name === "") refuse(node, `it has no "name" of a signal`)
      const isText = typeof correlation === "string" || typeof correlation === "number" || correlation === null
      if (correlation !== undefined && typeof correlation !== "function" && !isText)
        refuse(node, `"correlation" must be text, or a function of ctx`)
      return { kind: "signal", name: name as string, correlation: correlation === undefined ? undefined : give(correlation) }
    }
  }
}

type Definition = { readonly version: string | undefined; readonly input: Child["input"] }

/** A workflow, built or of components, as one that is started. */
const childOf = (node: HostNode, workflow: unknown): Child => {
  const isStartable =
    typeof workflow === "object" && workflow !== null && "execute" in workflow && "definition" in workflow && "name" in workflow
  if (!isStartable) return refuse(node, `its "workflow" is none: give it what smithers(…) or createWorkflow(…).build(…) gave`)
  const child = workflow as { readonly name: string; readonly definition: Definition; readonly plan?: NonNullable<Child["plan"]> }
  try {
    void child.name
  } catch (thrown) {
    refuse(node, `the name of its "workflow" cannot be learned by drawing it without an input: ${(thrown as Error).message}`)
  }
  const { version, input } = child.definition
  return {
    // Asked again, as that of a workflow that stands in itself is not known while it is drawn for its name.
    get name() {
      return child.name
    },
    version,
    input,
    definition: child.definition,
    ...(child.plan === undefined ? {} : { plan: child.plan }),
  }
}

/** Stands for a workflow that is not known yet, and is never started. */
export const unknownWorkflow = { name: "?", execute: undefined, definition: { version: undefined, input: nothing } }
