/**
 * How an output stands in a table: a column per top-level property where its JSON Schema describes an object, otherwise one
 * column `value`; and how it is read back equal.
 *
 * A row must hold whatever a step gives, also where the JSON Schema says less than the schema it was made from. So a row whose
 * columns would not read back as what was written holds all of it as JSON text in `smithers_exact`, and its columns are then
 * only as good as they can be. That is rare: half of a surrogate pair in a string, keys the schema does not name, -0.
 */
import type { Json, JsonSchema } from "@smithers/core/Codec"
import * as Either from "effect/Either"
import { write } from "./Json.ts"
import type { Value } from "./Value.ts"

/** What a column holds. Booleans are 0 and 1; `json` is anything else, as JSON text. */
type ColumnType = "text" | "integer" | "real" | "boolean" | "json"

export interface Column {
  readonly name: string
  readonly property: string
  readonly type: ColumnType
  readonly isRequired: boolean
  /** What NULL stands for. */
  readonly empty: "null" | "absent"
}

/** The columns of a table: one for each property of an object, or one for the whole output. */
export interface Layout {
  readonly shape: "object" | "value"
  readonly columns: ReadonlyArray<Column>
  /** The rest as JSON text: equal layouts have equal text. */
  readonly text: string
}

const make = (shape: Layout["shape"], columns: ReadonlyArray<Column>): Layout => ({
  shape,
  columns,
  text: JSON.stringify({ shape, columns }),
})

/** Reads the text of a layout. */
export const parse = (text: string): Layout => ({ ...(JSON.parse(text) as Omit<Layout, "text">), text })

/** The column beside those of a layout. */
export const exactColumn = "smithers_exact"

/** The columns that say whose output a row is. */
export const keyColumns = ["run_id", "node_id", "iteration"] as const

const reserved = [...keyColumns, exactColumn]

/**
 * The most properties that get columns; an object with more is stored as one value. SQLite takes 2000 columns, but a table
 * that wide helps nobody, and must have room for what is added later.
 */
const maxColumns = 500

/** The types in SQL. */
export const sqlTypes = { text: "TEXT", integer: "INTEGER", real: "REAL", boolean: "INTEGER", json: "TEXT" } as const

/** The types for people, who must be told what the SQL type does not say. */
const titles = { ...sqlTypes, boolean: "INTEGER (a boolean)", json: "TEXT (JSON)" } as const

/** What a schema allows: column types, none for null alone. */
interface Slot {
  readonly types: ReadonlyArray<ColumnType>
  readonly isNullable: boolean
}

const anything: Slot = { types: ["json"], isNullable: true }

const layouts = new WeakMap<JsonSchema, Layout>()

/** The layout that a JSON Schema asks for. The same schema gives the same layout. */
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
  // JSON text has a null of its own, and NULL can stand for no output at all.
  const empty = slot.isNullable && type !== "json" ? "null" : "absent"
  return make("value", [{ name: "value", property: "", type, isRequired: false, empty }])
}

/** A name that no other column has, in the eyes of SQLite, which does not tell upper from lower case. */
const nameColumn = (property: string, taken: Set<string>): string => {
  const base = property.toWellFormed().replaceAll("\0", "_") || "_"
  let name = base
  for (let count = 2; taken.has(name.toLowerCase()); count++) name = `${base}_${count}`
  taken.add(name.toLowerCase())
  return name
}

const isSchema = (value: unknown): value is JsonSchema => typeof value === "object" && value !== null && !Array.isArray(value)

/** Follows `$ref`s inside the document. */
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

/** Numbers are taken as real: a list of values may get a fraction tomorrow, and a column cannot change its type. */
const ofValue = (value: unknown): Slot => ofType(value === null ? "null" : typeof value)

const union = (slots: ReadonlyArray<Slot>): Slot => ({
  types: [...new Set(slots.flatMap(({ types }) => types))],
  isNullable: slots.some(({ isNullable }) => isNullable),
})

/** The type of a column that takes all of it: the only one, otherwise JSON. */
const typeOf = ({ types }: Slot): ColumnType => (types.length === 1 ? (types[0] ?? "json") : "json")

/** Where a table cannot follow a schema. */
export interface Conflict {
  readonly column: string
  readonly stored: string
  readonly expected: string
}

/**
 * What a table must become to take what a schema now describes. It is `stored` itself if it can do so already. Properties are
 * added, and columns no longer required become nullable; nothing is dropped.
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
    // No row has NULL here yet, so what it stands for can still be chosen.
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

/** The values of a row: those of the columns, then that of {@link exactColumn}. */
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

/** Reads what {@link encode} wrote, from the position `start` of a row on. */
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

/** What a column holds for a value; `undefined` where it would not be read back as that. */
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

/** SQLite keeps a real without fraction as an integer, which has no -0. */
const isNumber = (value: Json): value is number => typeof value === "number" && !Object.is(value, -0)

/** The nearest that a column can show of a value that it cannot hold. */
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
