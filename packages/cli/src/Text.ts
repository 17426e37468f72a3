/**
 * Text for people. What comes from workflows, agents and the web is shown as what it is: control sequences in it do nothing to the
 * terminal, and what is too long for a screen is cut, with a word on how to see the rest.
 */

/**
 * Characters that move the cursor, change colours, ring, turn the direction of text around, or are text that nobody sees: controls, C1 among
 * them, marks of direction, separators of lines that are no ends of lines, and tags.
 */
const unsafe =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0")

/** Makes control characters visible, other than tabs and ends of lines. */
export const neutralise = (text: string): string =>
  text.replaceAll("\r\n", "\n").replaceAll(unsafe, (found) => {
    const code = found.codePointAt(0) as number
    return code <= 0xff ? `\\x${hex(code, 2)}` : code <= 0xffff ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 4)}}`
  })

/** A value as JSON whose texts hold no such characters but as escapes, so that it can be shown and still is the same value. */
export const json = (value: unknown, indent?: number): string | undefined =>
  JSON.stringify(value, undefined, indent)?.replaceAll(unsafe, (found) =>
    Array.from({ length: found.length }, (_, index) => `\\u${hex(found.charCodeAt(index), 4)}`).join(""),
  )

/** The same, on one line. */
export const oneLine = (text: string): string => neutralise(text).replaceAll("\n", "\\n").replaceAll("\t", " ")

/** Cuts a text to so many characters, the last of which then is an ellipsis. */
export const shorten = (text: string, length: number): string => {
  if (text.length <= length) return text
  // Half of a character that takes two would be another one.
  const end = /[\uD800-\uDBFF]$/.test(text.slice(0, length - 1)) ? length - 2 : length - 1
  return `${text.slice(0, end)}…`
}

/** Characters of one value that people are shown at most, and lines: more scrolls away what matters. */
const longestValue = 4000
const mostLines = 100

/** Characters of why a run has failed: the error with its causes, and why it was not retried. */
export const longestFailure = 2000

/** A long text for a person: its beginning, and how to see all of it. */
export const excerpt = (text: string, hint: string): string => {
  const safe = neutralise(text)
  const lines = safe.split("\n")
  const kept = shorten(lines.slice(0, mostLines).join("\n"), longestValue)
  if (kept === safe) return safe
  return `${kept.replace(/…$/, "")}\n… ${safe.length - kept.length} more characters; ${hint} shows all of it`
}

/** A JSON value as people read it. */
export const pretty = (value: unknown): string => (typeof value === "string" ? value : (json(value, 2) ?? "none"))

/** Columns that a text takes in a terminal: wide characters take two, marks on others none. */
export const width = (text: string): number => Bun.stringWidth(text)

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** Cuts a line to so many columns, the last of which then is an ellipsis, between what people take for characters. */
export const truncate = (line: string, columns: number): string => {
  if (width(line) <= columns) return line
  let kept = ""
  let left = columns - 1
  for (const { segment } of graphemes.segment(line)) {
    left -= width(segment)
    if (left < 0) break
    kept += segment
  }
  return columns < 1 ? "" : `${kept}…`
}

/** Columns that are left of a cell where there are too few: a beginning that tells something. */
const leastCell = 4

/** Columns of the last cell down to which it is cut before others are: it says most, in most words. */
const leastLast = 16

const gap = 2

/** Puts rows under headings. No line is longer than `columns`, where it is given: the last cells are cut first, then the widest. */
export const table = (
  headings: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  columns = Number.POSITIVE_INFINITY,
): string => {
  const all = [headings, ...rows.map((row) => row.map(oneLine))]
  const widths = headings.map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ""))))
  const last = widths.length - 1
  let over = widths.reduce((total, one) => total + one, gap * last) - columns
  const cut = (column: number, least: number): number => {
    const before = widths[column] ?? 0
    const most = Math.min(over, before - least)
    if (most <= 0) return 0
    widths[column] = before - most
    return most
  }
  over -= cut(last, leastLast)
  while (over > 0) {
    // Of the widest as much as makes it one narrower than the others, in the end of all alike.
    const widest = Math.max(...widths)
    if (widest <= leastCell) break
    over -= cut(widths.indexOf(widest), widest - 1)
  }
  return all
    .map((row) =>
      row
        .map((cell, column) => pad(truncate(cell, widths[column] ?? 0), widths[column] ?? 0))
        .join(" ".repeat(gap))
        .trimEnd(),
    )
    .map((line) => truncate(line, columns))
    .join("\n")
}

const pad = (cell: string, columns: number): string => cell + " ".repeat(Math.max(0, columns - width(cell)))

const two = (count: number): string => String(count).padStart(2, "0")

/** Milliseconds as `hh:mm:ss`. */
export const clock = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const

/** Milliseconds in the two largest units that matter: `2d 3h`, `4m 5s`, `0.8s`. */
export const span = (ms: number): string => {
  if (ms < 10_000) return `${(Math.max(0, ms) / 1000).toFixed(1)}s`
  let rest = Math.round(ms / 1000) * 1000
  const shown: Array<string> = []
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0 || shown.length > 0) shown.push(`${count}${unit}`)
    if (shown.length === 2) break
  }
  return shown.filter((part, index) => index === 0 || !part.startsWith("0")).join(" ")
}

/** `1 step`, `2 steps`. */
export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

const escaped = (character: string): string => {
  if (character === "\\" || character === "'") return `\\${character}`
  const code = character.charCodeAt(0)
  return code <= 0x7f ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`
}

/** An argument as one would type it into a shell: bash, zsh or, but for control characters, any other. */
export const quoted = (argument: string): string => {
  if (/^[\w@%+:,./-][\w@%+=:,./-]*$/.test(argument)) return argument
  if (oneLine(argument) === argument) return `'${argument.replaceAll("'", `'\\''`)}'`
  return `$'${argument.replaceAll(/[\\']/g, escaped).replaceAll("\n", "\\n").replaceAll("\t", "\\t").replaceAll("\r", "\\r").replaceAll(unsafe, escaped)}'`
}
