/**
 * Whether a value matches a JSON Schema that was stored: for whoever has the schema, but not the code it was declared in.
 */
import type { Schema } from "@cfworker/json-schema"
import * as Effect from "effect/Effect"
import type { Json } from "../Codec.ts"

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
