/**
 * Lines of text in styles, for terminals. A line is cut to its width before it is coloured, so that colours take no columns.
 */
import { truncate, width } from "./Table.ts"

/** The meaning of a part of a line. */
export type Style = "plain" | "strong" | "dim" | "active" | "success" | "warning" | "error"

/** A part of a line in one style. The text holds no control characters. */
export interface Segment {
  readonly text: string
  readonly style: Style
  /** `true` for what is cut before the rest of the line, such as a label. */
  readonly isFlexible?: boolean
}

export type Line = ReadonlyArray<Segment>

/** Parameters of the escape sequence that begins a style: the eight colours that every terminal has. */
const codes: { readonly [S in Style]: string | undefined } = {
  plain: undefined,
  strong: "1",
  dim: "2",
  active: "36",
  success: "32",
  warning: "33",
  error: "31",
}

/** Columns of a flexible segment down to which it is cut before others are. */
const leastFlexible = 10

/** Cuts a line to so many columns: flexible segments first, then its end. An ellipsis stands for what is cut. */
export const fit = (whole: Line, columns: number): Line => {
  let over = whole.reduce((sum, { text }) => sum + width(text), 0) - columns
  if (over <= 0) return whole
  const line = whole.map((segment) => {
    const before = width(segment.text)
    if (segment.isFlexible !== true || over <= 0 || before <= leastFlexible) return segment
    const text = truncate(segment.text, Math.max(leastFlexible, before - over))
    over -= before - width(text)
    return { ...segment, text }
  })
  if (over <= 0) return line
  const kept: Array<Segment> = []
  let left = columns
  for (const { text, style } of line) {
    const taken = width(text)
    if (taken >= left) {
      // An ellipsis also where the segment itself just fits: more follows it.
      kept.push({ text: truncate(taken === left ? `${text} ` : text, left), style })
      break
    }
    kept.push({ text, style })
    left -= taken
  }
  return kept
}

/** The text of a line, without its styles. */
export const plain = (line: Line): string => line.map(({ text }) => text).join("")

/** The text of a line with the escape sequences of its styles, where there are to be colours. */
export const paint = (line: Line, hasColors: boolean): string =>
  hasColors
    ? line
        .map(({ text, style }) => {
          const code = codes[style]
          return code === undefined || text === "" ? text : `\u001b[${code}m${text}\u001b[0m`
        })
        .join("")
    : plain(line)
