/**
 * The result of a run: the one type for every way a run stops. The driver and the engine make it; callers, the supervisor,
 * parent runs and the command line pass it on.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Json } from "./Codec.ts"
import * as DeclaredError from "./DeclaredError.ts"
import { asCause, cutMessage, ErrorInfo } from "./ErrorInfo.ts"
import { failureMessage, RunCancelled, type RunFailure, type StepFailed, type Uncompensated } from "./Errors.ts"
import type { NodeId } from "./Ids.ts"
import { isShareable } from "./internal/sharedValue.ts"
import type { Queue } from "./Limits.ts"
import type * as Records from "./Records.ts"
import type { PendingKind, StrayRead } from "./RunEvent.ts"
import * as RunState from "./RunState.ts"
import type { WaitingStatus } from "./Status.ts"
import { defined } from "./Struct.ts"
import * as Thrown from "./Thrown.ts"

interface Ended {
  readonly runId: string
  /** Steps that its sagas, and those of its child runs, could not undo; absent if there are none. */
  readonly uncompensated?: ReadonlyArray<Uncompensated>
  /** Reads of outputs that found no node; absent if there are none. */
  readonly strayReads?: ReadonlyArray<StrayRead>
}

/** The result of a run that has finished. */
export interface Finished<out A> extends Ended {
  readonly status: "finished"
  readonly output: A
  /** Loops that made all their `maxIterations` passes without their `until` holding; absent if there are none. */
  readonly exhausted?: ReadonlyArray<Records.Exhausted>
}

/** The result of a run that has failed. It can be resumed. */
export interface Failed<out E = never> extends Ended {
  readonly status: "failed"
  /** The declared error of the step, decoded; otherwise the failure of the run. */
  readonly error: RunFailure | E
  /** With a declared error: the failure of its step, which names the place. */
  readonly failure?: StepFailed
}

/** The result of a run that was cancelled. */
export interface Cancelled extends Ended {
  readonly status: "cancelled"
  readonly reason?: string
}

/** The end of a run that goes on as another one, for the engine. */
export interface Continued {
  readonly status: "continued"
  readonly runId: string
  readonly successor: string
}

/** The result of a run that has ended. */
export type EndedResult<A, E = never> = Finished<A> | Failed<E> | Cancelled

/** An open wait, the next attempt of a failed step, or a place in the queue of a limit. */
export interface Waiting {
  readonly nodeId: NodeId
  readonly iteration: number
  /** `slot`: a step, or a call of its agent, waits for a slot of a limit. */
  readonly kind: PendingKind | "slot"
  /** Epoch ms at which its timer fires, it times out, or its next attempt is due. */
  readonly deadline: number | undefined
  /** Of a subflow: the id of its child run. */
  readonly childRunId?: string
  /** Of a place in a queue: the limit, and its key if it has one. */
  readonly limit?: Queue
}

/**
 * The result of a run that waits for something outside: a person (approval or task), a signal, or a time. `status` names the
 * most urgent wait, `waits` lists all. The run is suspended and continues when it is resumed.
 */
export interface Waits {
  readonly status: WaitingStatus
  readonly runId: string
  readonly waits: ReadonlyArray<Waiting>
}

/** The result of a paused run. It continues when it is unpaused and resumed. */
export interface Paused {
  readonly status: "paused"
  readonly runId: string
}

/** The result of a run that is paused or waits. */
export type RestingResult = Paused | Waits

/** The result of a run that has stopped: it has ended, is paused, or waits. */
export type RunResult<A, E = never> = EndedResult<A, E> | RestingResult

/** The fields that all results of ended runs share. */
const endedBy = (state: RunState.RunState): Ended => {
  const uncompensated = RunState.uncompensated(state)
  return {
    runId: state.runId,
    ...(uncompensated.length === 0 ? {} : { uncompensated }),
    ...(state.strayReads === undefined || state.strayReads.length === 0 ? {} : { strayReads: state.strayReads }),
  }
}

/**
 * The result of a run that finishes in this state. `output` is called once per read if its value is mutable, so that callers do
 * not share it.
 */
export const finished = <A>(state: RunState.RunState, output: () => A): Finished<A> => {
  const exhausted = RunState.exhausted(state)
  const said = { status: "finished", ...endedBy(state), ...(exhausted.length === 0 ? {} : { exhausted }) } as const
  const value = output()
  if (isShareable(value)) return { ...said, output: value }
  return {
    ...said,
    get output() {
      return output()
    },
  }
}

/** The result of a run that fails in this state. */
export const failed = (state: RunState.RunState, error: RunFailure): Failed => ({ status: "failed", ...endedBy(state), error })

/** The result of a run that ends as cancelled in this state. */
export const cancelled = (state: RunState.RunState): Cancelled => {
  const reason = state.cancel?.reason
  return { status: "cancelled", ...endedBy(state), ...defined({ reason }) }
}

/** The end of a run that goes on as another one. */
export const continued = ({ runId }: RunState.RunState, successor: string): Continued => ({ status: "continued", runId, successor })

/** The result of a run that is paused or has these waits. */
export const resting = (runId: string, waits: ReadonlyArray<Waiting>, isPaused: boolean): RestingResult =>
  isPaused ? { status: "paused", runId } : { status: waitingStatus(waits), runId, waits }

/** The result of a stored run, with its output encoded; `undefined` if the run has not ended. */
export const ofState = (state: RunState.RunState): EndedResult<Json | undefined> | undefined => {
  switch (state.status) {
    case "finished":
      return finished(state, () => state.output)
    case "failed":
      return state.failure && failed(state, state.failure)
    case "cancelled":
      return cancelled(state)
    default:
      return undefined
  }
}

/**
 * The status of a waiting run, from the kinds of its open waits and those of its child runs. People come first, since they must
 * be notified; timers, retries and limits need no one. A child run counts as its own waits.
 */
export const waitingStatus = (waits: ReadonlyArray<{ readonly kind: string }>): WaitingStatus => {
  const kinds = new Set(waits.map(({ kind }) => kind))
  if (kinds.size > 1) kinds.delete("subflow")
  if (kinds.has("approval") || kinds.has("human")) return "waiting-approval"
  const isOfTime = kinds.size > 0 && [...kinds].every((kind) => ["timer", "retry", "quota", "slot"].includes(kind))
  return !isOfTime ? "waiting-event" : kinds.has("quota") || kinds.has("slot") ? "waiting-quota" : "waiting-timer"
}

/** The output of an ended run, or its error. */
export const toEither = <A, E = never>(result: EndedResult<A, E>): Either.Either<A, RunFailure | RunCancelled | E> => {
  switch (result.status) {
    case "finished":
      return Either.right(result.output)
    case "failed":
      return Either.left(result.error)
    case "cancelled": {
      const { runId, reason, uncompensated } = result
      const said = defined({ reason, uncompensated })
      return Either.left(new RunCancelled({ runId, ...said }))
    }
  }
}

/** The result of a child run as its parent receives it; `uncompensated` has the ids of the runs. */
export type ChildEnd = Records.ChildEnd & Pick<Ended, "uncompensated">

/**
 * Converts a stored result to the one that the parent receives. A finished run reports no `uncompensated`: it dealt with them
 * itself.
 */
export const toChildEnd = (result: EndedResult<Json | undefined>): ChildEnd => {
  const { status, runId, uncompensated } = result
  const left = uncompensated === undefined ? {} : { uncompensated: uncompensated.map((one) => ({ runId, ...one })) }
  switch (status) {
    case "finished":
      return { status, ...defined({ output: result.output }) }
    case "failed":
      return { status, error: infoOf(result.error), ...left }
    case "cancelled":
      return { status, ...left }
  }
}

const isInfo = Schema.is(ErrorInfo)

/** Converts a failure of a run to the error that its parent stores, with the error of the failed step as its cause. */
const infoOf = (failure: RunFailure): ErrorInfo => {
  const { _tag: name, error, cause } = failure as typeof failure & { readonly error?: unknown; readonly cause?: unknown }
  const inner = error ?? Thrown.get(cause, "error")
  const from = isInfo(inner) ? { cause: asCause(inner, { stacks: true }) } : {}
  const isDenied = isInfo(inner) && (inner.notRetried === "denied" || inner.notRetried === "childDenied")
  const stands = isDenied ? ({ notRetried: "childDenied" } as const) : {}
  const own = failure._tag === "StepFailed" ? failure : undefined
  const told = own?.error.declared === undefined ? {} : { declared: DeclaredError.ofChild(own.nodeId, own.error.declared) }
  return { name, message: cutMessage(failureMessage(failure)), retryable: false, ...stands, ...from, ...told }
}
