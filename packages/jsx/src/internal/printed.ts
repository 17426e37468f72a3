/**
 * Values as text in a prompt, by one rule wherever they stand: text as it is, lists of text as lines, all other data as JSON, and nothing for
 * what React shows nothing for.
 */

/** Prints a value. Throws a `TypeError` for what cannot be meant: a function, a promise, a symbol. */
export const printed = (value: unknown): string => {
  if (value === null || value === undefined || typeof value === "boolean") return ""
  if (typeof value === "function") {
    const { name } = value
    throw new TypeError(
      `a function${name === "" ? "" : ` (${name})`} stands among the text of a prompt: call it, or make it the only child`,
    )
  }
  if (typeof value === "symbol") throw new TypeError("a symbol stands among the text of a prompt")
  if (typeof value !== "object") return String(value)
  if ("then" in value)
    throw new TypeError("a promise stands among the text of a prompt: await it in a function that gives the prompt")
  if (value instanceof Error) return value.message === "" ? value.name : `${value.name}: ${value.message}`
  if (value instanceof Date) return value.toJSON() ?? "Invalid Date"
  return Array.isArray(value) && value.every(isLine) ? lines(value.map(printed)) : JSON.stringify(value, replace, 2)
}

/** Text, and what is shown as text or not at all. */
const isLine = (item: unknown): boolean => typeof item !== "object" || item === null

/** Each on a line of its own; those that end with a line break have it already. */
const lines = (items: ReadonlyArray<string>): string =>
  items
    .filter((item) => item !== "")
    .map((item, index, all) => (index === all.length - 1 || item.endsWith("\n") ? item : `${item}\n`))
    .join("")

/** What JSON knows nothing of, as the nearest that it knows. */
const replace = (_: string, value: unknown): unknown => {
  if (value instanceof Map) return Object.fromEntries(value)
  if (value instanceof Set) return [...value]
  if (value instanceof Error) return { name: value.name, message: value.message }
  return typeof value === "bigint" ? String(value) : value
}
