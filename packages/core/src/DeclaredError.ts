/**
 * Errors that a step declares by a schema. They are stored encoded and passed on decoded: the same error with the same fields
 * in this process and any later one. Their schemas need no services and are synchronous.
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import type { Issues, Json } from "./Codec.ts"
import type { ErrorInfo } from "./ErrorInfo.ts"
import type { NodeId } from "./Ids.ts"
import { toJson } from "./internal/json.ts"
import * as Thrown from "./Thrown.ts"

/** A schema of errors. */
// biome-ignore lint/suspicious/noExplicitAny: a constraint only; the type parameters of the actual schema are inferred
export type ErrorSchema = Schema.Schema<any, any, never>

/** The errors of a schema. */
export type ErrorOf<S> = S extends Schema.Schema<infer E, infer _I, infer _R> ? E : never

/** The error of an attempt as passed to authors' functions; `declared` is the decoded error, if it is a declared one. */
export type AttemptError<E> = [E] extends [never] ? ErrorInfo : ErrorInfo & { readonly declared?: E }

/** A normalized schema of errors. */
export interface ErrorCodec {
  /** Encodes a declared error, or returns the issues. `undefined` if the error is not declared. */
  readonly encode: (raised: unknown) => Either.Either<Json, Issues> | undefined
  /** Decodes a stored error; none if it does not fit the current schema. */
  readonly decode: (stored: unknown) => Option.Option<unknown>
}

/** Makes the codec of a schema of errors. */
export const make = (schema: ErrorSchema): ErrorCodec => {
  const options = { errors: "all" } as const
  const isDeclared = ParseResult.is(schema)
  const encode = ParseResult.encodeUnknownEither(schema, options)
  const decode = ParseResult.decodeUnknownEither(schema, options)
  const tags = tagsOf(AST.encodedAST(schema.ast))
  const guarded = <A>(look: () => Either.Either<A, Issues>): Either.Either<A, Issues> => {
    try {
      return look()
    } catch (thrown) {
      return Either.left([Thrown.describe(thrown).message])
    }
  }
  const stored = (raised: unknown): Either.Either<Json, Issues> =>
    guarded(() =>
      Either.gen(function* () {
        const encoded = yield* Either.mapLeft(encode(raised), issuesOf)
        const copied = yield* Either.mapLeft(toJson(encoded), ({ path, problem }) => [
          path === "" ? problem : `${path}: ${problem}`,
        ])
        yield* Either.mapLeft(decode(copied), issuesOf)
        return copied
      }),
    )
  return {
    encode: (raised) => {
      const is = guarded(() => Either.right(isDeclared(raised)))
      if (Either.isRight(is) && is.right) return stored(raised)
      const tag = Thrown.get(raised, "_tag")
      if (typeof tag !== "string" || !tags.has(tag)) return undefined
      // It has the tag of a declared error and does not match its schema.
      const issues = Either.flip(stored(raised))
      return Either.left(Either.getOrElse(issues, () => [`it does not match the declared "${tag}"`]))
    },
    decode: (value) => Either.getRight(guarded(() => Either.mapLeft(decode(value), issuesOf))),
  }
}

const issuesOf = (issue: ParseResult.ParseIssue): Issues =>
  ParseResult.ArrayFormatter.formatIssueSync(issue).map(({ path, message }) =>
    path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`,
  )

/** The tags of the errors of a schema. */
const tagsOf = (ast: AST.AST, found: Set<string> = new Set(), seen: Set<AST.AST> = new Set()): ReadonlySet<string> => {
  if (seen.has(ast)) return found
  seen.add(ast)
  if (AST.isUnion(ast)) for (const type of ast.types) tagsOf(type, found, seen)
  if (AST.isSuspend(ast)) tagsOf(ast.f(), found, seen)
  if (AST.isTypeLiteral(ast)) {
    const tag = ast.propertySignatures.find(({ name }) => name === "_tag")?.type
    if (tag !== undefined && AST.isLiteral(tag) && typeof tag.literal === "string") found.add(tag.literal)
  }
  return found
}

/** A declared error of a child run as its parent stores it: the failed node of the child, and the encoded error. */
const OfChild = Schema.Struct({ nodeId: Schema.String, error: Schema.Unknown })

/** Encodes a declared error of a child run for its parent. */
export const ofChild = (nodeId: NodeId, error: unknown): typeof OfChild.Type => ({ nodeId, error })

const readOfChild = Schema.decodeUnknownOption(OfChild)

/** Makes the codec of the declared errors of a child run. */
export const makeOfChild = (errorOf: (nodeId: NodeId) => ErrorCodec | undefined): ErrorCodec => ({
  encode: () => undefined,
  decode: (stored) =>
    Option.flatMap(readOfChild(stored), ({ nodeId, error }) =>
      Option.flatMapNullable(Option.some(nodeId), errorOf).pipe(Option.flatMap((codec) => codec.decode(error))),
    ),
})

/** Decodes the declared error of a failure; `undefined` if it has none. */
export const find = (codec: ErrorCodec | undefined, { declared }: Pick<ErrorInfo, "declared">): unknown =>
  codec === undefined || declared === undefined ? undefined : Option.getOrUndefined(codec.decode(declared))

/** The error of an attempt as passed to authors' functions, with the declared error decoded. */
export const tell = (codec: ErrorCodec | undefined, error: ErrorInfo): ErrorInfo => {
  if (error.declared === undefined) return error
  const { declared: _, ...rest } = error
  const declared = find(codec, error)
  return declared === undefined ? rest : { ...rest, declared }
}
