/**
 * Lists, adds and changes schedules.
 */
import { RunSummary } from "@smithers/core/RunReader"
import * as Commands from "@smithers/core/ScheduleCommands"
import { Schedule, Tick } from "@smithers/core/Schedules"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { define } from "./Operation.ts"
import { ScheduleOptions, WorkflowFiles } from "./WorkflowFiles.ts"

const ScheduleInput = Schema.Struct({ scheduleId: Schema.String })

export const listSchedules = define({
  name: "list_schedules",
  title: "Lists schedules, by id.",
  scope: "read",
  input: Schema.Struct({}),
  output: Schema.Struct({ schedules: Schema.Array(Schedule) }),
  run: () => Effect.map(Commands.schedules, (schedules) => ({ schedules })),
})

export const readSchedule = define({
  name: "read_schedule",
  title: "Reads a schedule: its next ticks, its last ones, and what became of each.",
  scope: "read",
  input: ScheduleInput,
  output: Schema.Struct({
    schedule: Schedule,
    next: Schema.Array(Schema.Number),
    last: Schema.Array(Tick),
    runs: Schema.Array(RunSummary),
    problem: Schema.NullOr(Schema.String),
  }),
  run: ({ scheduleId }) =>
    Effect.map(Commands.showSchedule(scheduleId), ({ problem, ...shown }) => ({ ...shown, problem: problem ?? null })),
})

export const addSchedule = define({
  name: "add_schedule",
  title: "Starts runs of a workflow at the times of a cron expression.",
  scope: "operate",
  input: ScheduleOptions,
  output: Schema.Struct({ schedule: Schedule }),
  run: ({ overlap, onExisting = "refuse", ...options }) =>
    Effect.gen(function* () {
      const { schedule } = yield* WorkflowFiles
      return yield* schedule({ ...options, ...defined({ overlap }), onExisting })
    }),
})

const Changed = Schema.Struct({ schedule: Schedule })

export const pauseSchedule = define({
  name: "pause_schedule",
  title: "Pauses a schedule: no tick fires until it is unpaused.",
  scope: "operate",
  input: ScheduleInput,
  output: Changed,
  run: ({ scheduleId }) => Effect.map(Commands.pauseSchedule(scheduleId), (schedule) => ({ schedule })),
})

export const unpauseSchedule = define({
  name: "unpause_schedule",
  title: "Unpauses a schedule, from its next tick on.",
  scope: "operate",
  input: ScheduleInput,
  output: Changed,
  run: ({ scheduleId }) => Effect.map(Commands.unpauseSchedule(scheduleId), (schedule) => ({ schedule })),
})

export const runScheduleNow = define({
  name: "run_schedule_now",
  title: "Makes a tick of a schedule now. A supervisor works on its run.",
  scope: "operate",
  input: ScheduleInput,
  output: Schema.Struct({ tick: Tick }),
  run: ({ scheduleId }) => Effect.map(Commands.runScheduleNow(scheduleId), (tick) => ({ tick })),
})

export const removeSchedule = define({
  name: "remove_schedule",
  title: "Removes a schedule with its queued ticks. Its runs stay.",
  scope: "operate",
  input: ScheduleInput,
  output: ScheduleInput,
  run: ({ scheduleId }) => Effect.as(Commands.removeSchedule(scheduleId), { scheduleId }),
})
