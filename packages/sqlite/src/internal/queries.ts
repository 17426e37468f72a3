/**
 * Queries of people and tools: the list of runs, the details of a run, and its log.
 *
 * These are prepared statements on the store's connection rather than a client of `@effect/sql` on a second one. A reader in the
 * same thread gains nothing from its own connection, `:memory:` cannot have a second one, and loading the client would double the
 * time of listing runs from a cold start.
 */
import type { Json } from "@smithers/core/Codec"
import type { StoredGeneration } from "@smithers/core/CodeGeneration"
import * as DerivedStatus from "@smithers/core/DerivedStatus"
import { type ErrorInfo, RunNotFound } from "@smithers/core/Errors"
import { nodeKey } from "@smithers/core/Ids"
import type { Command, InboxMessage } from "@smithers/core/Inbox"
import type { Stuck } from "@smithers/core/RunOwnership"
import {
  type AttemptSummary,
  hidesContinued,
  isTimedOut,
  type LoggedEvent,
  lowered,
  type NodeSummary,
  type OpenWait,
  type RunDetails,
  type RunFilter,
  type RunOverview,
  type RunSummary,
  requestIdOf,
  type StoreStatistics,
  type WaitFilter,
  type WaitName,
  type WaitSummary,
  withoutContent,
} from "@smithers/core/RunReader"
import * as Status from "@smithers/core/Status"
import * as Events from "@smithers/sql/Events"
import { readOptional } from "@smithers/sql/Json"
import { inList } from "@smithers/sql/Lists"
import * as Rows from "@smithers/sql/Rows"
import type { Texts } from "@smithers/sql/Turns"
import * as Turns from "@smithers/sql/Turns"
import * as Either from "effect/Either"
import type { Connection } from "./connection.ts"
import * as Owner from "./owner.ts"
import type { Plans } from "./plans.ts"
import { errorOfNode } from "./states.ts"

export interface Queries {
  readonly runs: (filter: RunFilter, now: number) => ReadonlyArray<RunSummary>
  readonly waits: (filter: WaitFilter) => ReadonlyArray<WaitSummary>
  readonly plan: (runId: string, frame: number | undefined) => Either.Either<string, RunNotFound>
  readonly find: (prefix: string, limit: number) => ReadonlyArray<string>
  readonly run: (runId: string, now: number) => Either.Either<RunOverview, RunNotFound>
  readonly wait: (name: WaitName) => WaitSummary | undefined
  /** Lists the runs that have not ended or that a process works on; one of both kinds twice. */
  readonly openRuns: () => ReadonlyArray<readonly [runId: string, workflow: string]>
  /** Counts all other runs. */
  readonly endedCounts: () => StoreStatistics["runs"]
  /** Derives the shown statuses of runs. */
  readonly statuses: (runIds: ReadonlyArray<string>, now: number) => ReadonlyMap<string, Status.ShownStatus>
  readonly waitCounts: () => StoreStatistics["waits"]
  readonly pendingCount: () => Pick<StoreStatistics, "pendingCommands" | "oldestCommandAt">
  readonly inspect: (runId: string, now: number) => Either.Either<RunDetails, RunNotFound>
  readonly generations: (runId: string) => ReadonlyArray<StoredGeneration>
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
  status: Status.RunStatus,
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
  isPaused: number | null,
  children: number,
  forkedFrom: Text,
  forkedFrame: number | null,
  forkedSeq: number | null,
  continuedAs: Text,
  first: Text,
  generation: number | null,
]

type DetailsRow = [input: Text, output: Text, ending: Text, failure: Text, cancel: Text, toldCancel: Text, deadline: Time]

type FactsRow = [
  runId: string,
  status: Status.RunStatus,
  owner: Text,
  leaseUntil: Time,
  isPaused: number | null,
  isRetrying: number,
  isQueued: number,
  newest: Text,
]

type OpenRow = [
  runId: string,
  nodeId: string,
  iteration: number,
  kind: WaitSummary["kind"],
  since: number,
  requestSeq: number,
  deadline: Time,
  digest: Text,
  name: Text,
  correlation: Text,
  request: Text,
]

type CommandRow = [runId: string, id: string, at: number, command: string]

type GenerationRow = [generation: number, hash: Text, files: Text, at: number]

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
  isSoft: number | null,
  boundary: Text,
]

type AttemptRow = [
  nodeId: string,
  iteration: number,
  attempt: number,
  status: AttemptSummary["status"],
  startedAt: Time,
  finishedAt: Time,
  error: Text,
  cachedFrom: Text,
  codeGeneration: number | null,
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
  requestSeq: number,
  requestCount: number,
  refusals: number,
  refused: Text,
]

/** The cancellation of a paused run proceeds. */
const isPaused = "r.paused_at IS NOT NULL AND r.cancel IS NULL"

/** The time of the last change of a run. */
const lastChange = (run: string): string =>
  `max(${run}.updated_at, coalesce((SELECT at_ms FROM smithers_events WHERE run_id = ${run}.run_id ORDER BY seq DESC LIMIT 1), 0))`

const summaryColumns = `r.run_id, r.workflow, r.version, r.status, r.tags, r.created_at, ${lastChange("r")},
  r.finished_at, r.epoch, r.owner, r.lease_until, r.source, r.parent_run_id, r.parent_node_id, r.parent_iteration, r.is_attached,
  r.stuck, ${isPaused}, (SELECT count(*) FROM smithers_runs c WHERE c.parent_run_id = r.run_id),
  r.forked_from, r.forked_frame, r.forked_seq, r.continued_as, r.chain, r.chain_generation`

const ended = inList(Status.endedStatuses)

/**
 * Returns the query of a page of runs. The page is found in the index alone, and only its runs are read. The shown status depends
 * on more than the row, so this only excludes ended runs, if none are requested.
 */
const listing = (page: string): string => `
  SELECT ${summaryColumns} FROM smithers_runs r JOIN (
    SELECT run_id FROM smithers_runs
    WHERE ${page}
      AND (?1 IS NULL OR status NOT IN ${ended} OR status IN (SELECT value FROM json_each(?1))
        OR run_id IN (SELECT run_id FROM smithers_runs WHERE owner IS NOT NULL))
      AND (?2 IS NULL OR workflow = ?2)
      AND (?3 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?3))
      AND (?5 IS NULL OR run_id IN (SELECT run_id FROM smithers_runs WHERE parent_run_id = ?5))
      AND (?8 IS NULL OR (parent_run_id IS NOT NULL) = ?8)
      AND (?9 IS NULL OR run_id IN (SELECT run_id FROM smithers_runs WHERE forked_from = ?9))
      AND (?10 OR status <> 'continued')
      AND (?11 IS NULL OR instr(lower(run_id), ?11) OR instr(lower(workflow), ?11)
        OR EXISTS (SELECT 1 FROM json_each(tags) WHERE instr(lower(value), ?11)))
      AND (?12 IS NULL OR (status NOT IN ${ended} AND ${lastChange("smithers_runs")} < ?12))
    ORDER BY created_at DESC, run_id DESC LIMIT ?4
  ) USING (run_id) ORDER BY r.created_at DESC, r.run_id DESC`

/** Number of runs read at once when the filter applies to the decoded run. */
const batch = 200

const theseRuns = "IN (SELECT value FROM json_each(?1))"

/** Creates the queries of a connection. */
export const make = ({ prepare }: Connection, plans: Plans, texts: Texts): Queries => {
  const selectRuns = prepare<SummaryRow>(listing("TRUE"))
  const isOlder = "(created_at, run_id) < (SELECT created_at, run_id FROM smithers_runs WHERE run_id = ?6)"
  const selectOlderRuns = prepare<SummaryRow>(listing(isOlder))
  const selectTheseRuns = prepare<SummaryRow>(listing(`run_id IN (SELECT value FROM json_each(?7)) AND (?6 IS NULL OR ${isOlder})`))
  const selectChildren = prepare<[runId: string]>("SELECT run_id FROM smithers_runs WHERE parent_run_id = ?")
  const selectForks = prepare<[runId: string]>(
    "SELECT run_id FROM smithers_runs WHERE forked_from = ? AND forked_frame BETWEEN ? AND ?",
  )
  const selectRun = prepare<[...SummaryRow, ...DetailsRow]>(
    `SELECT ${summaryColumns}, r.input, r.output, r.ending, r.failure, r.cancel,
       (SELECT i.command FROM smithers_inbox i WHERE i.run_id = r.run_id AND i.frame IS NULL AND i.command ->> '$._tag' = 'Cancel'
         ORDER BY i.seq LIMIT 1), r.deadline
     FROM smithers_runs r WHERE r.run_id = ?`,
  )
  const selectFacts = prepare<FactsRow>(
    `SELECT r.run_id, r.status, r.owner, r.lease_until, ${isPaused}, EXISTS (
       SELECT 1 FROM smithers_nodes n WHERE n.run_id = r.run_id AND n.status IN ${inList(Status.pendingStatuses)} AND n.status = 'retrying'),
       r.status = 'waiting' AND r.owner IS NULL AND EXISTS (
         SELECT 1 FROM smithers_slots s WHERE s.run_id = r.run_id AND s.status <> 'spent' AND s.status = 'waiting' AND s.owner IS NULL),
       iif(r.continued_as IS NULL, NULL, (
         SELECT c.run_id FROM smithers_runs c WHERE c.chain = coalesce(r.chain, r.run_id) ORDER BY c.chain_generation DESC LIMIT 1))
     FROM smithers_runs r WHERE r.run_id ${theseRuns}`,
  )
  const selectOpen = prepare<OpenRow>(
    `SELECT run_id, node_id, iteration, kind, since, request_seq, deadline, digest, name, correlation, iif(kind = 'signal', request, NULL)
     FROM smithers_waits
     WHERE run_id ${theseRuns} AND status = 'open' ORDER BY since, run_id, request_seq, node_id, iteration`,
  )
  // Pending commands are few. By itself, SQLite may scan all commands.
  const selectPending = prepare<CommandRow>(
    `SELECT run_id, id, at_ms, command FROM smithers_inbox INDEXED BY smithers_inbox_pending
     WHERE frame IS NULL AND run_id ${theseRuns} ORDER BY seq`,
  )
  const selectAllPending = prepare<CommandRow>(
    "SELECT run_id, id, at_ms, command FROM smithers_inbox INDEXED BY smithers_inbox_pending WHERE frame IS NULL ORDER BY seq",
  )
  const selectActive = prepare("SELECT 1 FROM smithers_nodes WHERE run_id = ? AND kind = 'step' AND status = 'running' LIMIT 1")
  const selectNodes = prepare<NodeRow>(
    `SELECT node_id, iteration, kind, status, attempt, started_at, finished_at, retry_at, output_table, ${errorOfNode}, passes,
       is_exhausted, is_soft, CASE WHEN kind = 'boundary' THEN detail END
     FROM smithers_nodes WHERE run_id = ? ORDER BY node_id, iteration`,
  )
  // Ended attempts, and running ones.
  const selectAttempts = prepare<AttemptRow>(
    `SELECT node_id, iteration, attempt, status, started_at, finished_at, error, cached_from, code_generation, ${Turns.columns.join(", ")}
     FROM smithers_attempts WHERE run_id = ?1
     UNION ALL
     SELECT node_id, iteration, attempt, status, coalesce(attempted_at, started_at), NULL, NULL, NULL, detail ->> '$.codeGeneration', ${Turns.columns.map(() => "NULL").join(", ")}
     FROM smithers_nodes WHERE run_id = ?1 AND kind = 'step' AND status = 'running'
     ORDER BY 1, 2, 3`,
  )
  const selectGenerations = prepare<GenerationRow>(
    "SELECT generation, hash, files, at_ms FROM smithers_generations WHERE run_id = ? ORDER BY generation",
  )
  const selectBeats = prepare<[nodeId: string, iteration: number, attempt: number, at: number, details: string]>(
    `SELECT node_id, iteration, attempt, at_ms, details FROM smithers_heartbeats WHERE run_id = ? ORDER BY node_id, iteration, attempt, seq`,
  )
  // Three statements, since one with optional parameters would read all waits. Later retries are read from their nodes.
  const waitColumns = `w.run_id, w.node_id, w.iteration, r.workflow, w.kind, w.status, w.reason, w.since,
    iif(w.status = 'withdrawn', NULL, w.deadline), w.request, w.digest, w.name, w.correlation, w.approved, w.note, w.decided_by, w.decided_at,
    w.ended_at, w.request_seq, w.request_count, coalesce(w.refusals, 0), w.refused`
  const selectWait = prepare<WaitRow>(
    `SELECT ${waitColumns} FROM smithers_waits w JOIN smithers_runs r USING (run_id)
     WHERE w.run_id = ?1 AND w.node_id = ?2 AND w.kind = ?3 AND (?4 IS NULL OR w.iteration = ?4) AND (?5 IS NULL OR w.request_seq = ?5)
     ORDER BY w.status = 'open' DESC, CASE w.status WHEN 'open' THEN -w.since ELSE w.since END DESC, w.iteration DESC LIMIT 1`,
  )
  const selectWaits = (which: string, whichNodes: string) =>
    prepare<WaitRow>(
      `SELECT ${waitColumns}
       FROM smithers_waits w JOIN smithers_runs r USING (run_id)
       WHERE ${which} AND (?2 IS NULL OR w.kind IN (SELECT value FROM json_each(?2)))
       UNION ALL
       SELECT n.run_id, n.node_id, n.iteration, r.workflow, 'retry', 'open', NULL, coalesce(a.finished_at, n.started_at, 0), n.retry_at, NULL,
         NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, n.attempt, 0, NULL
       FROM smithers_nodes n JOIN smithers_runs r USING (run_id) LEFT JOIN smithers_attempt_rows a USING (run_id, node_id, iteration, attempt)
       WHERE ${whichNodes} AND (?2 IS NULL OR EXISTS (SELECT 1 FROM json_each(?2) WHERE value = 'retry'))
       ORDER BY 8, 1, 19, 2, 3 LIMIT ?3`,
    )
  const ofRuns = (table: string) => `${table}.run_id IN (SELECT value FROM json_each(?1))`
  const selectWaitsOfRuns = selectWaits(`${ofRuns("w")} AND (?4 OR w.status = 'open')`, `${ofRuns("n")} AND n.status = 'retrying'`)
  const selectOpenWaits = selectWaits("w.status = 'open'", "n.status = 'retrying'")
  const selectAllWaits = selectWaits("TRUE", "n.status = 'retrying'")
  const selectPlan = prepare<[hash: string]>(
    `SELECT plan_hash FROM smithers_frames WHERE run_id = ? AND frame <= ? AND plan_hash IS NOT NULL ORDER BY frame DESC LIMIT 1`,
  )
  // The last code point, as the upper bound of a prefix.
  const selectIds = prepare<[runId: string]>(
    "SELECT run_id FROM smithers_runs WHERE run_id >= ?1 AND run_id < ?1 || char(1114111) ORDER BY run_id LIMIT ?2",
  )
  const selectLastSeq = prepare<[seq: number]>("SELECT seq FROM smithers_events WHERE run_id = ? ORDER BY seq DESC LIMIT 1")
  const selectExists = prepare("SELECT 1 FROM smithers_runs WHERE run_id = ?")
  const selectEvents = prepare<Events.Row>(
    `SELECT ${Events.columns} FROM smithers_events e WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?`,
  )

  const selectEndedCounts = prepare<[workflow: string, status: Status.ShownStatus, count: number]>(
    `SELECT workflow, status, count(*) FROM smithers_runs INDEXED BY smithers_runs_created
     WHERE status IN ${ended} AND run_id NOT IN (SELECT run_id FROM smithers_runs WHERE owner IS NOT NULL) GROUP BY workflow, status`,
  )
  const selectOpenRuns = prepare<[runId: string, workflow: string]>(
    `SELECT run_id, workflow FROM smithers_runs INDEXED BY smithers_runs_created WHERE status NOT IN ${ended}
     UNION ALL SELECT run_id, workflow FROM smithers_runs WHERE owner IS NOT NULL`,
  )
  const selectWaitCounts = prepare<[kind: WaitSummary["kind"], count: number, oldestSince: number]>(
    `SELECT kind, count(*), min(since) FROM smithers_waits WHERE status = 'open' GROUP BY kind
     UNION ALL
     SELECT 'retry', count(*), coalesce(min(coalesce(a.finished_at, n.started_at, 0)), 0)
     FROM smithers_nodes n INDEXED BY smithers_nodes_retrying LEFT JOIN smithers_attempt_rows a USING (run_id, node_id, iteration, attempt)
     WHERE n.status = 'retrying'`,
  )
  const selectPendingCount = prepare<[count: number, oldest: Time]>(
    "SELECT count(*), min(at_ms) FROM smithers_inbox INDEXED BY smithers_inbox_pending WHERE frame IS NULL",
  )

  const generationsOf: Queries["generations"] = (runId) =>
    selectGenerations.values(runId).map(([generation, hash, files, at]) => ({
      generation,
      code: hash === null || files === null ? null : { hash, files: JSON.parse(files) as ReadonlyArray<string> },
      at,
    }))

  const selectOriginal = prepare<[runId: string]>(
    "SELECT forked_from FROM smithers_runs WHERE run_id = ?1 AND forked_from IS NOT NULL AND forked_frame >= ?2",
  )
  /** The run that has logged a frame of a run: of a fork the original, up to the cut. */
  const logOf = (runId: string, frame: number): string => {
    const original = selectOriginal.values(runId, frame)[0]?.[0]
    return original === undefined ? runId : logOf(original, frame)
  }

  /** Groups pending commands by run. */
  const pendingOf = (rows: ReadonlyArray<CommandRow>): ReadonlyMap<string, ReadonlyArray<InboxMessage>> =>
    Map.groupBy(
      // They were valid commands when written.
      rows.map(
        ([runId, id, at, command]): InboxMessage => ({
          runId,
          id,
          at: at as InboxMessage["at"],
          command: JSON.parse(command) as Command,
        }),
      ),
      ({ runId }) => runId,
    )

  const lookup =
    (now: number): DerivedStatus.Lookup =>
    (runIds) => {
      const rows = selectFacts.values(JSON.stringify(runIds))
      const open = JSON.stringify(
        rows.flatMap(([runId, status, owner]) => (Status.isEnded(status) && owner === null ? [] : [runId])),
      )
      const waits = Map.groupBy(selectOpen.values(open), ([runId]) => runId)
      const commands = pendingOf(selectPending.values(open))
      return new Map(
        rows.map(([runId, stored, owner, leaseUntil, isPaused, isRetrying, isQueued, newest]) => {
          const facts: DerivedStatus.Facts = {
            stored,
            owner: owner === null ? "none" : Owner.isWorking({ owner, leaseUntil }, now) ? "alive" : "gone",
            isPaused: isPaused === 1,
            commands: commands.get(runId) ?? [],
            waits: (waits.get(runId) ?? []).map(openOf),
            isRetrying: isRetrying === 1,
            isQueued: isQueued === 1,
            ...(newest === null ? {} : { newest }),
            isActive: () => selectActive.values(runId).length > 0,
          }
          return [runId, facts] as const
        }),
      )
    }
  const summariesOf = (rows: ReadonlyArray<SummaryRow>, now: number): ReadonlyArray<RunSummary> => {
    const statuses = DerivedStatus.statuses(
      rows.map(([runId]) => runId),
      lookup(now),
    )
    return rows.map((row) => summaryOf(row, statuses.get(row[0]) as Status.ShownStatus))
  }

  const standingOf = (
    row: readonly [...SummaryRow, ...DetailsRow],
    commands: ReadonlyArray<InboxMessage>,
    now: number,
  ): RunOverview => {
    const [, , , , heard, told, deadline] = row.slice(summarySize) as [...DetailsRow]
    return {
      run: summariesOf([row.slice(0, summarySize) as SummaryRow], now)[0] as RunSummary,
      seq: selectLastSeq.values(row[0])[0]?.[0] ?? 0,
      hasPendingCommands: commands.length > 0,
      leaving: DerivedStatus.leaving(commands),
      cancel: row[7] === null ? cancelOf(heard, told) : null,
      ...(deadline === null ? {} : { deadline }),
    }
  }

  return {
    runs: (filter, now) => {
      const { status, workflow = null, tag = null, isChild, parent = null, forkedFrom = null, runIds, before, limit = 100 } = filter
      const { text, changedBefore = null, forkedAt } = filter
      const wanted = status === undefined ? null : JSON.stringify(status)
      const size = status === undefined ? limit : Math.max(limit, batch)
      // Few runs have relatives: an index finds those, where a page of all runs would be walked to its end.
      const relatives =
        forkedAt !== undefined
          ? selectForks.values(forkedAt.runId, forkedAt.first, forkedAt.last)
          : parent !== null
            ? selectChildren.values(parent)
            : forkedFrom !== null
              ? selectForks.values(forkedFrom, 0, Number.MAX_SAFE_INTEGER)
              : undefined
      const those = relatives?.map(([runId]) => runId)
      const meant =
        runIds === undefined || those === undefined ? (runIds ?? those) : those.filter((runId) => runIds.includes(runId))
      const these = meant === undefined ? null : JSON.stringify(meant)
      const child = isChild === undefined ? null : Number(isChild)
      const page = (after: string | undefined) => {
        const which = [wanted, workflow, tag, size, parent] as const
        const wantedText = text === undefined ? null : lowered(text)
        const rest = [child, forkedFrom, Number(!hidesContinued(filter)), wantedText, changedBefore] as const
        if (these !== null) return selectTheseRuns.values(...which, after ?? null, these, ...rest)
        return after === undefined
          ? selectRuns.values(...which, null, null, ...rest)
          : selectOlderRuns.values(...which, after, null, ...rest)
      }
      const found: Array<RunSummary> = []
      for (let after = before; ; ) {
        const rows = page(after)
        const shown = summariesOf(rows, now)
        found.push(...(status === undefined ? shown : shown.filter((run) => status.includes(run.status))))
        if (found.length >= limit || rows.length < size) return found.slice(0, limit)
        after = rows.at(-1)?.[0]
      }
    },
    waits: ({ runId, runIds, kind, all = false, isAnswered, limit = 100 }) => {
      const kinds = kind === undefined ? null : JSON.stringify(kind)
      const meant = runId === undefined ? runIds : [runId].filter((id) => runIds?.includes(id) ?? true)
      const these = meant === undefined ? undefined : JSON.stringify(meant)
      const commands = pendingOf(these === undefined ? selectAllPending.values() : selectPending.values(these))
      // At most as many waits as commands have an answer.
      const most = [...commands.values()].reduce((count, of) => count + of.length, limit)
      const rows =
        these === undefined
          ? (all ? selectAllWaits : selectOpenWaits).values(null, kinds, most)
          : selectWaitsOfRuns.values(these, kinds, most, Number(all))
      const answers = answersOf(rows, commands)
      return rows
        .map((row) => waitOf(row, answers.get(row)))
        .filter((wait) => isAnswered === undefined || wait.isAnswered === isAnswered)
        .slice(0, limit)
    },
    plan: (runId, frame = Number.MAX_SAFE_INTEGER) => {
      if (selectExists.values(runId).length === 0) return Either.left(new RunNotFound({ runId }))
      const found = selectPlan.values(logOf(runId, frame), frame)[0]
      return Either.right(found === undefined ? "" : plans.read(found[0]))
    },
    openRuns: () => selectOpenRuns.values(),
    endedCounts: () => selectEndedCounts.values().map(([workflow, status, count]) => ({ workflow, status, count })),
    statuses: (runIds, now) => DerivedStatus.statuses(runIds, lookup(now)),
    waitCounts: () =>
      selectWaitCounts.values().flatMap(([kind, count, oldestSince]) => (count === 0 ? [] : [{ kind, count, oldestSince }])),
    pendingCount: () => {
      const [pendingCommands, oldestCommandAt] = selectPendingCount.values()[0] ?? [0, null]
      return { pendingCommands, oldestCommandAt }
    },
    find: (prefix, limit) => selectIds.values(prefix, limit).map(([runId]) => runId),
    run: (runId, now) => {
      const row = selectRun.values(runId)[0]
      if (row === undefined) return Either.left(new RunNotFound({ runId }))
      return Either.right(standingOf(row, lookup(now)([runId]).get(runId)?.commands ?? [], now))
    },
    wait: ({ runId, nodeId, kind, iteration = null, requestSeq = null }) => {
      const row = selectWait.values(runId, nodeId, kind, iteration, requestSeq)[0]
      if (row === undefined) return undefined
      const these = JSON.stringify([runId])
      const commands = pendingOf(selectPending.values(these)).get(runId) ?? []
      // A signal is for the first matching open wait.
      const open = commands.length === 0 ? [] : selectOpen.values(these).map(openOf)
      const found = [...DerivedStatus.answers(open, commands)].find(([wait]) => wait.nodeId === row[1] && wait.iteration === row[2])
      return waitOf(row, found?.[1])
    },
    inspect: (runId, now) => {
      const row = selectRun.values(runId)[0]
      if (row === undefined) return Either.left(new RunNotFound({ runId }))
      const [input, output, ending, failure] = row.slice(summarySize) as [...DetailsRow]
      const known = lookup(now)([runId]).get(runId) as DerivedStatus.Facts
      const answers = DerivedStatus.answers(known.waits, known.commands)
      const answerTo = new Map([...answers].map(([wait, command]) => [nodeKey(wait.nodeId, wait.iteration), command]))
      const isOwned = known.owner === "alive"
      const nodes = selectNodes.values(runId).map((row) => {
        const node = nodeOf(runId, row)
        return { ...node, status: DerivedStatus.nodeStatus(node, isOwned, answerTo.get(nodeKey(node.nodeId, node.iteration))) }
      })
      const beats = new Map<string, Beat>()
      for (const [nodeId, iteration, attempt, at, details] of selectBeats.values(runId))
        beats.set(`${nodeKey(nodeId, iteration)}/${attempt}`, { heartbeatAt: at, heartbeat: JSON.parse(details) as Json })
      const generations = generationsOf(runId)
      const attempts = selectAttempts.values(runId).map((row) => {
        const attempt = attemptOf(runId, row, beats, texts)
        return attempt.status === "running" && !isOwned ? { ...attempt, status: "interrupted" as const } : attempt
      })
      return Either.right({
        ...standingOf(row, known.commands, now),
        input: readOptional(input),
        output: readOptional(output),
        failure: failure === null ? null : Rows.readFailure(failure),
        ...strayOf(Rows.readEnding(ending)),
        nodes,
        attempts,
        ...(generations.length === 0 ? {} : { generations }),
      })
    },
    generations: generationsOf,
    events: (runId, { afterSeq = 0, limit = 1000 } = {}) => {
      if (selectExists.values(runId).length === 0) return Either.left(new RunNotFound({ runId }))
      return Either.right(selectEvents.values(runId, afterSeq, limit).map((row) => shown(runId, Events.read(row))))
    },
  }
}

const strayOf = ({ strayReads }: ReturnType<typeof Rows.readEnding>) => (strayReads === undefined ? {} : { strayReads })

const cancelOf = (heard: Text, told: Text): RunDetails["cancel"] => {
  const text = heard ?? told
  if (text === null) return null
  const { reason = null, deadline } = JSON.parse(text) as { readonly reason?: string; readonly deadline?: number }
  return { reason, isDelivered: heard !== null, ...(deadline === undefined ? {} : { deadline }) }
}

/** Number of columns of a summary. */
const summarySize = 25

const summaryOf = (row: SummaryRow, status: Status.ShownStatus): RunSummary => {
  const [runId, workflow, version, , tags, createdAt, updatedAt, finishedAt, epoch, owner, leaseUntil, source, ...rest] = row
  const [parentRunId, parentNodeId, parentIteration, isAttached, stuck, isPaused, children, ...links] = rest
  const [forkedFrom, forkedFrame, forkedSeq, continuedAs, first, generation] = links
  const times = { createdAt, updatedAt, finishedAt }
  const claim = { epoch, owner, leaseUntil }
  return {
    runId,
    workflow,
    version,
    status,
    isPaused: isPaused === 1,
    tags: JSON.parse(tags) as Array<string>,
    ...times,
    ...claim,
    source,
    parent: parentOf([parentRunId, parentNodeId, parentIteration, isAttached]),
    children,
    forkedFrom: forkedFrom === null ? null : { runId: forkedFrom, frame: forkedFrame ?? 0, seq: forkedSeq ?? 0 },
    stuck: stuck === null ? null : (JSON.parse(stuck) as Stuck),
    ...(continuedAs === null ? {} : { continuedAs }),
    ...(first === null || generation === null ? {} : { chain: { first, generation } }),
  }
}

const openOf = (row: OpenRow): OpenWait => {
  const [, nodeId, iteration, kind, since, requestSeq, deadline, digest, name, correlation, request] = row
  const shown = { digest, name, correlation, request: readOptional(request) ?? null }
  return { nodeId, iteration, kind, status: "open", since, requestSeq, deadline, ...shown }
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
  const [
    nodeId,
    iteration,
    kind,
    status,
    attempt,
    startedAt,
    finishedAt,
    retryAt,
    table,
    error,
    passes,
    exhausted,
    soft,
    boundary,
  ] = row
  const times = { startedAt, finishedAt, retryAt }
  const isExhausted = kind === "loop" ? exhausted === 1 : null
  const failure = { error: errorOf(error), isSoft: soft === 1 }
  const region = boundary === null ? {} : DerivedStatus.regionOf(Rows.readBoundary(boundary))
  return { runId, nodeId, iteration, kind, status, attempt, ...times, table, ...failure, passes, isExhausted, ...region }
}

/** Details of the last heartbeat of an attempt. */
type Beat = Pick<AttemptSummary, "heartbeat" | "heartbeatAt">

const attemptOf = (runId: string, row: AttemptRow, beats: ReadonlyMap<string, Beat>, texts: Texts): AttemptSummary => {
  const [nodeId, iteration, attempt, status, startedAt, finishedAt, error, cachedFrom, codeGeneration, ...turns] = row
  const { heartbeat = null, heartbeatAt = null } = beats.get(`${nodeKey(nodeId, iteration)}/${attempt}`) ?? {}
  const node = { runId, nodeId, iteration, attempt, status, startedAt, finishedAt, error: errorOf(error), cachedFrom }
  const code = codeGeneration === null ? {} : { codeGeneration }
  return { ...node, ...code, heartbeat, heartbeatAt, turns: Turns.read(turns, texts) }
}

/** Returns the answers that have arrived for open waits, of any runs. */
const answersOf = (
  rows: ReadonlyArray<WaitRow>,
  commands: ReadonlyMap<string, ReadonlyArray<InboxMessage>>,
): ReadonlyMap<WaitRow, InboxMessage> => {
  const found = new Map<WaitRow, InboxMessage>()
  if (commands.size === 0) return found
  for (const [runId, waits] of Map.groupBy(rows, ([runId]) => runId)) {
    const open = waits.flatMap((row) => (row[5] === "open" ? [{ row, ...waitOf(row, undefined) }] : []))
    for (const [{ row }, command] of DerivedStatus.answers(open, commands.get(runId) ?? [])) found.set(row, command)
  }
  return found
}

const waitOf = (row: WaitRow, answer: InboxMessage | undefined): WaitSummary => {
  const [runId, nodeId, iteration, workflow, kind, status, reason, since, ...rest] = row
  const [deadline, request, digest, name, correlation, ...decided] = rest
  const [approved, note, by, decidedAt, endedAt, requestSeq, requestCount, refusals, refused] = decided
  const summary = { runId, nodeId, iteration, workflow, kind, status, reason, since, requestSeq, requestCount, deadline }
  const shown = {
    requestId: requestIdOf({ kind, requestSeq, digest }),
    request: readOptional(request) ?? null,
    digest,
    name,
    correlation,
  }
  const decision = {
    approved: approved === null ? null : approved === 1,
    note,
    by,
    decidedAt,
    timedOut: isTimedOut({ kind, status, decidedAt }),
    endedAt,
    isAnswered: false,
  }
  const problems = refused === null ? null : (JSON.parse(refused) as ReadonlyArray<string>)
  const wait: WaitSummary = { ...summary, ...shown, ...decision, refusals, refused: problems }
  return { ...wait, ...DerivedStatus.answered(wait, answer) }
}

const shown = (runId: string, logged: Omit<LoggedEvent, "runId">): LoggedEvent => ({
  ...logged,
  runId,
  event: withoutContent(logged.event),
})
