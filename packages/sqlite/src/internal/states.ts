/**
 * Rebuilds the state of a run from its rows: equal to folding the run's events, at a cost that depends on its nodes alone.
 * Steps that are finished, in a long run nearly all, are read by the few columns they still need, and outputs with one SELECT
 * per table.
 */
import type { Json } from "@smithers/core/Codec"
import { type ErrorInfo, RunFailure, RunNotFound, type Uncompensated } from "@smithers/core/Errors"
import { type NodeId, type NodeKey, nodeKey } from "@smithers/core/Ids"
import type { Millis } from "@smithers/core/Millis"
import * as RunState from "@smithers/core/RunState"
import * as Status from "@smithers/core/Status"
import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Connection } from "./connection.ts"
import { readOptional } from "./json.ts"
import { inList } from "./lists.ts"
import type { Outputs } from "./outputs.ts"
import { hash } from "./plans.ts"
import * as Reads from "./reads.ts"

export interface States {
  readonly load: (runId: string) => Either.Either<RunState.RunState, RunNotFound>
  readonly cached: (workflow: string, nodeId: string, key: string, notBefore: number) => Option.Option<Json | undefined>
}

type Text = string | null

type RunRow = [
  workflow: string,
  version: Text,
  status: Status.RunStatus,
  cancel: Text,
  failure: Text,
  input: Text,
  output: Text,
  frame: number,
  seq: number,
  pausedAt: Millis | null,
  parentRunId: Text,
  parentNodeId: Text,
  parentIteration: number | null,
  isAttached: number | null,
]

type FinishedRow = [
  nodeId: string,
  iteration: number,
  attempt: number,
  startedAt: Millis,
  table: Text,
  order: number | null,
  approved: Text,
  generation: number,
  reads: Text,
]

type WaitRow = [
  nodeId: string,
  iteration: number,
  kind: RunState.Wait["kind"],
  since: Millis,
  deadline: Millis | null,
  name: Text,
  correlation: Text,
  digest: Text,
  request: Text,
  approved: number | null,
  note: Text,
  by: Text,
  decidedAt: Millis | null,
  answers: Text,
  child: Text,
  asked: number,
]

type NodeRow = [
  nodeId: string,
  iteration: number,
  kind: RunState.NodeRecord["kind"],
  status: RunState.NodeRecord["status"],
  attempt: number,
  startedAt: Millis,
  interruptions: number,
  retryAt: Millis | null,
  isSoft: number | null,
  base: number,
  passes: number,
  error: Text,
  heartbeat: Text,
  approved: Text,
  generation: number,
  cause: Text,
  isCaught: number | null,
  caught: Text,
  reads: Text,
  isExhausted: number | null,
  isLast: number | null,
  mounting: Text,
  uncompensated: Text,
]

/** Reads the text of a failure. */
export const readFailure = (text: string): RunFailure => decodeFailure(JSON.parse(text))

const decodeFailure = Schema.decodeUnknownSync(RunFailure)

/** Steps whose latest attempt has an error that is theirs. */
const withError = inList(Status.StepStatus.pipe(Schema.pickLiteral("retrying", "failed")).literals)

/**
 * The error of a node: its own where it failed without an attempt, otherwise that of its latest attempt, which keeps it.
 */
export const errorOfNode = `coalesce(error, CASE WHEN status IN ${withError} THEN (
  SELECT a.error FROM smithers_attempts a WHERE a.run_id = smithers_nodes.run_id AND a.node_id = smithers_nodes.node_id
    AND a.iteration = smithers_nodes.iteration AND a.attempt = smithers_nodes.attempt) END)`

/** The last event by which a run ended. */
export const lastEnd = `SELECT payload FROM smithers_events
  WHERE run_id = ? AND type IN ('RunFinished', 'RunFailed', 'RunCancelled') ORDER BY seq DESC LIMIT 1`

/** The reader of states. */
export const make = ({ prepare }: Connection, outputs: Outputs): States => {
  const selectRun = prepare<RunRow>(
    `SELECT workflow, version, status, cancel, failure, input, output,
       (SELECT coalesce(max(frame), 0) FROM smithers_frames WHERE run_id = ?1),
       (SELECT coalesce(max(seq), 0) FROM smithers_events WHERE run_id = ?1),
       paused_at, parent_run_id, parent_node_id, parent_iteration, is_attached
     FROM smithers_runs WHERE run_id = ?1`,
  )
  const selectEnd = prepare<[payload: Text]>(lastEnd)
  const selectFinished = prepare<FinishedRow>(
    `SELECT node_id, iteration, attempt, coalesce(attempted_at, started_at, 0), output_table, finished_seq, approved, generation,
       ${Reads.column}
     FROM smithers_nodes WHERE run_id = ? AND kind = 'step' AND status = 'finished'`,
  )
  const selectNodes = prepare<NodeRow>(
    `SELECT node_id, iteration, kind, status, attempt, coalesce(attempted_at, started_at, 0), interruptions, retry_at, is_soft,
       base, passes, ${errorOfNode}, heartbeat, approved, generation, cause, is_caught, caught, ${Reads.column},
       is_exhausted, is_last, mounting, uncompensated
     FROM smithers_nodes WHERE run_id = ? AND NOT (kind = 'step' AND status = 'finished')`,
  )
  const selectWaits = prepare<WaitRow>(
    `SELECT node_id, iteration, kind, since, coalesce(deadline, due), name, correlation, digest, request, approved, note, decided_by,
       decided_at, answers, child, asked FROM smithers_waits WHERE run_id = ? AND (status = 'open' OR is_kept = 1)`,
  )
  const selectSignals = prepare<[id: string, name: string, correlation: Text, payload: Text, refusedBy: Text]>(
    "SELECT id, name, correlation, payload, refused_by FROM smithers_signals WHERE run_id = ? AND status = 'kept' ORDER BY seq",
  )
  const selectFailures = prepare<[nodeId: string, iteration: number, at: Millis, error: string]>(
    `SELECT a.node_id, a.iteration, a.finished_at, a.error
     FROM smithers_nodes n JOIN smithers_attempts a USING (run_id, node_id, iteration)
     WHERE n.run_id = ? AND n.attempt > n.budget_after AND a.attempt > n.budget_after AND a.retry_at IS NOT NULL
     ORDER BY a.attempt`,
  )
  const selectCached = prepare<[runId: string, iteration: number, table: string]>(
    `SELECT run_id, iteration, output_table FROM smithers_cache
     WHERE workflow = ? AND node_id = ? AND key_hash = ? AND at_ms >= ?`,
  )

  const failuresOf = (runId: string): Map<NodeKey, Array<RunState.Failure>> => {
    const failures = new Map<NodeKey, Array<RunState.Failure>>()
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

  return {
    load: (runId) => {
      const row = selectRun.values(runId)[0]
      if (row === undefined) return Either.left(new RunNotFound({ runId }))
      const [workflow, version, status, cancel, failure, input, output, frame, seq, pausedAt, ...from] = row
      outputs.refresh()
      const failures = failuresOf(runId)
      const stored = outputsOf(runId, workflow)

      const waits = new Map(selectWaits.values(runId).map((wait) => [nodeKey(wait[0], wait[1]), waitOf(wait)]))
      const nodes = HashMap.beginMutation(HashMap.empty<NodeKey, RunState.NodeRecord>())
      const loopPasses = HashMap.beginMutation(HashMap.empty<NodeId, number>())
      const unfinished = HashSet.beginMutation(HashSet.empty<NodeKey>())
      let wrong = 0
      for (const row of selectFinished.values(runId)) {
        const key = nodeKey(row[0], row[1])
        HashMap.set(nodes, key, finishedRecord(row, stored.get(key)))
      }
      for (const row of selectNodes.values(runId)) {
        const [nodeId, iteration, kind, status, , , , , , base, passes] = row
        const key = nodeKey(nodeId, iteration)
        if (kind === "step") {
          const record = stepRecord(row, failures.get(key) ?? [])
          wrong += Number(RunState.isWrong(record))
          if (RunState.isUnfinished(record)) HashSet.add(unfinished, key)
          HashMap.set(nodes, key, { ...record, ...waitedFor(status, waits.get(key)) })
          continue
        }
        if (kind === "boundary") {
          const record = boundaryRecord(row)
          wrong += Number(RunState.isWrong(record))
          HashMap.set(nodes, key, record)
          continue
        }
        const record = { kind, nodeId, iteration, status: status as RunState.LoopRecord["status"], base, passes }
        const exhausted = row[19] === 1 ? { isExhausted: true as const } : {}
        const mounting = row[21] === null ? {} : { mounting: JSON.parse(row[21]) as RunState.Mounting }
        HashMap.set(nodes, key, { ...record, ...exhausted, ...mounting, ...readsOf(row[18]) })
        const before = Option.getOrElse(HashMap.get(loopPasses, nodeId), () => 0)
        if (base + passes > before) HashMap.set(loopPasses, nodeId, base + passes)
      }
      return Either.right({
        runId,
        workflow,
        version: version ?? undefined,
        input: readOptional(input),
        status,
        nodes: HashMap.endMutation(nodes),
        wrong,
        unfinished: HashSet.endMutation(unfinished),
        loopPasses: HashMap.endMutation(loopPasses),
        signals: selectSignals.values(runId).map(([id, name, correlation, payload, refusedBy]) => ({
          id,
          name,
          correlation: correlation ?? undefined,
          payload: readOptional(payload),
          ...(refusedBy === null ? {} : { refusedBy: JSON.parse(refusedBy) as NonNullable<RunState.Signal["refusedBy"]> }),
        })),
        output: readOptional(output),
        ...(status === "finished" || status === "failed"
          ? endOf(selectEnd.values(runId)[0]?.[0])
          : { from: undefined, strayReads: undefined }),
        failure: failure === null ? undefined : readFailure(failure),
        cancel: cancel === null ? undefined : { reason: (JSON.parse(cancel) as { readonly reason?: string }).reason },
        pausedAt: pausedAt ?? undefined,
        parent: parentOf(from),
        frame,
        seq,
      })
    },
    cached: (workflow, nodeId, key, notBefore) => {
      const found = selectCached.values(workflow, nodeId, hash(key), notBefore)[0]
      if (found === undefined) return Option.none()
      const [runId, iteration, table] = found
      outputs.refresh()
      const row = outputs.table(workflow, table).one(runId, nodeId, iteration)
      return row === undefined ? Option.none() : Option.some(row.output)
    },
  }
}

const parentOf = ([runId, nodeId, iteration, isAttached]: [Text, Text, number | null, number | null]):
  | RunState.Parent
  | undefined =>
  runId === null || nodeId === null ? undefined : { runId, nodeId, iteration: iteration ?? 0, isAttached: isAttached === 1 }

/** What the event by which a run ended says beside its output and its failure. */
export const endOf = (payload: Text | undefined): Pick<RunState.RunState, "from" | "strayReads"> => {
  if (payload === null || payload === undefined) return { from: undefined, strayReads: undefined }
  const { from, strayReads } = JSON.parse(payload) as Partial<Pick<RunState.RunState, "from" | "strayReads">>
  return { from, strayReads }
}

const none: ReadonlyArray<never> = []

const finishedRecord = (row: FinishedRow, output: Json | undefined): RunState.StepRecord => {
  const [nodeId, iteration, attempt, startedAt, table, order, approved, generation, reads] = row
  const record: Mutable<RunState.StepRecord> = {
    kind: "step",
    status: "finished",
    nodeId,
    iteration,
    attempt,
    startedAt,
    failures: none,
    interruptions: 0,
    order: order ?? 0,
  }
  if (table !== null) record.table = table
  if (approved !== null) record.approved = approved
  if (generation > 0) record.generation = generation
  if (output !== undefined) record.output = output
  if (reads !== null) record.reads = Reads.read(reads)
  return record
}

const readsOf = (reads: Text): { readonly reads?: ReadonlyArray<NodeKey> } => (reads === null ? {} : { reads: Reads.read(reads) })

const boundaryRecord = (row: NodeRow): RunState.BoundaryRecord => {
  const [nodeId, iteration, , status, , , , , , , , , , , , cause, isCaught, caught, , , isLast] = row
  const halted = isCaught === null ? {} : { isCaught: isCaught === 1 }
  const why = cause === null ? {} : { cause: JSON.parse(cause) as NonNullable<RunState.BoundaryRecord["cause"]> }
  const before = caught === null ? {} : { caught: JSON.parse(caught) as NonNullable<RunState.BoundaryRecord["caught"]> }
  const last = isLast === 1 ? { isLast: true } : {}
  const how = { ...why, ...halted, ...before, ...last }
  return { kind: "boundary", nodeId, iteration, status: status as RunState.BoundaryRecord["status"], ...how }
}

const waitOf = (row: WaitRow): RunState.Wait => {
  const [, , kind, since, deadline, name, correlation, digest, request, approved, note, by, decidedAt, answers, child, asked] = row
  const said = { ...(note === null ? {} : { note }), ...(by === null ? {} : { by }) }
  const decision = approved === null ? {} : { decision: { approved: approved === 1, ...said, at: decidedAt ?? since } }
  const given = answers === null ? [] : (JSON.parse(answers) as ReadonlyArray<RunState.Answer>)
  return {
    kind,
    since,
    asked,
    ...(deadline === null ? {} : { deadline }),
    ...(name === null ? {} : { name }),
    ...(correlation === null ? {} : { correlation }),
    ...(digest === null ? {} : { digest }),
    ...(request === null ? {} : { request: JSON.parse(request) as Json }),
    ...decision,
    ...(given.length === 0 ? {} : { answers: given }),
    ...(child === null ? {} : { child: JSON.parse(child) as RunState.ChildEnd }),
  }
}

/** What a node waits for, or waited for when it was given up with its run. */
const waitedFor = (
  status: RunState.NodeRecord["status"],
  wait: RunState.Wait | undefined,
): Pick<RunState.StepRecord, "wait" | "kept"> => {
  if (wait === undefined) return {}
  return status === "waiting" ? { wait } : status === "withdrawn" ? { kept: wait } : {}
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const stepRecord = (row: NodeRow, failures: ReadonlyArray<RunState.Failure>): RunState.StepRecord => {
  const [
    nodeId,
    iteration,
    ,
    status,
    attempt,
    startedAt,
    interruptions,
    retryAt,
    isSoft,
    ,
    ,
    error,
    heartbeat,
    approved,
    generation,
  ] = row
  const record: Mutable<RunState.StepRecord> = {
    kind: "step",
    nodeId,
    iteration,
    status: status as RunState.StepRecord["status"],
    attempt,
    startedAt,
    failures,
    interruptions,
  }
  if (retryAt !== null) record.retryAt = retryAt
  if (error !== null) record.error = JSON.parse(error) as ErrorInfo
  if (isSoft === 1) record.soft = true
  if (approved !== null) record.approved = approved
  if (generation > 0) record.generation = generation
  if (heartbeat !== null) record.heartbeat = JSON.parse(heartbeat) as Json
  const left = row[22] === null ? {} : { uncompensated: JSON.parse(row[22]) as ReadonlyArray<Uncompensated> }
  return { ...record, ...readsOf(row[18]), ...left }
}
