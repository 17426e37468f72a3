/**
 * Conditions: values or functions of ctx.
 */
import { alwaysTrue, saysNo } from "@smithers/core/Condition"
import type { NodeId } from "@smithers/core/Ids"
import type * as Plan from "@smithers/core/Plan"
import type { NoteRead, PendingRead } from "@smithers/core/Plan"
import type { RunState } from "@smithers/core/RunState"
import type { HostNode } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import { refuse } from "./elements.ts"
import type { Lowering } from "./lowering.ts"
import type { Read } from "./reads.ts"

/** Returns `true` for a read of a task that starts only after the reading node has ended. */
export type ComesAfter = (read: Pick<PendingRead, "nodeId" | "table">) => boolean

/**
 * Evaluates a value or a function of the ctx as a condition. It does not hold while it is pending or depends on a pending value.
 * Throws `InvalidElement` for a value that is always true; the scheduler checks the result of a function. The function throws if it
 * reads an output that cannot exist when it is called.
 */
export const condition = (
  node: HostNode,
  name: string,
  test: unknown,
  loop: NodeId | undefined,
  lowering: Lowering,
  comesAfter: ComesAfter,
  /** Returns the arguments of the function before the ctx. */
  before: (context: Plan.PredicateContext) => ReadonlyArray<unknown> = noArguments,
) => {
  if (typeof test !== "function") checkCondition(node, name, test)
  return (context: Plan.PredicateContext, state: RunState, noteRead: NoteRead): boolean => {
    if (typeof test !== "function" || isPending(test)) return !isPending(test) && Boolean(test)
    let isUnsaid = false
    const onPending = (read: Read): void => {
      isUnsaid = true
      if (comesAfter(read)) refuse(node, readsLater(`"${name}"`, read))
    }
    const ctx = lowering.ctxAt(state, loop, noteRead, onPending)
    const value: unknown = lowering.calling(() => test(...before(context), ctx), state, noteRead, onPending)
    return !isUnsaid && !isPending(value) && (value as boolean)
  }
}

const noArguments = (): ReadonlyArray<unknown> => []

/** Describes content that reads an output which cannot exist when it is needed. */
export const readsLater = (what: string, { nodeId, table }: Pick<PendingRead, "nodeId" | "table">): string => {
  const named = nodeId === undefined ? `the output "${table}"` : `the output of "${nodeId}"`
  return `${what} reads ${named}, which is its own or comes later. Move it after the task that it reads, or read the last iteration with ctx.latest, or an optional output with ctx.outputMaybe`
}

/** Rejects a condition that is always true. A pending value is a function too, and allowed. */
export const checkCondition = (node: HostNode, name: string, test: unknown): void => {
  const value = isPending(test) ? undefined : alwaysTrue(test)
  if (value !== undefined)
    refuse(
      node,
      `"${name}" is ${value}, which is always true: ${saysNo(test) ? `write ${name}={false}, or compare the text` : "compute it in a task, and read its output"}`,
    )
}

/** Returns the `skipIf` condition of a task or a wait, if it has one. */
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
