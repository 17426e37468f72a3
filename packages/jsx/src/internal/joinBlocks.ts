/**
 * Joins pieces of Markdown, with the white space needed around blocks.
 */

/** A piece of Markdown. */
export type Piece =
  /** Text as written. Nothing is added around it. */
  | { readonly kind: "inline"; readonly text: string }
  /** A tag on one line, or with the author's line breaks. */
  | { readonly kind: "tag"; readonly text: string }
  /** A block, separated by blank lines. */
  | { readonly kind: "block"; readonly text: string; readonly prefix: string; readonly list?: List }
  /** A separator without content. */
  | { readonly kind: "boundary" }
  /** An empty hole on lines of its own. */
  | { readonly kind: "nothing" }

/** Marker of a list, since adjacent lists with the same marker would merge. */
interface List {
  readonly marker: string
  readonly withMarker: (marker: string) => string
}

/** Creates text with nothing added around it. */
export const inline = (text: string): ReadonlyArray<Piece> => (text === "" ? [] : [{ kind: "inline", text }])
/** Creates a block. */
export const block = (text: string): ReadonlyArray<Piece> => [{ kind: "block", text, prefix: "" }]

/**
 * Concatenates pieces. A block is separated from its neighbours by at least one blank line. Existing line breaks count, so that
 * text written with them stays unchanged.
 */
export const join = (all: ReadonlyArray<Piece>, isTight = false): string => {
  // A list of tags gets one line per tag, as in a list of documents.
  const tags = all.filter((piece) => piece.kind === "tag")
  const between = tags.length < all.length ? "" : tags.some(({ text }) => text.includes("\n")) ? "\n\n" : "\n"
  let out = ""
  /** End of the last block, and the prefix of its lines; `undefined` once other text follows. */
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

/** Returns `true` for text of white space only. */
export const isBlank = (text: string): boolean => /^\s*$/.test(text)

/**
 * Returns `true` if a list can follow a line of text without a blank line. An empty item, or a number other than 1, would continue
 * the text.
 */
export const isInterrupting = (text: string): boolean => /^(?:[-*]|1[.)]) +\S/.test(text)

/** Returns the leading white space of a text, with the marks of its quotation. */
const gapOf = (text: string, prefix: string): string => {
  const [space = ""] = /^\s*/.exec(text) ?? []
  if (!prefix.includes(">")) return space
  const [quoted = ""] = /^[ \t]*(?:\n[ \t>]*)*/.exec(text) ?? []
  return quoted
}

const breaks = (text: string): number => text.split("\n").length - 1

const blankLine = (prefix: string): string => `\n${prefix.trimEnd()}\n`

/** Widens the gap between a block and the text after it, and appends the text. */
const widened = (gap: string, text: string, prefix: string): string => {
  switch (breaks(gap)) {
    case 0:
      return `${blankLine(prefix)}${prefix}${text}`
    case 1: {
      const line = gap.slice(gap.indexOf("\n") + 1)
      // Less indentation ends the list item or quotation of the block.
      return line.startsWith(prefix) ? `${blankLine(prefix)}${line}${text}` : `\n${line}${text}`
    }
    default:
      return gap + text
  }
}

/** Widens the gap between two blocks. */
const before = (gap: string, prefix: string, isTight: boolean): string => {
  const count = breaks(gap)
  if (count === 0) return isTight ? `\n${prefix}` : `${blankLine(prefix)}${prefix}`
  return count === 1 && !isTight ? `${blankLine(prefix)}${gap.slice(gap.indexOf("\n") + 1)}` : gap
}

/** Ends the text before a block so that a block can start. */
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

/** Prepends the prefix to every line but the first. Empty lines get it without trailing spaces. */
export const prefixed = (text: string, prefix: string): string =>
  prefix === "" ? text : text.replace(/\n([^\n]*)/g, (_, line: string) => `\n${line === "" ? prefix.trimEnd() : prefix + line}`)

/**
 * Removes an element that has a line of its own from the text around it: its line, and the blank lines either before or after it.
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

/** Removes blank lines at both ends. Keeps the indentation of the first line, which may be significant. */
export const trimBlankLines = (text: string): string =>
  isBlank(text) ? "" : text.replace(/^(?:[^\S\n]*\n)+/, "").replace(/\r?\n\s*$/, "")
