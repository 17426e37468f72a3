/**
 * What waits, as the plan has it: approvals, people's tasks, signals and timers. Their functions of ctx are called when the wait is
 * reached and each time the plan is made anew, so they must be pure.
 */
import { Decision } from "@smithers/core/Builder"
import * as Codec from "@smithers/core/Codec"
import type { NodeId } from "@smithers/core/Ids"
import type { Awaited, Need, Wait } from "@smithers/core/Plan"
import type { RunState } from "@smithers/core/RunState"
import * as Schema from "effect/Schema"
import type { HostNode } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import { type Lowering, untypedTable } from "./lowering.ts"
import { millis, type Props, refuse } from "./place.ts"
import * as Prompt from "./prompt.ts"
import type { Layout } from "./reading.ts"
import { condition, dependsOn } from "./task.ts"

const nothing = Codec.make(Schema.Void) as Codec.Codec<unknown, unknown>
const decision = Codec.make(Decision) as Codec.Codec<unknown, unknown>

/** A node that waits. Throws `Misplaced`. */
export const wait = (node: HostNode, loop: NodeId | undefined, layout: Layout, lowering: Lowering): Wait => {
  const { id, output, label, meta, skipIf, onTimeout } = node.props
  if (label !== undefined && typeof label !== "string") refuse(node, `"label" must be text`)
  if (meta !== undefined && (typeof meta !== "object" || meta === null || Array.isArray(meta)))
    refuse(node, `"meta" must be an object`)
  const on = awaited(node, loop, lowering)
  const choices: ReadonlyArray<Wait["onTimeout"]> = on.kind === "approval" ? ["deny", "approve", "fail"] : ["fail", "continue"]
  const chosen = (onTimeout ?? choices[0]) as Wait["onTimeout"]
  if (!choices.includes(chosen)) refuse(node, `"onTimeout" must be ${choices.map((one) => `"${one}"`).join(" or ")}`)
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
    (target): ReadonlyArray<Need> => (layout.tasks.has(target) ? [{ name: `after:${target}`, target, pass: "current" }] : []),
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
    onTimeout: chosen,
  }
}

const awaited = (node: HostNode, loop: NodeId | undefined, lowering: Lowering): Awaited => {
  const { props } = node
  /** A prop that is a value, or a function of ctx that gives it when it is wanted. */
  const given =
    (value: unknown) =>
    (_: unknown, state: RunState): unknown =>
      typeof value === "function" && !isPending(value) ? value(lowering.ctxAt(state, loop)) : value
  switch (node.type) {
    case "Approval": {
      const { request, onDeny = "fail", approvers } = props
      if (request === undefined || request === null)
        refuse(node, `it has no "request": an object with a title, or a function of ctx`)
      if (onDeny !== "fail" && onDeny !== "continue" && onDeny !== "skip")
        refuse(node, `"onDeny" must be "fail", "continue" or "skip"`)
      const isList = Array.isArray(approvers) && approvers.every((one) => typeof one === "string")
      if (approvers !== undefined && !isList) refuse(node, `"approvers" must be an array of names`)
      const names = approvers as ReadonlyArray<string> | undefined
      return { kind: "approval", request: given(request), onDeny: onDeny as "fail" | "continue" | "skip", approvers: names }
    }
    case "HumanTask": {
      const { prompt, children } = props
      if (prompt === undefined && children === undefined) refuse(node, `it asks nothing: give it a "prompt", or children`)
      const written = Prompt.written(node.children)
      return { kind: "human", prompt: prompt === undefined ? () => Prompt.write(written) : given(prompt) }
    }
    case "Timer": {
      const { durationMs, until } = props
      if ((durationMs === undefined) === (until === undefined)) refuse(node, `it needs either "durationMs" or "until"`)
      const duration = millis(node, "durationMs") ?? 0
      const due = (_: unknown, now: number, state: RunState): number => {
        if (until === undefined) return now + duration
        const at = Number(given(until)(undefined, state))
        if (!Number.isFinite(at)) throw new TypeError(`"until" gave no time`)
        return at
      }
      return { kind: "timer", due }
    }
    default: {
      const { name, correlation } = props as Props
      if (typeof name !== "string" || name === "") refuse(node, `it has no "name" of a signal`)
      return { kind: "signal", name: name as string, correlation: correlation === undefined ? undefined : given(correlation) }
    }
  }
}
