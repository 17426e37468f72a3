/**
 * Digests of JSON, equal for equal values whatever the order of their fields.
 */

import * as Either from "effect/Either"
import { digest } from "./internal/digest.ts"
import { canonical, type Json, toJson } from "./internal/json.ts"

/** Gives values that JSON has no form for one in which different values differ. */
const tagged = (raw: unknown, item: unknown): unknown => {
  if (raw instanceof Date) return { $date: raw.getTime() }
  if (raw instanceof Uint8Array) return { $bytes: Array.from(raw, (byte) => byte.toString(16).padStart(2, "0")).join("") }
  if (raw instanceof URL) return { $url: raw.href }
  if (raw instanceof Map) return { $map: [...raw] }
  if (raw instanceof Set) return { $set: [...raw] }
  if (typeof raw === "number" && !Number.isFinite(raw)) return { $number: String(raw) }
  return typeof raw === "bigint" || typeof raw === "function" || typeof raw === "symbol" ? { $other: String(raw) } : item
}

const plain = (value: unknown): Json => {
  const text = JSON.stringify(value, function (this: Record<string, unknown>, key, item: unknown) {
    return tagged(this[key], item)
  })
  return text === undefined ? null : (JSON.parse(text) as Json)
}

/**
 * Encodes a value as JSON with sorted fields. Dates, bytes, addresses, maps and sets in it get a form of their own, so that different
 * values have different texts. Throws for a value that contains itself.
 */
export const canonicalText = (value: unknown): string => canonical(Either.getOrElse(toJson(value), () => plain(value)))

/** The SHA-256 of a value as JSON, as 64 hexadecimal digits. */
export const ofValue = (value: unknown): string => digest(canonicalText(value))
