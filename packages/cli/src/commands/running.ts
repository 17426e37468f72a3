/**
 * Commands that run workflows.
 */
import * as BoundsText from "../BoundsText.ts"
import { argument, choice, define, flag, integer, optionalArgument, optionalText, text, texts } from "../Definition.ts"

export const otel = flag("otel", "Send spans and metrics by OTLP, as the environment variables OTEL_… say")

/** Options that start a run, shared by the commands that name a workflow. */
export const runOptions = {
  input: text("input", "JSON|@file|-", "Input of the run as JSON, from a file, or from standard input"),
  runId: text("run-id", "id", "Id of the run. An existing run is resumed; one that has ended prints its result. Default: a new id"),
  tag: texts("tag", "tag", "Label to find the run by. Repeatable"),
  maxConcurrency: integer(
    "max-concurrency",
    "Maximum number of steps in flight. A limit in the workflow takes precedence. Default: 4",
    1,
  ),
  budget: texts(
    "budget",
    "limit=amount",
    "Limit of what the agents of a new run may use: tokens, inputTokens, outputTokens, cost, toolCalls, agentCalls, duration, onReached. Repeatable",
  ),
  deadline: text(
    "deadline",
    "time",
    "Time in which the run must finish, such as 2h, or a date such as 2030-01-31T18:00Z. It then ends as failed. Default: that of the workflow, or of the resumed run",
  ),
  startAt: text("start-at", "time", "Time at which a new run starts, such as 2030-01-31T18:00Z. A supervisor resumes it then"),
  delay: text("delay", "time", "Time after which a new run starts, such as 2h, instead of --start-at"),
  noSnapshots: flag(
    "no-snapshots",
    "Take no snapshots of the workspace around attempts. A workflow that asks for them takes precedence",
  ),
  noCache: flag("no-cache", "Run steps although their outputs are cached, and cache the new outputs instead"),
  hot: flag("hot", "Apply changes of the workflow's files while the run is at work"),
  wait: flag("wait", "Stay until the run has ended, also while it waits for approvals, signals or timers"),
  uncancel: flag("uncancel", "Resume a cancelled run: steps that were undone or interrupted run again"),
  otel,
  serve: flag("serve", "Serve the API and the page while the command lasts, and print their address"),
  port: integer("port", "Port of --serve. Default: any free one"),
  detach: flag("detach", "Run in a background process, and print the run id, process id and log file"),
  root: text(
    "root",
    "folder",
    "Working directory, and the folder from which to search upward for the database. Default: the current one",
  ),
  onIncompatible: choice(
    "on-incompatible",
    ["fail", "rerun"],
    "Policy for finished steps whose outputs the current schemas refuse: fail the run, or run them again. Default: fail",
  ),
}

export const up = define({
  path: ["up"],
  summary: "Runs a workflow until it ends or waits.",
  details:
    "The workflow is the default export of a file, or a named export: file.tsx#name. In a terminal, shows what every node does; otherwise, or if CI is set, prints a line per event. Ctrl-C, SIGTERM or a closed terminal stops the run in order, so that it can be resumed; a second signal stops at once. If the run waits for a person, a signal or a time, the command exits with 3, or stays with --wait.",
  lists: [{ title: "Bounds by default, and the option of the workflow that changes each", rows: BoundsText.defaults }],
  examples: [
    { line: `smithers up workflow.tsx --input '{"repo":"acme/api"}'`, does: "Starts a run." },
    { line: "smithers up workflow.tsx --input @input.json --wait", does: "Stays through approvals, signals and timers." },
    { line: "smithers up workflow.tsx --hot", does: "Applies each save of the workflow and of its imports while it runs." },
    { line: "smithers up --resume m1abc2", does: "Resumes a run with the file it was started from." },
    { line: "smithers up workflow.tsx --run-id m1abc2 --resume true", does: "Resumes a run with this file." },
  ],
  parameters: {
    workflow: optionalArgument("workflow", "The workflow file, or file#export. Not needed to resume a run"),
    ...runOptions,
    resume: optionalText(
      "resume",
      "run|true",
      "Resume a run, also a failed one, with its stored input. A cancelled run also needs --uncancel",
    ),
    export: text("export", "name", "Name of the export that holds the workflow. Default: the default export"),
  },
  output: "StoppedOrDetached",
  onBrokenPipe: "ignore",
  action: () => import("../actions/up.ts").then(({ up }) => up),
})

export const supervise = define({
  path: ["supervise"],
  summary: "Resumes runs that no process works on: their process died, a timer is due, or a signal, decision or command arrived.",
  details:
    "Starts one process per run, so that a workflow that cannot be loaded, or that ends its process, affects no other run. A run whose code does not load or does not match the stored state is stuck: it is retried with backoff (up to five minutes), and soon after its files change. A process that cannot renew its lease, because a step blocks its event loop, is killed. A run fails with CrashLoop after its process has died five times in a row. Ctrl-C stops the runs in order; a second one kills all processes. Prints a line per action.",
  examples: [
    { line: "smithers supervise", does: "Resumes runs until it is stopped." },
    { line: "smithers supervise --once", does: "Resumes the runs that can continue, waits for them, and exits." },
    { line: "smithers supervise --dry-run", does: "Prints which runs it would resume." },
  ],
  parameters: {
    interval: text("interval", "time", "Interval between checks for runs whose process died, such as 5s or 1m. Default: 5s"),
    maxConcurrent: integer("max-concurrent", "Maximum number of runs in progress. Default: 4", 1),
    once: flag("once", "Check once, wait for the resumed runs, and exit"),
    dryRun: flag("dry-run", "Print which runs would be resumed, and resume none"),
    otel,
  },
  output: "Supervised",
  isStream: true,
  onBrokenPipe: "interrupt",
  action: () => import("../actions/supervise.ts").then(({ supervise }) => supervise),
})

export const retry = define({
  path: ["retry"],
  summary: "Retries a failed node of a run, with a new retry budget. The node runs when the run resumes.",
  details:
    "A failed or cancelled run continues, as if resumed: its other failed nodes, and steps that were undone, run again as well.",
  examples: [{ line: "smithers retry m1abc2 fix-3", does: "Retries the node fix-3." }],
  parameters: {
    run: argument("run", "The id of the run"),
    node: argument("node", "The node"),
    iteration: integer("iteration", "Iteration of the node. Default: the latest"),
  },
  output: "CommandReceipt",
  action: () => import("../actions/control.ts").then(({ retry }) => retry),
})

export const revert = define({
  path: ["revert"],
  summary: "Takes a run back to before an attempt of a node, with its files. The run continues from there when it is resumed.",
  details:
    "Nothing is deleted: a new frame resets the node, the steps that have read it, and the steps that have worked in the same files since. Files below the folder of the task are restored to the snapshot before the attempt; the present ones are saved first. A run that has ended is reopened. In a terminal, shows what would happen and asks. Refused while a process works on the run, and for files that several tasks have changed at the same time.",
  examples: [
    {
      line: "smithers revert workflow.tsx --run-id m1abc2 --node-id review --attempt 1 --iteration 0",
      does: "Takes the run, and its files, back to before the first attempt of review.",
    },
    { line: "smithers revert workflow.tsx --run-id m1abc2 --node-id review --dry-run", does: "Prints what would happen." },
    { line: "smithers revert workflow.tsx --run-id m1abc2 --undo", does: "Undoes the last revert." },
  ],
  parameters: {
    workflow: argument("workflow", "The workflow file, or file#export"),
    runId: text("run-id", "id", "The run"),
    nodeId: text("node-id", "node", "The node to go back to"),
    attempt: integer("attempt", "Attempt to go back to before. Default: the last one with a snapshot", 1),
    iteration: integer("iteration", "Iteration of the node. Later passes of its loop are withdrawn. Default: the latest"),
    files: flag("files", "Restore the files, and fail if there is no snapshot of them. Default: restore them if there is one"),
    noFiles: flag("no-files", "Leave the files alone"),
    undo: flag("undo", "Undo the last revert: its files, and its outputs if the run has not continued since"),
    force: flag("force", "Also replace files that no snapshot holds, such as ignored ones"),
    by: text("by", "name", "Name of the person who reverts. Default: the current user"),
    dryRun: flag("dry-run", "Print what would happen, and change nothing"),
    yes: flag("yes", "Do not ask"),
  },
  output: "Reverted",
  action: () => import("../actions/revert.ts").then(({ revert }) => revert),
})

const runArgument = argument("run", "The id of the run")

export const fork = define({
  path: ["fork"],
  summary: "Copies a run, as of an earlier moment, into a new run.",
  details:
    "The original is not changed; it may be at work or have ended. The fork keeps the steps that had finished by then, and plans the rest with today's code. Steps in flight at that moment run again, open requests are made again, and budgets keep what was left. A pause or a cancellation is not copied, and what the original did is not undone. Without --files, files stay as they are. With it, they are saved first, and the original must not be at work. The fork is suspended: resume it, or let a supervisor do so.",
  examples: [
    { line: "smithers fork m1abc2 --before review --dry-run", does: "Prints what a fork would keep, run again and ask again." },
    { line: "smithers fork m1abc2 --from-failure", does: "Forks a failed run as it was before its failure." },
    {
      line: "smithers fork m1abc2 --before review --files",
      does: "Forks a run as it was before a step, with the files of its tasks as they were then.",
    },
    {
      line: "smithers fork m1abc2 --frame 12 --set @outputs.json",
      does: "Forks a run as of a frame, with other outputs of some steps.",
    },
  ],
  parameters: {
    run: argument("run", "Id of the run, or a unique prefix of it"),
    frame: integer("frame", "Fork the run as it was right after this frame. Default: as it is now", 1),
    before: text("before", "node", "Fork the run as it was right before this node began"),
    iteration: integer("iteration", "Iteration of the node of --before. Default: the latest"),
    fromFailure: flag("from-failure", "Fork a failed run as it was right before its failure"),
    input: text(
      "input",
      "JSON|@file|-",
      "Another input, as JSON, from a file, or from standard input. Steps that are kept have read the old one",
    ),
    set: text("set", "JSON|@file|-", "Outputs of steps by node id, as a JSON object. Steps that have read them run again"),
    reask: flag("reask", "Ask people again for each decision and answer"),
    children: choice(
      "children",
      ["new", "adopt"],
      "Start child runs at work again, or adopt their results if they have ended since. Default: new",
    ),
    replaySignals: flag("replay-signals", "Send the fork the signals that the run received after that moment"),
    keepDeadlines: flag("keep-deadlines", "Keep the deadlines of timers and waits. Default: each keeps the time that was left"),
    ownEffects: flag("own-effects", "Let sagas of the fork undo steps of the original, too"),
    files: flag(
      "files",
      "Restore the files of its tasks as they were at that moment. Steps that have changed them since run again. Fails without a snapshot",
    ),
    force: flag("force", "Also replace files that no snapshot holds, such as ignored ones"),
    runId: text("run-id", "id", "Id of the new run. Default: a new id"),
    workflow: text("workflow", "file", "The workflow file. Default: the one that the run was started from"),
    by: text("by", "name", "Author, for the log. Default: the user of the system"),
    dryRun: flag("dry-run", "Change nothing, and print what the fork would keep and run again"),
    yes: flag("yes", "With --files, do not ask in a terminal before files are changed"),
  },
  output: "Forked",
  action: () => import("../actions/fork.ts").then(({ fork }) => fork),
})

export const cancel = define({
  path: ["cancel"],
  summary: "Cancels a run: interrupts its steps in flight, undoes its sagas, and ends it as cancelled.",
  details:
    'If no process works on the run, it ends at once. If it has sagas to undo or child runs to cancel, those come first: this command does it with --wait, otherwise a supervisor. Resuming a run does not revert its cancellation. "smithers up --resume m1abc2 --uncancel" does, and runs again what was undone.',
  examples: [
    { line: "smithers cancel m1abc2 --reason 'wrong branch'", does: "Cancels a run." },
    { line: "smithers cancel m1abc2 --force", does: "Ends a run whose undoing hangs, and its child runs." },
    { line: "smithers cancel m1abc2 --wait", does: "Cancels a run, undoes its sagas, and stays until it has ended." },
  ],
  parameters: {
    run: runArgument,
    reason: text("reason", "text", "Reason, stored with the run"),
    wait: flag("wait", "Stay until the run has ended. Carries out the cancellation if no process works on the run"),
    force: flag("force", "End the run at once, also if its undoing hangs, and print what was not undone"),
  },
  output: "CommandReceipt",
  action: () => import("../actions/control.ts").then(({ cancel }) => cancel),
})

const leaving = {
  run: runArgument,
  node: argument("node", "The scope, race or list"),
  key: text("key", "key", "Leave only this branch of the race, or this item of the list"),
  iteration: integer("iteration", "Iteration of the node. Default: the open one"),
  reason: text("reason", "text", "Reason, stored with the run"),
  by: text("by", "name", "Name of the person who asks. Default: the current user"),
}

export const cancelNode = define({
  path: ["cancel-node"],
  summary: "Leaves a scope, race or list, or a part of one, without a value. The run continues after it.",
  details:
    "Interrupts its steps in flight, withdraws its waits, cancels its child runs, and undoes its sagas. Nothing counts as failed. A part that has not begun is left when the run reaches it. The request is stored: it takes effect at once, or when a run that no process works on resumes, or when a paused run is unpaused. Repeating it has no effect. A node that has ended is refused (NodeEnded), and so is another outcome than the one requested before (AlreadyLeft).",
  examples: [
    { line: "smithers cancel-node m1abc2 search --reason 'found elsewhere'", does: "Leaves a scope." },
    { line: "smithers cancel-node m1abc2 files --key src/main.ts", does: "Leaves one item of a list." },
  ],
  parameters: leaving,
  output: "CommandReceipt",
  action: () => import("../actions/control.ts").then(({ cancelNode }) => cancelNode),
})

export const completeNode = define({
  path: ["complete-node"],
  summary: "Leaves a scope, race or list, or a part of one, with the value it has so far.",
  details: "Otherwise the same as cancel-node.",
  examples: [{ line: "smithers complete-node m1abc2 collect", does: "Continues with the results collected so far." }],
  parameters: leaving,
  output: "CommandReceipt",
  action: () => import("../actions/control.ts").then(({ completeNode }) => completeNode),
})

export const pause = define({
  path: ["pause"],
  summary: "Pauses a run: steps in flight finish, and no step starts until it is unpaused.",
  examples: [{ line: "smithers pause m1abc2", does: "Pauses a run." }],
  parameters: { run: runArgument, by: text("by", "name", "Name of the person who pauses the run") },
  output: "CommandReceipt",
  action: () => import("../actions/control.ts").then(({ pause }) => pause),
})

export const unpause = define({
  path: ["unpause"],
  summary: "Unpauses a run: its steps start again.",
  examples: [{ line: "smithers unpause m1abc2", does: "Unpauses a run." }],
  parameters: { run: runArgument },
  output: "CommandReceipt",
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
    reason: text("reason", "text", "Reason, stored with the run"),
  },
  output: "Down",
  action: () => import("../actions/control.ts").then(({ down }) => down),
})
