/**
 * The reader of JSON Schema, for processes that have a stored schema without the code that declared it. Its issues are issues
 * for that code too; the code may find more than a JSON Schema can express.
 */
import type { OutputUnit, Schema, SchemaDraft } from "@cfworker/json-schema"
import * as Effect from "effect/Effect"
import type { Json, JsonSchema } from "./Codec.ts"

/** An issue of a value, and its path. */
export interface Problem {
  /** Keys and indices, outermost first. */
  readonly path: ReadonlyArray<string>
  readonly message: string
}

/** Keywords whose errors only repeat the error of a nested schema. */
const passedOn: ReadonlySet<string> = new Set(["$ref", "allOf", "items", "prefixItems", "properties", "patternProperties", "false"])

/**
 * Validates a value. The library is loaded at the first use. Returns no issues if the schema cannot be read: the code validates
 * again.
 */
export const problemsOf = (schema: JsonSchema, value: Json): Effect.Effect<ReadonlyArray<Problem>> =>
  Effect.promise(async () => {
    const { Validator } = await import("@cfworker/json-schema")
    try {
      const { errors } = new Validator(readable(schema) as Schema, draftOf(schema), false).validate(value)
      return errors.flatMap((error) => {
        const path = pathOf(error.instanceLocation)
        const isSaid = !passedOn.has(error.keyword) && !isExcused(error, schema, at(value, path))
        return isSaid ? [{ path, message: error.error.replace(/\.$/, "") }] : []
      })
    } catch {
      return []
    }
  })

/** Validates a value, with one line per issue, beginning with the path. */
export const issuesOf = (schema: JsonSchema, value: Json): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(problemsOf(schema, value), (problems) => problems.map(lineOf))

/** Formats an issue as one line. */
export const lineOf = ({ path, message }: Problem): string => (path.length === 0 ? message : `${path.join(".")}: ${message}`)

/**
 * The draft of a schema. Effect declares draft 7, whose keywords for tuples it uses, but puts limits beside `$ref`, which are
 * ignored before 2019-09.
 */
const draftOf = ({ $schema }: JsonSchema): SchemaDraft => {
  const named = String($schema)
  if (named.includes("draft-04")) return "4"
  return /draft-0[67]|2019-09/.test(named) ? "2019-09" : "2020-12"
}

/** Keywords that hold values, not schemas. */
const holdsValues: ReadonlySet<string> = new Set(["const", "enum", "default", "examples"])

const isReadable = (pattern: string): boolean => {
  try {
    return new RegExp(pattern, "u") instanceof RegExp
  } catch {
    return false
  }
}

/**
 * Removes parts of a schema that the validator cannot read, or reads more strictly than the code. Those are patterns that are
 * invalid in Unicode mode, and formats, which are annotations.
 */
const readable = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(readable)
  if (typeof schema !== "object" || schema === null) return schema
  const kept = Object.entries(schema).filter(([keyword, value]) => {
    if (keyword === "format") return typeof value !== "string"
    return keyword !== "pattern" || typeof value !== "string" || isReadable(value)
  })
  return Object.fromEntries(
    kept.map(([keyword, value]) => {
      if (holdsValues.has(keyword)) return [keyword, value]
      const isByPattern = keyword === "patternProperties" && typeof value === "object" && value !== null
      const entries = isByPattern ? Object.entries(value).filter(([pattern]) => isReadable(pattern)) : undefined
      return [keyword, readable(entries === undefined ? value : Object.fromEntries(entries))]
    }),
  )
}

/** Tells whether a text is valid by JavaScript's rules for lengths and patterns, which the code applies. */
const isExcused = ({ keyword, keywordLocation }: OutputUnit, root: JsonSchema, value: unknown): boolean => {
  if (typeof value !== "string") return false
  const wanted = keyword === "minLength" || keyword === "pattern" ? at(root, pathOf(keywordLocation)) : undefined
  if (keyword === "minLength") return typeof wanted === "number" && value.length >= wanted
  return typeof wanted === "string" && new RegExp(wanted).test(value)
}

/** The parts of a JSON pointer in a fragment. */
const pathOf = (pointer: string): ReadonlyArray<string> =>
  pointer
    .split("/")
    .slice(1)
    .map((key) => decodeURIComponent(key).replaceAll("~1", "/").replaceAll("~0", "~"))

/** The value at a path in a document. Follows references on the way. */
const at = (document: unknown, path: ReadonlyArray<string>): unknown => {
  let found = document
  for (const key of path) {
    if (key === "$ref") {
      found = pointedAt(document, (found as { readonly $ref?: unknown } | undefined)?.$ref)
      continue
    }
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return undefined
    found = (found as { readonly [name: string]: unknown })[key]
  }
  return found
}

/** The target of a reference within a document; undefined for other references. */
const pointedAt = (document: unknown, reference: unknown): unknown =>
  typeof reference === "string" && /^#(\/|$)/.test(reference) ? at(document, pathOf(reference)) : undefined

/** Resolves the references of a schema. Keywords beside a reference are merged in. */
export const resolved = (root: JsonSchema, schema: JsonSchema): JsonSchema => {
  let found = schema
  for (let seen = new Set<unknown>(); typeof found.$ref === "string" && !seen.has(found.$ref); ) {
    const { $ref, ...beside } = found
    seen = seen.add($ref)
    const target = pointedAt(root, $ref)
    if (typeof target !== "object" || target === null || Array.isArray(target)) return beside
    found = { ...target, ...beside }
  }
  return found
}

/** The JSON types of a value, in the terms of a schema. */
const kindsOf = (value: unknown): ReadonlyArray<string> => {
  if (value === null) return ["null"]
  if (Array.isArray(value)) return ["array"]
  return typeof value === "number" ? (Number.isInteger(value) ? ["number", "integer"] : ["number"]) : [typeof value]
}

/**
 * Tells whether a value has the type that a schema asks for: an object, a list of objects, a text. Weaker than validity: an
 * object with a wrong field has the right type. Accepts everything if the schema has no type.
 */
export const kindOf = (document: JsonSchema | undefined): ((value: unknown) => boolean) => {
  const fits = (schema: unknown, value: unknown, seen: ReadonlyArray<unknown>): boolean => {
    if (typeof schema !== "object" || schema === null || seen.includes(schema)) return true
    const { type, $ref, anyOf, oneOf, allOf, items, enum: values } = schema as { readonly [keyword: string]: unknown }
    const inside = [...seen, schema]
    if (typeof $ref === "string" && !fits(pointedAt(document, $ref), value, inside)) return false
    for (const some of [anyOf, oneOf])
      if (Array.isArray(some) && some.length > 0 && !some.some((one) => fits(one, value, inside))) return false
    if (Array.isArray(allOf) && !allOf.every((one) => fits(one, value, inside))) return false
    const kinds = kindsOf(value)
    if (Array.isArray(values) && !values.some((one) => kindsOf(one)[0] === kinds[0])) return false
    if (type !== undefined && ![type].flat().some((kind) => kinds.includes(String(kind)))) return false
    // A list has the type of its items.
    return !Array.isArray(value) || value.every((item) => fits(items, item, []))
  }
  return (value) => fits(document, value, [])
}
