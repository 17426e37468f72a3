/**
 * What of JSON Schema it takes to ask a person for a value, field by field.
 */
import { type Schema, Validator } from "@cfworker/json-schema"
import type { JsonSchema } from "@smithers/core/Codec"

const isSchema = (value: unknown): value is JsonSchema => typeof value === "object" && value !== null && !Array.isArray(value)

/** Follows a reference within the schema. What stands beside it counts, too: a refined type is written as the type with its limits. */
const resolve = (schema: JsonSchema, root: JsonSchema): JsonSchema => {
  const { $ref, ...beside } = schema
  if (typeof $ref !== "string" || !$ref.startsWith("#/")) return schema
  let found: unknown = root
  for (const key of $ref.slice(2).split("/")) {
    found = isSchema(found) ? found[decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~")] : undefined
  }
  return isSchema(found) ? { ...found, ...beside } : beside
}

/** A field to ask for. */
export interface Field {
  /** `undefined` where the whole value is asked for. */
  readonly name: string | undefined
  readonly description: string | undefined
  readonly isRequired: boolean
  readonly kind: "text" | "number" | "integer" | "boolean" | "choice" | "json"
  readonly choices: ReadonlyArray<unknown>
  /** What its value must match, with all that it refers to. */
  readonly schema: JsonSchema
}

/** Keywords that only say that something further down does not match, which is said there. */
const passedOn: ReadonlySet<string> = new Set(["$ref", "allOf", "items", "prefixItems", "properties", "patternProperties", "false"])

/** What is wrong with the value of a field, if anything is. Of a schema that cannot be read nothing is: whoever takes the answer decides. */
export const problemOf = ({ schema }: Field, value: unknown): string | undefined => {
  try {
    // Effect describes its schemas in draft 7, where a tuple has other keywords.
    const draft = String(schema.$schema).includes("draft-07") ? "7" : "2020-12"
    const { errors } = new Validator(schema as Schema, draft, false).validate(value)
    const found = errors.filter(({ keyword }) => !passedOn.has(keyword))
    return found.length === 0 ? undefined : found.map(({ error }) => error.replace(/\.$/, "")).join("; ")
  } catch {
    return undefined
  }
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
  const { $schema, $defs, definitions } = root
  return { name, description, isRequired, kind, choices, schema: { $schema, $defs, definitions, ...schema } }
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
