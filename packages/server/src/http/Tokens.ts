/**
 * Tokens of the API. The file beside the database holds the token of its owner, readable by nobody else.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import { closeSync, constants, fstatSync, openSync, readFileSync, writeFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { CallerShape } from "../operations/Caller.ts"

/** The file of the token cannot be used. */
export class UnsafeToken extends Schema.TaggedError<UnsafeToken>()("UnsafeToken", {
  path: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `The token in ${this.path} cannot be used: ${this.problem}. Delete the file; the next start writes a new token.`
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
  return tokens.filter((token) => timingSafeEqual(token.hash, hash))[0]
}

/** Reads the token in a file, and writes a new one if there is no file. */
export const ownerToken = (path: string): Effect.Effect<string, UnsafeToken> =>
  Effect.try({
    try: () => {
      try {
        const token = randomBytes(32).toString("base64url")
        writeFileSync(path, `${token}\n`, { flag: "wx", mode: 0o600 })
        return token
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown
      }
      const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
      try {
        const { mode, uid } = fstatSync(descriptor)
        if ((mode & 0o077) !== 0) throw new Error("others can read it")
        if (process.getuid !== undefined && uid !== process.getuid()) throw new Error("it belongs to another user")
        const token = readFileSync(descriptor, "utf8").trim()
        if (!/^[\w-]{43}$/.test(token)) throw new Error("it holds no token")
        return token
      } finally {
        closeSync(descriptor)
      }
    },
    catch: (thrown) => new UnsafeToken({ path, problem: (thrown as Error).message }),
  })
