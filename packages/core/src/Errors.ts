/**
 * The errors that users of the runtime are expected to handle. Each carries the ids needed to act on it and a message that says
 * what to do. They are schemas: a failure stored by one process is decoded in another.
 */
import * as Schema from "effect/Schema"
import * as Budget from "./Budget.ts"
import { asError, ErrorInfo, NotRetried, sentence, text, whyNotRetried, withoutStacks } from "./ErrorInfo.ts"
import { idRule, isChildRunId, isGenerationId, shownId } from "./Ids.ts"
import * as Later from "./Later.ts"
import { nearestTo } from "./Names.ts"
import { name as published } from "./Package.ts"
import { Found } from "./Redactor.ts"
import * as Status from "./Status.ts"

export { ErrorInfo } from "./ErrorInfo.ts"

const runFields = { runId: Schema.String }
const nodeFields = { ...runFields, nodeId: Schema.String, iteration: Schema.Number }

/** An error as a field of another one. Its encoded form has no stacks, since clients such as those of an HTTP API get to see it. */
const Reported = Schema.transform(ErrorInfo, Schema.typeSchema(ErrorInfo), {
  strict: true,
  decode: (error) => error,
  encode: (_, error) => withoutStacks(error),
}).annotations({ identifier: "ReportedError" })

/** The name of a workflow that failed before it gave one. */
export const unnamed = "?"

const titled = (workflow: string): string => (workflow === unnamed ? "The workflow" : `Workflow "${workflow}"`)

/** A workflow definition that cannot be run. Thrown while it is built; `where` is the path to the offending part. */
export class InvalidWorkflow extends Later.TaggedError<InvalidWorkflow>()("InvalidWorkflow", {
  workflow: Schema.String,
  where: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `${titled(this.workflow)} cannot be built: ${this.problem} (at ${this.where}).`
  }
}

/**
 * The code that renders the plan threw, or its result is no plan. The run keeps its state: repair the code and resume. `where`
 * is the stack of components, outermost last, if there is one.
 */
export class RenderFailed extends Later.TaggedError<RenderFailed>()("RenderFailed", {
  workflow: Schema.String,
  problem: Schema.String,
  where: Schema.optional(Schema.String),
  /** The thrown value. Present only in the process that caught it. */
  cause: Schema.optional(Schema.Defect),
}) {
  override get message(): string {
    const where = this.where === undefined ? "" : `\n${this.where}`
    return `${titled(this.workflow)} could not be rendered: ${sentence(this.problem)} Finished steps are kept: repair the code and resume the run.${where}`
  }
}

/**
 * A step, an agent or a tool names a limit that no runtime of the store has configured. Nothing was called. A name that is part of
 * the plan is refused before anything of the run begins.
 */
export class UnknownLimit extends Later.TaggedError<UnknownLimit>()("UnknownLimit", {
  limit: Schema.String,
  /** The limits of the store. */
  known: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const { limit, known } = this
    const nearest = nearestTo(limit, known)
    const meant = nearest === undefined ? "" : ` Did you mean "${nearest}"?`
    const there = known.length === 0 ? "The store has no limits" : `The store has ${known.join(", ")}`
    return `There is no limit "${limit}".${meant} ${there}; configure it in "limits" of the runtime, or with: smithers limit set ${limit} --concurrency NUMBER`
  }
}

/** The function under `limit` of a step threw, or what it returned names no limit. The step fails without an attempt at its work. */
export class InvalidLimit extends Later.TaggedError<InvalidLimit>()("InvalidLimit", {
  nodeId: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `The "limit" of step "${this.nodeId}" ${this.problem}`
  }
}

/** The input does not match the workflow's input schema. Nothing was started or stored. */
export class InvalidInput extends Later.TaggedError<InvalidInput>()("InvalidInput", {
  workflow: Schema.String,
  issues: Schema.Array(Schema.String),
  /** The secret that it holds, if that is the reason. */
  secret: Schema.optional(Found),
}) {
  override get message(): string {
    return `The input of ${this.workflow === unnamed ? "the workflow" : `workflow "${this.workflow}"`} is not valid: ${this.issues.join("; ")}. Nothing was started.`
  }
}

/** An id that cannot be used for a run. Nothing was started or stored. */
export class InvalidRunId extends Later.TaggedError<InvalidRunId>()("InvalidRunId", { runId: Schema.String }) {
  override get message(): string {
    if (isChildRunId(this.runId)) {
      return `${shownId(this.runId)} reads as the id of a child run, <run>~<node>~<iteration>, which only its parent starts: resume such a run instead, or use another id.`
    }
    if (isGenerationId(this.runId)) {
      return `${shownId(this.runId)} reads as the id of a run that another goes on as, <run>~g<number>, which only that run starts: use another id.`
    }
    return `${shownId(this.runId)} is not an id to start a run with: use ${idRule}, without NUL and halves of surrogate pairs.`
  }
}

/** No run of this id is stored. */
export class RunNotFound extends Later.TaggedError<RunNotFound>()("RunNotFound", runFields) {
  override get message(): string {
    return `There is no run "${this.runId}" in this store. List the runs, or start one with this id.`
  }
}

/** A run has no such frame or event, or has not got there yet. */
export class NoSuchMoment extends Later.TaggedError<NoSuchMoment>()("NoSuchMoment", {
  ...runFields,
  /** The number of the frame or of the event that was asked for. */
  frame: Schema.optional(Schema.Number),
  seq: Schema.optional(Schema.Number),
  /** The number of its last frame or event. */
  last: Schema.Number,
}) {
  override get message(): string {
    const [what, asked] = this.frame === undefined ? ["event", this.seq] : ["frame", this.frame]
    return `Run "${this.runId}" has no ${what} ${asked}: its last one is ${this.last}. Give a whole number from 0 to ${this.last}.`
  }
}

/** A step has no such attempt, or has not got there yet. */
export class NoSuchAttempt extends Later.TaggedError<NoSuchAttempt>()("NoSuchAttempt", {
  ...nodeFields,
  attempt: Schema.Number,
  /** The attempts that it has in this iteration. */
  known: Schema.Array(Schema.Number),
}) {
  override get message(): string {
    const has = this.known.length === 0 ? "none" : this.known.join(", ")
    return `Node "${this.nodeId}" of run "${this.runId}" has no attempt ${this.attempt} in iteration ${this.iteration}: it has ${has}. Choose one of them, or another iteration.`
  }
}

/** The run id is taken by a run with another input. The existing run is untouched. */
export class InputMismatch extends Later.TaggedError<InputMismatch>()("InputMismatch", runFields) {
  override get message(): string {
    return `Run "${this.runId}" was started with a different input. Use another run id, or resume it with its own input.`
  }
}

/** The run id is taken by a run of another workflow. The existing run is untouched. */
export class WorkflowMismatch extends Later.TaggedError<WorkflowMismatch>()("WorkflowMismatch", {
  ...runFields,
  workflow: Schema.String,
  stored: Schema.String,
}) {
  override get message(): string {
    return `Run "${this.runId}" belongs to workflow "${this.stored}", not to "${this.workflow}". Use another run id.`
  }
}

/**
 * An invalid or unknown setting of the runtime, such as `lease: 0`, or option of a run, such as `tags: [42]` or `runID`. The
 * layer is not built; nothing was started or stored.
 */
export class InvalidSetting extends Later.TaggedError<InvalidSetting>()("InvalidSetting", {
  setting: Schema.String,
  /** The value that was passed, as text. */
  received: Schema.String,
  expected: Schema.String,
}) {
  override get message(): string {
    return `The setting "${this.setting}" is ${this.received}, and must be ${this.expected}.`
  }
}

/**
 * The program runs on another version of Effect than this package. The layer of the engine dies with it, since no code of the program can handle it.
 * Nothing was started.
 */
export class EffectMismatch extends Later.TaggedError<EffectMismatch>()("EffectMismatch", { problem: Schema.String }) {
  override get message(): string {
    return sentence(this.problem)
  }
}

/** A step failed for good: its retries are used up, or its error forbids another attempt. */
export class StepFailed extends Later.TaggedError<StepFailed>()("StepFailed", {
  ...nodeFields,
  attempts: Schema.Number,
  error: Reported,
}) {
  /**
   * The step's error and its chain of causes, rebuilt from `error`: the same in the process that ran the step and in any other.
   * The failure of a wait or region has a class of its own: {@link ApprovalDenied}, {@link WaitTimedOut}, {@link ScopeTimedOut},
   * {@link RaceLost} or {@link ListStillOpen}.
   */
  override get cause(): Error {
    return nodeFailureOf(this) ?? asError(this.error)
  }

  override get message(): string {
    return `${this.summary} ${thereafter(this.error)}`
  }

  /** The first sentence of the message: the failure, without the advice on resuming. */
  get summary(): string {
    const attempts = this.attempts === 0 ? "" : ` after ${plural(this.attempts, "attempt")}`
    return `Step "${this.nodeId}" of run "${this.runId}" failed${attempts}: ${sentence(text(this.error))}`
  }
}

const nodeFailureFields = { ...nodeFields, problem: Schema.String }

const nodeFailed = ({ nodeId, runId, problem }: { readonly [field in "nodeId" | "runId" | "problem"]: string }): string =>
  `Node "${nodeId}" of run "${runId}" failed: ${sentence(problem)}`

/**
 * A person denied an approval with `onDeny: "fail"`, or nobody decided in time. `execute`, `resume` and the `await` of a handle fail with it; in the result of a
 * run it is the `cause` of a `StepFailed`.
 */
export class ApprovalDenied extends Later.TaggedError<ApprovalDenied>()("ApprovalDenied", nodeFailureFields) {
  override get message(): string {
    return `${nodeFailed(this)} Retry the node to ask again.`
  }
}

/** The time of a wait with `onTimeout: "fail"` was over. Reported as {@link ApprovalDenied} is. */
export class WaitTimedOut extends Later.TaggedError<WaitTimedOut>()("WaitTimedOut", nodeFailureFields) {
  override get message(): string {
    return `${nodeFailed(this)} Resume the run to try it again.`
  }
}

/** The time of a scope, race or list with `onTimeout: "fail"` was over. Reported as {@link ApprovalDenied} is. */
export class ScopeTimedOut extends Later.TaggedError<ScopeTimedOut>()("ScopeTimedOut", nodeFailureFields) {
  override get message(): string {
    return `${nodeFailed(this)} Resume the run to try it again.`
  }
}

/** A race with `onFailure: "ignore"` has too few branches left. Reported as {@link ApprovalDenied} is. */
export class RaceLost extends Later.TaggedError<RaceLost>()("RaceLost", nodeFailureFields) {
  override get message(): string {
    return `${nodeFailed(this)} Resume the run to try it again.`
  }
}

/** A list is kept open for more items, and nothing in the run can add one. Reported as {@link ApprovalDenied} is. */
export class ListStillOpen extends Later.TaggedError<ListStillOpen>()("ListStillOpen", nodeFailureFields) {
  override get message(): string {
    return `${nodeFailed(this)} Resume the run to try it again.`
  }
}

const nodeFailures = { ApprovalDenied, WaitTimedOut, ScopeTimedOut, RaceLost, ListStillOpen }

/** The names of failures of waits and regions, as they are stored in `ErrorInfo.name`. */
export type NodeFailureName = keyof typeof nodeFailures

/** The failure of a wait or a region, which has no code and no attempts of its own. */
export type NodeFailure = InstanceType<(typeof nodeFailures)[NodeFailureName]>

/** The reasons for which such a failure is not retried. An error of a step with the same name has another. */
const nodeFailureReasons: ReadonlyArray<NotRetried | undefined> = ["denied", "wait", "plan"]

/** The failure of a wait or region as an instance of its class; `undefined` for the error of a step. */
export const nodeFailureOf = ({ runId, nodeId, iteration, error }: StepFailed): NodeFailure | undefined => {
  const isOfNode = nodeFailureReasons.includes(error.notRetried) && Object.hasOwn(nodeFailures, error.name)
  if (!isOfNode) return undefined
  return new nodeFailures[error.name as NodeFailureName]({ runId, nodeId, iteration, problem: error.message })
}

/** A step's last attempt took longer than its `timeout`, or went longer than its `heartbeatTimeout` without a heartbeat. */
export class StepTimedOut extends Later.TaggedError<StepTimedOut>()("StepTimedOut", {
  ...nodeFields,
  attempts: Schema.Number,
  limit: Schema.Literal("timeout", "heartbeatTimeout"),
  timeoutMs: Schema.Number,
  notRetried: Schema.optional(NotRetried),
}) {
  override get message(): string {
    return `${this.summary} ${thereafter({ retryable: true, notRetried: this.notRetried })}`
  }

  /** The first sentence of the message: the failure, without the advice on resuming. */
  get summary(): string {
    return `Step "${this.nodeId}" of run "${this.runId}" exceeded its ${this.limit} of ${this.timeoutMs} ms in attempt ${this.attempts}.`
  }
}

/**
 * Processes died too many times in a row while they worked on a run. With `nodeId`, each was running this step. Without, each
 * died before it made progress. Only crashes of processes count: a workflow that does not load, render or fit is retried.
 */
export class CrashLoop extends Later.TaggedError<CrashLoop>()("CrashLoop", {
  ...runFields,
  nodeId: Schema.optional(Schema.String),
  iteration: Schema.optional(Schema.Number),
  interruptions: Schema.Number,
}) {
  override get message(): string {
    if (this.nodeId === undefined)
      return `The process of run "${this.runId}" died ${this.interruptions} times in a row before the run made progress. Finished steps are kept: repair the workflow, then resume the run.`
    return `Step "${this.nodeId}" of run "${this.runId}" was running each of the last ${this.interruptions} times the process died. Repair the step, then resume the run.`
  }
}

/** Driving a run ended in a defect of the runtime or its store. Faults of the workflow are failures, never defects. */
export class RunDefect extends Later.TaggedError<RunDefect>()("RunDefect", { ...runFields, error: Reported }) {
  override get message(): string {
    return `Working on run "${this.runId}" ended in a defect of the runtime or its store: ${text(this.error)}`
  }
}

/**
 * A loop made `maxIterations` passes, its `until` does not hold, and `onMaxReached` is to fail. `isDefault`: the loop sets no
 * `maxIterations`, and the number is the default of components. The passes are kept: with a higher limit the run resumes where
 * it stopped.
 */
export class LoopLimitReached extends Later.TaggedError<LoopLimitReached>()("LoopLimitReached", {
  ...nodeFields,
  maxIterations: Schema.Number,
  isDefault: Schema.optional(Schema.Boolean),
}) {
  override get message(): string {
    const passes = plural(this.maxIterations, "pass", "passes")
    if (this.isDefault === true) {
      return `Loop "${this.nodeId}" of run "${this.runId}" made ${passes}, the default limit, without its "until" holding. Set maxIterations (Infinity for no limit), or onMaxReached to "return-last" to go on with the last pass, and resume the run: its passes are kept.`
    }
    return `Loop "${this.nodeId}" of run "${this.runId}" made its ${passes} without its "until" holding. Raise maxIterations, or set onMaxReached to "return-last", and resume the run: its passes are kept.`
  }
}

/**
 * Each render after tasks of a loop ended mounted new tasks in the same pass, more than 100 times. Ids derived from outputs
 * keep a pass from ending this way. `nodeIds` are the last ones mounted, after one that was mounted before.
 */
export class EndlessPass extends Later.TaggedError<EndlessPass>()("EndlessPass", {
  ...nodeFields,
  nodeIds: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const ids = this.nodeIds.map(shownId).join(", ")
    return `A pass of loop "${this.nodeId}" of run "${this.runId}" never ends: tasks with new ids (${ids}) were mounted in it more than 100 times. Give the tasks the same ids in each pass, and resume the run: each pass has rows of its own.`
  }
}

/**
 * The plan depends on an output that will never exist, and nothing is left to run. The output is of a node that is not mounted,
 * was skipped, or failed and was allowed to. `nodeId` is the node that was read, or the table.
 */
export class UnsettledRead extends Later.TaggedError<UnsettledRead>()("UnsettledRead", { ...nodeFields, problem: Schema.String }) {
  override get message(): string {
    return `Run "${this.runId}" cannot continue: it needs the output of "${this.nodeId}", and ${this.problem}. Mount a task that gives it, or read it with outputMaybe.`
  }
}

/** The run was cancelled before it ended. Its sagas were compensated, except for the steps in `uncompensated`. */
export class RunCancelled extends Later.TaggedError<RunCancelled>()("RunCancelled", {
  ...runFields,
  reason: Schema.optional(Schema.String),
  uncompensated: Schema.optional(Schema.Array(Schema.suspend(() => Uncompensated))),
}) {
  override get message(): string {
    const why = this.reason === undefined ? "" : `: ${this.reason}`
    return `Run "${this.runId}" was cancelled${why}.${uncompensatedMessage(this.uncompensated)}`
  }
}

/** The id of a new run that a run of the store has. Nothing was changed. */
export class RunIdTaken extends Later.TaggedError<RunIdTaken>()("RunIdTaken", runFields) {
  override get message(): string {
    return `The id "${this.runId}" is taken: a run of this store has it. Nothing was changed; choose another id, or leave it out.`
  }
}

/** A fork that cannot be made as it was asked for. Nothing was changed. */
export class InvalidFork extends Later.TaggedError<InvalidFork>()("InvalidFork", { ...runFields, problem: Schema.String }) {
  override get message(): string {
    return `Run "${this.runId}" cannot be forked: ${this.problem}. Nothing was changed.`
  }
}

/** A command for a run that has ended. */
export class RunEnded extends Later.TaggedError<RunEnded>()("RunEnded", { ...runFields, status: Status.EndedStatus }) {
  override get message(): string {
    if (this.status === "continued") return `Run "${this.runId}" goes on as a new run, which asks again: name what that one asks.`
    const then = Status.isReopenable(this.status) ? "Resume it first." : "It accepts no more commands."
    return `Run "${this.runId}" has already ended as ${this.status}. ${then}`
  }
}

/** A command for something that the run does not wait for. Nothing was changed. */
export class NotWaiting extends Later.TaggedError<NotWaiting>()("NotWaiting", {
  ...runFields,
  /** The node of the command. */
  nodeId: Schema.optional(Schema.String),
  /** The iteration of the command. */
  iteration: Schema.optional(Schema.Number),
  /** The open waits of the run. */
  open: Schema.Array(Schema.String),
  /** The reason the wait was withdrawn. */
  reason: Schema.optional(Schema.Literal(...Status.Withdrawal.literals, "reset", "cancelled")),
}) {
  override get message(): string {
    const open = this.open.length === 0 ? "It has no open waits." : `It waits for ${this.open.join(", ")}.`
    if (this.nodeId === undefined) return `Run "${this.runId}" has no open request. ${open}`
    const which = this.iteration === undefined ? "" : `, iteration ${this.iteration},`
    const why = this.reason === undefined ? " in this way" : ` any more: ${withdrawalReasons[this.reason]}`
    return `Run "${this.runId}" does not wait for "${this.nodeId}"${which}${why}. ${open}`
  }
}

/** Reasons a wait was withdrawn, in words. */
export const withdrawalReasons = {
  "left-plan": "the current plan does not reach it",
  "given-up": "the part of the run around it was given up",
  superseded: "the loop around it has moved on",
  left: "the scope around it was left",
  reset: "it will run again, and ask again then",
  cancelled: "the run is being cancelled",
}

/** Reasons a scope is left early, in words. */
export const leaveReasons: { readonly [Because in Status.LeaveTrigger]: string } = {
  condition: "its condition holds",
  timeout: "it timed out",
  request: "someone asked for it",
  lost: "another branch won",
  until: "the list had enough",
}

/** A decision or answer after the deadline. The wait's `onTimeout` applies; nothing was changed. */
export class WaitExpired extends Later.TaggedError<WaitExpired>()("WaitExpired", {
  ...nodeFields,
  /** Epoch ms. */
  deadline: Schema.Number,
}) {
  override get message(): string {
    return `"${this.nodeId}" of run "${this.runId}" timed out at ${new Date(this.deadline).toISOString()}: its "onTimeout" applies.`
  }
}

/** A second decision or answer. The first one counts; nothing was changed. */
export class AlreadyDecided extends Later.TaggedError<AlreadyDecided>()("AlreadyDecided", {
  ...nodeFields,
  /** The decision; absent if the wait was answered. */
  approved: Schema.optional(Schema.Boolean),
  by: Schema.optional(Schema.String),
  /** Epoch ms. */
  at: Schema.optional(Schema.Number),
  note: Schema.optional(Schema.String),
}) {
  override get message(): string {
    const which = this.iteration === 0 ? "" : `, iteration ${this.iteration},`
    const what = this.approved === undefined ? "answered" : this.approved ? "approved" : "denied"
    const by = this.by === undefined ? "" : ` by ${this.by}`
    const when = this.at === undefined ? "" : ` at ${new Date(this.at).toISOString()}`
    const note = this.note === undefined ? "" : ` (${JSON.stringify(this.note)})`
    const kept = this.approved === undefined ? "an answer" : "a decision"
    return `"${this.nodeId}" of run "${this.runId}"${which} was already ${what}${by}${when}${note}, and ${kept} cannot be changed.`
  }
}

/** A second request to leave a scope, with another outcome. The first one counts; nothing was changed. */
export class AlreadyLeft extends Later.TaggedError<AlreadyLeft>()("AlreadyLeft", {
  ...nodeFields,
  outcome: Status.LeaveOutcome,
  reason: Schema.optional(Schema.String),
  by: Schema.optional(Schema.String),
}) {
  override get message(): string {
    const which = this.iteration === 0 ? "" : `, iteration ${this.iteration},`
    const by = this.by === undefined ? "someone" : this.by
    const reason = this.reason === undefined ? "" : ` (${JSON.stringify(this.reason)})`
    return `"${this.nodeId}" of run "${this.runId}"${which} is already being left as ${this.outcome}: ${by} asked for that${reason}, and it cannot be changed.`
  }
}

/** A request to leave a scope that has ended or is being left. Nothing was changed. */
export class NodeEnded extends Later.TaggedError<NodeEnded>()("NodeEnded", {
  ...nodeFields,
  /** The final status; `halted` while the scope is being left. */
  status: Status.NodeStatus,
  /** The outcome and the reason of an early leave, if it is one. */
  outcome: Schema.optional(Status.LeaveOutcome),
  trigger: Schema.optional(Status.LeaveTrigger),
}) {
  override get message(): string {
    const which = this.iteration === 0 ? "" : `, iteration ${this.iteration},`
    const why = this.trigger === undefined ? "" : `: ${leaveReasons[this.trigger]}`
    const how =
      this.status !== "halted"
        ? `has ended as ${this.status}${why}`
        : this.outcome === undefined
          ? "is being ended by a failure, or with a part around it"
          : `is being left as ${this.outcome}${why}`
    return `"${this.nodeId}" of run "${this.runId}"${which} ${how}; there is nothing to leave.`
  }
}

/** A decision for a request that is not the current one. Nothing was changed. */
export class RequestChanged extends Later.TaggedError<RequestChanged>()("RequestChanged", {
  ...nodeFields,
  /** The request of the decision. */
  requestId: Schema.String,
  /** The current request, if there is one. */
  currentRequestId: Schema.optional(Schema.String),
}) {
  override get message(): string {
    const now =
      this.currentRequestId === undefined
        ? "It has none now"
        : `That is ${this.currentRequestId}, in iteration ${this.iteration}: read it, and decide on it`
    return `Request ${this.requestId} is not the current request of "${this.nodeId}" of run "${this.runId}". ${now}. Nothing was changed.`
  }
}

/** A decision by someone who is not among the approvers. Nothing was changed. */
export class NotAnApprover extends Later.TaggedError<NotAnApprover>()("NotAnApprover", {
  ...nodeFields,
  by: Schema.optional(Schema.String),
  approvers: Schema.Array(Schema.String),
}) {
  override get message(): string {
    const who = this.by === undefined ? "An anonymous decision is not accepted" : `"${this.by}" may not decide`
    return `${who} on "${this.nodeId}" of run "${this.runId}". Its approvers are ${this.approvers.join(", ")}.`
  }
}

/** A signal id that another signal of the run has, with a different name, payload or correlation. Nothing was changed. */
export class SignalIdTaken extends Later.TaggedError<SignalIdTaken>()("SignalIdTaken", {
  ...runFields,
  id: Schema.String,
  /** The name of the signal that has the id. */
  signal: Schema.String,
  /** Its correlation. */
  correlation: Schema.optional(Schema.String),
}) {
  override get message(): string {
    const correlation = this.correlation === undefined ? "" : ` with the correlation "${this.correlation}"`
    return `The id "${this.id}" is taken in run "${this.runId}" by another signal: "${this.signal}"${correlation}. A signal that differs in name, payload or correlation needs an id of its own.`
  }
}

/** There is no schedule of this id. Nothing was changed. */
/** Another event was published under the id. */
export class EventIdTaken extends Later.TaggedError<EventIdTaken>()("EventIdTaken", {
  id: Schema.String,
  name: Schema.String,
}) {
  override get message(): string {
    return `Another event "${this.name}" was published under the id "${this.id}". Nothing was published. Publish the other one under an id of its own.`
  }
}

export class NoSuchSchedule extends Later.TaggedError<NoSuchSchedule>()("NoSuchSchedule", { scheduleId: Schema.String }) {
  override get message(): string {
    return `There is no schedule "${this.scheduleId}" in this store. List the schedules, or add one with this id.`
  }
}

/** Another schedule has the id. Nothing was changed. */
export class ScheduleIdTaken extends Later.TaggedError<ScheduleIdTaken>()("ScheduleIdTaken", {
  scheduleId: Schema.String,
  /** The workflow of the schedule that has the id. */
  workflow: Schema.String,
}) {
  override get message(): string {
    return `The id "${this.scheduleId}" is taken by another schedule, of workflow "${this.workflow}". Choose another id, or replace that schedule.`
  }
}

/** The last run of a schedule has not ended, and its ticks are skipped then. Nothing was started. */
export class ScheduleBusy extends Later.TaggedError<ScheduleBusy>()("ScheduleBusy", {
  scheduleId: Schema.String,
  /** The run that has not ended. */
  runId: Schema.String,
}) {
  override get message(): string {
    return `Run "${this.runId}" of schedule "${this.scheduleId}" has not ended, and the schedule skips ticks then. Wait for its end, cancel it, or give the schedule another overlap policy.`
  }
}

/** An answer that does not match the schema of its request. Nothing was changed, and the request stays open. */
export class InvalidAnswer extends Later.TaggedError<InvalidAnswer>()("InvalidAnswer", {
  ...nodeFields,
  /** One per issue, each beginning with the path where there is one. */
  issues: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return `The answer does not match what "${this.nodeId}" of run "${this.runId}" asks for: ${this.issues.join("; ")}. Nothing was changed; answer again.`
  }
}

/** A command for a node that the run has not reached, or that its plan does not have. Nothing was changed. */
export class NodeNotFound extends Later.TaggedError<NodeNotFound>()("NodeNotFound", {
  ...runFields,
  nodeId: Schema.String,
  iteration: Schema.optional(Schema.Number),
  /** The key of the command: the name of a branch or item within the node. */
  key: Schema.optional(Schema.String),
  /** The iterations of the node; without any, the nodes that the run has reached; or the names that {@link of} selects. */
  known: Schema.Array(Schema.Union(Schema.String, Schema.Number)),
  /** The kind of the names in `known`, if a scope of the plan (`scopes`) or a part of one (`keys`) was looked up. */
  of: Schema.optional(Schema.Literal("scopes", "keys")),
}) {
  override get message(): string {
    const known = this.known.slice(0, 20).join(", ") + (this.known.length > 20 ? ", …" : "")
    if (this.of === "keys") {
      const parts = known === "" ? "It has none." : `It has ${known}.`
      return `"${this.nodeId}" of run "${this.runId}" has no branch or item "${this.key ?? ""}". ${parts}`
    }
    if (this.of === "scopes") {
      const scopes = known === "" ? "It has no scope, race or list that could be left." : `What can be left: ${known}.`
      return `The plan of run "${this.runId}" has no node "${this.nodeId}". ${scopes}`
    }
    if (this.iteration !== undefined && typeof this.known[0] === "number") {
      return `"${this.nodeId}" of run "${this.runId}" has no iteration ${this.iteration}; it has ${known}.`
    }
    return `Run "${this.runId}" has not reached a node "${this.nodeId}". ${known === "" ? "It has not reached any." : `It has reached ${known}.`}`
  }
}

/** A command that cannot be stored. Nothing was changed. */
export class InvalidCommand extends Later.TaggedError<InvalidCommand>()("InvalidCommand", {
  ...runFields,
  problem: Schema.String,
  /** The secret that it holds, if that is the reason. */
  secret: Schema.optional(Found),
}) {
  override get message(): string {
    return `The command for run "${this.runId}" is not valid: ${this.problem}.`
  }
}

/** A step executes its own run, or one that waits for its own run, which would deadlock. Nothing was changed. */
export class RunWaitsForItself extends Later.TaggedError<RunWaitsForItself>()("RunWaitsForItself", {
  ...runFields,
  /** The run of the step. */
  by: Schema.String,
}) {
  override get message(): string {
    const how = this.runId === this.by ? "its own run" : `run "${this.runId}", which waits for that run`
    return `A step of run "${this.by}" executes ${how}, and would wait for its own end for ever. Give what it executes an id of its own.`
  }
}

/** Another process has claimed the run. This one has stopped driving it, and has written nothing since. */
export class RunFenced extends Later.TaggedError<RunFenced>()("RunFenced", { ...runFields, epoch: Schema.Number }) {
  override get message(): string {
    return `Run "${this.runId}" was claimed by another process (epoch ${this.epoch} is over). It continues there; nothing was written here.`
  }
}

/**
 * A frame ignores a command that was delivered in time. It ends a wait by its timeout that was decided or answered, or starts
 * work in a run that is to be cancelled or paused. The frame was not committed. The engine reads the inbox and builds it again;
 * callers never see this error.
 */
export class StaleFrame extends Later.TaggedError<StaleFrame>()("StaleFrame", runFields) {
  override get message(): string {
    return `Run "${this.runId}" has a command in its inbox that its frame ignores. Read the inbox and build the frame again.`
  }
}

/** A run that cannot be reverted so. Nothing was changed. */
export class RevertRefused extends Later.TaggedError<RevertRefused>()("RevertRefused", {
  ...runFields,
  reason: Schema.Literal(
    "owned",
    "shared",
    "no-snapshot",
    "no-workspaces",
    "parent",
    "in-the-way",
    "gone",
    "no-attempt",
    "nothing-to-undo",
    "continued",
    "options",
  ),
  problem: Schema.String,
  cure: Schema.String,
}) {
  override get message(): string {
    return `Run "${this.runId}" cannot be reverted: ${this.problem}. Nothing was changed. ${this.cure}`
  }
}

/**
 * A revert that a crash has cut off can be neither completed nor taken back, or the files of a fork could not be restored. The run does not
 * continue before that is mended.
 */
export class RevertUnfinished extends Later.TaggedError<RevertUnfinished>()("RevertUnfinished", {
  ...runFields,
  root: Schema.String,
  target: Schema.String,
  safety: Schema.String,
  problem: Schema.String,
  /** `true` of the files of a fork. */
  isOfFork: Schema.optional(Schema.Literal(true)),
}) {
  override get message(): string {
    if (this.isOfFork === true)
      return `Run "${this.runId}" is a fork whose files below ${this.root} could not be restored to ${this.target.slice(0, 12)}; ${this.safety.slice(0, 12)} holds them as they were. ${this.problem} Mend that and resume the run, or cancel it.`
    return `A revert of run "${this.runId}" was cut off, and its files below ${this.root} can be neither restored to ${this.target.slice(0, 12)} nor brought back to ${this.safety.slice(0, 12)}: ${this.problem} Mend that, and resume the run.`
  }
}

/** Finished steps whose stored outputs no longer decode under the current schemas. The run is untouched. */
export class IncompatibleOutput extends Later.TaggedError<IncompatibleOutput>()("IncompatibleOutput", {
  ...runFields,
  nodes: Schema.Array(Schema.Struct({ nodeId: Schema.String, iteration: Schema.Number, issues: Schema.Array(Schema.String) })),
}) {
  override get message(): string {
    const nodes = this.nodes.map((node) => `"${node.nodeId}" (${node.issues.join("; ")})`).join(", ")
    return `Run "${this.runId}" has stored outputs that do not fit the current schemas: ${nodes}. Restore the schemas, or resume with onIncompatible: "rerun" to run these steps again.`
  }
}

/**
 * New code was not taken over by the runs at work, which go on with the code that they have. `restart`: it changes what a run
 * cannot change at work. `incompatible`: stored outputs do not match its schemas. `plan`: it gives no valid plan.
 */
export class ReloadRefused extends Later.TaggedError<ReloadRefused>()("ReloadRefused", {
  ...runFields,
  reason: Schema.Literal("restart", "incompatible", "plan"),
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect),
}) {
  override get message(): string {
    return `The new code of run "${this.runId}" was not taken over: ${sentence(this.problem)}`
  }
}

/** An output schema changed in a way that its existing table cannot follow. Nothing was changed. */
export class IncompatibleTable extends Later.TaggedError<IncompatibleTable>()("IncompatibleTable", {
  table: Schema.String,
  column: Schema.String,
  stored: Schema.String,
  expected: Schema.String,
}) {
  override get message(): string {
    return `Output table "${this.table}" has column "${this.column}" as ${this.stored}, and the schema now wants ${this.expected}. Only added fields migrate by themselves: give the step another id, or move the table away.`
  }
}

const storeFields = { operation: Schema.String, detail: Schema.String }

/** A live process and the run it drives. */
export const StoreUser = Schema.Struct({ runId: Schema.String, pid: Schema.Number, host: Schema.String })
export type StoreUser = typeof StoreUser.Type

/**
 * Other processes kept the database locked for longer than the store waits. Nothing was written; try again. A process that is
 * stopped (SIGSTOP) during a write holds the lock until it continues or ends.
 */
export class StoreBusy extends Later.TaggedError<StoreBusy>()("StoreBusy", {
  ...storeFields,
  /** Other processes that drive runs of this database, as far as they can be read. One of them may hold the lock. */
  users: Schema.optional(Schema.Array(StoreUser)),
}) {
  override get message(): string {
    const users = this.users?.map(({ runId, pid, host }) => `process ${pid} on ${host} (run ${runId})`) ?? []
    const more = users.length > 3 ? ` and ${users.length - 3} more` : ""
    const who = users.length === 0 ? "" : ` In use by: ${users.slice(0, 3).join(", ")}${more}.`
    return `The database is locked by another process (${this.operation}: ${this.detail}). Nothing was written; the run can be resumed.${who}`
  }
}

/** The disk has no space left for the database. Committed frames are safe; free some space and resume. */
export class StoreFull extends Later.TaggedError<StoreFull>()("StoreFull", storeFields) {
  override get message(): string {
    return `There is no space left for the database (${this.operation}: ${this.detail}). Committed steps are safe; free some space and resume the run.`
  }
}

/** A file that is damaged or no SQLite database. It is left unchanged. */
export class StoreCorrupt extends Later.TaggedError<StoreCorrupt>()("StoreCorrupt", storeFields) {
  override get message(): string {
    return `The database file is damaged or is not a database (${this.operation}: ${this.detail}). It was left as it is: restore a backup, or name another file.`
  }
}

/** The database or its folder cannot be written. */
export class StoreReadOnly extends Later.TaggedError<StoreReadOnly>()("StoreReadOnly", storeFields) {
  override get message(): string {
    return `The database cannot be written (${this.operation}: ${this.detail}). Check the permissions of the file and of its folder.`
  }
}

/** The database file was deleted, moved or replaced while in use. Commits to it would be lost, so work on its runs stops. */
export class StoreRemoved extends Later.TaggedError<StoreRemoved>()("StoreRemoved", storeFields) {
  override get message(): string {
    return `The database was deleted, moved or replaced while it was in use (${this.operation}: ${this.detail}). The work on its runs has stopped: put the file back and resume them, or start them again. What was committed since is lost.`
  }
}

/** A file that is empty or a database without the runtime's tables. It is left unchanged. */
export class StoreMissing extends Later.TaggedError<StoreMissing>()("StoreMissing", {
  ...storeFields,
  isEmpty: Schema.Boolean,
}) {
  override get message(): string {
    const what = this.isEmpty ? "an empty file" : "a database without any run"
    return `There is no store to ${this.operation}: ${this.detail} is ${what}. Name another file, or start a run in this one.`
  }
}

/** The runtime has no driver for this kind of database. Nothing was opened. */
export class StoreUnsupported extends Later.TaggedError<StoreUnsupported>()("StoreUnsupported", {
  operation: Schema.String,
  /** The runtime, with its version. */
  runtime: Schema.String,
  needs: Schema.String,
}) {
  override get message(): string {
    return `A SQLite store needs ${this.needs}, and this is ${this.runtime}. Nothing was opened. Run the program there, or keep runs in memory with Smithers.memory.`
  }
}

/** The database was written by a newer version. It is left unchanged. */
export class StoreTooNew extends Later.TaggedError<StoreTooNew>()("StoreTooNew", {
  found: Schema.Number,
  supported: Schema.Number,
}) {
  override get message(): string {
    return `The database has schema version ${this.found}; this version knows up to ${this.supported}. Upgrade ${published}, or name another database file.`
  }
}

/** The database has an older layout than this version reads. It is left unchanged. */
export class StoreTooOld extends Later.TaggedError<StoreTooOld>()("StoreTooOld", {
  found: Schema.Number,
  supported: Schema.Number,
  /** `true` if the database was opened read only; opening it to write migrates it. */
  canMigrate: Schema.optional(Schema.Boolean),
}) {
  override get message(): string {
    const what = `The database has the older layout ${this.found}, and this version reads layout ${this.supported}`
    return this.canMigrate === true
      ? `${what}. Nothing was changed, since it was opened to be read only. A command that writes, such as "smithers up", migrates it after copying the file.`
      : `${what} only: before 1.0 layouts are not migrated. It was left as it is. Name another database file, or finish its runs with the version that began them.`
  }
}

/**
 * The database needs a migration while processes of an older version, which cannot use the new layout, drive its runs. Nothing
 * was changed.
 */
export class StoreInUse extends Later.TaggedError<StoreInUse>()("StoreInUse", {
  found: Schema.Number,
  supported: Schema.Number,
  owners: Schema.Array(Schema.Struct({ owner: Schema.String, runIds: Schema.Array(Schema.String) })),
}) {
  override get message(): string {
    const owners = this.owners.map(({ owner, runIds }) => {
      const [, host = owner, pid] = /^(.*?):(\d+):/.exec(owner) ?? []
      const who = pid === undefined ? host : `process ${pid} on ${host}`
      return `${who} (${runIds.slice(0, 3).join(", ")}${runIds.length > 3 ? `, and ${runIds.length - 3} more` : ""})`
    })
    return `The database has layout ${this.found} and must be migrated to ${this.supported}, but processes of an older version work on its runs: ${owners.join("; ")}. Nothing was changed. Stop them, or wait until they are done, and try again.`
  }
}

/**
 * A frame has content that the database cannot hold, such as a text beyond its limit. Nothing of the frame was written. The
 * engine fails the node that the content belongs to and commits the rest. If it cannot find the node, the run stops with this
 * error.
 */
export class StoreRefused extends Later.TaggedError<StoreRefused>()("StoreRefused", {
  ...storeFields,
  /** Index in the frame of the event that cannot be stored, if known. */
  event: Schema.optional(Schema.Number),
  /** The secret that it holds, if that is the reason. */
  secret: Schema.optional(Found),
}) {
  override get message(): string {
    if (this.secret !== undefined) return `This is not stored (${this.operation}): ${this.detail}. Nothing was written.`
    return `The database cannot store this (${this.operation}: ${this.detail}). Nothing was written: make the output of the step smaller, or store it elsewhere and return a reference to it.`
  }
}

/** Any other failure of the database. */
export class StoreFailed extends Later.TaggedError<StoreFailed>()("StoreFailed", {
  ...storeFields,
  /** `true` if the failure can pass by itself, such as a disk that does not respond. */
  isTransient: Schema.optional(Schema.Boolean),
}) {
  override get message(): string {
    return `The database failed (${this.operation}: ${this.detail}). Committed steps are safe; the run can be resumed.`
  }
}

/** Any failure of the store itself. */
export const StoreError = Later.schema(() =>
  Schema.Union(
    StoreBusy,
    StoreFull,
    StoreCorrupt,
    StoreReadOnly,
    StoreRemoved,
    StoreMissing,
    StoreUnsupported,
    StoreTooNew,
    StoreTooOld,
    StoreInUse,
    StoreRefused,
    StoreFailed,
    IncompatibleTable,
  ),
)
export type StoreError = typeof StoreError.Type

/**
 * Tells whether an error of the store can pass without a change to the run: a lock, a full disk, a failing read or write. Work
 * waits for such a store; any other error of it stops the work.
 */
export const isTransient = (error: unknown): error is StoreBusy | StoreFull | StoreReadOnly | StoreFailed =>
  error instanceof StoreBusy ||
  error instanceof StoreFull ||
  error instanceof StoreReadOnly ||
  (error instanceof StoreFailed && error.isTransient === true)

/**
 * A run has reached its `deadline` before it had finished. Its attempts were interrupted, its sagas were undone and its `finally`
 * parts have run. `deadline` is in epoch milliseconds.
 */
export class RunTimedOut extends Later.TaggedError<RunTimedOut>()("RunTimedOut", { ...runFields, deadline: Schema.Number }) {
  override get message(): string {
    return `${this.summary} Finished steps are kept: resume it with a later deadline.`
  }

  /** The first sentence of the message, without the advice on resuming. */
  get summary(): string {
    return `Run "${this.runId}" has reached its deadline, ${new Date(this.deadline).toISOString()}, before it had finished.`
  }
}

/** A step that could not be compensated, and the error of its compensation. `runId` is set for a step of a child run. */
export const Uncompensated = Schema.Struct({
  runId: Schema.optional(Schema.String),
  nodeId: Schema.String,
  iteration: Schema.Number,
  error: Reported,
})
export type Uncompensated = typeof Uncompensated.Type

/** A failure left a saga, and the compensations of `failed` failed too; its other steps were undone. `cause` is the failure. */
export class CompensationFailed extends Later.TaggedError<CompensationFailed>()("CompensationFailed", {
  ...runFields,
  cause: Later.schema(() =>
    Schema.Union(StepFailed, StepTimedOut, CrashLoop, LoopLimitReached, EndlessPass, UnsettledRead, RunTimedOut),
  ),
  failed: Schema.Array(Uncompensated),
}) {
  override get message(): string {
    return `${sentence(this.cause.message)}${uncompensatedMessage(this.failed)}`
  }

  /** The failures, without the advice on resuming. */
  get summary(): string {
    return `${sentence(failureMessage(this.cause))}${uncompensatedMessage(this.failed)}`
  }
}

/** The failure of a run, as stored with it. */
export const RunFailure = Later.schema(() =>
  Schema.Union(StepFailed, StepTimedOut, CrashLoop, LoopLimitReached, EndlessPass, UnsettledRead, RunTimedOut, CompensationFailed),
)
export type RunFailure = typeof RunFailure.Type

/** The failure of a run as reported to other runs, without the advice on resuming: it would not apply to them. */
export const failureMessage = (failure: RunFailure): string => ("summary" in failure ? failure.summary : failure.message)

/** Raised by a step to fail at once, without another attempt. */
export class NonRetryable extends Later.TaggedError<NonRetryable>()("NonRetryable", {
  message: Schema.String,
  cause: Schema.optional(Schema.Defect),
}) {}

/**
 * The output of a step does not match its schema, or cannot be stored as JSON. It is never stored. The step is retried, unless
 * `isFinal` marks that another attempt would give the same.
 */
export class InvalidOutput extends Later.TaggedError<InvalidOutput>()("InvalidOutput", {
  nodeId: Schema.String,
  issues: Schema.Array(Schema.String),
  isFinal: Schema.optional(Schema.Boolean),
  /** The secret that it holds, if that is the reason. */
  secret: Schema.optional(Found),
  /** The failures of the step's other agents, if it has several. */
  others: Schema.optional(Schema.Array(Schema.String)),
}) {
  override get message(): string {
    const others = (this.others ?? []).map((other) => `. Before it, ${other}`).join("")
    return `The output of step "${this.nodeId}" is not valid: ${this.issues.join("; ")}${others}`
  }
}

/**
 * A step failed with an error of a declared kind that its `error` schema cannot encode, or cannot decode afterwards. The step
 * is not retried. The error itself is the cause.
 */
export class InvalidError extends Later.TaggedError<InvalidError>()("InvalidError", {
  nodeId: Schema.String,
  issues: Schema.Array(Schema.String),
  cause: Schema.optional(Schema.Defect),
}) {
  override get message(): string {
    return `Step "${this.nodeId}" failed with an error that its "error" schema declares and cannot store: ${this.issues.join("; ")}`
  }
}

/**
 * Every agent of a step failed: a provider refused or could not be reached, or the agent itself is faulty. If `retryable` is
 * set, the step's retry policy applies, after `retryAfterMs` at the earliest.
 */
export class AgentFailed extends Later.TaggedError<AgentFailed>()("AgentFailed", {
  nodeId: Schema.String,
  /** Name of the agent that failed; of several, one that is retryable if there is one. */
  agent: Schema.String,
  /** The error of the agent, followed by those of the step's other agents. */
  reason: Schema.String,
  /** The HTTP status of the provider's answer. */
  status: Schema.optional(Schema.Number),
  /** `false` if another call cannot help: a wrong key, an unknown model, a request that the provider rejects. */
  retryable: Schema.Boolean,
  /** `true` if the agent's own code is at fault, not a provider. */
  isOwnCode: Schema.optional(Schema.Boolean),
  /** The pause that the provider requested, in milliseconds; of several, the shortest. */
  retryAfterMs: Schema.optional(Schema.Number),
  /** The raised error. Present only in the process that called the agent. */
  cause: Schema.optional(Schema.Defect),
}) {
  override get message(): string {
    const status = this.status === undefined ? "" : ` with HTTP status ${this.status}`
    const cure = this.isOwnCode ? "Fix the code of the agent" : "Check its key, its model and its settings"
    const advice = this.retryable ? "" : `. ${cure}, then resume the run.`
    return `Agent "${this.agent}" of step "${this.nodeId}" failed${status}: ${this.reason}${advice}`
  }
}

/** A step has an agent, and the run has no `AgentRunner`. The step fails at once, before its prompt is rendered. */
export class NoAgentRunner extends Later.TaggedError<NoAgentRunner>()("NoAgentRunner", {
  nodeId: Schema.String,
}) {
  override get message(): string {
    return `Step "${this.nodeId}" has an agent, and no AgentRunner was provided to call it. Provide the layer of @smithers/agents/AgentProgram to the run, as the stores of smithers-orchestrator do, then resume the run.`
  }
}

/**
 * A step lists rights for its tools that its runtime does not have, or that cannot be had: a host, a tool, or a root outside that of the runtime. No agent
 * was asked.
 */
export class ToolRightsExceeded extends Later.TaggedError<ToolRightsExceeded>()("ToolRightsExceeded", {
  nodeId: Schema.String,
  /** The option of the step. */
  option: Schema.Literal("allowTools", "allowNetwork", "root"),
  problem: Schema.String,
}) {
  override get message(): string {
    return `Step "${this.nodeId}" has more rights than its runtime: its "${this.option}" ${this.problem}. No agent was asked. Narrow it, or widen "tools" of the runtime, then resume the run.`
  }
}

/**
 * A step that would exceed a budget. No call was made beyond it. A larger limit, or an approval where the budget asks, lets the run
 * continue when it is resumed.
 */
export class BudgetExceeded extends Later.TaggedError<BudgetExceeded>()("BudgetExceeded", {
  nodeId: Schema.String,
  ...Budget.Reached.fields,
}) {
  override get message(): string {
    const option = this.dimension === "durationMs" ? "duration" : this.dimension
    // A bound that no author has set is of no account.
    const why =
      this.key === ""
        ? `it made ${Budget.show(this.dimension, this.limit)}, as many as a step may by default`
        : Budget.sentence(this)
    const cure = this.isUnpriced === true ? "Then" : `Raise the limit (${option} of the budget) and`
    return `Step "${this.nodeId}" stopped, since ${why}. ${cure} resume the run.`
  }
}

/**
 * A list has more items than its `maxItems`. None of the new items was begun. A larger `maxItems` lets the run continue when it is
 * resumed.
 */
export class TooManyItems extends Later.TaggedError<TooManyItems>()("TooManyItems", {
  nodeId: Schema.String,
  items: Schema.Number,
  maxItems: Schema.Number,
}) {
  override get message(): string {
    return `List "${this.nodeId}" has ${this.items} items, and may have ${this.maxItems}. Raise its "maxItems", or make fewer.`
  }
}

/**
 * A child run that would be nested deeper than its node allows: a workflow that starts itself may not end. It was not started. A
 * larger `maxDepth` of the node lets the run continue when it is resumed.
 */
export class ChildRunsTooDeep extends Later.TaggedError<ChildRunsTooDeep>()("ChildRunsTooDeep", {
  nodeId: Schema.String,
  workflow: Schema.String,
  maxDepth: Schema.Number,
}) {
  override get message(): string {
    return `Node "${this.nodeId}" does not start workflow "${this.workflow}", since its run is ${this.maxDepth} child runs deep already. Raise its "maxDepth" if that is meant.`
  }
}

/** A dependency has no output although its node is done: its loop made no pass. */
export class MissingNeed extends Later.TaggedError<MissingNeed>()("MissingNeed", { nodeId: Schema.String, need: Schema.String }) {
  override get message(): string {
    return `Step "${this.nodeId}" needs "${this.need}", which has no output: the loop it is in made no pass.`
  }
}

/** The request of a wait is invalid: the author's function returned a value that cannot be shown, or no valid time. */
export class InvalidRequest extends Later.TaggedError<InvalidRequest>()("InvalidRequest", {
  nodeId: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `"${this.nodeId}" cannot wait: ${this.problem}.`
  }
}

/** A condition returned a value that is always truthy: a promise, an Effect, a function, or a text such as "no". */
export class InvalidCondition extends Later.TaggedError<InvalidCondition>()("InvalidCondition", {
  /** The id of the node; for a branch, which has none, its path in the plan. */
  nodeId: Schema.String,
  /** `when`, `skipIf` or `until`. */
  condition: Schema.String,
  received: Schema.String,
}) {
  override get message(): string {
    return `the "${this.condition}" of "${this.nodeId}" gave ${this.received}, which always counts as true. ${this.received.startsWith("the text") ? "Give a boolean, or compare the text." : "A condition cannot be async: compute it in a step, and use its output."}`
  }
}

/** The `on` of a switch returned the name of no case, and the switch has no `otherwise`; or it returned no name at all. */
export class UnknownCase extends Later.TaggedError<UnknownCase>()("UnknownCase", {
  /** The path of the switch in the plan. */
  nodeId: Schema.String,
  received: Schema.String,
  cases: Schema.Array(Schema.String),
  /** `true` if it returned text or a number. */
  isName: Schema.Boolean,
}) {
  override get message(): string {
    const cases = this.cases.map((name) => JSON.stringify(name)).join(", ")
    const cure = this.isName
      ? `for which there is no case (${cases}). Add the case, or "otherwise".`
      : `and must give the name of a case (${cases}): text or a number.`
    return `the "on" of the switch at "${this.nodeId}" gave ${this.received}, ${cure}`
  }
}

/** The `timeout` function of a step threw or returned no duration. The step fails at once. */
export class InvalidTimeout extends Later.TaggedError<InvalidTimeout>()("InvalidTimeout", {
  nodeId: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `the "timeout" of "${this.nodeId}" ${this.problem}. It must give a duration, such as "30s" or "2 minutes".`
  }
}

/**
 * A retry policy gives an invalid time for the next attempt: its delay is infinite, or ends after the last date. The step fails
 * at once.
 */
export class InvalidDelay extends Later.TaggedError<InvalidDelay>()("InvalidDelay", { received: Schema.String }) {
  override get message(): string {
    return `its "retry" sets the next attempt to ${this.received}, which is no valid time`
  }
}

/** The advice of a failure's message: the reason it was not retried, and the effect of resuming. */
const thereafter = (error: Pick<ErrorInfo, "retryable" | "notRetried">): string => {
  if (error.notRetried === "denied") return "The denial still holds when the run is resumed: retry the node to ask again."
  if (error.notRetried === "childDenied")
    return "The denial in the child run still holds when this run is resumed: retry the denied node there to ask again."
  const why = whyNotRetried(error)
  // The message of an agent's failure has the advice already.
  if (error.notRetried === "agent") return `Not retried, because ${why}.`
  const then = error.retryable ? "Resuming the run tries it again." : "Fix that, then resume the run to try it again."
  return `${why === undefined ? "" : `Not retried, because ${why}. `}${then}`
}

/** Sentences that name the steps without compensation, to append to a message; empty if there are none. */
export const uncompensatedMessage = (uncompensated: ReadonlyArray<Uncompensated> | undefined): string => {
  if (uncompensated === undefined || uncompensated.length === 0) return ""
  const named = uncompensated.map(({ runId, nodeId, iteration, error }) => {
    const where = `${iteration === 0 ? "" : `, iteration ${iteration}`}${runId === undefined ? "" : ` of run "${runId}"`}`
    return `"${nodeId}"${where} (${text(error)})`
  })
  return ` This could not be undone: ${named.join(", ")}. Undo it by hand.`
}

const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

/**
 * The errors that stop a run without ending it, so that it can be resumed.
 * - The store failed: `StoreError`, `RunNotFound`.
 * - Another process owns the run: `RunFenced`.
 * - The workflow does not fit the run or gives no plan: `WorkflowMismatch`, `InputMismatch`, `InvalidInput`, `IncompatibleOutput`,
 *   `InvalidWorkflow`, `RenderFailed`.
 *
 * A child run that stops this way stops its parent with the same error, once the parent has nothing else to do.
 */
export type DriverError =
  | StoreError
  | RevertUnfinished
  | RunNotFound
  | RunFenced
  | WorkflowMismatch
  | InputMismatch
  | IncompatibleOutput
  | InvalidInput
  | InvalidWorkflow
  | RenderFailed
  | RunWaitsForItself
