/**
 * Converts records to rows and back. The only module that knows the column of each field. Fields of few records share one column of
 * JSON, `detail`.
 */
import type { AttemptRecord, RunRecord, SignalRecord } from "@smithers/core/Changes"
import type { Json } from "@smithers/core/Codec"
import { type ErrorInfo, RunFailure } from "@smithers/core/Errors"
import type { NodeKey } from "@smithers/core/Ids"
import * as Millis from "@smithers/core/Millis"
import type * as Records from "@smithers/core/Records"
import type * as RunState from "@smithers/core/RunState"
import * as Schema from "effect/Schema"
import { readOptional, write, writeOptional } from "./Json.ts"
import * as Reads from "./Reads.ts"
import type { Value } from "./Value.ts"

type Text = string | null
type Time = Millis.Millis | null
type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/** Encodes a failure as JSON, with the stacks of its errors, which its schema omits. */
export const writeFailure = (failure: RunFailure): string => JSON.stringify(whole(failure))

const whole = (failure: RunFailure): object => {
  const encoded = Schema.encodeSync(RunFailure)(failure)
  switch (failure._tag) {
    case "StepFailed":
      return { ...encoded, error: failure.error }
    case "CompensationFailed":
      return { ...encoded, cause: whole(failure.cause), failed: failure.failed }
    default:
      return encoded
  }
}

/** Decodes the result of {@link writeFailure}. */
export const readFailure = (text: string): RunFailure => Schema.decodeUnknownSync(RunFailure)(JSON.parse(text))

/** Decodes JSON that this module has written. */
const read = <A>(text: string): A => JSON.parse(text)

/** Columns of a run that its frames write, in the order of {@link runRow}. */
export const runColumns = [
  "status",
  "updated_at",
  "finished_at",
  "output",
  "ending",
  "failure",
  "cancel",
  "paused_at",
  "deadline",
  "continued_as",
] as const

/** Encodes a run. */
export const runRow = (record: RunRecord): ReadonlyArray<Value> => {
  const {
    status,
    updatedAt,
    finishedAt = null,
    output,
    from,
    strayReads,
    failure,
    cancel,
    pausedAt = null,
    deadline = null,
    continuedAs = null,
  } = record
  const ending = from === undefined && strayReads === undefined ? null : JSON.stringify({ from, strayReads })
  const why = failure === undefined ? null : writeFailure(failure)
  return [
    status,
    updatedAt,
    finishedAt,
    writeOptional(output),
    ending,
    why,
    cancel === undefined ? null : JSON.stringify(cancel),
    pausedAt,
    deadline,
    continuedAs,
  ]
}

/** Decodes the column `ending` of a run. */
export const readEnding = (text: Text): Pick<RunState.RunState, "from" | "strayReads"> => {
  if (text === null) return { from: undefined, strayReads: undefined }
  const { from, strayReads } = read<Partial<Pick<RunState.RunState, "from" | "strayReads">>>(text)
  return { from, strayReads }
}

/** Decodes the column `cancel` of a run. */
export const readCancel = (text: Text): RunState.RunState["cancel"] =>
  text === null ? undefined : { reason: undefined, ...read<Partial<NonNullable<RunState.RunState["cancel"]>>>(text) }

/** Columns of a node, in the order of {@link nodeRow}. */
export const nodeColumns = [
  "run_id",
  "node_id",
  "iteration",
  "kind",
  "status",
  "attempt",
  "started_at",
  "attempted_at",
  "finished_at",
  "output_table",
  "finished_seq",
  "budget_after",
  "interruptions",
  "retry_at",
  "generation",
  "is_soft",
  "base",
  "passes",
  "is_exhausted",
  "reads_seq",
  "error",
  "detail",
] as const

type StepDetail = Pick<Records.StepRecord, "approved" | "uncompensated" | "heartbeatsAfter" | "codeGeneration"> & {
  readonly isOwnError?: true
}
type LoopDetail = Pick<Records.LoopRecord, "mounting">
type BoundaryDetail = Pick<
  Records.BoundaryRecord,
  "cause" | "isCaught" | "isFinallySkipped" | "caught" | "leaveRequest" | "left" | "winners" | "isDecided"
>

/** Reads of a node, and the sequence number of their row. */
type Reading = Pick<Records.StepRecord, "reads" | "readsSeq">

const flag = (is: boolean | undefined): number | null => (is === true ? 1 : null)

const detailOf = (detail: object): Text => {
  const text = JSON.stringify(detail)
  return text === "{}" ? null : text
}

/** Returns `true` if a step has no fields beyond those of most steps. */
export const isPlain = (record: Records.StepRecord): boolean =>
  record.approved === undefined &&
  record.generation === undefined &&
  record.readsSeq === undefined &&
  record.uncompensated === undefined &&
  record.codeGeneration === undefined &&
  record.heartbeatsAfter === undefined

/** Encodes a node. */
export const nodeRow = (runId: string, record: Records.NodeRecord): ReadonlyArray<Value> => {
  const { nodeId, iteration, kind, status, startedAt = null, finishedAt = null } = record
  const key = [runId, nodeId, iteration, kind, status] as const
  switch (record.kind) {
    case "step": {
      const { attempt, attemptedAt = null, table = null, finishedSeq = null, budgetAfter, interruptions, retryAt = null } = record
      const {
        generation = 0,
        isSoft,
        readsSeq = null,
        error,
        isOwnError,
        approved,
        uncompensated,
        heartbeatsAfter,
        codeGeneration,
      } = record
      const again = attemptedAt === startedAt ? null : attemptedAt
      const counts = [table, finishedSeq, budgetAfter, interruptions, retryAt, generation, flag(isSoft)] as const
      const own = isOwnError === true && error !== undefined ? JSON.stringify(error) : null
      const detail = detailOf({ approved, uncompensated, heartbeatsAfter, codeGeneration } satisfies Partial<
        Record<keyof StepDetail, unknown>
      >)
      return [...key, attempt, startedAt, again, finishedAt, ...counts, null, null, null, readsSeq, own, detail]
    }
    case "loop": {
      const { base, passes, isExhausted, readsSeq = null, mounting } = record
      const unused = [null, null, 0, 0, null, 0, null] as const
      const detail = detailOf({ mounting })
      return [...key, 0, startedAt, null, finishedAt, ...unused, base, passes, flag(isExhausted), readsSeq, null, detail]
    }
    case "boundary": {
      const { cause, isCaught, isFinallySkipped, caught, leaveRequest, left, winners, isDecided } = record
      const detail = detailOf({ cause, isCaught, isFinallySkipped, caught, leaveRequest, left, winners, isDecided })
      const unused = [null, null, 0, 0, null, 0, null, null, null, null, null, null] as const
      return [...key, 0, startedAt, null, finishedAt, ...unused, detail]
    }
  }
}

/** SQL for the reads of a node. */
const readsColumn = `(SELECT r.reads FROM smithers_reads r
  WHERE r.run_id = smithers_nodes.run_id AND r.seq = smithers_nodes.reads_seq)`

/** Columns of finished steps for {@link readFinished}, without unused ones. */
export const finishedColumns = `node_id, iteration, attempt, started_at, attempted_at, finished_at, output_table, finished_seq,
  budget_after, generation, reads_seq, ${readsColumn}, detail`

export type FinishedRow = [
  nodeId: string,
  iteration: number,
  attempt: number,
  startedAt: Time,
  attemptedAt: Time,
  finishedAt: Time,
  table: Text,
  order: number | null,
  budgetAfter: number,
  generation: number,
  readsSeq: number | null,
  reads: Text,
  detail: Text,
]

const empty: ReadonlyArray<never> = []

const readingOf = (readsSeq: number | null, reads: Text): Reading =>
  readsSeq === null || reads === null ? {} : { reads: Reads.read(reads), readsSeq }

/** Decodes a finished step. */
export const readFinished = (row: FinishedRow, { wait, output }: Pick<Beside, "wait" | "output">): Records.StepRecord => {
  const [nodeId, iteration, attempt, startedAt, attemptedAt, finishedAt, table, order, budgetAfter, generation, ...rest] = row
  const [readsSeq, reads, detail] = rest
  const record: Mutable<Records.StepRecord> = {
    kind: "step",
    status: "finished",
    nodeId,
    iteration,
    attempt,
    failures: empty,
    budgetAfter,
    interruptions: 0,
  }
  if (startedAt !== null) {
    record.startedAt = startedAt
    record.attemptedAt = attemptedAt ?? startedAt
  }
  if (finishedAt !== null) record.finishedAt = finishedAt
  if (order !== null) record.finishedSeq = order
  if (table !== null) record.table = table
  if (generation > 0) record.generation = generation
  if (output !== undefined) record.output = output
  if (wait !== undefined) record.wait = wait
  if (readsSeq !== null) Object.assign(record, readingOf(readsSeq, reads))
  if (detail !== null) Object.assign(record, read<StepDetail>(detail))
  return record
}

/** Columns of a node for {@link readNode}. `error` is the SQL for its error. */
export const otherColumns = (error: string): string =>
  `node_id, iteration, kind, status, attempt, started_at, attempted_at, finished_at, output_table, finished_seq, budget_after,
   interruptions, retry_at, generation, is_soft, base, passes, is_exhausted, reads_seq, ${readsColumn}, error IS NOT NULL, ${error}, detail`

export type NodeRow = [
  nodeId: string,
  iteration: number,
  kind: Records.NodeRecord["kind"],
  status: Records.NodeRecord["status"],
  attempt: number,
  startedAt: Time,
  attemptedAt: Time,
  finishedAt: Time,
  table: Text,
  order: number | null,
  budgetAfter: number,
  interruptions: number,
  retryAt: Time,
  generation: number,
  isSoft: number | null,
  base: number | null,
  passes: number | null,
  isExhausted: number | null,
  readsSeq: number | null,
  reads: Text,
  isOwnError: number,
  error: Text,
  detail: Text,
]

/** Parts of a step's record in other rows. */
export interface Beside {
  readonly failures: ReadonlyArray<Records.Failure>
  readonly wait: Records.Wait | undefined
  readonly output: Json | undefined
}

/** Decodes the fields that only boundaries have. */
export const readBoundary = (detail: string): BoundaryDetail => read<BoundaryDetail>(detail)

/** Decodes any node. */
export const readNode = (row: NodeRow, { failures, wait, output }: Beside): Records.NodeRecord => {
  const [nodeId, iteration, kind, status, attempt, startedAt, attemptedAt, finishedAt, table, finishedSeq, ...rest] = row
  const [budgetAfter, interruptions, retryAt, generation, isSoft, base, passes, isExhausted, readsSeq, reads, ...more] = rest
  const [isOwnError, error, detail] = more
  const readFields = readingOf(readsSeq, reads)
  const times = { ...(startedAt === null ? {} : { startedAt }), ...(finishedAt === null ? {} : { finishedAt }) }
  const details = detail === null ? {} : read<StepDetail & LoopDetail & BoundaryDetail>(detail)
  const common = { nodeId, iteration, ...times, ...details }
  if (kind === "boundary") return { kind, ...common, status: status as Records.BoundaryRecord["status"] }
  if (kind === "loop") {
    const counts = { base: base ?? 0, passes: passes ?? 0, ...(isExhausted === 1 ? { isExhausted: true as const } : {}) }
    return { kind, ...common, ...readFields, status: status as Records.LoopRecord["status"], ...counts }
  }
  const began = attemptedAt ?? startedAt
  const counts = { attempt, failures, budgetAfter, interruptions }
  return {
    kind,
    ...common,
    ...readFields,
    status: status as Records.StepRecord["status"],
    ...counts,
    ...(began === null ? {} : { attemptedAt: began }),
    ...(table === null ? {} : { table }),
    ...(finishedSeq === null ? {} : { finishedSeq }),
    ...(retryAt === null ? {} : { retryAt }),
    ...(generation === 0 ? {} : { generation }),
    ...(isSoft === 1 ? { isSoft: true } : {}),
    ...(error === null ? {} : { error: read<ErrorInfo>(error) }),
    ...(isOwnError === 1 ? { isOwnError: true } : {}),
    ...(wait === undefined ? {} : { wait }),
    ...(output === undefined ? {} : { output }),
  }
}

/** Columns of a wait after those of its node, in the order of {@link waitRow}. */
export const waitColumns = [
  "kind",
  "status",
  "since",
  "request_seq",
  "request_count",
  "deadline",
  "name",
  "correlation",
  "digest",
  "request",
  "approved",
  "note",
  "decided_by",
  "decided_at",
  "answers",
  "child",
  "refusals",
  "refused",
  "ended_at",
  "reason",
  "is_kept",
  "is_of_attempt",
  "selected",
] as const

export type WaitRow = [
  kind: Records.Wait["kind"],
  status: Records.Wait["status"],
  since: Millis.Millis,
  requestSeq: number,
  requestCount: number,
  deadline: Time,
  name: Text,
  correlation: Text,
  digest: Text,
  request: Text,
  approved: number | null,
  note: Text,
  decidedBy: Text,
  decidedAt: Time,
  answers: Text,
  child: Text,
  refusals: number | null,
  refused: Text,
  endedAt: Time,
  reason: Text,
  isKept: number | null,
  isOfAttempt: number | null,
  selected: Text,
]

/** Encodes a wait. */
export const waitRow = (wait: Records.Wait): WaitRow => {
  const { decision, answers, child, refused } = wait
  return [
    wait.kind,
    wait.status,
    wait.since,
    wait.requestSeq,
    wait.requestCount,
    wait.deadline ?? null,
    wait.name ?? null,
    wait.correlation ?? null,
    wait.digest ?? null,
    writeOptional(wait.request),
    decision === undefined ? null : Number(decision.approved),
    decision?.note ?? null,
    decision?.by ?? wait.answeredBy ?? null,
    decision?.at ?? wait.answeredAt ?? null,
    answers === undefined ? null : write(answers as unknown as Json),
    child === undefined ? null : write(child as unknown as Json),
    wait.refusals ?? null,
    refused === undefined ? null : JSON.stringify(refused),
    wait.endedAt ?? null,
    wait.reason ?? null,
    flag(wait.isKept),
    flag(wait.isOfAttempt),
    decision?.selected ?? null,
  ]
}

/** Decodes a wait. */
export const readWait = (row: WaitRow): Records.Wait => {
  const [
    kind,
    status,
    since,
    requestSeq,
    requestCount,
    deadline,
    name,
    correlation,
    digest,
    request,
    approved,
    note,
    by,
    at,
    ...rest
  ] = row
  const [answers, child, refusals, refused, endedAt, reason, isKept, isOfAttempt, selected] = rest
  const wait: Mutable<Records.Wait> = { kind, status, since, requestSeq, requestCount }
  if (deadline !== null) wait.deadline = deadline
  if (name !== null) wait.name = name
  if (correlation !== null) wait.correlation = correlation
  if (digest !== null) wait.digest = digest
  const shown = readOptional(request)
  if (shown !== undefined) wait.request = shown
  if (approved === null) {
    if (by !== null) wait.answeredBy = by
    if (at !== null) wait.answeredAt = at
  } else {
    const said = { ...(note === null ? {} : { note }), ...(by === null ? {} : { by }) }
    wait.decision = { approved: approved === 1, ...(selected === null ? {} : { selected }), ...said, at: at ?? since }
  }
  if (answers !== null) wait.answers = read<ReadonlyArray<Records.Answer>>(answers)
  if (child !== null) wait.child = read<Records.ChildEnd>(child)
  if (refusals !== null) wait.refusals = refusals
  if (refused !== null) wait.refused = read<ReadonlyArray<string>>(refused)
  if (endedAt !== null) wait.endedAt = endedAt
  if (reason !== null) wait.reason = reason as NonNullable<Records.Wait["reason"]>
  if (isKept === 1) wait.isKept = true
  if (isOfAttempt === 1) wait.isOfAttempt = true
  return wait
}

/** Columns of an attempt after those of its key, in the order of {@link attemptRow}, without those of agents. */
export const attemptColumns = [
  "status",
  "started_at",
  "finished_at",
  "retry_at",
  "reason",
  "is_cached",
  "cached_from",
  "code_generation",
  "error",
] as const

/** Encodes an attempt. */
export const attemptRow = (record: AttemptRecord): ReadonlyArray<Value> => {
  const {
    status,
    startedAt,
    finishedAt,
    retryAt = null,
    reason = null,
    isCached,
    cachedFrom = null,
    codeGeneration = null,
    error,
  } = record
  const failure = error === undefined ? null : JSON.stringify(error)
  return [status, startedAt, finishedAt, retryAt, reason, flag(isCached), cachedFrom, codeGeneration, failure]
}

/** Columns of a signal after that of its run, in the order of {@link signalRow}. */
export const signalColumns = [
  "seq",
  "id",
  "name",
  "correlation",
  "payload",
  "status",
  "node_id",
  "iteration",
  "refused_by",
  "at_ms",
] as const

/** Encodes a signal. */
export const signalRow = (signal: SignalRecord): ReadonlyArray<Value> => {
  const { seq, at, id, name, correlation, payload, refusedBy, takenBy } = signal
  const kept = [seq, id, name, correlation ?? null, writeOptional(payload), takenBy === undefined ? "kept" : "taken"] as const
  return [
    ...kept,
    takenBy?.nodeId ?? null,
    takenBy?.iteration ?? null,
    refusedBy === undefined ? null : JSON.stringify(refusedBy),
    at,
  ]
}

/** Decodes a stored signal. */
export const readSignal = (
  row: [seq: number, id: string, name: string, correlation: Text, payload: Text, refusedBy: Text, at: Time],
): Records.Signal => {
  const [seq, id, name, correlation, payload, refusedBy, at] = row
  const signal = { seq, at: at ?? Millis.zero, id, name, correlation: correlation ?? undefined, payload: readOptional(payload) }
  return refusedBy === null
    ? signal
    : { ...signal, refusedBy: read<ReadonlyArray<{ readonly key: NodeKey; readonly issues: ReadonlyArray<string> }>>(refusedBy) }
}
