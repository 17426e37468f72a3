/**
 * The denial that a run has ended by, which stands until the node is retried that was denied: its own, or one of a child run.
 */
import type { RunFailure, StoreError } from "@smithers/core/Errors"
import type { RunReaderShape } from "@smithers/core/RunReader"
import * as Effect from "effect/Effect"

/** The node that was denied. */
export interface Denied {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
}

/** Finds the node that a run was denied by; `undefined` where it has failed by something else. */
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
