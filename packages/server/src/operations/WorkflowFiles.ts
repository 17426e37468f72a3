/**
 * The port to the workflow files of a project. They are loaded in processes of their own, so that each call sees the files as they
 * are now, and none of their code runs in the server.
 */

import { WaitKind } from "@smithers/core/RunEvent"
import { Overlap, type Schedule } from "@smithers/core/Schedules"
import { Change } from "@smithers/core/Workspaces"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { GraphNode } from "../views/PlanTree.ts"
import type { CommandFailed } from "./Errors.ts"

export const WorkflowList = Schema.Struct({
  root: Schema.String,
  workflows: Schema.Array(Schema.Struct({ name: Schema.String, path: Schema.String })),
})

const strings = Schema.Array(Schema.String)

/** A workflow as its file has it now. */
export const Described = Schema.Struct({
  /** Name of the workflow; null if its render fails. */
  workflow: Schema.NullOr(Schema.String),
  version: Schema.NullOr(Schema.String),
  file: Schema.String,
  /** Name of the export; null for the default one. */
  export: Schema.NullOr(Schema.String),
  /** JSON Schema of the input; null if the library of its schema gives none. */
  input: Schema.NullOr(Schema.Unknown),
  /** Its first plan; null if it cannot be drawn without an input. */
  plan: Schema.NullOr(Schema.Array(GraphNode)),
  /** Reason why there is no plan. */
  problem: Schema.NullOr(Schema.String),
})

export const Checked = Schema.Struct({
  workflow: Schema.String,
  file: Schema.String,
  steps: Schema.Number,
  /** Problems, and as `warning` what is allowed but may not be intended. */
  problems: Schema.Array(Schema.Struct({ kind: Schema.String, message: Schema.String })),
  /** Tasks that wait for outputs which do not exist yet. */
  pending: strings,
  /** Difference to the plan of a run, if one is named. */
  difference: Schema.NullOr(Schema.Struct({ kept: strings, added: strings, removed: strings, changed: strings })),
})

/** Files that are restored below a directory. */
const RestoredFiles = Schema.Struct({
  root: Schema.String,
  /** The commit that they are restored to. */
  target: Schema.String,
  /** The commit of the files before; absent of a dry run. */
  safety: Schema.optional(Schema.String),
  changes: Schema.Array(Change),
  /** Files that no snapshot can bring back. */
  overwrites: strings,
})

const node = { nodeId: Schema.String, iteration: Schema.Number }
const forkedNodes = Schema.Array(Schema.Struct({ ...node, kind: Schema.Literal("step", ...WaitKind.literals) }))

export const Forked = Schema.Struct({
  runId: Schema.String,
  /** Run that holds the history of the fork, and the last frame and event of it. */
  from: Schema.String,
  frame: Schema.Number,
  seq: Schema.Number,
  kept: forkedNodes,
  /** Steps and child runs that the original has run, and that run again. */
  rerun: forkedNodes,
  /** Approvals and human tasks that people are asked again. */
  requested: forkedNodes,
  /** Timers and signals that are waited for. */
  waiting: forkedNodes,
  /** Steps whose outputs were given. */
  set: forkedNodes,
  /** Kept outputs that do not match the current schemas. */
  incompatible: Schema.Array(Schema.Struct({ ...node, issues: strings })),
  /** Files that are restored, by directory; empty where files are left alone. */
  files: Schema.Array(RestoredFiles),
  isDryRun: Schema.Boolean,
})

const revertedNodes = Schema.Array(Schema.Struct(node))

export const Reverted = Schema.Struct({
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.Number,
  attempt: Schema.Number,
  /** Nodes that run, wait or ask again. */
  resets: revertedNodes,
  /** Steps whose outputs are back, where a revert was undone. */
  restored: revertedNodes,
  /** Files that are restored; null where they are left alone. */
  files: Schema.NullOr(RestoredFiles),
  /** Number of the revert that was undone. */
  undoes: Schema.NullOr(Schema.Number),
  notes: strings,
  isDryRun: Schema.Boolean,
})

export const Written = Schema.Struct({ name: Schema.String, path: Schema.String })

/** Options of a fork, beside its run. */
export const ForkOptions = Schema.Struct({
  dryRun: Schema.optional(Schema.Boolean).annotations({
    description: "Show what would be kept and what would run again, and change nothing",
  }),
  frame: Schema.optional(Schema.Int.pipe(Schema.nonNegative())).annotations({ description: "Fork as of this frame. Default: now" }),
  before: Schema.optional(Schema.String).annotations({ description: "Fork before this node began" }),
  iteration: Schema.optional(Schema.Int.pipe(Schema.nonNegative())),
  fromFailure: Schema.optional(Schema.Boolean).annotations({ description: "Fork before the step that failed" }),
  input: Schema.optional(Schema.Unknown),
  set: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })).annotations({
    description: "Outputs of steps to use in place of running them, by node id",
  }),
  reask: Schema.optional(Schema.Boolean),
  children: Schema.optional(Schema.Literal("new", "adopt")),
  replaySignals: Schema.optional(Schema.Boolean),
  keepDeadlines: Schema.optional(Schema.Boolean),
  ownEffects: Schema.optional(Schema.Boolean),
  files: Schema.optional(Schema.Boolean).annotations({ description: "Restore the files of its tasks as they were then" }),
  force: Schema.optional(Schema.Boolean),
  newRunId: Schema.optional(Schema.String).annotations({ description: "Id of the fork" }),
})

/** Options of a revert, beside its run. */
export const RevertOptions = Schema.Struct({
  node: Schema.optional(Schema.String).annotations({ description: "Node to go back to" }),
  attempt: Schema.optional(Schema.Int.pipe(Schema.positive())),
  iteration: Schema.optional(Schema.Int.pipe(Schema.nonNegative())),
  files: Schema.optional(Schema.Boolean),
  undo: Schema.optional(Schema.Boolean).annotations({ description: "Undo the last revert" }),
  force: Schema.optional(Schema.Boolean),
  dryRun: Schema.optional(Schema.Boolean),
})

/** A schedule to add. */
export const ScheduleOptions = Schema.Struct({
  workflow: Schema.String.annotations({ description: "Name of a workflow of the project, or a file within its root" }),
  cron: Schema.String.annotations({ description: "Five fields, or @hourly, @daily, @weekly, @monthly, @yearly" }),
  tz: Schema.optional(Schema.String).annotations({ description: "Time zone, such as Europe/Berlin. Default: UTC" }),
  input: Schema.optional(Schema.Unknown),
  id: Schema.optional(Schema.String).annotations({ description: "Id of the schedule. Default: the name of the workflow" }),
  overlap: Schema.optional(Overlap),
  catchUp: Schema.optional(Schema.String).annotations({ description: "Longest delay of a tick, such as 6h. Default: 1d" }),
  jitter: Schema.optional(Schema.String).annotations({ description: "Longest random delay, such as 90s. Default: none" }),
  tags: Schema.optional(Schema.Array(Schema.String)),
  onExisting: Schema.optional(Schema.Literal("replace", "refuse")).annotations({
    description: "Reaction where another schedule has the id. Default: refuse",
  }),
})

export interface WorkflowFilesShape {
  readonly list: Effect.Effect<typeof WorkflowList.Type, CommandFailed>
  readonly read: (name: string) => Effect.Effect<typeof Written.Type & { readonly source: string }, CommandFailed>
  /** Describes a workflow, by name or file within the root. */
  readonly describe: (workflow: string) => Effect.Effect<typeof Described.Type, CommandFailed>
  /** Writes the source of a workflow by name. Refuses an existing one without `overwrite`. */
  readonly write: (options: {
    readonly name: string
    readonly source: string
    readonly overwrite: boolean
  }) => Effect.Effect<typeof Written.Type, CommandFailed>
  /** Checks a workflow, by name or file within the root, and against a run if one is named. */
  readonly check: (options: {
    readonly workflow: string
    readonly input?: unknown
    readonly against?: string
  }) => Effect.Effect<typeof Checked.Type, CommandFailed>
  /** Starts a run in a process of its own. */
  readonly start: (options: {
    readonly workflow: string
    readonly input?: unknown
    readonly runId?: string
    readonly tags?: ReadonlyArray<string>
    readonly startAt?: number
  }) => Effect.Effect<{ readonly runId: string }, CommandFailed>
  /** Adds a schedule of a workflow, by name or file within the root. */
  readonly schedule: (options: typeof ScheduleOptions.Type) => Effect.Effect<{ readonly schedule: Schedule }, CommandFailed>
  readonly fork: (
    options: typeof ForkOptions.Type & { readonly runId: string; readonly by: string },
  ) => Effect.Effect<typeof Forked.Type, CommandFailed>
  readonly revert: (
    options: typeof RevertOptions.Type & { readonly runId: string; readonly by: string },
  ) => Effect.Effect<typeof Reverted.Type, CommandFailed>
}

/** The workflow files of a project. */
export class WorkflowFiles extends Context.Tag("@smithers/server/WorkflowFiles")<WorkflowFiles, WorkflowFilesShape>() {}
