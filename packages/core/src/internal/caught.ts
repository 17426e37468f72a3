/**
 * Failures as authors are told of them, in the filter of a `catch` and in the `catch`: made of what is stored, and so the same before and after a restart.
 */
import * as Declared from "../Declared.ts"
import { asCause, type ErrorCause } from "../ErrorInfo.ts"
import type { NodeId } from "../Ids.ts"
import type { FailureCause } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import { defined } from "../Struct.ts"
import { giveJson } from "./kept.ts"

/** A failure as a `catch` is told of it: what failed, and of what, with the causes of its error and without stacks. */
export interface Caught<out E = unknown> extends Omit<ErrorCause, "stack"> {
  readonly nodeId: NodeId
  readonly iteration: number
  /** Issues of an output, one line each. */
  readonly issues?: ReadonlyArray<string>
  /** The error that the step, or its child run, declares, decoded; absent where it is not declared. */
  readonly declared?: E
  /** Steps that sagas could not undo on the way. */
  readonly uncompensated?: ReadonlyArray<{ readonly nodeId: NodeId; readonly iteration: number; readonly message: string }>
}

/** A failure as the filter of a `catch` is asked of it: what is stored of it, and so the same before and after a restart. */
export type Failure<E = unknown> = Omit<Caught<E>, "uncompensated">

/** Finds the codec of the errors that a node declares. */
type ErrorOf = (nodeId: NodeId) => Declared.ErrorCodec | undefined

/** A cause as a filter is asked of it. */
export const failureOf = (cause: FailureCause, errorOf: ErrorOf): Failure => withDeclared(giveJson(describe(cause)), cause, errorOf)

/** A failure with the error that its node declares. */
const withDeclared = <A extends Caught>(told: A, { nodeId, reason }: FailureCause, errorOf: ErrorOf | undefined): A => {
  if (reason._tag !== "Error" || reason.error.declared === undefined) return told
  const declared = Declared.find(errorOf?.(nodeId), reason.error)
  return declared === undefined ? told : Object.freeze({ ...told, declared })
}

/** A cause as a `catch` is told of it. */
export const caughtOf = (cause: FailureCause, state: RunState.RunState, errorOf?: ErrorOf): Caught => {
  const left = RunState.uncompensated(state).map(({ nodeId, iteration, error }) => ({ nodeId, iteration, message: error.message }))
  return withDeclared(giveJson({ ...describe(cause), ...(left.length === 0 ? {} : { uncompensated: left }) }), cause, errorOf)
}

const plural = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`

const describe = ({ nodeId, iteration, reason }: FailureCause): Caught => {
  switch (reason._tag) {
    case "Error": {
      const { issues } = reason.error
      return { nodeId, iteration, ...asCause(reason.error, { stacks: false }), ...defined({ issues }) }
    }
    case "LoopLimit":
      return {
        nodeId,
        iteration,
        name: "LoopLimitReached",
        message: `its ${plural(reason.maxIterations, "pass was", "passes were")} not enough`,
      }
    case "EndlessPass":
      return {
        nodeId,
        iteration,
        name: "EndlessPass",
        message: `a pass mounted new tasks more than 100 times (${reason.nodeIds.join(", ")})`,
      }
    case "Unsettled":
      return { nodeId, iteration, name: "UnsettledRead", message: "it is read, and will not come" }
  }
}
