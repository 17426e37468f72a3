/**
 * The parts of JSON Schema needed to prompt a person for a value, field by field.
 */
import type { Json, JsonSchema } from "@smithers/core/Codec"
import { lineOf, problemsOf, resolved } from "@smithers/core/JsonSchema"
import * as Effect from "effect/Effect"

const isSchema = (value: unknown): value is JsonSchema => typeof value === "object" && value !== null && !Array.isArray(value)

/** A field to prompt for. */
export interface Field {
  /** `undefined` if the prompt asks for the whole value. */
  readonly name: string | undefined
  readonly description: string | undefined
  readonly isRequired: boolean
  readonly kind: "text" | "number" | "integer" | "boolean" | "choice" | "json"
  readonly choices: ReadonlyArray<unknown>
}

/**
 * Returns the problem of a field's value, worded as for the whole answer. `before` holds the fields answered so far, since a schema
 * may relate fields.
 */
export const problemOf = (
  schema: JsonSchema,
  { name }: Pick<Field, "name">,
  before: { readonly [name: string]: unknown },
  value: unknown,
): Effect.Effect<string | undefined> => {
  const whole = name === undefined ? value : { ...before, [name]: value }
  return Effect.map(problemsOf(schema, whole as Json), (problems) => {
    const own = problems.filter(({ path }) => name === undefined || path[0] === name)
    const said = own.map(({ path, message }) => lineOf({ path: name === undefined ? path : path.slice(1), message }))
    return said.length === 0 ? undefined : said.join("; ")
  })
}

const choicesOf = (schema: JsonSchema, root: JsonSchema): ReadonlyArray<unknown> => {
  if (Array.isArray(schema.enum)) return schema.enum
  if ("const" in schema) return [schema.const]
  const parts = [schema.anyOf, schema.oneOf].find(Array.isArray) as ReadonlyArray<unknown> | undefined
  const constants = parts?.map((part) => (isSchema(part) ? choicesOf(resolved(root, part), root) : [])) ?? []
  return constants.length > 0 && constants.every((one) => one.length > 0) ? constants.flat() : []
}

const fieldOf = (name: string | undefined, declared: JsonSchema, isRequired: boolean, root: JsonSchema): Field => {
  const schema = resolved(root, declared)
  const description = typeof schema.description === "string" ? schema.description : undefined
  const choices = choicesOf(schema, root)
  const kinds = { string: "text", number: "number", integer: "integer", boolean: "boolean" } as const
  const kind = choices.length > 0 ? "choice" : (kinds[schema.type as keyof typeof kinds] ?? "json")
  return { name, description, isRequired, kind, choices }
}

/** Lists the fields to prompt for, of a value that matches a schema. */
export const fields = (root: JsonSchema): ReadonlyArray<Field> => {
  const schema = resolved(root, root)
  if (!isSchema(schema.properties)) return [fieldOf(undefined, schema, true, root)]
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  return Object.entries(schema.properties).map(([name, property]) =>
    fieldOf(name, isSchema(property) ? property : {}, required.has(name), root),
  )
}
