/**
 * Translates commands into events.
 */

import { groupOfPart } from "../Ids.ts"
import type { InboxMessage } from "../Inbox.ts"
import type { Millis } from "../Millis.ts"
import * as Pauses from "../Pauses.ts"
import * as Records from "../Records.ts"
import type { RunEvent } from "../RunEvent.ts"
import type { NewRun } from "../RunOwnership.ts"
import * as RunState from "../RunState.ts"
import { defined } from "../Struct.ts"

/** The first event of a run. */
export const started = ({
  workflow,
  version,
  input,
  startAt,
}: Pick<NewRun, "workflow" | "version" | "input" | "startAt">): Extract<RunEvent, { readonly _tag: "RunStarted" }> => ({
  _tag: "RunStarted",
  workflow,
  ...defined({ version, input, startAt }),
})

/**
 * Translates a command into events. Returns none for a stale command: its wait is closed, its request was replaced, or it came
 * after the deadline. Of conflicting decisions the first wins. Retries depend on the plan and are handled elsewhere.
 */
export const of = ({ id, at, command }: InboxMessage, state: RunState.RunState): ReadonlyArray<RunEvent> => {
  const isOf = (wait: Records.Wait, { requestSeq, digest }: { readonly requestSeq?: number; readonly digest?: string }): boolean =>
    (requestSeq === undefined || requestSeq === wait.requestSeq) &&
    (digest === undefined || digest === wait.digest) &&
    (wait.deadline === undefined || !Pauses.isTooLate({ ...wait, deadline: wait.deadline }, at, state.pausedAt, []))
  switch (command._tag) {
    case "Retry":
      return []
    case "Leave": {
      const { nodeId, iteration, outcome, reason, by } = command
      const record = RunState.boundary(state, nodeId, iteration)
      const isUnended = record === undefined || record.status === "running" || record.status === "interrupted"
      if (!isUnended || record?.leaveRequest !== undefined) return []
      // A part has no record where it ends as it is meant: it is over with its race or list.
      const group = groupOfPart(nodeId)
      const around = group === undefined ? undefined : RunState.boundary(state, group, iteration)
      if (record === undefined && around !== undefined && around.status !== "running" && around.status !== "interrupted") return []
      return [{ _tag: "LeaveRequested", nodeId, iteration, outcome, submittedAt: at, ...defined({ reason, by }) }]
    }
    case "Pause":
      return state.pausedAt === undefined ? [{ _tag: "RunPaused", ...defined({ by: command.by }), submittedAt: at }] : []
    case "Unpause":
      return state.pausedAt === undefined
        ? []
        : [{ _tag: "RunUnpaused", ...defined({ by: command.by }), submittedAt: at }, ...afterPause(state, state.pausedAt, at)]
    case "ChildEnded": {
      const { childRunId, nodeId, iteration, status, output, error, uncompensated } = command
      const wait = Records.openWait(RunState.step(state, nodeId, iteration))
      if (wait?.kind !== "subflow" || wait.name !== childRunId || wait.child !== undefined) return []
      return [{ _tag: "SubflowEnded", nodeId, iteration, status, ...defined({ output, error, uncompensated }) }]
    }
    case "Cancel":
      return state.cancel === undefined || state.cancel.continuation !== undefined
        ? [{ _tag: "CancelRequested", ...defined({ reason: command.reason }) }]
        : []
    case "Signal": {
      const { id: signalId = id, name, correlation, payload } = command
      return [{ _tag: "SignalReceived", id: signalId, name, ...defined({ correlation, payload }), submittedAt: at }]
    }
    case "Decide": {
      const { nodeId, iteration, approved, selected, note, by } = command
      const wait = Records.openWait(RunState.step(state, nodeId, iteration))
      if (wait?.kind !== "approval" || wait.decision !== undefined || !isOf(wait, command)) return []
      return [{ _tag: "ApprovalDecided", nodeId, iteration, approved, submittedAt: at, ...defined({ selected, note, by }) }]
    }
    case "Answer": {
      const { nodeId, iteration, value, by } = command
      const wait = Records.openWait(RunState.step(state, nodeId, iteration))
      if (wait?.kind !== "human" || !isOf(wait, command)) return []
      return [{ _tag: "TaskAnswered", nodeId, iteration, value, submittedAt: at, ...defined({ by }) }]
    }
  }
}

/** The deadlines that a pause has moved. */
const afterPause = (state: RunState.RunState, pausedAt: Millis, until: Millis): ReadonlyArray<RunEvent> =>
  RunState.pending(state).flatMap((record): ReadonlyArray<RunEvent> => {
    const { nodeId, iteration } = record
    const wait = Records.openWait(record)
    if (wait?.deadline === undefined) return []
    const deadline = Pauses.moved({ ...wait, deadline: wait.deadline }, pausedAt, until)
    return deadline === wait.deadline ? [] : [{ _tag: "DeadlineMoved", nodeId, iteration, deadline }]
  })
