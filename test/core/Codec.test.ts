import { describe, expect, it } from "@effect/vitest"
import * as Codec from "@smithers/core/Codec"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as z from "zod"
import { canonical, toJson } from "../../packages/core/src/internal/json.ts"

/** Takes a value in, through text as a store would, and out again. */
const through = <S extends Codec.AnySchema>(schema: S, value: unknown) =>
  Effect.gen(function* () {
    const codec = Codec.make(schema)
    const stored = yield* codec.encode(value)
    const text = stored === undefined ? undefined : (JSON.parse(JSON.stringify(stored)) as Codec.Json)
    return { stored, restored: yield* codec.decode(text) }
  })

const refused = <S extends Codec.AnySchema>(schema: S, value: unknown) => Effect.flip(Codec.make(schema).encode(value))

class Person extends Schema.Class<Person>("Person")({ name: Schema.String, born: Schema.Date }) {
  get age() {
    return 2000 - this.born.getUTCFullYear()
  }
}

describe("a codec of an Effect Schema", () => {
  it.effect.each<[what: string, schema: Schema.Schema.AnyNoContext, given: unknown, stored: unknown, restored: unknown]>([
    ["a struct", Schema.Struct({ a: Schema.String, b: Schema.Number }), { a: "x", b: 1, c: 2 }, { a: "x", b: 1 }, { a: "x", b: 1 }],
    [
      "a transform",
      Schema.Struct({ at: Schema.Date }),
      { at: "1970-01-01T00:00:00.000Z" },
      { at: "1970-01-01T00:00:00.000Z" },
      { at: new Date(0) },
    ],
    ["a transform that loses something", Schema.Struct({ a: Schema.Trim }), { a: " x " }, { a: "x" }, { a: "x" }],
    ["a default", Schema.Struct({ a: Schema.optionalWith(Schema.Number, { default: () => 4 }) }), {}, { a: 4 }, { a: 4 }],
    ["an optional field that is not there", Schema.Struct({ a: Schema.optional(Schema.Number) }), {}, {}, {}],
    ["an optional field that is undefined", Schema.Struct({ a: Schema.optional(Schema.Number) }), { a: undefined }, {}, {}],
    [
      "an option",
      Schema.Struct({ a: Schema.optionalWith(Schema.Number, { as: "Option" }) }),
      {},
      {},
      expect.objectContaining({ a: expect.objectContaining({ _tag: "None" }) }),
    ],
    ["a string", Schema.String, "x", "x", "x"],
    ["a number out of a string", Schema.NumberFromString, "7", "7", 7],
    ["a big number", Schema.BigInt, "90071992547409930", "90071992547409930", 90071992547409930n],
    ["null", Schema.NullOr(Schema.String), null, null, null],
    ["nothing", Schema.Void, undefined, undefined, undefined],
    ["something or nothing", Schema.UndefinedOr(Schema.String), undefined, undefined, undefined],
    ["an array", Schema.Array(Schema.NumberFromString), ["1", "2"], ["1", "2"], [1, 2]],
    [
      "a map",
      Schema.Map({ key: Schema.String, value: Schema.Date }),
      [["a", "1970-01-01T00:00:00.000Z"]],
      [["a", "1970-01-01T00:00:00.000Z"]],
      new Map([["a", new Date(0)]]),
    ],
    ["a union", Schema.Union(Schema.Struct({ a: Schema.Number }), Schema.Literal("b")), "b", "b", "b"],
    ["anything", Schema.Unknown, { a: [1, null, { b: "" }] }, { a: [1, null, { b: "" }] }, { a: [1, null, { b: "" }] }],
  ] as never)(
    "stores the encoded form of the decoded value, and reads it back decoded: %s",
    ([, schema, given, stored, restored]) =>
      Effect.gen(function* () {
        const result = yield* through(schema, given)
        expect(result.stored).toEqual(stored)
        expect(result.restored).toEqual(restored)
      }),
  )

  it.effect("gives instances of a class, and takes what one is made of", () =>
    Effect.gen(function* () {
      const given = { name: "Ada", born: "1990-12-10T00:00:00.000Z" }
      const { stored, restored } = yield* through(Person, given)
      expect(stored).toEqual(given)
      expect(restored).toBeInstanceOf(Person)
      expect((restored as Person).age).toBe(10)
    }),
  )

  it.effect.each<[what: string, schema: Schema.Schema.AnyNoContext, given: unknown, stored: unknown]>([
    ["an option", Schema.Option(Schema.Number), Option.some(1), { _tag: "Some", value: 1 }],
    ["no option", Schema.Option(Schema.Number), Option.none(), { _tag: "None" }],
    [
      "an either",
      Schema.Either({ left: Schema.String, right: Schema.Date }),
      Either.right(new Date(0)),
      { _tag: "Right", right: "1970-01-01T00:00:00.000Z" },
    ],
    [
      "an instance of a class",
      Person,
      new Person({ name: "Ada", born: new Date(0) }),
      { name: "Ada", born: "1970-01-01T00:00:00.000Z" },
    ],
    [
      "an instance within",
      Schema.Struct({ a: Schema.Array(Person) }),
      { a: [new Person({ name: "Ada", born: new Date(0) })] },
      { a: [{ name: "Ada", born: "1970-01-01T00:00:00.000Z" }] },
    ],
    ["a date", Schema.Struct({ at: Schema.Date }), { at: new Date(0) }, { at: "1970-01-01T00:00:00.000Z" }],
    ["a number that is stored as text", Schema.NumberFromString, 7, "7"],
    ["a map", Schema.Map({ key: Schema.String, value: Schema.Number }), new Map([["a", 1]]), [["a", 1]]],
    ["a number within a union", Schema.Union(Schema.BigInt, Schema.Null), 5n, "5"],
  ] as never)("takes a value of the type as well, and stores its encoded form: %s", ([, schema, given, stored]) =>
    Effect.gen(function* () {
      const result = yield* through(schema, given)
      expect(result.stored).toEqual(stored)
      expect(yield* Codec.make(schema).encode(result.restored)).toEqual(stored)
    }),
  )

  it.effect("says of a value that is of the type and does not fit why that is so", () =>
    Effect.gen(function* () {
      expect(yield* refused(Schema.Option(Schema.Number), Option.some("x"))).toEqual(['Expected number, actual "x"'])
      expect(yield* refused(Schema.Struct({ at: Schema.Date }), { at: 5 })).toEqual([expect.stringMatching(/^at: Expected string/)])
    }),
  )

  it.effect("names every field that does not fit", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({ a: Schema.String, b: Schema.Struct({ c: Schema.Array(Schema.Number) }) })
      expect(yield* refused(schema, { b: { c: [1, "2"] } })).toEqual([
        "a: is missing",
        expect.stringMatching(/^b\.c\.1: Expected number, actual "2"$/),
      ])
      expect(yield* refused(Schema.String, 5)).toEqual(["Expected string, actual 5"])
      expect(yield* Effect.flip(Codec.make(schema).decode({ a: "x" }))).toEqual(["b: is missing"])
    }),
  )

  it.effect("may need services and time, in both directions", () =>
    Effect.gen(function* () {
      class Key extends Context.Tag("test/Key")<Key, number>() {}
      const shifted = Schema.transformOrFail(Schema.Number, Schema.Number, {
        decode: (value) => Effect.map(Effect.zipRight(Effect.yieldNow(), Key), (key) => value - key),
        encode: (value) => Effect.map(Effect.zipRight(Effect.yieldNow(), Key), (key) => value + key),
      })
      const result = yield* Effect.provide(through(Schema.Struct({ a: shifted }), { a: 10 }), Layer.succeed(Key, 3))
      expect(result).toEqual({ stored: { a: 10 }, restored: { a: 7 } })
    }),
  )

  it("describes the stored form as JSON Schema, where there is one", () => {
    const described = Codec.make(Schema.Struct({ a: Schema.Date, b: Schema.optional(Schema.Int) })).jsonSchema
    expect(described).toMatchObject({ type: "object", required: ["a"], properties: { a: { $ref: "#/$defs/Date" } } })
    expect(Codec.make(Schema.Struct({ a: Schema.BigIntFromSelf })).jsonSchema).toBeUndefined()
  })

  it("is made once per schema", () => {
    const [one, other] = [Schema.Struct({ a: Schema.String }), Schema.Struct({ a: Schema.String })]
    expect(Codec.make(one)).toBe(Codec.make(one))
    expect(Codec.make(one)).not.toBe(Codec.make(other))
  })
})

describe("a codec of a Zod schema", () => {
  it.effect.each<[what: string, schema: z.ZodType, given: unknown, stored: unknown]>([
    ["an object, without what it does not know", z.object({ a: z.string() }), { a: "x", b: 1 }, { a: "x" }],
    ["an object that lets everything pass", z.looseObject({ a: z.string() }), { a: "x", b: [1] }, { a: "x", b: [1] }],
    ["a strict object", z.strictObject({ a: z.string() }), { a: "x" }, { a: "x" }],
    ["a default", z.object({ a: z.number().default(4) }), {}, { a: 4 }],
    ["a value to begin with", z.object({ a: z.string().trim().prefault(" x ") }), {}, { a: "x" }],
    ["a value in place of a wrong one", z.object({ a: z.number().catch(3) }), { a: "x" }, { a: 3 }],
    ["an optional field", z.object({ a: z.string().optional() }), { a: undefined }, {}],
    ["a string", z.string(), "x", "x"],
    ["null where that is allowed", z.string().nullable(), null, null],
    ["null", z.null(), null, null],
    ["null in an object", z.object({ a: z.string().nullable() }), { a: null }, { a: null }],
    ["nothing where that is allowed", z.string().optional(), undefined, undefined],
    ["nothing", z.void(), undefined, undefined],
    ["an array", z.array(z.object({ a: z.int() })), [{ a: 1 }], [{ a: 1 }]],
    ["a tuple", z.tuple([z.string(), z.number()]), ["a", 1], ["a", 1]],
    ["a record", z.record(z.string(), z.number()), { a: 1 }, { a: 1 }],
    [
      "a union",
      z.discriminatedUnion("t", [z.object({ t: z.literal("a"), x: z.number() }), z.object({ t: z.literal("b") })]),
      { t: "b", x: 1 },
      { t: "b" },
    ],
    ["anything", z.any(), { a: [null] }, { a: [null] }],
    ["a coercion", z.object({ a: z.coerce.number() }), { a: "5" }, { a: 5 }],
    ["a transform", z.string().transform((text) => text.length), "abc", 3],
    ["a transform of a field", z.object({ a: z.string().transform((text) => ({ text })) }), { a: "x" }, { a: { text: "x" } }],
    ["a transform that keeps the type", z.string().transform((text) => `${text}!`), "x", "x!"],
    [
      "a transform that keeps the type, and a check of it",
      z
        .string()
        .transform((text) => `${text}!`)
        .pipe(z.string()),
      "x",
      "x!",
    ],
    [
      "such a transform of a field",
      z.object({
        a: z.array(
          z
            .string()
            .transform((text) => `${text}!`)
            .pipe(z.string()),
        ),
      }),
      { a: ["x"] },
      { a: ["x!"] },
    ],
    ["an overwrite", z.string().overwrite((text) => `${text}!`), "x", "x!"],
    ["a preparation", z.object({ a: z.preprocess((value) => Number(value) + 1, z.number()) }), { a: "4" }, { a: 5 }],
    [
      "a codec",
      z.codec(z.string(), z.string(), { decode: (text) => `<${text}>`, encode: (text) => text.slice(1, -1) }),
      "x",
      "<x>",
    ],
    [
      "a transform of a field with a name that JSON Schema uses",
      z.object({ default: z.string().transform(Number).pipe(z.number()) }),
      { default: "5" },
      { default: 5 },
    ],
  ])("stores what validation gives, and reads back the same, once: %s", ([, schema, given, stored]) =>
    Effect.gen(function* () {
      const result = yield* through(schema, given)
      expect(result.stored).toEqual(stored)
      expect(result.restored).toEqual(stored)
    }),
  )

  it.effect("names every field that does not fit", () =>
    Effect.gen(function* () {
      const schema = z.object({ a: z.string(), b: z.array(z.object({ c: z.number() })) })
      expect(yield* refused(schema, { a: 1, b: [{ c: "x" }] })).toEqual([
        expect.stringMatching(/^a: .*expected string/),
        expect.stringMatching(/^b\.0\.c: .*expected number/),
      ])
      expect(yield* refused(z.string(), 5)).toEqual([expect.stringMatching(/^Invalid input: expected string/)])
    }),
  )

  it.effect(
    "refuses a stored value that its schema no longer accepts, and gives fields that the schema has gained their defaults",
    () =>
      Effect.gen(function* () {
        const restore = (schema: z.ZodType, stored: Codec.Json) => Codec.make(schema).decode(stored)
        expect(yield* Effect.flip(restore(z.object({ a: z.string() }), { a: 1 }))).toEqual([expect.stringMatching(/^a: /)])
        expect(yield* restore(z.object({ a: z.string(), b: z.number().default(2) }), { a: "x" })).toEqual({ a: "x", b: 2 })
        expect(yield* restore(z.object({ a: z.string() }), { a: "x", b: 1 })).toEqual({ a: "x" })
        expect(yield* restore(z.array(z.object({ a: z.string(), b: z.number().default(2) })), [{ a: "x" }])).toEqual([
          { a: "x", b: 2 },
        ])
      }),
  )

  it.effect("waits for checks that take time", () =>
    Effect.gen(function* () {
      const schema = z.object({ a: z.string().refine(async (text) => text !== "taken", "is taken") })
      expect(yield* through(schema, { a: "free" })).toEqual({ stored: { a: "free" }, restored: { a: "free" } })
      expect(yield* refused(schema, { a: "taken" })).toEqual(["a: is taken"])
    }),
  )

  it.effect("refuses what a transform made of it where JSON cannot hold that", () =>
    Effect.gen(function* () {
      const schema = z.object({ when: z.object({ at: z.string().transform((text) => new Date(text)) }) })
      expect(yield* refused(schema, { when: { at: "2020-01-01" } })).toEqual(["when.at: a Date is not a JSON value"])
    }),
  )

  it("describes the stored form, not the one taken in", () => {
    const schema = z.object({ a: z.string().transform(Number).pipe(z.number()), b: z.string().default("x") })
    expect(Codec.make(schema).jsonSchema).toMatchObject({ properties: { a: { type: "number" } }, required: ["a", "b"] })
    expect(Codec.make(z.date()).jsonSchema).toBeUndefined()
  })
})

describe("a codec of another Standard Schema", () => {
  /** A length, given as text. Nothing is known of it but that it validates. */
  const Length = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value: unknown) =>
        typeof value === "string"
          ? { value: value.length }
          : { issues: [{ message: "no text" }, { message: "too bad", path: ["a", { key: 1 }, Symbol.for("s")] }] },
    },
  } satisfies Codec.AnySchema

  it.effect("takes it once, and reads back what is stored as it is", () =>
    Effect.gen(function* () {
      expect(yield* through(Length, "abc")).toEqual({ stored: 3, restored: 3 })
      expect(yield* refused(Length, 3)).toEqual(["no text", "a.1.Symbol(s): too bad"])
      expect(Codec.make(Length).jsonSchema).toBeUndefined()
    }),
  )

  it.effect("may be a function, and may answer later", () =>
    Effect.gen(function* () {
      const schema = Object.assign(() => undefined, {
        "~standard": { version: 1, vendor: "test", validate: async (value: unknown) => ({ value: [value] }) },
      } as const)
      expect(Codec.isSchema(schema)).toBe(true)
      expect((yield* through(schema, 1)).stored).toEqual([1])
    }),
  )

  it("is told from what is no schema", () => {
    expect([Length, Schema.String, z.string(), Person].map(Codec.isSchema)).toEqual([true, true, true, true])
    expect([undefined, null, {}, "string", () => 1, { validate: () => 1 }].some(Codec.isSchema)).toBe(false)
  })
})

describe("what JSON cannot hold", () => {
  const cycle: Record<string, unknown> = { a: {} }
  cycle.a = { b: [cycle] }
  class Point {
    x = 1
  }

  it.effect.each<[what: string, value: unknown, issue: string]>([
    ["NaN", { a: [1, Number.NaN] }, "a[1]: NaN is not a JSON number"],
    ["infinity", Number.POSITIVE_INFINITY, "Infinity is not a JSON number"],
    ["a date", { a: { b: new Date(0) } }, "a.b: a Date is not a JSON value"],
    ["a map", { a: new Map() }, "a: a Map is not a JSON value"],
    ["a set", [new Set()], "[0]: a Set is not a JSON value"],
    ["a buffer", { a: new Uint8Array(1) }, "a: a Uint8Array is not a JSON value"],
    ["an error", { a: new Error("no") }, "a: a Error is not a JSON value"],
    ["an instance", { a: new Point() }, "a: a Point is not a JSON value"],
    ["a big number", { a: 1n }, "a: a bigint is not a JSON value"],
    ["a function", { a: () => 1 }, "a: a function is not a JSON value"],
    ["a function that JSON would call", { a: { toJSON: () => 1 } }, "a.toJSON: a function is not a JSON value"],
    ["a symbol", { a: Symbol("s") }, "a: a symbol is not a JSON value"],
    ["a promise", { a: Promise.resolve(1) }, "a: a Promise is not a JSON value"],
    ["a value that contains itself", cycle, "a.b[0]: the value contains itself"],
    ["undefined in an array", { a: [1, undefined] }, "a[1]: undefined in an array"],
    // biome-ignore lint/suspicious/noSparseArray: that is the point
    ["a hole in an array", [, 1], "[0]: undefined in an array"],
  ])("is refused with its path: %s", ([, value, issue]) =>
    Effect.gen(function* () {
      expect(yield* refused(Schema.Unknown, value)).toEqual([issue])
      expect(yield* refused(z.any(), value)).toEqual([issue])
    }),
  )

  it("is nothing else: whatever JSON can hold comes back equal, and is a copy", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.jsonValue(), (value) => {
        const copied = toJson(value)
        if (Either.isLeft(copied)) throw new Error(`refused: ${copied.left.path} ${copied.left.problem}`)
        expect(copied.right).toEqual(value)
        if (typeof value === "object" && value !== null) expect(copied.right).not.toBe(value)
        expect(canonical(copied.right)).toBe(canonical(JSON.parse(JSON.stringify(value))))
      }),
      { seed: 20_260_101 },
    )
  })

  it("may stand twice in a value that does not contain itself", () => {
    const shared = { x: 1 }
    expect(toJson({ a: shared, b: [shared, shared] })).toEqual(Either.right({ a: { x: 1 }, b: [{ x: 1 }, { x: 1 }] }))
  })
})

describe("a value that is nested too deep", () => {
  /** So many arrays, or objects, in each other. */
  const nested = (levels: number, around: (inner: unknown) => unknown): unknown => {
    let made: unknown = 1
    for (let level = 0; level < levels; level++) made = around(made)
    return made
  }
  interface Tree {
    readonly of?: Tree | undefined
  }
  const Recursive: Schema.Schema<Tree> = Schema.Struct({ of: Schema.optional(Schema.suspend(() => Recursive)) })
  const Lazy: z.ZodType = z.lazy(() => z.union([z.number(), z.array(Lazy), z.object({ of: Lazy })]))
  const problem = "it is nested more than 500 levels deep"

  it.effect.each([
    ["arrays", (inner: unknown) => [inner]],
    ["objects", (inner: unknown) => ({ of: inner })],
    ["both, beside others", (inner: unknown) => [{ a: 1, of: inner, b: [] }]],
  ] as const)("is refused by any schema, however deep: %s", ([, around]) =>
    Effect.gen(function* () {
      for (const schema of [Schema.Unknown, Recursive, z.any(), z.json(), Lazy, Schema.Array(Schema.Unknown)]) {
        for (const levels of [501, 100_000, 1_000_000]) expect(yield* refused(schema, nested(levels, around))).toEqual([problem])
      }
      expect(yield* refused(Schema.Struct({ a: Schema.Unknown }), { a: nested(500, around) })).toEqual([problem])
    }),
  )

  it.effect("is taken up to that depth, by schemas that follow it, too", () =>
    Effect.gen(function* () {
      for (const schema of [Schema.Unknown, z.any(), Lazy]) {
        const value = nested(500, (inner) => [inner])
        expect((yield* through(schema, value)).restored).toEqual(value)
      }
    }),
  )
})

describe("a value that cannot be read", () => {
  const traps: ReadonlyArray<readonly [what: string, value: unknown, issue: RegExp]> = [
    [
      "a getter that throws",
      {
        get a() {
          throw new Error("not now")
        },
      },
      /not now/,
    ],
    [
      "a proxy that throws",
      new Proxy(
        {},
        {
          ownKeys() {
            throw new Error("not now")
          },
        },
      ),
      /not now/,
    ],
    [
      "a proxy that is revoked",
      (() => {
        const { proxy, revoke } = Proxy.revocable({}, {})
        revoke()
        return proxy
      })(),
      /revoked|Proxy/i,
    ],
  ]
  it.effect.each(traps)("is refused, with why: %s", ([, value, issue]) =>
    Effect.gen(function* () {
      for (const schema of [Schema.Unknown, Schema.Struct({ a: Schema.String }), z.any(), z.object({ a: z.string() })]) {
        expect(yield* refused(schema, value)).toEqual([expect.stringMatching(issue)])
      }
    }),
  )
})

describe("strings and keys", () => {
  it.effect.each([
    "",
    "\0",
    "\u2028\u2029",
    "'; DROP TABLE smithers_runs; --",
    '\\"\\n$(x)',
    "\ud800",
    "👩‍👩‍👧‍👦 e\u0301",
    "a\r\nb\tc\u007f\u0085",
    "constructor",
    "9007199254740993",
    "x".repeat(200_000),
  ])("of any kind come back as they were: %j", (text) =>
    Effect.gen(function* () {
      const value = { text, [text]: 1, list: [text, { [text]: text }] }
      for (const schema of [Schema.Unknown, z.any()]) {
        const { stored, restored } = yield* through(schema, value)
        expect(stored).toStrictEqual(value)
        expect(restored).toStrictEqual(value)
      }
    }),
  )

  it.effect("may be __proto__, which is a key like any other and changes no prototype", () =>
    Effect.gen(function* () {
      const value: unknown = JSON.parse(`{"__proto__":{"isAdmin":true},"a":{"__proto__":null,"constructor":1,"toString":2}}`)
      for (const schema of [Schema.Unknown, z.any()]) {
        const { restored } = (yield* through(schema, value)) as { readonly restored: Record<string, object> }
        expect(JSON.stringify(restored)).toBe(JSON.stringify(value))
        expect(Object.getPrototypeOf(restored)).toBe(Object.prototype)
        expect(Object.getPrototypeOf(restored.a)).toBe(Object.prototype)
        expect("isAdmin" in restored).toBe(false)
      }
      expect(Object.hasOwn(Object.prototype, "isAdmin")).toBe(false)
    }),
  )

  it("are sorted in the canonical form, so that equal values have equal text", () => {
    const [one, other] = [
      { b: 1, a: { d: [1, { y: 1, x: 2 }], c: null } },
      { a: { c: null, d: [1, { x: 2, y: 1 }] }, b: 1 },
    ]
    expect(canonical(one)).toBe(canonical(other))
    expect(canonical(one)).toBe(`{"a":{"c":null,"d":[1,{"x":2,"y":1}]},"b":1}`)
    expect(canonical([1, 2])).not.toBe(canonical([2, 1]))
    expect(canonical(JSON.parse(`{"__proto__":1}`))).toBe(`{"__proto__":1}`)
  })

  it("tells what is accepted: before defaults and transforms, closed where the library says nothing", () => {
    const { inputSchema } = Codec.make(
      z.object({ n: z.string().transform(Number), d: z.number().default(1), deep: z.array(z.object({ a: z.string() })) }),
    )
    expect(inputSchema).toMatchObject({
      properties: { n: { type: "string" }, deep: { items: { additionalProperties: false } } },
      required: ["n", "deep"],
      additionalProperties: false,
    })
    const both = Codec.make(z.intersection(z.object({ a: z.string() }), z.object({ b: z.string() }))).inputSchema
    expect(both).toMatchObject({ properties: { a: {}, b: {} }, required: ["a", "b"], additionalProperties: false })
    const effect = Codec.make(Schema.Struct({ a: Schema.NumberFromString }))
    expect(effect.inputSchema).toBe(effect.jsonSchema)
  })
})

describe("a codec that has to answer at once", () => {
  class Words extends Context.Tag("test/Words")<Words, ReadonlyArray<string>>() {}
  const Word = Schema.String.pipe(Schema.filterEffect((text) => Effect.map(Words, (words) => words.includes(text))))

  it("gives what it takes, and why it refuses", () => {
    const codec = Codec.makeUnknown(Schema.Struct({ at: Schema.Date }))
    expect(Codec.encodeNow(codec, { at: new Date(0) })).toEqual(Either.right({ at: "1970-01-01T00:00:00.000Z" }))
    expect(Either.map(Codec.decodeSharedNow(codec, { at: "1970-01-01T00:00:00.000Z" }), (kept) => kept.give())).toEqual(
      Either.right({ at: new Date(0) }),
    )
    expect(Codec.encodeNow(codec, {})).toMatchObject(Either.left([expect.stringContaining("at: ")]))
    expect(Codec.decodeSharedNow(codec, { at: 1 })).toMatchObject(Either.left([expect.stringContaining("at: ")]))
  })

  it("asks the services that it is given, and says which it lacks", () => {
    const codec = Codec.make(Word)
    expect(Codec.encodeNow(codec, "yes", Context.make(Words, ["yes"]))).toEqual(Either.right("yes"))
    expect(Codec.encodeNow(codec, "yes")).toMatchObject(Either.left([expect.stringContaining("test/Words")]))
  })

  it("says that it takes time, and what its code throws", () => {
    const slow = Codec.make(z.string().refine(async (text) => text !== ""))
    expect(Codec.encodeNow(slow, "x")).toEqual(Either.left([expect.stringContaining("must not be asynchronous")]))
    const broken = { "~standard": { version: 1, vendor: "test", validate: () => assert() } } as const
    const assert = (): never => {
      throw new RangeError("bug")
    }
    expect(Codec.encodeNow(Codec.make(broken), "x")).toEqual(Either.left(["checking it threw RangeError: bug"]))
  })
})
