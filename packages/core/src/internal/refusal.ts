/**
 * Finds the part of a frame that a store refuses. Its node fails, and the rest of the frame is committed.
 */
import type { ErrorInfo, StoreRefused } from "../Errors.ts"
import type { NodeId } from "../Ids.ts"
import type * as Plan from "../Plan.ts"
import type { RunEvent } from "../RunEvent.ts"

/** The refused part of a frame, with the first events of the next try. */
export type Culprit =
  | {
      readonly _tag: "Node"
      readonly nodeId: NodeId
      readonly iteration: number
      readonly events: ReadonlyArray<RunEvent>
    }
  | { readonly _tag: "Output"; readonly events: ReadonlyArray<RunEvent> }

/** The error of a node whose content cannot be stored; another attempt would give the same content. */
export const errorOf = (refused: StoreRefused): ErrorInfo => ({
  name: refused._tag,
  message: refused.message,
  retryable: false,
  notRetried: "unstorable",
})

/**
 * Finds the culprit in a frame of `events`, of which the first are `received` and the rest follow by the plan. `undefined` if no
 * node is at fault, or leaving its content out has not helped.
 */
export const culprit = (
  received: ReadonlyArray<RunEvent>,
  events: ReadonlyArray<RunEvent>,
  refused: StoreRefused,
  plan: Plan.Plan,
): Culprit | undefined => {
  const event = refused.event === undefined ? undefined : events[refused.event]
  if (refused.event === undefined || event === undefined) return undefined
  if (event._tag === "RunFinished") return { _tag: "Output", events: received }
  if (!("nodeId" in event)) return undefined
  const { nodeId, iteration } = event
  if (refused.event < received.length) {
    const instead = withoutContent(event, refused, plan)
    return instead && { _tag: "Node", nodeId, iteration, events: received.with(refused.event, instead) }
  }
  const isFailed = received.some((other) => other._tag === "NodeFailed" && other.nodeId === nodeId && other.iteration === iteration)
  if (isFailed || (event._tag !== "WaitStarted" && event._tag !== "WaitEnded")) return undefined
  const failed: RunEvent = { _tag: "NodeFailed", nodeId, iteration, error: errorOf(refused), ...softly(plan, nodeId) }
  return { _tag: "Node", nodeId, iteration, events: [...received, failed] }
}

const softly = (plan: Plan.Plan, nodeId: NodeId): { readonly isSoft?: boolean } => {
  const node = plan.find(nodeId)
  return node?._tag === "Step" && node.continueOnFail ? { isSoft: true } : {}
}

/** Replaces the author's content in an event by the refusal; `undefined` if it has none. */
const withoutContent = (event: RunEvent, refused: StoreRefused, plan: Plan.Plan): RunEvent | undefined => {
  switch (event._tag) {
    case "AttemptSucceeded": {
      const { nodeId, iteration, attempt } = event
      return { _tag: "AttemptFailed", nodeId, iteration, attempt, error: errorOf(refused), ...softly(plan, nodeId) }
    }
    case "AttemptFailed": {
      const { heartbeat, turns, reads: _, ...rest } = event
      const error = errorOf(refused)
      const isBare = heartbeat === undefined && turns === undefined && event.error.message === error.message
      return isBare ? undefined : { ...rest, error: { ...error, retryable: event.error.retryable } }
    }
    case "AttemptInterrupted": {
      const { heartbeat, turns, ...rest } = event
      return heartbeat === undefined && turns === undefined ? undefined : rest
    }
    default:
      return undefined
  }
}
