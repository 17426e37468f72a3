/**
 * Transitions of records: a record after an event. `RunState.apply` puts them into the state.
 */
import type { Json } from "../Codec.ts"
import type { NodeId, NodeKey } from "../Ids.ts"
import type * as Millis from "../Millis.ts"
import {
  type BoundaryRecord,
  caughtBy,
  hasNoHeartbeat,
  type LoopRecord,
  type Mounting,
  type StepRecord,
  type Wait,
} from "../Records.ts"
import type { RunEvent } from "../RunEvent.ts"

/** No fields; a single object, so that it can be compared by identity. */
export const noFields = {}

/** The attempt up to which heartbeats of a step no longer count, for its next record. */
export const heartbeatsAfter = ({ status, attempt, heartbeatsAfter }: StepRecord): Pick<StepRecord, "heartbeatsAfter"> => {
  const after = hasNoHeartbeat(status) ? attempt : heartbeatsAfter
  return after === undefined || after === 0 ? noFields : { heartbeatsAfter: after }
}

/** A single list, since each finished step of a run would hold one of its own. */
const noFailures: StepRecord["failures"] = []

/** The record of a step before its first event. */
export const unstarted = (nodeId: NodeId, iteration: number): StepRecord => ({
  kind: "step",
  nodeId,
  iteration,
  status: "interrupted",
  attempt: 0,
  failures: noFailures,
  budgetAfter: 0,
  interruptions: 0,
})

/** Events by their subject. */
export type LoopEvent = Extract<RunEvent, { readonly _tag: "LoopAdvanced" | "LoopMounted" | "LoopFinished" }>
export type BoundaryEvent = Extract<
  RunEvent,
  { readonly _tag: "BoundaryStarted" | "LeaveRequested" | "PartsDecided" | "BoundaryHalted" | "BoundaryEnded" }
>
type StepEvent = Extract<RunEvent, { readonly nodeId: string }>
export type Reset = Extract<RunEvent, { readonly _tag: "NodeReset" }>

/** The record of a boundary after an event. */
export const foldBoundary = (record: BoundaryRecord | undefined, event: BoundaryEvent, at: Millis.Millis): BoundaryRecord => {
  const { nodeId, iteration } = event
  const began = record?.startedAt ?? (event._tag === "BoundaryStarted" ? at : undefined)
  const base = { kind: "boundary", nodeId, iteration, ...(began === undefined ? noFields : { startedAt: began }) } as const
  /** A race that starts again keeps its winners. */
  const kept = record?.status === "interrupted" ? decisionIn(record) : noFields
  if (event._tag === "BoundaryStarted") return { ...base, status: "running", ...kept }
  const before = record ?? { ...base, status: "running" }
  if (event._tag === "BoundaryEnded") return { ...before, status: event.status, finishedAt: at }
  if (event._tag === "LeaveRequested") {
    const { outcome, reason, by, submittedAt = at } = event
    return {
      // One that was reset is as if it had not begun.
      ...(before.status === "interrupted" ? { kind: "boundary", nodeId, iteration, status: "running", ...kept } : before),
      leaveRequest: { outcome, submittedAt, ...(reason === undefined ? {} : { reason }), ...(by === undefined ? {} : { by }) },
    }
  }
  if (event._tag === "PartsDecided") {
    const { winners, isDecided } = event
    return {
      ...before,
      ...(winners === undefined ? {} : { winners }),
      ...(isDecided === undefined ? {} : { isDecided: isDecided }),
    }
  }
  const caught = event.isCaught ? undefined : caughtBy(record)
  const causes = { ...(event.cause === undefined ? {} : { cause: event.cause }), ...(caught === undefined ? {} : { caught }) }
  const last = event.isFinallySkipped === true || record?.isFinallySkipped === true ? { isFinallySkipped: true } : {}
  const left = record?.left ?? event.left
  const decided = record === undefined ? noFields : decisionIn(record)
  return {
    ...base,
    status: "halted",
    ...causes,
    isCaught: event.isCaught,
    ...last,
    ...(left === undefined ? {} : { left }),
    ...decided,
  }
}

/** What is decided of the parts of a race or a list. */
const decisionIn = ({ winners, isDecided }: BoundaryRecord): Pick<BoundaryRecord, "winners" | "isDecided"> => ({
  ...(winners === undefined ? noFields : { winners }),
  ...(isDecided === undefined ? noFields : { isDecided }),
})

/** The times at which a record first began, and its latest attempt did. */
export const timesOf = ({ startedAt, attemptedAt }: Pick<StepRecord, "startedAt" | "attemptedAt">) => ({
  ...(startedAt === undefined ? noFields : { startedAt }),
  ...(attemptedAt === undefined ? noFields : { attemptedAt }),
})

/** A wait that was withdrawn. With `isKept` it keeps its input. */
export const withdrawn = (wait: Wait, reason: NonNullable<Wait["reason"]>, isKept: boolean, at: Millis.Millis): Wait => {
  if (wait.status !== "open" && wait.isKept !== true) return wait
  if (isKept) return { ...wait, status: "withdrawn", reason, isKept: true, endedAt: at }
  const { answers: _, child: __, isKept: ___, ...rest } = wait
  return { ...rest, status: "withdrawn", reason, endedAt: at }
}

/** The nodes of a pass after a render has mounted new ones. */
export const mountingAfter = (
  mounting: Mounting | undefined,
  event: Omit<Extract<RunEvent, { readonly _tag: "LoopMounted" }>, "_tag" | "nodeId" | "iteration">,
): Mounting => {
  const { mounted, mountCount, isOmitted } = event
  const { added = [], omitted = [] } = mounting ?? {}
  const remaining = omitted.filter((id) => !mounted.includes(id))
  const isAdded = isOmitted !== true
  const all = isAdded ? { added: [...added, ...mounted], omitted: remaining } : { added, omitted: [...remaining, ...mounted] }
  return {
    initial: event.initial ?? mounting?.initial ?? [],
    ...(all.added.length === 0 ? {} : { added: all.added }),
    ...(all.omitted.length === 0 ? {} : { omitted: all.omitted }),
    count: mountCount,
  }
}

/** The reads of a node after an event: those in the event, otherwise the earlier ones. */
export const readsAfter = (
  record: StepRecord | LoopRecord | undefined,
  event: RunEvent,
  seq: number,
): Pick<StepRecord, "reads" | "readsSeq"> => {
  if ("reads" in event && event.reads !== undefined) return { reads: event.reads as ReadonlyArray<NodeKey>, readsSeq: seq }
  return record?.reads === undefined ? noFields : { reads: record.reads, readsSeq: record.readsSeq ?? seq }
}

/** The record of a step or a wait after an event. */
export const foldStep = (
  record: StepRecord,
  event: Exclude<StepEvent, LoopEvent | BoundaryEvent | Reset | { readonly _tag: "SignalRefused" }>,
  at: Millis.Millis,
  seq: number,
): StepRecord => {
  const { nodeId, iteration, attempt, startedAt, attemptedAt, failures, budgetAfter, interruptions, wait } = record
  const named = { kind: "step", nodeId, iteration, attempt, failures, budgetAfter, interruptions } as const
  const fresh = startedAt === undefined || attemptedAt === undefined ? named : { ...named, startedAt, attemptedAt }
  const reads = readsAfter(record, event, seq)
  const beats = heartbeatsAfter(record)
  const hasMore =
    wait !== undefined ||
    beats !== noFields ||
    record.approved !== undefined ||
    record.generation !== undefined ||
    record.codeGeneration !== undefined ||
    record.uncompensated !== undefined ||
    reads !== noFields
  const base = hasMore
    ? {
        ...fresh,
        ...beats,
        ...(wait === undefined ? noFields : { wait }),
        ...(record.approved === undefined ? noFields : { approved: record.approved }),
        ...(record.generation === undefined ? noFields : { generation: record.generation }),
        ...(record.codeGeneration === undefined ? noFields : { codeGeneration: record.codeGeneration }),
        ...(record.uncompensated === undefined ? noFields : { uncompensated: record.uncompensated }),
        ...reads,
      }
    : fresh
  const heartbeat = record.heartbeat === undefined ? noFields : { heartbeat: record.heartbeat }
  switch (event._tag) {
    case "AttemptStarted":
      return {
        ...base,
        ...heartbeat,
        status: "running",
        attempt: event.attempt,
        startedAt: startedAt ?? at,
        attemptedAt: at,
        ...(event.codeGeneration === undefined ? noFields : { codeGeneration: event.codeGeneration }),
      }
    case "AttemptSucceeded":
      return {
        ...base,
        status: "finished",
        finishedAt: at,
        failures: noFailures,
        budgetAfter: attempt,
        interruptions: 0,
        finishedSeq: seq,
        ...(event.table === undefined ? {} : { table: event.table }),
        ...(event.output === undefined ? {} : { output: event.output as Json }),
      }
    case "AttemptFailed": {
      const seen = event.heartbeat === undefined ? heartbeat : { heartbeat: event.heartbeat as Json }
      const failed = { ...base, ...seen, interruptions: 0, error: event.error }
      if (event.retryAt === undefined)
        return { ...failed, status: "failed", finishedAt: at, ...(event.isSoft === true ? { isSoft: true } : {}) }
      return { ...failed, status: "retrying", retryAt: event.retryAt, failures: [...failures, { at, error: event.error }] }
    }
    case "AttemptInterrupted": {
      const seen = event.heartbeat === undefined ? heartbeat : { heartbeat: event.heartbeat as Json }
      const before = event.hasProgress === true ? 0 : record.interruptions
      const interruptions = event.reason === "crash" ? before + 1 : before
      return { ...base, ...seen, interruptions, status: "interrupted" }
    }
    case "NodeFailed": {
      const failed = { error: event.error, isOwnError: true, ...(event.isSoft === true ? { isSoft: true } : {}) } as const
      return { ...base, ...heartbeat, status: "failed", finishedAt: at, ...failed }
    }
    case "WaitStarted": {
      const { kind, request, digest, name, correlation, deadline } = event
      const shown = { ...(request === undefined ? {} : { request: request as Json }), ...(digest === undefined ? {} : { digest }) }
      const signal = { ...(name === undefined ? {} : { name }), ...(correlation === undefined ? {} : { correlation }) }
      const kept = event.isKept === true ? wait : undefined
      const { decision, answers, child, refusals, refused } = kept ?? {}
      const said = {
        ...(decision === undefined ? {} : { decision }),
        ...(answers === undefined ? {} : { answers }),
        ...(child === undefined ? {} : { child }),
        ...(refusals === undefined ? {} : { refusals }),
        ...(refused === undefined ? {} : { refused }),
      }
      // A kept wait keeps the event of its request.
      const asking = { requestSeq: kept?.requestSeq ?? seq, requestCount: kept?.requestCount ?? (wait?.requestCount ?? 0) + 1 }
      const until = deadline === undefined ? {} : { deadline }
      const origin = event.isOfAttempt === true ? ({ isOfAttempt: true } as const) : {}
      const opened: Wait = { kind, status: "open", since: at, ...asking, ...shown, ...signal, ...until, ...said, ...origin }
      return { ...base, status: "waiting", startedAt: startedAt ?? at, attemptedAt: at, wait: opened }
    }
    case "DeadlineMoved":
      return wait?.status === "open" ? { ...record, wait: { ...wait, deadline: event.deadline } } : record
    case "ApprovalDecided": {
      if (wait?.status !== "open") return record
      const { approved, selected, note, by, submittedAt = at } = event
      const said = {
        ...(selected === undefined ? {} : { selected }),
        ...(note === undefined ? {} : { note }),
        ...(by === undefined ? {} : { by }),
      }
      return { ...record, wait: { ...wait, decision: { approved, ...said, at: submittedAt } } }
    }
    case "TaskAnswered": {
      if (wait?.status !== "open") return record
      const answer = {
        value: event.value as Json,
        ...(event.by === undefined ? {} : { by: event.by }),
        at: event.submittedAt ?? at,
      }
      return { ...record, wait: { ...wait, answers: [...(wait.answers ?? []), answer] } }
    }
    case "AnswerRefused": {
      if (wait?.status !== "open") return record
      const { answers = [], ...requestSeq } = wait
      const refusal = { refusals: (wait.refusals ?? 0) + 1, refused: event.issues }
      return { ...record, wait: { ...requestSeq, ...refusal, ...(answers.length < 2 ? {} : { answers: answers.slice(1) }) } }
    }
    case "WaitEnded": {
      const { status, table, output, error } = event
      const result = { ...(table === undefined ? {} : { table }), ...(output === undefined ? {} : { output: output as Json }) }
      const over = wait === undefined ? noFields : { wait: ended(wait, event, at) }
      if (status === "passed" && wait?.isOfAttempt === true) return { ...base, ...heartbeat, ...over, status: "interrupted" }
      if (status === "passed") return { ...base, ...over, status: "interrupted", approved: wait?.digest ?? "" }
      const order: Pick<StepRecord, "finishedSeq"> = status === "finished" ? { finishedSeq: seq } : {}
      const fresh = { failures: noFailures, budgetAfter: attempt, interruptions: 0, status, finishedAt: at }
      return { ...base, ...over, ...fresh, ...order, ...result, ...(error === undefined ? {} : { error, isOwnError: true }) }
    }
    case "SubflowEnded": {
      if (wait?.status !== "open") return record
      const { status, output, error, uncompensated } = event
      const said =
        status === "finished" ? (output === undefined ? {} : { output: output as Json }) : error === undefined ? {} : { error }
      const left = uncompensated === undefined ? {} : { uncompensated }
      return { ...record, ...left, wait: { ...wait, child: { status, ...said } } }
    }
    case "NodeSkipped":
      return { ...base, status: "skipped", finishedAt: at, failures: noFailures, budgetAfter: attempt }
    case "NodeWithdrawn": {
      const over = wait === undefined ? noFields : { wait: withdrawn(wait, event.reason, event.isKept === true, at) }
      const status = event.reason === "superseded" || event.reason === "left" ? "superseded" : "withdrawn"
      return { ...base, ...heartbeat, ...over, status, finishedAt: at }
    }
  }
}

const ended = (wait: Wait, event: Extract<RunEvent, { readonly _tag: "WaitEnded" }>, at: Millis.Millis): Wait => {
  const { answers: _, child: __, isKept: ___, reason: ____, ...rest } = wait
  const { by, submittedAt } = event
  const isDecided = wait.decision !== undefined
  const answered = {
    ...(isDecided || by === undefined ? {} : { answeredBy: by }),
    ...(isDecided || submittedAt === undefined ? {} : { answeredAt: submittedAt }),
  }
  return { ...rest, status: event.status === "passed" ? "finished" : event.status, ...answered, endedAt: at }
}
