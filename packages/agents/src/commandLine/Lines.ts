/**
 * Splits what a program writes into its messages, one JSON object per line, and the rest, which is kept for diagnostics.
 */

/** Bytes of a line beyond which it is dropped. A result of a tool with an image takes a few million. */
export const longestLine = 16 * 1024 * 1024

/** Characters of diagnostics that are kept: some screens of a stack trace. */
const longestTail = 4096

/** The last characters of a text that grows. */
export interface Tail {
  readonly add: (text: string) => void
  readonly read: () => string
}

/** Colours and other escapes of terminals. */
const escapes = new RegExp(`${String.fromCharCode(27)}\\[[0-9;?]*[A-Za-z]`, "g")

/** Keeps the end of a text. */
export const tail = (limit: number = longestTail): Tail => {
  let kept = ""
  return {
    add: (text) => {
      kept += text
      if (kept.length > 2 * limit) kept = kept.slice(-limit)
    },
    read: () => kept.slice(-limit).replaceAll(escapes, ""),
  }
}

export interface Splitter {
  readonly add: (chunk: Uint8Array) => void
  /** Takes what has no line end as the last line. */
  readonly end: () => void
}

/** What becomes of lines. */
export interface Sink {
  /** Receives a line that begins with `{`. */
  readonly message: (line: string) => void
  /** Receives other text, in pieces of any size. */
  readonly other: (text: string) => void
  /** Called once for each line that was too long. */
  readonly tooLong: () => void
}

const newline = 10
const brace = "{".charCodeAt(0)
const blanks: ReadonlySet<number> = new Set([9, 11, 12, 13, 32])

/** Splits a stream of bytes. A line is decoded once it is whole, so that no character is cut in two. */
export const splitter = (sink: Sink, longest: number = longestLine): Splitter => {
  let parts: Array<Uint8Array> = []
  let bytes = 0
  let isDropped = false
  const finish = (): void => {
    if (isDropped) sink.tooLong()
    else if (bytes > 0) {
      const line = Buffer.concat(parts)
      const first = line.findIndex((byte) => !blanks.has(byte))
      if (line[first] === brace) sink.message(line.toString("utf8"))
      else sink.other(`${line.toString("utf8")}\n`)
    }
    parts = []
    bytes = 0
    isDropped = false
  }
  const take = (part: Uint8Array): void => {
    if (isDropped || part.length === 0) return
    bytes += part.length
    if (bytes <= longest) {
      // A copy: the chunk may be reused by the stream.
      parts.push(Buffer.from(part))
      return
    }
    isDropped = true
    parts = []
  }
  return {
    add: (chunk) => {
      let from = 0
      for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
        take(chunk.subarray(from, at))
        finish()
        from = at + 1
      }
      take(chunk.subarray(from))
    },
    end: finish,
  }
}
