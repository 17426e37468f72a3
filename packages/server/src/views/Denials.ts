/**
 * The denial that ended a run. It remains in effect until the denied node is retried, in the run itself or in a child run.
 */
import type { RunFailure, StoreError } from "@smithers/core/Errors"
import type { RunReaderShape } from "@smithers/core/RunReader"
import * as Effect from "effect/Effect"

export interface Denied {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
}

/** Finds the denied node that made a run fail; `undefined` if the run failed for another reason. */
export const deniedBy = (reader: RunReaderShape, failure: RunFailure | null): Effect.Effect<Denied | undefined, StoreError> =>
  Effect.gen(function* () {
    const cause = failure?._tag === "CompensationFailed" ? failure.cause : failure
    if (cause?._tag !== "StepFailed") return undefined
    const { runId, nodeId, iteration, error } = cause
    if (error.notRetried === "denied") return { runId, nodeId, iteration }
    if (error.notRetried !== "childDenied") return undefined
    const children = yield* reader.waits({ runId, kind: ["subflow"], all: true, limit: Number.MAX_SAFE_INTEGER })
    const child = children.find((wait) => wait.nodeId === nodeId && wait.iteration === iteration)?.name ?? null
    if (child === null) return undefined
    const details = yield* Effect.catchTag(reader.inspect(child), "RunNotFound", () => Effect.succeed(undefined))
    return yield* deniedBy(reader, details?.failure ?? null)
  })
