/**
 * Tokens of the API. A file beside the database holds the token of its owner, another one the hashes of further tokens with their
 * names and scopes. Both are readable by nobody else.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import * as Later from "@smithers/core/Later"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type CallerShape, scopes } from "../operations/Caller.ts"
import * as OwnFile from "./OwnFile.ts"

/** There is a token of this name already. */
export class TokenNameTaken extends Later.TaggedError<TokenNameTaken>()("TokenNameTaken", { name: Schema.String }) {
  override get message(): string {
    return `There is a token "${this.name}" already. Remove it first, or choose another name: smithers token list`
  }
}

/** There is no token of this name. */
export class NoSuchToken extends Later.TaggedError<NoSuchToken>()("NoSuchToken", { name: Schema.String }) {
  override get message(): string {
    return `There is no token "${this.name}". List them: smithers token list`
  }
}

/** A token by its hash, with who it stands for. */
export interface Token extends CallerShape {
  readonly hash: Buffer
}

export const hashOf = (token: string): Buffer => createHash("sha256").update(token).digest()

/** Returns the caller of a token. Compares all hashes, each in constant time. */
export const find = (tokens: ReadonlyArray<Token>, given: string): CallerShape | undefined => {
  const hash = hashOf(given)
  const found = tokens.filter((token) => timingSafeEqual(token.hash, hash))[0]
  if (found === undefined) return undefined
  const { hash: _, ...caller } = found
  return caller
}

/** Makes a token: 256 random bits. */
const fresh = (): string => randomBytes(32).toString("base64url")

/** Reads the token in a file, and writes a new one if there is no file. */
export const ownerToken = (path: string): Effect.Effect<string, OwnFile.UnsafeToken> =>
  OwnFile.attempt(path, () => {
    const made = fresh()
    if (OwnFile.create(path, `${made}\n`)) return made
    const token = OwnFile.read(path)?.trim() ?? ""
    if (!/^[\w-]{43}$/.test(token)) throw new Error("it holds no token")
    return token
  })

/** A token as its file holds it. */
export const StoredToken = Schema.Struct({
  name: Schema.String,
  scope: Schema.Literal(...scopes),
  /** Run that its holder works in, and whose requests it never decides. */
  runId: Schema.optional(Schema.String),
  createdAt: Schema.Number,
  /** SHA-256 of the token, in hexadecimal. */
  hash: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/)),
})
export interface StoredToken extends Schema.Schema.Type<typeof StoredToken> {}

const tokens = OwnFile.list(StoredToken)

/** Reads the named tokens of a file. */
export const list = (path: string): Effect.Effect<ReadonlyArray<StoredToken>, OwnFile.UnsafeToken> =>
  OwnFile.attempt(path, () => tokens.read(path))

/** Adds a token, and completes with it. Only its hash is stored. */
export const add = (
  path: string,
  { name, scope, runId, createdAt }: Omit<StoredToken, "hash">,
): Effect.Effect<string, OwnFile.UnsafeToken | TokenNameTaken> =>
  Effect.gen(function* () {
    const known = yield* list(path)
    if (known.some((one) => one.name === name)) return yield* new TokenNameTaken({ name })
    const token = fresh()
    const stored = { name, scope, ...defined({ runId }), createdAt, hash: hashOf(token).toString("hex") }
    yield* OwnFile.attempt(path, () => tokens.write(path, [...known, stored]))
    return token
  })

/** Removes a token. Servers refuse it from the next request on. */
export const remove = (path: string, name: string): Effect.Effect<void, OwnFile.UnsafeToken | NoSuchToken> =>
  Effect.gen(function* () {
    const known = yield* list(path)
    const rest = known.filter((one) => one.name !== name)
    if (rest.length === known.length) return yield* new NoSuchToken({ name })
    yield* OwnFile.attempt(path, () => tokens.write(path, rest))
  })

/** Makes the function that returns the tokens which count now: that of the owner, and those of a file. */
export const current = (owner: Token, path: string): (() => ReadonlyArray<Token>) => {
  const stored = tokens.current(path)
  let [seen, known]: [ReadonlyArray<StoredToken>, ReadonlyArray<Token>] = [[], [owner]]
  return () => {
    const now = stored()
    if (now === seen) return known
    const named = now.map(
      ({ name, scope, runId, hash }): Token => ({ name, scope, ...defined({ runId }), hash: Buffer.from(hash, "hex") }),
    )
    seen = now
    known = [owner, ...named]
    return known
  }
}
