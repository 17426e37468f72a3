/**
 * Codecs of Effect Schemas and Standard Schemas (Zod 4, Valibot, ArkType): validate a value, encode it for the store, and
 * decode the stored form.
 *
 * An Effect Schema is two-way: the encoded form of the decoded value is stored. A Standard Schema only validates: the validated
 * value itself is stored, with defaults and transforms applied. If its JSON Schemas show that input and output have the same
 * shape, a stored value is validated again when it is read. Otherwise it is used as stored, since a transform must not be
 * applied twice.
 */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as JSONSchema from "effect/JSONSchema"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import * as EffectVersion from "./EffectVersion.ts"
import { cutIssues } from "./ErrorInfo.ts"
import { canonical, isPlainObject, isTooDeep, type Json, toJson } from "./internal/json.ts"
import * as SharedValue from "./internal/sharedValue.ts"
import * as Unstorable from "./internal/unstorable.ts"
import * as Thrown from "./Thrown.ts"

export type { Json } from "./internal/json.ts"
export { adviceOn, Outputs, type SharedValue } from "./internal/sharedValue.ts"

/** Any schema of an input or an output. */
// biome-ignore lint/suspicious/noExplicitAny: a constraint only; the type parameters of the actual schema are inferred
export type AnySchema = Schema.Schema<any, any, any> | StandardSchemaV1<any, any>

/** The type that a schema accepts, from a step or a caller. For an Effect Schema its encoded form, or a value of its type. */
export type Input<S> =
  S extends Schema.Schema<infer A, infer I, infer _R>
    ? [A] extends [I]
      ? I
      : I | A
    : S extends StandardSchemaV1<infer I, infer _A>
      ? I
      : never

/** The type that a schema decodes to, as later steps receive it. */
export type Output<S> =
  S extends Schema.Schema<infer A, infer _I, infer _R> ? A : S extends StandardSchemaV1<infer _I, infer A> ? A : never

/** The services that a schema needs to decode and encode. */
export type Services<S> = S extends Schema.Schema<infer _A, infer _I, infer R> ? R : never

/** The issues of an invalid value, one per line, beginning with the path. */
export type Issues = ReadonlyArray<string>

/** A normalized schema. */
export interface Codec<A = unknown, R = never> {
  /** Validates a value and returns its encoded form; `undefined` for schemas such as `Schema.Void`. */
  readonly encode: (value: unknown) => Effect.Effect<Json | undefined, Issues, R>
  /** Decodes a stored form. Fails if it does not match the current schema. */
  readonly decode: (stored: Json | undefined) => Effect.Effect<A, Issues, R>
  /**
   * Makes a function that decodes a value again, to get a copy that shares nothing with it. Used for values that cannot be
   * frozen, such as instances of classes. `undefined` if that is not possible synchronously.
   */
  readonly redecode?: (value: unknown, stored: Json | undefined) => (() => A) | undefined
  /** Tells whether a value that looks like an Effect, such as an Option or an Either, is one of the schema's own values. */
  readonly isValue?: (value: unknown) => boolean
  /**
   * The reason no value of the schema can be stored, and what to use instead. A part of it has no encoded form, or it is of
   * another version of Effect. `undefined` if none is known.
   */
  readonly unstorable?: string | undefined
  /** JSON Schema of the stored form; `undefined` if the library cannot give one. */
  readonly jsonSchema: JsonSchema | undefined
  /** JSON Schema of the accepted value, before defaults and transforms: the one to show to those who provide it. */
  readonly inputSchema: JsonSchema | undefined
}

/** A JSON Schema document (draft 7 or 2020-12). */
export interface JsonSchema {
  readonly [keyword: string]: unknown
}

const cache = new WeakMap<object, Codec>()

/** Makes the codec of a schema. The same schema gives the same codec. */
export const make = <S extends AnySchema>(schema: S): Codec<Output<S>, Services<S>> => {
  const cached = cache.get(schema)
  if (cached !== undefined) return cached as Codec<Output<S>, Services<S>>
  const made = Schema.isSchema(schema) ? fromEffect(schema) : fromStandard(schema as StandardSchemaV1)
  cache.set(schema, made as Codec)
  return made as Codec<Output<S>, Services<S>>
}

/** Decodes a stored form for repeated use: receivers of the value cannot change it for each other. */
export const decodeShared = <A, R>(
  codec: Codec<A, R>,
  stored: Json | undefined,
): Effect.Effect<SharedValue.SharedValue<A>, Issues, R> => {
  return chain(codec.decode(stored), (value) => Either.right(SharedValue.share(value, () => codec.redecode?.(value, stored))))
}

/** Makes the codec of a schema without its types. */
export const makeUnknown = (schema: AnySchema): Codec<unknown, unknown> => make(schema)

/** Runs a codec synchronously. Missing services are a defect, which becomes an issue. */
const now = <A, R>(ask: () => Effect.Effect<A, Issues, R>, services?: Context.Context<R>): Either.Either<A, Issues> => {
  let given: Effect.Effect<A, Issues, R>
  try {
    given = ask()
  } catch (thrown) {
    return Either.left([thrownMessage(thrown)])
  }
  // Most answer at once. A fiber would cost more than the answer.
  if (Either.isEither(given)) return given as Either.Either<A, Issues>
  const asked = Effect.catchAllDefect(given, (thrown) => Effect.fail([thrownMessage(thrown)]))
  const answer = Effect.either(services === undefined ? asked : Effect.provide(asked, services))
  const exit = Effect.runSyncExit(answer as Effect.Effect<Either.Either<A, Issues>>)
  return Exit.isSuccess(exit)
    ? exit.value
    : Either.left(["its schema cannot be checked at once: schemas of inputs of child runs and of waits must not be asynchronous"])
}

/** Validates and encodes a value like `encode`, synchronously. An asynchronous schema is rejected. */
export const encodeNow = <A, R>(
  codec: Codec<A, R>,
  value: unknown,
  services?: Context.Context<R>,
): Either.Either<Json | undefined, Issues> => now(() => codec.encode(value), services)

/** Decodes a stored form like {@link decodeShared}, synchronously. */
export const decodeSharedNow = <A, R>(
  codec: Codec<A, R>,
  stored: Json | undefined,
  services?: Context.Context<R>,
): Either.Either<SharedValue.SharedValue<A>, Issues> => now(() => decodeShared(codec, stored), services)

/** The issues of a value; `undefined` if it is valid, or cannot be validated synchronously. */
export const issuesNow = <A, R>(codec: Codec<A, R>, value: unknown): Issues | undefined => {
  let accepted: Effect.Effect<unknown, Issues, R>
  try {
    accepted = codec.encode(value)
  } catch {
    return undefined
  }
  if (Either.isEither(accepted) && Either.isRight(accepted)) return undefined
  // An asynchronous schema, or one that needs services or throws, gives no issues.
  const checked = Effect.runSyncExit(Effect.either(accepted) as Effect.Effect<Either.Either<unknown, Issues>>)
  return Exit.isSuccess(checked) && Either.isLeft(checked.value) ? checked.value.left : undefined
}

const isKeywords = (schema: unknown): schema is JsonSchema => typeof schema === "object" && schema !== null

/** Tells whether a codec may accept text, by its JSON Schema; true without one. */
export const acceptsText = <A, R>({ inputSchema }: Codec<A, R>): boolean => {
  if (inputSchema === undefined) return true
  const follow = (schema: unknown, left: number): boolean => {
    if (!isKeywords(schema) || left === 0) return schema !== false
    const { type, $ref, anyOf, oneOf, allOf, enum: words, const: word } = schema
    if (type !== undefined) return type === "string" || (Array.isArray(type) && type.includes("string"))
    if (Array.isArray(words)) return words.some((one) => typeof one === "string")
    if ("const" in schema) return typeof word === "string"
    if (typeof $ref === "string") {
      const names = $ref.split("/").slice(1)
      const target = names.reduce<unknown>((inner, key) => (isKeywords(inner) ? inner[key] : undefined), inputSchema)
      return follow(target, left - 1)
    }
    const some = anyOf ?? oneOf
    if (Array.isArray(some)) return some.some((one) => follow(one, left - 1))
    return !Array.isArray(allOf) || allOf.every((one) => follow(one, left - 1))
  }
  return follow(inputSchema, 50)
}

/** Continues synchronously if possible, which saves building and running an Effect. */
const chain = <A, B, R>(
  before: Effect.Effect<A, Issues, R>,
  next: (value: A) => Either.Either<B, Issues>,
): Effect.Effect<B, Issues, R> =>
  Either.isEither(before) ? Either.flatMap(before as Either.Either<A, Issues>, next) : Effect.flatMap(before, next)

/** Tells whether a value is a schema of either kind. */
export const isSchema = (value: unknown): value is AnySchema =>
  Schema.isSchema(value) ||
  (typeof value === "object" && value !== null && "~standard" in value) ||
  (typeof value === "function" && "~standard" in value)

/** The issue of a validation that threw, in code of the schema or of the value. */
export const thrownMessage = (thrown: unknown): string => {
  const { name, message } = Thrown.describe(thrown)
  return `checking it threw ${name}: ${message}`
}

const line = (path: string, message: string): string => (path === "" ? message : `${path}: ${message}`)

const refuse = (found: { readonly path: string; readonly problem: string }): Issues => cutIssues([line(found.path, found.problem)])

/** Issues of values that match their schema, but are of a kind that cannot be stored. */
const unstorable = new WeakSet<Issues>()

/** Tells whether issues are of a value of a kind that cannot be stored, so that another attempt cannot help. */
export const isUnstorable = (issues: Issues): boolean =>
  // Within a span Effect wraps failures, to remember the span.
  unstorable.has(Cause.originalError(issues))

const storable = (value: unknown): Either.Either<Json | undefined, Issues> => {
  if (value === undefined) return Either.right(undefined)
  const result = toJson(value)
  return Either.mapLeft(result, (refused) => {
    const issues = refuse(refused)
    if (refused.isKind) unstorable.add(issues)
    return issues
  })
}

/**
 * The reason a value cannot be processed: it is nested too deep, or cannot be read. Schemas may follow a value to any depth, so
 * they are not called then.
 */
const unreadable = (value: unknown): Issues | undefined => {
  try {
    if (!isTooDeep(value)) return undefined
  } catch {
    // A getter or a proxy threw.
  }
  const result = toJson(value)
  return Either.isLeft(result) ? refuse(result.left) : undefined
}

const parseIssues = (issue: ParseResult.ParseIssue): Issues =>
  cutIssues(ParseResult.ArrayFormatter.formatIssueSync(issue).map((found) => line(found.path.map(String).join("."), found.message)))

/** The value, if a schema answers synchronously, as nearly all do. */
const answer = <A, E, R>(parsed: Effect.Effect<A, E, R>): { readonly value: A } | undefined =>
  Either.isEither(parsed) && Either.isRight(parsed) ? { value: parsed.right as A } : undefined

const fromEffect = <A, I, R>(schema: Schema.Schema<A, I, R>): Codec<A, R> => {
  const options = { errors: "all" } as const
  const decode = ParseResult.decodeUnknown(schema, options)
  const encode = ParseResult.encodeUnknown(schema, options)
  const ownEffects = declarations(AST.typeAST(schema.ast)).map((ast) => ParseResult.is(Schema.make(ast)))
  let described: JsonSchema | undefined | null = null
  /** A value that is not the encoded form may be of the decoded type. */
  const acceptEither = (value: unknown): Effect.Effect<unknown, ParseResult.ParseIssue, R> =>
    Effect.catchAll(Effect.flatMap(decode(value), encode), (issue) =>
      Effect.mapError(encode(value), (other) => (isInstance(value) ? other : issue)),
    )
  return {
    encode: (value) => {
      const refused = unreadable(value)
      if (refused !== undefined) return Either.left(refused)
      const decoded = answer(decode(value))
      const encoded = decoded === undefined ? undefined : answer(encode(decoded.value))
      if (encoded !== undefined) return storable(encoded.value)
      return chain(Effect.mapError(acceptEither(value), parseIssues), storable)
    },
    decode: (stored) => {
      const decoded = decode(stored)
      const answered = answer(decoded)
      return answered === undefined ? Effect.mapError(decoded, parseIssues) : Either.right(answered.value)
    },
    redecode: (value) => {
      const encoded = answer(encode(value))
      if (encoded === undefined || answer(decode(encoded.value)) === undefined) return undefined
      return () => answer(decode(encoded.value))?.value ?? (value as A)
    },
    isValue: (value) => ownEffects.some((is) => is(value)),
    get unstorable() {
      return EffectVersion.problemOfSchema(schema) ?? Unstorable.find(schema)
    },
    get jsonSchema() {
      if (described === null) described = attempt(() => anonymous(JSONSchema.make(schema)) as JsonSchema)
      return described
    },
    get inputSchema() {
      return this.jsonSchema
    },
  }
}

/** Tells whether a value is an object of a class, which only the decoded type of a schema can be. */
const isInstance = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !isPlainObject(value)

/** The declared types in a type, such as an Option or an instance of a class, which are neither literals nor structures. */
const declarations = (ast: AST.AST, around: ReadonlyArray<AST.AST> = []): ReadonlyArray<AST.AST> => {
  switch (ast._tag) {
    case "Declaration":
      return [ast]
    case "Refinement":
      return declarations(ast.from, around)
    case "Union":
      return ast.types.flatMap((type) => declarations(type, around))
    case "Suspend":
      return around.includes(ast) ? [] : declarations(ast.f(), [...around, ast])
    default:
      return []
  }
}

/**
 * Removes the `$id`s that Effect adds where it has no keywords. `Schema.Unknown` twice in one document would give two schemas
 * of one id, which validators refuse.
 */
const anonymous = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(anonymous)
  if (typeof schema !== "object" || schema === null) return schema
  const kept = Object.entries(schema).filter(([key, value]) => !(key === "$id" && typeof value === "string"))
  return Object.fromEntries(kept.map(([key, value]) => [key, anonymous(value)]))
}

const standardIssues = (issues: ReadonlyArray<StandardSchemaV1.Issue>): Issues =>
  cutIssues(
    issues.map((issue) => {
      const path = (issue.path ?? []).map((segment) => String(typeof segment === "object" ? segment.key : segment))
      return line(path.join("."), issue.message)
    }),
  )

const fromStandard = (schema: StandardSchemaV1): Codec => {
  const validate = (value: unknown): Effect.Effect<unknown, Issues> => {
    const refused = unreadable(value)
    if (refused !== undefined) return Either.left(refused)
    const result = schema["~standard"].validate(value)
    return result instanceof Promise
      ? Effect.flatMap(
          Effect.promise(() => result),
          judged,
        )
      : judged(result)
  }
  let shape: ReturnType<typeof describeStandard> | undefined
  const describe = () => {
    if (shape === undefined) shape = describeStandard(schema)
    return shape
  }
  return {
    encode: (value) => chain(validate(value), storable),
    decode: (stored) =>
      describe().isTwoWay
        ? chain(validate(stored), (value) => Either.right(isReread(stored, value) ? value : stored))
        : Either.right(stored),
    get unstorable() {
      return Unstorable.find(schema)
    },
    get jsonSchema() {
      return describe().output
    },
    get inputSchema() {
      return describe().input
    },
  }
}

const judged = (result: StandardSchemaV1.Result<unknown>): Either.Either<unknown, Issues> =>
  result.issues === undefined ? Either.right(result.value) : Either.left(standardIssues(result.issues))

const describeStandard = (schema: StandardSchemaV1) => {
  const converter = (schema as unknown as Partial<StandardJSONSchemaV1>)["~standard"]?.jsonSchema
  if (converter === undefined) return { input: undefined, output: undefined, isTwoWay: false }
  const target = { target: "draft-2020-12" }
  const output = attempt(() => converter.output(target))
  const input = attempt(() => converter.input(target))
  const isTwoWay = output !== undefined && input !== undefined && canonical(essence(input)) === canonical(essence(output))
  return { input: input === undefined ? undefined : (closed(input) as JsonSchema), output, isTwoWay }
}

/**
 * Tells whether a stored value and its revalidated form differ at most by fields that the schema has gained or lost. Any other
 * difference shows a transform that was applied twice.
 */
const isReread = (stored: unknown, value: unknown): boolean => {
  if (Object.is(stored, value)) return true
  if (typeof stored !== "object" || typeof value !== "object" || stored === null || value === null) return false
  if (Array.isArray(stored) !== Array.isArray(value)) return false
  if (Array.isArray(stored) && stored.length !== (value as ReadonlyArray<unknown>).length) return false
  return Object.keys(stored).every(
    (key) => !Object.hasOwn(value, key) || isReread(stored[key as keyof object], value[key as keyof object]),
  )
}

/** Keywords whose members are named by the author. */
const named: ReadonlySet<string> = new Set(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"])

/**
 * Closes the objects of a JSON Schema to unknown fields, unless it says otherwise. Fields that a library accepts and drops must
 * not be requested, and strict providers require closed objects.
 */
const closed = (schema: unknown, isNamed = false): unknown => {
  if (Array.isArray(schema)) return schema.map((item) => closed(item))
  // Parts that one value must match together cannot be closed.
  if (typeof schema !== "object" || schema === null || (!isNamed && "allOf" in schema)) return schema
  const inner = Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => [keyword, closed(value, !isNamed && named.has(keyword))]),
  )
  const isOpen = !isNamed && "properties" in schema && !("additionalProperties" in schema)
  return isOpen ? { ...inner, additionalProperties: false } : inner
}

/** Removes the parts of a JSON Schema that defaults and strictness change between input and output. */
const essence = (schema: unknown, isNamed = false): Json => {
  if (Array.isArray(schema)) return schema.map((item) => essence(item))
  if (typeof schema !== "object" || schema === null) return schema as Json
  const kept = Object.entries(schema).filter(
    ([keyword]) => isNamed || (keyword !== "required" && keyword !== "default" && keyword !== "additionalProperties"),
  )
  return Object.fromEntries(kept.map(([keyword, value]) => [keyword, essence(value, !isNamed && named.has(keyword))]))
}

/** Libraries throw if they cannot describe a schema; then there is no description. */
const attempt = <A>(describe: () => A): A | undefined => {
  try {
    return describe()
  } catch {
    return undefined
  }
}
