/** Reads fields of messages, whose form no one promises. */
import { get } from "@smithers/core/Thrown"

/** Reads a field of a field. */
export const at = (value: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((inner, name) => get(inner, name), value)

/** Reads a text; `undefined` if it is none. */
export const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

/** Reads a number; `undefined` if it is none. */
export const number = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) ? value : undefined

/** Reads a list; empty if it is none. */
export const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** Shows any content as text: a text as it is, blocks by their texts, other values as JSON. */
export const shown = (value: unknown): string => {
  if (typeof value === "string") return value
  if (value === undefined || value === null) return ""
  if (!Array.isArray(value)) return text(get(value, "text")) ?? JSON.stringify(value)
  return value.map((block) => text(get(block, "text")) ?? text(at(block, "content", "text")) ?? JSON.stringify(block)).join("\n")
}

/** The sum of counts, as far as there are any. */
export const sum = (...counts: ReadonlyArray<number | undefined>): number | undefined => {
  const known = counts.filter((count) => count !== undefined)
  return known.length === 0 ? undefined : known.reduce((total, count) => total + count, 0)
}
