/**
 * Failures as passed to the filter and the function of a `catch`. They are made from stored data, so they are the same before
 * and after a restart.
 */
import * as DeclaredError from "../DeclaredError.ts"
import { asCause, type ErrorCause } from "../ErrorInfo.ts"
import type { NodeId } from "../Ids.ts"
import type { FailureCause } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import { defined } from "../Struct.ts"
import { giveJson } from "./sharedValue.ts"

/** A failure as passed to a `catch`: the failed node and its error with its causes, without stacks. */
export interface Caught<out E = unknown> extends Omit<ErrorCause, "stack"> {
  readonly nodeId: NodeId
  readonly iteration: number
  /** Issues of an invalid output, one per line. */
  readonly issues?: ReadonlyArray<string>
  /** The error that the step or its child run declares, decoded; absent if it is not declared. */
  readonly declared?: E
  /** Steps that sagas on the way could not compensate. */
  readonly uncompensated?: ReadonlyArray<{ readonly nodeId: NodeId; readonly iteration: number; readonly message: string }>
}

/** A failure as passed to the filter of a `catch`. */
export type Failure<E = unknown> = Omit<Caught<E>, "uncompensated">

/** Finds the codec of the errors that a node declares. */
type ErrorOf = (nodeId: NodeId) => DeclaredError.ErrorCodec | undefined

/** Converts a cause for a filter. */
export const failureOf = (cause: FailureCause, errorOf: ErrorOf): Failure => withDeclared(giveJson(describe(cause)), cause, errorOf)

/** Adds the declared error of the node, decoded. */
const withDeclared = <A extends Caught>(told: A, { nodeId, reason }: FailureCause, errorOf: ErrorOf | undefined): A => {
  if (reason._tag !== "Error" || reason.error.declared === undefined) return told
  const declared = DeclaredError.find(errorOf?.(nodeId), reason.error)
  return declared === undefined ? told : Object.freeze({ ...told, declared })
}

/** Converts a cause for a `catch`. */
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
      return { nodeId, iteration, name: "UnsettledRead", message: "it is read, and will never have an output" }
  }
}
