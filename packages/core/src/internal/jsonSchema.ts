/**
 * Whether a value matches a JSON Schema that was stored: for whoever has the schema, but not the code it was declared in.
 */
import type { Schema } from "@cfworker/json-schema"
import * as Effect from "effect/Effect"
import type { Json, JsonSchema } from "../Codec.ts"

/** Keywords that only say that something further down does not match, which is said there. */
const passedOn: ReadonlySet<string> = new Set(["$ref", "allOf", "items", "prefixItems", "properties", "patternProperties", "false"])

/**
 * What is wrong with a value, one line per issue, each beginning with the path where there is one. Nothing for a schema that cannot be
 * read: the run has the last word. The library is loaded with the first value that is checked.
 */
export const issuesOf = (schema: Schema, value: Json): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(async () => {
    const { Validator } = await import("@cfworker/json-schema")
    try {
      // Effect calls its schemas draft 7, where a tuple has other keywords than now, but puts limits beside a `$ref`, which count since 2019.
      const draft = typeof schema.$schema === "string" && schema.$schema.includes("draft-07") ? "2019-09" : "2020-12"
      const { errors } = new Validator(schema, draft, false).validate(value)
      return errors.filter(({ keyword }) => !passedOn.has(keyword)).map((error) => line(error.instanceLocation, error.error))
    } catch {
      return []
    }
  })

const line = (pointer: string, sentence: string): string => {
  const problem = sentence.replace(/\.$/, "")
  const path = pointer
    .split("/")
    .slice(1)
    .map((key) => decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~"))
    .join(".")
  return path === "" ? problem : `${path}: ${problem}`
}

/** Kinds of JSON, as a schema names them. */
const kindsOf = (value: unknown): ReadonlyArray<string> => {
  if (value === null) return ["null"]
  if (Array.isArray(value)) return ["array"]
  return typeof value === "number" ? (Number.isInteger(value) ? ["number", "integer"] : ["number"]) : [typeof value]
}

/**
 * Tells whether a value is of the kind that a schema asks for: an object, a list of objects, a text. That is less than that it is valid:
 * an object with a wrong field is of the right kind. Takes everything where the schema does not say.
 */
export const kindOf = (document: JsonSchema | undefined): ((value: unknown) => boolean) => {
  const fits = (schema: unknown, value: unknown, seen: ReadonlyArray<unknown>): boolean => {
    if (typeof schema !== "object" || schema === null || seen.includes(schema)) return true
    const { type, $ref, anyOf, oneOf, allOf, items, enum: values } = schema as { readonly [keyword: string]: unknown }
    const inside = [...seen, schema]
    if (typeof $ref === "string" && !fits(resolve(document, $ref), value, inside)) return false
    for (const some of [anyOf, oneOf])
      if (Array.isArray(some) && some.length > 0 && !some.some((one) => fits(one, value, inside))) return false
    if (Array.isArray(allOf) && !allOf.every((one) => fits(one, value, inside))) return false
    const kinds = kindsOf(value)
    if (Array.isArray(values) && !values.some((one) => kindsOf(one)[0] === kinds[0])) return false
    if (type !== undefined && ![type].flat().some((kind) => kinds.includes(String(kind)))) return false
    // A list is of the kind of what is in it.
    return !Array.isArray(value) || value.every((item) => fits(items, item, []))
  }
  return (value) => fits(document, value, [])
}

/** What a reference within a document points at; nothing where it points elsewhere. */
const resolve = (document: unknown, reference: string): unknown => {
  if (!reference.startsWith("#")) return undefined
  let found = document
  for (const part of reference.slice(1).split("/").filter(Boolean)) {
    if (typeof found !== "object" || found === null) return undefined
    found = (found as { readonly [name: string]: unknown })[part.replaceAll("~1", "/").replaceAll("~0", "~")]
  }
  return found
}
