/**
 * Schedules start runs of a workflow at the times of a cron expression. They are rows of the store. Any supervisor fires them: the
 * run of a tick is created in the transaction that moves its schedule on, so each tick starts one run, whoever looks and whoever dies.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StoreError } from "./Errors.ts"
import type { Command } from "./Inbox.ts"
import { digest } from "./internal/digest.ts"
import * as Millis from "./Millis.ts"
import type { NewRun } from "./RunOwnership.ts"

/**
 * The reaction to a tick while the run before has not ended: the tick is left out, waits for its end, or cancels it and waits for
 * its end.
 */
export const Overlap = Schema.Literal("skip", "queue", "cancel-other")
export type Overlap = typeof Overlap.Type

/** A schedule. Times are epoch milliseconds. */
export const Schedule = Schema.Struct({
  scheduleId: Schema.String,
  workflow: Schema.String,
  /** Path of the workflow's file, for processes that load it. */
  source: Schema.NullOr(Schema.String),
  /** The input of its runs, encoded. */
  input: Schema.optional(Schema.Unknown),
  tags: Schema.Array(Schema.String),
  cron: Schema.String,
  /** A zone of the IANA database. */
  tz: Schema.String,
  overlap: Overlap,
  /** Longest delay of a tick, while nobody supervised. A later one is missed. */
  catchUpMs: Millis.Millis,
  /** Longest random delay of a tick. */
  jitterMs: Millis.Millis,
  isPaused: Schema.Boolean,
  createdAt: Millis.Millis,
  /** Counts changes of the row. A write names the one that it follows. */
  revision: Schema.Number,
  /** The next tick, and when it is due with its jitter; `null` while it is paused. */
  tick: Schema.NullOr(Millis.Millis),
  dueAt: Schema.NullOr(Millis.Millis),
  /** Time of the last write. */
  decidedAt: Millis.Millis,
  lastRunId: Schema.NullOr(Schema.String),
  /** Ticks that wait for the end of the last run. */
  queued: Schema.Array(Millis.Millis),
  /** The reason it could not fire, if the last tick failed. */
  error: Schema.NullOr(Schema.Struct({ at: Schema.Number, name: Schema.String, message: Schema.String })),
})
export interface Schedule extends Schema.Schema.Type<typeof Schedule> {}

/** What became of a tick. */
export const TickOutcome = Schema.Literal("started", "queued", "skipped", "missed", "refused")
export type TickOutcome = typeof TickOutcome.Type

/** A tick that is over, or waits. Ticks that were missed together are one, the first. */
export const Tick = Schema.Struct({
  scheduleId: Schema.String,
  tick: Millis.Millis,
  at: Millis.Millis,
  outcome: TickOutcome,
  /** The run that it started. */
  runId: Schema.NullOr(Schema.String),
  detail: Schema.NullOr(Schema.String),
})
export interface Tick extends Schema.Schema.Type<typeof Tick> {}

/** Ticks that are kept per schedule. */
export const keptTicks = 100

/** Most ticks that wait for the end of a run. */
export const mostQueued = 100

/** Lead of a row over the clock that shows that the clock was set back (ms). Clocks of machines differ by less. */
export const setBackMs = 60_000

/** The id of the run of a tick: `<schedule>@<time>`, the same whoever starts it. */
export const runIdOf = (scheduleId: string, tick: Millis.Millis): string =>
  `${scheduleId}@${new Date(tick).toISOString().replace(/(:00)?\.000Z$/, "Z")}`

/** The delay of a tick: less than `jitterMs`, and the same whoever asks. */
export const jitterOf = ({ scheduleId, jitterMs }: Pick<Schedule, "scheduleId" | "jitterMs">, tick: Millis.Millis): Millis.Millis =>
  Millis.make(jitterMs === 0 ? 0 : Number.parseInt(digest(`${scheduleId}@${tick}`).slice(0, 12), 16) % jitterMs)

/** The command to a run that a tick cancels. */
export const cancelOf = (scheduleId: string): Extract<Command, { readonly _tag: "Cancel" }> => ({
  _tag: "Cancel",
  reason: `by schedule "${scheduleId}", whose next tick has come`,
})

/** A change of a schedule, and what follows from it in the same transaction. */
export interface ScheduleWrite {
  /** The row to store. Its `revision` is that of the row before, 0 for a new one. */
  readonly schedule: Schedule
  readonly starts: ReadonlyArray<{ readonly runId: string; readonly create: NewRun }>
  /** Runs that are told to cancel. */
  readonly cancels: ReadonlyArray<string>
  readonly ticks: ReadonlyArray<Tick>
}

/**
 * The result of a {@link ScheduleWrite}. `Stale`: the row is of another revision, or there is none. `Taken`: a run of another workflow has
 * the id of a run to start. Then nothing was written.
 */
export type Written = { readonly _tag: "Written" } | { readonly _tag: "Stale" } | { readonly _tag: "Taken"; readonly runId: string }

/** A schedule to look at. `isBusy`: its last run has not ended. */
export interface DueSchedule {
  readonly schedule: Schedule
  readonly isBusy: boolean
}

/** The port of schedules. Times are epoch milliseconds. */
export interface SchedulesShape {
  /** Identifies the store: the same for all of its ports. */
  readonly storeId: string
  /** Reads schedules by id, in order; without `scheduleId` all. */
  readonly schedules: (filter: { readonly scheduleId?: string }) => Effect.Effect<ReadonlyArray<DueSchedule>, StoreError>
  /**
   * Reads up to a hundred schedules with a tick that is due, with a queued tick and a last run that has ended, or that were written later
   * than `now` by {@link setBackMs}. `nextAt` is when the next tick is due.
   */
  readonly dueSchedules: (
    now: Millis.Millis,
  ) => Effect.Effect<{ readonly schedules: ReadonlyArray<DueSchedule>; readonly nextAt: number | undefined }, StoreError>
  /** Writes a schedule, creates runs without an owner and delivers cancellations: all or nothing. A run that exists already is left alone. */
  readonly writeSchedule: (write: ScheduleWrite) => Effect.Effect<Written, StoreError>
  /** Deletes a schedule with its ticks. Its runs stay. Returns `false` if there was none. */
  readonly deleteSchedule: (scheduleId: string) => Effect.Effect<boolean, StoreError>
  /** Reads the last ticks of a schedule, the latest first. */
  readonly scheduleTicks: (scheduleId: string, limit: number) => Effect.Effect<ReadonlyArray<Tick>, StoreError>
}

/** The port of schedules. */
export class Schedules extends Context.Tag("@smithers/core/Schedules")<Schedules, SchedulesShape>() {}
