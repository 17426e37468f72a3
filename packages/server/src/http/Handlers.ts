/**
 * Handlers of the API: each performs an operation, if the scope of the caller holds that of the operation.
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import { Caller, type CallerShape, includes } from "../operations/Caller.ts"
import * as Comparing from "../operations/comparing.ts"
import * as Control from "../operations/control.ts"
import * as Costs from "../operations/costs.ts"
import * as Database from "../operations/database.ts"
import { Forbidden } from "../operations/Errors.ts"
import * as Nodes from "../operations/nodes.ts"
import type { Operation, Tagged } from "../operations/Operation.ts"
import * as Runs from "../operations/runs.ts"
import * as Schedules from "../operations/schedules.ts"
import * as Travel from "../operations/travel.ts"
import * as Waits from "../operations/waits.ts"
import * as Workflows from "../operations/workflows.ts"
import { Api } from "./Api.ts"
import { type Failure, failureOf } from "./Failures.ts"

const callers = new WeakMap<object, CallerShape>()

/** Notes who has sent a request, for its handler. */
export const admit = (request: Request, caller: CallerShape): void => void callers.set(request, caller)

/** Performs an operation for the sender of the request. A request that nobody has admitted is refused. */
const perform = <I extends Schema.Schema.AnyNoContext, O extends Schema.Schema.AnyNoContext, A, E extends Tagged, R>(
  { name, scope, run }: Operation<I, O, A, E, R>,
  input: Schema.Schema.Type<I>,
): Effect.Effect<A, Failure, Exclude<R, Caller> | HttpServerRequest> =>
  Effect.gen(function* () {
    const { source } = yield* HttpServerRequest
    const caller = typeof source === "object" && source !== null ? callers.get(source) : undefined
    if (caller === undefined || !includes(caller.scope, scope))
      return yield* new Forbidden({ operation: name, scope, granted: caller?.scope ?? "none" })
    return yield* Effect.provideService(run(input), Caller, caller)
  }).pipe(Effect.mapError(failureOf))

const runs = HttpApiBuilder.group(Api, "runs", (handlers) =>
  handlers
    .handle("list", ({ urlParams }) => perform(Runs.listRuns, urlParams))
    .handle("read", ({ path }) => perform(Runs.readRun, { runId: path.id }))
    .handle("details", ({ path }) => perform(Runs.runDetails, { runId: path.id }))
    .handle("why", ({ path }) => perform(Runs.explainRun, { runId: path.id }))
    .handle("plan", ({ path, urlParams }) => perform(Travel.readPlan, { runId: path.id, ...urlParams }))
    .handle("state", ({ path, urlParams }) => perform(Travel.readState, { runId: path.id, ...urlParams }))
    .handle("timeline", ({ path, urlParams }) => perform(Travel.readTimeline, { runId: path.id, ...urlParams }))
    .handle("events", ({ path, urlParams }) => perform(Travel.readEvents, { runId: path.id, ...urlParams }))
    .handle("outputs", ({ path, urlParams }) => perform(Nodes.readOutputs, { runId: path.id, ...urlParams }))
    .handle("costs", ({ path }) => perform(Costs.readCosts, { runId: path.id }))
    .handle("waits", ({ path, urlParams }) => perform(Waits.readWaits, { runId: path.id, ...urlParams })),
)

const nodes = HttpApiBuilder.group(Api, "nodes", (handlers) =>
  handlers
    .handle("read", ({ path, urlParams }) => perform(Nodes.readNode, { runId: path.id, nodeId: path.node, ...urlParams }))
    .handle("transcript", ({ path: { id, node, attempt }, urlParams }) =>
      perform(Nodes.readTranscript, { runId: id, nodeId: node, attempt, ...urlParams }),
    )
    .handle("diff", ({ path, urlParams }) =>
      perform(Comparing.compareAttempts, { runId: path.id, nodeId: path.node, ...urlParams }),
    ),
)

/** Parses `run@frame`. */
const sideOf = (text: string): { readonly runId: string; readonly frame?: number } => {
  const [, runId, frame] = /^(.+)@(\d{1,15})$/s.exec(text) ?? []
  return runId === undefined ? { runId: text } : { runId, frame: Number(frame) }
}

const store = HttpApiBuilder.group(Api, "store", (handlers) =>
  handlers
    .handle("counts", () => perform(Database.countRuns, {}))
    .handle("database", () => perform(Database.readDatabase, {}))
    .handle("inbox", ({ urlParams }) => perform(Waits.readInbox, urlParams))
    .handle("costs", ({ urlParams }) => perform(Costs.readAllCosts, urlParams))
    .handle("diff", ({ urlParams: { a, b } }) => perform(Comparing.compareRuns, { a: sideOf(a), b: sideOf(b) })),
)

const decisions = HttpApiBuilder.group(Api, "decisions", (handlers) =>
  handlers
    .handle("approve", ({ path, payload }) => perform(Waits.approve, { runId: path.id, ...payload }))
    .handle("deny", ({ path, payload }) => perform(Waits.deny, { runId: path.id, ...payload }))
    .handle("answer", ({ path, payload }) => perform(Waits.answer, { runId: path.id, ...payload }))
    .handle("signal", ({ path, payload }) => perform(Waits.signal, { runId: path.id, ...payload })),
)

const control = HttpApiBuilder.group(Api, "control", (handlers) =>
  handlers
    .handle("resume", ({ path }) => perform(Control.resume, { runId: path.id }))
    .handle("cancel", ({ path, payload }) => perform(Control.cancel, { runId: path.id, ...payload }))
    .handle("pause", ({ path }) => perform(Control.pause, { runId: path.id }))
    .handle("unpause", ({ path }) => perform(Control.unpause, { runId: path.id }))
    .handle("retry", ({ path, payload }) => perform(Control.retry, { runId: path.id, ...payload }))
    .handle("leave", ({ path, payload }) => perform(Control.leave, { runId: path.id, ...payload })),
)

const workflows = HttpApiBuilder.group(Api, "workflows", (handlers) =>
  handlers
    .handle("list", () => perform(Workflows.listWorkflows, {}))
    .handle("describe", ({ path: { name: workflow } }) => perform(Workflows.describeWorkflow, { workflow }))
    .handle("check", ({ payload }) => perform(Workflows.checkWorkflow, payload))
    .handle("start", ({ payload }) => perform(Workflows.startRun, payload))
    .handle("fork", ({ path, payload }) => perform(Workflows.forkRun, { runId: path.id, ...payload }))
    .handle("revert", ({ path, payload }) => perform(Workflows.revertRun, { runId: path.id, ...payload })),
)

const published = HttpApiBuilder.group(Api, "published", (handlers) =>
  handlers
    .handle("publish", ({ payload }) => perform(Waits.publish, payload))
    .handle("list", ({ urlParams }) => perform(Waits.listPublished, urlParams)),
)

const schedules = HttpApiBuilder.group(Api, "schedules", (handlers) =>
  handlers
    .handle("list", () => perform(Schedules.listSchedules, {}))
    .handle("read", ({ path }) => perform(Schedules.readSchedule, { scheduleId: path.id }))
    .handle("add", ({ payload }) => perform(Schedules.addSchedule, payload))
    .handle("pause", ({ path }) => perform(Schedules.pauseSchedule, { scheduleId: path.id }))
    .handle("unpause", ({ path }) => perform(Schedules.unpauseSchedule, { scheduleId: path.id }))
    .handle("run", ({ path }) => perform(Schedules.runScheduleNow, { scheduleId: path.id }))
    .handle("remove", ({ path }) => perform(Schedules.removeSchedule, { scheduleId: path.id })),
)

/** The API with its handlers. */
export const layer = HttpApiBuilder.api(Api).pipe(
  Layer.provide([runs, nodes, store, decisions, control, workflows, schedules, published]),
)
