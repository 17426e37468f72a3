/**
 * JSON Schemas of inputs and outputs, in the form that clients of the protocol take: an object at the top.
 */
import * as JSONSchema from "effect/JSONSchema"
import type * as Schema from "effect/Schema"

/** A JSON Schema of an object. */
export interface ObjectSchema {
  readonly type: "object"
  readonly [keyword: string]: unknown
}

/** Removes ids, of which a schema may have several alike: validators take them for addresses. */
const withoutIds = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutIds)
  if (typeof value !== "object" || value === null) return value
  const isUnknown = "$id" in value
  if (isUnknown && (value.$id === "/schemas/unknown" || value.$id === "/schemas/any")) return {}
  const fields = Object.entries(value).filter(([name, field]) => !(name === "$id" && typeof field === "string"))
  return Object.fromEntries(fields.map(([name, field]) => [name, withoutIds(field)]))
}

/** Makes the JSON Schema of what a schema encodes to. */
export const jsonSchemaOf = (schema: Schema.Schema.AnyNoContext): ObjectSchema => {
  const { $schema: _, ...whole } = withoutIds(JSONSchema.make(schema)) as { readonly [keyword: string]: unknown }
  const [, name] = typeof whole.$ref === "string" ? (/^#\/\$defs\/(.+)$/.exec(whole.$ref) ?? []) : []
  const { $ref: __, ...rest } = whole
  const named = name === undefined ? {} : (whole.$defs as { readonly [name: string]: object })[name]
  const found = { ...rest, ...named }
  // An empty struct is any value that is not null.
  const { type: ___, anyOf, ...keywords } = found as { readonly [keyword: string]: unknown }
  return { type: "object", ...keywords, ...("properties" in keywords || anyOf === undefined ? {} : { properties: {} }) }
}
