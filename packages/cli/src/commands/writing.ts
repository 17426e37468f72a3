/**
 * Commands for those who write workflows.
 */
import * as Schema from "effect/Schema"
import { argument, choice, define, flag, optionalArgument, text } from "../Definition.ts"
import * as Output from "../Output.ts"
import { runOptions } from "./running.ts"

const exported = text("export", "name", "The export that is the workflow, where it is not the default one")

export const init = define({
  path: ["init"],
  summary: "Writes what a project begins with: package.json, tsconfig.json, bunfig.toml, a workflow and a test of it.",
  details: "A file that is there is left as it is. Nothing is installed: what to type next is printed.",
  examples: [{ line: "smithers init my-workflows", does: "Makes the folder my-workflows." }],
  parameters: { folder: optionalArgument("folder", "The folder to write into, which is made; here unless told") },
  output: Output.Initialised,
  action: () => import("../actions/init.ts").then(({ init }) => init),
})

export const graph = define({
  path: ["graph"],
  summary: "Shows the plan of a workflow or of a run as a tree.",
  examples: [
    { line: "smithers graph workflow.tsx", does: "Draws the plan that a run would begin with." },
    { line: "smithers graph m1abc2 --format mermaid", does: "Draws the plan of a run, with what its nodes do." },
  ],
  parameters: {
    target: argument("workflow|run", "The file of a workflow, or a run"),
    format: choice("format", ["tree", "mermaid", "dot", "json"], "How to draw it; as a tree unless told"),
    input: text("input", "JSON|@file|-", "An input to draw the workflow with"),
    export: exported,
  },
  output: Output.Graph,
  action: () => import("../actions/plan.ts").then(({ graph }) => graph),
})

export const check = define({
  path: ["check"],
  summary:
    "Checks a workflow without running it: that it loads and renders, that ids are its own, and that it renders alike twice.",
  details:
    "It is drawn at several times and with several random numbers, and its functions of ctx are asked (those of tasks that have no agent are not called, nor are async ones): what differs is a problem, and so is a read of what comes later. A warning tells of what is allowed and may be meant otherwise: tasks that wait only for what their component has read for something else, and reads of tasks that are not there. Only problems give exit code 1. With --against it is drawn with what a run has stored, and compared with the plan of that run: what resuming would keep, add and drop.",
  examples: [
    { line: "smithers check workflow.tsx", does: "Checks a workflow." },
    { line: "smithers check workflow.tsx --against m1abc2", does: "Says what an edit would do to a run." },
  ],
  parameters: {
    workflow: argument("workflow", "The file of the workflow, or file#export"),
    input: text("input", "JSON|@file|-", "An input to draw it with"),
    against: text("against", "run", "A run to compare its plan with"),
    export: exported,
  },
  output: Output.Checked,
  action: () => import("../actions/plan.ts").then(({ check }) => check),
})

const root = text("root", "folder", "The folder to look in, and upward from; here unless told")
const projectRoot = text(
  "root",
  "folder",
  "The folder to work in, and to look for the database from; the root of the project unless told",
)
const name = argument("name", "The name of the workflow: that of its file")

export const workflowList = define({
  path: ["workflow", "list"],
  summary: "Lists the workflows of this project: those in .smithers/workflows and in workflows.",
  examples: [{ line: "smithers workflow list", does: "Lists them." }],
  parameters: { root },
  output: Output.Workflows,
  action: () => import("../actions/workflow.ts").then(({ list }) => list),
})

export const workflowRun = define({
  path: ["workflow", "run"],
  summary: "Runs a workflow of this project by its name. Takes the options of up.",
  examples: [{ line: `smithers workflow run review --input '{"repo":"acme/api"}'`, does: "Runs .smithers/workflows/review.tsx." }],
  parameters: { name, ...runOptions, root: projectRoot, resume: flag("resume", "Take up the run named by --run-id") },
  output: Schema.Union(Output.Stopped, Output.Detached),
  whenUnread: "go on",
  action: () => import("../actions/workflow.ts").then(({ run }) => run),
})

export const workflowPath = define({
  path: ["workflow", "path"],
  summary: "Prints the file of a workflow of this project.",
  examples: [{ line: "smithers workflow path review", does: "Prints where it is." }],
  parameters: { name, root },
  output: Output.WorkflowPath,
  action: () => import("../actions/workflow.ts").then(({ path }) => path),
})

export const workflowCreate = define({
  path: ["workflow", "create"],
  summary: "Writes a workflow to begin with into .smithers/workflows. A file that is there is left as it is.",
  examples: [{ line: "smithers workflow create review", does: "Writes .smithers/workflows/review.tsx." }],
  parameters: { name, root },
  output: Output.WorkflowPath,
  action: () => import("../actions/workflow.ts").then(({ create }) => create),
})
