/**
 * Commands for authors of workflows.
 */
import { argument, choice, define, flag, optionalArgument, text, texts } from "../Definition.ts"
import { templates } from "../Templates.ts"
import { runOptions } from "./running.ts"

const exported = text("export", "name", "Name of the export that holds the workflow. Default: the default export")

export const init = define({
  path: ["init"],
  summary: "Creates a project of workflows, with prompts, agents and tests, or adds them to one.",
  details:
    "Existing files are kept and listed. Installs nothing; prints the commands to run next. Agents are models with a key, programs that are logged in, or stand-ins that ask nobody: see agents.ts of the project.",
  lists: [{ title: "Templates", rows: Object.entries(templates) }],
  examples: [
    { line: "smithers init my-workflows", does: "Creates a project with all templates in the folder my-workflows." },
    { line: "smithers init --template kanban,grill-me", does: "Adds two workflows to the project in this folder." },
    { line: "smithers init --list", does: "Lists the templates." },
  ],
  parameters: {
    folder: optionalArgument("folder", "Folder of the project, created if missing. Default: the current one"),
    template: texts("template", "name", "Template to write; several by commas. Repeatable. Default: all"),
    list: flag("list", "List the templates, and write nothing"),
    force: flag(
      "force",
      "Overwrite existing workflows, prompts, tests, agents.ts and AGENTS.md. Settings of the project, such as package.json, are kept",
    ),
  },
  output: "Init",
  action: () => import("../actions/init.ts").then(({ init }) => init),
})

export const eject = define({
  path: ["eject"],
  summary: "Copies the source of a pattern, such as ReviewLoop, into the project, to be changed there.",
  details:
    "The copy imports what it needs from the package, and works unchanged. An existing file is kept, unless --force is given.",
  examples: [
    { line: "smithers eject ReviewLoop", does: "Writes patterns/ReviewLoop.tsx." },
    { line: "smithers eject Panel --to src/flows --force", does: "Writes src/flows/Panel.tsx, and overwrites it." },
  ],
  parameters: {
    pattern: argument("pattern", "Name of the pattern"),
    to: text("to", "folder", "Folder to write to, created if missing. Default: patterns"),
    force: flag("force", "Overwrite an existing file"),
  },
  output: "Ejected",
  action: () => import("../actions/eject.ts").then(({ eject }) => eject),
})

export const graph = define({
  path: ["graph"],
  summary: "Shows the plan of a workflow or of a run as a tree.",
  examples: [
    { line: "smithers graph workflow.tsx", does: "Shows the first plan of a run." },
    { line: "smithers graph m1abc2 --format mermaid", does: "Shows the plan of a run, with the status of its nodes." },
  ],
  parameters: {
    target: argument("workflow|run", "A workflow file, or the id of a run"),
    format: choice("format", ["tree", "mermaid", "dot", "json"], "Output format. Default: tree"),
    input: text("input", "JSON|@file|-", "Input of the workflow as JSON, from a file, or from standard input"),
    export: exported,
  },
  output: "Graph",
  action: () => import("../actions/plan.ts").then(({ graph }) => graph),
})

export const check = define({
  path: ["check"],
  summary: "Checks a workflow without running it: it must load and render, its ids must be unique, and its renders must be equal.",
  details:
    "Renders the workflow at several times and with several random seeds, and calls its functions of ctx (except async ones and those of tasks without an agent). Problems are a difference between renders, and a read of a later task. Warnings are tasks that wait only for an unrelated read of their component, and reads of tasks that do not exist. Exits with 1 for problems only. With --against, renders the workflow with the stored state of a run, and prints what resuming would keep, add and drop.",
  examples: [
    { line: "smithers check workflow.tsx", does: "Checks a workflow." },
    { line: "smithers check workflow.tsx --against m1abc2", does: "Prints how an edit would change the plan of a run." },
  ],
  parameters: {
    workflow: argument("workflow", "The workflow file, or file#export"),
    input: text("input", "JSON|@file|-", "Input of the workflow as JSON, from a file, or from standard input"),
    against: text("against", "run", "Run to compare the plan with"),
    export: exported,
  },
  output: "Checked",
  action: () => import("../actions/plan.ts").then(({ check }) => check),
})

export const replay = define({
  path: ["replay"],
  summary: "Tells whether today's code would have changed a recorded run, without running anything.",
  details:
    "Plans and schedules today's code against the recorded outputs, answers and signals of the run. Names each node that would differ, and how: its prompt, needs, route, passes, items, request, time or output. Nodes that depend on such a node are not compared. Calls the conditions, prompts and requests of the workflow, but no step, agent or tool, and writes nothing. Child runs are replayed with their own code. Exits with 1 if a run would change or cannot be replayed. A function that returns two values for the same state is reported, and does not count as a change.",
  examples: [
    { line: "smithers replay m1abc2", does: "Compares a run with the code that its file holds now." },
    {
      line: "smithers replay --all --since 7d --workflow review",
      does: "Checks all runs of a workflow of the last week, before a deploy.",
    },
    { line: "smithers replay m1abc2 --file draft.tsx --json", does: "Compares a run with the code in another file." },
  ],
  parameters: {
    run: optionalArgument("run", "Id of the run, or a unique prefix of it"),
    all: flag("all", "All runs except child runs"),
    since: text("since", "time", "With --all: only runs created in the last 12h or 7d"),
    workflow: text("workflow", "name", "With --all: only runs of this workflow"),
    file: text("file", "file", "Workflow file to replay with, or file#export. Default: the file that started the run"),
    export: exported,
  },
  output: "Replayed",
  action: () => import("../actions/replay.ts").then(({ replay }) => replay),
})

export const agents = define({
  path: ["agents"],
  summary: "Lists command-line agents: installed or not, version, logged in or not, and abilities.",
  details:
    "Starts each program under the isolation of the runtime (SMITHERS_ISOLATION), and asks it for its version and its login. Asks no model, so it costs nothing. Prints the command that repairs each problem.",
  examples: [
    { line: "smithers agents", does: "Lists all agents." },
    { line: "smithers agents codex --json", does: "Prints what is known of Codex, as JSON." },
  ],
  parameters: {
    agent: optionalArgument("agent", "Agent or program to list. Default: all", [
      "claude",
      "codex",
      "gemini",
      "opencode",
      "kimi",
      "pi",
    ]),
  },
  output: "Agents",
  action: () => import("../actions/agents.ts").then(({ agents }) => agents),
})

const root = text("root", "folder", "Folder to search, and from which to search upward. Default: the current one")
const projectRoot = text(
  "root",
  "folder",
  "Working directory, and the folder from which to search upward for the database. Default: the root of the project",
)
const name = argument("name", "Name of the workflow: its file name without extension")

export const workflowList = define({
  path: ["workflow", "list"],
  summary: "Lists the workflows of this project, in .smithers/workflows and in workflows.",
  examples: [{ line: "smithers workflow list", does: "Lists the workflows." }],
  parameters: { root },
  output: "Workflows",
  action: () => import("../actions/workflow.ts").then(({ list }) => list),
})

export const workflowRun = define({
  path: ["workflow", "run"],
  summary: "Runs a workflow of this project by name. Takes the options of up.",
  examples: [{ line: `smithers workflow run review --input '{"repo":"acme/api"}'`, does: "Runs .smithers/workflows/review.tsx." }],
  parameters: { name, ...runOptions, root: projectRoot, resume: flag("resume", "Resume the run given by --run-id") },
  output: "StoppedOrDetached",
  onBrokenPipe: "ignore",
  action: () => import("../actions/workflow.ts").then(({ run }) => run),
})

export const workflowPath = define({
  path: ["workflow", "path"],
  summary: "Prints the path of a workflow of this project.",
  examples: [{ line: "smithers workflow path review", does: "Prints the path of its file." }],
  parameters: { name, root },
  output: "WorkflowPath",
  action: () => import("../actions/workflow.ts").then(({ path }) => path),
})

export const workflowShow = define({
  path: ["workflow", "show"],
  summary: "Shows a workflow: the JSON Schema of its input, and its plan if it can be drawn without one.",
  examples: [{ line: "smithers workflow show workflow.tsx", does: "Shows what a workflow takes and does." }],
  parameters: {
    workflow: argument("workflow", "The workflow file, or file#export"),
    export: text("export", "name", "Name of the export that holds the workflow. Default: the default export"),
  },
  output: "WorkflowShown",
  action: () => import("../actions/plan.ts").then(({ show }) => show),
})

export const workflowCreate = define({
  path: ["workflow", "create"],
  summary: "Creates a workflow in .smithers/workflows from a template. An existing file is kept.",
  examples: [{ line: "smithers workflow create review", does: "Creates .smithers/workflows/review.tsx." }],
  parameters: { name, root },
  output: "WorkflowPath",
  action: () => import("../actions/workflow.ts").then(({ create }) => create),
})

export const workflowDoctor = define({
  path: ["workflow", "doctor"],
  summary: "Examines this project: versions, copies of packages, settings, the database, and if every workflow loads.",
  details:
    "Each finding has a repair. A problem keeps something from running, a warning may. Exits with 1 if there is a problem. Changes nothing, and runs no workflow.",
  examples: [{ line: "smithers workflow doctor", does: "Examines the project around this folder." }],
  parameters: { root },
  output: "Examined",
  action: () => import("../actions/doctor.ts").then(({ doctor }) => doctor),
})
