/**
 * Files with secrets, which belong to the user of this process and which nobody else can read.
 */

import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import * as Later from "@smithers/core/Later"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** A file with secrets cannot be used. */
export class UnsafeToken extends Later.TaggedError<UnsafeToken>()("UnsafeToken", {
  path: Schema.String,
  problem: Schema.String,
}) {
  override get message(): string {
    return `The secrets in ${this.path} cannot be used: ${this.problem}. Delete the file; a new one is written when it is needed.`
  }
}

/** Reads a file. `undefined` if there is none. Throws if others can read it. */
export const read = (path: string): string | undefined => {
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

/** Writes a file that does not exist yet. Returns `false` if it does. */
export const create = (path: string, text: string): boolean => {
  try {
    writeFileSync(path, text, { flag: "wx", mode: 0o600 })
    return true
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false
    throw thrown
  }
}

/** Turns what a function throws into the error. */
export const attempt = <A>(path: string, run: () => A): Effect.Effect<A, UnsafeToken> =>
  Effect.try({ try: run, catch: (thrown) => new UnsafeToken({ path, problem: (thrown as Error).message }) })

/** A list of entries in a file. */
export interface List<A> {
  readonly read: (path: string) => ReadonlyArray<A>
  readonly write: (path: string, entries: ReadonlyArray<A>) => void
  /** Makes the function that returns the entries that are in a file now. It is read again when it has changed, and counts as empty if it cannot be used. */
  readonly current: (path: string) => () => ReadonlyArray<A>
}

/** Makes the reader and writer of lists of entries. */
export const list = <A, I>(entry: Schema.Schema<A, I>): List<A> => {
  const entries = Schema.parseJson(Schema.Array(entry))
  const [decode, encode] = [Schema.decodeUnknownSync(entries), Schema.encodeSync(Schema.Array(entry))]
  const readList = (path: string): ReadonlyArray<A> => {
    const text = read(path)
    if (text === undefined) return []
    try {
      return decode(text)
    } catch {
      throw new Error("it holds no list of them")
    }
  }
  return {
    read: readList,
    write: (path, all) => {
      // Written aside, so that a server never reads a half of it.
      const aside = `${path}.${process.pid}`
      writeFileSync(aside, `${JSON.stringify(encode(all), null, 2)}\n`, { mode: 0o600 })
      renameSync(aside, path)
    },
    current: (path) => {
      let seen = ""
      let known: ReadonlyArray<A> = []
      return () => {
        const stat = statSync(path, { throwIfNoEntry: false })
        const stamp = stat === undefined ? "" : `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.mode}`
        if (stamp === seen) return known
        seen = stamp
        try {
          known = readList(path)
        } catch {
          known = []
        }
        return known
      }
    },
  }
}
