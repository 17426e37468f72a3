/**
 * Converts props that are values or functions of ctx to the form of the plan, which calls functions when it needs their results.
 */
import type { NodeId } from "@smithers/core/Ids"
import type { NoteRead } from "@smithers/core/Plan"
import type { RunState } from "@smithers/core/RunState"
import { isPending } from "../Pending.ts"
import type { Lowering } from "./lowering.ts"

/** Wraps a function of ctx for the plan. Other values stay as they are; a pending one becomes a function. */
export const functionOf = (value: unknown, loop: NodeId | undefined, lowering: Lowering): unknown => {
  if (isPending(value)) return () => value
  if (typeof value !== "function") return value
  return (_: unknown, state: RunState, noteRead: NoteRead): unknown =>
    lowering.calling(() => value(lowering.ctxAt(state, loop, noteRead)), state, noteRead)
}

/** Returns the content of a request. With a pending title, it is evaluated when needed. */
export const requestOf = (request: unknown, give: (value: unknown) => unknown): unknown => {
  const isLater = typeof request === "object" && request !== null && "title" in request && isPending(request.title)
  return isLater ? () => request : give(request)
}
