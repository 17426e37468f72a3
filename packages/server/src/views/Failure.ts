/**
 * The failure of a run as JSON, with its message.
 */
import * as Errors from "@smithers/core/Errors"
import * as Schema from "effect/Schema"

const printed = <Fields extends Schema.Struct.Fields>({ fields }: { readonly fields: Fields }) =>
  Schema.Struct({ ...fields, message: Schema.String })

/** Failure of a run, with its message. Only errors of a command have a `tag`. */
export const Failure = Schema.Union(
  // Anyone who can read a store can read all of it, stacks included.
  printed({ fields: { ...Errors.StepFailed.fields, error: Errors.ErrorInfo } }),
  printed(Errors.StepTimedOut),
  printed(Errors.CrashLoop),
  printed(Errors.LoopLimitReached),
  printed(Errors.EndlessPass),
  printed(Errors.UnsettledRead),
  printed(Errors.RunTimedOut),
  printed(Errors.CompensationFailed),
).annotations({ identifier: "Failure" })

/** Encodes the failure of a run. A copy of an error has no `cause`, so that of a step is rebuilt from its `error`. */
export const failureOf = (failure: Errors.RunFailure): typeof Failure.Type => {
  const cause = failure._tag === "CompensationFailed" ? { cause: failure.cause } : {}
  return { ...failure, ...cause, _tag: failure._tag, message: failure.message } as typeof Failure.Type
}
