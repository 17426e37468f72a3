/**
 * Approvals as the plan has them: those that are nodes of their own, and those that a task waits for before it begins.
 */
import * as Codec from "@smithers/core/Codec"
import type { NodeId } from "@smithers/core/Ids"
import type { Awaited, Need, NoteRead, Wait } from "@smithers/core/Plan"
import type { RunState } from "@smithers/core/RunState"
import * as Schema from "effect/Schema"
import type { HostNode } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import type { Lowering } from "./lowering.ts"
import { oneOf, type Props, refuse, span } from "./place.ts"

const nothing = Codec.make(Schema.Void) as Codec.Codec<unknown, unknown>

type Approval = Extract<Awaited, { readonly kind: "approval" }>

/** A prop that is a value, or a function of ctx that gives it when it is wanted. */
export const given =
  (value: unknown, loop: NodeId | undefined, lowering: Lowering) =>
  (_: unknown, state: RunState, noteRead: NoteRead): unknown =>
    typeof value === "function" && !isPending(value)
      ? lowering.calling(() => value(lowering.ctxAt(state, loop, noteRead)), state, noteRead)
      : value

/** Refuses what nobody can be shown. What is pending is a function too. */
export const checkRequest = (node: HostNode, name: string, request: unknown): void => {
  if (typeof request === "function") return
  const { title } = (request ?? {}) as { readonly title?: unknown }
  if (Array.isArray(request) || (typeof title !== "string" && !isPending(title)))
    refuse(node, `"${name}" must be an object with a title, or a function of ctx`)
}

/** Who may decide, where it is said. */
export const approversOf = (node: HostNode, { approvers }: Props): Approval["approvers"] => {
  const isList = Array.isArray(approvers) && approvers.length > 0 && approvers.every((one) => typeof one === "string")
  if (approvers !== undefined && !isList) refuse(node, `"approvers" must name those who may decide, at least one, in an array`)
  return approvers as Approval["approvers"]
}

const options: ReadonlySet<string> = new Set(["request", "onDeny", "approvers", "timeout", "timeoutMs", "onTimeout"])

/** What a task waits for before it begins, if someone has to approve of it. Throws `Misplaced`. */
export const gate = (
  node: HostNode,
  needs: ReadonlyArray<Need>,
  loop: NodeId | undefined,
  lowering: Lowering,
): Wait | undefined => {
  const { id, label, needsApproval } = node.props
  if (needsApproval === undefined || needsApproval === null || needsApproval === false || isPending(needsApproval)) return undefined
  if (needsApproval !== true && (typeof needsApproval !== "object" || Array.isArray(needsApproval) || "then" in needsApproval))
    return refuse(node, `"needsApproval" must be true or an object`)
  const asked = (needsApproval === true ? {} : needsApproval) as Props
  for (const key of Object.keys(asked))
    if (!options.has(key)) refuse(node, `"needsApproval" has no option "${key}"; there are ${[...options].join(", ")}`)
  const { request = { title: typeof label === "string" ? label : id } } = asked
  checkRequest(node, "needsApproval.request", request)
  return {
    _tag: "Wait",
    id: id as string,
    label: undefined,
    meta: undefined,
    needs,
    codec: nothing,
    table: undefined,
    skipIf: undefined,
    on: {
      kind: "approval",
      request: given(request, loop, lowering),
      onDeny: oneOf(node, asked, "onDeny", ["fail", "skip"]),
      approvers: approversOf(node, asked),
    },
    timeoutMs: span(node, "timeout", asked, "needsApproval."),
    onTimeout: oneOf(node, asked, "onTimeout", ["deny", "approve", "fail"]),
  }
}
