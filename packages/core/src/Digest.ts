/**
 * Digests of JSON, equal for equal values whatever the order of their fields.
 */

import * as Either from "effect/Either"
import { digest } from "./internal/digest.ts"
import { canonical, type Json, toJson } from "./internal/json.ts"

/** Encodes a value as JSON with sorted fields. What is no JSON is encoded as its text. */
export const canonicalText = (value: unknown): string => canonical(Either.getOrElse(toJson(value), (): Json => String(value)))

/** The SHA-256 of a value as JSON, as 64 hexadecimal digits. */
export const ofValue = (value: unknown): string => digest(canonicalText(value))
