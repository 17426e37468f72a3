/**
 * Generates values of JSON Schemas from a seed. Unsupported keywords must be checked afterwards.
 */
import type { Json, JsonSchema } from "@smithers/core/Codec"
import * as FastCheck from "effect/FastCheck"
import * as Random from "../Random.ts"

const isKeywords = (value: unknown): value is JsonSchema => typeof value === "object" && value !== null && !Array.isArray(value)

const schemasIn = (value: unknown): ReadonlyArray<JsonSchema> => (Array.isArray(value) ? value.filter(isKeywords) : [])

const numberIn = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined)

/** Maximum depth of optional parts, since schemas may be recursive. */
const deepest = 5

const words = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "juniper"]

/** Generates a value of a schema. */
export const sample = (root: JsonSchema, seed: number): Json => {
  const random = Random.make(seed)

  const resolve = (schema: JsonSchema, hops = 0): JsonSchema => {
    const { $ref, allOf, ...own } = schema
    const parts: Array<JsonSchema> = []
    if (typeof $ref === "string" && hops < 20) parts.push(resolve(target($ref), hops + 1))
    for (const part of schemasIn(allOf)) parts.push(resolve(part, hops))
    return parts.reduce((all, part) => merge(all, part), own)
  }
  const target = ($ref: string): JsonSchema => {
    const path = $ref.replace(/^#\/?/, "").split("/").filter(Boolean)
    const found = path.reduce<unknown>((inner, name) => {
      const key = decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~")
      return isKeywords(inner) ? inner[key] : undefined
    }, root)
    return isKeywords(found) ? found : {}
  }

  const make = (declared: JsonSchema, depth: number): Json => {
    const schema = resolve(declared)
    if ("const" in schema) return jsonOf(schema.const)
    if (Array.isArray(schema.enum) && schema.enum.length > 0) return jsonOf(random.pick(schema.enum))
    const choices = [...schemasIn(schema.anyOf), ...schemasIn(schema.oneOf)]
    if (choices.length > 0) {
      const { anyOf: _, oneOf: __, ...own } = schema
      // Choices without nested schemas end the recursion.
      const picked = depth > deepest ? [...choices].sort((one, other) => weight(one) - weight(other))[0] : random.pick(choices)
      return make(merge(own, picked ?? {}), depth + 1)
    }
    return typed(schema, typeOf(schema), depth)
  }
  const typeOf = (schema: JsonSchema): string => {
    const { type } = schema
    if (typeof type === "string") return type
    if (Array.isArray(type) && type.length > 0) return String(random.pick(type))
    if ("properties" in schema || "additionalProperties" in schema || "required" in schema) return "object"
    if ("items" in schema || "prefixItems" in schema) return "array"
    if ("minimum" in schema || "maximum" in schema || "multipleOf" in schema) return "number"
    return "string"
  }
  const typed = (schema: JsonSchema, type: string, depth: number): Json => {
    switch (type) {
      case "object":
        return objectOf(schema, depth)
      case "array":
        return arrayOf(schema, depth)
      case "integer":
      case "number":
        return numberOf(schema, type === "integer")
      case "boolean":
        return random.chance(0.5)
      case "null":
        return null
      default:
        return textOf(schema)
    }
  }
  const objectOf = (schema: JsonSchema, depth: number): Json => {
    const properties = isKeywords(schema.properties) ? schema.properties : {}
    const required = Array.isArray(schema.required) ? schema.required.map(String) : []
    const made: Record<string, Json> = {}
    for (const name of new Set([...Object.keys(properties), ...required])) {
      if (!required.includes(name) && (depth > deepest || random.chance(0.3))) continue
      const property = properties[name]
      made[name] = make(isKeywords(property) ? property : {}, depth + 1)
    }
    const others = schema.additionalProperties
    const least = numberIn(schema.minProperties) ?? 0
    if (isKeywords(others) && Object.keys(properties).length === 0 && depth <= deepest)
      for (let count = Math.max(least, 1 + random.int(2)); count > 0; count--)
        made[`${random.pick(words)}${count}`] = make(others, depth + 1)
    return made
  }
  const arrayOf = (schema: JsonSchema, depth: number): Json => {
    const legacy = Array.isArray(schema.items) ? schema.items : undefined
    const first = schemasIn(schema.prefixItems ?? legacy)
    const rest = isKeywords(schema.items) ? schema.items : isKeywords(schema.additionalItems) ? schema.additionalItems : undefined
    const least = numberIn(schema.minItems) ?? 0
    const most = numberIn(schema.maxItems) ?? least + 2
    const wanted = first.length > 0 ? Math.max(first.length, least) : depth > deepest ? least : least + random.int(most - least + 1)
    const items = first.slice(0, most).map((item) => make(item, depth + 1))
    const seen = new Set(items.map((item) => JSON.stringify(item)))
    for (let count = 0; rest !== undefined && items.length < wanted && count < wanted * 10; count++) {
      const item = make(rest, depth + 1)
      if (schema.uniqueItems === true && seen.has(JSON.stringify(item))) continue
      seen.add(JSON.stringify(item))
      items.push(item)
    }
    return items
  }
  const numberOf = (schema: JsonSchema, isWhole: boolean): number => {
    const step = numberIn(schema.multipleOf) ?? (isWhole ? 1 : 0)
    const grain = step > 0 ? step : 0.5
    const [above, below] = [numberIn(schema.exclusiveMinimum), numberIn(schema.exclusiveMaximum)]
    const narrow = Math.min(grain, ((below ?? Infinity) - (above ?? -Infinity)) / 2)
    const highest = Math.min(numberIn(schema.maximum) ?? Infinity, below === undefined ? Infinity : below - narrow)
    const lowest = Math.max(numberIn(schema.minimum) ?? -Infinity, above === undefined ? -Infinity : above + narrow)
    const from = Number.isFinite(lowest) ? lowest : Number.isFinite(highest) ? highest - 100 * grain : 0
    const to = Number.isFinite(highest) ? highest : from + 100 * grain
    if (step === 0) return from + Math.round(random.int(101) * (to - from)) / 100
    const [least, most] = [Math.ceil(from / step), Math.floor(to / step)]
    const times = least + random.int(Math.max(1, Math.min(most - least, 1000) + 1))
    return Number((times * step).toPrecision(12))
  }
  const textOf = (schema: JsonSchema): string => {
    const { pattern, format } = schema
    if (typeof pattern === "string") {
      const made = matching(pattern, random.int(2 ** 31))
      if (made !== undefined) return made
    }
    const known = formatted(typeof format === "string" ? format : formatSaid(schema))
    if (known !== undefined) return known
    const least = numberIn(schema.minLength) ?? 1
    let text = random.pick(words)
    while (text.length < least) text += ` ${random.pick(words)}`
    return text
      .slice(0, Math.max(least, numberIn(schema.maxLength) ?? text.length))
      .trimEnd()
      .padEnd(least, "x")
  }
  const digits = (count: number): string => Array.from({ length: count }, () => random.int(16).toString(16)).join("")
  const formatted = (format: string): string | undefined => {
    const at = new Date(Date.UTC(2025, random.int(12), 1 + random.int(28), random.int(24), random.int(60))).toISOString()
    switch (format) {
      case "date-time":
        return at
      case "date":
        return at.slice(0, 10)
      case "time":
        return at.slice(11)
      case "email":
        return `${random.pick(words)}@example.com`
      case "uri":
      case "url":
        return `https://example.com/${random.pick(words)}`
      case "uuid":
        return `${digits(8)}-${digits(4)}-4${digits(3)}-8${digits(3)}-${digits(12)}`
      case "number":
      case "bigint":
        return String(random.int(100))
      default:
        return undefined
    }
  }
  return make(root, 0)
}

/** Returns the format of a text that an Effect schema decodes, which its JSON Schema only describes in words. */
const formatSaid = ({ description }: JsonSchema): string => {
  const [, into = ""] = /to be decoded into a (\w+)/.exec(String(description)) ?? []
  return into === "Date" || into.startsWith("DateTime") ? "date-time" : into
}

/** Estimates the nesting of a schema. */
const weight = ({ type, $ref, anyOf, properties }: JsonSchema): number =>
  type === "null" ? 0 : $ref !== undefined || anyOf !== undefined ? 3 : type === "array" || properties !== undefined ? 2 : 1

/** Merges two schemas that both apply. */
const merge = (one: JsonSchema, other: JsonSchema): JsonSchema => {
  const properties =
    isKeywords(one.properties) && isKeywords(other.properties) ? { ...one.properties, ...other.properties } : undefined
  const required =
    Array.isArray(one.required) && Array.isArray(other.required) ? [...new Set([...one.required, ...other.required])] : undefined
  return { ...one, ...other, ...(properties && { properties }), ...(required && { required }) }
}

const matching = (pattern: string, seed: number): string | undefined => {
  try {
    return FastCheck.sample(FastCheck.stringMatching(new RegExp(pattern)), { seed, numRuns: 1 })[0]
  } catch {
    return undefined
  }
}

const jsonOf = (value: unknown): Json => JSON.parse(JSON.stringify(value ?? null))
