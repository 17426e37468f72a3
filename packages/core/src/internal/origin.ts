/**
 * Compares a call with the one that started a run of the same id.
 */
import * as Effect from "effect/Effect"
import type { Json } from "../Codec.ts"
import type { Definition } from "../Definition.ts"
import type { StoreError } from "../Errors.ts"
import type { NewRun } from "../RunOwnership.ts"
import type { RunReaderShape } from "../RunReader.ts"
import { canonical } from "./json.ts"

/** Tells whether a run was started with the same input: as passed then, or as stored and decoded by the current schema. */
export const isBegunWith = <R>(
  reader: Pick<RunReaderShape, "origin">,
  definition: Definition<R>,
  create: NewRun,
  runId: string,
  known?: NewRun,
): Effect.Effect<boolean, StoreError, R> =>
  Effect.gen(function* () {
    const origin = known ?? (yield* reader.origin(runId))
    if (origin === undefined) return false
    if (isSameCall(create, origin)) return true
    const { encode, decode } = definition.input
    const read = Effect.flatMap(
      Effect.suspend(() => decode(origin.input)),
      (value) => encode(value),
    )
    return yield* Effect.matchCause(read, { onFailure: () => false, onSuccess: (input) => isSameInput(create.input, input) })
  }) as Effect.Effect<boolean, StoreError, R>

/** Tells whether two calls have the same input. */
export const isSameCall = (one: Pick<NewRun, "input" | "inputDigest">, other: Pick<NewRun, "input" | "inputDigest">): boolean =>
  (one.inputDigest !== undefined && one.inputDigest === other.inputDigest) || isSameInput(one.input, other.input)

const isSameInput = (left: Json | undefined, right: Json | undefined): boolean =>
  left === undefined || right === undefined ? left === right : canonical(left) === canonical(right)
