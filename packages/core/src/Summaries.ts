/**
 * Nodes and waits as they are shown, made of records.
 */
import * as DerivedStatus from "./DerivedStatus.ts"
import type * as Records from "./Records.ts"
import { isTimedOut, type NodeSummary, requestIdOf, type WaitSummary } from "./RunReader.ts"

/** Makes the summary of a node. */
export const nodeSummary = (runId: string, record: Records.NodeRecord): NodeSummary => {
  const { nodeId, iteration, kind, status, startedAt = null, finishedAt = null } = record
  const key = { runId, nodeId, iteration, kind, status, startedAt, finishedAt }
  const loop = record.kind === "loop" ? { passes: record.passes, isExhausted: record.isExhausted === true } : notALoop
  const region = record.kind === "boundary" ? DerivedStatus.regionOf(record) : {}
  if (record.kind !== "step")
    return { ...key, attempt: 0, retryAt: null, table: null, error: null, isSoft: false, ...loop, ...region }
  const { attempt, retryAt = null, table = null, error = null, isSoft = false } = record
  return { ...key, attempt, retryAt, table, error, isSoft, ...notALoop }
}

const notALoop = { passes: null, isExhausted: null }

/** Makes the summaries of the waits of nodes, and of their pending retries. */
export const waitSummaries = (
  { runId, workflow }: Pick<WaitSummary, "runId" | "workflow">,
  records: ReadonlyArray<Records.NodeRecord>,
): ReadonlyArray<WaitSummary> =>
  records.flatMap((record): ReadonlyArray<WaitSummary> => {
    if (record.kind !== "step") return []
    const { nodeId, iteration, wait, status, attempt, retryAt = null, failures } = record
    const key = { runId, workflow, nodeId, iteration }
    const waits = wait === undefined ? [] : [{ ...key, ...waitSummary(wait) }]
    if (status !== "retrying") return waits
    const pending = {
      kind: "retry",
      status: "open",
      since: failures.at(-1)?.at ?? 0,
      requestCount: attempt,
      deadline: retryAt,
    } as const
    return [...waits, { ...key, ...saysNothing, ...pending }]
  })

const waitSummary = (wait: Records.Wait): Omit<WaitSummary, "runId" | "workflow" | "nodeId" | "iteration"> => {
  const { kind, status, since, requestSeq, requestCount, decision } = wait
  const decidedAt = wait.answeredAt ?? decision?.at ?? null
  return {
    ...{ kind, status, since, requestSeq, requestCount },
    reason: wait.reason ?? null,
    deadline: status === "withdrawn" ? null : (wait.deadline ?? null),
    requestId: requestIdOf({ kind, requestSeq, digest: wait.digest ?? null }),
    request: wait.request ?? null,
    digest: wait.digest ?? null,
    name: wait.name ?? null,
    correlation: wait.correlation ?? null,
    approved: decision?.approved ?? null,
    note: decision?.note ?? null,
    by: wait.answeredBy ?? decision?.by ?? null,
    decidedAt,
    timedOut: isTimedOut({ kind, status, decidedAt }),
    endedAt: wait.endedAt ?? null,
    isAnswered: false,
    refusals: wait.refusals ?? 0,
    refused: wait.refused ?? null,
  }
}

const saysNothing = {
  reason: null,
  requestSeq: 0,
  requestId: null,
  decidedAt: null,
  timedOut: false,
  refusals: 0,
  refused: null,
  request: null,
  digest: null,
  name: null,
  correlation: null,
  approved: null,
  note: null,
  by: null,
  endedAt: null,
  isAnswered: false,
}
