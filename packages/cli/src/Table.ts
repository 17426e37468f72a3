/**
 * Formats text in the columns of a terminal.
 */
import * as Secrets from "@smithers/core/Secrets"
import { oneLine } from "@smithers/server/views/Text"

/** Width of a text in a terminal, in columns. Wide characters take two, combining marks none. */
export const width = (text: string): number => Bun.stringWidth(text)

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** Truncates a line to `columns`, between grapheme clusters. The last column is then an ellipsis. */
export const truncate = (whole: string, columns: number): string => {
  if (width(whole) <= columns) return whole
  // Before the cut, which might leave half of a secret.
  const line = Secrets.text(whole)
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

/** Minimum width of a cell, in columns. */
const leastCell = 4

/** Minimum width of the last cell, in columns, before other cells are cut: it carries most of the text. */
const leastLast = 16

const gap = 2

/** Formats rows under headings. If `columns` is given, no line is longer: the last cells are cut first, then the widest. */
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
    // Cuts the widest until it is narrower than the others, and in the end all equally.
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
