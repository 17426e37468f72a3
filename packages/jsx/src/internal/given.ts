/**
 * Props that are values or functions of ctx, as the plan has them: it calls functions when it wants what they give.
 */
import type { NodeId } from "@smithers/core/Ids"
import type { NoteRead } from "@smithers/core/Plan"
import type { RunState } from "@smithers/core/RunState"
import { isPending } from "../Pending.ts"
import type { Lowering } from "./lowering.ts"

/** A function of ctx as one that the plan calls; any other value as it is, and one that is pending as one that is given. */
export const given = (value: unknown, loop: NodeId | undefined, lowering: Lowering): unknown => {
  if (isPending(value)) return () => value
  if (typeof value !== "function") return value
  return (_: unknown, state: RunState, noteRead: NoteRead): unknown =>
    lowering.calling(() => value(lowering.ctxAt(state, loop, noteRead)), state, noteRead)
}

/** What people are shown. A title may be pending: then the request is looked at when it is wanted. */
export const requestOf = (request: unknown, give: (value: unknown) => unknown): unknown => {
  const isLater = typeof request === "object" && request !== null && "title" in request && isPending(request.title)
  return isLater ? () => request : give(request)
}
