/**
 * Commands that start runs by the clock.
 */
import { argument, choice, define, text, texts } from "../Definition.ts"

const schedule = argument("schedule", "The id of the schedule")

export const scheduleAdd = define({
  path: ["schedule", "add"],
  summary: "Starts runs of a workflow at the times of a cron expression.",
  details:
    "A supervisor of the database starts the runs, each tick once. A tick that came while nothing supervised is caught up within --catch-up; of several, the last one. With the id of an existing schedule it replaces that one.",
  examples: [
    {
      line: `smithers schedule add nightly --cron "30 2 * * *" --tz Europe/Berlin`,
      does: "Starts the workflow of this name each night.",
    },
    {
      line: `smithers schedule add report.tsx --cron @hourly --input '{"team":"core"}' --overlap queue`,
      does: "Starts a file each hour; a tick waits for the run before.",
    },
  ],
  parameters: {
    workflow: argument("workflow", "The workflow: its name in the project, or its file"),
    cron: text("cron", "expression", "Five fields, such as '30 2 * * *', or @hourly, @daily, @weekly, @monthly, @yearly"),
    tz: text("tz", "zone", "Time zone, such as Europe/Berlin. Default: UTC"),
    input: text("input", "JSON|@file|-", "The input of each run as JSON, from a file, or from standard input"),
    id: text("id", "id", "Id of the schedule. Default: the name of the workflow"),
    overlap: choice("overlap", ["skip", "queue", "cancel-other"], "Reaction to a tick while the run before works. Default: skip"),
    catchUp: text("catch-up", "time", "Longest delay of a tick while nothing supervised, such as 6h. Default: 1d"),
    jitter: text("jitter", "time", "Longest random delay of each tick, such as 90s. Default: none"),
    tag: texts("tag", "tag", "Label of its runs. Repeatable"),
    onExisting: choice("on-existing", ["replace", "refuse"], "Reaction where another schedule has the id. Default: replace"),
    root: text("root", "folder", "Folder of the project. Default: the current one"),
    export: text("export", "name", "Name of the exported workflow, if the file has several"),
  },
  output: "StoredSchedule",
  action: () => import("../actions/schedule.ts").then(({ add }) => add),
})

export const scheduleList = define({
  path: ["schedule", "list"],
  summary: "Lists schedules, with their next tick and last run.",
  examples: [{ line: "smithers schedule list", does: "Lists all schedules of the database." }],
  parameters: {},
  output: "ScheduleList",
  action: () => import("../actions/schedule.ts").then(({ list }) => list),
})

export const scheduleShow = define({
  path: ["schedule", "show"],
  summary: "Shows a schedule: its next ticks, its last ones, and what became of each.",
  examples: [{ line: "smithers schedule show nightly", does: "Shows one schedule." }],
  parameters: { schedule },
  output: "ShownSchedule",
  action: () => import("../actions/schedule.ts").then(({ show }) => show),
})

export const schedulePause = define({
  path: ["schedule", "pause"],
  summary: "Pauses a schedule: no tick fires until it is unpaused. Runs at work go on.",
  examples: [{ line: "smithers schedule pause nightly", does: "Pauses one schedule." }],
  parameters: { schedule },
  output: "StoredSchedule",
  action: () => import("../actions/schedule.ts").then(({ pause }) => pause),
})

export const scheduleUnpause = define({
  path: ["schedule", "unpause"],
  summary: "Unpauses a schedule, from its next tick on. Ticks of the pause are not caught up.",
  examples: [{ line: "smithers schedule unpause nightly", does: "Unpauses one schedule." }],
  parameters: { schedule },
  output: "StoredSchedule",
  action: () => import("../actions/schedule.ts").then(({ unpause }) => unpause),
})

export const scheduleRunNow = define({
  path: ["schedule", "run-now"],
  summary: "Makes a tick now, also of a paused schedule. A supervisor works on its run.",
  examples: [{ line: "smithers schedule run-now nightly", does: "Starts a run beside those of the times." }],
  parameters: { schedule },
  output: "ScheduleTick",
  action: () => import("../actions/schedule.ts").then(({ runNow }) => runNow),
})

export const scheduleRemove = define({
  path: ["schedule", "rm"],
  summary: "Removes a schedule with its queued ticks. Its runs stay.",
  examples: [{ line: "smithers schedule rm nightly", does: "Removes one schedule." }],
  parameters: { schedule },
  output: "ScheduleRemoved",
  action: () => import("../actions/schedule.ts").then(({ remove }) => remove),
})
