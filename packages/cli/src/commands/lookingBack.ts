/**
 * Commands that show what a run was.
 */
import { argument, choices, define, flag, integer, text } from "../Definition.ts"
import * as Output from "../Output.ts"

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
    type: choices("type", Output.eventTypes, "Only frames with an event of this type, such as AttemptFailed. Repeatable", "event"),
    limit: integer("limit", "Maximum number of past frames: the newest ones", 1),
  },
  output: Output.Frame,
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
  output: Output.Moment,
  action: () => import("../actions/moment.ts").then(({ show }) => show),
})
