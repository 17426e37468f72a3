/**
 * The hot path: a frame becomes rows. For each kind of event there is the statement that does to the rows what
 * `RunState.apply` does to the state; together they must keep saying the same, which the contract suite holds against each
 * other. A sequential step costs nine statements and touches one leaf page of each of six tables.
 *
 * The row of the run is read for fencing and is not written, unless the frame changes how the run stands.
 */

import type { Json } from "@smithers/core/Codec"
import { RunFailure, RunFenced, Unheard } from "@smithers/core/Errors"
import { nodeKey } from "@smithers/core/Ids"
import type { RunEvent } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import * as Status from "@smithers/core/Status"
import { type Frame, type Heartbeat, hasTimedOut, isUnheard, logged } from "@smithers/core/Storage"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Claims } from "./claims.ts"
import type { Connection, Statement, Value } from "./connection.ts"
import { Blamed, blame } from "./failures.ts"
import { write, writeOptional } from "./json.ts"
import { inList } from "./lists.ts"
import type { Outputs } from "./outputs.ts"
import { hash, type Plans } from "./plans.ts"
import * as Reads from "./reads.ts"
import * as Turns from "./turns.ts"

export interface Frames {
  readonly commit: (frame: Frame) => Either.Either<void, RunFenced | Unheard>
  readonly heartbeat: (heartbeat: Heartbeat) => Either.Either<void, RunFenced>
}

/** Whether a frame ends its run. */
export const isLast = ({ events }: Frame): boolean => {
  const last = events.at(-1)?._tag
  return last === "RunFinished" || last === "RunFailed" || last === "RunCancelled"
}

const encodeFailure = Schema.encodeSync(RunFailure)

/** A failure as JSON: without the error object that only the process that ran the step has. */
const writeFailure = (failure: RunFailure): string => {
  const encoded = encodeFailure(failure)
  const cause = encoded._tag === "CompensationFailed" ? { ...encoded.cause, cause: undefined } : undefined
  return JSON.stringify({ ...encoded, cause })
}

const where = "run_id = ?1 AND node_id = ?2 AND iteration = ?3"

/** Sets a column to the number of passes that the loop has made in the run so far. */
const total = (column: string): string =>
  `${column} = (SELECT max(base + passes) FROM smithers_nodes WHERE run_id = ?1 AND node_id = ?2)`

/** What a node has only in some of its states, and loses with the next. */
const cleared = "retry_at = NULL, error = NULL, is_soft = NULL, output_table = NULL, finished_seq = NULL"

/** The writer of frames. Runs that a frame starts, and what it tells others, go through the `claims`. */
export const make = (
  connection: Connection,
  outputs: Outputs,
  plans: Plans,
  claims: Pick<Claims, "spawn" | "deliver" | "told">,
): Frames => {
  const { prepare } = connection
  const selectClaim = prepare<[workflow: string]>(
    "SELECT workflow FROM smithers_runs WHERE run_id = ? AND epoch = ? AND owner IS NOT NULL",
  )
  const insertFrame = prepare("INSERT INTO smithers_frames (run_id, frame, at_ms, plan_hash) VALUES (?, ?, ?, ?)")
  const insertEvent = prepare(
    `INSERT INTO smithers_events (run_id, seq, frame, at_ms, type, node_id, iteration, attempt, payload)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const consume = prepare("UPDATE smithers_inbox SET frame = ?3 WHERE id = ?2 AND run_id = ?1")
  const consumeAll = prepare("UPDATE smithers_inbox SET frame = ?2 WHERE run_id = ?1 AND frame IS NULL")

  const resumeRun = prepare(
    `UPDATE smithers_runs SET updated_at = ?2, finished_at = NULL, output = NULL, failure = NULL, status = 'running',
       deaths = 0, stuck = NULL,
       cancel = CASE WHEN status IN ${inList(Status.endedStatuses)} THEN NULL ELSE cancel END WHERE run_id = ?1`,
  )
  const cancelRun = prepare("UPDATE smithers_runs SET updated_at = ?2, cancel = ?3 WHERE run_id = ?1")
  const endRun = prepare(
    `UPDATE smithers_runs SET updated_at = ?2, finished_at = ?2, status = ?3, owner = NULL, lease_until = NULL,
       deaths = 0, stuck = NULL, output = ?4, failure = ?5, cancel = coalesce(?6, cancel) WHERE run_id = ?1`,
  )

  const addNode = prepare(
    `INSERT OR IGNORE INTO smithers_nodes (run_id, node_id, iteration, kind, status, attempt)
     VALUES (?, ?, ?, 'step', 'interrupted', 0)`,
  )
  const startNode = prepare(
    `INSERT INTO smithers_nodes (run_id, node_id, iteration, kind, status, attempt, started_at)
     VALUES (?1, ?2, ?3, 'step', 'running', ?4, ?5)
     ON CONFLICT DO UPDATE SET status = 'running', attempt = ?4, started_at = coalesce(started_at, ?5),
       attempted_at = CASE WHEN started_at IS NULL THEN NULL ELSE ?5 END, finished_at = NULL, ${cleared}`,
  )
  const finishNode = prepare(
    `UPDATE smithers_nodes SET status = 'finished', finished_at = ?4, budget_after = attempt, interruptions = 0,
       heartbeat = NULL, ${cleared}, output_table = ?5, finished_seq = ?6 WHERE ${where}`,
  )
  const retryNode = prepare(
    `UPDATE smithers_nodes SET status = 'retrying', interruptions = 0, heartbeat = coalesce(?5, heartbeat),
       ${cleared}, retry_at = ?4 WHERE ${where}`,
  )
  const failNode = prepare(
    `UPDATE smithers_nodes SET status = 'failed', finished_at = ?4, interruptions = coalesce(?7, interruptions),
       heartbeat = coalesce(?8, heartbeat), ${cleared}, error = ?5, is_soft = ?6 WHERE ${where}`,
  )
  const interruptNode = prepare(
    `UPDATE smithers_nodes SET status = 'interrupted', interruptions = interruptions + ?4,
       heartbeat = coalesce(?5, heartbeat), ${cleared} WHERE ${where}`,
  )
  const skipNode = prepare(
    `UPDATE smithers_nodes SET status = 'skipped', finished_at = ?4, budget_after = attempt, heartbeat = NULL, ${cleared}
     WHERE ${where}`,
  )
  const resetNode = prepare(
    `UPDATE smithers_nodes SET status = 'interrupted', finished_at = NULL, budget_after = attempt, interruptions = 0,
       generation = generation + (status = 'finished' OR ?4), uncompensated = NULL, ${cleared} WHERE ${where}`,
  )
  const withdrawNode = prepare(`UPDATE smithers_nodes SET status = ?4, finished_at = ?5, ${cleared} WHERE ${where}`)
  const withdrawNodes = prepare(
    `UPDATE smithers_nodes SET status = 'withdrawn', finished_at = ?2, ${cleared}
     WHERE run_id = ?1 AND status IN ${inList(Status.pendingStatuses)}`,
  )
  const setReads = prepare("INSERT OR REPLACE INTO smithers_reads (run_id, node_id, iteration, reads) VALUES (?, ?, ?, ?)")
  const forgetReads = prepare(`DELETE FROM smithers_reads WHERE ${where}`)
  const selectTable = prepare<[table: string | null, kind: string]>(`SELECT output_table, kind FROM smithers_nodes WHERE ${where}`)
  const resetLoop = prepare(
    `UPDATE smithers_nodes SET status = 'running', finished_at = NULL, passes = 0, is_exhausted = NULL, mounting = NULL,
       ${total("base")} WHERE ${where}`,
  )
  const resetBoundary = prepare(
    `UPDATE smithers_nodes SET status = 'running', finished_at = NULL, cause = NULL, is_caught = NULL, caught = NULL, is_last = NULL
     WHERE ${where}`,
  )
  const startBoundary = prepare(
    `INSERT INTO smithers_nodes (run_id, node_id, iteration, kind, status, attempt, started_at)
     VALUES (?1, ?2, ?3, 'boundary', 'running', 0, ?4)
     ON CONFLICT DO UPDATE SET status = 'running', finished_at = NULL, cause = NULL, is_caught = NULL, caught = NULL,
       is_last = NULL`,
  )
  const haltBoundary = prepare(
    `UPDATE smithers_nodes SET status = 'halted', cause = ?4, is_caught = ?5,
       caught = CASE WHEN ?5 = 1 THEN NULL WHEN is_caught = 1 THEN cause ELSE caught END, is_last = coalesce(?6, is_last)
     WHERE ${where}`,
  )
  const endBoundary = prepare(`UPDATE smithers_nodes SET status = ?4, finished_at = ?5 WHERE ${where}`)
  const passGate = prepare(
    `UPDATE smithers_nodes SET status = 'interrupted', approved = coalesce(
       (SELECT digest FROM smithers_waits WHERE ${where}), ''), ${cleared}
     WHERE ${where}`,
  )
  const pauseRun = prepare("UPDATE smithers_runs SET updated_at = ?2, paused_at = ?3 WHERE run_id = ?1")
  const advanceLoop = prepare(
    `INSERT INTO smithers_nodes (run_id, node_id, iteration, kind, status, attempt, started_at, base, passes)
     VALUES (?1, ?2, ?3, 'loop', 'running', 0, ?4, ?5, ?6)
     ON CONFLICT DO UPDATE SET status = 'running', finished_at = NULL, is_exhausted = NULL, base = ?5, passes = ?6,
       mounting = CASE WHEN base = ?5 AND passes = ?6 THEN mounting END`,
  )
  const selectMounting = prepare<[mounting: string | null]>(`SELECT mounting FROM smithers_nodes WHERE ${where}`)
  const setMounting = prepare(`UPDATE smithers_nodes SET mounting = ?4 WHERE ${where}`)
  const finishLoop = prepare(
    `INSERT INTO smithers_nodes (run_id, node_id, iteration, kind, status, attempt, finished_at, base, passes, is_exhausted)
     VALUES (?1, ?2, ?3, 'loop', 'finished', 0, ?4,
       (SELECT coalesce(max(base + passes), 0) FROM smithers_nodes WHERE run_id = ?1 AND node_id = ?2), 0, ?5)
     ON CONFLICT DO UPDATE SET status = 'finished', finished_at = ?4, is_exhausted = ?5`,
  )

  const waitNode = prepare(
    `INSERT INTO smithers_nodes (run_id, node_id, iteration, kind, status, attempt, started_at)
     VALUES (?1, ?2, ?3, 'step', 'waiting', 0, ?4)
     ON CONFLICT DO UPDATE SET status = 'waiting', started_at = coalesce(started_at, ?4), attempted_at = ?4, finished_at = NULL,
       heartbeat = NULL, ${cleared}`,
  )
  const endWaitingNode = prepare(
    `UPDATE smithers_nodes SET status = ?5, finished_at = ?4, budget_after = attempt, interruptions = 0, heartbeat = NULL,
       ${cleared}, error = ?6, output_table = ?7, finished_seq = ?8
     WHERE ${where}`,
  )
  const openWait = prepare(
    `INSERT OR REPLACE INTO smithers_waits (run_id, node_id, iteration, kind, status, since, deadline, name, correlation, digest,
       request, asked, times_asked) VALUES (?1, ?2, ?3, ?4, 'open', ?5, ?6, ?7, ?8, ?9, ?10, ?11,
         coalesce((SELECT times_asked FROM smithers_waits WHERE ${where}), 0) + 1)`,
  )
  const moveDeadline = prepare(`UPDATE smithers_waits SET deadline = ?4 WHERE ${where}`)
  const decideWait = prepare(`UPDATE smithers_waits SET approved = ?4, note = ?5, decided_by = ?6, decided_at = ?7 WHERE ${where}`)
  const answerWait = prepare(
    `UPDATE smithers_waits SET answers = json_insert(coalesce(answers, '[]'), '$[#]', json(?4)) WHERE ${where}`,
  )
  const leaveUndone = prepare(`UPDATE smithers_nodes SET uncompensated = ?4 WHERE ${where}`)
  const endChild = prepare(`UPDATE smithers_waits SET child = ?4 WHERE ${where}`)
  const refuseAnswer = prepare(
    `UPDATE smithers_waits SET answers = json_remove(answers, '$[0]'), refusals = refusals + 1, refused = ?4 WHERE ${where}`,
  )
  const endWait = prepare(
    `UPDATE smithers_waits SET status = ?4, answers = NULL, child = NULL, ended_at = ?5, decided_by = coalesce(?6, decided_by),
       decided_at = coalesce(?7, decided_at) WHERE ${where}`,
  )
  const closeWait = prepare(
    `UPDATE smithers_waits SET status = 'withdrawn', reason = ?4, deadline = NULL, answers = NULL, child = NULL, is_kept = NULL,
       due = NULL, ended_at = ?5
     WHERE ${where} AND (status = 'open' OR is_kept = 1)`,
  )
  const kept = "status = 'withdrawn', is_kept = 1, due = deadline, deadline = NULL"
  const keepWait = prepare(`UPDATE smithers_waits SET ${kept}, reason = ?4, ended_at = ?5 WHERE ${where} AND status = 'open'`)
  const keepWaits = prepare(
    `UPDATE smithers_waits SET ${kept}, reason = 'given-up', ended_at = ?2 WHERE run_id = ?1 AND status = 'open'`,
  )
  const reopenWait = prepare(
    `UPDATE smithers_waits SET status = 'open', since = ?4, deadline = ?5, reason = NULL, is_kept = NULL, due = NULL, ended_at = NULL
     WHERE ${where}`,
  )
  const keepSignal = prepare(
    `INSERT INTO smithers_signals (run_id, seq, id, name, correlation, payload, status) VALUES (?, ?, ?, ?, ?, ?, 'kept')`,
  )
  const takeSignal = prepare(
    `UPDATE smithers_signals SET status = 'taken', node_id = ?2, iteration = ?3 WHERE run_id = ?1 AND id = ?4 AND status = 'kept'`,
  )
  const refuseSignal = prepare(
    `UPDATE smithers_signals SET refused_by = json_insert(coalesce(refused_by, '[]'), '$[#]', json(?3))
     WHERE run_id = ?1 AND id = ?2 AND status = 'kept'`,
  )
  const forgetRefusals = prepare("UPDATE smithers_signals SET refused_by = NULL WHERE run_id = ? AND refused_by IS NOT NULL")

  const startAttempt = prepare(
    `INSERT INTO smithers_attempts (run_id, node_id, iteration, attempt, status, started_at) VALUES (?, ?, ?, ?, 'running', ?)`,
  )
  const endAttempt = prepare(
    `INSERT INTO smithers_attempts (run_id, node_id, iteration, attempt, started_at, finished_at, status, is_cached, reason,
       error, retry_at, heartbeat) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
     ON CONFLICT DO UPDATE SET finished_at = ?5, status = ?6, is_cached = ?7, reason = ?8, error = ?9, retry_at = ?10,
       heartbeat = coalesce(?11, heartbeat)`,
  )
  const beatNode = prepare(`UPDATE smithers_nodes SET heartbeat = ?5 WHERE ${where} AND attempt = ?4 AND status = 'running'`)
  const beatAttempt = prepare(
    `UPDATE smithers_attempts SET heartbeat = ?5, heartbeat_at = ?6 WHERE ${where} AND attempt = ?4 AND status = 'running'`,
  )

  const insertCache = prepare(
    `INSERT OR REPLACE INTO smithers_cache (workflow, node_id, key_hash, run_id, iteration, output_table, at_ms)
     SELECT ?4, node_id, ?5, run_id, iteration, output_table, ?6 FROM smithers_nodes WHERE ${where} AND output_table IS NOT NULL`,
  )
  const deleteCache = prepare("DELETE FROM smithers_cache WHERE workflow = ?4 AND node_id = ?2 AND run_id = ?1 AND iteration = ?3")

  const storeTurns = prepare(
    `UPDATE smithers_attempts SET prompt = ?5, reply = ?6, model = ?7, finish_reason = ?8, input_tokens = ?9,
       output_tokens = ?10, turns = ?11 WHERE ${where} AND attempt = ?4`,
  )
  const keepTurns = (runId: string, { nodeId, iteration, attempt, turns }: AttemptEnd): void => {
    if (turns !== undefined) storeTurns.run(runId, nodeId, iteration, attempt, ...Turns.row(turns))
  }

  type AttemptEnd = Extract<RunEvent, { readonly turns?: unknown }>
  type NodeEvent = Extract<RunEvent, { readonly nodeId: string }>

  /** Updates a node, of which nothing may be known yet. */
  const update = (statement: Statement, runId: string, { nodeId, iteration }: NodeEvent, ...values: ReadonlyArray<Value>): void => {
    if (statement.run(runId, nodeId, iteration, ...values).changes > 0) return
    addNode.run(runId, nodeId, iteration)
    statement.run(runId, nodeId, iteration, ...values)
  }

  const store = (runId: string, workflow: string, event: RunEvent, at: number, seq: number): void => {
    switch (event._tag) {
      case "RunStarted":
      case "PlanChanged":
        return
      case "RunResumed":
        resumeRun.run(runId, at)
        forgetRefusals.run(runId)
        return
      case "CancelRequested":
        cancelRun.run(runId, at, writeReason(event.reason))
        return
      case "RunFinished":
        endRun.run(runId, at, "finished", writeOptional(event.output as Json | undefined), null, null)
        return
      case "RunFailed":
        endRun.run(runId, at, "failed", null, writeFailure(event.failure), null)
        return
      case "RunCancelled":
        endRun.run(runId, at, "cancelled", null, null, writeReason(event.reason))
        return
      case "LoopAdvanced":
        advanceLoop.run(runId, event.nodeId, event.iteration, at, event.base, event.pass + 1)
        return
      case "LoopMounted": {
        const [text = null] = selectMounting.values(runId, event.nodeId, event.iteration)[0] ?? []
        const before = text === null ? undefined : (JSON.parse(text) as RunState.Mounting)
        setMounting.run(runId, event.nodeId, event.iteration, JSON.stringify(RunState.mountingAfter(before, event)))
        return
      }
      case "LoopFinished":
        finishLoop.run(runId, event.nodeId, event.iteration, at, event.reason === "maxIterations" ? 1 : null)
        return
      case "AttemptStarted":
        startNode.run(runId, event.nodeId, event.iteration, event.attempt, at)
        startAttempt.run(runId, event.nodeId, event.iteration, event.attempt, at)
        return
      case "AttemptSucceeded": {
        const { nodeId, iteration, attempt, table = null, isCached } = event
        update(finishNode, runId, event, at, table, seq)
        endAttempt.run(runId, nodeId, iteration, attempt, at, "succeeded", isCached === true ? 1 : null, null, null, null, null)
        keepTurns(runId, event)
        if (table !== null) outputs.table(workflow, table).insert(runId, nodeId, iteration, event.output as Json | undefined)
        return
      }
      case "AttemptFailed": {
        const { nodeId, iteration, attempt, retryAt = null, soft } = event
        const [error, heartbeat] = [JSON.stringify(event.error), writeOptional(event.heartbeat as Json | undefined)]
        // The row of the attempt keeps the error; that of the node, and the log, would only repeat it.
        if (retryAt === null) update(failNode, runId, event, at, null, soft === true ? 1 : null, 0, heartbeat)
        else update(retryNode, runId, event, retryAt, heartbeat)
        endAttempt.run(runId, nodeId, iteration, attempt, at, "failed", null, null, error, retryAt, heartbeat)
        keepTurns(runId, event)
        return
      }
      case "AttemptInterrupted": {
        const { nodeId, iteration, attempt, reason } = event
        const heartbeat = writeOptional(event.heartbeat as Json | undefined)
        update(interruptNode, runId, event, reason === "crash" ? 1 : 0, heartbeat)
        endAttempt.run(runId, nodeId, iteration, attempt, at, "interrupted", null, reason, null, null, heartbeat)
        keepTurns(runId, event)
        return
      }
      case "WaitStarted": {
        const { nodeId, iteration, kind, request, digest = null, name = null, correlation = null, deadline = null } = event
        waitNode.run(runId, nodeId, iteration, at)
        if (event.isKept === true) {
          reopenWait.run(runId, nodeId, iteration, at, deadline)
          return
        }
        const shown = writeOptional(request as Json | undefined)
        openWait.run(runId, nodeId, iteration, kind, at, deadline, name, correlation, digest, shown, seq)
        return
      }
      case "ApprovalDecided": {
        const { nodeId, iteration, approved, note = null, by = null, saidAt = at } = event
        decideWait.run(runId, nodeId, iteration, Number(approved), note, by, saidAt)
        return
      }
      case "TaskAnswered":
        answerWait.run(runId, event.nodeId, event.iteration, writeAnswer(event, at))
        return
      case "AnswerRefused":
        refuseAnswer.run(runId, event.nodeId, event.iteration, JSON.stringify(event.issues))
        return
      case "SignalReceived": {
        const { id, name, correlation = null, payload } = event
        keepSignal.run(runId, seq, id, name, correlation, writeOptional(payload as Json | undefined))
        return
      }
      case "SignalRefused":
        refuseSignal.run(
          runId,
          event.signalId,
          JSON.stringify({ key: nodeKey(event.nodeId, event.iteration), issues: event.issues }),
        )
        return
      case "WaitEnded": {
        const { nodeId, iteration, status, table = null, error, signalId } = event
        const [failed, order] = [error === undefined ? null : JSON.stringify(error), status === "finished" ? seq : null]
        if (status === "passed") update(passGate, runId, event)
        else update(endWaitingNode, runId, event, at, status, failed, table, order)
        endWait.run(runId, nodeId, iteration, status === "passed" ? "finished" : status, at, event.by ?? null, event.saidAt ?? null)
        if (signalId !== undefined) takeSignal.run(runId, nodeId, iteration, signalId)
        if (table !== null) outputs.table(workflow, table).insert(runId, nodeId, iteration, event.output as Json | undefined)
        return
      }
      case "NodeFailed":
        update(failNode, runId, event, at, JSON.stringify(event.error), event.soft === true ? 1 : null, null, null)
        return
      case "NodeSkipped":
        update(skipNode, runId, event, at)
        return
      case "NodeWithdrawn": {
        const { nodeId, iteration, reason, isKept = false } = event
        withdrawNode.run(runId, nodeId, iteration, reason === "superseded" ? "superseded" : "withdrawn", at)
        ;(isKept ? keepWait : closeWait).run(runId, nodeId, iteration, reason, at)
        return
      }
      case "SubflowEnded": {
        const { nodeId, iteration, status, output, error, uncompensated: left } = event
        const end = { status, ...(output === undefined ? {} : { output }), ...(error === undefined ? {} : { error }) }
        endChild.run(runId, nodeId, iteration, write(end as unknown as Json))
        if (left !== undefined) leaveUndone.run(runId, nodeId, iteration, JSON.stringify(left))
        return
      }
      case "BoundaryStarted":
        startBoundary.run(runId, event.nodeId, event.iteration, at)
        return
      case "BoundaryHalted": {
        const cause = event.cause === undefined ? null : JSON.stringify(event.cause)
        haltBoundary.run(runId, event.nodeId, event.iteration, cause, Number(event.isCaught), event.isLast === true ? 1 : null)
        return
      }
      case "BoundaryEnded":
        endBoundary.run(runId, event.nodeId, event.iteration, event.status, at)
        return
      case "DeadlineMoved":
        moveDeadline.run(runId, event.nodeId, event.iteration, event.deadline)
        return
      case "RunPaused":
      case "RunUnpaused":
        pauseRun.run(runId, at, event._tag === "RunPaused" ? (event.saidAt ?? at) : null)
        return
      case "NodeReset": {
        const [table = null, kind] = selectTable.values(runId, event.nodeId, event.iteration)[0] ?? []
        if (kind === "loop" || kind === "boundary") {
          const again = kind === "loop" ? resetLoop : resetBoundary
          again.run(runId, event.nodeId, event.iteration)
          if (kind === "loop") forgetReads.run(runId, event.nodeId, event.iteration)
          return
        }
        if (table !== null) outputs.table(workflow, table).remove(runId, event.nodeId, event.iteration)
        deleteCache.run(runId, event.nodeId, event.iteration, workflow)
        update(resetNode, runId, event, event.isAnew === true ? 1 : 0)
        forgetReads.run(runId, event.nodeId, event.iteration)
        closeWait.run(runId, event.nodeId, event.iteration, "reset", at)
        return
      }
    }
  }

  const log = ({ runId, frame, at }: Frame, workflow: string, event: RunEvent, seq: number): void => {
    store(runId, workflow, event, at, seq)
    if ("reads" in event && event.reads !== undefined) setReads.run(runId, event.nodeId, event.iteration, Reads.write(event.reads))
    const { _tag, nodeId = null, iteration = null, attempt = null, ...rest } = logged(event) as LogEntry
    const payload = writePayload(_tag === "AttemptFailed" ? { ...rest, error: undefined } : rest)
    insertEvent.run(runId, seq, frame, at, _tag, nodeId, iteration, attempt, payload)
  }

  return {
    commit: (frame) => {
      const { runId, epoch, at, plan } = frame
      const claim = selectClaim.values(runId, epoch)[0]
      if (claim === undefined) return Either.left(new RunFenced({ runId, epoch }))
      if (hasTimedOut(frame) && isUnheard(frame, claims.told(runId))) return Either.left(new Unheard({ runId }))
      const [workflow] = claim
      insertFrame.run(runId, frame.frame, at, plan === undefined ? null : plans.keep(plan))
      let index = 0
      try {
        for (const event of frame.events) log(frame, workflow, event, frame.firstSeq + index++)
      } catch (thrown) {
        throw new Blamed(index - 1, thrown)
      }
      for (const { nodeId, iteration, key } of frame.cache) insertCache.run(runId, nodeId, iteration, workflow, hash(key), at)
      for (const id of frame.consumed) consume.run(runId, id, frame.frame)
      for (const { runId, create } of frame.spawned ?? []) {
        // The child's input stands in no event; it is of the wait that starts the child.
        const start = frame.events.findIndex((event) => event._tag === "WaitStarted" && event.name === runId)
        blame(start, () => claims.spawn(runId, create, at))
      }
      for (const command of frame.sent ?? []) claims.deliver(command)
      // What came too late for the run must not meet it again when it is taken up once more.
      if (isLast(frame)) {
        consumeAll.run(runId, frame.frame)
        withdrawNodes.run(runId, at)
        keepWaits.run(runId, at)
      }
      return Either.right(undefined)
    },
    heartbeat: ({ runId, epoch, nodeId, iteration, attempt, at, details }) => {
      if (selectClaim.values(runId, epoch).length === 0) return Either.left(new RunFenced({ runId, epoch }))
      const text = write(details)
      beatNode.run(runId, nodeId, iteration, attempt, text)
      beatAttempt.run(runId, nodeId, iteration, attempt, text, at)
      return Either.right(undefined)
    },
  }
}

/** Any event, by the fields that have columns. */
interface LogEntry {
  readonly _tag: string
  readonly nodeId?: string
  readonly iteration?: number
  readonly attempt?: number
  readonly [field: string]: unknown
}

const writeAnswer = ({ value, by, saidAt }: Extract<RunEvent, { readonly _tag: "TaskAnswered" }>, at: number): string =>
  write({ value: value as Json, ...(by === undefined ? {} : { by }), at: saidAt ?? at })

const writeReason = (reason: string | undefined): string => JSON.stringify({ reason })

const writePayload = (fields: { readonly [field: string]: unknown }): string | null => {
  if (fields.failure === undefined) {
    const text = write(fields as Json)
    return text === "{}" ? null : text
  }
  const { failure, ...rest } = fields
  const others = Object.keys(rest).length === 0 ? "" : `,${JSON.stringify(rest).slice(1, -1)}`
  return `{"failure":${writeFailure(failure as RunFailure)}${others}}`
}
