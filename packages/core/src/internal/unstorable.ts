/**
 * Finds the parts of a schema whose values can never be stored, without a value: a date, a map, a function. Found when the
 * workflow is built, they do not waste a step whose output would be rejected each time. Problems that only a value shows, such
 * as the result of a transform, are rejected then.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"

/** A kind of value that cannot be stored, and its replacement. */
interface Kind {
  readonly what: string
  readonly instead: string
}

const known = new WeakMap<object, string | undefined>()

/** Searches a schema, once. `undefined` if all of it can be stored. */
export const find = (schema: Schema.Schema.All | StandardSchemaV1): string | undefined => {
  if (!known.has(schema)) known.set(schema, sentence(schema))
  return known.get(schema)
}

const sentence = (schema: Schema.Schema.All | StandardSchemaV1): string | undefined => {
  const found = Schema.isSchema(schema)
    ? inEffect(schema.ast, [], new Set())
    : isZod(schema)
      ? inZod(schema, [], new Set())
      : undefined
  if (found === undefined) return undefined
  const { what, instead, path } = found
  return `${what} cannot be stored${path.length === 0 ? "" : ` (at ${path.join(".")})`}: use ${instead}`
}

type Path = ReadonlyArray<string>
type Found = (Kind & { readonly path: Path }) | undefined

const first = <A>(parts: Iterable<A>, look: (part: A) => Found): Found => {
  for (const part of parts) {
    const found = look(part)
    if (found !== undefined) return found
  }
  return undefined
}

/** Declared types of Effect values, by the name of the schema that encodes them. */
const renamed: ReadonlyMap<string, string> = new Map([
  ["Uint8Array", "Uint8ArrayFromBase64"],
  ["Utc", "DateTimeUtc"],
  ["Zoned", "DateTimeZoned"],
  ["Offset", "TimeZoneOffset"],
  ["Named", "TimeZoneNamed"],
])

/** Searches the encoded side. */
const inEffect = (ast: AST.AST, path: Path, seen: Set<AST.AST>): Found => {
  switch (ast._tag) {
    case "Declaration": {
      const kind = declared(ast)
      return kind && { ...kind, path }
    }
    case "BigIntKeyword":
      return { what: "a bigint", instead: "Schema.BigInt", path }
    case "SymbolKeyword":
    case "UniqueSymbol":
      return { what: "a symbol", instead: "Schema.Symbol", path }
    case "Literal":
      return typeof ast.literal === "bigint" ? { what: "a bigint", instead: "a literal that is text", path } : undefined
    case "TypeLiteral": {
      const symbol = ast.propertySignatures.find(({ name }) => typeof name === "symbol")
      if (symbol !== undefined) return { what: `a field named by ${String(symbol.name)}`, instead: "a name that is text", path }
      return (
        first(ast.propertySignatures, ({ name, type }) => inEffect(type, [...path, String(name)], seen)) ??
        first(ast.indexSignatures, ({ type }) => inEffect(type, [...path, "*"], seen))
      )
    }
    case "TupleType":
      return (
        first(ast.elements.entries(), ([index, { type }]) => inEffect(type, [...path, String(index)], seen)) ??
        first(ast.rest, ({ type }) => inEffect(type, [...path, "*"], seen))
      )
    case "Union":
      return first(ast.types, (type) => inEffect(type, path, seen))
    case "Refinement":
      return inEffect(ast.from, path, seen)
    case "Transformation":
      // Its encoded form is the secret itself.
      return isRedacted(ast.to) ? { ...redacted, path } : inEffect(ast.from, path, seen)
    case "Suspend":
      if (seen.has(ast)) return undefined
      seen.add(ast)
      return inEffect(ast.f(), path, seen)
    default:
      return undefined
  }
}

const redacted: Kind = {
  what: "a secret (Schema.Redacted)",
  instead: "its name as text, and Config.redacted or a service in the step that needs its value",
}

const isRedacted = (ast: AST.AST): boolean =>
  Option.getOrUndefined(AST.getTypeConstructorAnnotation(ast))?._tag === "effect/Redacted"

/** A declared type may be a plain object; these are not. */
const declared = (ast: AST.Declaration): Kind | undefined => {
  if (isRedacted(ast)) return redacted
  const type = Option.getOrUndefined(AST.getTypeConstructorAnnotation(ast))
  if (type !== undefined) {
    const name = type._tag.replace(/.*[/.]/s, "")
    return { what: `a value of type ${name}`, instead: `Schema.${renamed.get(name) ?? name}` }
  }
  const instance = ast.annotations[Schema.InstanceOfSchemaId]
  const isClass = Option.isSome(AST.getSurrogateAnnotation(ast))
  if (instance === undefined && !isClass) return undefined
  const name = isClass ? Option.getOrUndefined(AST.getIdentifierAnnotation(ast)) : classNameIn(instance)
  return {
    what: `an instance of ${name ?? "a class"}`,
    instead: isClass
      ? "the class itself as the schema, whose encoded form is an object"
      : "Schema.Class, or Schema.transform from what is stored",
  }
}

/** The name of the class in the annotation of `Schema.instanceOf`. */
const classNameIn = (instance: unknown): string | undefined => {
  if (typeof instance !== "object" || instance === null || !("constructor" in instance)) return undefined
  return typeof instance.constructor === "function" ? instance.constructor.name : undefined
}

const isZod = (schema: object): schema is Zod => "_zod" in schema

/** The fields of a Zod 4 schema that are read here. */
interface Zod {
  readonly _zod?: { readonly def: ZodDef; readonly bag?: { readonly Class?: { readonly name: string } } }
}
interface ZodDef {
  readonly type: string
  readonly values?: ReadonlyArray<unknown>
  readonly shape?: { readonly [key: string]: Zod }
  readonly element?: Zod
  readonly items?: ReadonlyArray<Zod>
  readonly rest?: Zod | null
  readonly options?: ReadonlyArray<Zod>
  readonly left?: Zod
  readonly right?: Zod
  readonly valueType?: Zod
  readonly catchall?: Zod
  readonly innerType?: Zod
  readonly out?: Zod
  readonly getter?: () => Zod
}

const zodBigInt: Kind = { what: "a bigint", instead: "z.string(), and BigInt(…) where it is read" }

const zodKinds: ReadonlyMap<string, Kind> = new Map([
  ["date", { what: "a Date", instead: "z.iso.datetime(), and new Date(…) where it is read" }],
  ["bigint", zodBigInt],
  ["map", { what: "a Map", instead: "z.record(z.string(), …)" }],
  ["set", { what: "a Set", instead: "z.array(…)" }],
  ["symbol", { what: "a symbol", instead: "z.string() or z.enum(…)" }],
  ["nan", { what: "NaN", instead: "z.number(), or z.null() for none" }],
  ["file", { what: "a File", instead: "z.string(), for its path or its content as text" }],
  ["function", { what: "a function", instead: "what it gives" }],
])

/** Searches the output side. */
const inZod = (schema: Zod, path: Path, seen: Set<Zod>): Found => {
  if (schema._zod === undefined || seen.has(schema)) return undefined
  seen.add(schema)
  const { def, bag } = schema._zod
  const kind = zodKinds.get(def.type)
  if (kind !== undefined) return { ...kind, path }
  const within = (part: Zod | null | undefined, ...key: ReadonlyArray<string>): Found =>
    part === undefined || part === null ? undefined : inZod(part, [...path, ...key], seen)
  switch (def.type) {
    case "custom": {
      const name = bag?.Class?.name
      if (name === undefined) return undefined
      return {
        ...(zodKinds.get(name.toLowerCase()) ?? { what: `an instance of ${name}`, instead: "an object of its fields" }),
        path,
      }
    }
    case "literal":
      return def.values?.some((value) => typeof value === "bigint") === true ? { ...zodBigInt, path } : undefined
    case "object":
      return first(Object.entries(def.shape ?? {}), ([key, part]) => within(part, key)) ?? within(def.catchall, "*")
    case "array":
      return within(def.element, "*")
    case "tuple":
      return first((def.items ?? []).entries(), ([index, part]) => within(part, String(index))) ?? within(def.rest, "*")
    case "union":
      return first(def.options ?? [], (part) => within(part))
    case "intersection":
      return within(def.left) ?? within(def.right)
    case "record":
      return within(def.valueType, "*")
    case "pipe":
      return within(def.out)
    case "lazy":
      return within(def.getter?.())
    case "success":
      return undefined
    default:
      return within(def.innerType)
  }
}
