/**
 * What of JSON Schema it takes to ask a person for a value and to tell what is wrong with one. The run itself checks answers by the
 * schema they were declared with; this is to say so before an answer is sent.
 */

/** A JSON Schema, as it is stored with what a run asks. */
export interface JsonSchema {
  readonly [keyword: string]: unknown
}

const isSchema = (value: unknown): value is JsonSchema => typeof value === "object" && value !== null && !Array.isArray(value)

/** Follows a reference within the schema. */
export const resolve = (schema: JsonSchema, root: JsonSchema): JsonSchema => {
  const { $ref } = schema
  if (typeof $ref !== "string" || !$ref.startsWith("#/")) return schema
  let found: unknown = root
  for (const key of $ref.slice(2).split("/")) {
    found = isSchema(found) ? found[decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~")] : undefined
  }
  return isSchema(found) ? found : {}
}

const typeOf = (value: unknown): string => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value)

const isOfType = (value: unknown, type: string): boolean =>
  type === "integer" ? Number.isInteger(value) : type === "number" ? typeof value === "number" : typeOf(value) === type

const at = (path: string, key: string | number): string => (path === "" ? String(key) : `${path}.${key}`)

const place = (path: string): string => (path === "" ? "the value" : path)

const same = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right)

/** What is wrong with a value, each with its path. What the schema says in words that are not known here is passed over. */
export const issues = (given: JsonSchema, value: unknown, root: JsonSchema = given, path = ""): ReadonlyArray<string> => {
  const schema = resolve(given, root)
  const types = [schema.type].flat().filter((type) => typeof type === "string")
  if (types.length > 0 && !types.some((type) => isOfType(value, type))) {
    return [`${place(path)} must be ${types.join(" or ")}, not ${typeOf(value)}`]
  }
  const found: Array<string> = []
  if ("const" in schema && !same(schema.const, value)) found.push(`${place(path)} must be ${JSON.stringify(schema.const)}`)
  if (Array.isArray(schema.enum) && !schema.enum.some((one) => same(one, value))) {
    found.push(`${place(path)} must be one of ${schema.enum.map((one) => JSON.stringify(one)).join(", ")}`)
  }
  for (const keyword of ["anyOf", "oneOf"]) {
    const choices = schema[keyword]
    if (!Array.isArray(choices)) continue
    const all = choices.filter(isSchema).map((choice) => issues(choice, value, root, path))
    if (all.length > 0 && all.every((one) => one.length > 0)) found.push(all[0]?.[0] ?? `${place(path)} matches nothing`)
  }
  if (Array.isArray(schema.allOf)) for (const part of schema.allOf.filter(isSchema)) found.push(...issues(part, value, root, path))
  if (typeof value === "string") found.push(...textIssues(schema, value, path))
  if (typeof value === "number") found.push(...numberIssues(schema, value, path))
  if (Array.isArray(value) && isSchema(schema.items)) {
    for (const [index, item] of value.entries()) found.push(...issues(schema.items, item, root, at(path, index)))
  }
  if (typeOf(value) === "object") found.push(...objectIssues(schema, value as JsonSchema, root, path))
  return found
}

const textIssues = (schema: JsonSchema, value: string, path: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (typeof schema.minLength === "number" && value.length < schema.minLength) {
    found.push(`${place(path)} must have at least ${schema.minLength} characters`)
  }
  if (typeof schema.maxLength === "number" && value.length > schema.maxLength) {
    found.push(`${place(path)} must have at most ${schema.maxLength} characters`)
  }
  return found
}

const numberIssues = (schema: JsonSchema, value: number, path: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (typeof schema.minimum === "number" && value < schema.minimum) found.push(`${place(path)} must be at least ${schema.minimum}`)
  if (typeof schema.maximum === "number" && value > schema.maximum) found.push(`${place(path)} must be at most ${schema.maximum}`)
  return found
}

const objectIssues = (schema: JsonSchema, value: JsonSchema, root: JsonSchema, path: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  const properties = isSchema(schema.properties) ? schema.properties : {}
  for (const key of Array.isArray(schema.required) ? schema.required : []) {
    if (!Object.hasOwn(value, String(key))) found.push(`${at(path, String(key))} is missing`)
  }
  for (const [key, inner] of Object.entries(value)) {
    const property = properties[key]
    if (isSchema(property)) found.push(...issues(property, inner, root, at(path, key)))
    else if (schema.additionalProperties === false) found.push(`${at(path, key)} is not asked for`)
  }
  return found
}

/** A field to ask for. */
export interface Field {
  /** `undefined` where the whole value is asked for. */
  readonly name: string | undefined
  readonly description: string | undefined
  readonly isRequired: boolean
  readonly kind: "text" | "number" | "integer" | "boolean" | "choice" | "json"
  readonly choices: ReadonlyArray<unknown>
}

const choicesOf = (schema: JsonSchema): ReadonlyArray<unknown> => {
  if (Array.isArray(schema.enum)) return schema.enum
  if ("const" in schema) return [schema.const]
  const parts = [schema.anyOf, schema.oneOf].find(Array.isArray) as ReadonlyArray<unknown> | undefined
  const constants = parts?.map((part) => (isSchema(part) ? choicesOf(part) : [])) ?? []
  return constants.length > 0 && constants.every((one) => one.length > 0) ? constants.flat() : []
}

const fieldOf = (name: string | undefined, given: JsonSchema, isRequired: boolean, root: JsonSchema): Field => {
  const schema = resolve(given, root)
  const description = typeof schema.description === "string" ? schema.description : undefined
  const choices = choicesOf(schema)
  const kinds = { string: "text", number: "number", integer: "integer", boolean: "boolean" } as const
  const kind = choices.length > 0 ? "choice" : (kinds[schema.type as keyof typeof kinds] ?? "json")
  return { name, description, isRequired, kind, choices }
}

/** The fields to ask for, of a value that matches a schema. */
export const fields = (given: JsonSchema): ReadonlyArray<Field> => {
  const schema = resolve(given, given)
  if (!isSchema(schema.properties)) return [fieldOf(undefined, schema, true, given)]
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  return Object.entries(schema.properties).map(([name, property]) =>
    fieldOf(name, isSchema(property) ? property : {}, required.has(name), given),
  )
}
