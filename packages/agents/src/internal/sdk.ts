/**
 * Loads the AI SDK on first use. It takes a tenth of a second, which neither workflow files nor runs without its agents should wait
 * for.
 */
import * as Thrown from "@smithers/core/Thrown"
import type * as Ai from "ai"
import * as Effect from "effect/Effect"

export type Sdk = typeof Ai

/** Loads the SDK. Rejects if it is not installed. */
export const load = (): Promise<Sdk> => import("ai")

/** Property by which the SDK's `isInstance` recognises its errors, from any copy of it. */
const marker = Symbol.for("vercel.ai.error")

/** Loads the SDK if one of these errors is its own; `undefined` if none is, or if it is not installed. */
export const loadFor = (errors: ReadonlyArray<unknown>): Effect.Effect<Sdk | undefined> =>
  errors.some((error) => Thrown.get(error, marker) === true)
    ? Effect.promise(() => load().catch(() => undefined))
    : Effect.succeed(undefined)
