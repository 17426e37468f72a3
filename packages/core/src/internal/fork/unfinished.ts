/**
 * The events of a fork for what was in flight or open at the cut: attempts are interrupted and due again, requests are made anew, child
 * runs begin again or are adopted, and times are moved.
 */
import * as Effect from "effect/Effect"
import type { StoreError } from "../../Errors.ts"
import type { NodeId } from "../../Ids.ts"
import type * as Millis from "../../Millis.ts"
import * as Pauses from "../../Pauses.ts"
import type * as Plan from "../../Plan.ts"
import type * as Records from "../../Records.ts"
import type { RunEvent } from "../../RunEvent.ts"
import type { RunReaderShape } from "../../RunReader.ts"
import * as RunState from "../../RunState.ts"
import * as Status from "../../Status.ts"
import * as Recovery from "../recovery.ts"
import type { Draft } from "./draft.ts"

/** Rules for what is open at the cut. */
export interface Rules {
  readonly reader: RunReaderShape
  /** `true` to take over the results of child runs that have ended since. */
  readonly isAdopting: boolean
  /** A time of the original as a time of the fork: as far away as it was at the given moment, by default at the cut. */
  readonly later: (time: Millis.Millis, since?: number) => Millis.Millis
  /** Begin of the pause that the cut is in; otherwise the cut. */
  readonly pausedAt: number
}

/** Appends the events for what was unfinished in a state. */
export const append = (draft: Draft, cut: RunState.RunState, { reader, isAdopting, later, pausedAt }: Rules) =>
  Effect.gen(function* () {
    const plan = yield* draft.plan
    for (const record of unfinishedOf(cut)) {
      const { nodeId, iteration, attempt, status, wait } = record
      const reset = { _tag: "NodeReset", nodeId, iteration } as const
      if (status === "running") draft.append({ _tag: "AttemptInterrupted", nodeId, iteration, attempt, reason: "reset" })
      if (status === "running" || status === "retrying" || status === "interrupted") draft.append(reset)
      else if (status === "withdrawn" && wait?.isKept === true) draft.append(reset)
      else if (status === "waiting" && wait !== undefined) {
        const isTimed = (wait.kind === "timer" || wait.kind === "signal") && wait.isOfAttempt !== true
        if (wait.kind === "subflow" && wait.child === undefined) {
          const ended = isAdopting ? yield* adopted(reader, record) : undefined
          draft.append(ended ?? { ...reset, hasNewChild: true })
        } else if (!isTimed) draft.append(reset)
        else if (wait.deadline !== undefined && !isOfDay(plan, nodeId)) {
          const deadline = later(wait.deadline, wait.kind === "timer" && wait.name !== Pauses.timeout ? undefined : pausedAt)
          draft.append({ _tag: "DeadlineMoved", nodeId, iteration, deadline })
        }
      }
    }
    if (cut.status === "failed" || cut.status === "cancelled") {
      const records = RunState.records(draft.state())
      for (const event of Recovery.recover(plan, draft.state(), records, true, "shutdown", [], () => false)) draft.append(event)
    }
  })

const unfinishedOf = (state: RunState.RunState): ReadonlyArray<Records.StepRecord> =>
  RunState.records(state).filter((record) => record.kind === "step")

/** Tells whether a timer is for a time of day, and not for a span. */
const isOfDay = (plan: Plan.Plan, nodeId: NodeId): boolean => {
  const node = plan.find(nodeId)
  return (
    node?._tag === "Wait" && node.target.kind === "timer" && typeof node.target.due === "function" && node.target.isSpan !== true
  )
}

/** The result of a child run that has ended since, as the event of its parent. */
const adopted = (reader: RunReaderShape, record: Records.StepRecord): Effect.Effect<RunEvent | undefined, StoreError> => {
  const childRunId = record.wait?.name
  if (childRunId === undefined) return Effect.succeed(undefined)
  return Effect.map(
    Effect.orElseSucceed(Effect.flatMap(reader.newest(childRunId), reader.inspect), () => undefined),
    (child): RunEvent | undefined => {
      const status = child?.run.status
      if (child === undefined || status === undefined || !Status.isOutcome(status)) return undefined
      const { nodeId, iteration } = record
      const output = child.output === undefined ? {} : { output: child.output }
      const error =
        child.failure === null ? {} : { error: { name: child.failure._tag, message: child.failure.message, retryable: false } }
      return { _tag: "SubflowEnded", nodeId, iteration, status, ...(status === "finished" ? output : error) }
    },
  )
}
