/**
 * What waits, as the plan has it: approvals, people's tasks, signals, timers and child runs. Their functions of ctx are called when the wait is
 * reached and each time the plan is made anew, so they must be pure.
 */
import { Decision } from "@smithers/core/Builder"
import * as Codec from "@smithers/core/Codec"
import type { NodeId } from "@smithers/core/Ids"
import type { Awaited, Child, Need, NoteRead, Wait } from "@smithers/core/Plan"
import type { RunState } from "@smithers/core/RunState"
import * as Schema from "effect/Schema"
import type { HostNode } from "../HostNode.ts"
import { approversOf, given } from "./gate.ts"
import { type Lowering, untypedTable } from "./lowering.ts"
import { after, dependsOn } from "./needs.ts"
import { flag, millis, oneOf, type Props, refuse } from "./place.ts"
import * as Prompt from "./prompt.ts"
import type { Layout } from "./reading.ts"
import { condition } from "./task.ts"

const nothing = Codec.make(Schema.Void) as Codec.Codec<unknown, unknown>
const decision = Codec.make(Decision) as Codec.Codec<unknown, unknown>

/** A node that waits. Throws `Misplaced`. */
export const wait = (node: HostNode, loop: NodeId | undefined, layout: Layout, lowering: Lowering): Wait => {
  const { id, output, label, meta, skipIf } = node.props
  if (label !== undefined && typeof label !== "string") refuse(node, `"label" must be text`)
  if (meta !== undefined && (typeof meta !== "object" || meta === null || Array.isArray(meta)))
    refuse(node, `"meta" must be an object`)
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
  const needs = dependsOn(node).flatMap(
    (target): ReadonlyArray<Need> => (layout.tasks.has(target) ? after(layout, id as string, target) : []),
  )
  return {
    _tag: "Wait",
    id: id as string,
    label: label as string | undefined,
    meta: meta as Wait["meta"],
    needs,
    codec: output === undefined ? (codecs[on.kind] as Codec.Codec<unknown, unknown>) : lowering.codecOf(table as string),
    table,
    skipIf: skipIf === undefined || skipIf === null || skipIf === false ? undefined : condition(skipIf, loop, lowering),
    on,
    timeoutMs: on.kind === "timer" ? undefined : millis(node, "timeoutMs"),
    onTimeout,
  }
}

const awaited = (node: HostNode, loop: NodeId | undefined, lowering: Lowering): Awaited => {
  const { props } = node
  const give = (value: unknown) => given(value, loop, lowering)
  switch (node.type) {
    case "Approval": {
      const { request } = props
      if (request === undefined || request === null)
        refuse(node, `it has no "request": an object with a title, or a function of ctx`)
      const onDeny = oneOf(node, props, "onDeny", ["fail", "continue", "skip"])
      return { kind: "approval", request: give(request), onDeny, approvers: approversOf(node, props) }
    }
    case "HumanTask": {
      const { prompt, children } = props
      if (prompt === undefined && children === undefined) refuse(node, `it asks nothing: give it a "prompt", or children`)
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
      const { durationMs, until } = props
      if ((durationMs === undefined) === (until === undefined)) refuse(node, `it needs either "durationMs" or "until"`)
      const duration = millis(node, "durationMs") ?? 0
      const due = (_: unknown, now: number, state: RunState, noteRead: NoteRead): number => {
        if (until === undefined) return now + duration
        const at = Number(give(until)(undefined, state, noteRead))
        if (!Number.isFinite(at)) throw new TypeError(`"until" gave no time`)
        return at
      }
      return { kind: "timer", due }
    }
    default: {
      const { name, correlation } = props as Props
      if (typeof name !== "string" || name === "") refuse(node, `it has no "name" of a signal`)
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
