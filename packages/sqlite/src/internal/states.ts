/**
 * Loads the state of a run from its rows: finished steps by the few columns that they use, and outputs with one SELECT per table.
 * An earlier state has the rows of steps that had finished by then and were not reset since. The rest is folded from the log,
 * whose events are completed with content from other tables.
 */

import type * as Budget from "@smithers/core/Budget"
import * as Changes from "@smithers/core/Changes"
import type { Json } from "@smithers/core/Codec"
import { type ErrorInfo, RunNotFound } from "@smithers/core/Errors"
import * as History from "@smithers/core/History"
import { type NodeKey, nodeKey } from "@smithers/core/Ids"
import type { Millis } from "@smithers/core/Millis"
import * as Records from "@smithers/core/Records"
import type { RunEvent } from "@smithers/core/RunEvent"
import type * as RunState from "@smithers/core/RunState"
import type { CachedOutput, CacheQuery } from "@smithers/core/RunStore"
import * as Status from "@smithers/core/Status"
import * as Events from "@smithers/sql/Events"
import { readOptional } from "@smithers/sql/Json"
import { inList } from "@smithers/sql/Lists"
import * as Reads from "@smithers/sql/Reads"
import * as Rows from "@smithers/sql/Rows"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Connection } from "./connection.ts"
import * as Forks from "./forks.ts"
import type { Outputs } from "./outputs.ts"
import { hash } from "./plans.ts"

export interface States {
  readonly load: (runId: string, at?: History.Moment) => Either.Either<RunState.RunState, RunNotFound>
  readonly history: (runId: string) => Either.Either<History.RunHistory, RunNotFound>
  readonly cached: (query: CacheQuery) => Option.Option<CachedOutput>
}

type Text = string | null

type RunRow = [
  workflow: string,
  version: Text,
  status: RunState.RunState["status"],
  cancel: Text,
  failure: Text,
  input: Text,
  output: Text,
  ending: Text,
  frame: number,
  seq: number,
  pausedAt: Millis | null,
  parentRunId: Text,
  parentNodeId: Text,
  parentIteration: number | null,
  isAttached: number | null,
  budgets: Text,
  deadline: Millis | null,
  depth: number | null,
  continuedAs: Text,
  first: Text,
  generation: number | null,
  startAt: Millis | null,
  ...fork: Forks.ForkRow,
]

/** Content of a run's log that its row holds. `seq` is the number of its last event. */
interface Content {
  readonly input: Json | undefined
  readonly output: Json | undefined
  readonly seq: number
}

/** Statuses of steps whose latest attempt has the error of the step. */
const withError = inList(Status.StepStatus.pipe(Schema.pickLiteral("retrying", "failed")).literals)

/** SQL for the error of a node: its own if it failed without an attempt, otherwise that of its latest attempt. */
export const errorOfNode = `coalesce(error, CASE WHEN status IN ${withError} THEN (
  SELECT a.error FROM smithers_attempt_rows a WHERE a.run_id = smithers_nodes.run_id AND a.node_id = smithers_nodes.node_id
    AND a.iteration = smithers_nodes.iteration AND a.attempt = smithers_nodes.attempt) END)`

/** Creates the reader of states. */
export const make = ({ prepare }: Connection, outputs: Outputs): States => {
  const selectRun = prepare<RunRow>(
    `SELECT workflow, version, status, cancel, failure, input, output, ending,
       max((SELECT coalesce(max(frame), 0) FROM smithers_frames WHERE run_id = ?1),
         coalesce((SELECT frame FROM smithers_events WHERE run_id = ?1 ORDER BY seq DESC LIMIT 1), 0)),
       (SELECT coalesce(max(seq), 0) FROM smithers_events WHERE run_id = ?1),
       paused_at, parent_run_id, parent_node_id, parent_iteration, is_attached, budgets, deadline, depth, continued_as, chain, chain_generation, start_at,
       ${Forks.columns}
     FROM smithers_runs WHERE run_id = ?1`,
  )
  const selectFinished = prepare<Rows.FinishedRow>(
    `SELECT ${Rows.finishedColumns} FROM smithers_nodes WHERE run_id = ? AND kind = 'step' AND status = 'finished'`,
  )
  const selectNodes = prepare<Rows.NodeRow>(
    `SELECT ${Rows.otherColumns(errorOfNode)} FROM smithers_nodes
     WHERE run_id = ? AND NOT (kind = 'step' AND status = 'finished')`,
  )
  const selectWaits = prepare<[nodeId: string, iteration: number, ...wait: Rows.WaitRow]>(
    `SELECT node_id, iteration, ${Rows.waitColumns.join(", ")} FROM smithers_waits WHERE run_id = ?`,
  )
  const selectBeats = prepare<[nodeId: string, iteration: number, attempt: number, seq: number, details: string]>(
    "SELECT node_id, iteration, attempt, seq, details FROM smithers_heartbeats WHERE run_id = ? ORDER BY seq",
  )
  const selectSignals = prepare<Parameters<typeof Rows.readSignal>[0]>(
    `SELECT seq, id, name, correlation, payload, refused_by, at_ms FROM smithers_signals WHERE run_id = ? AND status = 'kept' ORDER BY seq`,
  )
  const selectFailures = prepare<[nodeId: string, iteration: number, at: Millis, error: string]>(
    `SELECT a.node_id, a.iteration, a.finished_at, a.error
     FROM smithers_nodes n JOIN smithers_attempt_rows a USING (run_id, node_id, iteration)
     WHERE n.run_id = ? AND n.attempt > n.budget_after AND a.attempt > n.budget_after AND a.retry_at IS NOT NULL
     ORDER BY a.attempt`,
  )
  const selectCached = prepare<CachedRow>(
    `SELECT run_id, workflow, node_id, iteration, output_table, at_ms FROM smithers_cache
     WHERE workflow = ? AND node_id = ? AND key_hash = ? AND at_ms >= ?`,
  )
  const selectShared = prepare<CachedRow>(
    `SELECT run_id, workflow, node_id, iteration, output_table, at_ms FROM smithers_shared_cache WHERE key_hash = ? AND at_ms >= ?`,
  )
  const selectAnyFork = prepare("SELECT 1 FROM smithers_runs WHERE forked_from IS NOT NULL LIMIT 1")
  /** A run and those above it, the topmost last, with the origins of forks. */
  const selectLine = prepare<[runId: string, ...fork: Forks.ForkRow]>(
    `WITH RECURSIVE line (run_id, level) AS (
       SELECT ?1, 0
       UNION ALL
       SELECT r.parent_run_id, l.level + 1 FROM line l CROSS JOIN smithers_runs r ON r.run_id = l.run_id WHERE r.parent_run_id IS NOT NULL)
     SELECT run_id, ${Forks.columns} FROM line JOIN smithers_runs USING (run_id) ORDER BY level`,
  )
  const selectTime = prepare<[at: number]>(
    "SELECT at_ms FROM smithers_events WHERE run_id = ? AND seq <= ? ORDER BY seq DESC LIMIT 1",
  )
  const selectLast = prepare<[seq: number, frame: number]>(
    "SELECT seq, frame FROM smithers_events WHERE run_id = ? AND seq <= ? AND frame <= ? ORDER BY seq DESC LIMIT 1",
  )
  const selectFinishedBy = prepare<Rows.FinishedRow>(
    `SELECT ${Rows.finishedColumns} FROM smithers_nodes
     WHERE run_id = ? AND kind = 'step' AND status = 'finished' AND finished_seq <= ?`,
  )
  // What a wait ends with, and what it refuses, is of the signals of its run too.
  const selectEvents = prepare<Events.Row>(
    `SELECT ${Events.columns} FROM smithers_events e WHERE run_id = ?1 AND seq <= ?2 AND (
       node_id IS NULL OR type IN ('WaitEnded', 'SignalRefused') OR (node_id, iteration) NOT IN (
         SELECT node_id, iteration FROM smithers_nodes
         WHERE run_id = ?1 AND kind = 'step' AND status = 'finished' AND finished_seq <= ?2))
     ORDER BY seq`,
  )
  const selectOrder = prepare<[seq: number]>(
    "SELECT finished_seq FROM smithers_nodes WHERE run_id = ? AND node_id = ? AND iteration = ? AND finished_seq IS NOT NULL",
  )
  const selectLog = prepare<Events.Row>(`SELECT ${Events.columns} FROM smithers_events e WHERE run_id = ? ORDER BY seq`)
  const selectFinishes = prepare<[nodeId: string, iteration: number, seq: number]>(
    "SELECT node_id, iteration, finished_seq FROM smithers_nodes WHERE run_id = ? AND finished_seq IS NOT NULL",
  )
  const selectReplaced = prepare<[seq: number, output: Text]>("SELECT seq, output FROM smithers_output_history WHERE run_id = ?")
  const selectReads = prepare<[seq: number, reads: string]>("SELECT seq, reads FROM smithers_reads WHERE run_id = ?")

  const failuresOf = (runId: string): Map<NodeKey, Array<Records.Failure>> => {
    const failures = new Map<NodeKey, Array<Records.Failure>>()
    for (const [nodeId, iteration, at, error] of selectFailures.values(runId)) {
      const key = nodeKey(nodeId, iteration)
      const failure = { at, error: JSON.parse(error) as ErrorInfo }
      const others = failures.get(key)
      if (others === undefined) failures.set(key, [failure])
      else others.push(failure)
    }
    return failures
  }

  const outputsOf = (runId: string, workflow: string): Map<NodeKey, Json | undefined> => {
    const found = new Map<NodeKey, Json | undefined>()
    for (const table of outputs.tablesOf(workflow)) {
      for (const { nodeId, iteration, output } of table.ofRun(runId)) found.set(nodeKey(nodeId, iteration), output)
    }
    return found
  }

  /** Yields the records of a run. */
  const recordsOf = function* (runId: string, workflow: string): Generator<Records.NodeRecord> {
    const stored = outputsOf(runId, workflow)
    const waits = waitsOf(runId)
    for (const row of selectFinished.values(runId)) {
      const key = nodeKey(row[0], row[1])
      yield Rows.readFinished(row, { wait: waits.get(key), output: stored.get(key) })
    }
    const others = selectNodes.values(runId)
    if (others.length === 0) return
    const failures = failuresOf(runId)
    const beats = new Map<NodeKey, readonly [attempt: number, details: Json]>()
    for (const [nodeId, iteration, attempt, , details] of selectBeats.values(runId))
      beats.set(nodeKey(nodeId, iteration), [attempt, JSON.parse(details) as Json])
    for (const row of others) {
      const key = nodeKey(row[0], row[1])
      const record = Rows.readNode(row, { failures: failures.get(key) ?? empty, wait: waits.get(key), output: stored.get(key) })
      const [attempt = 0, heartbeat] = beats.get(key) ?? []
      const isDelivered =
        heartbeat !== undefined &&
        record.kind === "step" &&
        !Records.hasNoHeartbeat(record.status) &&
        attempt > (record.heartbeatsAfter ?? 0)
      yield isDelivered ? { ...record, heartbeat } : record
    }
  }

  const waitsOf = (runId: string): ReadonlyMap<NodeKey, Records.Wait> =>
    new Map(
      selectWaits.values(runId).map(([nodeId, iteration, ...wait]) => [nodeKey(nodeId, iteration), Rows.readWait(wait)] as const),
    )

  /** Yields the steps that had finished by an event and were not reset since. */
  const finishedBy = function* (runId: string, workflow: string, seq: number): Generator<Records.StepRecord> {
    const rows = selectFinishedBy.values(runId, seq)
    if (rows.length === 0) return
    const [stored, waits] = [outputsOf(runId, workflow), waitsOf(runId)]
    for (const row of rows) {
      const key = nodeKey(row[0], row[1])
      yield Rows.readFinished(row, { wait: waits.get(key), output: stored.get(key) })
    }
  }

  /** Yields the events of a run up to one, with their content, without those of the steps that had finished by it. */
  const eventsOf = function* (runId: string, seq: number, content: Content) {
    yield* withContent(runId, selectEvents.values(runId, seq), content)
  }

  /** Completes rows of the log with content from other tables, but for the outputs that still stand. */
  const withContent = function* (runId: string, rows: ReadonlyArray<Events.Row>, { input, output, seq }: Content) {
    const replaced = new Map(selectReplaced.values(runId))
    const readsAt = new Map(selectReads.values(runId))
    for (const row of rows) {
      const logged = Events.read(row)
      const { _tag } = logged.event
      // The row of the run has the output of its last event. Earlier ones were replaced when the run went on.
      const isStanding = _tag === "RunFinished" && logged.seq === seq
      const stored = isStanding ? output : readOptional(replaced.get(logged.seq) ?? null)
      const reads = readsAt.get(logged.seq)
      const content = {
        ...(_tag === "RunStarted" && input !== undefined ? { input } : {}),
        ...(stored === undefined ? {} : { output: stored }),
        ...(reads === undefined ? {} : { reads: Reads.read(reads) }),
      }
      // It was a valid event when written.
      yield { ...logged, event: { ...logged.event, ...content } as RunEvent }
    }
  }

  /** Tells whether a run that a fork comes from, or a child run of it, has cached an output after the cut. */
  const isAfterCut = (
    found: { readonly runId: string; readonly nodeId: string; readonly iteration: number; readonly at: number },
    runId: string,
  ): boolean => {
    if (selectAnyFork.values().length === 0) return false
    const [, ...origin] = selectLine.values(runId).at(-1) ?? [runId, null, null, null, null]
    const lineage = Forks.read(origin)?.lineage ?? []
    if (lineage.length === 0) return false
    const above = new Set(selectLine.values(found.runId).map(([of]) => of))
    return lineage.some((cut) => {
      if (!above.has(cut.runId)) return false
      const [[seq] = [0]] = found.runId === cut.runId ? selectOrder.values(found.runId, found.nodeId, found.iteration) : []
      if (found.runId === cut.runId) return seq > cut.seq
      const [[at] = [found.at]] = selectTime.values(cut.runId, cut.seq)
      return found.at > at
    })
  }

  const load: States["load"] = (runId, at) => {
    const row = selectRun.values(runId)[0]
    if (row === undefined) return Either.left(new RunNotFound({ runId }))
    const [workflow, stored, status, cancel, failure, text, output, ending, frame, seq, pausedAt, ...from] = row
    outputs.refresh()
    const [version, input, parent] = [stored ?? undefined, readOptional(text), parentOf(from)]
    const [, , , , claims, deadline, levels, continuedAs, first, generation, startAt, ...forked] = from
    const chain = first === null || generation === null ? undefined : { first, generation }
    const [budgets, depth, fork] = [budgetsOf(claims), levels ?? 0, Forks.read(forked)]
    if (at !== undefined) {
      const earlier = fork && History.inOriginal(fork, at)
      if (fork !== undefined && earlier !== undefined) return load(fork.runId, earlier)
      const before = fork && load(fork.runId, { seq: fork.seq })
      if (before !== undefined && Either.isLeft(before)) return before
      const beats = selectBeats.values(runId).map(([nodeId, iteration, attempt, seq, details]) => ({
        ...{ nodeId, iteration, attempt, seq },
        details: JSON.parse(details) as Json,
      }))
      const { seq: mostSeq, frame: mostFrame } = { seq, frame, ...at }
      const [lastSeq, lastFrame] = selectLast.values(runId, mostSeq, mostFrame)[0] ?? [fork?.seq ?? 0, fork?.frame ?? 0]
      const log = {
        seq: lastSeq,
        // The last frames may have no events.
        frame: "frame" in at ? Math.min(at.frame, frame) : lastFrame,
        events: eventsOf(runId, lastSeq, { input, output: readOptional(output), seq }),
        beats,
        finished: finishedBy(runId, workflow, lastSeq),
      }
      const origin = { workflow, version, input, parent, budgets, depth, fork, chain }
      return Either.right(History.stateAt(runId, origin, log, before?.right))
    }
    const run = {
      ...{ runId, workflow, version, input, status, parent, budgets, depth, fork, chain, frame, seq },
      continuedAs: continuedAs ?? undefined,
      signals: selectSignals.values(runId).map(Rows.readSignal),
      output: readOptional(output),
      ...Rows.readEnding(ending),
      failure: failure === null ? undefined : Rows.readFailure(failure),
      cancel: Rows.readCancel(cancel),
      pausedAt: pausedAt ?? undefined,
      deadline: deadline ?? undefined,
      startAt: startAt ?? undefined,
    }
    return Either.right(Changes.stateOf(run, recordsOf(runId, workflow)))
  }

  return {
    load,
    history: (runId) => {
      const row = selectRun.values(runId)[0]
      if (row === undefined) return Either.left(new RunNotFound({ runId }))
      const [workflow, version, , , , text, output, , , seq, , ...from] = row
      outputs.refresh()
      const input = readOptional(text)
      const stored = outputsOf(runId, workflow)
      const outputAt = new Map(
        selectFinishes.values(runId).map(([nodeId, iteration, seq]) => [seq, stored.get(nodeKey(nodeId, iteration))] as const),
      )
      const entries: Array<History.Entry> = []
      for (const entry of withContent(runId, selectLog.values(runId), { input, output: readOptional(output), seq })) {
        const given = outputAt.get(entry.seq)
        // It was a valid event when written.
        entries.push(given === undefined ? entry : { ...entry, event: { ...entry.event, output: given } as RunEvent })
      }
      const [, , , , claims, , levels, , first, generation, , ...forked] = from
      const chain = first === null || generation === null ? undefined : { first, generation }
      return Either.right({
        ...{ runId, workflow, version: version ?? undefined, input, parent: parentOf(from), entries },
        ...{ budgets: budgetsOf(claims), depth: levels ?? 0, fork: Forks.read(forked), chain },
      })
    },
    cached: (query) => {
      const [found] =
        query.isShared === true
          ? selectShared.values(hash(query.key), query.notBefore)
          : selectCached.values(query.workflow, query.nodeId, hash(query.key), query.notBefore)
      if (found === undefined) return Option.none()
      const [runId, workflow, nodeId, iteration, table, at] = found
      if (query.runId !== undefined && isAfterCut({ runId, nodeId, iteration, at }, query.runId)) return Option.none()
      outputs.refresh()
      const row = outputs.table(workflow, table).one(runId, nodeId, iteration)
      return row === undefined ? Option.none() : Option.some({ runId, output: row.output })
    },
  }
}

type CachedRow = [runId: string, workflow: string, nodeId: string, iteration: number, table: string, at: number]

const empty: ReadonlyArray<never> = []

const budgetsOf = (text: Text): ReadonlyArray<Budget.Claim> => (text === null ? empty : JSON.parse(text))

const parentOf = ([runId, nodeId, iteration, isAttached]: readonly [Text, Text, number | null, number | null, ...unknown[]]):
  | Records.Parent
  | undefined =>
  runId === null || nodeId === null ? undefined : { runId, nodeId, iteration: iteration ?? 0, isAttached: isAttached === 1 }
