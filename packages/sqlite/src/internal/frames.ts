/**
 * Writes frames as rows: the hot path. Records replace earlier ones, and events are appended. This module does not interpret
 * events. A sequential step costs six statements.
 *
 * The row of the run is read for fencing and is only written if the frame changes the status of the run.
 */
import type { AttemptRecord, ReplacedOutput } from "@smithers/core/Changes"
import type { Json } from "@smithers/core/Codec"
import { RunFenced, StaleFrame, StoreFailed } from "@smithers/core/Errors"
import type * as Records from "@smithers/core/Records"
import type { RunEvent } from "@smithers/core/RunEvent"
import { withoutContent } from "@smithers/core/RunReader"
import { type Frame, type Heartbeat, hasTimedOut, isContinued, isOnward, isStaleFrame } from "@smithers/core/RunStore"
import * as Status from "@smithers/core/Status"
import { write, writeOptional } from "@smithers/sql/Json"
import { inList } from "@smithers/sql/Lists"
import * as Reads from "@smithers/sql/Reads"
import * as Rows from "@smithers/sql/Rows"
import * as Tables from "@smithers/sql/Tables"
import type { Texts } from "@smithers/sql/Turns"
import * as Turns from "@smithers/sql/Turns"
import * as Either from "effect/Either"
import type { Claims } from "./claims.ts"
import type { Connection } from "./connection.ts"
import type { Facts } from "./facts.ts"
import { Blamed, blame } from "./failures.ts"
import type * as Migrations from "./migrations.ts"
import type { Outputs } from "./outputs.ts"
import { hash, type Plans } from "./plans.ts"
import type { ScoreRows } from "./scores.ts"

export interface Frames {
  /** Writes a frame. Its first event also verifies the claim and the protocol. */
  readonly commit: (frame: Frame) => Either.Either<void, RunFenced | StaleFrame | StoreFailed>
  /** Records a committed frame, which the next one of its run must follow. */
  readonly note: (frame: Frame) => void
  /** Records a run that was created here and thus has no frame. */
  readonly begin: (runId: string, workflow: string) => void
  /** Forgets the last frame of a run whose claim is released. */
  readonly forget: (runId: string) => void
  readonly heartbeat: (heartbeat: Heartbeat) => Either.Either<void, RunFenced>
  /** Writes the first frame of a fork, which has no claim. */
  readonly begun: (frame: Frame, workflow: string) => void
}

/** A claim under which frames are committed here. */
interface Held {
  readonly epoch: number
  readonly workflow: string
  /** Number of the last committed frame. */
  frame: number
}

/** Returns `true` if a frame ends its run. */
export const isLast = ({ changes }: Frame): boolean => changes.run !== undefined && Status.isEnded(changes.run.status)

/** The node and the table of an output of a run in the history of outputs. No node and no table has this name. */
const noNode = ""

const where = "run_id = ?1 AND node_id = ?2 AND iteration = ?3"

const placeholders = (columns: ReadonlyArray<string>): string => columns.map(() => "?").join(", ")

/** Returns the SQL that replaces the row with the same key. */
export const replace = ({ name, key, columns }: Tables.Table): string =>
  `INSERT OR REPLACE INTO ${name} (${[...key, ...columns].join(", ")}) VALUES (${placeholders([...key, ...columns])})`

/** Returns the SQL that inserts a row or updates it in place, which is cheaper if it usually exists. */
const upsert = ({ name, key, columns }: Tables.Table): string => {
  const changed = columns.map((column) => `${column} = excluded.${column}`)
  return `INSERT INTO ${name} (${[...key, ...columns].join(", ")}) VALUES (${placeholders([...key, ...columns])})
    ON CONFLICT DO UPDATE SET ${changed.join(", ")}`
}

/** Creates the writer of frames. Child runs and commands that a frame starts go through `claims`. */
export const make = (
  connection: Connection,
  outputs: Outputs,
  plans: Plans,
  texts: Texts,
  claims: Pick<Claims, "spawn" | "continueAs" | "deliver" | "told">,
  { protocol, check: guard }: Migrations.Guard,
  facts: Pick<Facts, "put">,
  scores: Pick<ScoreRows, "expect">,
): Frames => {
  const { prepare } = connection
  const selectClaim = prepare<[workflow: string]>(
    "SELECT workflow FROM smithers_runs WHERE run_id = ? AND epoch = ? AND owner IS NOT NULL",
  )
  const selectLast = prepare<[frame: number]>(
    `SELECT max(coalesce((SELECT frame FROM smithers_events WHERE run_id = ?1 ORDER BY seq DESC LIMIT 1), 0),
       coalesce((SELECT max(frame) FROM smithers_frames WHERE run_id = ?1), 0))`,
  )
  const insertFrame = prepare("INSERT INTO smithers_frames (run_id, frame, at_ms, plan_hash) VALUES (?, ?, ?, ?)")
  const insertEvent = prepare(
    `INSERT INTO smithers_events (run_id, seq, frame, at_ms, type, node_id, iteration, attempt, payload)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  // A separate statement to verify the claim, or the inbox, would cost as much as writing the event.
  const firstEvent = `INSERT INTO smithers_events (run_id, seq, frame, at_ms, type, node_id, iteration, attempt, payload)
     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
     WHERE EXISTS (SELECT 1 FROM smithers_runs WHERE run_id = ?1 AND epoch = ?10 AND owner IS NOT NULL)
       AND (SELECT protocol FROM smithers_store) = ?11`
  const insertFirst = prepare(firstEvent)
  const insertFirstUntold = prepare(
    `${firstEvent}
       AND NOT EXISTS (SELECT 1 FROM smithers_inbox INDEXED BY smithers_inbox_pending WHERE run_id = ?1 AND frame IS NULL)`,
  )
  /** Claims under which frames were committed here, by run. */
  const held = new Map<string, Held>()
  /** Returns the current claim of a frame; `undefined` if it was lost. */
  const claimOf = ({ runId, epoch }: Frame): Held | undefined => {
    const known = held.get(runId)
    if (known?.epoch === epoch) return known
    const workflow = selectClaim.values(runId, epoch)[0]?.[0]
    if (workflow === undefined) return undefined
    const claim = { epoch, workflow, frame: selectLast.values(runId)[0]?.[0] ?? 0 }
    held.set(runId, claim)
    return claim
  }

  const consume = prepare("UPDATE smithers_inbox SET frame = ?3 WHERE id = ?2 AND run_id = ?1")
  const consumeAll = prepare("UPDATE smithers_inbox SET frame = ?2 WHERE run_id = ?1 AND frame IS NULL")

  const ended = inList(Status.endedStatuses)
  const setRun = prepare(
    `UPDATE smithers_runs SET (${Rows.runColumns.join(", ")}) = (${Rows.runColumns.map((_, index) => `?${index + 2}`).join(", ")}),
       crashes = 0, stuck = NULL, owner = iif(?2 IN ${ended}, NULL, owner), lease_until = iif(?2 IN ${ended}, NULL, lease_until)
     WHERE run_id = ?1`,
  )
  const clearStuck = prepare("UPDATE smithers_runs SET crashes = 0, stuck = NULL WHERE run_id = ?")

  const putNode = prepare(upsert(Tables.nodes))
  // An update, unlike a replacement, keeps the attempt that a finished row stands for.
  const startNode = prepare(
    `INSERT INTO smithers_nodes (run_id, node_id, iteration, kind, status, attempt, started_at)
     VALUES (?, ?, ?, 'step', 'running', ?, ?)
     ON CONFLICT DO UPDATE SET ${Tables.nodes.columns.map((column) => `${column} = excluded.${column}`).join(", ")}`,
  )
  // The row usually exists, and an update is cheaper than a failed insertion.
  const finishNode = prepare(
    `UPDATE smithers_nodes SET (${Tables.finishedColumns.join(", ")}) = (${placeholders(Tables.finishedColumns)}),
       ${Tables.finishedOtherwise.map(([column, value]) => `${column} = ${value === null ? "NULL" : value}`).join(", ")}
     WHERE run_id = ? AND node_id = ? AND iteration = ?`,
  )
  const putAttempt = prepare(replace(Tables.attempts))
  const putBeat = prepare(replace(Tables.heartbeats))
  const beat = prepare(
    `INSERT OR REPLACE INTO smithers_heartbeats (run_id, node_id, iteration, attempt, seq, at_ms, details)
     SELECT ?1, ?2, ?3, ?4, coalesce((SELECT max(seq) FROM smithers_events WHERE run_id = ?1), 0) + 1, ?5, ?6
     WHERE EXISTS (SELECT 1 FROM smithers_nodes WHERE ${where} AND attempt = ?4 AND status = 'running')`,
  )
  const putWait = prepare(replace(Tables.waits))
  const keepWait = prepare(replace(Tables.waitHistory))
  const keepOutput = prepare(replace(Tables.outputHistory))
  const putReads = prepare(replace(Tables.reads))
  const putGeneration = prepare(replace(Tables.generations))
  const putSignal = prepare(replace(Tables.signals))

  const insertCache = prepare(
    `INSERT OR REPLACE INTO smithers_cache (workflow, node_id, key_hash, run_id, iteration, output_table, at_ms)
     SELECT ?4, node_id, ?5, run_id, iteration, output_table, ?6 FROM smithers_nodes WHERE ${where} AND output_table IS NOT NULL`,
  )
  const insertShared = prepare(
    `INSERT OR REPLACE INTO smithers_shared_cache (key_hash, workflow, node_id, run_id, iteration, output_table, at_ms)
     SELECT ?5, ?4, node_id, run_id, iteration, output_table, ?6 FROM smithers_nodes WHERE ${where} AND output_table IS NOT NULL`,
  )
  const deleteShared = prepare("DELETE FROM smithers_shared_cache WHERE run_id = ? AND node_id = ? AND iteration = ?")
  const deleteCache = prepare("DELETE FROM smithers_cache WHERE workflow = ?4 AND node_id = ?2 AND run_id = ?1 AND iteration = ?3")

  const storeNode = (runId: string, record: Records.NodeRecord): void => {
    if (record.kind !== "step" || !Rows.isPlain(record)) {
      putNode.run(...Rows.nodeRow(runId, record))
      return
    }
    const { nodeId, iteration, status, attempt, startedAt = null, attemptedAt = null, budgetAfter } = record
    if (status === "running" && attemptedAt === startedAt && budgetAfter === 0 && record.interruptions === 0) {
      startNode.run(runId, nodeId, iteration, attempt, startedAt)
      return
    }
    if (status !== "finished") {
      putNode.run(...Rows.nodeRow(runId, record))
      return
    }
    const { finishedAt = null, table = null, finishedSeq = null } = record
    const again = attemptedAt === startedAt ? null : attemptedAt
    const finished = [status, attempt, startedAt, again, finishedAt, table, finishedSeq, budgetAfter] as const
    if (finishNode.run("step", ...finished, runId, nodeId, iteration).changes === 0) putNode.run(...Rows.nodeRow(runId, record))
  }

  const storeAttempt = (runId: string, record: AttemptRecord): void => {
    if (record.isSaidByNode) return
    const { nodeId, iteration, attempt, finishedAt, turns, heartbeat, seq } = record
    const said = turns === undefined ? Turns.columns.map(() => null) : Turns.row(turns, texts)
    putAttempt.run(runId, nodeId, iteration, attempt, ...Rows.attemptRow(record), ...said)
    if (heartbeat !== undefined) putBeat.run(runId, nodeId, iteration, attempt, seq, finishedAt, write(heartbeat))
  }

  const moveOutput = (runId: string, workflow: string, replaced: ReplacedOutput): void => {
    const { nodeId, iteration, seq, generation, table, output } = replaced
    outputs.table(workflow, table).remove(runId, nodeId, iteration)
    deleteCache.run(runId, nodeId, iteration, workflow)
    deleteShared.run(runId, nodeId, iteration)
    keepOutput.run(runId, nodeId, iteration, seq, generation, table, writeOptional(output))
  }

  /** Stores the content of a frame. An error is attributed to the event with that content. */
  const store = (frame: Frame, workflow: string): void => {
    const { runId, frame: number, at, firstSeq, events, changes } = frame
    let seq = firstSeq
    let node: Records.NodeRecord | undefined
    try {
      for (const event of events) {
        if (seq > firstSeq) log(runId, seq, number, at, event)
        seq++
      }
      for (const record of changes.attempts) {
        seq = record.seq
        storeAttempt(runId, record)
      }
      for (const replaced of changes.replacedOutputs) moveOutput(runId, workflow, replaced)
      if (changes.replacedResult !== undefined) {
        const { seq, output } = changes.replacedResult
        keepOutput.run(runId, noNode, 0, seq, 0, noNode, write(output))
      }
      for (const record of changes.outputs) {
        seq = record.seq
        outputs.table(workflow, record.table).insert(runId, record.nodeId, record.iteration, record.output)
      }
      for (const record of changes.waits) {
        seq = record.seq
        putWait.run(runId, record.nodeId, record.iteration, ...Rows.waitRow(record.wait))
      }
      for (const record of changes.replacedWaits) {
        seq = record.seq
        keepWait.run(runId, record.nodeId, record.iteration, record.seq, write(record.wait as unknown as Json))
      }
      for (const record of changes.reads) {
        seq = record.seq
        putReads.run(runId, record.seq, Reads.write(record.reads))
      }
      for (const signal of changes.signals) {
        seq = signal.seq
        putSignal.run(runId, ...Rows.signalRow(signal))
      }
      if (changes.run !== undefined) {
        seq = firstSeq + events.length - 1
        setRun.run(runId, ...Rows.runRow(changes.run))
      }
      for (node of changes.nodes) storeNode(runId, node)
    } catch (thrown) {
      const culprit = node === undefined ? seq - firstSeq : events.findLastIndex((event) => isOf(event, node as Records.NodeRecord))
      throw new Blamed(culprit, thrown)
    }
  }

  const log = (runId: string, seq: number, frame: number, at: number, event: RunEvent): void => {
    const { _tag, nodeId = null, iteration = null, attempt = null } = event as LogEntry
    insertEvent.run(runId, seq, frame, at, _tag, nodeId, iteration, attempt, payloadOf(event))
  }

  /**
   * Writes the first event of a frame if the claim is valid and the protocol unchanged; with `isUntold`, only if the inbox of the
   * run is also empty. Returns `true` if written.
   */
  const logFirst = ({ runId, epoch, frame, at, firstSeq, events: [event] }: Frame, isUntold: boolean): boolean => {
    if (event === undefined) {
      guard()
      return selectClaim.values(runId, epoch).length > 0
    }
    const { _tag, nodeId = null, iteration = null, attempt = null } = event as LogEntry
    let changes = 0
    blame(0, () => {
      const payload = payloadOf(event)
      const insert = isUntold ? insertFirstUntold : insertFirst
      changes = insert.run(runId, firstSeq, frame, at, _tag, nodeId, iteration, attempt, payload, epoch, protocol).changes
    })
    if (changes === 0) guard()
    return changes > 0
  }

  return {
    commit: (frame) => {
      const { runId, epoch, at, plan, events, firstSeq } = frame
      const claim = claimOf(frame)
      if (claim === undefined) return Either.left(new RunFenced({ runId, epoch }))
      const { workflow } = claim
      if (frame.frame !== claim.frame + 1)
        return Either.left(
          new StoreFailed({ operation: "commit", detail: `frame ${frame.frame} of run ${runId} does not follow the last one` }),
        )
      const contradicts = isOnward(frame) || isContinued(frame)
      const isUntold = contradicts && frame.consumed.length === 0 && !hasTimedOut(frame)
      if (!isUntold || !logFirst(frame, true)) {
        if ((hasTimedOut(frame) || contradicts) && isStaleFrame(frame, claims.told(runId)))
          return Either.left(new StaleFrame({ runId }))
        if (!logFirst(frame, false)) return Either.left(new RunFenced({ runId, epoch }))
      }
      if (plan !== undefined || events.length === 0)
        insertFrame.run(runId, frame.frame, at, plan === undefined ? null : plans.keep(plan))
      store(frame, workflow)
      // An earlier claim may have died before its first frame.
      if (firstSeq === 1 && epoch > 1) clearStuck.run(runId)
      for (const { nodeId, iteration, key, isShared } of frame.cache) {
        const insert = isShared === true ? insertShared : insertCache
        insert.run(runId, nodeId, iteration, workflow, hash(key), at)
      }
      if (frame.generation !== undefined) {
        const { generation, code } = frame.generation
        putGeneration.run(runId, generation, code?.hash ?? null, code === null ? null : JSON.stringify(code.files), at)
      }
      for (const score of frame.scores ?? []) scores.expect({ ...score, runId }, at)
      for (const fact of frame.facts ?? []) facts.put({ ...fact, runId, at })
      for (const id of frame.consumed) consume.run(runId, id, frame.frame)
      for (const { runId: successor, create } of frame.spawned ?? []) {
        if (create.chain === undefined) continue
        const end = events.findIndex(({ _tag }) => _tag === "RunContinued")
        blame(end, () => claims.continueAs(runId, successor, create, at))
      }
      for (const { runId, create } of frame.spawned ?? []) {
        if (create.chain !== undefined) continue
        // The input of the child is not in an event; it belongs to the wait that starts the child.
        const start = events.findIndex((event) => event._tag === "WaitStarted" && event.name === runId)
        blame(start, () => claims.spawn(runId, create, at))
      }
      for (const command of frame.sent ?? []) claims.deliver(command)
      // Commands that came too late must not be applied when the run is resumed.
      if (isLast(frame)) consumeAll.run(runId, frame.frame)
      return Either.right(undefined)
    },
    begun: (frame, workflow) => {
      const { runId, frame: number, at, firstSeq, events, plan } = frame
      const [first] = events
      if (first !== undefined) blame(0, () => log(runId, firstSeq, number, at, first))
      insertFrame.run(runId, number, at, plan === undefined ? null : plans.keep(plan))
      store(frame, workflow)
    },
    note: (frame) => {
      const claim = held.get(frame.runId)
      if (isLast(frame)) held.delete(frame.runId)
      else if (claim?.epoch === frame.epoch) claim.frame = frame.frame
    },
    begin: (runId, workflow) => {
      held.set(runId, { epoch: 1, workflow, frame: 0 })
    },
    forget: (runId) => {
      held.delete(runId)
    },
    heartbeat: ({ runId, epoch, nodeId, iteration, attempt, at, details }) => {
      if (selectClaim.values(runId, epoch).length === 0) return Either.left(new RunFenced({ runId, epoch }))
      beat.run(runId, nodeId, iteration, attempt, at, write(details))
      return Either.right(undefined)
    },
  }
}

const isOf = (event: RunEvent, { nodeId, iteration }: Records.NodeRecord): boolean =>
  "nodeId" in event && event.nodeId === nodeId && event.iteration === iteration

/** The fields of an event that have columns. */
interface LogEntry {
  readonly _tag: string
  readonly nodeId?: string
  readonly iteration?: number
  readonly attempt?: number
}

const hasColumn = (field: string): boolean => field === "_tag" || field === "nodeId" || field === "iteration" || field === "attempt"

/**
 * Returns an event as stored: without content that other rows hold. The output of a child run has no row of this run before its
 * wait ends.
 */
const stored = (event: RunEvent): RunEvent => {
  if (event._tag === "SubflowEnded") return event
  if (event._tag !== "AttemptFailed") return withoutContent(event)
  const { error: _, ...rest } = withoutContent(event) as typeof event
  return rest as RunEvent
}

/** Returns the fields of an event that have no column, as JSON; `null` if it has none, as most starts of attempts. */
const payloadOf = (event: RunEvent): string | null => {
  const shown = stored(event) as { readonly [field: string]: unknown }
  let rest: { [field: string]: unknown } | undefined
  for (const field in shown) {
    if (hasColumn(field)) continue
    rest ??= {}
    rest[field] = shown[field]
  }
  return rest === undefined ? null : writePayload(rest)
}

const writePayload = (fields: { readonly [field: string]: unknown }): string | null => {
  if (fields.failure === undefined) {
    const text = write(fields as Json)
    return text === "{}" ? null : text
  }
  const { failure, ...rest } = fields
  const others = Object.keys(rest).length === 0 ? "" : `,${JSON.stringify(rest).slice(1, -1)}`
  return `{"failure":${Rows.writeFailure(failure as Parameters<typeof Rows.writeFailure>[0])}${others}}`
}
