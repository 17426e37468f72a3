/**
 * Errors of operations as replies: `{ "error": { "tag", "message", … } }`, as the command prints them, with the status that fits.
 */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import { CommandFailed } from "../operations/Errors.ts"
import type { Tagged } from "../operations/Operation.ts"

const Body = Schema.Struct(
  { tag: Schema.String, message: Schema.String },
  Schema.Record({ key: Schema.String, value: Schema.Unknown }),
)
type Body = typeof Body.Type

const fields = { error: Body }

export class BadRequest extends Schema.TaggedError<BadRequest>()(
  "BadRequest",
  fields,
  HttpApiSchema.annotations({ status: 400 }),
) {}
export class Refused extends Schema.TaggedError<Refused>()("Refused", fields, HttpApiSchema.annotations({ status: 403 })) {}
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", fields, HttpApiSchema.annotations({ status: 404 })) {}
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", fields, HttpApiSchema.annotations({ status: 409 })) {}
export class Unavailable extends Schema.TaggedError<Unavailable>()(
  "Unavailable",
  fields,
  HttpApiSchema.annotations({ status: 503 }),
) {}

export type Failure = BadRequest | Refused | NotFound | Conflict | Unavailable

const unknown: ReadonlySet<string> = new Set([
  "RunNotFound",
  "NodeNotFound",
  "NoSuchMoment",
  "NoSuchAttempt",
  "NoSuchRun",
  "NoSuchNode",
  "NoSuchWorkflow",
  "NoSuchSchedule",
])
const conflicts: ReadonlySet<string> = new Set([
  "StaleRequest",
  "RequestChanged",
  "AlreadyDecided",
  "AlreadyLeft",
  "NodeEnded",
  "NotWaiting",
  "RunEnded",
  "RunFenced",
  "SignalIdTaken",
  "EventIdTaken",
  "RunIdTaken",
  "ScheduleIdTaken",
  "ScheduleBusy",
  "InputMismatch",
  "WorkflowMismatch",
  "RestoreRefused",
  "WaitExpired",
  "RunWasCancelled",
])
const refusals: ReadonlySet<string> = new Set(["Forbidden", "NotAnApprover", "OwnRequest", "PersonNeeded", "PersonDeclined"])

/** Encodes an error without the fields that only the process itself can hold. */
const bodyOf = (error: Tagged): Body => {
  // It stands for the error of the command.
  if (error instanceof CommandFailed) return { ...error.fields, tag: error.tag, message: error.problem }
  const { _tag, message, cause: _, name: __, stack: ___, ...rest } = { ...error } as Tagged & Record<string, unknown>
  return { ...(JSON.parse(JSON.stringify(rest)) as Record<string, unknown>), tag: error._tag, message: error.message }
}

/** Errors of commands that could not do their part, whatever they were asked. */
const outages: ReadonlySet<string> = new Set(["CannotWork", "TookTooLong", "NoReply"])

/** The reply to an error. */
export const failureOf = (error: Tagged): Failure => {
  const reply = { error: bodyOf(error) }
  const { tag } = reply.error
  if (unknown.has(tag)) return new NotFound(reply)
  if (conflicts.has(tag)) return new Conflict(reply)
  if (refusals.has(tag)) return new Refused(reply)
  return tag.startsWith("Store") || outages.has(tag) ? new Unavailable(reply) : new BadRequest(reply)
}
