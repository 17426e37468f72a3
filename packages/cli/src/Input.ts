/**
 * Values of options given as JSON, as `@file`, or as `-` for standard input.
 */
import { createReadStream, statSync } from "node:fs"
import { shorten } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import { InvalidJson } from "./Errors.ts"

/**
 * Maximum number of bytes read of a file or of standard input. Far more than an input needs, and small enough that an endless
 * device (`/dev/zero`) exhausts neither memory nor time. Larger data belongs in a file that the input names.
 */
const mostBytes = 64 * 1024 * 1024

/** Parses the value of an option. Fails with `InvalidJson`, which names the problem and its position. */
export const read = (option: string, argument: string): Effect.Effect<unknown, InvalidJson> =>
  Effect.gen(function* () {
    const invalid = (problem: string) => new InvalidJson({ option, problem })
    const file = argument.startsWith("@") ? argument.slice(1) : undefined
    const source = argument === "-" ? "standard input" : file
    if (source === undefined) return yield* parse(argument, JSON.stringify(shorten(argument, 80)), invalid)
    if (file !== undefined) {
      const stats = yield* Effect.try({
        try: () => statSync(file),
        catch: (thrown) => invalid(`${source} cannot be read: ${(thrown as Error).message}`),
      })
      if (stats.isDirectory()) return yield* invalid(`${source} is a folder, not a file`)
      if (stats.isSocket()) return yield* invalid(`${source} is a socket, not a file`)
      if (stats.isFile() && stats.size > mostBytes) return yield* invalid(tooLong(source))
    }
    const bytes = yield* Effect.catchAll(bytesOf(file), (problem) =>
      invalid(problem === undefined ? tooLong(source) : `${source} cannot be read: ${problem}`),
    )
    const text = yield* textOf(bytes, source, invalid)
    return yield* parse(text, source, invalid)
  })

const tooLong = (source: string): string => `${source} is longer than 64 MB`

/**
 * Reads the bytes of a file or of standard input in chunks, so that the command can be stopped while a pipe is silent. Fails with
 * the problem, or with `undefined` if there are too many bytes.
 */
const bytesOf = (file: string | undefined): Effect.Effect<Buffer, string | undefined> =>
  Effect.async((resume) => {
    const stream = file === undefined ? process.stdin : createReadStream(file)
    const pieces: Array<Buffer> = []
    let length = 0
    const end = (result: Effect.Effect<Buffer, string | undefined>): void => {
      stream.removeAllListeners("data")
      stream.pause()
      if (file !== undefined) stream.destroy()
      resume(result)
    }
    stream.on("data", (piece: Buffer) => {
      pieces.push(piece)
      length += piece.length
      if (length > mostBytes) end(Effect.fail(undefined))
    })
    stream.on("error", (error: Error) => end(Effect.fail(error.message)))
    stream.on("end", () => end(Effect.succeed(Buffer.concat(pieces))))
    return Effect.sync(() => {
      if (file !== undefined) stream.destroy()
    })
  })

const textOf = (bytes: Buffer, source: string, invalid: (problem: string) => InvalidJson): Effect.Effect<string, InvalidJson> => {
  const marks = { "UTF-8": [0xef, 0xbb, 0xbf], "UTF-16": [0xff, 0xfe], "UTF-16 ": [0xfe, 0xff] }
  const marked = Object.entries(marks).find(([, mark]) => mark.every((byte, index) => bytes[index] === byte))
  if (marked !== undefined) {
    const [encoding] = marked
    return invalid(`${source} begins with a byte order mark (${encoding.trim()}); save it as UTF-8 without one`)
  }
  return Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
    catch: () => invalid(`${source} is not UTF-8 text`),
  })
}

const parse = (text: string, source: string, invalid: (problem: string) => InvalidJson): Effect.Effect<unknown, InvalidJson> =>
  text.trim() === ""
    ? invalid(`${source} is empty`)
    : Effect.try({
        try: () => JSON.parse(text) as unknown,
        catch: (thrown) => invalid(`${reason(thrown)} in ${source}`),
      })

const reason = (thrown: unknown): string => (thrown as Error).message.replace(/^JSON Parse error: /, "")
