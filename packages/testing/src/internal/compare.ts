/** Encodes values as text that is equal for equal values. */

const sorted = (_: string, value: unknown): unknown => {
  if (typeof value === "bigint") return `${value}n`
  if (value instanceof Map || value instanceof Set) return [...value]
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
}

export const say = (value: unknown): string => JSON.stringify(value, sorted) ?? "undefined"

const longest = 200

export const sayShort = (value: unknown): string => {
  const text = say(value)
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text
}
