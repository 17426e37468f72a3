/**
 * Commands by which people and programs answer runs.
 */
import { argument, define, integer, text } from "../Definition.ts"
import * as Output from "../Output.ts"

const run = argument("run", "The id of the run")

const request = text("request", "id", "The request that is meant, as it is printed with what is asked; any other is refused")

const decision = {
  run,
  node: text("node", "node", "The node that asks; not needed where only one does"),
  iteration: integer("iteration", "Its iteration; the open one unless told"),
  request,
  note: text("note", "text", "What to say with it"),
  by: text("by", "name", "Who decides; the name of the user unless told"),
}

export const approve = define({
  path: ["approve"],
  summary: "Approves what a run asks for.",
  details:
    "A decision is about what was shown: the commands that are printed with a request name it (--request), and decide on no other, such as that of the next pass of a loop. Without it the run must have asked for only one thing that fits. A decision is kept, and is not changed: whoever comes second is told who was first (AlreadyDecided). Where nobody works on the run it counts when the run is taken up.",
  examples: [
    { line: "smithers approve m1abc2", does: "Approves the one thing that the run has asked for." },
    {
      line: "smithers approve m1abc2 --node ship --iteration 0 --request 7-1f0c9a32b4de --note 'looks good' --by ann",
      does: "Approves one of several, with a note.",
    },
  ],
  parameters: decision,
  output: Output.Told,
  action: () => import("../actions/decide.ts").then(({ approve }) => approve),
})

export const deny = define({
  path: ["deny"],
  summary: "Denies what a run asks for; what follows is the workflow's to say.",
  examples: [{ line: "smithers deny m1abc2 --node ship --note 'not on a Friday'", does: "Denies it." }],
  parameters: decision,
  output: Output.Told,
  action: () => import("../actions/decide.ts").then(({ deny }) => deny),
})

export const answer = define({
  path: ["answer"],
  summary: "Answers a person's task. Without --value it asks in the terminal, by the schema of the answer.",
  examples: [
    { line: `smithers answer m1abc2 triage --value '{"severity":"high"}'`, does: "Answers with JSON." },
    { line: "smithers answer m1abc2 triage", does: "Asks for each field." },
  ],
  parameters: {
    run,
    node: argument("node", "The node that asks"),
    value: text("value", "JSON|@file|-", "The answer as JSON, from a file, or from the standard input"),
    iteration: integer("iteration", "Its iteration; the open one unless told"),
    request,
    by: text("by", "name", "Who answers; the name of the user unless told"),
  },
  output: Output.Told,
  action: () => import("../actions/decide.ts").then(({ answer }) => answer),
})

export const signal = define({
  path: ["signal"],
  summary: "Sends a signal to a run. One that nobody waits for yet is kept.",
  examples: [
    { line: `smithers signal m1abc2 deployed --data '{"url":"https://acme.dev"}'`, does: "Sends a signal with data." },
    { line: "smithers signal m1abc2 merged --correlation pr-12", does: "Sends it to whoever waits for pr-12." },
  ],
  parameters: {
    run,
    name: argument("name", "The name of the signal"),
    data: text("data", "JSON|@file|-", "What it carries, as JSON, from a file, or from the standard input"),
    correlation: text("correlation", "text", "Tells signals of one name apart"),
    id: text("id", "id", "The same signal under one id counts once; another one is refused"),
  },
  output: Output.Told,
  action: () => import("../actions/decide.ts").then(({ signal }) => signal),
})

export const inbox = define({
  path: ["inbox"],
  summary: "Lists everything that waits for a person, over all runs, with the commands that answer it.",
  examples: [{ line: "smithers inbox", does: "Lists what waits." }],
  parameters: { limit: integer("limit", "At most this many, the oldest first; 50 unless told", 1) },
  output: Output.Inbox,
  action: () => import("../actions/decide.ts").then(({ inbox }) => inbox),
})
