/**
 * Tokens of the API. A file beside the database holds the token of its owner, another one the hashes of further tokens with their
 * names and scopes. Both are readable by nobody else.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type CallerShape, scopes } from "../operations/Caller.ts"

/** The file of the token cannot be used. */
export class UnsafeToken extends Schema.TaggedError<UnsafeToken>()("UnsafeToken", {
  path: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `The token in ${this.path} cannot be used: ${this.problem}. Delete the file; the next start writes a new token.`
  }
}

/** There is a token of this name already. */
export class TokenNameTaken extends Schema.TaggedError<TokenNameTaken>()("TokenNameTaken", { name: Schema.String }) {
  override get message(): string {
    return `There is a token "${this.name}" already. Remove it first, or choose another name: smithers token list`
  }
}

/** There is no token of this name. */
export class NoSuchToken extends Schema.TaggedError<NoSuchToken>()("NoSuchToken", { name: Schema.String }) {
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

/** Reads a file that belongs to this user and that nobody else can read. `undefined` if there is none. */
const readOwn = (path: string): string | undefined => {
  let descriptor: number
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw thrown
  }
  try {
    const { mode, uid } = fstatSync(descriptor)
    if ((mode & 0o077) !== 0) throw new Error("others can read it")
    if (process.getuid !== undefined && uid !== process.getuid()) throw new Error("it belongs to another user")
    return readFileSync(descriptor, "utf8")
  } finally {
    closeSync(descriptor)
  }
}

const attempt = <A>(path: string, run: () => A): Effect.Effect<A, UnsafeToken> =>
  Effect.try({ try: run, catch: (thrown) => new UnsafeToken({ path, problem: (thrown as Error).message }) })

/** Reads the token in a file, and writes a new one if there is no file. */
export const ownerToken = (path: string): Effect.Effect<string, UnsafeToken> =>
  attempt(path, () => {
    try {
      const token = fresh()
      writeFileSync(path, `${token}\n`, { flag: "wx", mode: 0o600 })
      return token
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown
    }
    const token = readOwn(path)?.trim() ?? ""
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

const decode = Schema.decodeUnknownSync(Schema.parseJson(Schema.Array(StoredToken)))

const readTokens = (path: string): ReadonlyArray<StoredToken> => {
  const text = readOwn(path)
  if (text === undefined) return []
  try {
    return decode(text)
  } catch {
    throw new Error("it holds no list of tokens")
  }
}

const writeTokens = (path: string, tokens: ReadonlyArray<StoredToken>): void => {
  // Written aside, so that a server never reads a half of it.
  const aside = `${path}.${process.pid}`
  writeFileSync(aside, `${JSON.stringify(tokens, null, 2)}\n`, { mode: 0o600 })
  renameSync(aside, path)
}

/** Reads the named tokens of a file. */
export const list = (path: string): Effect.Effect<ReadonlyArray<StoredToken>, UnsafeToken> => attempt(path, () => readTokens(path))

/** Adds a token, and completes with it. Only its hash is stored. */
export const add = (
  path: string,
  { name, scope, runId, createdAt }: Omit<StoredToken, "hash">,
): Effect.Effect<string, UnsafeToken | TokenNameTaken> =>
  Effect.gen(function* () {
    const known = yield* list(path)
    if (known.some((one) => one.name === name)) return yield* new TokenNameTaken({ name })
    const token = fresh()
    const stored = { name, scope, ...defined({ runId }), createdAt, hash: hashOf(token).toString("hex") }
    return yield* attempt(path, () => {
      writeTokens(path, [...known, stored])
      return token
    })
  })

/** Removes a token. Servers refuse it from the next request on. */
export const remove = (path: string, name: string): Effect.Effect<void, UnsafeToken | NoSuchToken> =>
  Effect.gen(function* () {
    const known = yield* list(path)
    const rest = known.filter((one) => one.name !== name)
    if (rest.length === known.length) return yield* new NoSuchToken({ name })
    return yield* attempt(path, () => writeTokens(path, rest))
  })

/**
 * Makes the function that returns the tokens which count now: that of the owner, and those of a file, which is read again when it has
 * changed. A file that cannot be used counts as empty.
 */
export const current = (owner: Token, path: string): (() => ReadonlyArray<Token>) => {
  let seen = ""
  let known: ReadonlyArray<Token> = [owner]
  return () => {
    const stat = statSync(path, { throwIfNoEntry: false })
    const stamp = stat === undefined ? "" : `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.mode}`
    if (stamp === seen) return known
    seen = stamp
    try {
      const stored = readTokens(path).map(
        ({ name, scope, runId, hash }): Token => ({ name, scope, ...defined({ runId }), hash: Buffer.from(hash, "hex") }),
      )
      known = [owner, ...stored]
    } catch {
      known = [owner]
    }
    return known
  }
}
