/**
 * The HTTP API: paths, parameters and replies. Input and output are those of the operations.
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import type { Scope } from "../operations/Caller.ts"
import * as Comparing from "../operations/comparing.ts"
import * as Control from "../operations/control.ts"
import * as Costs from "../operations/costs.ts"
import * as Database from "../operations/database.ts"
import * as Nodes from "../operations/nodes.ts"
import * as Runs from "../operations/runs.ts"
import * as Schedules from "../operations/schedules.ts"
import * as Travel from "../operations/travel.ts"
import { ForkOptions, RevertOptions } from "../operations/WorkflowFiles.ts"
import * as Waits from "../operations/waits.ts"
import * as Workflows from "../operations/workflows.ts"
import { BadRequest, Conflict, NotFound, Refused, Unavailable } from "./Failures.ts"

/** A request with a field that is not of it is refused: a misspelt filter would otherwise select everything. */
const strict = <S extends Schema.Annotable.All>(schema: S): Schema.Annotable.Self<S> =>
  schema.annotations({ parseOptions: { onExcessProperty: "error" } })

// A struct without fields takes everything.
const nothing = Schema.Struct({}).pipe(
  Schema.filter((given) => {
    const [name] = Object.keys(given)
    return name === undefined ? undefined : { path: [name], message: "is unexpected: there are no fields" }
  }),
)
const get = <const N extends string>(name: N, path: `/${string}`) => HttpApiEndpoint.get(name, path).setUrlParams(nothing)
const post = <const N extends string>(name: N, path: `/${string}`) => HttpApiEndpoint.post(name, path).setUrlParams(nothing)

/** What the description of the API says of an endpoint. */
const about = ({ title, scope }: { readonly title: string; readonly scope: Scope }) =>
  OpenApi.annotations({ summary: title, description: `${title} Scope: ${scope}.` })

const RunPath = Schema.Struct({ id: Schema.String })
const NodePath = Schema.Struct({ id: Schema.String, node: Schema.String })
const Count = Schema.NumberFromString.pipe(Schema.int(), Schema.nonNegative())
const number = Schema.optional(Count)
const limit = Schema.optional(Count.pipe(Schema.between(1, Runs.mostRows)))
const After = strict(Schema.Struct({ after: number, limit }))
const AtFrame = strict(Schema.Struct({ frame: number, at: number }))
const { status, workflow, tag, parent, forkedFrom, q, waiting, before } = Runs.listRuns.input.fields

export const runs = HttpApiGroup.make("runs")
  .add(
    get("list", "/runs")
      .setUrlParams(
        strict(
          Schema.Struct({
            status,
            workflow,
            tag,
            parent,
            forkedFrom,
            q,
            changedBefore: Schema.optional(Count),
            stuck: Schema.optional(Schema.BooleanFromString),
            waiting,
            before,
            limit,
          }),
        ),
      )
      .addSuccess(Runs.listRuns.output)
      .annotateContext(about(Runs.listRuns)),
  )
  .add(get("read", "/runs/:id").setPath(RunPath).addSuccess(Runs.readRun.output).annotateContext(about(Runs.readRun)))
  .add(
    get("details", "/runs/:id/details").setPath(RunPath).addSuccess(Runs.runDetails.output).annotateContext(about(Runs.runDetails)),
  )
  .add(get("why", "/runs/:id/why").setPath(RunPath).addSuccess(Runs.explainRun.output).annotateContext(about(Runs.explainRun)))
  .add(
    get("plan", "/runs/:id/plan")
      .setPath(RunPath)
      .setUrlParams(strict(Schema.Struct({ frame: number, at: number, latest: Schema.optional(Schema.BooleanFromString) })))
      .addSuccess(Travel.readPlan.output)
      .annotateContext(about(Travel.readPlan)),
  )
  .add(
    get("state", "/runs/:id/state")
      .setPath(RunPath)
      .setUrlParams(AtFrame)
      .addSuccess(Travel.readState.output)
      .annotateContext(about(Travel.readState)),
  )
  .add(
    get("timeline", "/runs/:id/timeline")
      .setPath(RunPath)
      .setUrlParams(After)
      .addSuccess(Travel.readTimeline.output)
      .annotateContext(about(Travel.readTimeline)),
  )
  .add(
    get("events", "/runs/:id/events")
      .setPath(RunPath)
      .setUrlParams(After)
      .addSuccess(Travel.readEvents.output)
      .annotateContext(about(Travel.readEvents)),
  )
  .add(
    get("outputs", "/runs/:id/outputs")
      .setPath(RunPath)
      .setUrlParams(strict(Schema.Struct({ table: Schema.optional(Schema.String) })))
      .addSuccess(Nodes.readOutputs.output)
      .annotateContext(about(Nodes.readOutputs)),
  )
  .add(get("costs", "/runs/:id/costs").setPath(RunPath).addSuccess(Costs.readCosts.output).annotateContext(about(Costs.readCosts)))
  .add(
    get("waits", "/runs/:id/waits")
      .setPath(RunPath)
      .setUrlParams(strict(Schema.Struct({ all: Schema.optional(Schema.BooleanFromString) })))
      .addSuccess(Waits.readWaits.output)
      .annotateContext(about(Waits.readWaits)),
  )

export const nodes = HttpApiGroup.make("nodes")
  .add(
    get("read", "/runs/:id/nodes/:node")
      .setPath(NodePath)
      .setUrlParams(strict(Schema.Struct({ iteration: number, frame: number })))
      .addSuccess(Nodes.readNode.output)
      .annotateContext(about(Nodes.readNode)),
  )
  .add(
    get("transcript", "/runs/:id/nodes/:node/attempts/:attempt/transcript")
      .setPath(Schema.Struct({ ...NodePath.fields, attempt: Count }))
      .setUrlParams(strict(Schema.Struct({ iteration: number })))
      .addSuccess(Nodes.readTranscript.output)
      .annotateContext(about(Nodes.readTranscript)),
  )
  .add(
    get("diff", "/runs/:id/nodes/:node/diff")
      .setPath(NodePath)
      .setUrlParams(strict(Schema.Struct({ a: Count, b: Count, iteration: number })))
      .addSuccess(Comparing.compareAttempts.output)
      .annotateContext(about(Comparing.compareAttempts)),
  )

/** A run, or `run@frame`. */
const Side = Schema.String

export const store = HttpApiGroup.make("store")
  .add(get("counts", "/counts").addSuccess(Database.countRuns.output).annotateContext(about(Database.countRuns)))
  .add(get("database", "/database").addSuccess(Database.readDatabase.output).annotateContext(about(Database.readDatabase)))
  .add(
    get("inbox", "/inbox")
      .setUrlParams(strict(Schema.Struct({ kind: Waits.readInbox.input.fields.kind, limit })))
      .addSuccess(Waits.readInbox.output)
      .annotateContext(about(Waits.readInbox)),
  )
  .add(
    get("costs", "/costs")
      .setUrlParams(strict(Schema.Struct({ by: Costs.readAllCosts.input.fields.by, since: number })))
      .addSuccess(Costs.readAllCosts.output)
      .annotateContext(about(Costs.readAllCosts)),
  )
  .add(
    get("diff", "/diff")
      .setUrlParams(strict(Schema.Struct({ a: Side, b: Side })))
      .addSuccess(Comparing.compareRuns.output)
      .annotateContext(about(Comparing.compareRuns)),
  )

export const decisions = HttpApiGroup.make("decisions")
  .add(
    post("approve", "/runs/:id/approve")
      .setPath(RunPath)
      .setPayload(strict(Waits.approve.input.omit("runId")))
      .addSuccess(Waits.approve.output)
      .annotateContext(about(Waits.approve)),
  )
  .add(
    post("deny", "/runs/:id/deny")
      .setPath(RunPath)
      .setPayload(strict(Waits.deny.input.omit("runId")))
      .addSuccess(Waits.deny.output)
      .annotateContext(about(Waits.deny)),
  )
  .add(
    post("answer", "/runs/:id/answer")
      .setPath(RunPath)
      .setPayload(strict(Waits.answer.input.omit("runId")))
      .addSuccess(Waits.answer.output)
      .annotateContext(about(Waits.answer)),
  )
  .add(
    post("signal", "/runs/:id/signal")
      .setPath(RunPath)
      .setPayload(strict(Waits.signal.input.omit("runId")))
      .addSuccess(Waits.signal.output)
      .annotateContext(about(Waits.signal)),
  )

export const control = HttpApiGroup.make("control")
  .add(
    post("resume", "/runs/:id/resume")
      .setPath(RunPath)
      .setPayload(nothing)
      .addSuccess(Control.resume.output)
      .annotateContext(about(Control.resume)),
  )
  .add(
    post("cancel", "/runs/:id/cancel")
      .setPath(RunPath)
      .setPayload(strict(Control.cancel.input.omit("runId")))
      .addSuccess(Control.cancel.output)
      .annotateContext(about(Control.cancel)),
  )
  .add(
    post("pause", "/runs/:id/pause")
      .setPath(RunPath)
      .setPayload(nothing)
      .addSuccess(Control.pause.output)
      .annotateContext(about(Control.pause)),
  )
  .add(
    post("unpause", "/runs/:id/unpause")
      .setPath(RunPath)
      .setPayload(nothing)
      .addSuccess(Control.unpause.output)
      .annotateContext(about(Control.unpause)),
  )
  .add(
    post("retry", "/runs/:id/retry")
      .setPath(RunPath)
      .setPayload(strict(Control.retry.input.omit("runId")))
      .addSuccess(Control.retry.output)
      .annotateContext(about(Control.retry)),
  )
  .add(
    post("leave", "/runs/:id/leave")
      .setPath(RunPath)
      .setPayload(strict(Control.leave.input.omit("runId")))
      .addSuccess(Control.leave.output)
      .annotateContext(about(Control.leave)),
  )

export const workflows = HttpApiGroup.make("workflows")
  .add(get("list", "/workflows").addSuccess(Workflows.listWorkflows.output).annotateContext(about(Workflows.listWorkflows)))
  .add(
    get("describe", "/workflows/:name")
      .setPath(Schema.Struct({ name: Schema.String }))
      .addSuccess(Workflows.describeWorkflow.output)
      .annotateContext(about(Workflows.describeWorkflow)),
  )
  .add(
    post("check", "/workflows/check")
      .setPayload(strict(Workflows.checkWorkflow.input))
      .addSuccess(Workflows.checkWorkflow.output)
      .annotateContext(about(Workflows.checkWorkflow)),
  )
  .add(
    post("start", "/runs")
      .setPayload(strict(Workflows.startRun.input))
      .addSuccess(Workflows.startRun.output)
      .annotateContext(about(Workflows.startRun)),
  )
  .add(
    post("fork", "/runs/:id/fork")
      .setPath(RunPath)
      .setPayload(strict(ForkOptions))
      .addSuccess(Workflows.forkRun.output)
      .annotateContext(about(Workflows.forkRun)),
  )
  .add(
    post("revert", "/runs/:id/revert")
      .setPath(RunPath)
      .setPayload(strict(RevertOptions))
      .addSuccess(Workflows.revertRun.output)
      .annotateContext(about(Workflows.revertRun)),
  )

export const published = HttpApiGroup.make("published")
  .add(
    post("publish", "/publish")
      .setPayload(strict(Waits.publish.input))
      .addSuccess(Waits.publish.output)
      .annotateContext(about(Waits.publish)),
  )
  .add(
    get("list", "/published")
      .setUrlParams(strict(Schema.Struct({ id: Schema.optional(Schema.String), limit })))
      .addSuccess(Waits.listPublished.output)
      .annotateContext(about(Waits.listPublished)),
  )

const SchedulePath = Schema.Struct({ id: Schema.String })

export const schedules = HttpApiGroup.make("schedules")
  .add(get("list", "/schedules").addSuccess(Schedules.listSchedules.output).annotateContext(about(Schedules.listSchedules)))
  .add(
    get("read", "/schedules/:id")
      .setPath(SchedulePath)
      .addSuccess(Schedules.readSchedule.output)
      .annotateContext(about(Schedules.readSchedule)),
  )
  .add(
    post("add", "/schedules")
      .setPayload(strict(Schedules.addSchedule.input))
      .addSuccess(Schedules.addSchedule.output)
      .annotateContext(about(Schedules.addSchedule)),
  )
  .add(
    post("pause", "/schedules/:id/pause")
      .setPath(SchedulePath)
      .setPayload(nothing)
      .addSuccess(Schedules.pauseSchedule.output)
      .annotateContext(about(Schedules.pauseSchedule)),
  )
  .add(
    post("unpause", "/schedules/:id/unpause")
      .setPath(SchedulePath)
      .setPayload(nothing)
      .addSuccess(Schedules.unpauseSchedule.output)
      .annotateContext(about(Schedules.unpauseSchedule)),
  )
  .add(
    post("run", "/schedules/:id/run")
      .setPath(SchedulePath)
      .setPayload(nothing)
      .addSuccess(Schedules.runScheduleNow.output)
      .annotateContext(about(Schedules.runScheduleNow)),
  )
  .add(
    post("remove", "/schedules/:id/remove")
      .setPath(SchedulePath)
      .setPayload(nothing)
      .addSuccess(Schedules.removeSchedule.output)
      .annotateContext(about(Schedules.removeSchedule)),
  )

/** The API below `/api/v1`. Times are epoch milliseconds. */
export class Api extends HttpApi.make("smithers")
  .add(runs)
  .add(nodes)
  .add(store)
  .add(decisions)
  .add(control)
  .add(workflows)
  .add(schedules)
  .add(published)
  .addError(BadRequest)
  .addError(Refused)
  .addError(NotFound)
  .addError(Conflict)
  .addError(Unavailable)
  .prefix("/api/v1") {}
