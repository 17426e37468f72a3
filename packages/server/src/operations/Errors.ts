/**
 * Errors of operations, beside those of the runtime in `@smithers/core/Errors`.
 */
import * as Later from "@smithers/core/Later"
import { WaitSummary } from "@smithers/core/RunReader"
import * as Schema from "effect/Schema"
import { uncancelLine } from "../views/CommandLine.ts"

/** The request is not the one that was named. Nothing was decided. */
export class StaleRequest extends Later.TaggedError<StaleRequest>()("StaleRequest", {
  runId: Schema.String,
  nodeId: Schema.String,
  requestId: Schema.String,
  /** The request that is open now; null if there is none. */
  current: Schema.NullOr(WaitSummary),
}) {
  override get message(): string {
    const now = this.current === null ? "No request is open there now." : `The open one is ${this.current.requestId}.`
    return `Request ${this.requestId} of "${this.nodeId}" in run "${this.runId}" is not open with this content. ${now} Nothing was decided: look at the open request, and decide with its id and digest.`
  }
}

/** The token does not have the scope. */
export class Forbidden extends Later.TaggedError<Forbidden>()("Forbidden", {
  scope: Schema.String,
  operation: Schema.String,
  granted: Schema.String,
}) {
  override get message(): string {
    return `"${this.operation}" needs the scope ${this.scope}, and this token has ${this.granted}. Use a token with that scope.`
  }
}

/** A request of a run that the caller works in. */
export class OwnRequest extends Later.TaggedError<OwnRequest>()("OwnRequest", {
  runId: Schema.String,
  callerRunId: Schema.String,
}) {
  override get message(): string {
    return `This caller works in run "${this.callerRunId}", and never decides what that run, those it goes on as, its child runs or its forks ask. Run "${this.runId}" is one of them. Nothing was decided: leave it to a person.`
  }
}

/** The run was cancelled. A request for work on it does not revert that. */
export class RunWasCancelled extends Later.TaggedError<RunWasCancelled>()("RunWasCancelled", {
  runId: Schema.String,
}) {
  override get message(): string {
    return `Run "${this.runId}" was cancelled, and stays so. Revert that on the command line: ${uncancelLine(undefined, this.runId)}`
  }
}

/** A command about workflow files has failed. */
export class CommandFailed extends Later.TaggedError<CommandFailed>()("CommandFailed", {
  command: Schema.String,
  /** Tag of the error of the command. */
  tag: Schema.String,
  problem: Schema.String,
  /** Fields of the error of the command. Default: none. */
  fields: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
}) {
  override get message(): string {
    return this.problem
  }
}

/** No process can be started for the run. */
export class CannotWork extends Later.TaggedError<CannotWork>()("CannotWork", {
  runId: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `No process was started for run "${this.runId}": ${this.problem}.`
  }
}
