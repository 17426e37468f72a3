/**
 * Commands that show runs.
 */
import * as Status from "@smithers/core/Status"
import { argument, choices, define, flag, integer, optionalArgument, text } from "../Definition.ts"
import { eventTypes } from "../EventTypes.ts"

const run = argument("run", "Id of the run, or a unique prefix of it")

export const ps = define({
  path: ["ps"],
  summary: "Lists runs, newest first.",
  details: `The status of a run is one of: ${Status.ShownStatus.literals.join(", ")}. Child runs are listed only with --children, --workflow (both after all other runs) or --parent. In a terminal, the table is cut to its width.`,
  examples: [
    { line: "smithers ps", does: "Lists the newest 20 runs." },
    { line: "smithers ps --status waiting-approval --status failed", does: "Lists runs that need attention." },
    { line: "smithers ps --children --status failed", does: "Lists failed runs, including child runs." },
    { line: "smithers ps --watch", does: "Updates the list until it is stopped." },
  ],
  parameters: {
    status: choices("status", Status.ShownStatus.literals, "Only runs with this status. Repeatable"),
    workflow: text("workflow", "name", "Only runs of this workflow"),
    tag: text("tag", "tag", "Only runs with this label"),
    find: text("find", "text", "Only runs with this text in their id, their workflow or a tag, in either case"),
    children: flag("children", "List child runs too, after all other runs"),
    stuck: flag("stuck", "Only runs that make no progress though they should, longest first, with child runs"),
    parent: text("parent", "run", "Only child runs of this run"),
    forkedFrom: text("forked-from", "run", "Only runs that were forked from this run"),
    limit: integer("limit", "Maximum number of runs, and with --children of child runs. Default: 20", 1),
    before: text("before", "run", "Only runs older than this one, to show the next page"),
    watch: flag("watch", "Update the list until stopped", "w"),
  },
  output: "Runs",
  action: () => import("../actions/ps.ts").then(({ ps }) => ps),
})

export const inspect = define({
  path: ["inspect"],
  summary: "Shows a run: its steps with their attempts and outputs, its open waits, and the iterations of its loops.",
  examples: [{ line: "smithers inspect m1abc2", does: "Shows a run." }],
  parameters: { run },
  output: "Inspected",
  action: () => import("../actions/inspect.ts").then(({ inspect }) => inspect),
})

export const node = define({
  path: ["node"],
  summary: "Shows one node of a run: its attempts, prompts and replies of agents, errors, and output.",
  examples: [
    { line: "smithers node m1abc2 review", does: "Shows every iteration of a node." },
    { line: "smithers node m1abc2 review --iteration 2", does: "Shows one iteration." },
  ],
  parameters: { run, node: argument("node", "The node"), iteration: integer("iteration", "Only this iteration") },
  output: "InspectedNode",
  action: () => import("../actions/inspect.ts").then(({ node }) => node),
})

const eventOptions = {
  run,
  follow: flag("follow", "Print new events until the run has ended", "f"),
  since: text("since", "time|seq", "Only events of the last 10m, 2h or 3d, or after this sequence number"),
  type: choices("type", eventTypes, "Only events of this type, such as AttemptFailed. Repeatable", "event"),
  limit: integer("limit", "Maximum number of past events: the newest ones", 1),
}

export const logs = define({
  path: ["logs"],
  summary: "Prints the events of a run, one line each. With --json, prints NDJSON.",
  examples: [
    { line: "smithers logs m1abc2 --follow", does: "Follows a run until it has ended." },
    { line: "smithers logs m1abc2 --type AttemptFailed", does: "Prints the failed attempts." },
  ],
  parameters: eventOptions,
  output: "Event",
  isStream: true,
  action: () => import("../actions/logs.ts").then(({ logs }) => logs),
})

export const events = define({
  path: ["events"],
  summary: "Prints the events of a run as NDJSON.",
  examples: [
    { line: "smithers events m1abc2", does: "Prints all events." },
    { line: "smithers events m1abc2 --since 120 --follow", does: "Continues after event 120, for a program that has read it." },
  ],
  parameters: eventOptions,
  output: "Event",
  isStream: true,
  action: () => import("../actions/logs.ts").then(({ events }) => events),
})

export const why = define({
  path: ["why"],
  summary: "Explains in one sentence why a run has not finished, and prints the command that continues it.",
  examples: [{ line: "smithers why m1abc2", does: "Explains what a run waits for." }],
  parameters: { run },
  output: "Reason",
  action: () => import("../actions/why.ts").then(({ why }) => why),
})

export const output = define({
  path: ["output"],
  summary: "Prints the output of a run, or of one of its nodes.",
  examples: [
    { line: "smithers output m1abc2", does: "Prints the output of the run." },
    { line: "smithers output m1abc2 analyze", does: "Prints the output of one node." },
  ],
  parameters: {
    run,
    node: optionalArgument("node", "The node. Default: the run itself"),
    iteration: integer("iteration", "Iteration of the node. Default: the latest with an output"),
  },
  output: "Output",
  action: () => import("../actions/inspect.ts").then(({ output }) => output),
})

export const scores = define({
  path: ["scores"],
  summary: "Lists the scores of a run's outputs, with their reasons.",
  details:
    "The process that works on the run makes the scores. If it has died, `smithers up --resume` makes those that are due, also for a run that has ended.",
  examples: [
    { line: "smithers scores m1abc2", does: "Lists the scores of a run." },
    { line: "smithers scores m1abc2 write --json", does: "Prints those of one step as JSON." },
  ],
  parameters: { run, node: optionalArgument("node", "The step. Default: all steps") },
  output: "Scores",
  action: () => import("../actions/scores.ts").then(({ scores }) => scores),
})

export const chat = define({
  path: ["chat"],
  summary: "Prints the conversations of a run's agents: prompts, replies and tool calls. With --json, prints NDJSON.",
  details: "Those that a fork has inherited come first, each with the run that holds it.",
  examples: [
    { line: "smithers chat m1abc2 --follow", does: "Follows all agents of a run until it has ended." },
    { line: "smithers chat m1abc2 review", does: "Prints the conversations of one step." },
  ],
  parameters: {
    run,
    node: optionalArgument("node", "The step. Default: all steps"),
    iteration: integer("iteration", "Only this iteration"),
    follow: flag("follow", "Print new entries until the run has ended", "f"),
  },
  output: "ChatEntry",
  isStream: true,
  action: () => import("../actions/chat.ts").then(({ chat }) => chat),
})

export const tools = define({
  path: ["tools"],
  summary: "Lists the tool calls of a run's agents, with their outcomes.",
  details: `The status of a call is one of: ${Status.ToolCallStatus.literals.join(", ")}. \`started\` has no outcome yet; \`unknown\` was cut off by a crash; \`asked\` waits for an approval.`,
  examples: [{ line: "smithers tools m1abc2", does: "Lists what agents have done." }],
  parameters: {
    run,
    node: optionalArgument("node", "The step. Default: all steps"),
    iteration: integer("iteration", "Only this iteration"),
  },
  output: "ToolCalls",
  action: () => import("../actions/chat.ts").then(({ tools }) => tools),
})

export const costs = define({
  path: ["costs"],
  summary: "Shows what agents have used: tokens, cost and calls of tools, and what is left of budgets.",
  details:
    "A run is shown with its child runs, by step. Without a run, all runs are added up by workflow, agent and model. A cost without a price is shown as unknown; ≥ marks a sum of which a part is unknown.",
  examples: [
    { line: "smithers costs m1abc2", does: "Shows what a run has cost, and its budgets." },
    { line: "smithers costs --since 7d", does: "Adds up the calls of the last week." },
    { line: "smithers costs --since 2026-01-31", does: "Adds up the calls since a day, in UTC." },
  ],
  parameters: {
    run: optionalArgument("run", "Id of the run, or a unique prefix of it. Default: all runs"),
    since: text("since", "time", "Only calls of the last 12h or 7d, or since a day such as 2026-01-31"),
  },
  output: "Costs",
  action: () => import("../actions/costs.ts").then(({ costs }) => costs),
})

export const metrics = define({
  path: ["metrics"],
  summary: "Prints counts of runs, open waits and commands in the text format of Prometheus.",
  details: "For collectors that read files. A server has the same text at /metrics, with the counters of its process.",
  examples: [
    { line: "smithers metrics", does: "Prints the metrics of the database once." },
    {
      line: "smithers metrics > smithers.prom.new && mv smithers.prom.new smithers.prom",
      does: "Writes a file for the textfile collector of node_exporter, whole at any time.",
    },
  ],
  parameters: {},
  output: "Metrics",
  action: () => import("../actions/metrics.ts").then(({ metrics }) => metrics),
})
