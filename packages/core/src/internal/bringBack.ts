/**
 * Events that bring records back as they were at an earlier time, after they were reset and before anything else has become of them. What had
 * not ended is left to the schedule, which comes to it again.
 */
import { type NodeKey, nodeKey } from "../Ids.ts"
import * as Records from "../Records.ts"
import type { RunEvent } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import { defined } from "../Struct.ts"
import { canonical, type Json } from "./json.ts"

/** Tells whether two states have the same records. */
export const isSame = (one: RunState.RunState, other: RunState.RunState): boolean =>
  RunState.records(one).length === RunState.records(other).length &&
  RunState.records(one).every((record) => isSameRecord(record, recordIn(other, record)))

const isSameRecord = (one: Records.NodeRecord, other: Records.NodeRecord | undefined): boolean =>
  other !== undefined && canonical(one as unknown as Json) === canonical(other as unknown as Json)

const recordIn = (state: RunState.RunState, { kind, nodeId, iteration }: Records.NodeRecord): Records.NodeRecord | undefined => {
  if (kind === "step") return RunState.step(state, nodeId, iteration)
  return kind === "loop" ? RunState.loop(state, nodeId, iteration) : RunState.boundary(state, nodeId, iteration)
}

/** The result: events to apply, and the rows that have an output again. */
export interface Back {
  readonly events: ReadonlyArray<RunEvent>
  readonly finished: ReadonlySet<NodeKey>
}

/** The events that bring the records of `earlier` back into `current`. */
export const make = (earlier: RunState.RunState, current: RunState.RunState): Back => {
  const records = RunState.records(earlier).filter((record) => !isSameRecord(record, recordIn(current, record)))
  const events: Array<RunEvent> = []
  for (const record of records) if (record.kind === "loop") events.push(...loopAgain(record))
  for (const record of records) if (record.kind === "boundary") events.push(...boundaryAgain(record))
  const finished = new Set<NodeKey>()
  // The order of completion decides about the order of compensations.
  const steps = records.filter((record) => record.kind === "step").sort((one, other) => orderOf(one) - orderOf(other))
  for (const record of steps) {
    events.push(...stepAgain(record, RunState.step(current, record.nodeId, record.iteration)))
    if (record.status === "finished") finished.add(nodeKey(record.nodeId, record.iteration))
  }
  return { events, finished }
}

const orderOf = ({ finishedSeq }: Records.StepRecord): number => finishedSeq ?? Number.POSITIVE_INFINITY

const loopAgain = (record: Records.LoopRecord): ReadonlyArray<RunEvent> => {
  const { nodeId, iteration, base, passes, status, isExhausted, mounting, reads } = record
  const at = { nodeId, iteration }
  const events: Array<RunEvent> = []
  if (passes > 0) events.push({ _tag: "LoopAdvanced", ...at, base, pass: passes - 1, ...defined({ reads }) })
  if (mounting !== undefined) {
    const { initial, added = [], omitted = [], count: mountCount } = mounting
    events.push({ _tag: "LoopMounted", ...at, initial, mounted: added, mountCount })
    if (omitted.length > 0) events.push({ _tag: "LoopMounted", ...at, mounted: omitted, mountCount, isOmitted: true })
  }
  if (status === "finished") events.push({ _tag: "LoopFinished", ...at, reason: isExhausted === true ? "maxIterations" : "until" })
  return events
}

const boundaryAgain = (record: Records.BoundaryRecord): ReadonlyArray<RunEvent> => {
  const { nodeId, iteration, status, leaveRequest, cause, caught, isCaught, isFinallySkipped, left, winners, isDecided } = record
  const at = { nodeId, iteration }
  if (status === "interrupted") return []
  const events: Array<RunEvent> = []
  if (!Records.isToBeLeft(record)) events.push({ _tag: "BoundaryStarted", ...at })
  if (leaveRequest !== undefined) events.push({ _tag: "LeaveRequested", ...at, ...leaveRequest })
  if (winners !== undefined || isDecided !== undefined)
    events.push({ _tag: "PartsDecided", ...at, ...defined({ winners, isDecided }) })
  if (caught !== undefined) events.push({ _tag: "BoundaryHalted", ...at, cause: caught, isCaught: true })
  if (isCaught !== undefined)
    events.push({ _tag: "BoundaryHalted", ...at, isCaught, ...defined({ cause, isFinallySkipped, left }) })
  if (status !== "running" && status !== "halted") events.push({ _tag: "BoundaryEnded", ...at, status })
  return events
}

const stepAgain = (record: Records.StepRecord, current: Records.StepRecord | undefined): ReadonlyArray<RunEvent> => {
  const { nodeId, iteration, status, error, isOwnError, isSoft, table, output, wait, reads, codeGeneration } = record
  const at = { nodeId, iteration }
  const given = defined({ table, output, reads })
  const attempt = { ...at, attempt: (current?.attempt ?? 0) + 1 }
  const started: RunEvent = { _tag: "AttemptStarted", ...attempt, ...defined({ codeGeneration }) }
  // The end of a wait is that of its node, unless an attempt came after it.
  const isOfWait = wait !== undefined && wait.isOfAttempt !== true && wait.status === status && record.approved === undefined
  if (isOfWait && (status === "finished" || status === "skipped" || status === "failed"))
    return waitAgain(at, wait, { status, ...given, ...defined({ error }) }, record.uncompensated)
  switch (status) {
    case "finished":
      return [started, { _tag: "AttemptSucceeded", ...attempt, ...given }]
    case "skipped":
      return [{ _tag: "NodeSkipped", ...at, ...defined({ reads }) }]
    case "failed":
      if (error === undefined) return []
      return isOwnError === true
        ? [{ _tag: "NodeFailed", ...at, error, ...defined({ isSoft }) }]
        : [started, { _tag: "AttemptFailed", ...attempt, error, ...defined({ isSoft, reads }) }]
    case "superseded":
      return [{ _tag: "NodeWithdrawn", ...at, reason: "superseded" }]
    default:
      return []
  }
}

type End = Pick<Extract<RunEvent, { readonly _tag: "WaitEnded" }>, "status" | "table" | "output" | "error" | "reads">

const waitAgain = (
  at: Pick<Records.StepRecord, "nodeId" | "iteration">,
  wait: Records.Wait,
  end: End,
  uncompensated: Records.StepRecord["uncompensated"],
): ReadonlyArray<RunEvent> => {
  const { kind, request, digest, name, correlation, deadline, decision, answeredBy: by, answeredAt: submittedAt } = wait
  const events: Array<RunEvent> = [
    { _tag: "WaitStarted", ...at, kind, ...defined({ request, digest, name, correlation, deadline }) },
  ]
  if (decision !== undefined) {
    const { at: submittedAt, ...said } = decision
    events.push({ _tag: "ApprovalDecided", ...at, ...said, submittedAt })
  }
  if (uncompensated !== undefined)
    events.push({ _tag: "SubflowEnded", ...at, status: end.status === "finished" ? "finished" : "failed", uncompensated })
  events.push({ _tag: "WaitEnded", ...at, reason: reasonOf(wait, end), ...end, ...defined({ by, submittedAt }) })
  return events
}

const reasonOf = (
  { kind, decision, answeredAt }: Records.Wait,
  { output }: End,
): Extract<RunEvent, { readonly _tag: "WaitEnded" }>["reason"] => {
  switch (kind) {
    case "approval":
      return decision === undefined ? "timed-out" : "decided"
    case "human":
      return answeredAt === undefined ? "timed-out" : "answered"
    case "signal":
      return output === undefined ? "timed-out" : "signalled"
    case "subflow":
      return "ended"
    default:
      return "fired"
  }
}
