/**
 * A form for a JSON Schema: what Zod and Effect emit of objects, strings, enumerations, numbers, booleans, lists, nullable values, unions
 * by a constant, and `$ref`. Anything else is edited as JSON. The form only helps; whoever takes the answer validates it.
 */

/** A JSON Schema, as it came. */
export type Schema = { readonly [keyword: string]: unknown }

interface Common {
  readonly title: string | undefined
  readonly description: string | undefined
  readonly initial: unknown
}

export type Field = Common &
  (
    | {
        readonly kind: "object"
        readonly fields: ReadonlyArray<{ readonly name: string; readonly isRequired: boolean; readonly schema: unknown }>
      }
    | {
        readonly kind: "text"
        readonly format: string | undefined
        readonly least: number | undefined
        readonly most: number | undefined
        readonly pattern: string | undefined
        readonly isLong: boolean
      }
    | { readonly kind: "choice"; readonly options: ReadonlyArray<{ readonly value: unknown; readonly text: string }> }
    | {
        readonly kind: "number"
        readonly isInteger: boolean
        readonly least: number | undefined
        readonly most: number | undefined
      }
    | { readonly kind: "boolean" }
    | { readonly kind: "list"; readonly item: unknown; readonly least: number; readonly most: number | undefined }
    | { readonly kind: "nullable"; readonly inner: unknown }
    | {
        readonly kind: "variants"
        readonly options: ReadonlyArray<{ readonly text: string; readonly schema: Schema; readonly tag: Tag | undefined }>
      }
    | { readonly kind: "json" }
  )

/** The constant property by which a variant is known. */
interface Tag {
  readonly name: string
  readonly value: unknown
}

const isRecord = (value: unknown): value is Schema => typeof value === "object" && value !== null && !Array.isArray(value)
const textIn = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)
const numberIn = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined)

/** Follows references within a document. At most this many in a row: a circle of them is edited as JSON. */
const mostReferences = 32

export const resolve = (schema: unknown, root: Schema): Schema | undefined => {
  let [now, beside]: [unknown, Schema] = [schema, {}]
  for (let count = 0; count < mostReferences; count++) {
    if (!isRecord(now)) return undefined
    const { $ref, ...rest } = now
    if (typeof $ref !== "string") {
      // Effect wraps a schema that has annotations, or limits, in an `allOf` of one.
      if (Array.isArray(rest.allOf) && rest.allOf.length === 1) {
        const { allOf, ...others }: Schema = rest
        now = (allOf as ReadonlyArray<unknown>)[0]
        beside = { ...others, ...beside }
        continue
      }
      return { ...rest, ...beside }
    }
    beside = { ...rest, ...beside }
    now = at(root, $ref)
  }
  return undefined
}

const at = (root: Schema, reference: string): unknown => {
  if (!reference.startsWith("#")) return undefined
  let value: unknown = root
  for (const part of reference
    .slice(1)
    .split("/")
    .filter((one) => one !== "")) {
    const name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~")
    if (!(isRecord(value) || Array.isArray(value)) || !Object.hasOwn(value, name)) return undefined
    value = (value as { readonly [name: string]: unknown })[name]
  }
  return value
}

/** The field of a schema within a document. Fields inside it are made when they are shown, so a schema may contain itself. */
export const fieldOf = (given: unknown, root: Schema): Field => {
  const schema = resolve(given, root)
  if (schema === undefined) return { kind: "json", title: undefined, description: undefined, initial: undefined }
  const common: Common = { title: textIn(schema.title), description: textIn(schema.description), initial: schema.default }
  const options = constantsOf(schema, root)
  if (options !== undefined)
    return options.length === 2 && options.every(({ value }) => typeof value === "boolean")
      ? { ...common, kind: "boolean" }
      : { ...common, kind: "choice", options }
  const inner = nullableOf(schema)
  if (inner !== undefined) return { ...common, kind: "nullable", inner }
  const union = schema.anyOf ?? schema.oneOf
  if (Array.isArray(union)) return unionOf(union, root, common)
  switch (schema.type) {
    case "object":
      return objectOf(schema, common)
    case "string":
      return {
        ...common,
        kind: "text",
        format: textIn(schema.format),
        least: numberIn(schema.minLength),
        most: numberIn(schema.maxLength),
        pattern: textIn(schema.pattern),
        isLong: schema.format === undefined && (numberIn(schema.maxLength) ?? Number.POSITIVE_INFINITY) > 120,
      }
    case "number":
    case "integer":
      return {
        ...common,
        kind: "number",
        isInteger: schema.type === "integer",
        least: numberIn(schema.minimum) ?? numberIn(schema.exclusiveMinimum),
        most: numberIn(schema.maximum) ?? numberIn(schema.exclusiveMaximum),
      }
    case "boolean":
      return { ...common, kind: "boolean" }
    case "array":
      if (!isRecord(schema.items)) return { ...common, kind: "json" }
      return { ...common, kind: "list", item: schema.items, least: numberIn(schema.minItems) ?? 0, most: numberIn(schema.maxItems) }
    default:
      return { ...common, kind: "json" }
  }
}

const objectOf = (schema: Schema, common: Common): Field => {
  const properties = isRecord(schema.properties) ? schema.properties : {}
  const extra = schema.additionalProperties
  // A record of any names: there is nothing to lay out.
  if (Object.keys(properties).length === 0 && extra !== false) return { ...common, kind: "json" }
  const required = new Set(Array.isArray(schema.required) ? schema.required.map(String) : [])
  return {
    ...common,
    kind: "object",
    fields: Object.entries(properties).map(([name, property]) => ({ name, isRequired: required.has(name), schema: property })),
  }
}

/** The values of a schema that allows only constants. */
const constantsOf = (
  schema: Schema,
  root: Schema,
): ReadonlyArray<{ readonly value: unknown; readonly text: string }> | undefined => {
  const option = (value: unknown, title?: unknown) => ({
    value,
    text: typeof title === "string" ? title : typeof value === "string" ? value : JSON.stringify(value),
  })
  if (Object.hasOwn(schema, "const")) return [option(schema.const, schema.title)]
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => option(value))
  const union = schema.anyOf ?? schema.oneOf
  if (!Array.isArray(union)) return undefined
  const found = union.map((one) => {
    const member = resolve(one, root)
    if (member === undefined) return undefined
    if (Object.hasOwn(member, "const")) return [option(member.const, member.title)]
    if (Array.isArray(member.enum)) return member.enum.map((value) => option(value))
    return undefined
  })
  return found.every((one) => one !== undefined) ? found.flat() : undefined
}

/** The schema beside `null`, if a schema allows exactly one besides. */
const nullableOf = (schema: Schema): unknown => {
  if (Array.isArray(schema.type) && schema.type.includes("null") && schema.type.length === 2) {
    return { ...schema, type: schema.type.find((type) => type !== "null") }
  }
  const union = schema.anyOf ?? schema.oneOf
  if (!Array.isArray(union)) return undefined
  const rest = union.filter((one) => !(isRecord(one) && (one.type === "null" || one.const === null)))
  if (rest.length === union.length) return undefined
  return rest.length === 1 ? rest[0] : { anyOf: rest }
}

const unionOf = (union: ReadonlyArray<unknown>, root: Schema, common: Common): Field => {
  const members = union.map((one) => resolve(one, root))
  if (!members.every((member) => member !== undefined)) return { ...common, kind: "json" }
  const options = members.map((schema, index) => {
    const tag = tagOf(schema, root)
    const name = tag === undefined ? textIn(schema.title) : String(tag.value)
    return { text: name ?? (typeof schema.type === "string" ? schema.type : `${index + 1}`), schema, tag }
  })
  return { ...common, kind: "variants", options }
}

const tagOf = (schema: Schema, root: Schema): Tag | undefined => {
  if (!isRecord(schema.properties)) return undefined
  for (const [name, property] of Object.entries(schema.properties)) {
    const found = resolve(property, root)
    if (found === undefined) continue
    if (Object.hasOwn(found, "const")) return { name, value: found.const }
    if (Array.isArray(found.enum) && found.enum.length === 1) return { name, value: found.enum[0] }
  }
  return undefined
}

/** How deep a form is filled at first. Deeper values are filled when they are opened. */
const mostInitial = 12

/** The value that a form begins with: defaults, constants, and the least that the schema asks for. `undefined` is not given yet. */
export const initialOf = (given: unknown, root: Schema, depth = 0): unknown => {
  const field = fieldOf(given, root)
  if (field.initial !== undefined) return field.initial
  if (depth > mostInitial) return undefined
  switch (field.kind) {
    case "object":
      return Object.fromEntries(
        field.fields.flatMap(({ name, isRequired, schema }) => {
          const value = isRequired ? initialOf(schema, root, depth + 1) : fieldOf(schema, root).initial
          return value === undefined ? [] : [[name, value]]
        }),
      )
    case "choice":
      return field.options.length === 1 ? field.options[0]?.value : undefined
    case "boolean":
      return undefined
    case "list":
      return Array.from({ length: field.least }, () => initialOf(field.item, root, depth + 1) ?? null)
    case "nullable":
      return null
    case "variants":
      return initialOf(field.options[0]?.schema, root, depth + 1)
    default:
      return undefined
  }
}

/** The number of the variant that a value is of; 0 where none fits. */
export const variantOf = (
  options: ReadonlyArray<{ readonly schema: Schema; readonly tag: Tag | undefined }>,
  value: unknown,
): number => {
  const byTag = options.findIndex(({ tag }) => tag !== undefined && isRecord(value) && value[tag.name] === tag.value)
  if (byTag >= 0) return byTag
  const byType = options.findIndex(({ schema }) => schema.type === typeOf(value))
  return Math.max(0, byType)
}

const typeOf = (value: unknown): string =>
  Array.isArray(value) ? "array" : value === null ? "null" : typeof value === "number" ? "number" : typeof value

/** An issue of a value: where, and what. */
export interface Issue {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
}

/** Most issues that are looked for. */
const mostIssues = 50

/** What a value lacks. A hint before it is sent: whoever takes it has the last word. */
export const issuesOf = (given: unknown, root: Schema, value: unknown): ReadonlyArray<Issue> => {
  const issues: Array<Issue> = []
  const stack: Array<{ readonly schema: unknown; readonly value: unknown; readonly path: Issue["path"] }> = [
    { schema: given, value, path: [] },
  ]
  for (let next = stack.pop(); next !== undefined && issues.length < mostIssues; next = stack.pop()) {
    const { path } = next
    const field = fieldOf(next.schema, root)
    const say = (message: string): void => void issues.push({ path, message })
    if (field.kind === "json") continue
    if (next.value === undefined) {
      say("is required")
      continue
    }
    switch (field.kind) {
      case "object": {
        if (!isRecord(next.value)) {
          say("must be an object")
          break
        }
        for (const { name, isRequired, schema } of field.fields.toReversed()) {
          const inner = Object.hasOwn(next.value, name) ? next.value[name] : undefined
          if (inner !== undefined || isRequired) stack.push({ schema, value: inner, path: [...path, name] })
        }
        break
      }
      case "text":
        textIssue(field, next.value, say)
        break
      case "number":
        numberIssue(field, next.value, say)
        break
      case "choice":
        if (!field.options.some((option) => JSON.stringify(option.value) === JSON.stringify(next.value)))
          say("is none of the choices")
        break
      case "boolean":
        if (typeof next.value !== "boolean") say("must be yes or no")
        break
      case "list":
        if (!Array.isArray(next.value)) say("must be a list")
        else {
          if (next.value.length < field.least) say(`needs at least ${field.least}`)
          if (field.most !== undefined && next.value.length > field.most) say(`may have at most ${field.most}`)
          for (const [index, item] of [...next.value.entries()].reverse())
            stack.push({ schema: field.item, value: item, path: [...path, index] })
        }
        break
      case "nullable":
        if (next.value !== null) stack.push({ schema: field.inner, value: next.value, path })
        break
      case "variants":
        stack.push({ schema: field.options[variantOf(field.options, next.value)]?.schema, value: next.value, path })
        break
    }
  }
  return issues
}

const textIssue = (field: Extract<Field, { kind: "text" }>, value: unknown, say: (message: string) => void): void => {
  if (typeof value !== "string") return say("must be text")
  if (field.least !== undefined && value.length < field.least)
    return say(field.least === 1 ? "must not be empty" : `needs at least ${field.least} characters`)
  if (field.most !== undefined && value.length > field.most) return say(`may have at most ${field.most} characters`)
  if (field.pattern !== undefined && !matches(field.pattern, value)) say(`must match ${field.pattern}`)
}

const matches = (pattern: string, value: string): boolean => {
  try {
    return new RegExp(pattern, "u").test(value)
  } catch {
    return true
  }
}

const numberIssue = (field: Extract<Field, { kind: "number" }>, value: unknown, say: (message: string) => void): void => {
  if (typeof value !== "number" || !Number.isFinite(value)) return say("must be a number")
  if (field.isInteger && !Number.isInteger(value)) return say("must be a whole number")
  if (field.least !== undefined && value < field.least) return say(`must be at least ${field.least}`)
  if (field.most !== undefined && value > field.most) say(`must be at most ${field.most}`)
}

/** The name of a field as a label: `maxRetries` becomes `max retries`. Titles such as `between(1, 5)` or `int` are those of code. */
export const labelOf = (name: string, title: string | undefined): string =>
  (title === undefined || /^(int|\w+\(.*\))$/.test(title) ? undefined : title) ??
  name.replace(/([a-z0-9])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`).replaceAll("_", " ")
