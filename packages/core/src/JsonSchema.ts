/**
 * The one reader of JSON Schema: for whoever has a schema that was stored, but not the code it was declared in. What it finds wrong is wrong to that code,
 * too; what a JSON Schema cannot say only the code knows.
 */
import type { OutputUnit, Schema, SchemaDraft } from "@cfworker/json-schema"
import * as Effect from "effect/Effect"
import type { Json, JsonSchema } from "./Codec.ts"

/** What is wrong with a value, and where in it. */
export interface Problem {
  /** Keys and indices, outermost first. */
  readonly path: ReadonlyArray<string>
  readonly message: string
}

/** Keywords that only say that something further down does not match, which is said there. */
const passedOn: ReadonlySet<string> = new Set(["$ref", "allOf", "items", "prefixItems", "properties", "patternProperties", "false"])

/**
 * What is wrong with a value. The library is loaded with the first value that is checked. Where a schema is not one that can be read, nothing is: the
 * code has the last word.
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

/** The same, one line per problem, each beginning with the path where there is one. */
export const issuesOf = (schema: JsonSchema, value: Json): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(problemsOf(schema, value), (problems) => problems.map(lineOf))

/** A problem on one line. */
export const lineOf = ({ path, message }: Problem): string => (path.length === 0 ? message : `${path.join(".")}: ${message}`)

/**
 * The rules that a schema is read by. Effect calls its schemas draft 7, where a tuple has other keywords than now, but puts limits beside a `$ref`, which
 * count since 2019.
 */
const draftOf = ({ $schema }: JsonSchema): SchemaDraft => {
  const named = String($schema)
  if (named.includes("draft-04")) return "4"
  return /draft-0[67]|2019-09/.test(named) ? "2019-09" : "2020-12"
}

/** Keywords whose values are values, and no schemas. */
const holdsValues: ReadonlySet<string> = new Set(["const", "enum", "default", "examples"])

const isReadable = (pattern: string): boolean => {
  try {
    return new RegExp(pattern, "u") instanceof RegExp
  } catch {
    return false
  }
}

/**
 * A schema without what would keep the rest of it from being read, or refuse what the code takes: patterns that are none in Unicode mode, and formats,
 * which only describe.
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

/** Whether a text fits after all, as JavaScript counts characters and reads patterns: it is JavaScript that has the last word. */
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

/** What stands at a place in a document. References on the way to it are followed. */
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

/** What a reference within a document points at; nothing where it points elsewhere. */
const pointedAt = (document: unknown, reference: unknown): unknown =>
  typeof reference === "string" && /^#(\/|$)/.test(reference) ? at(document, pathOf(reference)) : undefined

/** A schema with what it refers to, and what stands beside the reference, which counts as well. */
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
    if (typeof $ref === "string" && !fits(pointedAt(document, $ref), value, inside)) return false
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
