/**
 * What people and programs do with schedules: add, pause, run now, remove, show; and what supervisors do: fire.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Json } from "./Codec.ts"
import type { Definition } from "./Definition.ts"
import { InvalidInput, InvalidSetting, NoSuchSchedule, ScheduleBusy, ScheduleIdTaken, type StoreError, unnamed } from "./Errors.ts"
import { idRule, isDerivedRunId, isId } from "./Ids.ts"
import * as Firing from "./internal/firing.ts"
import { canonical } from "./internal/json.ts"
import * as Ticks from "./internal/ticks.ts"
import * as Millis from "./Millis.ts"
import { RunReader, type RunSummary } from "./RunReader.ts"
import {
  type DueSchedule,
  type Overlap,
  type Schedule,
  Schedules,
  type SchedulesShape,
  type ScheduleWrite,
  type Tick,
} from "./Schedules.ts"
import * as Secrets from "./Secrets.ts"
import * as Settings from "./Settings.ts"

/** Options of a schedule. */
export interface ScheduleOptions {
  /** Five fields, such as `"30 2 * * *"`, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. */
  readonly cron: string
  /** A time zone of the IANA database. Default: `"UTC"`. */
  readonly tz?: string
  /** Id of the schedule, which the ids of its runs begin with. Default: the name of the workflow. */
  readonly id?: string
  /**
   * Reaction to a tick while the run before has not ended: leave it out, start its run after that end, or cancel that run and start after
   * its end. Default: `"skip"`.
   */
  readonly overlap?: Overlap
  /** Longest delay of a tick that came while nothing supervised the store; a later one is missed. At least 10 seconds. Default: 1 day. */
  readonly catchUp?: Millis.DurationLike
  /** Longest random delay of each tick. It is the same whoever fires it. Default: none. */
  readonly jitter?: Millis.DurationLike
  /** Labels of its runs. */
  readonly tags?: ReadonlyArray<string>
  /** Path of the workflow's file, for the command and its supervisor. Default: none, so that only programs with the workflow run it. */
  readonly source?: string
  /** `"refuse"` fails with `ScheduleIdTaken` if the id has another schedule. Default: `"replace"`. */
  readonly onExisting?: "replace" | "refuse"
}

const names: Settings.Names<ScheduleOptions> = {
  cron: true,
  tz: true,
  id: true,
  overlap: true,
  catchUp: true,
  jitter: true,
  tags: true,
  source: true,
  onExisting: true,
}

/** Longest id of a schedule, in characters. Its runs repeat it. */
const longestId = 200

/** Shortest time in which a tick may be late (ms): a supervisor looks every few seconds. */
const leastCatchUpMs = Millis.make(10_000)

const readTicks = ({ cron, tz }: Pick<Schedule, "cron" | "tz">): Either.Either<Ticks.Ticks, InvalidSetting> =>
  Either.mapLeft(
    Ticks.make(cron, tz),
    ({ of, expected }) => new InvalidSetting({ setting: of, received: Millis.show(of === "cron" ? cron : tz), expected }),
  )

/** The fields of a schedule that its options decide. */
const contentOf = ({ workflow, source, input, tags, cron, tz, overlap, catchUpMs, jitterMs }: Schedule) =>
  canonical([workflow, source, (input ?? null) as Json, tags, cron, tz, overlap, catchUpMs, jitterMs])

/** The part of a workflow that schedules need. */
export interface Schedulable<R> {
  readonly definition: Definition<R>
  /** Default: the name of the definition. */
  readonly name?: string
}

/** Writes a change of a schedule, computed anew as long as others write it first. */
const writing = <E>(
  scheduleId: string,
  change: (found: DueSchedule | undefined, now: Millis.Millis) => Effect.Effect<ScheduleWrite | undefined, E>,
): Effect.Effect<Schedule | undefined, E | StoreError, Schedules> =>
  Effect.gen(function* () {
    const port = yield* Schedules
    for (;;) {
      const now = yield* Millis.now
      const [found] = yield* port.schedules({ scheduleId })
      const write = yield* change(found, now)
      if (write === undefined) return found?.schedule
      if (yield* written(port, found, write, now)) return { ...write.schedule, revision: write.schedule.revision + 1 }
    }
  })

/** Writes what was decided of a schedule; with its refused runs as ticks. `false` if another process has written it first. */
const written = (port: SchedulesShape, found: DueSchedule | undefined, write: ScheduleWrite, now: Millis.Millis) =>
  Effect.gen(function* () {
    for (let next = write; ; ) {
      const result = yield* port.writeSchedule(next)
      if (result._tag !== "Taken" || found === undefined) return result._tag === "Written"
      next = Firing.refused(found, next, result.runId, now)
    }
  })

const alone = (schedule: Schedule): ScheduleWrite => ({ schedule, starts: [], cancels: [], ticks: [] })

/**
 * Starts runs of a workflow by a cron expression, from the next tick on. Supervisors of the store fire it, each tick once. The input is
 * decoded here, and again when a run begins; then a run whose input or code does not fit is stuck, with the reason, and tried again.
 * With the id of a schedule it replaces that one; the same again changes nothing. Fails with `InvalidSetting` or `InvalidInput`.
 */
export const schedule = <R>(
  workflow: Schedulable<R>,
  input: unknown,
  options: ScheduleOptions,
): Effect.Effect<Schedule, StoreError | InvalidSetting | InvalidInput | ScheduleIdTaken, Schedules | R> =>
  Effect.gen(function* () {
    yield* Settings.only("schedule", options, names)
    const { definition } = workflow
    const name = definition.name ?? workflow.name ?? unnamed
    const scheduleId = options.id ?? name
    if (!isId(scheduleId) || scheduleId.length > longestId || isDerivedRunId(scheduleId) || scheduleId.includes("@"))
      return yield* new InvalidSetting({
        setting: "id",
        received: Millis.show(scheduleId),
        expected: `${idRule}, at most ${longestId} of them, without "@"`,
      })
    const [cron, tz] = [yield* Settings.filled("cron", options.cron, "a cron expression"), options.tz ?? "UTC"]
    const ticks = yield* readTicks({ cron, tz: yield* Settings.filled("tz", tz, "a time zone") })
    const overlap = yield* Settings.word("overlap", options.overlap, ["skip", "queue", "cancel-other"])
    const catchUpMs = yield* Settings.duration("catchUp", options.catchUp, "1 day", leastCatchUpMs)
    const jitterMs = yield* Settings.duration("jitter", options.jitter, "0 seconds", Millis.zero)
    const tags = yield* Settings.texts("tags", options.tags)
    const source = (yield* Settings.text("source", options.source)) ?? null
    const onExisting = yield* Settings.word("onExisting", options.onExisting, ["replace", "refuse"])
    const encoded = yield* Effect.mapError(
      definition.input.encode(input) as Effect.Effect<Json | undefined, ReadonlyArray<string>, R>,
      (issues) => new InvalidInput({ workflow: name, issues }),
    )
    const secret = Secrets.problemIn(encoded)
    if (secret !== undefined) return yield* new InvalidInput({ workflow: name, issues: [secret.problem], secret: secret.secret })
    const stored = yield* writing(scheduleId, (found, now) => {
      const fresh: Schedule = {
        ...{ scheduleId, workflow: name, source, tags, cron, tz, overlap, catchUpMs, jitterMs },
        ...(encoded === undefined ? {} : { input: encoded }),
        ...{ isPaused: false, createdAt: now, revision: 0, tick: null, dueAt: null, decidedAt: now, lastRunId: null, queued: [] },
        error: null,
      }
      if (found === undefined) return Effect.succeed(alone(Firing.from(fresh, ticks, now)))
      const before = found.schedule
      if (contentOf(before) === contentOf(fresh)) return Effect.succeed(undefined)
      if (onExisting === "refuse") return new ScheduleIdTaken({ scheduleId, workflow: before.workflow })
      const { isPaused, createdAt, revision, lastRunId, queued } = before
      const next = { ...fresh, isPaused, createdAt, revision, lastRunId, queued }
      return Effect.succeed(alone(isPaused ? next : Firing.from(next, ticks, now)))
    })
    return stored as Schedule
  })

const existing = <E>(
  scheduleId: string,
  change: (found: DueSchedule, now: Millis.Millis) => Effect.Effect<ScheduleWrite | undefined, E>,
) =>
  Effect.map(
    writing(
      scheduleId,
      (found, now): Effect.Effect<ScheduleWrite | undefined, E | NoSuchSchedule> =>
        found === undefined ? new NoSuchSchedule({ scheduleId }) : change(found, now),
    ),
    // It exists.
    (schedule) => schedule as Schedule,
  )

/** Pauses a schedule: no tick fires until it is unpaused, queued ones neither. Runs at work go on. Fails with `NoSuchSchedule`. */
export const pauseSchedule = (scheduleId: string): Effect.Effect<Schedule, StoreError | NoSuchSchedule, Schedules> =>
  existing(scheduleId, ({ schedule }, now) =>
    Effect.succeed(schedule.isPaused ? undefined : alone({ ...schedule, isPaused: true, tick: null, dueAt: null, decidedAt: now })),
  )

/** Unpauses a schedule, from the next tick on. Ticks of the time of the pause are not made up for. Fails with `NoSuchSchedule`. */
export const unpauseSchedule = (
  scheduleId: string,
): Effect.Effect<Schedule, StoreError | NoSuchSchedule | InvalidSetting, Schedules> =>
  existing(scheduleId, ({ schedule }, now) =>
    Effect.gen(function* () {
      if (!schedule.isPaused) return undefined
      const ticks = yield* readTicks(schedule)
      return alone(Firing.from({ ...schedule, isPaused: false, decidedAt: now }, ticks, now))
    }),
  )

/**
 * Makes a tick of a schedule now, also if it is paused. A supervisor begins its run. It follows the overlap policy: fails with `ScheduleBusy`
 * if the run before has not ended and ticks are skipped then. Returns what became of the tick.
 */
export const runScheduleNow = (scheduleId: string): Effect.Effect<Tick, StoreError | NoSuchSchedule | ScheduleBusy, Schedules> =>
  Effect.gen(function* () {
    let made: ScheduleWrite | undefined
    yield* existing(scheduleId, (found, now) => {
      made = Firing.decideNow(found, now)
      const runId = found.schedule.lastRunId ?? ""
      return made === undefined ? new ScheduleBusy({ scheduleId, runId }) : Effect.succeed(made)
    })
    const port = yield* Schedules
    const tick = made?.ticks.at(-1)?.tick
    const found = (yield* port.scheduleTicks(scheduleId, 10)).find((one) => one.tick === tick)
    return found ?? (yield* new NoSuchSchedule({ scheduleId }))
  })

/** Removes a schedule with its queued ticks. Its runs stay. Fails with `NoSuchSchedule`. */
export const removeSchedule = (scheduleId: string): Effect.Effect<void, StoreError | NoSuchSchedule, Schedules> =>
  Effect.gen(function* () {
    const port = yield* Schedules
    if (!(yield* port.deleteSchedule(scheduleId))) return yield* new NoSuchSchedule({ scheduleId })
  })

/** Lists the schedules of the store, by id. Read only. */
export const schedules: Effect.Effect<ReadonlyArray<Schedule>, StoreError, Schedules> = Effect.gen(function* () {
  const port = yield* Schedules
  return (yield* port.schedules({})).map((found) => found.schedule)
})

/** A schedule, its next ticks, its last ones, and the runs that they started. */
export interface ShownSchedule {
  readonly schedule: Schedule
  /** The next ten ticks, without jitter; none while it is paused. */
  readonly next: ReadonlyArray<Millis.Millis>
  /** The latest first. */
  readonly last: ReadonlyArray<Tick>
  /** The runs of `last` that are still there. */
  readonly runs: ReadonlyArray<RunSummary>
  /** The error of the schedule, or the reason that its last run is stuck. */
  readonly problem: string | undefined
}

/** Ticks that are shown, past and coming. */
const shownTicks = 10

/** Reads a schedule with its ticks. Fails with `NoSuchSchedule`. Read only. */
export const showSchedule = (
  scheduleId: string,
): Effect.Effect<ShownSchedule, StoreError | NoSuchSchedule, Schedules | RunReader> =>
  Effect.gen(function* () {
    const [port, reader] = [yield* Schedules, yield* RunReader]
    const [found] = yield* port.schedules({ scheduleId })
    if (found === undefined) return yield* new NoSuchSchedule({ scheduleId })
    const { schedule } = found
    const last = yield* port.scheduleTicks(scheduleId, shownTicks)
    const runIds = last.flatMap(({ runId }) => (runId === null ? [] : [runId]))
    const runs = runIds.length === 0 ? [] : yield* reader.runs({ runIds, limit: runIds.length })
    const latest = runs.find(({ runId }) => runId === schedule.lastRunId)
    return { schedule, next: nextTicks(schedule), last, runs, problem: schedule.error?.message ?? latest?.stuck?.error.message }
  })

const nextTicks = (schedule: Schedule): ReadonlyArray<Millis.Millis> => {
  const read = Ticks.make(schedule.cron, schedule.tz)
  if (schedule.tick === null || Either.isLeft(read)) return []
  const next = [schedule.tick]
  while (next.length < shownTicks) next.push(read.right.after(next.at(-1) ?? schedule.tick))
  return next
}

/**
 * Fires the schedules that are due, and returns what became of their ticks, and when the next is due. Several processes may do so at
 * once: each tick is made by one. Supervisors call it at each look.
 */
export const fire = (
  port: SchedulesShape,
  now: Millis.Millis,
): Effect.Effect<
  { readonly ticks: ReadonlyArray<Tick & Pick<Schedule, "workflow">>; readonly nextAt: number | undefined },
  StoreError
> =>
  Effect.gen(function* () {
    const { schedules: due, nextAt } = yield* port.dueSchedules(now)
    const ticks: Array<Tick & Pick<Schedule, "workflow">> = []
    let next = nextAt
    for (const found of due) {
      const write = Firing.decide(found, now)
      // One that the store refuses, such as for a secret in its input, keeps no other from firing.
      const isWritten = yield* Effect.catchTag(written(port, found, write, now), "StoreRefused", (error) =>
        Effect.as(Effect.logError(`schedule "${found.schedule.scheduleId}" could not be fired: ${error.message}`), false),
      )
      if (!isWritten) continue
      const { workflow, dueAt } = write.schedule
      ticks.push(...write.ticks.map((tick) => ({ ...tick, workflow })))
      if (dueAt !== null) next = Math.min(next ?? dueAt, dueAt)
    }
    return { ticks, nextAt: next }
  })
