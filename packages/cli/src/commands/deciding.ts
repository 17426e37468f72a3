/**
 * Commands that answer what runs ask for.
 */
import { argument, define, integer, optionalArgument, text, texts } from "../Definition.ts"

const run = argument("run", "The id of the run")

const request = text("request", "id", "Id of the request, as printed with it. The command fails if another request is open")

const decision = {
  run,
  node: optionalArgument("node", "The node that asks. Needed only if several nodes ask"),
  nodeOption: text("node", "node", "The node that asks, instead of the argument"),
  iteration: integer("iteration", "Iteration of the node. Default: the open one"),
  request,
  note: text("note", "text", "A comment to store with the decision"),
  by: text("by", "name", "Name of the person who decides. Default: the current user"),
}

export const approve = define({
  path: ["approve"],
  summary: "Approves a request of a run.",
  details:
    "The commands printed with a request carry its id (--request), so they never decide on another one, such as the request of the next loop iteration. Without --request, the run must have made only one request that matches. The first decision is final: a later one fails with AlreadyDecided, which names who decided. If no process works on the run, the decision is stored and takes effect when the run resumes.",
  examples: [
    { line: "smithers approve m1abc2", does: "Approves the only request of the run." },
    { line: "smithers approve m1abc2 ship", does: "Approves the request of a node." },
    {
      line: "smithers approve m1abc2 --node ship --iteration 0 --request 7-1f0c9a32b4de --note 'looks good' --by ann",
      does: "Approves one of several requests, with a note.",
    },
    { line: "smithers approve m1abc2 colour --choose blue", does: "Selects one of the options of a request." },
    {
      line: "smithers approve m1abc2 write --amount 50000",
      does: "Allows 50,000 tokens more for a budget of tokens that is used up.",
    },
  ],
  parameters: {
    ...decision,
    choose: text("choose", "key", "For a request with options: the key of the one to select"),
    amount: text("amount", "number", "For a request of more budget: what to allow, in its unit. Default: the declared limit again"),
  },
  output: "CommandReceipt",
  action: () => import("../actions/decide.ts").then(({ approve }) => approve),
})

export const budget = define({
  path: ["budget"],
  summary: "Shows the budgets of a run, and sets their limits.",
  details:
    "A new limit includes what was used so far. It holds from the next call on, also for a run that is at work. A run that waits for the approval of a budget still needs that approval.",
  examples: [
    { line: "smithers budget m1abc2", does: "Shows what is left." },
    { line: "smithers budget m1abc2 --set cost=5 --set tokens=200000", does: "Sets two limits of the budget of the run." },
    { line: "smithers budget m1abc2 --name review --set agentCalls=50", does: "Sets a limit of a part of the run, or of a step." },
  ],
  parameters: {
    run,
    set: texts(
      "set",
      "limit=amount",
      "A limit that the budget declares: tokens, inputTokens, outputTokens, cost, toolCalls, agentCalls or duration. Repeat it for several",
    ),
    name: text("name", "id", "The part or the step whose budget it is. Default: the budget of the run"),
  },
  output: "Budgets",
  action: () => import("../actions/budget.ts").then(({ budget }) => budget),
})

export const deny = define({
  path: ["deny"],
  summary: "Denies a request of a run. The workflow decides what follows.",
  examples: [{ line: "smithers deny m1abc2 ship --note 'not on a Friday'", does: "Denies a request, with a note." }],
  parameters: decision,
  output: "CommandReceipt",
  action: () => import("../actions/decide.ts").then(({ deny }) => deny),
})

export const answer = define({
  path: ["answer"],
  summary: "Answers a human task. Without --value, prompts for each field of the answer in the terminal.",
  examples: [
    { line: `smithers answer m1abc2 triage --value '{"severity":"high"}'`, does: "Answers with JSON." },
    { line: "smithers answer m1abc2 triage", does: "Prompts for each field." },
  ],
  parameters: {
    run,
    node: argument("node", "The node that asks"),
    value: text("value", "JSON|@file|-", "The answer as JSON, from a file, or from standard input"),
    iteration: integer("iteration", "Iteration of the node. Default: the open one"),
    request,
    by: text("by", "name", "Name of the person who answers. Default: the current user"),
  },
  output: "CommandReceipt",
  action: () => import("../actions/decide.ts").then(({ answer }) => answer),
})

export const signal = define({
  path: ["signal"],
  summary: "Sends a signal to a run. A signal that arrives before its wait opens is stored for it.",
  examples: [
    { line: `smithers signal m1abc2 deployed --data '{"url":"https://acme.dev"}'`, does: "Sends a signal with data." },
    { line: "smithers signal m1abc2 merged --correlation pr-12", does: "Sends it to the wait with the correlation pr-12." },
  ],
  parameters: {
    run,
    name: argument("name", "The name of the signal"),
    data: text("data", "JSON|@file|-", "Payload as JSON, from a file, or from standard input"),
    correlation: text("correlation", "text", "Correlation key: only a wait with the same key receives the signal"),
    id: text("id", "id", "Idempotency key: sending the same signal again has no effect; another signal with this id is refused"),
  },
  output: "CommandReceipt",
  action: () => import("../actions/decide.ts").then(({ signal }) => signal),
})

export const publish = define({
  path: ["publish"],
  summary: "Publishes an event to every run that waits for a signal of its name and correlation.",
  details: "If no run waits for it, it is kept, and the first such wait to open takes it. The same id counts once.",
  examples: [
    { line: `smithers publish merged --id pr-12 --correlation pr-12 --data '{"by":"ann"}'`, does: "Publishes an event with data." },
  ],
  parameters: {
    name: argument("name", "The name of the event"),
    id: text("id", "id", "Idempotency key: publishing the same event again has no effect; another event with this id is refused"),
    data: text("data", "JSON|@file|-", "Payload as JSON, from a file, or from standard input"),
    correlation: text("correlation", "text", "Correlation key: only waits with the same key take the event"),
    keep: text("keep", "time", "Time for which it is kept for a wait to come, such as 12h. Default: 1d"),
  },
  output: "Published",
  action: () => import("../actions/publish.ts").then(({ publish }) => publish),
})

export const published = define({
  path: ["published"],
  summary: "Lists published events, latest first, with the runs that took them.",
  examples: [{ line: "smithers published --id pr-12", does: "Shows who took an event." }],
  parameters: {
    id: text("id", "id", "Only the event with this id"),
    limit: integer("limit", "Maximum number of events. Default: 50", 1),
  },
  output: "PublishedList",
  action: () => import("../actions/publish.ts").then(({ list }) => list),
})

export const inbox = define({
  path: ["inbox"],
  summary: "Lists the requests of all runs that wait for a person, with the commands that answer them.",
  examples: [{ line: "smithers inbox", does: "Lists the open requests." }],
  parameters: { limit: integer("limit", "Maximum number of requests, oldest first. Default: 50", 1) },
  output: "Inbox",
  action: () => import("../actions/decide.ts").then(({ inbox }) => inbox),
})
