/**
 * Prints values as text in a prompt, by one rule everywhere. Text stays as it is, lists of text become lines, other data becomes
 * JSON. Values that React renders as nothing print as nothing.
 */

/** Prints a value. Throws a `TypeError` for functions, promises and symbols. */
export const printed = (value: unknown): string => {
  if (value === null || value === undefined || typeof value === "boolean") return ""
  if (typeof value === "function") {
    const { name } = value
    throw new TypeError(
      `a function${name === "" ? "" : ` (${name})`} is part of the text of a prompt: call it, or make it the only child`,
    )
  }
  if (typeof value === "symbol") throw new TypeError("a symbol is part of the text of a prompt")
  if (typeof value !== "object") return String(value)
  if ("then" in value)
    throw new TypeError("a promise is part of the text of a prompt: await it in a function that returns the prompt")
  if (value instanceof Error) return value.message === "" ? value.name : `${value.name}: ${value.message}`
  if (value instanceof Date) return value.toJSON() ?? "Invalid Date"
  return Array.isArray(value) && value.every(isLine) ? lines(value.map(printed)) : JSON.stringify(value, replace, 2)
}

/** Returns `true` for primitives, which print as one line or nothing. */
const isLine = (item: unknown): boolean => typeof item !== "object" || item === null

/** Joins items as lines, without doubling line breaks. */
const lines = (items: ReadonlyArray<string>): string =>
  items
    .filter((item) => item !== "")
    .map((item, index, all) => (index === all.length - 1 || item.endsWith("\n") ? item : `${item}\n`))
    .join("")

/** Converts values that JSON lacks to their nearest equivalent. */
const replace = (_: string, value: unknown): unknown => {
  if (value instanceof Map) return Object.fromEntries(value)
  if (value instanceof Set) return [...value]
  if (value instanceof Error) return { name: value.name, message: value.message }
  return typeof value === "bigint" ? String(value) : value
}
