/**
 * Commands that add, show and change schedules.
 */
import { join } from "node:path"
import type { InvalidSetting } from "@smithers/core/Errors"
import * as Commands from "@smithers/core/ScheduleCommands"
import { type Schedule, Schedules, type Tick } from "@smithers/core/Schedules"
import { ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { commandLine } from "@smithers/server/views/CommandLine"
import { plural, span } from "@smithers/server/views/Text"
import { realPath } from "@smithers/sqlite/Location"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { connect, filename, named, nameFor, nearest, open } from "../Database.ts"
import { InvalidUsage } from "../Errors.ts"
import { inputOf, sourceFor } from "../NewRun.ts"
import { rootOf } from "../Project.ts"
import { Screen, widthOf } from "../Screen.ts"
import { table } from "../Table.ts"
import { looksLikeFile } from "../Target.ts"
import { load } from "../WorkflowFile.ts"
import { find } from "./workflow.ts"

interface StoreOptions {
  readonly db: string | undefined
}

interface IdOptions extends StoreOptions {
  readonly schedule: string
}

interface AddOptions extends StoreOptions {
  readonly workflow: string
  readonly cron: string | undefined
  readonly tz: string | undefined
  readonly input: string | undefined
  readonly id: string | undefined
  readonly overlap: "skip" | "queue" | "cancel-other" | undefined
  readonly catchUp: string | undefined
  readonly jitter: string | undefined
  readonly tag: ReadonlyArray<string>
  readonly onExisting: "replace" | "refuse" | undefined
  readonly root: string | undefined
  readonly export: string | undefined
}

/** Options of the command by the settings they give. */
const optionNames: Readonly<Record<string, string>> = { catchUp: "--catch-up", jitter: "--jitter", tags: "--tag", id: "--id" }

/** The problem with an option, in the words of the command line. */
const asUsage = ({ setting, received, expected }: InvalidSetting) =>
  new InvalidUsage({
    problem: `${optionNames[setting] ?? `--${setting}`} is ${received}: it must be ${expected}`,
    command: "schedule add",
  })

/** Formats a time of a schedule in its zone, to the minute. */
const at = (time: number, tz: string): string => {
  const parts = new Intl.DateTimeFormat("en-CA", {
    ...{ timeZone: tz, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
    timeZoneName: "short",
  }).formatToParts(time)
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? ""
  return `${part("year")}-${part("month")}-${part("day")} ${part("hour")}:${part("minute")} ${part("timeZoneName")}`
}

const nextOf = ({ isPaused, tick, tz }: Schedule): string => (isPaused || tick === null ? "paused" : at(tick, tz))

export const add = (options: AddOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { cron } = options
      if (cron === undefined)
        return yield* new InvalidUsage({ problem: `Give the times: --cron "30 2 * * *"`, command: "schedule add" })
      const here = process.cwd()
      const root = realPath(options.root ?? ".")
      const target = looksLikeFile(options.workflow) ? options.workflow : (yield* find({ name: options.workflow, root })).path
      const project = looksLikeFile(options.workflow) ? root : rootOf(root)
      const file = (yield* named(options.db)) ?? (yield* nearest(project)) ?? realPath(join(project, filename))
      const loaded = yield* load(target, { folder: here, exported: options.export })
      const input = yield* inputOf(options.input, loaded.workflow)
      const storage = yield* open(file, "create")
      const { id, tz, overlap, catchUp, jitter, tag: tags } = options
      const made = Commands.schedule(loaded.workflow, input, {
        ...{ cron, tags, source: sourceFor(file, loaded), ...defined({ onExisting: options.onExisting }) },
        ...(defined({ id, tz, overlap, catchUp, jitter }) as object),
      })
      const known = yield* storage.schedules({})
      const schedule = yield* Effect.provide(Effect.catchTag(made, "InvalidSetting", asUsage), ports(storage))
      const isNew = !known.some((one) => one.schedule.scheduleId === schedule.scheduleId)
      const db = nameFor(file, options.db, here)
      const { scheduleId } = schedule
      const text = [
        `${isNew ? "Added" : "Stored"} schedule ${scheduleId}. Next: ${nextOf(schedule)}.`,
        `See its ticks: ${commandLine(db, "schedule show", [scheduleId])}`,
        `A supervisor starts its runs: ${commandLine(db, "supervise")}`,
      ].join("\n")
      return { value: { db: file, schedule }, text }
    }),
  )

export const list = (options: StoreOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { file: db, storage } = yield* connect(options.db, "read")
      const schedules = yield* Effect.provide(Commands.schedules, ports(storage))
      const rows = schedules.map((schedule) => [
        schedule.scheduleId,
        schedule.workflow,
        schedule.cron,
        schedule.tz,
        nextOf(schedule),
        schedule.error === null ? (schedule.lastRunId ?? "") : `stuck: ${schedule.error.message}`,
      ])
      const text =
        rows.length === 0
          ? `There are no schedules. Add one: smithers schedule add WORKFLOW --cron "30 2 * * *"`
          : table(["SCHEDULE", "WORKFLOW", "CRON", "ZONE", "NEXT", "LAST RUN"], rows, widthOf(yield* Screen))
      return { value: { db, schedules }, text }
    }),
  )

const tickLine = ({ tick, outcome, runId, detail }: Tick, tz: string): ReadonlyArray<string> => [
  at(tick, tz),
  outcome,
  runId ?? "",
  detail ?? "",
]

export const show = ({ db: location, schedule: scheduleId }: IdOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { file: db, storage } = yield* connect(location, "read")
      const shown = yield* Effect.provide(Commands.showSchedule(scheduleId), ports(storage))
      const { schedule, next, last, problem } = shown
      const now = yield* Clock.currentTimeMillis
      const { workflow, cron, tz, overlap, catchUpMs, jitterMs, queued, isPaused, input } = schedule
      const fields = [
        ["workflow", workflow],
        ["times", `${cron} in ${tz}${jitterMs === 0 ? "" : `, up to ${span(jitterMs)} later`}`],
        ["while the run before works", overlap === "cancel-other" ? "cancel it" : overlap],
        ["caught up", `ticks of the last ${span(catchUpMs)}`],
        ...(input === undefined ? [] : [["input", JSON.stringify(input)]]),
        ...(queued.length === 0 ? [] : [["queued", plural(queued.length, "tick")]]),
        ...(problem === undefined ? [] : [["problem", problem]]),
      ]
      const [first] = next
      const soon = isPaused || first === undefined ? "paused" : `in ${span(first - now)}`
      const text = [
        `Schedule ${scheduleId}, ${soon}`,
        ...fields.map(([name = "", value = ""]) => `  ${name}: ${value}`),
        ...(next.length === 0 ? [] : ["Next", ...next.slice(0, 3).map((tick) => `  ${at(tick, tz)}`)]),
        ...(last.length === 0
          ? []
          : [
              table(
                ["TICK", "OUTCOME", "RUN", ""],
                last.map((tick) => tickLine(tick, tz)),
                widthOf(yield* Screen),
              ),
            ]),
      ].join("\n")
      return { value: { db, ...shown, problem: problem ?? null }, text }
    }),
  )

const changed = (
  { db: location, schedule: scheduleId }: IdOptions,
  change: typeof Commands.pauseSchedule | typeof Commands.unpauseSchedule,
  said: (schedule: Schedule) => string,
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { file: db, storage } = yield* connect(location, "write")
      const schedule = yield* Effect.provideService(change(scheduleId), Schedules, storage)
      return { value: { db, schedule }, text: said(schedule) }
    }),
  )

export const pause = (options: IdOptions) =>
  changed(options, Commands.pauseSchedule, ({ scheduleId }) => `Schedule ${scheduleId} is paused. Runs at work go on.`)

export const unpause = (options: IdOptions) =>
  changed(
    options,
    Commands.unpauseSchedule,
    (schedule) => `Schedule ${schedule.scheduleId} is unpaused. Next: ${nextOf(schedule)}.`,
  )

export const runNow = ({ db: location, schedule: scheduleId }: IdOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { file: db, storage } = yield* connect(location, "write")
      const tick = yield* Effect.provideService(Commands.runScheduleNow(scheduleId), Schedules, storage)
      const supervise = commandLine(location, "supervise")
      const text =
        tick.outcome === "queued"
          ? "Queued: its run is started after the end of the one before."
          : `Started run ${tick.runId}. A supervisor works on it: ${supervise}`
      return { value: { db, tick }, text }
    }),
  )

export const remove = ({ db: location, schedule: scheduleId }: IdOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { file: db, storage } = yield* connect(location, "write")
      yield* Effect.provideService(Commands.removeSchedule(scheduleId), Schedules, storage)
      return { value: { db, scheduleId }, text: `Removed schedule ${scheduleId}. Its runs stay.` }
    }),
  )
