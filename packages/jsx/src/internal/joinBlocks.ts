/**
 * Joins pieces of Markdown, with the white space that has to stand between blocks and what is beside them.
 */

/** A piece of Markdown. */
export type Piece =
  /** As written, or as good as written: nothing is added around it. */
  | { readonly kind: "inline"; readonly text: string }
  /** A tag on one line, or with its line breaks as the author set them. */
  | { readonly kind: "tag"; readonly text: string }
  /** Stands apart from what is around it, by blank lines. */
  | { readonly kind: "block"; readonly text: string; readonly prefix: string; readonly list?: List }
  /** Stands apart, and holds nothing. */
  | { readonly kind: "boundary" }
  /** A hole on lines of its own that turned out empty. */
  | { readonly kind: "nothing" }

/** A list, as far as a list beside it needs to know it: two of the same marker would become one. */
interface List {
  readonly marker: string
  readonly withMarker: (marker: string) => string
}

/** Text, with nothing added around it. */
export const inline = (text: string): ReadonlyArray<Piece> => (text === "" ? [] : [{ kind: "inline", text }])
/** Text that stands apart. */
export const block = (text: string): ReadonlyArray<Piece> => [{ kind: "block", text, prefix: "" }]

/**
 * Puts pieces one after the other. Between a block and what is beside it there is at least one blank line; line breaks that
 * are there already count, so that text written with them comes out unchanged.
 */
export const join = (all: ReadonlyArray<Piece>, isTight = false): string => {
  // Nothing but tags, as a list of documents has them: each gets its line.
  const tags = all.filter((piece) => piece.kind === "tag")
  const between = tags.length < all.length ? "" : tags.some(({ text }) => text.includes("\n")) ? "\n\n" : "\n"
  let out = ""
  /** Where the last block ended, and what its lines begin with; undefined once something follows it. */
  let last: { readonly end: number; readonly prefix: string; readonly marker: string | undefined } | undefined
  let isDropping = false
  for (const piece of all) {
    switch (piece.kind) {
      case "nothing": {
        isDropping = true
        break
      }
      case "boundary": {
        if (last === undefined && !isBlank(out)) last = { end: out.trimEnd().length, prefix: "", marker: undefined }
        break
      }
      case "inline":
      case "tag": {
        let { text } = piece
        if (isDropping) [out, text] = withoutLine(out, text)
        isDropping = false
        if (out !== "") out += between
        if (last === undefined) {
          out += text
        } else {
          const after = out.slice(last.end) + text
          const gap = gapOf(after, last.prefix)
          if (gap.length === after.length) {
            out += text
          } else {
            out = out.slice(0, last.end) + widened(gap, after.slice(gap.length), last.prefix)
            last = undefined
          }
        }
        break
      }
      case "block": {
        let { text } = piece
        let marker = piece.list?.marker
        if (isDropping) [out] = withoutLine(out, "")
        isDropping = false
        if (last !== undefined) {
          if (piece.list !== undefined && last.marker === marker) {
            const other = alternatives[piece.list.marker] ?? piece.list.marker
            text = prefixed(piece.list.withMarker(other), piece.prefix)
            marker = other
          }
          out = out.slice(0, last.end) + before(out.slice(last.end), piece.prefix, isTight && isInterrupting(text))
        } else {
          out = opened(out, piece.prefix, isTight && isInterrupting(text))
        }
        out += text
        last = { end: out.length, prefix: piece.prefix, marker }
      }
    }
  }
  if (isDropping) [out] = withoutLine(out, "")
  return out
}

const alternatives: { readonly [marker: string]: string } = { "-": "*", "*": "-", ".": ")", ")": "." }

/** Whether there is nothing to see. */
export const isBlank = (text: string): boolean => /^\s*$/.test(text)

/** Whether a list can follow a line of text at once: an empty item or a number other than 1 would be taken for more text. */
export const isInterrupting = (text: string): boolean => /^(?:[-*]|1[.)]) +\S/.test(text)

/** What separates: white space, and in a quotation its marks. */
const gapOf = (text: string, prefix: string): string => {
  const [space = ""] = /^\s*/.exec(text) ?? []
  if (!prefix.includes(">")) return space
  const [quoted = ""] = /^[ \t]*(?:\n[ \t>]*)*/.exec(text) ?? []
  return quoted
}

const breaks = (text: string): number => text.split("\n").length - 1

const blankLine = (prefix: string): string => `\n${prefix.trimEnd()}\n`

/** The gap between a block and the text after it, made wide enough, with that text. */
const widened = (gap: string, text: string, prefix: string): string => {
  switch (breaks(gap)) {
    case 0:
      return `${blankLine(prefix)}${prefix}${text}`
    case 1: {
      const line = gap.slice(gap.indexOf("\n") + 1)
      // Less indented: the list item or quotation of the block is over, and there is nothing to keep apart.
      return line.startsWith(prefix) ? `${blankLine(prefix)}${line}${text}` : `\n${line}${text}`
    }
    default:
      return gap + text
  }
}

/** The gap between two blocks, made wide enough. */
const before = (gap: string, prefix: string, isTight: boolean): string => {
  const count = breaks(gap)
  if (count === 0) return isTight ? `\n${prefix}` : `${blankLine(prefix)}${prefix}`
  return count === 1 && !isTight ? `${blankLine(prefix)}${gap.slice(gap.indexOf("\n") + 1)}` : gap
}

/** The text before a block, made to end where a block can begin. */
const opened = (text: string, prefix: string, isTight: boolean): string => {
  if (isBlank(text)) return prefix === "" && breaks(text) === 0 ? "" : text
  const start = text.lastIndexOf("\n") + 1
  const line = text.slice(start)
  if (/^[ \t>]*(?:[-*+]|\d{1,9}[.)])(?:[ \t>]+(?:[-*+]|\d{1,9}[.)]))*[ \t]+[ \t>]*$/.test(line)) return text
  if (!/^[ \t>]*$/.test(line)) return `${text.replace(/[ \t]+$/, "")}${isTight ? "\n" : blankLine(prefix)}${prefix}`
  const head = text.slice(0, start)
  if (isTight || head === "" || /(?:^|\n)[ \t>]*\n$/.test(head)) return text
  return `${head}${prefix.trimEnd()}\n${line}`
}

/** Every line but the first begins with the prefix; where the line is empty, without the spaces at its end. */
export const prefixed = (text: string, prefix: string): string =>
  prefix === "" ? text : text.replace(/\n([^\n]*)/g, (_, line: string) => `\n${line === "" ? prefix.trimEnd() : prefix + line}`)

/**
 * What is left of the text before and after something on a line of its own, when that is taken out: its line goes too, and of the
 * blank lines around it those before or those after it.
 */
export const withoutLine = (before: string, after: string): readonly [before: string, after: string] => {
  const line = /(?:^|\n)([ \t>]*)$/.exec(before)
  if (line === null || !/^[ \t]*(?:\n|$)/.test(after)) {
    return [before, /[ \t]$|^$/.test(before) ? after.replace(/^[ \t]+/, "") : after]
  }
  const head = before.slice(0, before.length - (line[1] ?? "").length)
  const rest = after.replace(/^[ \t]*(?:\n|$)/, "")
  const isAfterBlank = /(?:^|\n)[ \t>]*\n$|^$/.test(head)
  return [head, isAfterBlank ? rest.replace(/^(?:[ \t>]*\n)+/, "") : rest]
}

/** Takes the blank lines off both ends. Indentation of the first line stays, since it can mean something. */
export const trimBlankLines = (text: string): string =>
  isBlank(text) ? "" : text.replace(/^(?:[^\S\n]*\n)+/, "").replace(/\r?\n\s*$/, "")
