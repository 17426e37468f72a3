/**
 * The AI SDK, loaded with the first thing that needs it: it takes a tenth of a second, and neither files of workflows nor runs without
 * agents of its own are to wait for it.
 */
import * as Raised from "@smithers/core/Raised"
import type * as Ai from "ai"
import * as Effect from "effect/Effect"

export type Sdk = typeof Ai

/** Loads the SDK. Rejects where it is not installed. */
export const load = (): Promise<Sdk> => import("ai")

/** The property by which the SDK's `isInstance` knows its errors, whichever copy of it made them. */
const marker = Symbol.for("vercel.ai.error")

/** Loads the SDK where one of these errors is its own; `undefined` where none is, and where it is not installed. */
export const loadFor = (errors: ReadonlyArray<unknown>): Effect.Effect<Sdk | undefined> =>
  errors.some((error) => Raised.get(error, marker) === true)
    ? Effect.promise(() => load().catch(() => undefined))
    : Effect.succeed(undefined)
