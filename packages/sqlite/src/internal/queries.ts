/**
 * What people and tools ask: the list of runs, one run in full, and its log.
 *
 * These are prepared statements on the store's one connection and not a client of `@effect/sql` on a second one: a reader in
 * the same thread gains nothing by its own connection, `:memory:` cannot have a second one, and loading the client would double
 * the time that listing runs takes from a cold start.
 */
import { type ErrorInfo, RunNotFound } from "@smithers/core/Errors"
import type { Millis } from "@smithers/core/Millis"
import type { RunEvent } from "@smithers/core/RunEvent"
import {
  type AttemptSummary,
  answerTo,
  type Instruction,
  type LoggedEvent,
  type NodeSummary,
  type RunDetails,
  type RunFilter,
  type RunSummary,
  requestIdOf,
  type Stuck,
  type WaitFilter,
  type WaitSummary,
} from "@smithers/core/Storage"
import * as Either from "effect/Either"
import type { Connection } from "./connection.ts"
import { readOptional } from "./json.ts"
import type { Plans } from "./plans.ts"
import { endOf, errorOfNode, lastEnd, readFailure } from "./states.ts"
import * as Turns from "./turns.ts"

export interface Queries {
  readonly runs: (filter: RunFilter) => ReadonlyArray<RunSummary>
  readonly waits: (filter: WaitFilter) => ReadonlyArray<WaitSummary>
  readonly plan: (runId: string, frame: number | undefined) => Either.Either<string, RunNotFound>
  readonly inspect: (runId: string) => Either.Either<RunDetails, RunNotFound>
  readonly events: (
    runId: string,
    options: { readonly afterSeq?: number; readonly limit?: number } | undefined,
  ) => Either.Either<ReadonlyArray<LoggedEvent>, RunNotFound>
}

type Text = string | null
type Time = number | null

type SummaryRow = [
  runId: string,
  workflow: string,
  version: Text,
  status: RunSummary["status"],
  tags: string,
  createdAt: number,
  updatedAt: number,
  finishedAt: Time,
  epoch: number,
  owner: Text,
  leaseUntil: Time,
  source: Text,
  parentRunId: Text,
  parentNodeId: Text,
  parentIteration: number | null,
  isAttached: number | null,
  stuck: Text,
]

type DetailsRow = [input: Text, output: Text, failure: Text, isTold: number, cancel: Text, toldCancel: Text]

type NodeRow = [
  nodeId: string,
  iteration: number,
  kind: NodeSummary["kind"],
  status: NodeSummary["status"],
  attempt: number,
  startedAt: Time,
  finishedAt: Time,
  retryAt: Time,
  table: Text,
  error: Text,
  passes: number | null,
  isExhausted: number | null,
]

type AttemptRow = [
  nodeId: string,
  iteration: number,
  attempt: number,
  status: AttemptSummary["status"],
  startedAt: number,
  finishedAt: Time,
  error: Text,
  heartbeat: Text,
  heartbeatAt: Time,
  ...turns: Turns.Row,
]

type WaitRow = [
  runId: string,
  nodeId: string,
  iteration: number,
  workflow: string,
  kind: WaitSummary["kind"],
  status: WaitSummary["status"],
  reason: WaitSummary["reason"],
  since: number,
  deadline: Time,
  request: Text,
  digest: Text,
  name: Text,
  correlation: Text,
  approved: number | null,
  note: Text,
  by: Text,
  decidedAt: Time,
  endedAt: Time,
  asked: number,
  timesAsked: number,
  refusals: number,
  refused: Text,
  said: Text,
]

type EventRow = [
  seq: number,
  frame: number,
  at: number,
  type: string,
  nodeId: Text,
  iteration: number | null,
  attempt: number | null,
  payload: Text,
  error: Text,
]

const summaryColumns = `r.run_id, r.workflow, r.version, r.status, r.tags, r.created_at,
  max(r.updated_at, coalesce((SELECT at_ms FROM smithers_frames WHERE run_id = r.run_id ORDER BY frame DESC LIMIT 1), 0)),
  r.finished_at, r.epoch, r.owner, r.lease_until, r.source, r.parent_run_id, r.parent_node_id, r.parent_iteration, r.is_attached,
  r.stuck`

/** The index alone tells which runs are on a page; only those are then read. */
const listing = (page: string): string => `
  SELECT ${summaryColumns} FROM smithers_runs r JOIN (
    SELECT run_id FROM smithers_runs
    WHERE ${page}
      AND (?1 IS NULL OR status IN (SELECT value FROM json_each(?1)))
      AND (?2 IS NULL OR workflow = ?2)
      AND (?3 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?3))
      AND (?5 IS NULL OR run_id IN (SELECT run_id FROM smithers_runs WHERE parent_run_id = ?5))
    ORDER BY created_at DESC, run_id DESC LIMIT ?4
  ) USING (run_id) ORDER BY r.created_at DESC, r.run_id DESC`

/** Whether something was told to a run that nobody has taken up yet. */
const isTold = "EXISTS (SELECT 1 FROM smithers_inbox i WHERE i.run_id = r.run_id AND i.frame IS NULL)"

/** What of that is said to an open wait, and when: as {@link answerTo} reads it. */
const said = `CASE WHEN w.status = 'open' AND w.kind IN ('approval', 'human') THEN (
  SELECT json_object('at', i.at_ms, 'command', json_remove(i.command, '$.value')) FROM smithers_inbox i
  WHERE i.run_id = w.run_id AND i.frame IS NULL
    AND i.command ->> '$._tag' = CASE w.kind WHEN 'approval' THEN 'Decide' ELSE 'Answer' END
    AND i.command ->> '$.nodeId' = w.node_id AND i.command ->> '$.iteration' = w.iteration
    AND coalesce(i.command ->> '$.asked', w.asked) = w.asked AND coalesce(i.command ->> '$.digest', w.digest) IS w.digest
  ORDER BY i.seq LIMIT 1) END`

/** The queries of a connection. */
export const make = ({ prepare }: Connection, plans: Plans): Queries => {
  const selectRuns = prepare<SummaryRow>(listing("TRUE"))
  const isOlder = "(created_at, run_id) < (SELECT created_at, run_id FROM smithers_runs WHERE run_id = ?6)"
  const selectOlderRuns = prepare<SummaryRow>(listing(isOlder))
  const selectTheseRuns = prepare<SummaryRow>(listing(`run_id IN (SELECT value FROM json_each(?7)) AND (?6 IS NULL OR ${isOlder})`))
  const selectRun = prepare<[...SummaryRow, ...DetailsRow]>(
    `SELECT ${summaryColumns}, r.input, r.output, r.failure, ${isTold}, r.cancel,
       (SELECT i.command FROM smithers_inbox i WHERE i.run_id = r.run_id AND i.frame IS NULL AND i.command ->> '$._tag' = 'Cancel'
         ORDER BY i.seq LIMIT 1)
     FROM smithers_runs r WHERE r.run_id = ?`,
  )
  const selectEnd = prepare<[payload: Text]>(lastEnd)
  const selectNodes = prepare<NodeRow>(
    `SELECT node_id, iteration, kind, status, attempt, started_at, finished_at, retry_at, output_table, ${errorOfNode}, passes,
       is_exhausted
     FROM smithers_nodes WHERE run_id = ? ORDER BY node_id, iteration`,
  )
  const selectAttempts = prepare<AttemptRow>(
    `SELECT node_id, iteration, attempt, status, started_at, finished_at, error, heartbeat, heartbeat_at,
       prompt, reply, model, finish_reason, input_tokens, output_tokens, turns
     FROM smithers_attempts WHERE run_id = ? ORDER BY node_id, iteration, attempt`,
  )
  // A statement for each of the three: one whose parameters say what to leave out would read every wait there ever was.
  // Steps that are tried again later are read from their nodes, which know it.
  const selectWaits = (which: string, whichNodes: string) =>
    prepare<WaitRow>(
      `SELECT w.run_id, w.node_id, w.iteration, r.workflow, w.kind, w.status, w.reason, w.since, w.deadline, w.request, w.digest, w.name,
         w.correlation, w.approved, w.note, w.decided_by, w.decided_at, w.ended_at, w.asked, w.times_asked, w.refusals, w.refused,
         ${said}
       FROM smithers_waits w JOIN smithers_runs r USING (run_id)
       WHERE ${which} AND (?2 IS NULL OR w.kind IN (SELECT value FROM json_each(?2))) AND (?5 IS NULL OR (${said} IS NOT NULL) = ?5)
       UNION ALL
       SELECT n.run_id, n.node_id, n.iteration, r.workflow, 'retry', 'open', NULL, coalesce(a.finished_at, n.started_at, 0), n.retry_at, NULL,
         NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, n.attempt, 0, NULL, NULL
       FROM smithers_nodes n JOIN smithers_runs r USING (run_id) LEFT JOIN smithers_attempts a USING (run_id, node_id, iteration, attempt)
       WHERE ${whichNodes} AND (?2 IS NULL OR EXISTS (SELECT 1 FROM json_each(?2) WHERE value = 'retry')) AND coalesce(?5, 0) = 0
       ORDER BY 8, 1, 2, 3 LIMIT ?3`,
    )
  const ofRuns = (table: string) => `${table}.run_id IN (SELECT value FROM json_each(?1))`
  const selectWaitsOfRuns = selectWaits(`${ofRuns("w")} AND (?4 OR w.status = 'open')`, `${ofRuns("n")} AND n.status = 'retrying'`)
  const selectOpenWaits = selectWaits("w.status = 'open'", "n.status = 'retrying'")
  const selectAllWaits = selectWaits("TRUE", "n.status = 'retrying'")
  const selectPlan = prepare<[hash: string]>(
    `SELECT plan_hash FROM smithers_frames WHERE run_id = ? AND frame <= ? AND plan_hash IS NOT NULL ORDER BY frame DESC LIMIT 1`,
  )
  const selectExists = prepare("SELECT 1 FROM smithers_runs WHERE run_id = ?")
  const selectEvents = prepare<EventRow>(
    `SELECT seq, frame, at_ms, type, node_id, iteration, attempt, payload, CASE type WHEN 'AttemptFailed' THEN (
       SELECT a.error FROM smithers_attempts a WHERE a.run_id = e.run_id AND a.node_id = e.node_id
         AND a.iteration = e.iteration AND a.attempt = e.attempt) END
     FROM smithers_events e WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?`,
  )

  return {
    runs: ({ status, workflow = null, tag = null, parent = null, runIds, before, limit = 100 }) => {
      const filter = [status === undefined ? null : JSON.stringify(status), workflow, tag, limit, parent] as const
      if (runIds !== undefined) return selectTheseRuns.values(...filter, before ?? null, JSON.stringify(runIds)).map(summaryOf)
      const rows = before === undefined ? selectRuns.values(...filter) : selectOlderRuns.values(...filter, before)
      return rows.map(summaryOf)
    },
    waits: ({ runId, runIds, kind, all = false, isAnswered, limit = 100 }) => {
      const kinds = kind === undefined ? null : JSON.stringify(kind)
      const answered = isAnswered === undefined ? null : Number(isAnswered)
      const meant = runId === undefined ? runIds : [runId].filter((id) => runIds?.includes(id) ?? true)
      const rows =
        meant === undefined
          ? (all ? selectAllWaits : selectOpenWaits).values(null, kinds, limit, null, answered)
          : selectWaitsOfRuns.values(JSON.stringify(meant), kinds, limit, Number(all), answered)
      return rows.map(waitOf)
    },
    plan: (runId, frame = Number.MAX_SAFE_INTEGER) => {
      if (selectExists.values(runId).length === 0) return Either.left(new RunNotFound({ runId }))
      const found = selectPlan.values(runId, frame)[0]
      return Either.right(found === undefined ? "" : plans.read(found[0]))
    },
    inspect: (runId) => {
      const row = selectRun.values(runId)[0]
      if (row === undefined) return Either.left(new RunNotFound({ runId }))
      const [input, output, failure, isTold, heard, told] = row.slice(17) as DetailsRow
      const run = summaryOf(row)
      return Either.right({
        run,
        input: readOptional(input),
        output: readOptional(output),
        failure: failure === null ? null : readFailure(failure),
        ...strayOf(row[3] === "finished" || row[3] === "failed" ? endOf(selectEnd.values(runId)[0]?.[0]) : {}),
        nodes: selectNodes.values(runId).map((node) => nodeOf(runId, node)),
        attempts: selectAttempts.values(runId).map((attempt) => attemptOf(runId, attempt)),
        isTold: isTold === 1,
        cancel: run.finishedAt === null ? cancelOf(heard, told) : null,
      })
    },
    events: (runId, { afterSeq = 0, limit = 1000 } = {}) => {
      if (selectExists.values(runId).length === 0) return Either.left(new RunNotFound({ runId }))
      return Either.right(selectEvents.values(runId, afterSeq, limit).map((event) => eventOf(runId, event)))
    },
  }
}

const strayOf = ({ strayReads }: Pick<RunDetails, "strayReads">) => (strayReads === undefined ? {} : { strayReads })

const cancelOf = (heard: Text, told: Text): RunDetails["cancel"] => {
  const text = heard ?? told
  if (text === null) return null
  const { reason = null } = JSON.parse(text) as { readonly reason?: string }
  return { reason, isHeard: heard !== null }
}

const summaryOf = (row: SummaryRow | readonly [...SummaryRow, ...DetailsRow]): RunSummary => {
  const [runId, workflow, version, status, tags, createdAt, updatedAt, finishedAt, epoch, owner, leaseUntil, source, ...rest] = row
  const [parentRunId, parentNodeId, parentIteration, isAttached, stuck] = rest as [Text, Text, number | null, number | null, Text]
  const times = { createdAt, updatedAt, finishedAt }
  const claim = { epoch, owner, leaseUntil }
  return {
    runId,
    workflow,
    version,
    status,
    tags: JSON.parse(tags) as Array<string>,
    ...times,
    ...claim,
    source,
    parent: parentOf([parentRunId, parentNodeId, parentIteration, isAttached]),
    stuck: stuck === null ? null : (JSON.parse(stuck) as Stuck),
  }
}

const parentOf = ([runId, nodeId, iteration, isAttached]: readonly [
  Text,
  Text,
  number | null,
  number | null,
]): RunSummary["parent"] => {
  return runId === null || nodeId === null ? null : { runId, nodeId, iteration: iteration ?? 0, isAttached: isAttached === 1 }
}

const errorOf = (text: Text): ErrorInfo | null => (text === null ? null : (JSON.parse(text) as ErrorInfo))

const nodeOf = (runId: string, row: NodeRow): NodeSummary => {
  const [nodeId, iteration, kind, status, attempt, startedAt, finishedAt, retryAt, table, error, passes, exhausted] = row
  const times = { startedAt, finishedAt, retryAt }
  const isExhausted = kind === "loop" ? exhausted === 1 : null
  return { runId, nodeId, iteration, kind, status, attempt, ...times, table, error: errorOf(error), passes, isExhausted }
}

const attemptOf = (runId: string, row: AttemptRow): AttemptSummary => {
  const [nodeId, iteration, attempt, status, startedAt, finishedAt, error, text, heartbeatAt, ...turns] = row
  const heartbeat = readOptional(text) ?? null
  const node = { runId, nodeId, iteration, attempt, status, startedAt, finishedAt, error: errorOf(error) }
  return { ...node, heartbeat, heartbeatAt, turns: Turns.read(turns) }
}

const waitOf = (row: WaitRow): WaitSummary => {
  const [runId, nodeId, iteration, workflow, kind, status, reason, since, ...rest] = row
  const [deadline, request, digest, name, correlation, ...decided] = rest
  const [approved, note, by, decidedAt, endedAt, asked, timesAsked, refusals, refused, said] = decided
  const place = { runId, nodeId, iteration, workflow, kind, status, reason, since, asked, timesAsked, deadline }
  const shown = {
    requestId: requestIdOf({ kind, asked, digest }),
    request: readOptional(request) ?? null,
    digest,
    name,
    correlation,
  }
  const decision = { approved: approved === null ? null : approved === 1, note, by, decidedAt, endedAt, isAnswered: false }
  const problems = refused === null ? null : (JSON.parse(refused) as ReadonlyArray<string>)
  const wait: WaitSummary = { ...place, ...shown, ...decision, refusals, refused: problems }
  if (said === null) return wait
  return { ...wait, ...answerTo(JSON.parse(said) as { readonly at: Millis; readonly command: Instruction }, wait) }
}

const eventOf = (runId: string, [seq, frame, at, type, nodeId, iteration, attempt, payload, error]: EventRow): LoggedEvent => {
  const { failure, ...fields } = JSON.parse(payload ?? "{}") as { readonly failure?: unknown }
  const event = {
    _tag: type,
    ...(nodeId === null ? {} : { nodeId }),
    ...(iteration === null ? {} : { iteration }),
    ...(attempt === null ? {} : { attempt }),
    ...fields,
    ...(error === null ? {} : { error: errorOf(error) }),
    ...(failure === undefined ? {} : { failure: readFailure(JSON.stringify(failure)) }),
  }
  // It was an event when it was written.
  return { runId, seq, frame, at, event: event as unknown as RunEvent }
}
