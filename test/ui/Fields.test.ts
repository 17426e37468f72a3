import * as Fields from "@smithers/ui/forms/Fields"
import { JSONSchema, Schema } from "effect"
import { expect, it } from "vitest"
import { z } from "zod"

const ofEffect = <A, I>(schema: Schema.Schema<A, I>) => JSON.parse(JSON.stringify(JSONSchema.make(schema))) as Fields.Schema
const ofZod = (schema: z.ZodType) => JSON.parse(JSON.stringify(z.toJSONSchema(schema))) as Fields.Schema

/** The kinds of fields of a form, two levels deep. */
const kinds = (schema: Fields.Schema): unknown => {
  const field = Fields.fieldOf(schema, schema)
  if (field.kind !== "object") return field.kind
  return Object.fromEntries(field.fields.map(({ name, schema: inner }) => [name, Fields.fieldOf(inner, schema).kind]))
}

it("makes a form of what Zod emits", () => {
  const schema = z.object({
    name: z.string().min(1),
    size: z.int().max(10),
    share: z.number(),
    isUrgent: z.boolean(),
    level: z.enum(["low", "high"]),
    note: z.string().nullable(),
    tags: z.array(z.string()),
    any: z.record(z.string(), z.unknown()),
    way: z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("mail"), to: z.email() }),
      z.object({ kind: z.literal("call"), number: z.string() }),
    ]),
  })
  expect(kinds(ofZod(schema))).toEqual({
    ...{
      name: "text",
      size: "number",
      share: "number",
      isUrgent: "boolean",
      level: "choice",
      note: "nullable",
      tags: "list",
      any: "json",
      way: "variants",
    },
  })
})

it("makes a form of what Effect emits, references and refinements included", () => {
  const Person = Schema.Struct({ name: Schema.NonEmptyString, age: Schema.Int }).annotations({ identifier: "Person" })
  const schema = Schema.Struct({
    who: Person,
    level: Schema.Literal("low", "high"),
    note: Schema.NullOr(Schema.String),
    when: Schema.optional(Schema.Number.pipe(Schema.between(1, 5))),
    way: Schema.Union(Schema.TaggedStruct("Mail", { to: Schema.String }), Schema.TaggedStruct("Call", { number: Schema.String })),
    tags: Schema.Array(Schema.String),
  })
  const made = ofEffect(schema)
  expect(kinds(made)).toEqual({ who: "object", level: "choice", note: "nullable", when: "number", way: "variants", tags: "list" })
  const form = Fields.fieldOf(made, made)
  const way = form.kind === "object" ? Fields.fieldOf(form.fields.find(({ name }) => name === "way")?.schema, made) : form
  expect(way.kind === "variants" ? way.options.map(({ text }) => text) : []).toEqual(["Mail", "Call"])
})

it("begins with defaults, constants and what is required, and asks for the rest", () => {
  const schema = ofZod(
    z.object({ kind: z.literal("mail"), to: z.string().min(1), retries: z.int().default(3), note: z.string().nullable() }),
  )
  const initial = Fields.initialOf(schema, schema)
  expect(initial).toEqual({ kind: "mail", retries: 3, note: null })
  expect(Fields.issuesOf(schema, schema, initial)).toEqual([{ path: ["to"], message: "is required" }])
  expect(Fields.issuesOf(schema, schema, { ...(initial as object), to: "" })).toEqual([
    { path: ["to"], message: "must not be empty" },
  ])
  expect(Fields.issuesOf(schema, schema, { ...(initial as object), to: "ann" })).toEqual([])
})

it("says where a value does not fit", () => {
  const schema = ofZod(z.object({ list: z.array(z.object({ n: z.int().min(2) })).min(1), pick: z.enum(["a", "b"]) }))
  expect(Fields.issuesOf(schema, schema, { list: [{ n: 2 }, { n: 1.5 }, { n: 0 }], pick: "c" })).toEqual([
    { path: ["list", 1, "n"], message: "must be a whole number" },
    { path: ["list", 2, "n"], message: "must be at least 2" },
    { path: ["pick"], message: "is none of the choices" },
  ])
})

it("does not follow a schema that contains itself for ever", () => {
  interface Tree {
    readonly name: string
    readonly children: ReadonlyArray<Tree>
  }
  const Tree: Schema.Schema<Tree> = Schema.Struct({
    name: Schema.String,
    children: Schema.Array(Schema.suspend(() => Tree)),
  }).annotations({ identifier: "Tree" })
  const schema = ofEffect(Tree)
  expect(Fields.initialOf(schema, schema)).toEqual({ children: [] })
  const circle = { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/a" } } }
  expect(Fields.fieldOf(circle, circle).kind).toBe("json")
  const required = {
    $ref: "#/$defs/a",
    $defs: { a: { type: "object", properties: { next: { $ref: "#/$defs/a" } }, required: ["next"] } },
  }
  expect(Fields.fieldOf(required, required).kind).toBe("object")
  expect(Fields.initialOf(required, required)).toBeTypeOf("object")
})

it("leaves what it does not know to the JSON editor, and asks nothing of it", () => {
  for (const schema of [
    {},
    { type: "object", additionalProperties: { type: "number" } },
    { not: { type: "string" } },
    { type: "array" },
  ]) {
    expect(Fields.fieldOf(schema, schema).kind).toBe("json")
    expect(Fields.issuesOf(schema, schema, "anything")).toEqual([])
  }
})

it("knows the variant of a value by its constant", () => {
  const schema = ofZod(z.union([z.object({ t: z.literal("a"), x: z.string() }), z.object({ t: z.literal("b"), y: z.number() })]))
  const field = Fields.fieldOf(schema, schema)
  expect(field.kind === "variants" && Fields.variantOf(field.options, { t: "b", y: 1 })).toBe(1)
})

it("writes names as labels", () => {
  expect(Fields.labelOf("maxRetries", undefined)).toBe("max retries")
  expect(Fields.labelOf("maxRetries", "Retries")).toBe("Retries")
})
