/**
 * Commands that run workflows.
 */
import * as Schema from "effect/Schema"
import { argument, choice, define, flag, integer, optionalArgument, optionalText, text, texts } from "../Definition.ts"
import * as Output from "../Output.ts"

/** Options that runs are started with, whatever names the workflow. */
export const runOptions = {
  input: text("input", "JSON|@file|-", "The input as JSON, from a file, or from the standard input"),
  runId: text("run-id", "id", "The id of the run; a known one is resumed, and answers where it has ended. Default: a new one"),
  tag: texts("tag", "tag", "A label to find the run by; may be given more than once"),
  maxConcurrency: integer("max-concurrency", "Steps in flight at once, unless the workflow says so itself; 4 unless told", 1),
  wait: flag("wait", "Stay until the run has ended, also while it waits for approvals, signals and timers"),
  uncancel: flag("uncancel", "Take a cancellation back: what was undone or interrupted is done again"),
  detach: flag("detach", "Leave the run to a process of its own and print its run id, process id and log file"),
  root: text("root", "folder", "The folder to work in, and to look for the database from; here unless told"),
  onIncompatible: choice(
    "on-incompatible",
    ["fail", "rerun"],
    "What to do about finished steps whose outputs the current schemas refuse; fail unless told",
  ),
}

export const up = define({
  path: ["up"],
  summary: "Runs a workflow, and stays until it has ended or waits for something.",
  details:
    "The workflow is the default export of a file, or a named one: file.tsx#name. In a terminal it shows what every node does; elsewhere, or where CI is set, a line per event. Ctrl-C, SIGTERM or a closed terminal stop the run in order, to be resumed; a second one stops at once. A run that waits for a person, a signal or a time ends the command with exit code 3, unless --wait is given.",
  examples: [
    { line: `smithers up workflow.tsx --input '{"repo":"acme/api"}'`, does: "Starts a run." },
    { line: "smithers up workflow.tsx --input @input.json --wait", does: "Stays through approvals, signals and timers." },
    { line: "smithers up --resume m1abc2", does: "Takes up a run; it knows its file." },
    { line: "smithers up workflow.tsx --run-id m1abc2 --resume true", does: "Takes up a run with the file as it is now." },
  ],
  parameters: {
    workflow: optionalArgument("workflow", "The file of the workflow, or file#export. Not needed to resume a run"),
    ...runOptions,
    resume: optionalText(
      "resume",
      "run|true",
      "Take up a run that exists, also one that failed, with the input it has; one that was cancelled only with --uncancel",
    ),
    export: text("export", "name", "The export that is the workflow, where it is not the default one"),
  },
  output: Schema.Union(Output.Stopped, Output.Detached),
  whenUnread: "go on",
  action: () => import("../actions/up.ts").then(({ up }) => up),
})

export const supervise = define({
  path: ["supervise"],
  summary: "Takes up runs that nobody works on: whose process died, whose time has come, or that were told something.",
  details:
    "Each run goes on in a process of its own, so that a workflow that cannot be loaded, or that ends its process, harms no other. A run whose code does not load, or does not fit what is stored, is stuck: it is tried again after a while, twice as long each time, at most five minutes, and soon after its files change. A step that does not let its process renew the lease has that process killed. Only a process that dies five times in a row ends its run (CrashLoop). Ctrl-C stops the runs in order; a second one ends all processes at once. Prints one line per action.",
  examples: [
    { line: "smithers supervise", does: "Watches the database until it is stopped." },
    { line: "smithers supervise --once", does: "Takes up what can go on, waits for what comes of it, and ends." },
    { line: "smithers supervise --dry-run", does: "Says what it would take up." },
  ],
  parameters: {
    interval: text("interval", "time", "How often to look for runs whose process died, such as 5s or 1m; 5s unless told"),
    maxConcurrent: integer("max-concurrent", "Runs at work at once; 4 unless told", 1),
    once: flag("once", "Look once, wait for the runs that were taken up, and end"),
    dryRun: flag("dry-run", "Only say what would be taken up"),
  },
  output: Output.Supervised,
  isStream: true,
  whenUnread: "stop",
  action: () => import("../actions/supervise.ts").then(({ supervise }) => supervise),
})

export const retry = define({
  path: ["retry"],
  summary: "Gives a failed node of a run a fresh budget, to be run again when the run goes on.",
  details:
    "A run that has failed, or was cancelled, goes on by that, as if it was resumed: what else had failed, or was undone, is done again as well.",
  examples: [{ line: "smithers retry m1abc2 fix-3", does: "Has fix-3 run again." }],
  parameters: {
    run: argument("run", "The id of the run"),
    node: argument("node", "The node"),
    iteration: integer("iteration", "Its iteration; the latest unless told"),
  },
  output: Output.Told,
  action: () => import("../actions/control.ts").then(({ retry }) => retry),
})

const runArgument = argument("run", "The id of the run")

export const cancel = define({
  path: ["cancel"],
  summary: "Cancels a run: what is in flight is interrupted, and the run ends as cancelled.",
  details:
    'A run that nobody works on ends at once or, where something in it is to be undone or cancelled first, when that is done: with --wait by this command, otherwise by a supervisor. Resuming a run does not take a cancellation back; "smithers up --resume m1abc2 --uncancel" does, and runs again what was undone.',
  examples: [
    { line: "smithers cancel m1abc2 --reason 'wrong branch'", does: "Cancels a run." },
    { line: "smithers cancel m1abc2 --wait", does: "Undoes what the run has done, and stays until it has ended." },
  ],
  parameters: {
    run: runArgument,
    reason: text("reason", "text", "Why, for the record"),
    wait: flag("wait", "Stay until the run has ended, and carry the cancellation out where nobody works on it"),
  },
  output: Output.Told,
  action: () => import("../actions/control.ts").then(({ cancel }) => cancel),
})

const leaving = {
  run: runArgument,
  node: argument("node", "The scope, the race or the list"),
  key: text("key", "key", "Only this branch of the race, or this item of the list"),
  iteration: integer("iteration", "Its iteration. Default: the open one"),
  reason: text("reason", "text", "Why, for the record"),
  by: text("by", "name", "Who asks for it. Default: the name of the user"),
}

export const cancelNode = define({
  path: ["cancel-node"],
  summary: "Leaves a scope, a race, a list, or a part of one, without a value; the run goes on behind it.",
  details:
    "What is in flight there is interrupted, what waits is withdrawn, child runs are cancelled, and sagas are undone; nothing has failed by it. A part that has not begun is left when the run comes to it. It is kept, and carried out at once or, where nobody works on the run, when it is taken up; a paused run carries it out once it goes on. Asking twice does nothing; asking for another end than before is refused (AlreadyLeft), and so is what is over (NodeEnded).",
  examples: [
    { line: "smithers cancel-node m1abc2 search --reason 'found elsewhere'", does: "Leaves a scope." },
    { line: "smithers cancel-node m1abc2 files --key src/main.ts", does: "Leaves one item of a list." },
  ],
  parameters: leaving,
  output: Output.Told,
  action: () => import("../actions/control.ts").then(({ cancelNode }) => cancelNode),
})

export const completeNode = define({
  path: ["complete-node"],
  summary: "Leaves a scope, a race, a list, or a part of one, with the value that is there by now.",
  details: "All else is as with cancel-node.",
  examples: [{ line: "smithers complete-node m1abc2 collect", does: "Goes on with what was collected so far." }],
  parameters: leaving,
  output: Output.Told,
  action: () => import("../actions/control.ts").then(({ completeNode }) => completeNode),
})

export const pause = define({
  path: ["pause"],
  summary: "Pauses a run: what is in flight finishes, and nothing new starts until it is unpaused.",
  examples: [{ line: "smithers pause m1abc2", does: "Pauses a run." }],
  parameters: { run: runArgument, by: text("by", "name", "Who pauses it") },
  output: Output.Told,
  action: () => import("../actions/control.ts").then(({ pause }) => pause),
})

export const unpause = define({
  path: ["unpause"],
  summary: "Lets a paused run go on.",
  examples: [{ line: "smithers unpause m1abc2", does: "Lets a run go on." }],
  parameters: { run: runArgument },
  output: Output.Told,
  action: () => import("../actions/control.ts").then(({ unpause }) => unpause),
})

export const down = define({
  path: ["down"],
  summary: "Cancels all runs that have not ended.",
  examples: [
    { line: "smithers down", does: "Cancels every run of the database." },
    { line: "smithers down --workflow review", does: "Cancels the runs of one workflow." },
  ],
  parameters: {
    workflow: text("workflow", "name", "Only runs of this workflow"),
    tag: text("tag", "tag", "Only runs with this label"),
    reason: text("reason", "text", "Why, for the record"),
  },
  output: Output.Down,
  action: () => import("../actions/control.ts").then(({ down }) => down),
})
