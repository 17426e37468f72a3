/**
 * Schedules on the connection of the engine. A write names the revision that it follows, and creates the runs of its ticks in its transaction.
 */
import { compositeKey } from "@smithers/core/Ids"
import * as Schedules from "@smithers/core/Schedules"
import * as Status from "@smithers/core/Status"
import { inList } from "@smithers/sql/Lists"
import type { Claims } from "./claims.ts"
import type { Connection } from "./connection.ts"

/** The tables of schedules, part of the step in which they came. */
export const sql = `
CREATE TABLE smithers_schedules (
  schedule_id TEXT PRIMARY KEY,
  workflow TEXT NOT NULL,
  source TEXT, -- where the code of its runs is
  input TEXT, -- JSON
  tags TEXT NOT NULL, -- JSON
  cron TEXT NOT NULL,
  tz TEXT NOT NULL,
  overlap TEXT NOT NULL, -- skip, queue, cancel-other
  catch_up_ms INTEGER NOT NULL,
  jitter_ms INTEGER NOT NULL,
  is_paused INTEGER, -- 1 while it is paused
  created_at INTEGER NOT NULL,
  revision INTEGER NOT NULL, -- counts writes
  tick_at INTEGER, -- the next tick; NULL while it is paused
  due_at INTEGER, -- the same with its jitter
  decided_at INTEGER NOT NULL, -- time of the last write
  last_run TEXT, -- the run of the last tick
  queued TEXT, -- JSON: ticks that wait for the end of that run; NULL if there are none
  error TEXT -- JSON {"at", "name", "message"}: why the last tick failed
) STRICT, WITHOUT ROWID;
CREATE INDEX smithers_schedules_due ON smithers_schedules (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX smithers_schedules_decided ON smithers_schedules (decided_at) WHERE due_at IS NOT NULL;
CREATE INDEX smithers_schedules_queued ON smithers_schedules (last_run) WHERE queued IS NOT NULL;

-- What became of the last ticks of each schedule.
CREATE TABLE smithers_schedule_ticks (
  schedule_id TEXT NOT NULL,
  tick_at INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  outcome TEXT NOT NULL, -- started, queued, skipped, missed, refused
  started_run TEXT,
  detail TEXT,
  PRIMARY KEY (schedule_id, tick_at)
) STRICT, WITHOUT ROWID;
`

export interface ScheduleRows {
  readonly find: (scheduleId: string | undefined) => ReadonlyArray<Schedules.DueSchedule>
  readonly due: (now: number) => {
    readonly schedules: ReadonlyArray<Schedules.DueSchedule>
    readonly nextAt: number | undefined
  }
  /** Call it within a write transaction. */
  readonly write: (write: Schedules.ScheduleWrite) => Schedules.Written
  /** Call it within a write transaction. */
  readonly remove: (scheduleId: string) => boolean
  readonly ticks: (scheduleId: string, limit: number) => ReadonlyArray<Schedules.Tick>
}

const fields = [
  ...["schedule_id", "workflow", "source", "input", "tags", "cron", "tz", "overlap", "catch_up_ms", "jitter_ms", "is_paused"],
  ...["created_at", "revision", "tick_at", "due_at", "decided_at", "last_run", "queued", "error"],
]

type Millis = Schedules.Tick["tick"]

type ScheduleRow = [
  scheduleId: string,
  workflow: string,
  source: string | null,
  input: string | null,
  tags: string,
  cron: string,
  tz: string,
  overlap: Schedules.Overlap,
  catchUpMs: Millis,
  jitterMs: Millis,
  isPaused: number | null,
  createdAt: Millis,
  revision: number,
  tick: Millis | null,
  dueAt: Millis | null,
  decidedAt: Millis,
  lastRunId: string | null,
  queued: string | null,
  error: string | null,
  isBusy: number,
]

const scheduleOf = (row: ScheduleRow): Schedules.DueSchedule => {
  const [scheduleId, workflow, source, input, tags, cron, tz, overlap, catchUpMs, jitterMs, isPaused, createdAt, ...rest] = row
  const [revision, tick, dueAt, decidedAt, lastRunId, queued, error, isBusy] = rest
  return {
    schedule: {
      ...{ scheduleId, workflow, source, cron, tz, overlap, catchUpMs, jitterMs, createdAt, revision, tick, dueAt, decidedAt },
      ...(input === null ? {} : { input: JSON.parse(input) }),
      ...{ tags: JSON.parse(tags), isPaused: isPaused === 1, lastRunId },
      ...{ queued: queued === null ? [] : JSON.parse(queued), error: error === null ? null : JSON.parse(error) },
    },
    isBusy: isBusy === 1,
  }
}

type TickRow = [tick: Millis, at: Millis, outcome: Schedules.TickOutcome, runId: string | null, detail: string | null]

const isOpen = `(r.status NOT IN ${inList(Status.endedStatuses)} OR r.owner IS NOT NULL)`
/** A run that goes on as others is open as long as one of them is. */
const isLastOpen = `(EXISTS (SELECT 1 FROM smithers_runs r WHERE r.run_id = s.last_run AND ${isOpen})
  OR EXISTS (SELECT 1 FROM smithers_runs r WHERE r.chain = s.last_run AND ${isOpen}))`
const columns = `${fields.map((field) => `s.${field}`).join(", ")}, ${isLastOpen}`

export const make = (connection: Connection, claims: Pick<Claims, "spawn" | "deliver">): ScheduleRows => {
  // Prepared when they are first used: most processes have no schedules to write.
  const prepared = (statement: string) => connection.prepare(statement)
  const dueParts = [
    `SELECT ${columns} FROM smithers_schedules s INDEXED BY smithers_schedules_due WHERE s.due_at <= ?1`,
    `SELECT ${columns} FROM smithers_schedules s INDEXED BY smithers_schedules_decided WHERE s.due_at IS NOT NULL AND s.decided_at > ?2`,
    `SELECT ${columns} FROM smithers_schedules s INDEXED BY smithers_schedules_queued
       WHERE s.queued IS NOT NULL AND s.is_paused IS NULL
         AND NOT ${isLastOpen}`,
  ]
  const selectDue = connection.prepare<ScheduleRow>(`${dueParts.join(" UNION ")} LIMIT 100`)
  const selectNext = connection.prepare<[at: number | null]>("SELECT min(due_at) FROM smithers_schedules WHERE due_at > ?")
  return {
    find: (scheduleId) =>
      connection
        .prepare<ScheduleRow>(
          `SELECT ${columns} FROM smithers_schedules s WHERE ?1 IS NULL OR s.schedule_id = ?1 ORDER BY s.schedule_id`,
        )
        .values(scheduleId ?? null)
        .map(scheduleOf),
    due: (now) => ({
      schedules: selectDue.values(now, now + Schedules.setBackMs).map(scheduleOf),
      nextAt: selectNext.values(now)[0]?.[0] ?? undefined,
    }),
    write: ({ schedule, starts, cancels, ticks }) => {
      const { scheduleId, revision, decidedAt: at } = schedule
      const [found] = connection
        .prepare<[revision: number]>("SELECT revision FROM smithers_schedules WHERE schedule_id = ?")
        .values(scheduleId)
      if ((found?.[0] ?? 0) !== revision) return { _tag: "Stale" }
      const selectRun = connection.prepare<[workflow: string]>("SELECT workflow FROM smithers_runs WHERE run_id = ?")
      for (const { runId, create } of starts) {
        const [run] = selectRun.values(runId)
        if (run !== undefined && run[0] !== create.workflow) return { _tag: "Taken", runId }
      }
      for (const { runId, create } of starts) claims.spawn(runId, create, at)
      const id = compositeKey("schedule", scheduleId, revision)
      // A run that has ended meanwhile needs no cancellation.
      for (const runId of cancels) claims.deliver({ id, runId, at, command: Schedules.cancelOf(scheduleId) })
      const { workflow, source, input, tags, cron, tz, overlap, catchUpMs, jitterMs, isPaused, createdAt } = schedule
      const { tick, dueAt, lastRunId, queued, error } = schedule
      prepared(`INSERT OR REPLACE INTO smithers_schedules (${fields.join(", ")}) VALUES (${fields.map(() => "?").join(", ")})`).run(
        ...[scheduleId, workflow, source, input === undefined ? null : JSON.stringify(input), JSON.stringify(tags), cron, tz],
        ...[overlap, catchUpMs, jitterMs, isPaused ? 1 : null, createdAt, revision + 1, tick, dueAt, at, lastRunId],
        ...[queued.length === 0 ? null : JSON.stringify(queued), error === null ? null : JSON.stringify(error)],
      )
      const insertTick = prepared(
        "INSERT OR REPLACE INTO smithers_schedule_ticks (schedule_id, tick_at, at_ms, outcome, started_run, detail) VALUES (?, ?, ?, ?, ?, ?)",
      )
      for (const made of ticks) insertTick.run(scheduleId, made.tick, made.at, made.outcome, made.runId, made.detail)
      if (ticks.length > 0)
        prepared(
          `DELETE FROM smithers_schedule_ticks WHERE schedule_id = ?1 AND tick_at < (
             SELECT min(tick_at) FROM (SELECT tick_at FROM smithers_schedule_ticks WHERE schedule_id = ?1 ORDER BY tick_at DESC LIMIT ?2))`,
        ).run(scheduleId, Schedules.keptTicks)
      return { _tag: "Written" }
    },
    remove: (scheduleId) => {
      prepared("DELETE FROM smithers_schedule_ticks WHERE schedule_id = ?").run(scheduleId)
      return prepared("DELETE FROM smithers_schedules WHERE schedule_id = ?").run(scheduleId).changes > 0
    },
    ticks: (scheduleId, limit) =>
      connection
        .prepare<TickRow>(
          `SELECT tick_at, at_ms, outcome, started_run, detail FROM smithers_schedule_ticks WHERE schedule_id = ? ORDER BY tick_at DESC LIMIT ?`,
        )
        .values(scheduleId, limit)
        .map(([tick, at, outcome, runId, detail]) => ({ scheduleId, tick, at, outcome, runId, detail })),
  }
}
