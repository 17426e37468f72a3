/**
 * The port to the workflow files of a project. They are loaded in processes of their own, so that each call sees the files as they
 * are now, and none of their code runs in the server.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { CommandFailed } from "./Errors.ts"

export const WorkflowList = Schema.Struct({
  root: Schema.String,
  workflows: Schema.Array(Schema.Struct({ name: Schema.String, path: Schema.String })),
})

const strings = Schema.Array(Schema.String)

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

const nodes = Schema.Array(Schema.Struct({ nodeId: Schema.String, iteration: Schema.Number }))

export const Forked = Schema.Struct({
  runId: Schema.String,
  from: Schema.String,
  frame: Schema.Number,
  isDryRun: Schema.Boolean,
  kept: nodes,
  rerun: nodes,
  requested: nodes,
  waiting: nodes,
  set: nodes,
})

export const Written = Schema.Struct({ name: Schema.String, path: Schema.String })

export interface WorkflowFilesShape {
  readonly list: Effect.Effect<typeof WorkflowList.Type, CommandFailed>
  readonly read: (name: string) => Effect.Effect<typeof Written.Type & { readonly source: string }, CommandFailed>
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
  }) => Effect.Effect<{ readonly runId: string }, CommandFailed>
  readonly fork: (options: {
    readonly runId: string
    readonly by: string
    readonly dryRun: boolean
    readonly frame?: number
    readonly before?: string
    readonly fromFailure?: boolean
    readonly input?: unknown
    readonly set?: { readonly [nodeId: string]: unknown }
  }) => Effect.Effect<typeof Forked.Type, CommandFailed>
}

/** The workflow files of a project. */
export class WorkflowFiles extends Context.Tag("@smithers/server/WorkflowFiles")<WorkflowFiles, WorkflowFilesShape>() {}
