/**
 * Failures of runs as commands print them. Apart from the schemas of all outputs, which a command that prints no JSON does not load.
 */
import type { RunFailure } from "@smithers/core/Errors"
import type { ShownFailure } from "./Output.ts"

/** Encodes the failure of a run. A copy of an error has no `cause`, so that of a step is rebuilt from its `error`. */
export const failureOf = (failure: RunFailure): ShownFailure => {
  const cause = failure._tag === "CompensationFailed" ? { cause: failure.cause } : {}
  return { ...failure, ...cause, _tag: failure._tag, message: failure.message } as ShownFailure
}
