/** The one reader of JSON Schema against the code that schemas are declared in: it refuses nothing that the code takes, and says what it can. */
import { expect, it } from "@effect/vitest"
import type { Json, JsonSchema } from "@smithers/core/Codec"
import { issuesOf, problemsOf, resolved } from "@smithers/core/JsonSchema"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as JSONSchema from "effect/JSONSchema"
import * as Schema from "effect/Schema"
import { describe } from "vitest"
import { z } from "zod"

const Stars = Schema.Int.pipe(Schema.between(1, 5)).annotations({ identifier: "Stars" })
/** Written as a reference with the limits beside it. */
const Rating = Schema.Int.annotations({ identifier: "Rating" })
const Code = Schema.String.pipe(Schema.pattern(/^[A-Z]{3}$/)).annotations({ identifier: "Code" })
interface Tree {
  readonly label: string
  readonly children: ReadonlyArray<Tree>
}
const Tree = Schema.Struct({
  label: Schema.NonEmptyString,
  children: Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree)),
}).annotations({ identifier: "Tree" })

/** Everything that each of them says its JSON Schema says, too. */
const effects: { readonly [what: string]: Schema.Schema<never, never> } = {
  "named types": Schema.Struct({ stars: Stars, sure: Schema.optional(Stars) }),
  "limits beside a reference": Schema.Struct({
    stars: Rating.pipe(Schema.between(1, 5)),
    all: Schema.Array(Rating.pipe(Schema.lessThan(9))),
  }),
  "limits on a named type": Stars.pipe(Schema.greaterThan(2)),
  "a pattern": Schema.Struct({ code: Code }),
  tuples: Schema.Tuple(Stars, Code, Schema.optionalElement(Schema.Boolean)),
  "a tuple with a rest": Schema.Tuple([Stars], Code),
  "counted lists": Schema.Array(Stars).pipe(Schema.minItems(1), Schema.maxItems(3)),
  unions: Schema.Union(Schema.Struct({ kind: Schema.Literal("a"), n: Stars }), Schema.Struct({ kind: Schema.Literal("b") })),
  "null and words": Schema.Struct({ word: Schema.NullOr(Schema.Literal("low", "high")), at: Schema.NullOr(Stars) }),
  records: Schema.Record({ key: Schema.String, value: Stars }),
  "a type in itself": Tree,
  multiples: Schema.Struct({ n: Schema.Int.pipe(Schema.multipleOf(5), Schema.nonNegative()) }),
  "several limits": Schema.Number.pipe(Schema.greaterThan(0), Schema.lessThanOrEqualTo(9)).annotations({ identifier: "Digit" }),
  enums: Schema.Enums({ A: "a", B: "b" }),
  "what begins so": Schema.TemplateLiteral("v", Schema.Number),
} as never

const zods: { readonly [what: string]: z.ZodType } = {
  "limits on named types": z.object({ stars: z.int().min(1).max(5).meta({ id: "ZodStars" }), also: z.int().min(3).optional() }),
  tuples: z.tuple([z.int().gte(1).lte(5), z.string().regex(/^[A-Z]{3}$/)]),
  "a tuple with a rest": z.tuple([z.boolean()], z.int().positive()),
  "strict objects": z.strictObject({ a: z.boolean(), b: z.literal(["x", "y"]).nullable() }),
  unions: z.discriminatedUnion("kind", [z.object({ kind: z.literal("a"), n: z.int().max(5) }), z.object({ kind: z.literal("b") })]),
  both: z.intersection(z.object({ a: z.int().max(5) }), z.object({ b: z.boolean() })),
  records: z.record(z.string(), z.int().max(5)),
  lists: z
    .array(z.enum(["a", "b"]))
    .min(1)
    .max(2),
}

/** JSON that is like values that a schema takes, but for a place or two. */
const nearby = (valid: FastCheck.Arbitrary<unknown>): FastCheck.Arbitrary<Json> =>
  FastCheck.tuple(valid, FastCheck.array(FastCheck.tuple(FastCheck.nat(), odd), { maxLength: 2 })).map(([value, changes]) =>
    changes.reduce((changed, [where, put]) => replaced(changed, where, put), JSON.parse(JSON.stringify(value)) as Json),
  )

const odd = FastCheck.oneof(
  FastCheck.constantFrom<Json>(99, 0, 1.5, -1, 5, 3, null, true, "", "ABC", "abc", "v1", [], {}, "a", "low"),
  FastCheck.jsonValue({ maxDepth: 1 }) as FastCheck.Arbitrary<Json>,
)

/** A value with another in one of its places. */
const replaced = (value: Json, where: number, put: Json): Json => {
  if (typeof value !== "object" || value === null || where % 4 === 0) return put
  const entries = Object.entries(value)
  const at = where % (entries.length + 1)
  const [key = "more", inner = null] = entries[at] ?? []
  const changed = at < entries.length ? replaced(inner as Json, Math.floor(where / 3), put) : put
  return Array.isArray(value) ? (at < value.length ? value.with(at, changed) : [...value, changed]) : { ...value, [key]: changed }
}

/** Without whole numbers that are not safe: Effect and zod take those for no integers, which no JSON Schema can say. */
const isExact = (value: Json): boolean =>
  typeof value === "number"
    ? !Number.isInteger(value) || Number.isSafeInteger(value)
    : typeof value !== "object" || value === null || Object.values(value).every(isExact)

const check = (json: JsonSchema, accepts: (value: Json) => boolean, values: FastCheck.Arbitrary<Json>) =>
  FastCheck.assert(
    FastCheck.asyncProperty(values.filter(isExact), async (value) => {
      const issues = await Effect.runPromise(issuesOf(json, value))
      expect({ value, isAccepted: issues.length === 0, issues }).toEqual({ value, isAccepted: accepts(value), issues })
    }),
    { numRuns: 200 },
  )

describe("an answer is refused by the reader exactly where it is refused by the code", () => {
  for (const [what, schema] of Object.entries(effects)) {
    it(`of an Effect schema with ${what}`, async () => {
      const decode = Schema.decodeUnknownEither(schema, { onExcessProperty: "error" })
      await check(
        JSONSchema.make(schema) as unknown as JsonSchema,
        (value) => Either.isRight(decode(value)),
        nearby(Arbitrary.make(schema)),
      )
    })
  }
  for (const [what, schema] of Object.entries(zods)) {
    it(`of a zod schema with ${what}`, async () => {
      for (const target of ["draft-2020-12", "draft-7"] as const)
        await check(
          z.toJSONSchema(schema, { target, io: "input" }) as JsonSchema,
          (value) => schema.safeParse(value).success,
          nearby(
            FastCheck.constantFrom<unknown>(
              { stars: 3 },
              { stars: 3, also: 4 },
              [3, "ABC"],
              [true, 1, 2],
              { a: true, b: "x" },
              { a: false, b: null },
              { kind: "a", n: 3 },
              { kind: "b" },
              { a: 3, b: true },
              { some: 3 },
              ["a"],
            ),
          ),
        )
    })
  }
})

describe("what a schema cannot say is left to the code", () => {
  const cases: ReadonlyArray<readonly [what: string, schema: Schema.Schema<never, never>, accepted: Json, refused: Json]> = [
    // Two characters to a person, four to JavaScript.
    [
      "lengths as JavaScript counts them",
      Schema.Struct({ t: Schema.String.pipe(Schema.minLength(3)) }),
      { t: "😀😀" },
      { t: "ab" },
    ],
    [
      "patterns that are none in Unicode mode",
      Schema.Struct({ t: Schema.String.pipe(Schema.pattern(/^[\w-.]+$/)), n: Stars }),
      { t: "a-b", n: 3 },
      { t: "a-b", n: 99 },
    ],
    [
      "patterns that tell halves of characters apart",
      Schema.Struct({ t: Schema.String.pipe(Schema.pattern(/^..$/)) }),
      { t: "😀" },
      { t: "a" },
    ],
    [
      "a property that is called like a keyword",
      Schema.Struct({ pattern: Stars, format: Code }),
      { pattern: 3, format: "ABC" },
      { pattern: 99, format: "ABC" },
    ],
  ] as never
  it.each(cases)("%s", async (_, schema, accepted, refused) => {
    const json = JSONSchema.make(schema) as unknown as JsonSchema
    const decode = Schema.decodeUnknownEither(schema)
    expect([Either.isRight(decode(accepted)), Either.isRight(decode(refused))]).toEqual([true, false])
    expect(await Effect.runPromise(issuesOf(json, accepted))).toEqual([])
    expect(await Effect.runPromise(issuesOf(json, refused))).not.toEqual([])
  })

  it("formats, which only describe: what a library takes for one is not refused as another takes it", async () => {
    const schema = z.object({ url: z.url(), at: z.iso.datetime({ local: true }), mail: z.email() })
    const json = z.toJSONSchema(schema) as JsonSchema
    const value = { url: "http://müller.example/ä", at: "2026-01-01T00:00:00", mail: "a@b.de" }
    expect(schema.safeParse(value).success).toBe(true)
    expect(await Effect.runPromise(issuesOf(json, value))).toEqual([])
    expect(await Effect.runPromise(issuesOf(json, { ...value, mail: "no" }))).not.toEqual([])
  })

  it("a schema that is none", async () => {
    for (const json of [{ $ref: "#/nowhere" }, { type: "object", properties: { a: { $ref: "other.json" } } }, { allOf: 7 }])
      expect(await Effect.runPromise(issuesOf(json as JsonSchema, { a: 1 }))).toEqual([])
  })
})

describe("a problem", () => {
  it("says where it is, also in keys that hold what pointers are made of", async () => {
    const json = { type: "object", properties: { "a/b~c%": { type: "array", items: { maximum: 5 } } } }
    expect(await Effect.runPromise(problemsOf(json, { "a/b~c%": [1, 99] }))).toEqual([
      { path: ["a/b~c%", "1"], message: "99 is greater than 5" },
    ])
    expect(await Effect.runPromise(issuesOf(json, { "a/b~c%": [1, 99] }))).toEqual(["a/b~c%.1: 99 is greater than 5"])
  })

  it("is found behind references, and what stands beside one counts", () => {
    const root = {
      $defs: { int: { type: "integer" }, star: { $ref: "#/$defs/int", minimum: 1 } },
      $ref: "#/$defs/star",
      maximum: 5,
    }
    expect(resolved(root, root)).toEqual({ $defs: root.$defs, type: "integer", minimum: 1, maximum: 5 })
    expect(resolved({ $ref: "#" }, { $ref: "#" })).toBeDefined()
  })
})
