/**
 * Commands that show runs.
 */
import * as Status from "@smithers/core/Status"
import { argument, choices, define, flag, integer, optionalArgument, text } from "../Definition.ts"
import * as Output from "../Output.ts"

const run = argument("run", "The run: its id, or how it begins")

export const ps = define({
  path: ["ps"],
  summary: "Lists runs, newest first.",
  details: `A run stands as one of these: ${Status.ShownStatus.literals.join(", ")}. Runs that other runs have started are only listed with --children or --workflow, after all others, or with --parent. In a terminal the table is cut to its width.`,
  examples: [
    { line: "smithers ps", does: "Lists the newest 20 runs." },
    { line: "smithers ps --status waiting-approval --status failed", does: "Lists runs that need somebody." },
    { line: "smithers ps --children --status failed", does: "Lists failed runs, also those that other runs have started." },
    { line: "smithers ps --watch", does: "Keeps the list up to date until it is stopped." },
  ],
  parameters: {
    status: choices("status", Status.ShownStatus.literals, "Only runs with this status; may be given more than once"),
    workflow: text("workflow", "name", "Only runs of this workflow"),
    tag: text("tag", "tag", "Only runs with this label"),
    children: flag("children", "Also runs that other runs have started, after those that none has"),
    parent: text("parent", "run", "Only runs that this one has started"),
    limit: integer("limit", "At most this many, and with --children as many of those. Default: 20", 1),
    before: text("before", "run", "Only runs older than this one: the next page"),
    watch: flag("watch", "Keep the list up to date until stopped", "w"),
  },
  output: Output.Runs,
  action: () => import("../actions/ps.ts").then(({ ps }) => ps),
})

export const inspect = define({
  path: ["inspect"],
  summary: "Shows a run: its steps with their attempts and outputs, what it waits for, and where its loops are.",
  examples: [{ line: "smithers inspect m1abc2", does: "Shows a run." }],
  parameters: { run },
  output: Output.Inspected,
  action: () => import("../actions/inspect.ts").then(({ inspect }) => inspect),
})

export const node = define({
  path: ["node"],
  summary: "Shows one node of a run: its attempts, what agents were asked and replied, errors and output.",
  examples: [
    { line: "smithers node m1abc2 review", does: "Shows every iteration of a node." },
    { line: "smithers node m1abc2 review --iteration 2", does: "Shows one." },
  ],
  parameters: { run, node: argument("node", "The node"), iteration: integer("iteration", "Only this iteration") },
  output: Output.InspectedNode,
  action: () => import("../actions/inspect.ts").then(({ node }) => node),
})

const eventOptions = {
  run,
  follow: flag("follow", "Go on as events come, until the run has ended", "f"),
  since: text("since", "time|seq", "Only events of the last 10m, 2h or 3d, or after the event with this number"),
  type: choices("type", Output.eventTypes, "Only events of this type, such as AttemptFailed; may be given more than once", "event"),
  limit: integer("limit", "Only the last so many events there are so far", 1),
}

export const logs = define({
  path: ["logs"],
  summary: "Prints what happened in a run, a line per event. With --json as NDJSON.",
  examples: [
    { line: "smithers logs m1abc2 --follow", does: "Follows a run until it has ended." },
    { line: "smithers logs m1abc2 --type AttemptFailed", does: "Prints what failed." },
  ],
  parameters: eventOptions,
  output: Output.Event,
  isStream: true,
  action: () => import("../actions/logs.ts").then(({ logs }) => logs),
})

export const events = define({
  path: ["events"],
  summary: "Prints the events of a run as NDJSON.",
  examples: [
    { line: "smithers events m1abc2", does: "Prints all events." },
    { line: "smithers events m1abc2 --since 120 --follow", does: "Goes on after event 120, for a program that was there before." },
  ],
  parameters: eventOptions,
  output: Output.Event,
  isStream: true,
  action: () => import("../actions/logs.ts").then(({ events }) => events),
})

export const why = define({
  path: ["why"],
  summary: "Says in one sentence why a run is not done, and the command that brings it on.",
  examples: [{ line: "smithers why m1abc2", does: "Says what a run waits for." }],
  parameters: { run },
  output: Output.Reason,
  action: () => import("../actions/why.ts").then(({ why }) => why),
})

export const output = define({
  path: ["output"],
  summary: "Prints the output of a run, or of one of its nodes.",
  examples: [
    { line: "smithers output m1abc2", does: "Prints what the run gave." },
    { line: "smithers output m1abc2 analyze", does: "Prints what one node gave." },
  ],
  parameters: {
    run,
    node: optionalArgument("node", "The node; the run itself unless told"),
    iteration: integer("iteration", "Its iteration; the latest with an output unless told"),
  },
  output: Output.Output,
  action: () => import("../actions/inspect.ts").then(({ output }) => output),
})
