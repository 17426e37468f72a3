/**
 * Conditions: values, or functions of ctx, that hold or do not.
 */
import { alwaysTrue, saysNo } from "@smithers/core/Condition"
import type { NodeId } from "@smithers/core/Ids"
import type * as Plan from "@smithers/core/Plan"
import type { NoteRead, PendingRead } from "@smithers/core/Plan"
import type { RunState } from "@smithers/core/RunState"
import type { HostNode } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import type { Lowering } from "./lowering.ts"
import { refuse } from "./place.ts"
import type { Read } from "./reading.ts"

/** Whether what is read begins only when the node that reads is over. */
export type ComesAfter = (read: Pick<PendingRead, "nodeId" | "table">) => boolean

/**
 * A value or a function of the ctx, asked as a condition. It does not hold where it is pending or was made of anything that is. Throws
 * `Misplaced` for a value that would count as true whatever comes of it; what a function gives is judged by the scheduler. The function
 * throws where it reads what cannot be there when it is asked.
 */
export const condition = (
  node: HostNode,
  name: string,
  given: unknown,
  loop: NodeId | undefined,
  lowering: Lowering,
  comesAfter: ComesAfter,
  /** What a function gets before the ctx. */
  before: (context: Plan.PredicateContext) => ReadonlyArray<unknown> = nothing,
) => {
  if (typeof given !== "function") checkCondition(node, name, given)
  return (context: Plan.PredicateContext, state: RunState, noteRead: NoteRead): boolean => {
    if (typeof given !== "function" || isPending(given)) return !isPending(given) && Boolean(given)
    let isUnsaid = false
    const onPending = (read: Read): void => {
      isUnsaid = true
      if (comesAfter(read)) refuse(node, readsLater(`"${name}"`, read))
    }
    const ctx = lowering.ctxAt(state, loop, noteRead, onPending)
    const value: unknown = lowering.calling(() => given(...before(context), ctx), state, noteRead, onPending)
    return !isUnsaid && !isPending(value) && (value as boolean)
  }
}

const nothing = (): ReadonlyArray<unknown> => []

/** Said of what reads an output that cannot be there when it is wanted. */
export const readsLater = (what: string, { nodeId, table }: Pick<PendingRead, "nodeId" | "table">): string => {
  const named = nodeId === undefined ? `the output "${table}"` : `the output of "${nodeId}"`
  return `${what} is made of ${named}, which comes after it or is its own: put it after what it reads, or read the last pass with ctx.latest, or what may be absent with ctx.outputMaybe`
}

/** Refuses a value as a condition that is always true. What is pending is a function too. */
export const checkCondition = (node: HostNode, name: string, given: unknown): void => {
  const value = isPending(given) ? undefined : alwaysTrue(given)
  if (value !== undefined)
    refuse(
      node,
      `"${name}" is ${value}, which always counts as true: ${saysNo(given) ? `write ${name}={false}, or compare the text` : "have a task find it out, and read its output"}`,
    )
}

/** The condition by which a task or a wait is left out, where it has one. */
export const skipped = (
  node: HostNode,
  loop: NodeId | undefined,
  lowering: Lowering,
  comesAfter: ComesAfter,
): Plan.Step["skipIf"] => {
  const { skipIf } = node.props
  if (skipIf === undefined || skipIf === null || skipIf === false) return undefined
  return condition(node, "skipIf", skipIf, loop, lowering, comesAfter)
}
