/** JSON as rows of a tree, for values of any size. Flat and without recursion; what is closed costs nothing. */

export interface Row {
  /** The path as one key. */
  readonly key: string
  readonly depth: number
  /** Its name in an object, its number in a list; `undefined` at the top. */
  readonly name: string | number | undefined
  readonly value: unknown
  /** Number of fields or items; `undefined` for what has none. */
  readonly size: number | undefined
}

export const isContainer = (value: unknown): value is object => typeof value === "object" && value !== null

/** Most items of one list or object that are shown at once. */
export const mostShown = 500

/** Rows of a value. `open` tells whether the container at a key is open. */
export const rows = (value: unknown, isOpen: (key: string, depth: number, size: number) => boolean): ReadonlyArray<Row> => {
  const found: Array<Row> = []
  const stack: Array<Omit<Row, "size">> = [{ key: "$", depth: 0, name: undefined, value }]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { key, depth } = next
    if (!isContainer(next.value)) {
      found.push({ ...next, size: undefined })
      continue
    }
    const entries: ReadonlyArray<readonly [string | number, unknown]> = Array.isArray(next.value)
      ? next.value.slice(0, mostShown).map((item, index) => [index, item] as const)
      : Object.entries(next.value).slice(0, mostShown)
    const size = Array.isArray(next.value) ? next.value.length : Object.keys(next.value).length
    found.push({ ...next, size })
    if (size === 0 || !isOpen(key, depth, size)) continue
    for (const [name, inner] of entries.toReversed())
      stack.push({ key: `${key}/${String(name).replaceAll("/", "~1")}`, depth: depth + 1, name, value: inner })
  }
  return found
}

/** A short text of a value, for one line. */
export const short = (value: unknown, most = 80): string => {
  if (value === undefined) return "–"
  const text = typeof value === "string" ? value : shallow(value)
  const line = text.replaceAll(/\s+/g, " ")
  return line.length > most ? `${line.slice(0, most - 1)}…` : line
}

/** JSON of a value, of a deep one only its top: a text of one line must not cost what the value weighs. */
const shallow = (value: unknown): string => {
  if (!isContainer(value)) return String(value)
  if (Array.isArray(value))
    return value.length === 0 ? "[]" : `[${value.slice(0, 4).map(leaf).join(", ")}${value.length > 4 ? ", …" : ""}]`
  const entries = Object.entries(value)
  return entries.length === 0
    ? "{}"
    : `{ ${entries
        .slice(0, 4)
        .map(([name, inner]) => `${name}: ${leaf(inner)}`)
        .join(", ")}${entries.length > 4 ? ", …" : ""} }`
}

const leaf = (value: unknown): string =>
  Array.isArray(value)
    ? `[${value.length}]`
    : isContainer(value)
      ? "{…}"
      : typeof value === "string"
        ? JSON.stringify(value.slice(0, 60))
        : String(value)

/** A path as people write it: `files[2].name`. */
export const pathText = (path: ReadonlyArray<string | number>): string =>
  path.length === 0
    ? "the whole value"
    : path.map((part, index) => (typeof part === "number" ? `[${part}]` : index === 0 ? part : `.${part}`)).join("")
