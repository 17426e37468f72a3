/**
 * Lists, reads, writes, describes and checks workflows; starts, forks and reverts runs.
 */
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Caller } from "./Caller.ts"
import { define } from "./Operation.ts"
import {
  Checked,
  Described,
  Forked,
  ForkOptions,
  Reverted,
  RevertOptions,
  WorkflowFiles,
  WorkflowList,
  Written,
} from "./WorkflowFiles.ts"

const workflow = Schema.String.annotations({ description: "Name of a workflow of the project, or a file within its root" })
const given = Schema.optional(Schema.Unknown)

export const listWorkflows = define({
  name: "list_workflows",
  title: "Lists the workflows of the project.",
  scope: "read",
  input: Schema.Struct({}),
  output: WorkflowList,
  run: () => Effect.flatMap(WorkflowFiles, ({ list }) => list),
})

export const describeWorkflow = define({
  name: "describe_workflow",
  title: "Describes a workflow: the JSON Schema of its input, and its first plan.",
  // Its module is loaded, which runs code of the project.
  scope: "operate",
  input: Schema.Struct({ workflow }),
  output: Described,
  run: ({ workflow }) => Effect.flatMap(WorkflowFiles, ({ describe }) => describe(workflow)),
})

export const readWorkflow = define({
  name: "read_workflow",
  title: "Reads the source of a workflow of the project.",
  scope: "operate",
  input: Schema.Struct({ name: Schema.String }),
  output: Schema.Struct({ ...Written.fields, source: Schema.String }),
  run: ({ name }) => Effect.flatMap(WorkflowFiles, ({ read }) => read(name)),
})

export const writeWorkflow = define({
  name: "write_workflow",
  title: "Writes the source of a workflow of the project.",
  scope: "admin",
  input: Schema.Struct({
    name: Schema.String.pipe(Schema.pattern(/^\w[\w.-]{0,99}$/)),
    source: Schema.String,
    overwrite: Schema.optional(Schema.Boolean),
  }),
  output: Written,
  run: ({ overwrite = false, ...options }) => Effect.flatMap(WorkflowFiles, ({ write }) => write({ ...options, overwrite })),
})

export const checkWorkflow = define({
  name: "check_workflow",
  title: "Checks a workflow without running it: it must load and render, and its ids must be unique.",
  // Its module is loaded, which runs code of the project.
  scope: "operate",
  input: Schema.Struct({
    workflow,
    input: given,
    against: Schema.optional(Schema.String).annotations({ description: "Run whose plan it is compared with" }),
  }),
  output: Checked,
  run: ({ workflow, ...options }) => Effect.flatMap(WorkflowFiles, ({ check }) => check({ workflow, ...defined(options) })),
})

export const diffPlan = define({
  name: "plan_diff",
  title: "Shows how today's code of a workflow would change the plan of a run: what is kept, added, removed and changed.",
  scope: "operate",
  input: Schema.Struct({ workflow, runId: Schema.String }),
  output: Checked,
  run: ({ workflow, runId }) => Effect.flatMap(WorkflowFiles, ({ check }) => check({ workflow, against: runId })),
})

export const startRun = define({
  name: "start_run",
  title: "Starts a run of a workflow in a process of its own.",
  scope: "operate",
  input: Schema.Struct({
    workflow,
    input: given,
    runId: Schema.optional(Schema.String),
    tags: Schema.optional(Schema.Array(Schema.String)),
    startAt: Schema.optional(Schema.Int.pipe(Schema.nonNegative())).annotations({
      description: "Time at which it starts, in epoch milliseconds. A supervisor resumes it then. Default: at once",
    }),
  }),
  output: Schema.Struct({ runId: Schema.String }),
  run: ({ workflow, ...options }) => Effect.flatMap(WorkflowFiles, ({ start }) => start({ workflow, ...defined(options) })),
})

export const forkRun = define({
  name: "fork",
  title: "Forks a run as of a moment. Nothing runs until the fork is resumed.",
  scope: "operate",
  input: Schema.Struct({ runId: Schema.String, ...ForkOptions.fields }),
  output: Forked,
  run: (options) =>
    Effect.gen(function* () {
      const { name: by } = yield* Caller
      return yield* (yield* WorkflowFiles).fork({ ...options, by })
    }),
})

export const revertRun = define({
  name: "revert",
  title: "Takes a run back to before an attempt of a node, with its files; or undoes that.",
  scope: "admin",
  input: Schema.Struct({ runId: Schema.String, ...RevertOptions.fields }),
  output: Reverted,
  run: (options) =>
    Effect.gen(function* () {
      const { name: by } = yield* Caller
      return yield* (yield* WorkflowFiles).revert({ ...options, by })
    }),
})
