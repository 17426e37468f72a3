/**
 * New code for a run at work: what a driver is offered, and the changes that it cannot follow.
 */
import type * as Deferred from "effect/Deferred"
import type { JsonSchema } from "../Codec.ts"
import type { CodeIdentity } from "../CodeGeneration.ts"
import type { Definition } from "../Definition.ts"
import { canonicalText } from "../Digest.ts"
import type { ReloadRefused } from "../Errors.ts"
import { shownId } from "../Ids.ts"
import type { OutputTable } from "../RunStore.ts"
import type { StartedChild } from "./outbox.ts"

/** New code, as a driver is offered it. */
export interface Offer {
  readonly definition: Definition<unknown>
  /** The generation to go on with; `undefined` to plan with the code and go on with the old one. */
  readonly generation: number | undefined
  readonly code: CodeIdentity | null
  readonly reply: Deferred.Deferred<Accepted, ReloadRefused>
}

/** The plan of new code, compared with that of the code at work. */
export interface Accepted {
  /** Finished nodes that stay, nodes that are new in the plan, and nodes that are gone from it. */
  readonly kept: number
  readonly added: number
  readonly removed: number
  /** The generation that the run was at work with. */
  readonly before: number
  /** Child runs that have not ended and that the plan still has. */
  readonly children: ReadonlyArray<StartedChild>
}

/** Keywords that describe a value and do not decide about it. */
const annotations: ReadonlySet<string> = new Set([
  "title",
  "description",
  "examples",
  "$comment",
  "deprecated",
  "readOnly",
  "writeOnly",
])

/** Keywords that hold schemas by name. */
const named: ReadonlySet<string> = new Set(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"])

/** Keywords that hold values. */
const values: ReadonlySet<string> = new Set(["const", "enum", "default", "required", "type"])

/** A schema without its descriptions. */
const shapeOf = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(shapeOf)
  if (typeof schema !== "object" || schema === null) return schema
  const kept = Object.entries(schema).filter(([keyword]) => !annotations.has(keyword))
  return Object.fromEntries(
    kept.map(([keyword, part]) => {
      if (values.has(keyword)) return [keyword, part]
      if (!named.has(keyword) || typeof part !== "object" || part === null) return [keyword, shapeOf(part)]
      return [keyword, Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, shapeOf(inner)]))]
    }),
  )
}

const textOf = (schema: JsonSchema | undefined): string => (schema === undefined ? "" : canonicalText(shapeOf(schema)))

/** Names the outputs whose schemas differ. Outputs that one of the two has not are no change: they come and go with their tasks. */
export const changedOutputs = (before: ReadonlyArray<OutputTable>, after: ReadonlyArray<OutputTable>): ReadonlyArray<string> => {
  const known = new Map(before.map(({ name, jsonSchema }) => [name, jsonSchema] as const))
  return after.flatMap(({ name, jsonSchema, nodeId }) =>
    known.has(name) && textOf(known.get(name)) !== textOf(jsonSchema)
      ? [nodeId === undefined ? `"${name}"` : `of ${shownId(nodeId)}`]
      : [],
  )
}
