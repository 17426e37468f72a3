/**
 * Commands that show what a run was.
 */
import { argument, choices, define, flag, integer, optionalArgument, text } from "../Definition.ts"
import { eventTypes } from "../EventTypes.ts"

const run = argument("run", "Id of the run, or a unique prefix of it")

export const timeline = define({
  path: ["timeline"],
  summary:
    "Prints the frames of a run: when each was committed, what happened, and what it changed of the plan. With --json, prints NDJSON.",
  details:
    "A frame is what a run commits at once. It says which nodes it added to the plan, removed or changed, and which child runs it started. A child run has a timeline of its own.",
  examples: [
    { line: "smithers timeline m1abc2", does: "Prints all frames of a run." },
    {
      line: "smithers timeline m1abc2 --limit 20 --follow",
      does: "Prints the newest 20 frames, and new ones until the run has ended.",
    },
    { line: "smithers timeline m1abc2 --type AttemptFailed", does: "Prints the frames in which an attempt failed." },
  ],
  parameters: {
    run,
    follow: flag("follow", "Print new frames until the run has ended", "f"),
    since: text("since", "time|seq", "Only frames of the last 10m, 2h or 3d, or with events after this sequence number"),
    type: choices("type", eventTypes, "Only frames with an event of this type, such as AttemptFailed. Repeatable", "event"),
    limit: integer("limit", "Maximum number of past frames: the newest ones", 1),
  },
  output: "Frame",
  isStream: true,
  action: () => import("../actions/timeline.ts").then(({ timeline }) => timeline),
})

export const show = define({
  path: ["show"],
  summary: "Shows a run as of an earlier frame: its plan, its nodes with their outputs, and its waits.",
  details:
    "Without --frame and --seq it shows the last frame. The attempts of a run are shown by inspect and node, and its frames by timeline.",
  examples: [
    { line: "smithers show m1abc2 --frame 12", does: "Shows a run as it was right after frame 12." },
    { line: "smithers show m1abc2 --seq 31 --json", does: "Prints it as it was right after event 31, as JSON." },
  ],
  parameters: {
    run,
    frame: integer("frame", "Number of the frame"),
    seq: integer("seq", "Sequence number of the event, for a moment within a frame"),
  },
  output: "Moment",
  action: () => import("../actions/moment.ts").then(({ show }) => show),
})

export const diff = define({
  path: ["diff"],
  summary: "Compares two frames of a run, two runs, or two attempts at a step: plan, states, outputs, prompts, replies and files.",
  details:
    "Two numbers are frames of the run; one number is compared with the last frame. Another run is named by its id. Nodes are paired by id and iteration, and times are not compared. Files are those of the snapshots around attempts, if they were taken.",
  examples: [
    { line: "smithers diff m1abc2 3 7", does: "Compares a run at two of its frames." },
    { line: "smithers diff m1abc2 m2def4", does: "Compares two runs as they are now." },
    { line: "smithers diff m1abc2 --node review --attempts 1,2", does: "Compares two attempts at a step." },
  ],
  parameters: {
    run,
    before: optionalArgument("a", "A frame of the run, or another run"),
    after: optionalArgument("b", "A later frame. Default: the last one"),
    node: text("node", "node", "Compare attempts at this step"),
    attempts: text("attempts", "a,b", "The two attempts"),
    iteration: integer("iteration", "Iteration of the step. Default: 0"),
  },
  output: "Difference",
  action: () => import("../actions/diff.ts").then(({ diff }) => diff),
})
