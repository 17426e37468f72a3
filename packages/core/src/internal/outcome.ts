/**
 * The end of a run: its last event, and the result for its callers.
 */
import {
  CompensationFailed,
  CrashLoop,
  EndlessPass,
  LoopLimitReached,
  type RunFailure,
  RunTimedOut,
  StepFailed,
  StepTimedOut,
  type StoreRefused,
  UnsettledRead,
} from "../Errors.ts"
import { generationId } from "../Ids.ts"
import type * as Plan from "../Plan.ts"
import type { Continuation, RunEvent } from "../RunEvent.ts"
import * as RunResult from "../RunResult.ts"
import * as RunState from "../RunState.ts"
import type * as Scheduler from "../Scheduler.ts"
import { defined } from "../Struct.ts"
import type { Attempts } from "./attempts.ts"
import * as Outbox from "./outbox.ts"
import * as Refusal from "./refusal.ts"

/** The facts that decide the end of a run. */
export interface Standing {
  /** The outcome of the schedule. */
  readonly outcome: Scheduler.Outcome | undefined
  readonly state: RunState.RunState
  readonly plan: Plan.Plan
  readonly schedule: Pick<Scheduler.Schedule, "stored" | "source" | "value">
  readonly attempts: Pick<Attempts, "size">
  /** Set if the output of the run cannot be stored. */
  readonly refused: StoreRefused | undefined
}

/** The end of a run. */
export interface Ending {
  readonly event: Extract<RunEvent, { readonly _tag: "RunFinished" | "RunFailed" | "RunCancelled" | "RunContinued" }>
  /** Returns the result by the state after the event. */
  readonly result: (ended: RunState.RunState) => RunResult.EndedResult<unknown> | RunResult.Continued
}

/**
 * The end of the run, if it ends now. An output counts even if a cancellation came in with it; otherwise the cancellation
 * counts.
 */
export const of = ({ outcome, state, plan, schedule, attempts, refused }: Standing): Ending | undefined => {
  const { runId } = state
  if (outcome?.status === "finished" && refused !== undefined) {
    const failure = new StepFailed({ runId, nodeId: plan.workflow, iteration: 0, attempts: 0, error: Refusal.errorOf(refused) })
    return failedWith(failure)
  }
  if (outcome?.status === "finished") {
    const event = { _tag: "RunFinished", ...defined({ output: schedule.stored(0), from: schedule.source(0) }) } as const
    return { event, result: (ended) => RunResult.finished(ended, () => schedule.value(0)) }
  }
  if (state.cancel !== undefined) {
    // Without boundaries there is nothing to do on the way out, even if the plan does not settle.
    const isOver = outcome !== undefined || plan.boundaries.length === 0
    if (!isOver || attempts.size() > 0 || Outbox.isAwaitingChildren(state)) return undefined
    const { deadline, continuation } = state.cancel
    if (continuation !== undefined) return continuing(continuation, state)
    if (deadline !== undefined) return failedWith(beside(new RunTimedOut({ runId, deadline }), state))
    const { reason, uncompensated } = RunResult.cancelled(state)
    const event = { _tag: "RunCancelled", ...defined({ reason, uncompensated }) } as const
    return { event, result: RunResult.cancelled }
  }
  if (outcome === undefined || outcome.status === "cancelled") return undefined
  return failedWith(beside(failureOf(outcome, plan, state), state))
}

/** The end of a run that goes on as another one, unless something has failed on the way out. */
const continuing = ({ nodeId, iteration, failures }: Continuation, state: RunState.RunState): Ending => {
  const { runId } = state
  const failed = state.failureCount > failures ? RunState.lastFailure(state) : undefined
  const place = failed === undefined ? { nodeId, iteration } : { nodeId: failed.nodeId, iteration: failed.iteration }
  const error = failed?.error ?? {
    name: "NotContinued",
    message: "steps could not be compensated on the way out",
    retryable: false,
  }
  if (failed !== undefined || RunState.uncompensated(state).length > 0)
    return failedWith(beside(new StepFailed({ runId, ...place, attempts: failed?.attempt ?? 0, error }), state))
  const { first, generation } = state.chain ?? { first: runId, generation: 0 }
  const successor = generationId(first, generation + 1)
  return { event: { _tag: "RunContinued", successor }, result: (ended) => RunResult.continued(ended, successor) }
}

/** The end of a run that fails. */
const failedWith = (failure: RunFailure): Ending => ({
  event: { _tag: "RunFailed", failure },
  result: (ended) => RunResult.failed(ended, failure),
})

/** Adds the steps that could not be compensated to a failure. */
const beside = (failure: Exclude<RunFailure, CompensationFailed>, state: RunState.RunState): RunFailure => {
  const failed = RunState.uncompensated(state)
  return failed.length === 0 ? failure : new CompensationFailed({ runId: state.runId, cause: failure, failed })
}

const failureOf = (
  failed: Scheduler.Failed,
  plan: Plan.Plan,
  state: RunState.RunState,
): Exclude<RunFailure, CompensationFailed> => {
  const node = { runId: state.runId, nodeId: failed.nodeId, iteration: failed.iteration }
  if (failed.reason._tag === "Unsettled") return new UnsettledRead({ ...node, problem: unsettled(failed.reason.read, plan, state) })
  if (failed.reason._tag === "LoopLimit") {
    const { _tag: _, ...limit } = failed.reason
    return new LoopLimitReached({ ...node, ...limit })
  }
  if (failed.reason._tag === "EndlessPass") return new EndlessPass({ ...node, nodeIds: failed.reason.nodeIds })
  const { error } = failed.reason
  const record = RunState.step(state, failed.nodeId, failed.iteration)
  const attempts = record?.attempt ?? 0
  if (error.kind === "crashLoop") return new CrashLoop({ ...node, interruptions: record?.interruptions ?? 0 })
  if (error.kind === undefined) return new StepFailed({ ...node, attempts, error })
  const step = plan.find(failed.nodeId)
  const limits = step?._tag === "Step" ? { timeout: step.timeoutMs, heartbeatTimeout: step.heartbeatTimeoutMs } : undefined
  const why = defined({ notRetried: error.notRetried })
  return new StepTimedOut({ ...node, attempts, limit: error.kind, timeoutMs: error.limitMs ?? limits?.[error.kind] ?? 0, ...why })
}

/** The reason an output that was read will never exist. */
const unsettled = ({ nodeId, table }: Partial<Plan.PendingRead>, plan: Plan.Plan, state: RunState.RunState): string => {
  if (nodeId === undefined) return `no node has written the table "${table}"`
  const position = plan.positions.get(nodeId)
  if (position === undefined) return "no node with this id is mounted"
  const record = RunState.records(state).findLast((record) => record.nodeId === nodeId)
  if (record?.kind === "step" && (record.status === "skipped" || record.status === "failed"))
    return `it ${record.status === "skipped" ? "was skipped" : "failed"}`
  return "it has not run"
}
