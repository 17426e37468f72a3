/**
 * Layout of outputs in tables: a column per top-level property if the JSON Schema describes an object, otherwise one column
 * `value`. Rows decode to equal values.
 *
 * A row must hold any output of a step, even if the JSON Schema says less than the schema it was derived from. A row whose columns
 * would not decode to the same value holds the whole output as JSON text in `smithers_exact`, and its columns are approximations.
 * This is rare: a lone surrogate in a string, keys that the schema lacks, -0.
 */
import type { Json, JsonSchema } from "@smithers/core/Codec"
import * as Either from "effect/Either"
import { write } from "./Json.ts"
import type { Value } from "./Value.ts"

/** Type of a column. Booleans are 0 and 1; `json` is any other value as JSON text. */
type ColumnType = "text" | "integer" | "real" | "boolean" | "json"

export interface Column {
  readonly name: string
  readonly property: string
  readonly type: ColumnType
  readonly isRequired: boolean
  /** Meaning of NULL. */
  readonly empty: "null" | "absent"
}

/** Columns of a table: one per property of an object, or one for the whole output. */
export interface Layout {
  readonly shape: "object" | "value"
  readonly columns: ReadonlyArray<Column>
  /** Layout as JSON text. Equal layouts have equal text. */
  readonly text: string
}

const make = (shape: Layout["shape"], columns: ReadonlyArray<Column>): Layout => ({
  shape,
  columns,
  text: JSON.stringify({ shape, columns }),
})

/** Parses the text of a layout. */
export const parse = (text: string): Layout => ({ ...(JSON.parse(text) as Omit<Layout, "text">), text })

/** Column of exact values, beside those of a layout. */
export const exactColumn = "smithers_exact"

/** Column with the id of the run that gave an output which a fork has inherited; NULL if the run gave it. */
export const inheritedColumn = "smithers_inherited_from"

/** Columns that identify the step of a row. */
export const keyColumns = ["run_id", "node_id", "iteration"] as const

const reserved = [...keyColumns, exactColumn, inheritedColumn]

/**
 * Maximum number of properties with columns. A larger object is stored as one value. SQLite allows 2000 columns, but so wide a
 * table is hard to read, and later properties need room.
 */
const maxColumns = 500

/** SQL types by column type. */
export const sqlTypes = { text: "TEXT", integer: "INTEGER", real: "REAL", boolean: "INTEGER", json: "TEXT" } as const

/** Types for people, with what the SQL type does not show. */
const titles = { ...sqlTypes, boolean: "INTEGER (a boolean)", json: "TEXT (JSON)" } as const

/** Column types that a schema allows; empty for null alone. */
interface Slot {
  readonly types: ReadonlyArray<ColumnType>
  readonly isNullable: boolean
}

const anything: Slot = { types: ["json"], isNullable: true }

const layouts = new WeakMap<JsonSchema, Layout>()

/** Returns the layout of a JSON Schema. Equal schemas have equal layouts. */
export const layoutOf = (schema: JsonSchema | undefined): Layout => {
  if (schema === undefined) return valueLayout(anything)
  const known = layouts.get(schema)
  if (known !== undefined) return known
  const made = makeLayout(schema)
  layouts.set(schema, made)
  return made
}

const makeLayout = (root: JsonSchema): Layout => {
  const schema = dereference(root, root)
  const properties = isSchema(schema.properties) ? Object.entries(schema.properties) : []
  if (schema.type !== "object" || properties.length === 0 || properties.length > maxColumns)
    return valueLayout(slotOf(schema, root))
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  const taken = new Set(reserved)
  const columns = properties.map(([property, described]): Column => {
    const slot = slotOf(described, root)
    const isThere = required.has(property)
    return {
      name: nameColumn(property, taken),
      property,
      type: typeOf(slot),
      isRequired: isThere && !slot.isNullable,
      empty: isThere && slot.isNullable ? "null" : "absent",
    }
  })
  return make("object", columns)
}

const valueLayout = (slot: Slot): Layout => {
  const type = typeOf(slot)
  // JSON text has its own null, so NULL can mean a missing output.
  const empty = slot.isNullable && type !== "json" ? "null" : "absent"
  return make("value", [{ name: "value", property: "", type, isRequired: false, empty }])
}

/** Returns a unique column name. SQLite ignores case. */
const nameColumn = (property: string, taken: Set<string>): string => {
  const base = property.toWellFormed().replaceAll("\0", "_") || "_"
  let name = base
  for (let count = 2; taken.has(name.toLowerCase()); count++) name = `${base}_${count}`
  taken.add(name.toLowerCase())
  return name
}

const isSchema = (value: unknown): value is JsonSchema => typeof value === "object" && value !== null && !Array.isArray(value)

/** Resolves `$ref`s within the document. */
const dereference = (schema: JsonSchema, root: JsonSchema): JsonSchema => {
  let found = schema
  for (let hops = 0; typeof found.$ref === "string" && found.$ref.startsWith("#"); hops++) {
    const segments = decodeURIComponent(found.$ref.slice(1)).split("/").slice(1)
    let target: unknown = root
    for (const segment of segments) {
      const key = segment.replaceAll("~1", "/").replaceAll("~0", "~")
      target = isSchema(target) && Object.hasOwn(target, key) ? target[key] : undefined
    }
    if (!isSchema(target) || hops > 50) return {}
    found = target
  }
  return found
}

const slotOf = (described: unknown, root: JsonSchema, depth = 0): Slot => {
  if (!isSchema(described) || depth > 50) return anything
  const schema = dereference(described, root)
  const within = (parts: unknown): ReadonlyArray<Slot> =>
    (parts as ReadonlyArray<unknown>).map((part) => slotOf(part, root, depth + 1))
  if (typeof schema.type === "string") return ofType(schema.type)
  if (Array.isArray(schema.type)) return union(schema.type.map(ofType))
  if ("const" in schema) return ofValue(schema.const)
  if (Array.isArray(schema.enum)) return union(schema.enum.map(ofValue))
  if (Array.isArray(schema.anyOf)) return union(within(schema.anyOf))
  if (Array.isArray(schema.oneOf)) return union(within(schema.oneOf))
  if (Array.isArray(schema.allOf)) return within(schema.allOf).find((part) => typeOf(part) !== "json") ?? anything
  return anything
}

const ofType = (type: unknown): Slot => {
  switch (type) {
    case "string":
      return { types: ["text"], isNullable: false }
    case "integer":
      return { types: ["integer"], isNullable: false }
    case "number":
      return { types: ["real"], isNullable: false }
    case "boolean":
      return { types: ["boolean"], isNullable: false }
    case "null":
      return { types: [], isNullable: true }
    default:
      return { types: ["json"], isNullable: false }
  }
}

/** Numbers are real: later values may have fractions, and a column cannot change its type. */
const ofValue = (value: unknown): Slot => ofType(value === null ? "null" : typeof value)

const union = (slots: ReadonlyArray<Slot>): Slot => ({
  types: [...new Set(slots.flatMap(({ types }) => types))],
  isNullable: slots.some(({ isNullable }) => isNullable),
})

/** Returns the type of a column for all values: the only type, otherwise JSON. */
const typeOf = ({ types }: Slot): ColumnType => (types.length === 1 ? (types[0] ?? "json") : "json")

/** A change that a table cannot follow. */
export interface Conflict {
  readonly column: string
  readonly stored: string
  readonly expected: string
}

/**
 * Returns the layout that a table needs for the current schema; `stored` itself if it suffices. Adds properties and makes columns
 * nullable that are no longer required. Drops nothing.
 */
export const evolve = (stored: Layout, wanted: Layout): Either.Either<Layout, Conflict> => {
  if (stored.shape !== wanted.shape) {
    return Either.left({ column: "value", stored: summary(stored), expected: summary(wanted) })
  }
  const missing = new Map(wanted.columns.map((column) => [column.property, column]))
  let isChanged = false
  const columns: Array<Column> = []
  for (const column of stored.columns) {
    const now = missing.get(column.property)
    missing.delete(column.property)
    if (now !== undefined && now.type !== column.type) {
      return Either.left({ column: column.name, stored: titles[column.type], expected: titles[now.type] })
    }
    const isRelaxed = column.isRequired && now?.isRequired !== true
    // No row has NULL yet, so its meaning is still free.
    columns.push(isRelaxed ? { ...column, isRequired: false, empty: now?.empty ?? "absent" } : column)
    isChanged ||= isRelaxed
  }
  const taken = new Set([...reserved, ...columns.map(({ name }) => name.toLowerCase())])
  for (const { property, type } of missing.values()) {
    columns.push({ name: nameColumn(property, taken), property, type, isRequired: false, empty: "absent" })
    isChanged = true
  }
  return Either.right(isChanged ? make(stored.shape, columns) : stored)
}

const summary = ({ shape, columns }: Layout): string =>
  shape === "value" ? "a single value" : `columns ${columns.map(({ name }) => name).join(", ")}`

const noOutput = "undefined"

/** Encodes an output as a row: the values of the columns, then of {@link exactColumn}. */
export const encode = ({ shape, columns }: Layout, output: Json | undefined): Array<Value> => {
  const row: Array<Value> = []
  let isExact = true
  const push = (column: Column, value: Json | undefined): void => {
    const stored = store(column, value)
    if (stored === undefined) isExact = false
    row.push(stored === undefined ? fallback(column, value) : stored)
  }
  if (shape === "value") {
    for (const column of columns) push(column, output)
  } else if (isObject(output)) {
    let count = 0
    for (const column of columns) {
      const isThere = Object.hasOwn(output, column.property)
      if (isThere) count++
      push(column, isThere ? output[column.property] : undefined)
    }
    if (count < Object.keys(output).length) isExact = false
  } else {
    for (const column of columns) row.push(fallback(column, undefined))
    isExact = false
  }
  row.push(isExact ? null : output === undefined ? noOutput : write(output))
  return row
}

/** Decodes a row of {@link encode}, from position `start`. */
export const decode = ({ shape, columns }: Layout, row: ReadonlyArray<Value>, start: number): Json | undefined => {
  const exact = row[start + columns.length] as string | null
  if (exact !== null) return exact === noOutput ? undefined : (JSON.parse(exact) as Json)
  if (shape === "value") return restore(columns[0] as Column, row[start] as Value)
  const output: { [property: string]: Json } = {}
  for (let index = 0; index < columns.length; index++) {
    const column = columns[index] as Column
    const value = restore(column, row[start + index] as Value)
    if (value === undefined) continue
    if (column.property === "__proto__") Object.defineProperty(output, "__proto__", { value, ...ownProperty })
    else output[column.property] = value
  }
  return output
}

const ownProperty = { enumerable: true, configurable: true, writable: true }

const isObject = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Returns the value of a column; `undefined` if it would not decode to the same value. */
const store = ({ type, isRequired, empty }: Column, value: Json | undefined): Value | undefined => {
  if (value === undefined) return empty === "absent" && !isRequired ? null : undefined
  if (value === null && empty === "null") return null
  switch (type) {
    case "text":
      return typeof value === "string" && value.isWellFormed() ? value : undefined
    case "integer":
      return isNumber(value) && Number.isInteger(value) && Math.abs(value) < 2 ** 63 ? value : undefined
    case "real":
      return isNumber(value) ? value : undefined
    case "boolean":
      return typeof value === "boolean" ? Number(value) : undefined
    case "json":
      return write(value)
  }
}

/** SQLite stores a whole real as an integer, which has no -0. */
const isNumber = (value: Json): value is number => typeof value === "number" && !Object.is(value, -0)

/** Returns the nearest value that a column can hold. */
const fallback = ({ type, isRequired }: Column, value: Json | undefined): Value => {
  if (type === "text" && typeof value === "string") return value.toWellFormed()
  if (!isRequired) return null
  return type === "text" ? "" : type === "json" ? "null" : 0
}

const restore = ({ type, empty }: Column, value: Value): Json | undefined => {
  if (value === null) return empty === "null" ? null : undefined
  switch (type) {
    case "boolean":
      return value !== 0
    case "json":
      return JSON.parse(value as string) as Json
    default:
      return value
  }
}
