/**
 * The result of a run: the one type for how a run has stopped. The driver and the engine make it, and everybody else hands it on: callers, the
 * supervisor, parent runs, the command line.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Json } from "./Codec.ts"
import * as Declared from "./Declared.ts"
import { asCause, cutMessage, ErrorInfo } from "./ErrorInfo.ts"
import { happened, RunCancelled, type RunFailure, type StepFailed, type Uncompensated } from "./Errors.ts"
import type { NodeId } from "./Ids.ts"
import { isShareable } from "./internal/kept.ts"
import * as Raised from "./Raised.ts"
import type * as Records from "./Records.ts"
import type { RestKind, StrayRead } from "./RunEvent.ts"
import * as RunState from "./RunState.ts"
import type { WaitingStatus } from "./Status.ts"
import { defined } from "./Struct.ts"

interface Ended {
  readonly runId: string
  /** What its sagas, and those of its child runs, could not undo; absent where that is nothing. */
  readonly uncompensated?: ReadonlyArray<Uncompensated>
  /** Reads of outputs by which nothing was found, as no task was the one that was meant; absent where there are none. */
  readonly strayReads?: ReadonlyArray<StrayRead>
}

/** The result of a run that has finished. */
export interface Finished<out A> extends Ended {
  readonly status: "finished"
  readonly output: A
  /** Loops that made all their `maxIterations` passes without their `until` holding; absent where there are none. */
  readonly exhausted?: ReadonlyArray<Records.Exhausted>
}

/** The result of a run that has failed. It can be continued. */
export interface Failed<out E = never> extends Ended {
  readonly status: "failed"
  /** The error that the step declares, decoded, or the failure of the run. */
  readonly error: RunFailure | E
  /** Of a declared error: the failure of its step, which says where it was raised. */
  readonly failure?: StepFailed
}

/** The result of a run that was cancelled. */
export interface Cancelled extends Ended {
  readonly status: "cancelled"
  readonly reason?: string
}

/** The result of a run that has ended. */
export type EndedResult<A, E = never> = Finished<A> | Failed<E> | Cancelled

/** An open wait or, of a step that failed, its next attempt. */
export interface Waiting {
  readonly nodeId: NodeId
  readonly iteration: number
  readonly kind: RestKind
  /** Epoch ms when its timer fires, its time is over, or its next attempt is due. */
  readonly deadline: number | undefined
  /** Of a subflow: the run that it waits for. */
  readonly childRunId?: string
}

/**
 * The result of a run that can go on only when something comes from outside: a person (an approval or a task), a signal, or the time of a
 * timer. The status names what it waits for first, `waits` all of it. Such a run is suspended; it goes on when it is resumed.
 */
export interface Waits {
  readonly status: WaitingStatus
  readonly runId: string
  readonly waits: ReadonlyArray<Waiting>
}

/** The result of a run that someone has paused. It goes on when it is unpaused and resumed. */
export interface Paused {
  readonly status: "paused"
  readonly runId: string
}

/** The result of a run in which nothing goes on before something comes from outside. */
export type RestingResult = Paused | Waits

/** How a run has stopped: it has ended, is paused, or waits. */
export type RunResult<A, E = never> = EndedResult<A, E> | RestingResult

/** What all results have that a run ends with, from its state. */
const endedBy = (state: RunState.RunState): Ended => {
  const uncompensated = RunState.uncompensated(state)
  return {
    runId: state.runId,
    ...(uncompensated.length === 0 ? {} : { uncompensated }),
    ...(state.strayReads === undefined || state.strayReads.length === 0 ? {} : { strayReads: state.strayReads }),
  }
}

/** The result of a run that finishes in this state. `output` is called for each caller where one could change it for the others. */
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

/** The result of a run that rests: paused, or with these waits. */
export const resting = (runId: string, waits: ReadonlyArray<Waiting>, isPaused: boolean): RestingResult =>
  isPaused ? { status: "paused", runId } : { status: waitingStatus(waits), runId, waits }

/** The result of a run as it is stored, with its output in stored form; `undefined` where the run has not ended. */
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
 * The status of a run that waits, by the kinds of its open waits and of those of its child runs. People come first, since someone has to be
 * told; a timer and a retry need nobody. A child run stands for what it waits for itself.
 */
export const waitingStatus = (waits: ReadonlyArray<{ readonly kind: string }>): WaitingStatus => {
  const kinds = new Set(waits.map(({ kind }) => kind))
  if (kinds.size > 1) kinds.delete("subflow")
  if (kinds.has("approval") || kinds.has("human")) return "waiting-approval"
  return kinds.size > 0 && [...kinds].every((kind) => kind === "timer" || kind === "retry") ? "waiting-timer" : "waiting-event"
}

/** The output of a run that has ended, or what it ended with instead. */
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

/** The end of a child run as its parent hears of it; `uncompensated` has the ids of the runs that could not undo it. */
export type ChildEnd = Records.ChildEnd & Pick<Ended, "uncompensated">

/** The stored result of a run as its parent hears of it. What a run could not undo that has finished was met with in that run. */
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

/** A failure of a run, as its parent keeps it: with the error of the step that it failed by as its cause. */
const infoOf = (failure: RunFailure): ErrorInfo => {
  const { _tag: name, error, cause } = failure as typeof failure & { readonly error?: unknown; readonly cause?: unknown }
  const inner = error ?? Raised.get(cause, "error")
  const from = isInfo(inner) ? { cause: asCause(inner, { stacks: true }) } : {}
  const isDenied = isInfo(inner) && (inner.notRetried === "denied" || inner.notRetried === "childDenied")
  const stands = isDenied ? ({ notRetried: "childDenied" } as const) : {}
  const own = failure._tag === "StepFailed" ? failure : undefined
  const told = own?.error.declared === undefined ? {} : { declared: Declared.ofChild(own.nodeId, own.error.declared) }
  return { name, message: cutMessage(happened(failure)), retryable: false, ...stands, ...from, ...told }
}
